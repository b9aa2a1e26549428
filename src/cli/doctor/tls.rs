//! What `doctor` says of `[tls]`: whether the pair can be used, until when, and who may read the key.
use super::{Finding, State, finding, mode};
use crate::config::Tls;
use crate::gateway::tls::Listening;
use bailiwick_kernel::clock::{Clock, SystemClock, rfc3339};
use x509_cert::Certificate;
use x509_cert::der::Decode;

const DAY_MS: u64 = 86_400_000;
/// A certificate that ends sooner should have been renewed.
const WARNED_DAYS: u64 = 14;

pub(super) fn findings(tls: &Tls) -> Vec<Finding> {
    let listening = match Listening::of(tls.pair(), &tls.clients()) {
        Ok(listening) => listening,
        Err(error) => return vec![finding("tls", State::Bad, error.to_string())],
    };
    let shown = tls.certificate.display();
    let validity = listening.renewal.leaf().and_then(|leaf| valid(&leaf));
    let validity = match validity {
        Some(validity) => until(&shown.to_string(), validity, SystemClock.now_unix_ms()),
        None => finding("tls", State::Warning, format!("{shown}: until when it is valid cannot be read")),
    };
    let pair = finding("tls", State::Good, format!("{shown} and {} belong together", tls.key.display()));
    [pair, validity].into_iter().chain(mode("tls", &tls.key)).collect()
}

/// From when and until when, in milliseconds since 1970.
fn valid(leaf: &[u8]) -> Option<(u64, u64)> {
    let validity = Certificate::from_der(leaf).ok()?.tbs_certificate.validity;
    let unix_ms = |time: x509_cert::time::Time| u64::try_from(time.to_unix_duration().as_millis()).ok();
    Some((unix_ms(validity.not_before)?, unix_ms(validity.not_after)?))
}

fn until(shown: &str, (from, until): (u64, u64), now: u64) -> Finding {
    let end = rfc3339(until);
    if now < from {
        return finding("tls", State::Bad, format!("{shown} is valid only from {}; check the clock", rfc3339(from)));
    }
    match until.checked_sub(now) {
        None => {
            finding("tls", State::Bad, format!("{shown} has expired on {end}; renew it: the server takes it by itself"))
        }
        Some(left) if left < WARNED_DAYS * DAY_MS => {
            finding("tls", State::Warning, format!("{shown} expires on {end}, in {} days; renew it", left / DAY_MS))
        }
        Some(_left) => finding("tls", State::Good, format!("{shown} is valid until {end}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_said_to_end_before_it_does() {
        let at = |now| until("c.pem", (10 * DAY_MS, 100 * DAY_MS), now).state;
        assert_eq!(at(9 * DAY_MS), State::Bad, "not yet valid");
        assert_eq!(at(50 * DAY_MS), State::Good);
        assert_eq!(at(87 * DAY_MS), State::Warning, "in thirteen days");
        assert_eq!(at(100 * DAY_MS + 1), State::Bad, "expired");
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let mut named = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (named.not_before, named.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 4, 1));
        let leaf = named.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let (from, until) = valid(leaf.der()).unwrap();
        assert_eq!(
            (rfc3339(from).as_str(), rfc3339(until).as_str()),
            ("2026-01-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z")
        );
        assert_eq!(valid(b"no certificate"), None);
    }
}

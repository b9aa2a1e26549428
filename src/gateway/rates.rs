//! OpenAI's rate-limit headers: of all limits that hold for the caller, the one with the least left.
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use bailiwick_tenant::limits::sheet::{Figure, RateSheet};
use bailiwick_tenant::turn::Awaiting;
use std::sync::Arc;

const MILLISECOND_NS: u64 = 1_000_000;

struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};
const TOKENS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};

/// Remembers where the tenant notes what the caller has left; the answer to this request says it, whatever it is.
pub(super) fn watch(request: &HttpRequest, awaiting: &Awaiting) {
    request.extensions_mut().insert(awaiting.rates());
}

/// Says what the caller has left, where a tenant has counted the request.
pub(super) fn tell(request: &HttpRequest, headers: &mut HeaderMap) {
    let Some(figures) = request.extensions().get::<Arc<RateSheet>>().map(|sheet| sheet.read()) else { return };
    for (names, figure) in [(REQUESTS, figures.requests), (TOKENS, figures.tokens)] {
        let Some(Figure { limit, remaining, reset_ns }) = figure else { continue };
        headers.insert(names.limit, HeaderValue::from(limit));
        headers.insert(names.remaining, HeaderValue::from(remaining));
        if let Ok(reset) = HeaderValue::from_str(&duration(reset_ns.div_ceil(MILLISECOND_NS))) {
            headers.insert(names.reset, reset);
        }
    }
}

/// Milliseconds as OpenAI writes a duration: `120ms`, `1s`, `8.64s`, `6m0s`, `1h0m0s`.
pub(super) fn duration(ms: u64) -> String {
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:03}").trim_end_matches('0').to_owned() };
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_written_as_openai_writes_them() {
        let written = [
            (0, "0ms"),
            (120, "120ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (8_640, "8.64s"),
            (59_999, "59.999s"),
            (360_000, "6m0s"),
            (61_005, "1m1.005s"),
            (3_600_000, "1h0m0s"),
            (90_061_000, "25h1m1s"),
        ];
        assert_eq!(written.map(|(ms, _)| duration(ms)), written.map(|(_, text)| text.to_owned()));
    }
}

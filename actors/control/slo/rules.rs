//! What is told to whom: figures and the tenant's name, once, and only where the tenant's bytes may go. Pure.
use super::messages::{Notify, ServiceChange};
use super::targets::Target;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_policy::sovereignty::{Cleared, Flow};
use bailiwick_tenant::slo::alarms::Severity;
use bailiwick_tenant::slo::messages::Alarmed;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::VecDeque;

/// Times an alert is tried …
pub const TRIES_MAX: u32 = 5;
/// … the second time after so long, and four times as long from one to the next.
pub const FIRST_PAUSE_MS: u64 = 1_000;
/// Things that were told and are remembered, so that they are not told twice.
const TOLD_MAX: usize = 4_096;
const MILLION: f64 = 1_000_000.0;
const TENTHS: f64 = 10.0;
const MINUTE_MS: u64 = 60_000;

/// One alert. It leaves the node: nothing a tenant's people or documents have said stands in it.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Alert {
    /// The tenant's name.
    pub tenant: String,
    /// `burn_14x`, `burn_6x`, `burn_1x` or `release_freeze`.
    pub alert: &'static str,
    /// Who is to look, and how soon.
    pub severity: Severity,
    /// It was raised, or has ended.
    pub raised: bool,
    /// Since when it stands, or stood; RFC 3339. Absent for a freeze that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// When this was seen; RFC 3339.
    pub at: String,
    /// The same in words.
    pub text: String,
    /// Events of the long window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub long: Option<WindowFigures>,
    /// Events of the short window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<WindowFigures>,
}

/// Events of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct WindowFigures {
    /// How long it is.
    pub minutes: u64,
    /// Turns that ended well.
    pub good: u64,
    /// Turns that failed.
    pub bad: u64,
}

/// The alert that a change comes to.
#[must_use]
pub fn alert(notify: &Notify) -> Alert {
    let Notify { tenant, change, at_unix_ms, .. } = notify;
    let at = rfc3339(*at_unix_ms);
    match change {
        ServiceChange::Alarmed(alarmed) => of_alarm(tenant, alarmed, at),
        ServiceChange::ReleasesStand(frozen) => {
            let since = frozen.map(|frozen| rfc3339(frozen.since_unix_ms));
            let overridden = frozen.and_then(|frozen| frozen.overridden_until_unix_ms);
            let text = match (frozen, overridden.filter(|until| until > at_unix_ms)) {
                (None, _) => format!("{tenant}: there is error budget again; releases are free"),
                (Some(_), None) => format!("{tenant}: the error budget is used up; nothing new is released"),
                (Some(_), Some(until)) => {
                    format!("{tenant}: two people have overridden the release freeze until {}", rfc3339(until))
                }
            };
            Alert {
                tenant: tenant.clone(),
                alert: "release_freeze",
                severity: Severity::Ticket,
                raised: frozen.is_some(),
                since,
                at,
                text,
                long: None,
                short: None,
            }
        }
    }
}

fn of_alarm(tenant: &str, alarmed: &Alarmed, at: String) -> Alert {
    let Alarmed { change, allowed_ppm, .. } = alarmed;
    let pair = change.pair;
    let figures = |length_ms: u64, tally: bailiwick_tenant::slo::windows::Tally| WindowFigures {
        minutes: length_ms / MINUTE_MS,
        good: tally.good,
        bad: tally.bad,
    };
    let (long, short) = (figures(pair.long_ms, change.long), figures(pair.short_ms, change.short));
    let objective = 100.0 * (1.0 - *allowed_ppm as f64 / MILLION);
    let text = if change.is_raised {
        format!(
            "{tenant}: failures are more than {} times what {objective:.3} % allows: {} of {} turns in {} minutes, {} of {} in {}",
            pair.burn_tenths as f64 / TENTHS,
            long.bad,
            long.good.saturating_add(long.bad),
            long.minutes,
            short.bad,
            short.good.saturating_add(short.bad),
            short.minutes,
        )
    } else {
        format!("{tenant}: {} has ended; {} of the last turns failed", pair.name, short.bad)
    };
    Alert {
        tenant: tenant.to_owned(),
        alert: pair.name,
        severity: pair.severity,
        raised: change.is_raised,
        since: Some(rfc3339(change.since_unix_ms)),
        at,
        text,
        long: Some(long),
        short: Some(short),
    }
}

/// Leave to tell a target about a tenant: the operator has named it for this tenant, and the tenant's lists allow its region.
///
/// # Errors
/// Why not; nothing where the target is not for this tenant.
pub fn leave(target: &Target, notify: &Notify) -> Result<Cleared, Option<String>> {
    if !target.is_for(&notify.tenant) {
        return Err(None);
    }
    let Some(sovereignty) = &notify.sovereignty else {
        return Err(Some("no policy of this tenant is in force".to_owned()));
    };
    sovereignty.clear(Flow::Export, target.region.as_str()).map_err(Some)
}

/// What was told last, so that it is not told again.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Told(VecDeque<(String, &'static str, String)>);

impl Told {
    /// Whether this is news, and remembers it. The newest word on each alert of a tenant is remembered; where there are too
    /// many, the oldest is forgotten and may be told again.
    pub fn is_news(&mut self, alert: &Alert) -> bool {
        let word = format!("{} {} {}", alert.raised, alert.since.as_deref().unwrap_or_default(), override_of(alert));
        let known = self.0.iter().position(|(tenant, name, _)| *tenant == alert.tenant && *name == alert.alert);
        let before = known.and_then(|at| self.0.remove(at));
        let is_known = before.as_ref().is_some_and(|(_, _, before)| *before == word);
        // that releases are free is no news of a tenant of which nothing else was told
        let is_beginning = before.is_none() && alert.alert == "release_freeze" && !alert.raised;
        if self.0.len() >= TOLD_MAX {
            self.0.pop_front();
        }
        self.0.push_back((alert.tenant.clone(), alert.alert, word));
        !is_known && !is_beginning
    }
}

/// What tells one word about a freeze from another: whether and until when it is overridden.
fn override_of(alert: &Alert) -> &str {
    if alert.alert == "release_freeze" { &alert.text } else { "" }
}

/// How long to wait before a try; the first one is 1.
#[must_use]
pub fn pause_ms(attempt: u32) -> u64 {
    FIRST_PAUSE_MS.saturating_mul(4_u64.saturating_pow(attempt.saturating_sub(2)))
}

/// The body a webhook is sent: the alert itself.
#[must_use]
pub fn webhook_body(alert: &Alert) -> serde_json::Value {
    serde_json::to_value(alert).unwrap_or_default()
}

/// The body a Slack incoming webhook is sent.
#[must_use]
pub fn slack_body(alert: &Alert) -> serde_json::Value {
    let mark = match (alert.raised, alert.severity) {
        (false, _) => ":white_check_mark:",
        (true, Severity::Page) => ":rotating_light:",
        (true, Severity::Ticket) => ":warning:",
    };
    // angle brackets and ampersands are Slack's markup
    let text = alert.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    serde_json::json!({ "text": format!("{mark} {text}") })
}

/// Subject and text of a mail.
#[must_use]
pub fn mail(alert: &Alert) -> (String, String) {
    let state = if alert.raised { "raised" } else { "ended" };
    let subject = format!("[bailiwick] {}: {} {state}", alert.tenant, alert.alert);
    let since = alert.since.as_deref().unwrap_or("-");
    (subject, format!("{}\r\n\r\nsince {since}, seen {}\r\n", alert.text, alert.at))
}

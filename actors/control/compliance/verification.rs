//! Whether a report says what its own evidence says, and whose journal it is tied to. Pure: it is given the report and a key, and
//! trusts nobody else. That the facts were so when they were told is what it cannot show.
use super::facts::{FactKind, Facts};
use super::report::{ControlResult, FORMAT, Report};
use super::rules::{all_controls, assess, score};
use bailiwick_kernel::transparency::checkpoint::{self, CheckpointError, Head};

/// Why a report was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// It is none, or of a build that is newer.
    #[error("verifying a report: its format is {0:?}, and this build reads {FORMAT:?}")]
    Format(String),
    /// It carries no head of a journal.
    #[error("verifying a report: it carries no checkpoint; the tenant could not be asked when it was made")]
    NoCheckpoint,
    /// The head is none, or not signed by this key.
    #[error(transparent)]
    Head(#[from] CheckpointError),
    /// The head is of another journal, or of another size, than the report says.
    #[error("verifying a report: its checkpoint is of another journal, or of another size, than it says")]
    AnotherHead,
    /// A time in it is none.
    #[error("verifying a report: {0:?} is no time")]
    Time(String),
    /// A control came out otherwise than its evidence.
    #[error("verifying a report: control {0} is unknown to this build, or does not follow from its evidence")]
    Control(String),
    /// A score is not what its controls come to.
    #[error("verifying a report: the score of {0} is not what its controls come to")]
    Score(String),
}

/// RFC 3339 back to milliseconds.
pub(super) fn unix_ms(time: &str) -> Option<u64> {
    time.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok())
}

/// Reckons a report again from its evidence, and verifies its checkpoint. Without a key it is held against the one it brings
/// itself: that shows that it is whole, not whose it is.
///
/// # Errors
/// [`Unsound`].
pub fn verified(report: &Report, verifier_key: Option<&str>) -> Result<Head, Unsound> {
    if report.format != FORMAT {
        return Err(Unsound::Format(report.format.clone()));
    }
    let now = unix_ms(&report.reported_at).ok_or_else(|| Unsound::Time(report.reported_at.clone()))?;
    for control in &report.controls {
        follows(control, now)?;
    }
    if score(report.controls.iter()) != report.score {
        return Err(Unsound::Score(report.tenant.clone()));
    }
    for framework in &report.frameworks {
        let supports =
            |control: &&ControlResult| control.supports.iter().any(|clause| clause.framework == framework.framework);
        if score(report.controls.iter().filter(supports)) != framework.score {
            return Err(Unsound::Score(framework.framework.as_str().to_owned()));
        }
    }
    let own = report.checkpoint.as_ref().ok_or(Unsound::NoCheckpoint)?;
    let head = checkpoint::read(&own.note, verifier_key.unwrap_or(&own.verifier_key))?;
    if head.tenant != own.tenant_key || head.size != own.size {
        return Err(Unsound::AnotherHead);
    }
    Ok(head)
}

/// Judges a control again from the facts the report shows.
fn follows(stated: &ControlResult, now_unix_ms: u64) -> Result<(), Unsound> {
    let not_so = || Unsound::Control(stated.id.clone());
    let control = all_controls().find(|control| control.id == stated.id).ok_or_else(not_so)?;
    let mut facts = Facts::default();
    let shown = |kind: &&FactKind| stated.evidence.iter().find(|one| one.fact == kind.name);
    for (kind, evidence) in control.facts.iter().filter_map(|kind| shown(kind).map(|evidence| (kind, evidence))) {
        if let (Some(value), Some(observed)) = (&evidence.value, &evidence.observed_at) {
            let observed_unix_ms = unix_ms(observed).ok_or_else(|| Unsound::Time(observed.clone()))?;
            facts.note(kind, value.clone(), "", observed_unix_ms);
        }
    }
    let again = assess(control, &facts, now_unix_ms);
    let is_same = (again.outcome, again.weight, &again.why, &again.supports)
        == (stated.outcome, stated.weight, &stated.why, &stated.supports);
    is_same.then_some(()).ok_or_else(not_so)
}

//! Which copies of a tenant may go: its series, each as old as its newest point, under the tenant's own retention. Pure.
use bailiwick_policy::retention::{Record, Rules, Selects};

/// What the rules of retention call a copy.
const BACKUPS: &str = "backups";

/// A series of parts of one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Series {
    /// The point that began it.
    pub(super) number: u64,
    /// When the newest point that needs it was made.
    pub(super) newest_unix_ms: u64,
    /// The newest point needs it: it is what the next one goes on from.
    pub(super) is_current: bool,
}

/// Whether a series may go now, or what keeps it. A copy holds whatever a legal hold selects, so every hold that is in force
/// selects every copy.
///
/// # Errors
/// What keeps it.
pub(super) fn may_go(series: &Series, rules: Option<&Rules>, now_unix_ms: u64) -> Result<(), String> {
    if series.is_current {
        return Err("the newest point is made of it".to_owned());
    }
    let Some(rules) = rules else {
        return Err("its tenant has no rules of retention in force here".to_owned());
    };
    let mut rules = rules.clone();
    for hold in &mut rules.holds {
        hold.selects = Selects { documents: vec!["*".to_owned()], ..Selects::default() };
    }
    let id = format!("series {}", series.number);
    let record =
        Record { id: &id, data_type: BACKUPS, domain: "", subjects: &[], stored_unix_ms: series.newest_unix_ms };
    let verdict = rules.verdict(&record, now_unix_ms).map_err(|unknown| unknown.to_string())?;
    verdict.leave().map(|_leave| ())
}

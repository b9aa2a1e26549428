//! Facts and the time in, a report out. Unknown and outdated evidence counts as failed: a fact that comes can raise a score and
//! never lower it.
use super::controls::{self, Control};
use super::facts::{FactKind, Facts};
use super::frameworks::Framework;
use super::people_and_data;
use super::report::{
    Checkpoint, Clause, ControlResult, Evidence, FORMAT, FrameworkResult, MEANING, Outcome, Report, Score, WeekScore,
};
use bailiwick_kernel::clock::rfc3339;

/// A clock that was set back, or one of another machine, may be ahead by this much.
const AHEAD_MS: u64 = 5 * 60_000;
const MILLION: u64 = 1_000_000;

/// Every control there is.
pub fn all_controls() -> impl Iterator<Item = &'static Control> {
    controls::CONTROLS.iter().chain(people_and_data::CONTROLS)
}

/// Whom a report is about, and what it carries beside the controls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The tenant's name.
    pub tenant: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// The regimes it says it is under.
    pub regimes: Vec<String>,
    /// The policy in force; empty where none is.
    pub policy_version: String,
    /// Where the node is.
    pub region: String,
    /// The ISO week.
    pub week: String,
    /// Weekly reports before this one, oldest first.
    pub history: Vec<WeekScore>,
    /// The head of its journal.
    pub checkpoint: Option<Checkpoint>,
}

/// The report on what is known.
#[must_use]
pub fn report(subject: Subject, facts: &Facts, now_unix_ms: u64) -> Report {
    let Subject { tenant, tenant_id, regimes, policy_version, region, week, history, checkpoint } = subject;
    let (mut frameworks, mut not_mapped) = (Vec::new(), Vec::new());
    for regime in regimes {
        match Framework::named(&regime) {
            Some(framework) if !frameworks.contains(&framework) => frameworks.push(framework),
            Some(_) => {}
            None => not_mapped.push(regime),
        }
    }
    frameworks.sort();
    let in_scope = |control: &&Control| frameworks.is_empty() || frameworks.iter().any(|one| supports(control, *one));
    let controls: Vec<_> = all_controls().filter(in_scope).map(|control| assess(control, facts, now_unix_ms)).collect();
    let frameworks = frameworks.into_iter().map(|framework| of_framework(framework, &controls)).collect();
    Report {
        format: FORMAT.to_owned(),
        tenant,
        tenant_id,
        week,
        reported_at: rfc3339(now_unix_ms),
        policy_version,
        region,
        score: score(controls.iter()),
        frameworks,
        not_mapped,
        controls,
        history,
        checkpoint,
        meaning: MEANING.to_owned(),
    }
}

fn supports(control: &Control, framework: Framework) -> bool {
    control.supports.iter().any(|(of, _)| *of == framework)
}

fn of_framework(framework: Framework, controls: &[ControlResult]) -> FrameworkResult {
    let own = || controls.iter().filter(|control| control.supports.iter().any(|clause| clause.framework == framework));
    FrameworkResult {
        framework,
        title: framework.title().to_owned(),
        score: score(own()),
        controls: own().map(|control| control.id.clone()).collect(),
    }
}

/// Whether a fact may be relied on at a time.
fn is_fresh(kind: &FactKind, observed_unix_ms: u64, now_unix_ms: u64) -> bool {
    observed_unix_ms <= now_unix_ms.saturating_add(AHEAD_MS)
        && now_unix_ms.saturating_sub(observed_unix_ms) <= kind.fresh_for_ms
}

/// What becomes of one control.
#[must_use]
pub fn assess(control: &Control, facts: &Facts, now_unix_ms: u64) -> ControlResult {
    let evidence: Vec<_> = control.facts.iter().map(|kind| evidence(kind, facts, now_unix_ms)).collect();
    let named = |is: fn(&Evidence) -> bool| {
        let names: Vec<_> = evidence.iter().filter(|one| is(one)).map(|one| one.fact.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let missing = named(|one| one.value.is_none()).map(|names| format!("nobody has told {names}"));
    let outdated = named(|one| one.value.is_some() && !one.is_fresh).map(|names| format!("{names} is outdated"));
    let (outcome, why) = match (missing.or(outdated), (control.judge)(facts)) {
        (Some(why), _) => (Outcome::Unknown, why),
        (None, None) => (Outcome::Unknown, "the evidence is not of the form it should have".to_owned()),
        (None, Some(Ok(why))) => (Outcome::Passed, why),
        (None, Some(Err(why))) => (Outcome::Failed, why),
    };
    ControlResult {
        id: control.id.to_owned(),
        title: control.title.to_owned(),
        checks: control.checks.to_owned(),
        weight: control.weight,
        outcome,
        why,
        to_do: (outcome != Outcome::Passed).then(|| control.to_do.to_owned()),
        supports: control
            .supports
            .iter()
            .map(|(framework, clause)| Clause { framework: *framework, clause: (*clause).to_owned() })
            .collect(),
        evidence,
    }
}

fn evidence(kind: &FactKind, facts: &Facts, now_unix_ms: u64) -> Evidence {
    let fact = facts.get(kind);
    Evidence {
        fact: kind.name.to_owned(),
        says: kind.says.to_owned(),
        value: fact.map(|fact| fact.value.clone()),
        source: fact.map(|fact| fact.source.to_owned()),
        observed_at: fact.map(super::facts::Fact::observed_at),
        fresh_until: fact.map(|fact| rfc3339(fact.observed_unix_ms.saturating_add(kind.fresh_for_ms))),
        is_fresh: fact.is_some_and(|fact| is_fresh(kind, fact.observed_unix_ms, now_unix_ms)),
    }
}

/// Weight of what has passed over the weight of all: what anybody can reckon again from a report.
#[must_use]
pub fn score<'a>(controls: impl Iterator<Item = &'a ControlResult>) -> Score {
    let mut score = Score::default();
    for control in controls {
        let counter = match control.outcome {
            Outcome::Passed => &mut score.passed,
            Outcome::Failed => &mut score.failed,
            Outcome::Unknown => &mut score.unknown,
        };
        *counter = counter.saturating_add(1);
        score.weight = score.weight.saturating_add(control.weight);
        if control.outcome == Outcome::Passed {
            score.weight_passed = score.weight_passed.saturating_add(control.weight);
        }
    }
    let ppm = (u64::from(score.weight_passed) * MILLION).checked_div(u64::from(score.weight));
    score.score_ppm = ppm.and_then(|ppm| u32::try_from(ppm).ok()).unwrap_or(0);
    score
}

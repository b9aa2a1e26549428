//! What a record says of quality, and how days of it are shown. Pure.
use super::messages::QualityView;
use crate::budget::ledger::day_of;
use crate::entry::{AnswerRecorded, Entry, LineageChunk};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::drift::rules::{LEVEL, drift};
use bailiwick_policy::drift::sample::{Day, Days, Ended, Moments};
use bailiwick_policy::drift::trend::trend;

/// Questions to the tenant's documents; calls that are passed through cite nothing.
const ASK: &str = "ask";
/// Digits behind the point that are shown.
const SHOWN: f64 = 10_000.0;

/// Counts what a record says. Refusals by limits and budgets say nothing of quality.
pub fn note(days: &mut Days, entry: &Entry) {
    match entry {
        Entry::AnswerRecorded(answer) if answer.kind == ASK => {
            if let Some(day) = days.at(day_of(answer.cleared_unix_ms)) {
                day.note(ended(answer));
                note_passages(day, &answer.cited);
            }
        }
        Entry::AnswerCited(further) => {
            if let Some(day) = days.at(day_of(further.cleared_unix_ms)) {
                note_passages(day, &further.cited);
            }
        }
        Entry::Refused { code, at_unix_ms, .. } if code == Code::PolicyDenied.as_str() => {
            if let Some(day) = days.at(day_of(*at_unix_ms)) {
                day.note(Ended::Refused);
            }
        }
        _ => {}
    }
}

fn ended(answer: &AnswerRecorded) -> Ended {
    if answer.abstained {
        return Ended::Abstained;
    }
    let mut trust = Moments::default();
    answer.cited.iter().for_each(|chunk| trust.note(chunk.trust_score));
    trust.mean().map_or(Ended::Uncited, Ended::Cited)
}

fn note_passages(day: &mut Day, cited: &[LineageChunk]) {
    cited.iter().for_each(|chunk| day.trust.note(chunk.trust_score));
}

/// What the days come to, today being this day.
#[must_use]
pub fn view(days: &Days, today: u64) -> QualityView {
    let (recent, reference) = days.split(today);
    let cells = |days: &[Day]| days.iter().map(|day| day.cells).collect::<Vec<_>>();
    let drift = drift(&cells(&recent), &cells(&reference));
    let trend = trend(&recent, &reference);
    let mut trust = Moments::default();
    for day in &recent {
        trust.count = trust.count.saturating_add(day.trust.count);
        trust.sum = trust.sum.saturating_add(day.trust.sum);
    }
    QualityView {
        drift_score: shown(drift.score),
        distance: shown(drift.distance),
        p_value: drift.p_value.map(|probability| (probability * SHOWN * SHOWN).round() / (SHOWN * SHOWN)),
        level: LEVEL,
        questions_recent: drift.recent,
        questions_reference: drift.reference,
        dispersion: shown(drift.dispersion),
        avg_trust: trust.mean().map(shown),
        quality_trend: trend.quality,
        quality_change_low: trend.interval.map(|(low, _)| shown(low)),
        quality_change_high: trend.interval.map(|(_, high)| shown(high)),
    }
}

fn shown(value: f64) -> f64 {
    // a negative zero would be written as one
    (value * SHOWN).round() / SHOWN + 0.0
}

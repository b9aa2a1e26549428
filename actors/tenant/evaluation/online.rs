//! What every answer given is worth, measured when it is cleared and folded from the journal: by release and model, and by
//! day. No model judges, and no answer is left out (specification 1, eval loop). Pure.
use super::answers::Grounding;
use super::estimate::{Sums, estimate_of};
use super::judge::AnswerJudged;
use super::prediction::{Corrected, Verdicts, corrected};
use super::records::{AnswerMeasured, Measure};
use crate::budget::ledger::day_of;
use crate::entry::{AnswerRecorded, Entry};
use bailiwick_kernel::clock::rfc3339;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Releases and models that are told apart; the one longest unused makes room.
pub const RELEASES_MAX: usize = 12;
/// Days that are kept.
pub const DAYS_MAX: usize = 35;
/// Questions to the tenant's documents; calls that are passed through stand on none.
const ASK: &str = "ask";
/// Figures of one answer.
const FIGURES: usize = 6;
/// The figure among them a judge's verdicts are corrected by.
const CITATION_SUPPORT: usize = 3;
/// Characters of RFC 3339 that are the day.
const DATE_CHARS: usize = 10;
const DAY_MS: u64 = 86_400_000;

/// The figures of one answer, by name.
fn figures(grounding: &Grounding) -> [(&'static str, Option<f64>); FIGURES] {
    [
        ("k_precision", grounding.k_precision),
        ("citation_validity", grounding.citation_validity),
        ("citation_coverage", grounding.citation_coverage),
        ("citation_support", grounding.citation_support),
        ("groundedness", grounding.groundedness()),
        ("number_fidelity", grounding.number_fidelity),
    ]
}

/// What answers came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Totals {
    answers: u64,
    abstained: u64,
    sums: [Sums; FIGURES],
    verdicts: Verdicts,
}

impl Totals {
    fn ended(&mut self, abstained: bool) {
        self.answers = self.answers.saturating_add(1);
        self.abstained = self.abstained.saturating_add(u64::from(abstained));
    }

    fn measured(&mut self, grounding: &Grounding) {
        for (sums, (_name, figure)) in self.sums.iter_mut().zip(figures(grounding)) {
            figure.into_iter().for_each(|figure| sums.note(figure));
        }
    }

    fn judged(&mut self, AnswerJudged { is_good, citation_support, .. }: &AnswerJudged) {
        self.verdicts.note(f64::from(u8::from(*is_good)), *citation_support);
    }

    fn corrected(&self) -> Option<Corrected> {
        corrected(&self.verdicts, self.sums.get(CITATION_SUPPORT)?)
    }

    fn measures(&self) -> Vec<Measure> {
        let named = figures(&Grounding::default()).into_iter().zip(&self.sums);
        named
            .filter_map(|((name, _), sums)| {
                estimate_of(sums).map(|estimate| Measure { name: name.to_owned(), estimate })
            })
            .collect()
    }
}

/// One release answering with one model.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Release {
    policy_version: String,
    provider: String,
    model: String,
    first_unix_ms: u64,
    last_unix_ms: u64,
    totals: Totals,
}

impl Release {
    fn is(&self, policy_version: &str, (provider, model): (&str, &str)) -> bool {
        self.policy_version == policy_version && self.provider == provider && self.model == model
    }
}

/// What all answers of a tenant came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Online {
    /// The one used last stands last.
    releases: VecDeque<Release>,
    /// Oldest first.
    days: VecDeque<(u64, Totals)>,
}

impl Online {
    /// Folds one record in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::AnswerRecorded(answer) if answer.kind == ASK => {
                let AnswerRecorded { policy_version, model, cleared_unix_ms, abstained, .. } = &**answer;
                self.at(policy_version, (&model.provider, &model.name), *cleared_unix_ms, |totals| {
                    totals.ended(*abstained);
                });
            }
            Entry::AnswerMeasured(measured) => {
                let AnswerMeasured { policy_version, provider, model, cleared_unix_ms, grounding, .. } = &**measured;
                self.at(policy_version, (provider, model), *cleared_unix_ms, |totals| totals.measured(grounding));
            }
            Entry::AnswerJudged(judged) => self.judged(judged),
            _ => {}
        }
    }

    /// Verdicts on answers of a release or a day that is no longer kept say nothing.
    fn judged(&mut self, judged: &AnswerJudged) {
        let AnswerJudged { policy_version, provider, model, cleared_unix_ms, .. } = judged;
        let is_it = |release: &&mut Release| release.is(policy_version, (provider, model));
        self.releases.iter_mut().filter(is_it).for_each(|release| release.totals.judged(judged));
        let day = day_of(*cleared_unix_ms);
        self.days.iter_mut().filter(|(of, _)| *of == day).for_each(|(_, totals)| totals.judged(judged));
    }

    fn at(&mut self, policy_version: &str, (provider, model): (&str, &str), unix_ms: u64, note: impl Fn(&mut Totals)) {
        let is_it = |release: &Release| release.is(policy_version, (provider, model));
        let found = self.releases.iter().position(is_it).and_then(|at| self.releases.remove(at));
        let mut release = found.unwrap_or_else(|| Release {
            policy_version: policy_version.to_owned(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            first_unix_ms: unix_ms,
            last_unix_ms: unix_ms,
            totals: Totals::default(),
        });
        release.last_unix_ms = release.last_unix_ms.max(unix_ms);
        note(&mut release.totals);
        self.releases.push_back(release);
        if self.releases.len() > RELEASES_MAX {
            self.releases.pop_front();
        }
        let day = day_of(unix_ms);
        // what is older than the days kept has no place; a clock that went back finds its day
        match self.days.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(at) => self.days.get_mut(at).into_iter().for_each(|(_, totals)| note(totals)),
            Err(0) if self.days.len() >= DAYS_MAX => {}
            Err(at) => {
                let mut totals = Totals::default();
                note(&mut totals);
                self.days.insert(at, (day, totals));
                if self.days.len() > DAYS_MAX {
                    self.days.pop_front();
                }
            }
        }
    }

    /// As it is shown: the release used last first, the newest day first.
    #[must_use]
    pub fn view(&self) -> OnlineView {
        let releases = self.releases.iter().rev().map(|release| OnlineRelease {
            policy_version: release.policy_version.clone(),
            provider: release.provider.clone(),
            model: release.model.clone(),
            first_at: rfc3339(release.first_unix_ms),
            last_at: rfc3339(release.last_unix_ms),
            answers: release.totals.answers,
            abstained: release.totals.abstained,
            measures: release.totals.measures(),
            judged: release.totals.corrected(),
        });
        let days = self.days.iter().rev().map(|(day, totals)| OnlineDay {
            day: rfc3339(day.saturating_mul(DAY_MS)).chars().take(DATE_CHARS).collect(),
            answers: totals.answers,
            abstained: totals.abstained,
            measures: totals.measures(),
            judged: totals.corrected(),
        });
        OnlineView { releases: releases.collect(), days: days.collect() }
    }
}

/// What all answers given came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct OnlineView {
    /// By release and model, the one used last first.
    pub releases: Vec<OnlineRelease>,
    /// By day (UTC), the newest first.
    pub days: Vec<OnlineDay>,
}

/// What the answers of one release with one model came to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OnlineRelease {
    /// Version of the policy they were cleared under.
    pub policy_version: String,
    /// Provider that answered.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// The first of them, RFC 3339.
    pub first_at: String,
    /// The last of them, RFC 3339.
    pub last_at: String,
    /// All of them, abstentions included.
    pub answers: u64,
    /// Abstentions.
    pub abstained: u64,
    /// The figures, by name.
    pub measures: Vec<Measure>,
    /// The mean of a judge's verdicts over all of them, where a judge read a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Corrected>,
}

/// What the answers of one day came to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OnlineDay {
    /// The day (UTC).
    pub day: String,
    /// All of them, abstentions included.
    pub answers: u64,
    /// Abstentions.
    pub abstained: u64,
    /// The figures, by name.
    pub measures: Vec<Measure>,
    /// The mean of a judge's verdicts over all of them, where a judge read a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Corrected>,
}

#[cfg(test)]
mod tests;

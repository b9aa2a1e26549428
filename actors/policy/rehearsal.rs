//! What a policy would have made of what was asked before (specification 2.1, stage "sandbox"): recorded decisions and
//! golden questions, under the policy in force and under another one, compared. A function of its arguments: nothing here
//! could touch a disk or a network.
use crate::compile::PolicySnapshot;
use crate::evaluate::Ruling;
use crate::language::{Action, Facts};
use crate::obligations::Obligations;
use crate::ranking::{FIRST_PAGE, ndcg};
use crate::schema::EvaluationSettings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Differences that are shown; all are counted.
const EXAMPLES_MAX: usize = 20;
const HUNDRED: u64 = 100;

/// A request that was answered, as far as rules may ask for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Recorded {
    /// What was asked for.
    pub action: Action,
    /// What was known of the request.
    pub facts: Facts,
    /// Which model answered, where one did.
    pub model: Option<RecordedModel>,
    /// What it answered.
    pub answer: String,
    /// It cites a passage, or abstains, or is no answer from documents.
    pub is_grounded: bool,
    /// When it was admitted: under the policy of that moment.
    pub admitted_unix_ms: u64,
}

/// A model that answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedModel {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub name: String,
    /// Where it ran.
    pub region: String,
    /// It was the router's fallback.
    pub fallback: bool,
}

/// What became of one request under one policy.
#[derive(Clone, PartialEq, Debug)]
enum Verdict {
    Answered(Obligations),
    Withheld,
    Refused(String),
}

impl Verdict {
    fn shown(&self) -> Value {
        match self {
            Self::Answered(obligations) => json!({ "answered": obligations }),
            Self::Withheld => json!("withheld"),
            Self::Refused(reason) => json!({ "refused": reason }),
        }
    }
}

/// What replaying recorded requests came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct Replayed {
    /// Requests that were replayed.
    pub requests: u64,
    /// Those the policy in force answers and the other one refuses.
    pub refused: u64,
    /// Those whose answer the other one withholds.
    pub withheld: u64,
    /// Those the policy in force would refuse or withhold by now, and the other one answers.
    pub answered: u64,
    /// Those that are answered either way, with other obligations.
    pub obliged_otherwise: u64,
    /// Some of them.
    pub examples: Vec<Difference>,
}

/// A request that comes to something else.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Difference {
    /// What was asked for.
    pub action: String,
    /// What was known of the request.
    #[schemars(with = "Value")]
    pub request: Facts,
    /// Under the policy in force.
    pub before: Value,
    /// Under the other one.
    pub after: Value,
}

/// A golden question, with the documents that are found for it, best first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Searched {
    /// The question.
    pub question: String,
    /// Documents that say the answer.
    pub relevant: Vec<String>,
    /// Found under the policy in force.
    pub before: Vec<String>,
    /// Found under the other one.
    pub after: Vec<String>,
}

/// How golden questions were searched under one policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct SearchedBy {
    /// By words and meaning, as that policy has it; by words alone otherwise.
    pub meaning: bool,
    /// Why by words alone, where the policy wants more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was found for the golden questions, and how it was looked for: all of them alike.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GoldenSearch {
    /// The questions with their documents.
    pub searched: Vec<Searched>,
    /// How under the policy in force.
    pub before: SearchedBy,
    /// How under the other one.
    pub after: SearchedBy,
}

/// What the golden questions came to.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct GoldenReport {
    /// Questions that were asked.
    pub questions: u64,
    /// Documents with an answer that were found under the policy in force.
    pub found_before: u64,
    /// The same, under the other one.
    pub found_after: u64,
    /// Those that are found no longer.
    pub lost: u64,
    /// Mean nDCG at 10 of what is found under the policy in force; null where no question has a document.
    pub ndcg_at_10_before: Option<f64>,
    /// The same, under the other one.
    pub ndcg_at_10_after: Option<f64>,
    /// How they were searched under the policy in force.
    pub searched_before: SearchedBy,
    /// The same, under the other one.
    pub searched_after: SearchedBy,
    /// Some of them.
    pub examples: Vec<Lost>,
}

/// A document that answers a golden question and is found no longer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Lost {
    /// The question.
    pub question: String,
    /// The document.
    pub document: String,
}

/// A policy's rehearsal.
#[derive(Clone, PartialEq, Debug, Default, Serialize, JsonSchema)]
pub struct Rehearsal {
    /// What was asked before.
    pub recorded: Replayed,
    /// What the tenant knows the answers to.
    pub golden: GoldenReport,
}

/// `settings.sandbox` of `governance.yaml`: what a rehearsal may come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxSettings {
    /// Of a hundred recorded requests that were answered, how many may be refused or withheld by the next policy; 100 where
    /// absent.
    #[serde(default = "all_of_them")]
    pub refused_percent_max: u32,
    /// Documents with the answer to a golden question that may be found no longer; 0 where absent.
    #[serde(default)]
    pub golden_lost_max: u32,
}

fn all_of_them() -> u32 {
    100
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self { refused_percent_max: all_of_them(), golden_lost_max: 0 }
    }
}

/// True where a policy has to be rehearsed: where its rules, its guard, or what it withholds are others. Models, flags and
/// what people operate are not what a rehearsal shows.
#[must_use]
pub fn is_needed(before: &PolicySnapshot, after: &PolicySnapshot) -> bool {
    before.engine.rules() != after.engine.rules()
        || before.guard.fingerprint != after.guard.fingerprint
        || before.top_k != after.top_k
        || before.output_forbidden.patterns() != after.output_forbidden.patterns()
}

/// Replays recorded requests.
#[must_use]
pub fn replay(before: &PolicySnapshot, after: &PolicySnapshot, recorded: &[Recorded]) -> Replayed {
    let mut replayed = Replayed::default();
    for request in recorded {
        replayed.requests = replayed.requests.saturating_add(1);
        let (was, is) = (verdict(before, request), verdict(after, request));
        let counter = match (&was, &is) {
            (Verdict::Answered(was), Verdict::Answered(is)) if was != is => &mut replayed.obliged_otherwise,
            (Verdict::Answered(_), Verdict::Refused(_)) => &mut replayed.refused,
            (Verdict::Answered(_), Verdict::Withheld) => &mut replayed.withheld,
            (Verdict::Refused(_) | Verdict::Withheld, Verdict::Answered(_)) => &mut replayed.answered,
            _ => continue,
        };
        *counter = counter.saturating_add(1);
        if replayed.examples.len() < EXAMPLES_MAX {
            replayed.examples.push(Difference {
                action: request.action.to_string(),
                request: request.facts.clone(),
                before: was.shown(),
                after: is.shown(),
            });
        }
    }
    replayed
}

fn verdict(policy: &PolicySnapshot, request: &Recorded) -> Verdict {
    let obligations = match policy.engine.decide(request.action, &request.facts) {
        Ruling::Permitted { obligations, .. } => obligations,
        Ruling::Refused(refusal) => return Verdict::Refused(refusal.to_string()),
    };
    if let Some(model) = &request.model {
        let RecordedModel { provider, name, region, fallback } = model;
        let facts = request.facts.clone().of_model(provider, name, region, *fallback);
        if let Ruling::Refused(refusal) = policy.engine.decide(Action::Generate, &facts) {
            return Verdict::Refused(refusal.to_string());
        }
    }
    if policy.output_violation(&request.answer).is_some() { Verdict::Withheld } else { Verdict::Answered(obligations) }
}

/// Answers that none of these policies allows: where they were given under one of them, one of its guards did not run.
pub fn unguarded<'a>(policies: &[&PolicySnapshot], answers: &'a [Recorded]) -> impl Iterator<Item = &'a Recorded> {
    answers.iter().filter(|answer| !policies.iter().any(|policy| allows(policy, answer)))
}

fn allows(policy: &PolicySnapshot, answer: &Recorded) -> bool {
    let Verdict::Answered(obligations) = verdict(policy, answer) else { return false };
    let must_cite = answer.action == Action::Ask && (policy.governance.require_citations || obligations.must_cite());
    answer.is_grounded || !must_cite
}

/// Compares what is found for golden questions.
#[must_use]
pub fn compare(GoldenSearch { searched, before, after }: &GoldenSearch) -> GoldenReport {
    let mut report = GoldenReport {
        searched_before: before.clone(),
        searched_after: after.clone(),
        ndcg_at_10_before: mean_ndcg(searched, |searched| &searched.before),
        ndcg_at_10_after: mean_ndcg(searched, |searched| &searched.after),
        ..GoldenReport::default()
    };
    for Searched { question, relevant, before, after } in searched {
        report.questions = report.questions.saturating_add(1);
        for document in relevant {
            let (was, is) = (before.contains(document), after.contains(document));
            report.found_before = report.found_before.saturating_add(u64::from(was));
            report.found_after = report.found_after.saturating_add(u64::from(is));
            if was && !is {
                report.lost = report.lost.saturating_add(1);
                if report.examples.len() < EXAMPLES_MAX {
                    report.examples.push(Lost { question: question.clone(), document: document.clone() });
                }
            }
        }
    }
    report
}

#[expect(clippy::cast_precision_loss, reason = "golden questions, of which there are a thousand at most")]
fn mean_ndcg(searched: &[Searched], found: impl Fn(&Searched) -> &[String]) -> Option<f64> {
    let figures: Vec<f64> = searched
        .iter()
        .filter_map(|searched| {
            let ranking: Vec<&str> = found(searched).iter().map(String::as_str).collect();
            ndcg(&ranking, &searched.relevant, FIRST_PAGE)
        })
        .collect();
    (!figures.is_empty()).then(|| figures.iter().sum::<f64>() / figures.len() as f64)
}

impl GoldenReport {
    /// Where the other policy wants more than words and has nothing else: what else a loss may come of.
    fn by_words_only(&self) -> String {
        let reason = self.searched_after.reason.as_ref();
        reason.map_or_else(String::new, |reason| format!(" (they were searched by words alone: {reason})"))
    }
}

impl Rehearsal {
    /// Why a policy may not come into force after this rehearsal. A ranking that is worse than before, and below what
    /// `evaluation.yaml` asks for, is a reason; one that was below it already and is no worse is none.
    #[must_use]
    pub fn objections(&self, settings: &SandboxSettings, asked_for: &EvaluationSettings) -> Vec<String> {
        let mut objections = Vec::new();
        if let (Some(before), Some(after)) = (self.golden.ndcg_at_10_before, self.golden.ndcg_at_10_after)
            && after < before
            && after < asked_for.min_ndcg_at_10
        {
            objections.push(format!(
                "nDCG at 10 of the golden questions would fall from {before:.4} to {after:.4}: below the {} of \
                 settings.min_ndcg_at_10 of evaluation.yaml",
                asked_for.min_ndcg_at_10
            ));
        }
        let Replayed { requests, refused, withheld, .. } = self.recorded;
        let worse = refused.saturating_add(withheld);
        if worse.saturating_mul(HUNDRED) > requests.saturating_mul(u64::from(settings.refused_percent_max)) {
            objections.push(format!(
                "of the last {requests} requests that were answered, {worse} would be refused or withheld: more than the \
                 {} % of settings.sandbox.refused_percent_max",
                settings.refused_percent_max
            ));
        }
        if self.golden.lost > u64::from(settings.golden_lost_max) {
            let example = self.golden.examples.first();
            let (question, document) =
                example.map_or(("", ""), |lost| (lost.question.as_str(), lost.document.as_str()));
            objections.push(format!(
                "{} documents with the answer to a golden question would be found no longer, such as {document:?} for \
                 {question:?}: more than the {} of settings.sandbox.golden_lost_max; change the policy or eval/golden.jsonl\
                 {}",
                self.golden.lost,
                settings.golden_lost_max,
                self.golden.by_words_only()
            ));
        }
        objections
    }
}

#[cfg(test)]
#[path = "rehearsal_tests.rs"]
mod tests;

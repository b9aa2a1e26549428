//! From what golden questions came to, to what an evaluation says. Pure.
use super::answers::{Grounding, Likeness, grounding, likeness};
use super::estimate::estimate;
use super::records::{Evaluation, Measure, Missed};
use crate::question::{Answer, ModelUsed, Passage};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::ranking::{FIRST_PAGE, documents, ndcg, precision, recall, reciprocal_rank};
use bailiwick_policy::schema::EvaluationSettings;
use std::collections::BTreeMap;

/// Questions that are named as missed; all are counted.
const MISSED_MAX: usize = 10;
/// Characters of a question that are repeated.
const QUESTION_CHARS: usize = 200;
const P50: usize = 50;
const P95: usize = 95;
const HUNDRED: usize = 100;

/// What one golden question came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The question, and what is known of it.
    pub golden: Golden,
    /// What was found for it, best first.
    pub found: Vec<Passage>,
    /// How many of these the answer was given from.
    pub context: usize,
    /// What was answered; why not, where it failed or was refused.
    pub answer: Result<Answer, String>,
    /// From the asking to the answer.
    pub latency_ms: u64,
}

/// Under what the questions were asked.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    /// Version of the policy in force at the end.
    pub policy_version: String,
    /// Digest of its files.
    pub policy_digest: String,
    /// By whose key.
    pub by: String,
    /// When the first question was asked.
    pub began_unix_ms: u64,
    /// When the last one was answered.
    pub ended_unix_ms: u64,
}

/// The figures of one question; nothing where it has no such figure.
type Figures = [(&'static str, Option<f64>); 15];

/// The documents found, best first, as the golden question calls them.
fn ranking<'a>(golden: &Golden, found: &'a [Passage]) -> Vec<&'a str> {
    documents(found.iter().map(|passage| golden.name_of(&passage.document_id, &passage.source)))
}

fn figures(outcome: &Outcome) -> Figures {
    let Outcome { golden, found, answer, context, .. } = outcome;
    let ranking = ranking(golden, found);
    let context = found.get(..*context).unwrap_or(found);
    let given = answer.as_ref().ok().filter(|answer| !answer.abstained);
    let like: Option<Likeness> =
        given.zip(golden.answer.as_ref()).map(|(answer, known)| likeness(&answer.answer, known));
    let cited = given.map(|answer| {
        let cited = answer.citations.iter().map(|citation| golden.name_of(&citation.document_id, &citation.source));
        documents(cited)
    });
    let grounds: Grounding =
        given.map(|answer| grounding(&answer.answer, &answer.citations, context)).unwrap_or_default();
    let abstained = answer.as_ref().ok().map(|answer| f64::from(u8::from(answer.abstained)));
    let of_cited = |figure: fn(&[&str], &[String], usize) -> Option<f64>| {
        cited.as_ref().and_then(|cited| figure(cited, &golden.relevant, usize::MAX))
    };
    [
        ("ndcg_at_10", ndcg(&ranking, &golden.relevant, FIRST_PAGE)),
        ("recall_at_10", recall(&ranking, &golden.relevant, FIRST_PAGE)),
        ("reciprocal_rank", reciprocal_rank(&ranking, &golden.relevant)),
        ("context_precision", of_cited(precision)),
        ("context_recall", of_cited(recall)),
        ("exact_match", like.map(|like| like.exact_match)),
        ("token_f1", like.map(|like| like.token_f1)),
        ("token_recall", like.map(|like| like.token_recall)),
        ("k_precision", grounds.k_precision),
        ("citation_validity", grounds.citation_validity),
        ("citation_coverage", grounds.citation_coverage),
        ("citation_support", grounds.citation_support),
        ("groundedness", grounds.groundedness()),
        ("number_fidelity", grounds.number_fidelity),
        (if golden.unanswerable { "right_refusal" } else { "false_refusal" }, abstained),
    ]
}

/// What the evaluation says.
#[must_use]
pub fn evaluate(outcomes: &[Outcome], frame: Frame, asked_for: &EvaluationSettings) -> Evaluation {
    let mut values: BTreeMap<&'static str, Vec<f64>> = BTreeMap::new();
    let (mut missed, mut models) = (Vec::new(), BTreeMap::<(String, String), u64>::new());
    let (mut failed, mut cost) = (0_u64, NanoUsd::ZERO);
    for outcome in outcomes {
        for (name, value) in figures(outcome) {
            values.entry(name).or_default().extend(value);
        }
        match &outcome.answer {
            Ok(answer) => {
                let ModelUsed { provider, name, .. } = &answer.model;
                let count = models.entry((provider.clone(), name.clone())).or_default();
                *count = count.saturating_add(1);
                cost = cost.saturating_add(answer.usage.cost);
            }
            Err(_why) => failed = failed.saturating_add(1),
        }
        missed.extend(miss(outcome).filter(|_| missed.len() < MISSED_MAX));
    }
    let measures: Vec<Measure> = values
        .into_iter()
        .filter_map(|(name, values)| estimate(&values).map(|estimate| Measure { name: name.to_owned(), estimate }))
        .collect();
    let mut latencies: Vec<u64> = outcomes.iter().map(|outcome| outcome.latency_ms).collect();
    latencies.sort_unstable();
    let Frame { policy_version, policy_digest, by, began_unix_ms, ended_unix_ms } = frame;
    let mut evaluation = Evaluation {
        policy_version,
        policy_digest,
        by,
        began_unix_ms,
        ended_unix_ms,
        questions: u64::try_from(outcomes.len()).unwrap_or(u64::MAX),
        failed,
        models: models.into_iter().map(|((provider, name), answers)| (provider, name, answers)).collect(),
        measures,
        latency_p50_ms: nearest_rank(&latencies, P50),
        latency_p95_ms: nearest_rank(&latencies, P95),
        cost,
        missed,
        objections: Vec::new(),
    };
    evaluation.objections = objections(&evaluation, asked_for);
    evaluation
}

/// What the policy asks of its answers and does not get. The mean is held against the floor: the interval is shown beside it.
fn objections(evaluation: &Evaluation, asked_for: &EvaluationSettings) -> Vec<String> {
    let floors = [
        ("ndcg_at_10", asked_for.min_ndcg_at_10, "min_ndcg_at_10"),
        ("groundedness", asked_for.min_groundedness, "min_groundedness"),
    ];
    let below = floors.into_iter().filter_map(|(name, floor, key)| {
        let found = evaluation.measure(name)?;
        (found.mean < floor).then(|| {
            format!("{name} is {:.4} of {} questions, and settings.{key} asks for {floor}", found.mean, found.count)
        })
    });
    let invalid = evaluation.measure("citation_validity").filter(|validity| validity.mean < 1.0);
    let invalid = invalid.map(|validity| {
        format!("citation_validity is {:.4}: an answer cites words that its passages do not hold", validity.mean)
    });
    below.chain(invalid).collect()
}

/// What was wrong with a question, in a few words; nothing where it went well.
fn miss(outcome: &Outcome) -> Option<Missed> {
    let Outcome { golden, found, answer, .. } = outcome;
    let ranking = ranking(golden, found);
    let is_found = recall(&ranking, &golden.relevant, FIRST_PAGE).is_none_or(|recall| recall > 0.0);
    let problem = match answer {
        Err(why) => format!("no answer: {why}"),
        Ok(answer) if answer.abstained && !golden.unanswerable && is_found => "it was not answered".to_owned(),
        Ok(answer) if !answer.abstained && golden.unanswerable => "it was answered, and nothing says so".to_owned(),
        Ok(_) if !is_found => "no document that answers it was found".to_owned(),
        Ok(_) => return None,
    };
    Some(Missed { question: golden.question.chars().take(QUESTION_CHARS).collect(), problem })
}

fn nearest_rank(sorted: &[u64], percent: usize) -> u64 {
    let rank = sorted.len().saturating_mul(percent).div_ceil(HUNDRED).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

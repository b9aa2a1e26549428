//! A second look at the passages found first: something that reads question and passage together says how well each answers,
//! and they are put in that order. What it fails at leaves the order they were found in.
use super::dense::Door;
use crate::question::Passage;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::rerank::{RerankSettings, WhenItFails};
use serde_json::Value;
use std::time::Duration;

/// A second look may use this part of a request's remaining time …
const PART_OF_TIME: u32 = 2;
/// … and no more than this: what is found must still be answered from.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// Says how well texts answer a question.
pub(super) trait Reranker {
    /// One number for each text, in their order; the higher, the better.
    ///
    /// # Errors
    /// Why there are none.
    fn relevance(&self, question: &str, texts: Vec<String>) -> impl Future<Output = Outcome<Vec<f64>>>;
}

/// A model of the tenant's own router, asked with the money and leave of whoever asks the question.
pub(super) struct Routed<'a> {
    pub(super) door: &'a Door,
    pub(super) model: &'a str,
    pub(super) asker: &'a Principal,
    /// How long whoever asks still waits.
    pub(super) patience: Duration,
}

impl Reranker for Routed<'_> {
    async fn relevance(&self, question: &str, texts: Vec<String>) -> Outcome<Vec<f64>> {
        let within = (self.patience / PART_OF_TIME).min(PATIENCE_MAX);
        let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let count = texts.len();
        let ranking = self.door.rank(self.model, question, texts, self.asker.clone(), deadline_ms);
        let late = |_elapsed| Rejection::new(Code::UpstreamFailed, "they were ranked too slowly");
        let body = tokio::time::timeout(within, ranking).await.map_err(late)??;
        scores(&body, count).ok_or_else(|| {
            let detail = "the model's ranking has not one score for each passage, by its number";
            Rejection::new(Code::UpstreamFailed, detail)
        })
    }
}

/// The scores of a ranking, in the order of the texts; nothing where a text has none or two, a number stands for no text or a
/// score is no number.
fn scores(body: &Value, count: usize) -> Option<Vec<f64>> {
    let results = body.get("results")?.as_array()?;
    let mut scores: Vec<Option<f64>> = vec![None; count];
    for result in results {
        let index = usize::try_from(result.get("index")?.as_u64()?).ok()?;
        let score = result.get("relevance_score")?.as_f64().filter(|score| score.is_finite())?;
        if scores.get_mut(index)?.replace(score).is_some() {
            return None;
        }
    }
    scores.into_iter().collect()
}

/// The passages in the order of the second look, and whether there was one; where not, why.
///
/// # Errors
/// Why there was none, where the tenant answers nothing then.
pub(super) async fn second_look(
    reranker: &impl Reranker,
    settings: &RerankSettings,
    question: &str,
    passages: Vec<Passage>,
    trust_exponent: f64,
) -> Outcome<(Vec<Passage>, Result<(), String>)> {
    let looked_at = passages.iter().take(settings.top_n());
    let texts: Vec<String> = looked_at.map(|passage| format!("{}\n{}", passage.title, passage.text)).collect();
    if texts.len() < 2 {
        return Ok((passages, Ok(())));
    }
    match reranker.relevance(question, texts).await {
        Ok(scores) => Ok((in_order(passages, &scores, trust_exponent), Ok(()))),
        Err(rejection) => {
            let detail = format!("the passages found were not looked at once more: {}", rejection.detail);
            match settings.when_it_fails {
                WhenItFails::KeepOrder => Ok((passages, Err(detail))),
                WhenItFails::Refuse => Err(Rejection { detail, ..rejection }),
            }
        }
    }
}

/// The first passages by their scores, weighed by trust where the policy weighs it; those without a score behind them, as they
/// were. Scores are of any scale: they are stretched to 0…1 before they are weighed.
fn in_order(passages: Vec<Passage>, scores: &[f64], trust_exponent: f64) -> Vec<Passage> {
    let (least, most) =
        scores.iter().fold((f64::MAX, f64::MIN), |(least, most), score| (least.min(*score), most.max(*score)));
    let stretched = |score: f64| if most > least { (score - least) / (most - least) } else { 1.0 };
    let weigh = |passage: &Passage, score: f64| stretched(score) * passage.trust_score.powf(trust_exponent);
    let mut looked_at = passages;
    let behind = looked_at.split_off(scores.len().min(looked_at.len()));
    let mut weighed: Vec<(f64, Passage)> =
        looked_at.into_iter().zip(scores).map(|(passage, score)| (weigh(&passage, *score), passage)).collect();
    weighed.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    weighed.into_iter().map(|(_, passage)| passage).chain(behind).collect()
}

#[cfg(test)]
#[path = "reranking_tests.rs"]
mod tests;

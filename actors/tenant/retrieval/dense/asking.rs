//! Asks the tenant's own supervisor to embed texts, or to rank them: ruled on, held for, routed, settled and recorded as any call to a model.
use crate::cache::meaning::Vector;
use crate::question::{CacheControl, Matter, Ranking, Reply};
use crate::supervisor::messages::{AdmitAside, Wishes};
use crate::turn::ReplyLine;
use actix::Recipient;
use bailiwick_kernel::mail::offer;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use serde_json::{Value, json};

/// The way to the supervisor.
#[derive(Clone, Debug)]
pub struct Door(Recipient<AdmitAside>);

impl Door {
    /// The way to this supervisor.
    #[must_use]
    pub fn new(door: Recipient<AdmitAside>) -> Self {
        Self(door)
    }

    /// The vectors of texts, in their order, each of length 1.
    ///
    /// # Errors
    /// Whatever keeps a call to a model from being made, or what the model answers from being used.
    pub async fn embed(
        &self,
        model: &str,
        texts: &[&str],
        principal: Principal,
        deadline_ms: u64,
    ) -> Outcome<Vec<Vec<f32>>> {
        let matter = Matter::Embed(Box::new(json!({"model": model, "input": texts, "encoding_format": "float"})));
        let body = self.ask(matter, principal, deadline_ms).await?;
        vectors(&body, texts.len()).ok_or_else(unusable)
    }

    /// How well texts answer a question, in the words of the model that says so.
    ///
    /// # Errors
    /// Whatever keeps a call to a model from being made or answered.
    pub async fn rank(
        &self,
        model: &str,
        question: &str,
        documents: Vec<String>,
        principal: Principal,
        deadline_ms: u64,
    ) -> Outcome<Value> {
        let ranking = Ranking { model: model.to_owned(), query: question.to_owned(), documents };
        self.ask(Matter::Rank(Box::new(ranking)), principal, deadline_ms).await
    }

    async fn ask(&self, matter: Matter, principal: Principal, deadline_ms: u64) -> Outcome<Value> {
        let (line, awaiting) = ReplyLine::whole();
        // remembered where it is needed, and nowhere twice
        let wishes = Wishes { cache_control: CacheControl::NoStore, ..Wishes::default() };
        offer(&self.0, AdmitAside { matter, principal, wishes, deadline_ms, line })
            .map_err(|(_, undelivered)| Rejection::from(undelivered))?;
        match awaiting.reply().await? {
            Reply::Completion(completion) => Ok(completion.body),
            Reply::Answer(_) | Reply::Hits(_) => Err(unusable()),
        }
    }
}

fn unusable() -> Rejection {
    Rejection::new(
        Code::UpstreamFailed,
        "embedding texts: the model's answer has not one vector of one length for each",
    )
}

/// The vectors of an answer in OpenAI's shape; nothing where it has not one for each text, or not of one length.
fn vectors(body: &Value, count: usize) -> Option<Vec<Vec<f32>>> {
    let mut found: Vec<Option<Vec<f32>>> = vec![None; count];
    for (at, entry) in body.get("data")?.as_array()?.iter().enumerate() {
        let at = entry.get("index").and_then(Value::as_u64).map_or(Some(at), |index| usize::try_from(index).ok())?;
        let numbers: Option<Vec<f64>> = entry.get("embedding")?.as_array()?.iter().map(Value::as_f64).collect();
        *found.get_mut(at)? = Some(Vector::towards(&numbers?)?.numbers().to_vec());
    }
    let found: Vec<Vec<f32>> = found.into_iter().collect::<Option<_>>()?;
    let is_even = found.windows(2).all(|pair| matches!(pair, [one, other] if one.len() == other.len()));
    is_even.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_taken_by_their_numbers_and_refused_where_one_is_missing_or_unlike() {
        let of = |data: Value| vectors(&json!({"data": data}), 2);
        let (x, y) = (json!({"index": 0, "embedding": [2.0, 0.0]}), json!({"index": 1, "embedding": [0.0, 3]}));
        let expected = Some(vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
        assert_eq!(of(json!([x, y])), expected);
        assert_eq!(of(json!([y, x])), expected);
        assert_eq!(of(json!([{"embedding": [2.0, 0.0]}, {"embedding": [0.0, 3]}])), expected);
        for unlike in [
            json!([x]),
            json!([x, x]),
            json!([x, y, {"index": 2, "embedding": [1.0, 0.0]}]),
            json!([x, {"index": 1, "embedding": [1.0]}]),
            json!([x, {"index": 1, "embedding": []}]),
            json!([x, {"index": 1, "embedding": [0.0, 0.0]}]),
            json!([x, {"index": 1, "embedding": ["1", "2"]}]),
            json!([x, {"index": 1}]),
        ] {
            assert_eq!(of(unlike.clone()), None, "{unlike}");
        }
        assert_eq!(vectors(&json!({}), 0), None);
    }
}

//! Models that say how well texts answer a question, by the protocol Cohere and Jina gave them and vLLM, Infinity and others
//! speak: `POST …/rerank` with model, query and documents; an answer with an index and a score for each.
use super::line::Line;
use super::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, RankCall, Said, traced};
use crate::catalog::ProviderEntry;
use crate::turn::DraftContent;
use bailiwick_policy::sovereignty::InTransit;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::sync::Arc;

/// Opens a provider of kind `rerank`.
pub(super) fn open(entry: &ProviderEntry, in_transit: InTransit) -> Result<Arc<dyn Provider>, ProviderError> {
    let malformed = |what: &str| {
        ProviderError::Lasting(format!("opening provider {}: {what}; correct it in config.toml", entry.name))
    };
    let base_url = entry.base_url.as_deref().ok_or_else(|| malformed("it has no base_url"))?;
    let url = reqwest::Url::parse(&format!("{}/rerank", base_url.trim_end_matches('/')))
        .map_err(|_error| malformed("its base_url is no URL"))?;
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, json.clone()), (ACCEPT, json)]);
    if let Some(key) = &entry.api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
            .map_err(|_error| malformed("its api key holds characters a header cannot carry"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(Arc::new(Rerank(Arc::new(Parts { line: Line::open(entry, in_transit)?, url, headers }))))
}

#[derive(Clone, Debug)]
struct Rerank(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    line: Line,
    url: reqwest::Url,
    headers: HeaderMap,
}

impl Provider for Rerank {
    fn answer(&self, _call: GroundedCall) -> ProviderFuture<Said> {
        self.ranks_alone()
    }

    fn chat(&self, _call: PassedCall) -> ProviderFuture<Said> {
        self.ranks_alone()
    }

    fn embed(&self, _call: PassedCall) -> ProviderFuture<Said> {
        self.ranks_alone()
    }

    fn rank(&self, call: RankCall) -> ProviderFuture<Said> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.rank(call).await })
    }
}

impl Rerank {
    fn ranks_alone(&self) -> ProviderFuture<Said> {
        let refusal =
            self.0.line.lasting("ranks passages and nothing else; route this model to a provider that answers");
        Box::pin(std::future::ready(Err(refusal)))
    }
}

impl Parts {
    async fn rank(&self, RankCall { ranking, calling }: RankCall) -> Result<Said, ProviderError> {
        let body = json!({"model": ranking.model, "query": ranking.query, "documents": ranking.documents});
        let request = self.line.http.post(self.url.clone()).headers(self.headers.clone()).json(&body).build();
        let request = request.map_err(|error| self.line.broken(&error))?;
        let response = self.line.exchange(request, calling.as_deref()).await?;
        let answer: Value = serde_json::from_slice(&self.line.read(response).await?)
            .map_err(|_error| self.line.spoiled("answered what is not JSON"))?;
        if let Some(error) = self.line.error_in(&answer) {
            return Err(error);
        }
        traced::hear_openai(calling.as_deref(), &answer);
        if !answer.get("results").is_some_and(Value::is_array) {
            return Err(self.line.spoiled("answered without results"));
        }
        let prompt_tokens = prompt_tokens(&answer);
        Ok(Said {
            content: DraftContent::Completion(answer),
            prompt_tokens,
            completion_tokens: Some(0),
            relayed_chars: 0,
            cut_short: false,
        })
    }
}

/// What was read, as far as the server says: Jina and vLLM tell the sum, Cohere the tokens of the texts.
fn prompt_tokens(answer: &Value) -> Option<u64> {
    ["/usage/prompt_tokens", "/usage/total_tokens", "/meta/tokens/input_tokens"]
        .iter()
        .find_map(|place| answer.pointer(place)?.as_u64().filter(|tokens| *tokens > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Ranking;
    use crate::routing::fixtures::{Upstream, Wire, entry, http_json};
    use crate::routing::providers::tests::grounded_call;
    use crate::turn::FrameSink;

    async fn ranked(answer: Wire) -> (Result<Said, ProviderError>, Vec<String>) {
        let upstream = Upstream::playing(vec![answer]).await;
        let provider = open(&entry("upstream", "rerank", &format!("{}/v1", upstream.url)), InTransit::Tls13).unwrap();
        let ranking = Ranking { model: "m".into(), query: "q?".into(), documents: vec!["a".into(), "b".into()] };
        let said = provider.rank(RankCall { ranking, calling: None }).await;
        (said, upstream.requests())
    }

    #[actix::test]
    async fn texts_are_sent_and_what_was_read_is_told() {
        let results = json!([{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]);
        for (usage, expected) in [
            (json!({"usage": {"total_tokens": 12}}), Some(12)),
            (json!({"usage": {"prompt_tokens": 11, "total_tokens": 12}}), Some(11)),
            (json!({"meta": {"tokens": {"input_tokens": 9}}}), Some(9)),
            (json!({"usage": {"total_tokens": 0}}), None),
            (json!({}), None),
        ] {
            let mut answer = usage;
            answer["results"] = results.clone();
            let (said, requests) = ranked(Wire::Close(http_json("200 OK", &answer))).await;
            let said = said.unwrap();
            assert_eq!((said.prompt_tokens, said.completion_tokens), (expected, Some(0)));
            assert_eq!(said.content, DraftContent::Completion(answer));
            let [request] = requests.as_slice() else { panic!("{requests:?}") };
            assert!(request.starts_with("POST /v1/rerank ") && request.contains("Bearer "), "{request}");
            assert!(request.ends_with(r#"{"model":"m","query":"q?","documents":["a","b"]}"#), "{request}");
        }
    }

    #[actix::test]
    async fn what_is_no_ranking_is_an_error() {
        for answer in [json!({"results": "none"}), json!({}), json!({"error": {"message": "no"}})] {
            assert!(ranked(Wire::Close(http_json("200 OK", &answer))).await.0.is_err(), "{answer}");
        }
        assert!(matches!(
            ranked(Wire::Close(http_json("503 Service Unavailable", &json!({})))).await.0,
            Err(ProviderError::Passing(_))
        ));
        let provider = open(&entry("upstream", "rerank", "http://127.0.0.1:9/v1"), InTransit::Tls13).unwrap();
        assert!(matches!(provider.answer(grounded_call(FrameSink::whole())).await, Err(ProviderError::Lasting(_))));
        let unnamed = ProviderEntry { base_url: None, ..entry("upstream", "rerank", "") };
        assert!(open(&unnamed, InTransit::Tls13).is_err());
    }
}

//! The provider of a registered model: OpenAI's shape around the vectors, and what it refuses.
use super::super::fixtures::entry;
use super::tests::passed_call;
use super::{ALL, ProviderError, Said};
use crate::catalog::{LOCAL_EMBEDDINGS, ProviderEntry};
use crate::embedding::{Embedder, LocalModel, Registered, fixtures};
use crate::turn::{DraftContent, FrameSink};
use bailiwick_policy::sovereignty::InTransit;
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::sync::Arc;

struct Small {
    _folders: [tempfile::TempDir; 2],
    entry: ProviderEntry,
    model: LocalModel,
}

fn small() -> Small {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    fixtures::write_model(folders[1].path());
    let registered = Registered::add(folders[0].path(), "small", folders[1].path()).unwrap();
    let model = LocalModel::try_out(folders[1].path()).unwrap();
    let local = Some(Arc::new(registered));
    Small { entry: ProviderEntry { local, ..entry("local", LOCAL_EMBEDDINGS, "") }, model, _folders: folders }
}

async fn asked(small: &Small, body: Value) -> Result<Said, ProviderError> {
    let (_, open) = ALL.iter().find(|(kind, _)| *kind == LOCAL_EMBEDDINGS).unwrap();
    let provider = open(&small.entry, InTransit::Tls13).unwrap();
    provider.embed(passed_call(body, FrameSink::whole())).await
}

fn vectors(said: &Said) -> Vec<Vec<f32>> {
    let DraftContent::Completion(body) = &said.content else { panic!("no body") };
    let read = |item: &Value| match &item["embedding"] {
        Value::String(text) => {
            let bytes = Base64::decode_vec(text).unwrap();
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
        }
        numbers => numbers.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect(),
    };
    body["data"].as_array().unwrap().iter().map(read).collect()
}

#[actix::test]
async fn vectors_come_in_the_order_of_the_texts_as_numbers_and_as_bytes() {
    let small = small();
    let texts = ["the policy", "refunds the policy refund", "policy"];
    let expected: Vec<Vec<f32>> =
        texts.iter().map(|text| small.model.encode(&[&small.model.tokens(text).unwrap()]).unwrap().remove(0)).collect();
    for format in ["float", "base64"] {
        let said = asked(&small, json!({"model": "small", "input": texts, "encoding_format": format})).await.unwrap();
        for (ours, expected) in vectors(&said).iter().zip(&expected) {
            assert_eq!(ours.len(), expected.len());
            assert!(ours.iter().zip(expected).all(|(ours, expected)| (ours - expected).abs() < 1e-5), "{format}");
        }
        let DraftContent::Completion(body) = &said.content else { panic!("no body") };
        assert_eq!(body["data"][2]["index"], 2);
        assert_eq!((&body["model"], &body["object"]), (&json!("small"), &json!("list")));
        assert_eq!(body["usage"]["prompt_tokens"].as_u64(), said.prompt_tokens);
        assert_eq!(said.completion_tokens, Some(0));
    }
    let one = asked(&small, json!({"model": "small", "input": "policy"})).await.unwrap();
    assert_eq!((vectors(&one).len(), one.prompt_tokens), (1, Some(1)), "no more tokens than were held for");
}

#[actix::test]
async fn what_it_cannot_embed_is_refused_for_good() {
    let small = small();
    let too_many: Vec<String> = vec![String::from("the"); 2_049];
    for (body, words) in [
        (json!({"input": [[1, 2]]}), "reads texts, not tokens"),
        (json!({"input": ["a", 1]}), "reads texts, not tokens"),
        (json!({"input": "a", "dimensions": 5}), "gives 12 dimensions"),
        (json!({"input": "a", "encoding_format": "hex"}), "send one of them"),
        (json!({"input": too_many}), "send fewer at once"),
    ] {
        let refused = asked(&small, body).await.unwrap_err();
        assert!(matches!(&refused, ProviderError::Lasting(detail) if detail.contains(words)), "{refused}");
    }
    assert!(asked(&small, json!({"input": "a", "dimensions": 12})).await.is_ok());
}

use super::*;
use bailiwick_policy::rerank::WhenItFails;
use serde_json::json;

fn passage(number: usize, trust_score: f64) -> Passage {
    Passage {
        document_id: format!("d{number}"),
        chunk_id: format!("d{number}#0"),
        title: format!("title {number}"),
        source: String::new(),
        text: format!("text {number}"),
        start: 0,
        end: 6,
        page: None,
        score: 9.0,
        trust_score,
        domain: String::new(),
        usecase: String::new(),
        version: 1,
        document_sha256: String::new(),
    }
}

struct Says(Outcome<Vec<f64>>);

impl Reranker for Says {
    async fn relevance(&self, question: &str, texts: Vec<String>) -> Outcome<Vec<f64>> {
        assert_eq!((question, texts[0].as_str()), ("q", "title 0\ntext 0"));
        if let Ok(scores) = &self.0 {
            assert_eq!(scores.len(), texts.len());
        }
        self.0.clone()
    }
}

fn settings(top_n: u32, when_it_fails: WhenItFails) -> RerankSettings {
    RerankSettings { model: "m".into(), top_n, when_it_fails }
}

fn ids(passages: &[Passage]) -> Vec<&str> {
    passages.iter().map(|passage| passage.document_id.as_str()).collect()
}

#[tokio::test]
async fn the_first_passages_come_in_the_order_of_the_second_look() {
    let found = || (0..4).map(|number| passage(number, 1.0)).collect::<Vec<_>>();
    let keep = settings(3, WhenItFails::KeepOrder);
    let (ranked, looked) = second_look(&Says(Ok(vec![-4.0, 2.5, -1.0])), &keep, "q", found(), 0.0).await.unwrap();
    assert_eq!((ids(&ranked), looked), (vec!["d1", "d2", "d0", "d3"], Ok(())));
    let (ranked, _) = second_look(&Says(Ok(vec![1.0, 1.0, 1.0])), &keep, "q", found(), 0.0).await.unwrap();
    assert_eq!(ids(&ranked), ["d0", "d1", "d2", "d3"], "what ranks alike stays as it was");
    let mut trusted = found();
    trusted[1].trust_score = 0.1;
    let (ranked, _) = second_look(&Says(Ok(vec![0.0, 1.0, 0.8])), &keep, "q", trusted, 1.0).await.unwrap();
    assert_eq!(ids(&ranked), ["d2", "d1", "d0", "d3"], "trust weighs on it as on what is found");
}

#[tokio::test]
async fn where_it_fails_the_order_stands_or_nothing_is_answered() {
    let failed = || Says(Err(Rejection::retry_after(Code::UpstreamFailed, "no", 7)));
    let found = || (0..3).map(|number| passage(number, 1.0)).collect::<Vec<_>>();
    let kept = second_look(&failed(), &settings(3, WhenItFails::KeepOrder), "q", found(), 0.0).await.unwrap();
    assert_eq!(ids(&kept.0), ["d0", "d1", "d2"]);
    assert!(kept.1.unwrap_err().ends_with("once more: no"));
    let refused = second_look(&failed(), &settings(3, WhenItFails::Refuse), "q", found(), 0.0).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (Code::UpstreamFailed, Some(7)));
    let one = second_look(&failed(), &settings(3, WhenItFails::Refuse), "q", vec![passage(0, 1.0)], 0.0).await.unwrap();
    assert_eq!(one.1, Ok(()), "one passage has one order");
}

#[test]
fn a_ranking_has_one_score_for_each_text() {
    let of = |results: Value| scores(&json!({"results": results}), 2);
    let (x, y) =
        (json!({"index": 0, "relevance_score": -3}), json!({"index": 1, "relevance_score": 0.5, "document": {}}));
    assert_eq!(of(json!([y, x])), Some(vec![-3.0, 0.5]));
    for unlike in [
        json!([x]),
        json!([x, x]),
        json!([x, y, x]),
        json!([x, {"index": 2, "relevance_score": 1.0}]),
        json!([x, y, {"index": 2, "relevance_score": 1.0}]),
        json!([x, {"index": -1, "relevance_score": 1.0}]),
        json!([x, {"index": 1}]),
        json!([x, {"index": 1, "relevance_score": "1"}]),
        json!([x, {"index": 1, "relevance_score": null}]),
        json!([x, {"relevance_score": 1.0}]),
        json!("none"),
    ] {
        assert_eq!(of(unlike.clone()), None, "{unlike}");
    }
    assert_eq!(scores(&json!({}), 0), None);
}

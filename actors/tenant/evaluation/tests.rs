use super::answers::{grounding, likeness};
use super::estimate::estimate;
use super::rules::{Frame, Outcome, evaluate};
use super::tokens::{numbers, tokens};
use super::*;
use crate::question::{Answer, Citation, ModelUsed, Passage, Usage};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::schema::EvaluationSettings;
use proptest::prelude::*;

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

fn passage(document: &str, text: &str) -> Passage {
    Passage {
        document_id: document.to_owned(),
        chunk_id: format!("{document}#0"),
        title: document.to_owned(),
        source: format!("upload.local/{document}"),
        text: text.to_owned(),
        start: 100,
        end: 100 + text.chars().count(),
        page: None,
        score: 1.0,
        trust_score: 0.9,
        version: 1,
        document_sha256: String::new(),
        domain: "general".to_owned(),
        usecase: "general".to_owned(),
    }
}

/// Cites these words of a passage.
fn citing(marker: &str, passage: &Passage, words: &str) -> Citation {
    let before = passage.text.split(words).next().unwrap().chars().count();
    Citation {
        marker: marker.to_owned(),
        document_id: passage.document_id.clone(),
        chunk_id: passage.chunk_id.clone(),
        title: passage.title.clone(),
        source: passage.source.clone(),
        snippet: words.to_owned(),
        start: passage.start + before,
        end: passage.start + before + words.chars().count(),
        page: None,
        trust_score: passage.trust_score,
    }
}

fn answer(text: &str, citations: Vec<Citation>) -> Answer {
    Answer {
        query_id: "q".to_owned(),
        answer: text.to_owned(),
        abstained: false,
        reason: None,
        citations,
        trust_score: 0.9,
        model: ModelUsed { provider: "p".to_owned(), name: "m".to_owned(), ..ModelUsed::default() },
        usage: Usage { cost: NanoUsd(7), ..Usage::default() },
        policy_version: "1.0.0".to_owned(),
        receipt: String::new(),
        notes: Vec::new(),
        ended_by_length: false,
    }
}

fn abstained() -> Answer {
    Answer { abstained: true, ..answer("The documents do not say.", Vec::new()) }
}

fn golden(question: &str, known: Option<&str>, relevant: &[&str], unanswerable: bool) -> Golden {
    Golden {
        question: question.to_owned(),
        answer: known.map(str::to_owned),
        relevant: relevant.iter().map(|id| (*id).to_owned()).collect(),
        unanswerable,
    }
}

fn settings(ndcg: f64, groundedness: f64) -> EvaluationSettings {
    serde_json::from_value(serde_json::json!({
        "sample_rate": 0.0, "min_ndcg_at_10": ndcg, "min_groundedness": groundedness,
    }))
    .unwrap()
}

fn frame() -> Frame {
    Frame {
        policy_version: "1.0.0".to_owned(),
        policy_digest: "d".to_owned(),
        by: "k".to_owned(),
        began_unix_ms: 1,
        ended_unix_ms: 2,
    }
}

#[test]
fn words_are_compared_as_reading_tests_compare_them() {
    assert_eq!(tokens("The  cat, a «CAT» and an owl's nest."), ["cat", "cat", "and", "owls", "nest"]);
    assert_eq!(numbers("1,200 people paid 3.50 on day 2"), ["1200", "3.50", "2"]);
    // F1 of the SQuAD script for these two: precision 2/4, recall 2/3
    let like = likeness("It was built in Paris [1].", "built in 1889 Paris");
    assert!(
        near(like.token_f1, 2.0 * (3.0 / 5.0) * (3.0 / 4.0) / (3.0 / 5.0 + 3.0 / 4.0)) && near(like.token_recall, 0.75)
    );
    assert!(near(like.exact_match, 0.0) && near(likeness("The Paris! [2]", "paris").exact_match, 1.0));
    assert!(near(likeness("", "paris").token_f1, 0.0) && near(likeness("paris paris", "paris").token_recall, 1.0));
}

#[test]
fn an_answer_is_held_against_what_it_cites() {
    let fasting = passage("fasting", "Adults stop eating 6 hours before. Children may drink until 2 hours before.");
    let (eat, drink) = ("Adults stop eating 6 hours before.", "Children may drink until 2 hours before.");
    let citations = vec![citing("[1]", &fasting, eat), citing("[2]", &fasting, drink)];
    let context = [fasting.clone()];
    let whole = grounding(&format!("{eat} [1] {drink} [2]"), &citations, &context);
    for share in [
        whole.k_precision,
        whole.citation_validity,
        whole.citation_coverage,
        whole.citation_support,
        whole.number_fidelity,
    ] {
        assert!(near(share.unwrap(), 1.0), "{whole:?}");
    }
    // the second sentence cites nothing, and its number stands nowhere
    let half = grounding(&format!("{eat} [1] Everybody pays 99 crowns."), &citations[..1], &context);
    assert!(near(half.citation_coverage.unwrap(), 0.5) && near(half.citation_support.unwrap(), 0.5), "{half:?}");
    assert!(near(half.number_fidelity.unwrap(), 0.5), "{half:?}");
    // another number is no support, however alike the words are
    let drifted = grounding("Adults stop eating 8 hours before [1].", &citations[..1], &context);
    assert!(near(drifted.citation_support.unwrap(), 0.0) && near(drifted.citation_validity.unwrap(), 1.0));
    // a marker without a citation, words that stand elsewhere, a chunk the answer was not given from
    let moved = Citation { start: citations[0].start + 1, end: citations[0].end + 1, ..citations[0].clone() };
    let foreign = Citation { chunk_id: "other#0".to_owned(), ..citations[0].clone() };
    for (citations, share) in [(vec![], 0.0), (vec![moved], 0.0), (vec![foreign], 0.0), (citations.clone(), 1.0)] {
        let found = grounding("Adults stop eating [1].", &citations, &context).citation_validity;
        assert!(near(found.unwrap(), share), "{citations:?}");
    }
    let silent = grounding("", &[], &context);
    assert_eq!((silent.k_precision, silent.citation_coverage, silent.number_fidelity), (None, None, None));
}

#[test]
fn intervals_are_those_of_the_textbook() {
    // Wilson for 8 of 10 at 95 %: 0.4902 to 0.9433; Student for these five: mean 0.5, half width 0.3926
    let share = estimate(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
    assert!((share.low - 0.4902).abs() < 1e-4 && (share.high - 0.9433).abs() < 1e-4, "{share:?}");
    let mean = estimate(&[0.1, 0.3, 0.5, 0.7, 0.9]).unwrap();
    assert!(near(mean.mean, 0.5) && (0.392..0.393).contains(&(mean.high - mean.mean)), "{mean:?}");
    let one = estimate(&[0.4]).unwrap();
    assert!(near(one.low, 0.0) && near(one.high, 1.0), "one value says nothing of others: {one:?}");
    assert_eq!(estimate(&[]), None);
}

#[test]
fn an_evaluation_counts_what_went_well_and_names_what_did_not() {
    let right = passage("right", "The gate opens at 6.");
    let wrong = passage("wrong", "The bar opens at 9.");
    let citation = citing("[1]", &right, "The gate opens at 6.");
    let asked = |golden: Golden, found: Vec<Passage>, answer: Result<Answer, String>| Outcome {
        golden,
        found,
        context: 8,
        answer,
        latency_ms: 10,
    };
    let outcomes = [
        asked(
            golden("When does the gate open?", Some("at 6"), &["right"], false),
            vec![wrong.clone(), right.clone()],
            Ok(answer("The gate opens at 6. [1]", vec![citation])),
        ),
        asked(golden("Where is the gate?", None, &["right"], false), vec![right.clone()], Ok(abstained())),
        asked(golden("Who built it?", None, &[], true), vec![wrong], Ok(abstained())),
        asked(golden("What is beneath?", None, &["lost"], false), vec![right], Err("budget_exceeded".to_owned())),
    ];
    let evaluation = evaluate(&outcomes, frame(), &settings(0.6, 0.9));
    let mean = |name: &str| evaluation.measure(name).unwrap().mean;
    assert!(near(mean("ndcg_at_10"), (1.0 / 3.0_f64.log2() + 1.0 + 0.0) / 3.0));
    assert!(near(mean("recall_at_10"), 2.0 / 3.0) && near(mean("reciprocal_rank"), 0.5));
    assert!(near(mean("context_precision"), 1.0) && near(mean("groundedness"), 1.0));
    assert!(near(mean("false_refusal"), 0.5) && near(mean("right_refusal"), 1.0));
    assert_eq!((evaluation.questions, evaluation.failed, evaluation.cost), (4, 1, NanoUsd(21)));
    assert_eq!(evaluation.models, [("p".to_owned(), "m".to_owned(), 3)]);
    let problems: Vec<&str> = evaluation.missed.iter().map(|missed| missed.problem.as_str()).collect();
    assert_eq!(problems, ["it was not answered", "no answer: budget_exceeded"]);
    assert!(evaluation.objections[0].contains("min_ndcg_at_10") && evaluation.objections.len() == 1, "{evaluation:?}");
    assert!(evaluate(&outcomes, frame(), &settings(0.5, 0.9)).objections.is_empty());
    let nothing = evaluate(&[], frame(), &settings(0.5, 0.9));
    assert!(nothing.measures.is_empty() && nothing.objections.is_empty() && nothing.latency_p95_ms == 0);
}

#[test]
fn words_that_no_passage_holds_are_an_objection_whatever_the_policy_asks() {
    let right = passage("right", "The gate opens at 6.");
    let mut citation = citing("[1]", &right, "The gate opens at 6.");
    citation.snippet = "The gate opens at 7.".to_owned();
    let outcome = Outcome {
        golden: golden("When does the gate open?", None, &["right"], false),
        found: vec![right],
        context: 8,
        answer: Ok(answer("The gate opens at 7. [1]", vec![citation])),
        latency_ms: 1,
    };
    let evaluation = evaluate(&[outcome], frame(), &settings(0.0, 0.0));
    assert!(evaluation.objections[0].contains("citation_validity"), "{evaluation:?}");
}

#[test]
fn one_evaluation_at_a_time_and_the_next_when_it_is_over_however_it_ended() {
    let progress = SharedProgress::default();
    let under_way = progress.begin(2).unwrap();
    under_way.step();
    assert_eq!(progress.view(), Some(Progress { asked: 1, questions: 2 }));
    assert_eq!(progress.begin(1).unwrap_err().code, Code::Conflict);
    drop(under_way);
    assert_eq!(progress.view(), None);
    assert!(progress.begin(1).is_ok());
}

proptest! {
    #[test]
    fn every_share_is_one_whatever_is_answered(text in "(?s).{0,200}", snippet in ".{0,40}", passage_text in ".{0,80}") {
        let context = [passage("d", &passage_text)];
        let mut citation = citing("[1]", &context[0], &passage_text);
        citation.snippet = snippet;
        let found = grounding(&text, &[citation], &context);
        let shares = [
            found.k_precision, found.citation_validity, found.citation_coverage, found.citation_support, found.number_fidelity,
        ];
        prop_assert!(shares.into_iter().flatten().all(|share| (0.0..=1.0).contains(&share)));
        let like = likeness(&text, &passage_text);
        prop_assert!([like.exact_match, like.token_f1, like.token_recall].iter().all(|share| (0.0..=1.0).contains(share)));
        prop_assert!(near(likeness(&text, &text).exact_match, 1.0) || text.contains('['));
    }

    #[test]
    fn an_interval_holds_its_mean(values in prop::collection::vec(0.0_f64..=1.0, 1..60)) {
        let found = estimate(&values).unwrap();
        prop_assert!(0.0 <= found.low && found.low <= found.mean && found.mean <= found.high && found.high <= 1.0);
    }
}

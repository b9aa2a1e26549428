//! The provider through its trait: whole, streamed, hung up, refused.
use crate::catalog::{EXTRACTIVE, ProviderEntry};
use crate::question::{Frame, Passage};
use crate::routing::demands::Demands;
use crate::routing::providers::{ALL, GroundedCall, PassedCall, Provider, ProviderError, Said};
use crate::turn::{DraftContent, FrameSink};
use bailiwick_policy::sovereignty::{InTransit, Region};
use std::sync::Arc;
use tokio::sync::mpsc;

fn provider(concurrency: usize) -> Arc<dyn Provider> {
    let build = ALL.iter().find(|(kind, _)| *kind == EXTRACTIVE).unwrap().1;
    let entry = ProviderEntry { concurrency, timeout_ms: 1_000, ..ProviderEntry::embedded(&Region::default()) };
    build(&entry, InTransit::Tls13).unwrap()
}

fn passage(number: usize, text: &str) -> Passage {
    Passage {
        document_id: format!("d{number}"),
        chunk_id: format!("d{number}#0"),
        title: String::new(),
        source: String::new(),
        text: text.to_owned(),
        start: 0,
        end: text.chars().count(),
        page: None,
        score: 5.0,
        trust_score: 1.0,
        domain: String::from("general"),
        usecase: String::from("general"),
        version: 0,
        document_sha256: String::new(),
    }
}

fn call(question: &str, sink: FrameSink) -> GroundedCall {
    let rent = "The flat is bright – and big. The monthly rent is 900 euros. Parking is 40 euros.";
    let deposit = "The deposit is three months and is returned within 30 days.";
    GroundedCall {
        question: question.to_owned(),
        earlier: Arc::default(),
        passages: Arc::from([passage(1, rent), passage(2, deposit)]),
        model: EXTRACTIVE.to_owned(),
        temperature: 0.0,
        max_tokens: 1_000,
        demands: Demands::default(),
        sink,
        calling: None,
    }
}

const TWO_PARTS: &str = "What is the monthly rent and when is the deposit returned?";

fn grounded(said: &Said) -> (&str, &[(usize, std::ops::Range<usize>)]) {
    match &said.content {
        DraftContent::Grounded { text, spans } => (text, spans),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_answer_comes_whole_with_a_span_for_each_marker() {
    let said = provider(0).answer(call(TWO_PARTS, FrameSink::whole())).await.unwrap();
    let (text, spans) = grounded(&said);
    assert!(!said.cut_short && spans.len() == 2, "{said:?}");
    assert_eq!(said.relayed_chars, u64::try_from(text.chars().count()).unwrap());
    let passages = call(TWO_PARTS, FrameSink::whole()).passages;
    let mut rest = text;
    for (marker, chars) in spans {
        let cited: String = passages[marker - 1].text.chars().skip(chars.start).take(chars.len()).collect();
        let expected = format!("{cited} [{marker}]");
        assert!(rest.trim_start().starts_with(&expected), "{rest}");
        rest = &rest.trim_start()[expected.len()..];
    }
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_stream_says_the_same_sentence_by_sentence() {
    let (sender, mut frames) = mpsc::channel(8);
    let said = provider(1).answer(call(TWO_PARTS, FrameSink::into_channel(sender))).await.unwrap();
    let mut deltas = Vec::new();
    while let Some(frame) = frames.recv().await {
        match frame {
            Frame::Delta(words) => deltas.push(words),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(deltas.len(), 2);
    assert_eq!(deltas.concat(), grounded(&said).0);
}

#[tokio::test]
async fn a_hung_up_asker_stops_the_answer() {
    let (sender, frames) = mpsc::channel(8);
    drop(frames);
    let said = provider(1).answer(call(TWO_PARTS, FrameSink::into_channel(sender))).await.unwrap();
    assert!(said.cut_short);
    assert_eq!((grounded(&said).0, said.relayed_chars), ("", 0));
}

#[tokio::test]
async fn an_asker_who_hangs_up_midway_is_charged_for_what_was_relayed() {
    let (sender, mut frames) = mpsc::channel(1);
    let answer = provider(1).answer(call(TWO_PARTS, FrameSink::into_channel(sender)));
    let listener = async move {
        let first = frames.recv().await;
        frames.close();
        // what was already on its way is lost with the asker
        while frames.recv().await.is_some() {}
        first
    };
    let (said, first) = tokio::join!(answer, listener);
    let said = said.unwrap();
    let Some(Frame::Delta(first)) = first else { panic!("no delta") };
    assert!(grounded(&said).0.starts_with(&first));
    assert_eq!(said.relayed_chars, u64::try_from(grounded(&said).0.chars().count()).unwrap());
}

#[tokio::test]
async fn nothing_found_is_an_abstention_with_a_reason() {
    let said = provider(1).answer(call("Who discovered penicillin?", FrameSink::whole())).await.unwrap();
    let DraftContent::Abstained { reason } = said.content else { panic!("{said:?}") };
    assert_eq!(reason, "The passages found do not mention “discovered”, “penicillin”.");
    assert_eq!(said.relayed_chars, 0);
}

#[tokio::test]
async fn what_it_cannot_do_it_says_for_good() {
    let passed = || PassedCall { body: serde_json::json!({"model": "x"}), sink: FrameSink::whole(), calling: None };
    let Err(ProviderError::Lasting(chat)) = provider(1).chat(passed()).await else { panic!("chatted") };
    assert!(chat.contains("use the model `bailiwick`"), "{chat}");
    let Err(ProviderError::Lasting(embed)) = provider(1).embed(passed()).await else { panic!("embedded") };
    assert!(embed.contains("only grounded questions"), "{embed}");
}

//! Answers longer than what was held for: cut where the tokens end, their call dropped, settled as what they used.
use super::allowance::Allowance;
use super::clients::Clients;
use super::fixtures::*;
use super::flight_tests::{deltas, house, scripted, send, shown, text};
use super::providers::{ProviderError, Said};
use super::relay::{End, Relay};
use super::tokens;
use crate::budget::hold::Candidate;
use crate::question::{Chat, Frame, Matter};
use crate::turn::{DraftContent, FrameSink, ReplyLine};
use bailiwick_policy::redaction::{Recogniser, Redactions};
use regex::RegexSet;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::mpsc;

/// Tokens every candidate here was held for.
const HELD: u64 = 100;
const WORDS: &str = "lorem ipsum dolor ";

/// Tells that the call was dropped.
struct Call(Arc<AtomicBool>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Frames after which nobody is waited for any more to end a call.
const FRAMES_MAX: u64 = 5_000;

/// A provider that says the same for ever, and never looks whether somebody still listens.
fn endless(frame: impl Fn(u64) -> Frame + Send + Sync + 'static) -> (Arc<Scripted>, Arc<AtomicBool>, Arc<AtomicU64>) {
    let (dropped, said, frame) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::new(frame));
    let (drops, counts) = (Arc::clone(&dropped), Arc::clone(&said));
    let provider = Scripted::new(move |sink: FrameSink| {
        let (call, counts, frame) = (Call(Arc::clone(&drops)), Arc::clone(&counts), Arc::clone(&frame));
        Box::pin(async move {
            let _until_dropped = call;
            while counts.fetch_add(1, Ordering::SeqCst) < FRAMES_MAX {
                let _gone = sink.send(frame(counts.load(Ordering::SeqCst))).await;
                tokio::task::yield_now().await;
            }
            Err(ProviderError::Lasting("it was heard to its end".into()))
        })
    });
    (provider, dropped, said)
}

fn chunk(frames: u64) -> Frame {
    Frame::Chunk(json!({"id": "c", "object": "chat.completion.chunk", "model": "m",
        "choices": [{"index": 0, "delta": {"content": WORDS}, "finish_reason": null}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 1_000 * frames}}))
}

fn chat() -> Matter {
    Matter::Chat(Box::new(Chat { model: "asked".into(), body: json!({"messages": []}), max_tokens: None }))
}

fn contents(frames: &[Frame]) -> (String, Vec<Value>) {
    let (mut words, mut reasons) = (String::new(), Vec::new());
    for frame in frames {
        let Frame::Chunk(chunk) = frame else { panic!("{frame:?}") };
        words.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
        reasons.push(chunk["choices"][0]["finish_reason"].clone());
    }
    (words, reasons)
}

#[actix::test]
async fn words_without_end_end_with_the_tokens_held_and_the_call_is_dropped() {
    let (provider, dropped, _) = endless(|_| Frame::Delta(WORDS.into()));
    let mut house = house(Clients::default().with(scripted("primary"), provider));
    let Funding { turn, mut asker, .. } = funded(ask(), true, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    let (draft, frames) =
        tokio::join!(async { house.exit.recv().await.unwrap().stage.draft.clone() }, shown(&mut asker));
    assert!(dropped.load(Ordering::SeqCst), "the provider is heard to no end");
    assert!(draft.ended_by_length && !draft.cut_short && draft.rejection.is_none(), "{draft:?}");
    assert_eq!((draft.prompt_tokens, draft.completion_tokens), (PROMPT_TOKENS, HELD), "all that was held for is used");
    assert_eq!(tokens::count(text(&draft.content)), HELD);
    assert_eq!(deltas(&frames), text(&draft.content));
}

#[actix::test]
async fn a_passed_through_stream_ends_for_its_length_and_a_reported_surplus_is_settled() {
    let (provider, dropped, said) = endless(chunk);
    let mut house = house(Clients::default().with(scripted("primary"), provider));
    let Funding { turn, mut asker, .. } = funded(chat(), true, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    let (draft, frames) =
        tokio::join!(async { house.exit.recv().await.unwrap().stage.draft.clone() }, shown(&mut asker));
    assert!(dropped.load(Ordering::SeqCst));
    let (words, reasons) = contents(&frames);
    assert_eq!(tokens::count(&words), HELD, "{words}");
    let (last, before) = reasons.split_last().unwrap();
    assert!(last == "length" && before.iter().all(Value::is_null), "{reasons:?}");
    let relayed = u64::try_from(frames.len()).unwrap();
    assert_eq!((draft.prompt_tokens, draft.completion_tokens), (11, 1_000 * relayed), "as the provider said by then");
    assert!(said.load(Ordering::SeqCst) < relayed + 200, "no more than what runs ahead is taken");
    let DraftContent::Completion(body) = &draft.content else { panic!("{draft:?}") };
    assert_eq!((&body["id"], &body["choices"]), (&json!("c"), &json!([])));
}

#[tokio::test]
async fn a_stream_that_is_told_in_one_piece_or_told_again_ends_alike() {
    let (line, mut awaiting) = ReplyLine::streaming();
    let redactions = Redactions::of(&[Recogniser::Email].into());
    let relay = Relay::of_chunks(line.sink(), RegexSet::empty()).redacting_chunks(redactions).assembling();
    let relay = relay.within(Allowance::of(&Candidate { answers: 2, ..candidate("primary", false) }));
    let (sender, frames) = mpsc::channel(16);
    let speaker = FrameSink::into_channel(sender);
    let speaking = async { while speaker.send(chunk(1)).await.is_ok() {} };
    let (tally, ()) = tokio::join!(relay.run(frames), speaking);
    drop(line);
    let mut told = Vec::new();
    while let Some(frame) = awaiting.frames.recv().await {
        told.push(frame);
    }
    let (words, reasons) = contents(&told);
    assert_eq!((tally.end, tokens::count(&words), reasons), (End::Spent, 2 * HELD, vec![json!("length")]));
    let whole = tally.assembly.unwrap().completion(tally.last_chunk.unwrap());
    assert_eq!(whole["choices"][0]["message"]["content"], words.as_str());
    assert_eq!(whole["choices"][1]["finish_reason"], "length", "the other answer asked for has ended as well");
}

#[actix::test]
async fn a_whole_answer_beyond_what_was_held_is_told_as_far_as_it_was_and_charged_as_reported() {
    for (reported, charged, is_cut) in [(Some(5_000), 5_000, true), (None, HELD, true), (Some(HELD), HELD, false)] {
        let provider = Scripted::new(move |_sink| {
            let message = json!({"role": "assistant", "content": WORDS.repeat(500)});
            let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
            let content = DraftContent::Completion(body);
            let said =
                Said { content, prompt_tokens: None, completion_tokens: reported, relayed_chars: 0, cut_short: false };
            Box::pin(std::future::ready(Ok(said)))
        });
        let mut house = house(Clients::default().with(scripted("primary"), provider));
        let Funding { turn, asker: _asker, .. } = funded(chat(), false, policy(&[]), vec![candidate("primary", false)]);
        send(&house, turn);
        let draft = house.exit.recv().await.unwrap().stage.draft.clone();
        let DraftContent::Completion(body) = &draft.content else { panic!("{draft:?}") };
        let told = tokens::count(body["choices"][0]["message"]["content"].as_str().unwrap());
        assert_eq!((draft.completion_tokens, draft.ended_by_length), (charged, is_cut));
        assert_eq!(told == HELD, is_cut, "{told}");
        assert_eq!(body["choices"][0]["finish_reason"], if is_cut { "length" } else { "stop" });
    }
}

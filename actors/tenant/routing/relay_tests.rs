use super::super::fixtures::passages;
use super::super::markers;
use super::*;
use crate::turn::{FrameSink, ReplyLine};
use bailiwick_policy::redaction::Recogniser;
use proptest::prelude::*;

/// What an asker is shown of these pieces, whether words may stand alone or must cite.
fn shown(pieces: &[&str], forbidden: &str, must_cite: bool) -> (String, bool, End) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (line, mut awaiting) = ReplyLine::streaming();
        let patterns = if forbidden.is_empty() { RegexSet::empty() } else { RegexSet::new([forbidden]).unwrap() };
        let relay = Relay::of_words(line.sink(), &passages(), patterns);
        let relay = relay.meeting(Demands { sources_min: usize::from(must_cite), characters_max: None });
        let (sender, frames) = mpsc::channel(16);
        let speaker = FrameSink::into_channel(sender);
        let speaking = async {
            for piece in pieces {
                if speaker.send(Frame::Delta((*piece).to_owned())).await.is_err() {
                    break;
                }
            }
            drop(speaker);
        };
        let (tally, ()) = tokio::join!(relay.run(frames), speaking);
        drop(line);
        let (mut words, mut has_citations) = (String::new(), false);
        while let Some(frame) = awaiting.frames.recv().await {
            match frame {
                Frame::Delta(more) => words.push_str(&more),
                Frame::Citations(_) => has_citations = true,
                Frame::Chunk(_) => panic!("no chunk was sent"),
            }
        }
        assert_eq!(tally.shown, !words.is_empty());
        (words, has_citations, tally.end)
    })
}

#[test]
fn personal_data_is_in_no_word_and_no_passage_of_a_stream() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (line, mut awaiting) = ReplyLine::streaming();
        let mut passages = passages().to_vec();
        passages[0].text = "Anna, anna@example.org, knows.".to_owned();
        let redactions = Redactions::of(&[Recogniser::Email].into());
        let relay = Relay::of_words(line.sink(), &passages, RegexSet::empty())
            .redacting(redactions)
            .meeting(Demands { sources_min: 1, characters_max: None });
        let (sender, frames) = mpsc::channel(16);
        let speaker = FrameSink::into_channel(sender);
        let speaking = async {
            for piece in ["Ask anna@", "example", ".org [1]", "."] {
                speaker.send(Frame::Delta(piece.to_owned())).await.unwrap();
            }
            drop(speaker);
        };
        let (tally, ()) = tokio::join!(relay.run(frames), speaking);
        assert_eq!(tally.heard, "Ask anna@example.org [1].", "what is billed is what was said");
        drop(line);
        let mut told = String::new();
        while let Some(frame) = awaiting.frames.recv().await {
            match frame {
                Frame::Delta(words) => told.push_str(&words),
                Frame::Citations(citations) => assert_eq!(citations[0].snippet, "Anna, <email>, knows."),
                Frame::Chunk(_) => panic!("no chunk was sent"),
            }
        }
        assert_eq!(told, "Ask <email> [1].");
    });
}

#[test]
fn words_that_must_cite_are_shown_from_their_first_citation_on() {
    let said = ["Salt ", "dissolves in water ", "[1]", ". Oil", " does not", "."];
    assert_eq!(shown(&said, "", true), (said.concat(), true, End::Whole));
    let uncited = ["Salt ", "dissolves ", "in water [9] [x]."];
    assert_eq!(shown(&uncited, "", true), (String::new(), false, End::Whole), "not a word, nor the passages");
    assert_eq!(shown(&uncited, "", false).0, "Salt dissolves in water [x].");
    assert_eq!(shown(&["Salt is ", "amber [1]."], "amber", true), (String::new(), false, End::Forbidden));
}

proptest! {
    /// However the words are cut, an asker is shown all of them or none, and none that cite nothing.
    #[test]
    fn all_or_nothing(words in prop::collection::vec("[a-c ]{0,5}|\\[[0-3]\\]|\\[", 0..12), has_watch: bool) {
        let pieces: Vec<&str> = words.iter().map(String::as_str).collect();
        let whole = markers::clean(&pieces.concat(), 2);
        let forbidden = if has_watch { "never said" } else { "" };
        let (seen, has_citations, end) = shown(&pieces, forbidden, true);
        prop_assert_eq!(end, End::Whole);
        let cites = !markers::cited(&whole, 2).is_empty();
        prop_assert_eq!(&seen, if cites { &whole } else { "" });
        prop_assert_eq!(has_citations, cites);
        prop_assert_eq!(shown(&pieces, forbidden, false).0, whole);
    }
}

#[test]
fn personal_data_is_in_no_chunk_of_a_passed_through_stream() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let chunk = |delta: serde_json::Value| {
            let choice = serde_json::json!({
                "index": 0, "delta": delta, "logprobs": {"content": [{"token": "anna@example.org"}]}, "finish_reason": null
            });
            Frame::Chunk(serde_json::json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}))
        };
        let call = |arguments: &str| serde_json::json!({"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]});
        let said = [
            chunk(serde_json::json!({"role": "assistant", "content": "Ask anna@"})),
            chunk(serde_json::json!({"content": "example.o"})),
            chunk(call("{\"to\": \"anna@exa")),
            chunk(serde_json::json!({"content": "rg."})),
            chunk(call("mple.org\"}")),
            Frame::Chunk(serde_json::json!({"id": "c", "choices": [], "usage": {"completion_tokens": 9}})),
        ];
        let (line, mut awaiting) = ReplyLine::streaming();
        let redactions = Redactions::of(&[Recogniser::Email].into());
        let relay = Relay::of_chunks(line.sink(), RegexSet::empty()).redacting_chunks(redactions);
        let (sender, frames) = mpsc::channel(16);
        let speaker = FrameSink::into_channel(sender);
        let speaking = async {
            for frame in said {
                speaker.send(frame).await.unwrap();
            }
            drop(speaker);
        };
        let (tally, ()) = tokio::join!(relay.run(frames), speaking);
        assert!(tally.heard.contains("anna@example.o"), "what is billed is what was said");
        drop(line);
        let mut told = Vec::new();
        while let Some(frame) = awaiting.frames.recv().await {
            let Frame::Chunk(chunk) = frame else { panic!("only chunks are told") };
            told.push(chunk);
        }
        assert_eq!(told.len(), 2, "{told:?}");
        let choice = &told[0]["choices"][0];
        assert_eq!(choice["delta"]["content"], "Ask <email>.");
        assert_eq!(choice["delta"]["role"], "assistant");
        assert_eq!(choice["delta"]["tool_calls"][0]["function"]["arguments"], "{\"to\": \"<email>\"}");
        assert!(choice["logprobs"].is_null() && !told[0].to_string().contains("anna"), "{}", told[0]);
        assert_eq!((&told[0]["id"], &told[0]["object"]), (&"c".into(), &"chat.completion.chunk".into()));
        assert_eq!(told[1]["usage"]["completion_tokens"], 9);
    });
}

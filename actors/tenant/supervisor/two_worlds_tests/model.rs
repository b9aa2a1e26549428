//! The provider all tenants of a world share: says the same to the same words, at once. It is told no tenant, as no
//! provider is. A leak may twist what it says.
use super::super::meter::{EMBEDDER, NOT_ANSWERED, WITHOUT_END, bag_of_words};
use super::super::rooms::PROVOKED;
use crate::question::Frame;
use crate::routing::providers::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, Said};
use crate::turn::{DraftContent, FrameSink};
use serde_json::{Value, json};
use std::sync::Arc;

/// Words of a chat the provider panics at.
pub(super) const FALLS_OVER: &str = "fall over";
/// Characters of one piece of a stream.
pub(super) const PIECE_CHARS: usize = 16;

/// How often a streamed answer says the same.
const STREAMED_TIMES: usize = 3;

/// What was asked of the provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    Answer,
    Chat,
    Embedding,
}

/// What a leak makes of what the provider was about to say to these words.
pub(super) type Twist = Arc<dyn Fn(Asked, &str, Outcome) -> Outcome + Send + Sync>;
pub(super) type Outcome = Result<Said, ProviderError>;

/// The shared provider.
pub(super) struct Model {
    pub(super) twist: Option<Twist>,
    /// How many characters of a stream are sent at once.
    pub(super) piece_chars: Arc<dyn Fn() -> usize + Send + Sync>,
}

impl Model {
    fn finish(&self, asked: Asked, words: &str, said: Outcome) -> Outcome {
        match &self.twist {
            Some(twist) => twist(asked, words, said),
            None => said,
        }
    }
}

fn said(content: DraftContent, words: &str) -> Said {
    Said {
        content,
        prompt_tokens: Some(20 + u64::try_from(words.len()).unwrap()),
        completion_tokens: Some(10),
        relayed_chars: 0,
        cut_short: false,
    }
}

async fn stream(sink: FrameSink, text: String, piece_chars: usize) {
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(piece_chars.max(1)) {
        if sink.send(Frame::Delta(piece.iter().collect())).await.is_err() {
            return;
        }
    }
}

impl Provider for Model {
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said> {
        let outcome = if call.question.contains(NOT_ANSWERED) {
            Err(ProviderError::Lasting("it does not want to".into()))
        } else {
            // words are withheld until enough have followed them: only a long answer comes in frames
            let times = if call.sink.is_streaming() { STREAMED_TIMES } else { 1 };
            let texts: Vec<String> =
                call.passages.iter().take(2).map(|passage| format!("{} ", passage.text).repeat(times)).collect();
            Ok(said(
                match texts.as_slice() {
                    [] => DraftContent::Abstained { reason: "there are no passages".into() },
                    [one] => DraftContent::Grounded { text: format!("{one} [1]"), spans: Vec::new() },
                    [one, other, ..] => {
                        DraftContent::Grounded { text: format!("{one} [1] {other} [2]"), spans: Vec::new() }
                    }
                },
                &call.question,
            ))
        };
        let outcome = self.finish(Asked::Answer, &call.question, outcome);
        let piece_chars = (self.piece_chars)();
        Box::pin(async move {
            if let Ok(Said { content: DraftContent::Grounded { text, .. }, .. }) = &outcome
                && call.sink.is_streaming()
            {
                stream(call.sink, text.clone(), piece_chars).await;
            }
            outcome
        })
    }

    fn chat(&self, call: PassedCall) -> ProviderFuture<Said> {
        let words = call.body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        if words.contains(WITHOUT_END) {
            return Box::pin(std::future::pending());
        }
        if words == FALLS_OVER {
            return Box::pin(async { panic!("{PROVOKED}") });
        }
        let body = json!({"choices": [{"message": {"content": format!("you said: {words}")}}]});
        let outcome = if words.contains(NOT_ANSWERED) {
            Err(ProviderError::Lasting("it does not want to".into()))
        } else {
            Ok(said(DraftContent::Completion(body), &words))
        };
        let outcome = self.finish(Asked::Chat, &words, outcome);
        Box::pin(async move { outcome })
    }

    fn embed(&self, call: PassedCall) -> ProviderFuture<Said> {
        let words = call.body["input"].as_str().unwrap_or_default().to_owned();
        let embedding: Value =
            if call.body["model"] == EMBEDDER { json!(bag_of_words(&words)) } else { json!([0.25, 0.5]) };
        let content = DraftContent::Completion(json!({"data": [{"index": 0, "embedding": embedding}]}));
        let outcome =
            self.finish(Asked::Embedding, &words, Ok(Said { completion_tokens: Some(0), ..said(content, &words) }));
        Box::pin(async move { outcome })
    }
}

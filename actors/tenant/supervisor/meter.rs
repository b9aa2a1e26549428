//! The provider of whole-tenant tests: costs money, counts its calls, answers when it may, fails and panics on request, and
//! embeds without a model.
use super::rooms::PROVOKED;
use crate::routing::providers::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, Said};
use crate::turn::DraftContent;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Semaphore, watch};

/// Words the metered provider panics at, once its gate is open.
pub(crate) const FALLS_OVER: &str = "fall over";
/// Words of a question that the metered provider fails to embed, or to answer.
pub(crate) const NOT_EMBEDDED: &str = "embed nothing";
pub(crate) const NOT_ANSWERED: &str = "answer nothing";
/// Words of a question that it never comes to an end of embedding.
pub(crate) const WITHOUT_END: &str = "without end";
/// The model that embeds questions to be looked up.
pub(crate) const EMBEDDER: &str = "embedder";
/// What a word of such a question costs.
pub(crate) const WORD_NANO_USD: u64 = 2;

/// Counts of the words of a text, each in a place of its own as far as there are places: what a model of meaning would say
/// that knew no synonyms.
pub(crate) fn bag_of_words(text: &str) -> Vec<f64> {
    let mut bag = vec![0.0; 512];
    for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let hash = word
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        bag[usize::try_from(hash % 512).unwrap()] += 1.0;
    }
    bag
}

/// A provider that costs money, counts its calls, and answers when its gate is open.
pub(crate) struct Meter {
    calls: watch::Sender<u64>,
    embedded: AtomicU64,
    gate: Arc<Semaphore>,
}

impl Meter {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { calls: watch::Sender::new(0), embedded: AtomicU64::new(0), gate: Arc::new(Semaphore::new(0)) })
    }

    /// Lets so many answers out.
    pub(crate) fn release(&self, answers: usize) {
        self.gate.add_permits(answers);
    }

    pub(crate) fn calls(&self) -> u64 {
        *self.calls.borrow()
    }

    /// Questions that were embedded to be looked up.
    pub(crate) fn embedded(&self) -> u64 {
        self.embedded.load(Ordering::SeqCst)
    }

    /// Embeds at once: a token a word.
    fn understand(&self, body: &serde_json::Value) -> ProviderFuture<Said> {
        self.embedded.fetch_add(1, Ordering::SeqCst);
        let texts: Vec<&str> = match &body["input"] {
            serde_json::Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap()).collect(),
            text => vec![text.as_str().unwrap()],
        };
        let embedding = |text: &str| if text.contains(FALLS_OVER) { Vec::new() } else { bag_of_words(text) };
        let data: Vec<_> = (0_u64..)
            .zip(&texts)
            .map(|(index, text)| serde_json::json!({"index": index, "embedding": embedding(text)}))
            .collect();
        let text = texts.join(" ");
        let words = u64::try_from(text.split_whitespace().count()).unwrap();
        let said = Said {
            content: DraftContent::Completion(serde_json::json!({"data": data})),
            prompt_tokens: Some(words),
            completion_tokens: Some(0),
            relayed_chars: 0,
            cut_short: false,
        };
        if text.contains(WITHOUT_END) {
            return Box::pin(std::future::pending());
        }
        let is_down = text.contains(NOT_EMBEDDED);
        Box::pin(std::future::ready(if is_down { Err(ProviderError::Passing("down".into())) } else { Ok(said) }))
    }

    /// Waits until the provider has been called so often.
    pub(crate) async fn called(&self, times: u64) {
        self.calls.subscribe().wait_for(|calls| *calls >= times).await.unwrap();
    }

    fn say(&self, content: DraftContent) -> ProviderFuture<Said> {
        self.calls.send_modify(|calls| *calls += 1);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            gate.acquire_owned().await.unwrap().forget();
            Ok(Said {
                content,
                prompt_tokens: Some(100),
                completion_tokens: Some(10),
                relayed_chars: 0,
                cut_short: false,
            })
        })
    }
}

impl Provider for Meter {
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said> {
        if call.question.contains(NOT_ANSWERED) {
            return Box::pin(std::future::ready(Err(ProviderError::Lasting("it does not want to".into()))));
        }
        self.say(match call.passages.first() {
            Some(passage) => DraftContent::Grounded { text: format!("{} [1]", passage.text), spans: Vec::new() },
            None => DraftContent::Abstained { reason: "there are no passages".into() },
        })
    }

    fn chat(&self, call: PassedCall) -> ProviderFuture<Said> {
        if call.body["messages"][0]["content"] == FALLS_OVER {
            let said = self.say(DraftContent::Abstained { reason: String::new() });
            return Box::pin(async move {
                said.await?;
                panic!("{PROVOKED}");
            });
        }
        let words = serde_json::json!({"choices": [{"message": {"content": call.body["messages"][0]["content"]}}]});
        self.say(DraftContent::Completion(words))
    }

    fn embed(&self, call: PassedCall) -> ProviderFuture<Said> {
        if call.body["model"] == EMBEDDER {
            return self.understand(&call.body);
        }
        self.say(DraftContent::Completion(serde_json::json!({"data": []})))
    }
}

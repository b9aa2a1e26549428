//! The latest questions of each conversation with their answers, as long as somebody may still lean on them. Pure: time comes
//! in.
use super::history::{Bounds, told};
use super::rules::{all_understood, understood};
use crate::digest::sha256;
use crate::question::Exchange;
use bailiwick_kernel::limits::QUESTION_CHARS_MAX;
use bailiwick_policy::access::Principal;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Conversations remembered at once; the one that was silent longest is forgotten for another.
const CONVERSATIONS_MAX: usize = 1_024;
/// Bytes of a question that is remembered; a longer one says itself what it is about.
const QUESTION_BYTES_MAX: usize = 1_024;
/// A conversation that was silent this long is forgotten.
const SILENT_MS_MAX: u64 = 30 * 60 * 1_000;
/// Documents an answer that is remembered was given from, those of the answers before it included.
const DOCUMENTS_MAX: usize = 256;

/// Who asks, and what they call the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// Whose key it is.
    pub principal: &'a Principal,
    /// For whom the key speaks, where the request says so.
    pub end_user: Option<&'a str>,
    /// The conversation's name.
    pub conversation: &'a str,
}

/// A conversation of somebody: nobody is understood by what somebody else said.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Name {
    key_id: String,
    user_id: Option<String>,
    /// A digest: callers name their users as they like, and at any length.
    end_user: Option<[u8; 32]>,
    conversation: String,
}

impl From<Speaker<'_>> for Name {
    fn from(speaker: Speaker<'_>) -> Self {
        Self {
            key_id: speaker.principal.key_id.clone(),
            user_id: speaker.principal.user_id.clone(),
            end_user: speaker.end_user.map(|user| sha256(user.as_bytes())),
            conversation: speaker.conversation.to_owned(),
        }
    }
}

/// Where a question stands in the memory, for its answer to be put beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RememberedAt {
    name: Name,
    number: u64,
}

/// A question as its conversation understands it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The question, whole.
    pub whole: String,
    /// What a model is told of the conversation before it, oldest first.
    pub earlier: Arc<[Exchange]>,
    /// Where its answer belongs; nothing where none is kept.
    pub place: Option<RememberedAt>,
}

#[derive(Debug)]
struct Asked {
    number: u64,
    exchange: Exchange,
}

#[derive(Debug)]
struct Conversation {
    asked: VecDeque<Asked>,
    heard_unix_ms: u64,
}

/// The conversations of one tenant.
#[derive(Debug, Default)]
pub struct Conversations {
    known: HashMap<Name, Conversation>,
    /// Of all questions ever remembered, so that an answer that comes late finds its own question or none.
    next: u64,
}

impl Conversations {
    /// The question as it is meant in its conversation, which remembers it; as it is where the bounds have no turns.
    pub fn hear(&mut self, speaker: Speaker<'_>, question: &str, bounds: Bounds, now_unix_ms: u64) -> Heard {
        if bounds.turns == 0 {
            self.known.clear();
            return Heard { whole: question.to_owned(), earlier: Arc::default(), place: None };
        }
        let name = Name::from(speaker);
        self.make_room(&name, now_unix_ms);
        let fresh = || Conversation { asked: VecDeque::new(), heard_unix_ms: now_unix_ms };
        let known = self.known.entry(name.clone()).or_insert_with(fresh);
        known.heard_unix_ms = now_unix_ms;
        let excess = known.asked.len().saturating_sub(bounds.turns);
        known.asked.drain(..excess);
        let questions: Vec<String> = known.asked.iter().map(|asked| asked.exchange.question.clone()).collect();
        let whole = meant(question, &questions);
        let earlier = told(known.asked.iter().map(|asked| &asked.exchange), bounds);
        if whole.len() > QUESTION_BYTES_MAX {
            return Heard { whole, earlier, place: None };
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let exchange = Exchange { question: whole.clone(), ..Exchange::default() };
        known.asked.push_back(Asked { number, exchange });
        Heard { whole, earlier, place: (bounds.characters > 0).then_some(RememberedAt { name, number }) }
    }

    /// Puts an answer beside its question, with the call it came of and the documents it was given from. What is beyond the
    /// bounds by then is no longer kept, the oldest first.
    pub fn answered(&mut self, place: &RememberedAt, answered: Exchange, bounds: Bounds) {
        let Some(known) = self.known.get_mut(&place.name) else { return };
        let of_place = known.asked.iter_mut().find(|asked| asked.number == place.number);
        let Some(asked) = of_place.filter(|_| answered.rests_on.len() <= DOCUMENTS_MAX) else { return };
        asked.exchange = Exchange { question: std::mem::take(&mut asked.exchange.question), ..answered };
        let mut left = bounds.characters;
        for Asked { exchange, .. } in known.asked.iter_mut().rev().filter(|asked| !asked.exchange.answer.is_empty()) {
            match left.checked_sub(exchange.characters()) {
                Some(rest) => left = rest,
                None => {
                    left = 0;
                    *exchange = Exchange { question: std::mem::take(&mut exchange.question), ..Exchange::default() };
                }
            }
        }
    }

    fn make_room(&mut self, name: &Name, now_unix_ms: u64) {
        let is_silent = |known: &Conversation| now_unix_ms.saturating_sub(known.heard_unix_ms) >= SILENT_MS_MAX;
        // of all, not of this one alone: what they hold are words of documents
        self.known.retain(|_, known| !is_silent(known));
        if self.known.len() < CONVERSATIONS_MAX || self.known.contains_key(name) {
            return;
        }
        while self.known.len() >= CONVERSATIONS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.heard_unix_ms).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { return };
            self.known.remove(&oldest);
        }
    }

    /// Conversations remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// A question as it is meant behind these, which came with it, oldest first; the last `turns_max` of them count.
#[must_use]
pub fn meant_behind(question: &str, earlier: &[Exchange], turns_max: usize) -> String {
    let excess = earlier.len().saturating_sub(turns_max);
    meant(question, &all_understood(earlier.iter().skip(excess).map(|exchange| &exchange.question)))
}

fn meant(question: &str, earlier: &[String]) -> String {
    let fits = |whole: &String| whole.chars().count() <= QUESTION_CHARS_MAX;
    understood(question, earlier).filter(fits).unwrap_or_else(|| question.to_owned())
}

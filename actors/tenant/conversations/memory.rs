//! The latest questions of each conversation, as long as somebody may still lean on them. Pure: time comes in.
use super::rules::{all_understood, understood};
use bailiwick_kernel::limits::QUESTION_CHARS_MAX;
use bailiwick_policy::access::Principal;
use std::collections::{HashMap, VecDeque};

/// Conversations remembered at once; the one that was silent longest is forgotten for another.
const CONVERSATIONS_MAX: usize = 1_024;
/// Bytes of a question that is remembered; a longer one says itself what it is about.
const QUESTION_BYTES_MAX: usize = 1_024;
/// A conversation that was silent this long is forgotten.
const SILENT_MS_MAX: u64 = 30 * 60 * 1_000;

/// Who asks, and what they call the conversation: nobody is understood by what somebody else said.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Name {
    key_id: String,
    user_id: Option<String>,
    conversation: String,
}

#[derive(Debug)]
struct Conversation {
    questions: VecDeque<String>,
    heard_unix_ms: u64,
}

/// The conversations of one tenant.
#[derive(Debug, Default)]
pub struct Conversations(HashMap<Name, Conversation>);

impl Conversations {
    /// The question as it is meant in its conversation, which remembers it; as it is where `turns_max` is 0.
    pub fn hear(
        &mut self,
        who: &Principal,
        conversation: &str,
        question: &str,
        turns_max: usize,
        now_unix_ms: u64,
    ) -> String {
        if turns_max == 0 {
            self.0.clear();
            return question.to_owned();
        }
        let name =
            Name { key_id: who.key_id.clone(), user_id: who.user_id.clone(), conversation: conversation.to_owned() };
        self.make_room(&name, now_unix_ms);
        let fresh = || Conversation { questions: VecDeque::new(), heard_unix_ms: now_unix_ms };
        let known = self.0.entry(name).or_insert_with(fresh);
        known.heard_unix_ms = now_unix_ms;
        let excess = known.questions.len().saturating_sub(turns_max);
        known.questions.drain(..excess);
        let whole = meant(question, known.questions.make_contiguous());
        if whole.len() <= QUESTION_BYTES_MAX {
            known.questions.push_back(whole.clone());
        }
        whole
    }

    fn make_room(&mut self, name: &Name, now_unix_ms: u64) {
        let is_silent = |known: &Conversation| now_unix_ms.saturating_sub(known.heard_unix_ms) >= SILENT_MS_MAX;
        if self.0.get(name).is_some_and(is_silent) {
            self.0.remove(name);
        }
        if self.0.len() < CONVERSATIONS_MAX || self.0.contains_key(name) {
            return;
        }
        self.0.retain(|_, known| !is_silent(known));
        while self.0.len() >= CONVERSATIONS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, known)| known.heard_unix_ms).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { return };
            self.0.remove(&oldest);
        }
    }

    /// Conversations remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A question as it is meant behind these, which came with it, oldest first; the last `turns_max` of them count.
#[must_use]
pub fn meant_behind(question: &str, earlier: &[String], turns_max: usize) -> String {
    let excess = earlier.len().saturating_sub(turns_max);
    meant(question, &all_understood(earlier.iter().skip(excess)))
}

fn meant(question: &str, earlier: &[String]) -> String {
    let fits = |whole: &String| whole.chars().count() <= QUESTION_CHARS_MAX;
    understood(question, earlier).filter(fits).unwrap_or_else(|| question.to_owned())
}

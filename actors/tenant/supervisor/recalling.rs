//! What a supervisor knows of conversations: how a question is meant, what a model is told of what was said before, and that
//! what was answered is remembered once it is durable.
use super::actor::Supervisor;
use super::messages::Admit;
use crate::conversations::{Bounds, Conversations, RememberedAt, Speaker, meant_behind, told};
use crate::question::{Exchange, Matter, Passage, Reply};
use crate::turn::{Answered, Turn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

impl Supervisor {
    /// Makes a question whole that leans on what was asked before: from here on it is what was meant, with what a model is
    /// told of it. What comes under an `Idempotency-Key` is understood by what it brings along itself: said again, it has to
    /// mean the same.
    pub(super) fn understand(&self, admit: &mut Admit) {
        let Admit { matter: Matter::Ask(question), principal, wishes, .. } = admit else { return };
        let bounds = Bounds::of(&self.policy);
        let earlier = match &wishes.conversation {
            _ if !wishes.earlier.is_empty() => {
                question.text = meant_behind(&question.text, &wishes.earlier, bounds.turns);
                told(wishes.earlier.iter(), bounds)
            }
            Some(conversation) if wishes.idempotency_key.is_none() => {
                let speaker = Speaker { principal, end_user: wishes.end_user.as_deref(), conversation };
                let now_unix_ms = self.parts.clock.now_unix_ms();
                let heard = locked(&self.conversations).hear(speaker, &question.text, bounds, now_unix_ms);
                (question.text, wishes.remembered_at) = (heard.whole, heard.place);
                heard.earlier
            }
            _ => return,
        };
        // what may not be told now is not told again
        let is_forbidden = |one: &&Exchange| self.policy.output_violation(&one.answer).is_none();
        question.earlier = earlier.iter().filter(is_forbidden).cloned().collect();
    }

    /// The duty to remember what a turn is answered with, where its conversation does.
    pub(super) fn remembering(&self, turn: &Turn<Answered>) -> Option<Remembering> {
        let Matter::Ask(question) = &turn.case.matter else { return None };
        Some(Remembering {
            conversations: Arc::clone(&self.conversations),
            place: turn.case.remembered_at.clone()?,
            query_id: turn.case.query_id.to_string(),
            rests_on: read_for(&turn.stage.passages, &question.earlier),
            bounds: Bounds::of(&self.policy),
        })
    }
}

/// The documents a model has read for an answer: those of its passages, and of the answers it was told before.
fn read_for(passages: &[Passage], earlier: &[Exchange]) -> Vec<(String, u64)> {
    let read = passages.iter().map(|passage| (passage.document_id.clone(), passage.version));
    let mut read: Vec<_> = read.chain(earlier.iter().flat_map(|one| one.rests_on.iter().cloned())).collect();
    read.sort_unstable();
    read.dedup();
    read
}

/// Where an answer belongs that is about to be given.
#[derive(Debug)]
pub(super) struct Remembering {
    conversations: Arc<Mutex<Conversations>>,
    place: RememberedAt,
    query_id: String,
    rests_on: Vec<(String, u64)>,
    bounds: Bounds,
}

impl Remembering {
    /// Remembers what is told; an abstention says nothing that could be leant on.
    pub(super) fn answered(self, reply: &Reply) {
        let Self { conversations, place, query_id, rests_on, bounds } = self;
        if let Reply::Answer(answer) = reply
            && !answer.abstained
        {
            let answered = Exchange { question: String::new(), answer: answer.answer.clone(), query_id, rests_on };
            locked(&conversations).answered(&place, answered, bounds);
        }
    }
}

fn locked(conversations: &Mutex<Conversations>) -> MutexGuard<'_, Conversations> {
    conversations.lock().unwrap_or_else(PoisonError::into_inner)
}

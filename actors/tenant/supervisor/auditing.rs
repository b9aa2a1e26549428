//! Whether every guard ran on the answers it is recorded on: what was answered since the last look is judged once more, by
//! the policy it was answered under.
use super::actor::Supervisor;
use super::messages::AuditAnswers;
use super::opening::on_derived;
use actix::prelude::*;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::rehearsal::{Recorded, unguarded};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

/// Records of one look, at most: of a busy tenant the last few thousand answers, so that looking costs nobody anything.
const RECORDS_MAX: u64 = 5_000;

/// How far answers have been judged once more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Audited {
    /// The next record to look at.
    next: Position,
    /// Answers admitted later than this were admitted under the policy in force.
    since_unix_ms: u64,
    /// What was found; it stays until the rooms are built anew.
    found: Option<String>,
}

impl Default for Audited {
    fn default() -> Self {
        Self { next: Position(0), since_unix_ms: 0, found: None }
    }
}

/// The same, shared with looks under way.
pub(super) type SharedAudit = Arc<Mutex<Audited>>;

/// Another policy is in force from now on, or the rooms are new: what was answered before is another matter.
pub(super) fn begin(audit: &SharedAudit, next: Option<Position>, now_unix_ms: u64) {
    let mut audited = audit.lock().unwrap_or_else(PoisonError::into_inner);
    audited.since_unix_ms = now_unix_ms;
    if let Some(next) = next {
        audited.next = next;
        audited.found = None;
    }
}

impl Handler<AuditAnswers> for Supervisor {
    type Result = ();

    fn handle(&mut self, AuditAnswers { reply }: AuditAnswers, _: &mut Self::Context) {
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let (audit, derived, policy) = (Arc::clone(&self.audit), Arc::clone(&opened.derived), Arc::clone(&self.policy));
        let Audited { next, since_unix_ms, found } = audit.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let end = self.answered_to.load(Ordering::Relaxed);
        if found.is_some() || end <= next.0 {
            return reply.answer(Ok(found));
        }
        let from = Position(next.0.max(end.saturating_sub(RECORDS_MAX)));
        actix::spawn(async move {
            let mut answers = match on_derived(derived, move |derived| derived.recorded(from)).await {
                Ok(answers) => answers,
                Err(reason) => return reply.answer(Err(Rejection::new(Code::Internal, reason))),
            };
            answers.retain(|answer: &Recorded| answer.admitted_unix_ms > since_unix_ms);
            let policies: Vec<_> =
                [Some(&policy), policy.control.as_ref()].into_iter().flatten().map(Arc::as_ref).collect();
            let count = unguarded(&policies, &answers).count();
            let found = (count > 0)
                .then(|| format!("{count} answers stand in its journal that policy {} does not allow", policy.version));
            let mut audited = audit.lock().unwrap_or_else(PoisonError::into_inner);
            audited.next = audited.next.max(Position(end));
            audited.found = audited.found.take().or(found);
            reply.answer(Ok(audited.found.clone()));
        });
    }
}

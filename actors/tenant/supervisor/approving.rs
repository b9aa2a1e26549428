//! Requests that need somebody else's word: put before the tenant's people, shown to them, decided by them.
use super::actor::Supervisor;
use super::audit::failed;
use crate::approvals::messages::{ApprovalState, ApprovalView, DecideApproval, ReadApprovals};
use crate::approvals::records::ApprovalAsked;
use crate::approvals::rules::{Need, Open, Word};
use crate::entry::Entry;
use crate::turn::{Admitted, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::language::Action;

impl Supervisor {
    /// Ends a turn that needs somebody else's word; whoever is told that it waits finds it waiting.
    pub(super) fn put_before_people(&self, turn: Turn<Admitted>, need: &Need, word: Word) {
        let (recorded, rejection) = (self.recorded(word.entry().into_iter().collect()), word.rejection(need));
        actix::spawn(async move { turn.refuse(recorded.await.err().unwrap_or(rejection)) });
    }
}

/// Open requests with all that is asked, read from where they stand in the journal.
async fn shown(journal: Journal, open: Vec<Open>) -> Outcome<Vec<ApprovalView>> {
    let read_in = journal.clone();
    let read = bailiwick_kernel::residue::spawn_blocking(move || {
        let mut views = Vec::with_capacity(open.len());
        for open in open {
            if let Some((_, Entry::ApprovalAsked(asked))) = journal.entry::<Entry>(open.asked)? {
                views.push(view(open, *asked));
            }
        }
        Ok::<_, JournalError>(views)
    });
    let read = read.await.map_err(|_panicked| failed(&read_in, &"reading requests that wait panicked"))?;
    read.map_err(|error| failed(&read_in, &error))
}

fn view(open: Open, asked: ApprovalAsked) -> ApprovalView {
    let state = match open.approved {
        None => ApprovalState::Waiting,
        Some(true) => ApprovalState::Approved,
        Some(false) => ApprovalState::Refused,
    };
    ApprovalView {
        id: open.id,
        state,
        action: asked.action,
        subject: asked.subject,
        sha256: hex::encode(asked.digest),
        asked_by: asked.key_id,
        user_id: asked.user_id,
        asked_at: rfc3339(asked.at_unix_ms),
        until: rfc3339(open.until_unix_ms),
    }
}

impl Handler<ReadApprovals> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadApprovals, _: &mut Self::Context) {
        let ReadApprovals { principal, reply } = read;
        let permitted = self.permitted(Action::Read, &principal, "requests that need an approval");
        let journal = self.opened.as_ref().map(|opened| opened.belongings.journal.clone());
        let open = self.approvals.open(self.parts.clock.now_unix_ms());
        actix::spawn(async move {
            let outcome = async {
                permitted.await?;
                shown(journal.ok_or_else(Rejection::lost)?, open).await
            };
            reply.answer(outcome.await);
        });
    }
}

impl Handler<DecideApproval> for Supervisor {
    type Result = ();

    fn handle(&mut self, decide: DecideApproval, _: &mut Self::Context) {
        let DecideApproval { id, decision, by, reply } = decide;
        let now_unix_ms = self.parts.clock.now_unix_ms();
        let decided = match self.approvals.decide(&id, decision, &by, now_unix_ms) {
            Ok(decided) => decided,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let journal = self.opened.as_ref().map(|opened| opened.belongings.journal.clone());
        let (recorded, approvals) = (self.recorded(vec![decided]), self.approvals.clone());
        actix::spawn(async move {
            let outcome = async {
                recorded.await?;
                let open = approvals.open(now_unix_ms).into_iter().filter(|open| open.id == id).collect();
                let shown = shown(journal.ok_or_else(Rejection::lost)?, open).await?;
                shown.into_iter().next().ok_or_else(Rejection::lost)
            };
            reply.answer(outcome.await);
        });
    }
}

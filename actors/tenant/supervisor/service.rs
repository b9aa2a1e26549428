//! The shell of the service level: writes down what must stand in the journal, looks again when time has passed, shows how it
//! stands, and takes the words of those who override a freeze.
use super::actor::Supervisor;
use super::messages::Event;
use crate::entry::Entry;
use crate::slo::budget::allowed_ppm;
use crate::slo::messages::{KeepService, OverrideFreeze, ReadService};
use crate::slo::rules::ServiceRecord;
use actix::prelude::*;
use bailiwick_kernel::journal::Journal;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::schema::Objectives;
use std::sync::Arc;

/// Appends, or says what could not be.
///
/// Queued at once: what the tenant does next stands behind it.
pub(super) fn counted(
    journal: &Journal,
    entries: Vec<Entry>,
) -> impl Future<Output = Result<(), Vec<Entry>>> + Send + 'static + use<> {
    let append = (!entries.is_empty()).then(|| journal.append(&entries));
    let tenant = journal.tenant();
    async move {
        let Some(append) = append else { return Ok(()) };
        append.await.map(|_appended| ()).map_err(|error| {
            tracing::warn!(%tenant, %error, "what the service level came to could not be recorded yet");
            entries
        })
    }
}

impl Supervisor {
    /// Goes on from what the journal says, and tells the control plane how it stands.
    pub(super) fn follow_service(&mut self, record: &ServiceRecord, ctx: &mut Context<Self>) {
        let now_unix_ms = self.parts.clock.now_unix_ms();
        self.service.follow(record, now_unix_ms);
        self.sideways.tell_certainly(Event::ReleasesStand(self.service.frozen()));
        self.sideways.tell_noted(self.service.pass(now_unix_ms));
        self.tell_objective(&self.policy.slo);
        self.look_later(ctx);
    }

    /// Tells the control plane what the objective allows.
    pub(super) fn tell_objective(&self, objectives: &Objectives) {
        self.sideways.tell(Event::ObjectiveStands { allowed_ppm: allowed_ppm(objectives.availability) });
    }

    fn look_later(&mut self, ctx: &mut Context<Self>) {
        let Some(after) = self.service.look_after().filter(|_| !self.looking) else { return };
        self.looking = true;
        ctx.run_later(after, |supervisor, ctx| {
            supervisor.looking = false;
            let noted = supervisor.service.pass(supervisor.parts.clock.now_unix_ms());
            supervisor.sideways.tell_noted(noted);
            supervisor.keep_service();
            supervisor.look_later(ctx);
        });
    }

    /// Writes down what is owed. What cannot be written is owed again.
    fn keep_service(&self) {
        let Some(opened) = &self.opened else { return };
        let owed = self.service.take_owed(self.parts.clock.now_unix_ms());
        let (recording, service) = (counted(&opened.belongings.journal, owed), Arc::clone(&self.service));
        actix::spawn(async move {
            if let Err(entries) = recording.await {
                service.give_back(entries);
            }
        });
    }
}

impl Handler<KeepService> for Supervisor {
    type Result = ();

    fn handle(&mut self, KeepService: KeepService, ctx: &mut Self::Context) {
        self.keep_service();
        self.look_later(ctx);
    }
}

impl Handler<ReadService> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadService, _: &mut Self::Context) {
        read.reply.answer(Ok(self.service.view(self.parts.clock.now_unix_ms())));
    }
}

impl Handler<OverrideFreeze> for Supervisor {
    type Result = ();

    fn handle(&mut self, said: OverrideFreeze, _: &mut Self::Context) {
        let OverrideFreeze { wish, by, reply } = said;
        let now_unix_ms = self.parts.clock.now_unix_ms();
        let entry = match self.service.say(wish, &by, now_unix_ms) {
            Ok(entry) => entry,
            Err(rejection) => return reply.answer(Err(rejection)),
        };
        let (recorded, service) = (self.recorded(vec![entry.clone()]), Arc::clone(&self.service));
        let sideways = self.sideways.clone();
        actix::spawn(async move {
            let outcome: Outcome<_> = async {
                recorded.await?;
                let frozen = service.apply(&entry).ok_or_else(Rejection::lost)?;
                if let Entry::FreezeOverridden(overridden) = &entry {
                    let by = [overridden.asked_by.0.as_str(), overridden.agreed_by.0.as_str()];
                    tracing::warn!(tenant = %sideways.tenant(), ?by, "the release freeze is overridden");
                    sideways.tell_certainly(Event::ReleasesStand(Some(frozen)));
                }
                Ok(service.view(now_unix_ms).releases)
            }
            .await;
            reply.answer(outcome);
        });
    }
}

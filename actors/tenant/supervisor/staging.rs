//! A release on its way: which policy serves a turn, what its ending is written down as, and who may hurry or stop it.
use super::actor::Supervisor;
use super::messages::{Admit, Event, ReadRollout, SteerRollout};
use crate::entry::Entry;
use crate::rollout::rules::{Drawn, QualityStanding, Standing, Weighed};
use crate::rollout::{Exposure, KeepQuality, KeepStanding};
use actix::prelude::*;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::rollout::{Hold, Step};
use std::sync::Arc;

impl Supervisor {
    /// Gives a turn that belongs to no conversation one of its own while a release is on its way. A repeat under an
    /// `Idempotency-Key` is the same conversation.
    pub(super) fn name_conversation(&self, admit: &mut Admit) {
        if self.policy.control.is_some() && admit.wishes.conversation.is_none() {
            let key = admit.wishes.idempotency_key.clone();
            admit.wishes.conversation = Some(key.unwrap_or_else(|| hex::encode(self.parts.draw.draw())));
        }
    }

    /// The policy that serves a turn, and what it was given while a release is on its way.
    pub(super) fn serve(&self, admit: &Admit) -> (Arc<PolicySnapshot>, Option<Drawn>) {
        self.rollout.serve(&self.policy, admit.wishes.conversation.as_deref())
    }

    /// A turn's duty to say how it ended for the release it was given.
    pub(super) fn exposure(&self, drawn: Drawn, home: &Addr<Self>) -> Exposure {
        Exposure::new(Arc::clone(&self.rollout), drawn, home.clone().recipient(), home.clone().recipient())
    }

    /// Follows the rollout of the policy in force from where it stands; what has ended is told again.
    pub(super) fn follow_rollout(&self, standing: Option<Standing>, quality: Option<QualityStanding>) {
        self.rollout.follow(&self.policy, standing, quality);
        if let Some((release, end)) = self.rollout.ended() {
            self.sideways.tell_certainly(Event::RolloutEnded { release, end });
        }
    }

    /// Writes down where a rollout stands; it is so once that is durable.
    fn keep(&self, standing: Standing, by: Option<String>) -> impl Future<Output = Outcome<()>> + 'static + use<> {
        let entry = Entry::RolloutStands {
            standing: Box::new(standing.clone()),
            at_unix_ms: self.parts.clock.now_unix_ms(),
            by,
        };
        self.keep_entries(standing, &[entry])
    }

    fn keep_entries(
        &self,
        standing: Standing,
        entries: &[Entry],
    ) -> impl Future<Output = Outcome<()>> + 'static + use<> {
        let append = self.opened.as_ref().map(|opened| opened.belongings.journal.append(entries));
        let (rollout, sideways) = (Arc::clone(&self.rollout), self.sideways.clone());
        let tenant = self.parts.belongings.cipher.tenant();
        async move {
            let Some(append) = append else { return Err(Rejection::lost()) };
            append.await.map_err(|error| {
                tracing::error!(%tenant, %error, "where a rollout stands could not be recorded; it stays where it was");
                Rejection::new(
                    Code::Internal,
                    "the rollout could not be recorded; the operator finds the reason in the log",
                )
            })?;
            if let Some(end) = rollout.is_kept(&standing) {
                tracing::info!(%tenant, release = standing.release, ?end, "the rollout has ended");
                sideways.tell_certainly(Event::RolloutEnded { release: standing.release, end });
            }
            Ok(())
        }
    }
}

impl Handler<KeepStanding> for Supervisor {
    type Result = ();

    fn handle(&mut self, KeepStanding(standing): KeepStanding, _: &mut Self::Context) {
        let keeping = self.keep(standing, None);
        actix::spawn(async move {
            let _logged = keeping.await;
        });
    }
}

impl Handler<KeepQuality> for Supervisor {
    type Result = ();

    fn handle(&mut self, KeepQuality(Weighed { quality, standing }): KeepQuality, _: &mut Self::Context) {
        let weighed = Entry::QualityWeighed(Box::new(quality));
        let Some(standing) = standing else {
            let append = self.opened.as_ref().map(|opened| opened.belongings.journal.append(&[weighed]));
            let tenant = self.parts.belongings.cipher.tenant();
            actix::spawn(async move {
                if let Some(append) = append
                    && let Err(error) = append.await
                {
                    tracing::warn!(%tenant, %error, "what a rollout's answers came to could not be recorded; it is with the next");
                }
            });
            return;
        };
        let at_unix_ms = self.parts.clock.now_unix_ms();
        let ended = Entry::RolloutStands { standing: Box::new(standing.clone()), at_unix_ms, by: None };
        let keeping = self.keep_entries(standing, &[weighed, ended]);
        actix::spawn(async move {
            let _logged = keeping.await;
        });
    }
}

impl Handler<ReadRollout> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadRollout, _: &mut Self::Context) {
        read.reply.answer(Ok(self.rollout.view()));
    }
}

impl Supervisor {
    /// Why a release may not be given to everybody now.
    fn frozen(&self) -> Rejection {
        let (why, until) = if self.service.is_frozen(self.parts.clock.now_unix_ms()) {
            ("the tenant's error budget is used up", "there is some again, have two people override the freeze,")
        } else {
            ("the tenant's service level is breached", "it is kept again,")
        };
        let detail =
            format!("steering a rollout: releases are frozen while {why}; wait until {until} or send the release back");
        Rejection::new(Code::ReleasesFrozen, detail)
    }
}

fn none_on_its_way() -> Rejection {
    Rejection::new(Code::Conflict, "steering a rollout: no release is on its way; everybody has the same one")
}

impl Handler<SteerRollout> for Supervisor {
    type Result = ();

    fn handle(&mut self, steer: SteerRollout, _: &mut Self::Context) {
        let SteerRollout { event, by, reply } = steer;
        if self.rollout.ended().is_some() {
            return reply.answer(Err(none_on_its_way()));
        }
        let standing = match self.rollout.steer(event) {
            Some((Step::Hold(Hold::Frozen), None)) => {
                return reply.answer(Err(self.frozen()));
            }
            None | Some((_, None)) => return reply.answer(Err(none_on_its_way())),
            Some((_, Some(standing))) => standing,
        };
        let (keeping, rollout) = (self.keep(standing, Some(by)), Arc::clone(&self.rollout));
        actix::spawn(async move {
            let kept = keeping.await;
            reply.answer(kept.and_then(|()| rollout.view().ok_or_else(none_on_its_way)));
        });
    }
}

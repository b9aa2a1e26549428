//! A turn sets out: let in, ruled on, given its policy, and sent to its first room.
use super::actor::Supervisor;
use super::admission::is_serveable;
use super::messages::{Admit, AdmitAside};
use super::places::Permit;
use super::repeats::keyed::Keyed;
use crate::approvals::Met;
use crate::approvals::rules::Need;
use crate::query_ids;
use crate::question::{Matter, Passage};
use crate::rollout::rules::Drawn;
use crate::ruling::{Ruled, action_of};
use crate::turn::{Case, Turn};
use actix::prelude::*;
use bailiwick_kernel::mail::offer;
use bailiwick_kernel::outcome::{Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;

impl Supervisor {
    pub(super) fn start_turn(&mut self, mut admit: Admit, ctx: &mut Context<Self>) {
        if let Some(trace) = &admit.wishes.trace {
            trace.belongs_to(self.sideways.tenant(), &self.egress);
        }
        let now_ns = self.now_ns();
        let serveable = self.phase.admits().and_then(|()| is_serveable(&admit.matter));
        let admitted =
            serveable.and_then(|()| self.admission.admit(&admit.matter, &admit.principal, &admit.line, now_ns));
        let permit = match admitted {
            Ok(permit) => permit,
            Err(rejection) => {
                self.sideways.turned_away(rejection.code);
                return admit.line.reject(rejection);
            }
        };
        self.understand(&mut admit);
        self.name_conversation(&mut admit);
        let Some(key) = admit.wishes.idempotency_key.take() else {
            return self.set_out(admit, permit, None, &ctx.address());
        };
        let served = self.serve(&admit);
        match self.rule(&served.0, &admit) {
            // what is told again is ruled on like what is answered anew
            Ok(_permitted) => self.admit_keyed(key, admit, permit, ctx),
            refused => self.depart(admit, permit, None, served, refused, &ctx.address()),
        }
    }

    /// Sends a call of the tenant's own retrieval on its way.
    pub(super) fn start_aside(&self, aside: AdmitAside, home: &Addr<Self>) {
        let AdmitAside { matter, principal, wishes, deadline_ms, line } = aside;
        if let Err(rejection) = self.phase.admits() {
            return line.reject(rejection);
        }
        let permit = self.admission.beside();
        let admit = Admit { matter, principal, wishes, deadline_ms: Some(deadline_ms), line };
        self.set_out(admit, permit, None, home);
    }

    /// Sends an admitted turn on its way, where the policy permits it. The phase may have changed since it was admitted,
    /// but not the rooms' being there.
    pub(super) fn set_out(&self, admit: Admit, permit: Permit, idempotency_key: Option<Keyed>, home: &Addr<Self>) {
        let served = self.serve(&admit);
        let ruled = self.rule(&served.0, &admit);
        self.depart(admit, permit, idempotency_key, served, ruled, home);
    }

    fn depart(
        &self,
        admit: Admit,
        permit: Permit,
        idempotency_key: Option<Keyed>,
        (policy, drawn): (Arc<PolicySnapshot>, Option<Drawn>),
        ruled: Outcome<Ruled>,
        home: &Addr<Self>,
    ) {
        let Some(rooms) = &self.rooms else { return admit.line.reject(Rejection::lost()) };
        let exposure = drawn.map(|drawn| self.exposure(drawn, home));
        let Admit { matter, principal, wishes, deadline_ms, line } = admit;
        let now = self.parts.clock.now_unix_ms();
        let deadline_ms = deadline_ms.unwrap_or(self.parts.ask_deadline_ms).min(self.parts.ask_deadline_ms);
        let passes_through = matches!(matter, Matter::Chat(_) | Matter::Embed(_) | Matter::Rank(_));
        let sideways = if permit.takes_no_place() { self.sideways.unattended() } else { self.sideways.clone() };
        let case = Case {
            query_id: query_ids::fresh(self.parts.draw.as_ref(), now),
            matter,
            principal,
            policy,
            ruled: ruled.clone().unwrap_or_else(|_refused| Ruled::nothing()),
            arrived_unix_ms: wishes.arrived_unix_ms.map_or(now, |arrived| arrived.min(now)),
            admitted_unix_ms: now,
            deadline_unix_ms: now.saturating_add(deadline_ms),
            idempotency_key,
            cache_control: wishes.cache_control,
            remember_as: None,
            lookup: None,
            approval: None,
            permit: Some(permit),
            exposure,
            found_by_meaning: None,
            ranked_again: None,
            remembered_at: wishes.remembered_at,
            sideways,
        };
        let mut turn = Turn::admit(case, line, Arc::clone(&self.whereabouts), wishes.at_the_gateway);
        if let Some(trace) = wishes.trace {
            turn.trace(trace);
        }
        if let Err(rejection) = ruled {
            return turn.refuse(rejection);
        }
        if turn.case.ruled.obligations().approve {
            // what a model is told is what somebody has read
            turn.case.matter.stand_alone();
            let need = Need::of_matter(action_of(&turn.case.matter), &turn.case.matter, &turn.case.principal);
            match self.approvals.meet(&need, now) {
                Met::Approved(claim) => turn.case.approval = Some(claim),
                Met::Waits(word) => return self.put_before_people(turn, &need, word),
            }
        }
        if passes_through {
            let empty: Arc<[Passage]> = Arc::from([]);
            if let Err((turn, undelivered)) = offer(&rooms.cache.clone().recipient(), turn.ground(empty)) {
                turn.refuse(undelivered.into());
            }
        } else if let Err((turn, undelivered)) = offer(&rooms.retrieval.clone().recipient(), turn) {
            turn.refuse(undelivered.into());
        }
    }
}

impl Handler<AdmitAside> for Supervisor {
    type Result = ();

    fn handle(&mut self, aside: AdmitAside, ctx: &mut Self::Context) {
        self.start_aside(aside, &ctx.address());
    }
}

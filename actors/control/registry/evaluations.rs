//! A tenant's golden questions: asked when its owners and admins say so, and shown to its auditors.
use super::actor::Registry;
use super::directory::Tenant;
use super::handles::{AuditHandle, GovernHandle, call};
use super::messages::GovernRequest;
use super::pipeline::gone;
use super::rules::no_such_tenant;
use crate::gitops::messages::{Found, Sound};
use crate::schedule::messages::{ReadSchedules, Scheduled};
use actix::prelude::*;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_tenant::evaluation::Progress;
use bailiwick_tenant::evaluation::messages::{Evaluate, Evaluations, ReadEvaluations};

impl Registry {
    /// Has the tenant ask the questions its folder holds now.
    pub(super) fn evaluate_folder(
        &mut self,
        key: TenantKey,
        by: Principal,
        slot: ReplySlot<Progress>,
        ctx: &mut Context<Self>,
    ) {
        let (to, name) = match (self.open_doors(key), self.directory.tenant(key)) {
            (Ok(doors), Some(tenant)) => (doors.evaluate.clone(), tenant.name.clone()),
            (Err(rejection), _) => return slot.answer(Err(rejection)),
            (Ok(_), None) => return slot.answer(Err(no_such_tenant())),
        };
        let folders = self.folders.clone();
        let reading = move || match folders.load(&name) {
            Found::Compiled(Sound { golden, .. }) => {
                golden.map_err(|problem| Rejection::new(Code::PolicyDenied, problem))
            }
            Found::Broken(problem) => Err(Rejection::new(Code::PolicyDenied, problem)),
            Found::Gone => Err(gone()),
        };
        self.prepare(reading, ctx, move |_act, _ctx, found| match found {
            Err(rejection) => slot.answer(Err(rejection)),
            Ok(golden) => {
                let evaluate = Evaluate { golden: golden.to_vec(), by, due_unix_ms: None, reply: slot };
                if let Err((evaluate, undelivered)) = offer(&to, evaluate) {
                    evaluate.reply.answer(Err(undelivered.into()));
                }
            }
        });
    }
}

impl Handler<ReadSchedules> for Registry {
    type Result = ();

    fn handle(&mut self, ReadSchedules { reply }: ReadSchedules, _ctx: &mut Self::Context) {
        let scheduled = |tenant: &Tenant| {
            let wants = tenant.policy.as_ref().is_some_and(|policy| policy.settled().evaluation.every_hours.is_some());
            let doors = self.doors_of(tenant).filter(|_| wants && !tenant.destroying)?;
            let (due, evaluate) = (doors.evaluation_due.clone(), doors.evaluate.clone());
            Some(Scheduled { key: tenant.key, name: tenant.name.clone(), due, evaluate })
        };
        reply.answer(Ok(self.directory.tenants().filter_map(scheduled).collect()));
    }
}

impl AuditHandle {
    /// The last evaluations, newest first, and how far the one under way is.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn evaluations(&self) -> Outcome<Evaluations> {
        let principal = self.seal.principal.clone();
        call(&self.evaluations, |reply| ReadEvaluations { principal, reply }).await
    }
}

impl GovernHandle {
    /// Has the tenant's golden questions asked; answered when the first may be.
    ///
    /// # Errors
    /// `conflict` where they are being asked already, or there are none; `policy_denied` where they cannot be read.
    pub async fn evaluate(&self) -> Outcome<Progress> {
        self.govern(GovernRequest::Evaluate).await
    }
}

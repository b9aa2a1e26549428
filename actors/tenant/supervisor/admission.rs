//! Admission: rates and places at every level, deadline, policy. The right was checked where the handle was minted.
use super::places::{Permit, Places};
use crate::limits::rates::RequestRates;
use crate::limits::scope::Scope;
use crate::question::Matter;
use crate::turn::ReplyLine;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use std::time::Duration;

/// Members whose allowance is whole again are forgotten this often.
pub(super) const SWEEP: Duration = Duration::from_secs(60);

/// What one tenant, its domains, use cases, users and keys may ask in a time and at a time (specification 2.2 `quotas`).
#[derive(Debug)]
pub(super) struct Admission {
    rates: RequestRates,
    places: Places,
}

impl Admission {
    pub(super) fn new(policy: &PolicySnapshot) -> Self {
        let quotas = &policy.tenant.quotas;
        Self { rates: RequestRates::new(quotas), places: Places::new(quotas) }
    }

    /// Takes other quotas over; what is used and who is in flight stay counted.
    pub(super) fn adopt(&mut self, policy: &PolicySnapshot, now_ns: u64) {
        self.rates.adopt(&policy.tenant.quotas, now_ns);
        self.places.adopt(&policy.tenant.quotas);
    }

    /// Lets one turn in, counted at every level, or turns it away, counted at none. The tightest rate is noted on the
    /// line in either case.
    ///
    /// # Errors
    /// `rate_limited` with the exact wait; also where too many turns are in flight.
    pub(super) fn admit(
        &mut self,
        matter: &Matter,
        principal: &Principal,
        line: &ReplyLine,
        now_ns: u64,
    ) -> Result<Permit, Rejection> {
        let scope = Scope::of(matter, principal);
        // looked at before a place is taken, counted after: no refusal leaves a trace at another level
        let admitted = self.rates.peek(&scope, now_ns).map_err(Rejection::from).and_then(|()| self.places.take(&scope));
        let is_admitted = admitted.is_ok();
        line.note_requests(if is_admitted {
            self.rates.take(&scope, now_ns)
        } else {
            self.rates.figure(&scope, now_ns)
        });
        admitted
    }

    /// Lets a call in that is part of what is let in already: waited for like any other, counted nowhere.
    pub(super) fn beside(&self) -> Permit {
        self.places.beside()
    }

    /// Forgets members whose allowance is whole again; true while others are counted by name.
    pub(super) fn sweep(&mut self, now_ns: u64) -> bool {
        self.rates.sweep(now_ns);
        self.counts_members()
    }

    /// True while members are counted by name.
    pub(super) fn counts_members(&self) -> bool {
        self.rates.members() > 0
    }

    /// Resolves when no turn is in flight any more.
    pub(super) fn drained(&self) -> impl Future<Output = ()> + 'static + use<> {
        self.places.drained()
    }
}

/// Whether a passed-through model may be called at all is the budget's and routing's question; here only what no
/// room could serve is turned away.
///
/// # Errors
/// `invalid_request`.
pub(super) fn is_serveable(matter: &Matter) -> Result<(), Rejection> {
    match matter {
        Matter::Ask(question) if question.text.trim().is_empty() => {
            Err(Rejection::new(Code::InvalidRequest, "the question is empty; ask something"))
        }
        Matter::Search(search) if search.query.trim().is_empty() => {
            Err(Rejection::new(Code::InvalidRequest, "the query is empty; search for something"))
        }
        _ => Ok(()),
    }
}

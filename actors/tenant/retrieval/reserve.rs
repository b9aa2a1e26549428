//! Storage is counted before any work is done for a document: what arrives reserves its bytes, and only what becomes
//! durable keeps them.
use super::messages::NewDocument;
use super::prepare::{Failed, Occasion};
use super::rules::{Intake, document_facts, intake};
use super::truth::{Truth, TruthError};
use crate::limits::storage::{Ceilings, Claim, Footprint};
use crate::ruling::permitted;
use bailiwick_kernel::outcome::Outcome;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::language::{Action, Facts};
use bailiwick_policy::sovereignty::Cleared;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes reserved for one request. Given back by its own `Drop`: where the request is refused, fails, is dropped or
/// panics.
#[derive(Debug)]
pub struct Reserved {
    truth: Arc<Truth>,
    claim: Claim,
}

impl Reserved {
    /// Nothing reserved yet.
    #[must_use]
    pub fn nothing(truth: Arc<Truth>) -> Self {
        Self { truth, claim: Claim::default() }
    }

    /// Counts the request's documents anew, with everything reserved so far still in hand.
    pub fn recount(&mut self) {
        self.claim.recount();
    }

    /// Reserves what a document adds, at every level or at none.
    ///
    /// # Errors
    /// `quota_exceeded`.
    pub fn add(&mut self, former: Option<&Footprint>, document: &Footprint, ceilings: &Ceilings) -> Outcome<()> {
        self.truth.with_storage(|storage| storage.reserve(&mut self.claim, former, document, ceilings))
    }

    /// What of it is left, for whoever books what is kept.
    pub fn claim(&mut self) -> &mut Claim {
        &mut self.claim
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.truth.with_storage(|storage| storage.release(&mut self.claim));
    }
}

/// A document that has room, before it is parsed.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrived {
    /// What is known of it.
    pub intake: Intake,
    /// The document.
    pub document: NewDocument,
}

/// What becomes of each document of a request at its arrival, in order.
pub type Arrivals = Vec<Result<Arrived, Failed>>;

/// A request on its way in: its documents are looked at and their bytes reserved, each on its own.
pub struct Arriving {
    truth: Arc<Truth>,
    policy: Arc<PolicySnapshot>,
    asker: Facts,
    here: Cleared,
    ceilings: Ceilings,
    reserved: Reserved,
    /// What each id came to so far.
    earlier: BTreeMap<String, Footprint>,
    arrivals: Arrivals,
    trouble: Option<TruthError>,
}

impl Arriving {
    /// Nothing has arrived yet.
    #[must_use]
    pub fn new(truth: Arc<Truth>, occasion: &Occasion) -> Self {
        let (policy, asker, here) = (Arc::clone(&occasion.policy), occasion.asker.clone(), occasion.here.clone());
        let ceilings = Ceilings::of(&policy.tenant.quotas);
        let reserved = Reserved::nothing(Arc::clone(&truth));
        let (earlier, arrivals) = (BTreeMap::new(), Vec::new());
        Self { truth, policy, asker, here, ceilings, reserved, earlier, arrivals, trouble: None }
    }

    /// Looks at the next document, unless the shelf has failed before. Blocking.
    pub fn next(&mut self, document: NewDocument) {
        if self.trouble.is_none() {
            self.trouble = self.arrive(document).err();
        }
    }

    /// What has arrived, and what is reserved for it.
    ///
    /// # Errors
    /// [`TruthError`] where the shelf failed on the way.
    pub fn end(self) -> Result<(Arrivals, Reserved), TruthError> {
        self.trouble.map_or(Ok((self.arrivals, self.reserved)), Err)
    }

    fn arrive(&mut self, document: NewDocument) -> Result<(), TruthError> {
        let intake = match intake(&document, &self.here) {
            Ok(intake) => intake,
            Err(rejection) => {
                let (id, title) = (document.id.unwrap_or_default(), document.title.unwrap_or_default());
                self.arrivals.push(Err(Failed { id, title, rejection }));
                return Ok(());
            }
        };
        let facts = document_facts(self.asker.clone(), &intake, &self.policy.guard);
        if let Err(rejection) = permitted(&self.policy, Action::Ingest, &facts) {
            self.arrivals.push(Err(Failed::of(&intake, rejection)));
            return Ok(());
        }
        let footprint =
            Footprint { bytes: intake.bytes, domain: intake.domain.clone(), usecase: intake.usecase.clone() };
        let former = match self.earlier.get(&intake.id) {
            Some(former) => Some(former.clone()),
            None => self.truth.former(&intake.id)?.map(|held| Footprint::from(&held.accepted)),
        };
        self.arrivals.push(match self.reserved.add(former.as_ref(), &footprint, &self.ceilings) {
            Ok(()) => {
                self.earlier.insert(intake.id.clone(), footprint);
                Ok(Arrived { intake, document })
            }
            Err(rejection) => Err(Failed::of(&intake, rejection)),
        });
        Ok(())
    }
}

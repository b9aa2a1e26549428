//! The registry's door, and the knocks at it.
use super::handles::{AskHandle, AuditHandle, FeedbackHandle, FleetHandle, GovernHandle, IngestHandle, ObserveHandle};
use super::lobby::Lobby;
use super::messages::{Claim, Knock, Wanted};
use actix::Recipient;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Outcome, Rejection};

/// The registry's door: the one thing the edge is given at boot. It opens nothing; it can be knocked at.
#[derive(Clone, Debug)]
pub struct Door {
    pub(super) registry: Recipient<Knock>,
    pub(super) lobby: Lobby,
}

impl Door {
    async fn knock<T>(&self, claim: Claim, wanted: impl FnOnce(ReplySlot<T>) -> Wanted) -> Outcome<T> {
        let (slot, awaited) = ReplySlot::pair();
        if let Err(wanted) = self.lobby.grant(&claim, wanted(slot)) {
            offer(&self.registry, Knock { claim, wanted })
                .map_err(|(_knock, undelivered)| Rejection::from(undelivered))?;
        }
        awaited.outcome().await
    }

    /// Knocks for the right to ask.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden`, `tenant_suspended`; unknown and refused tenants answer alike.
    pub async fn ask(&self, claim: Claim) -> Outcome<AskHandle> {
        self.knock(claim, Wanted::Ask).await
    }

    /// Knocks for the right to ingest.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub async fn ingest(&self, claim: Claim) -> Outcome<IngestHandle> {
        self.knock(claim, Wanted::Ingest).await
    }

    /// Knocks for the right to judge.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub async fn feedback(&self, claim: Claim) -> Outcome<FeedbackHandle> {
        self.knock(claim, Wanted::Feedback).await
    }

    /// Knocks for the right to read.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub async fn audit(&self, claim: Claim) -> Outcome<AuditHandle> {
        self.knock(claim, Wanted::Audit).await
    }

    /// Knocks for the right to see figures.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub async fn observe(&self, claim: Claim) -> Outcome<ObserveHandle> {
        self.knock(claim, Wanted::Observe).await
    }

    /// Knocks for the right to govern.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub async fn govern(&self, claim: Claim) -> Outcome<GovernHandle> {
        self.knock(claim, Wanted::Govern).await
    }

    /// Knocks for the fleet; only the platform operator is let in.
    ///
    /// # Errors
    /// `unauthenticated`, `forbidden`.
    pub async fn fleet(&self, claim: Claim) -> Outcome<FleetHandle> {
        self.knock(claim, Wanted::Fleet).await
    }
}

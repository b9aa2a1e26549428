//! The registry's door, and the knocks at it.
use super::credentials;
use super::handles::{AskHandle, AuditHandle, FeedbackHandle, FleetHandle, GovernHandle, IngestHandle, ObserveHandle};
use super::lobby::Lobby;
use super::messages::{Claim, Knock, Wanted};
use crate::identity::checkpoint::Checkpoint;
use actix::Recipient;
use bailiwick_kernel::mail::{ReplySlot, offer};
use bailiwick_kernel::outcome::{Outcome, Rejection};

/// The registry's door: the one thing the edge is given at boot. It opens nothing; it can be knocked at.
#[derive(Clone, Debug)]
pub struct Door {
    pub(super) registry: Recipient<Knock>,
    pub(super) lobby: Lobby,
    pub(super) checkpoint: Checkpoint,
}

impl Door {
    async fn knock<T>(&self, claim: Claim, wanted: impl FnOnce(ReplySlot<T>) -> Wanted) -> Outcome<T> {
        let (slot, awaited) = ReplySlot::pair();
        let credential = claim.credential.as_ref();
        let key = credential.and_then(credentials::read);
        // what has the form of a key is a key; everything else may be a token
        let token = credential.filter(|_| key.is_none());
        let mark = token.and_then(|token| self.checkpoint.mark(token));
        let named = claim.tenant.as_deref();
        if let Err(wanted) = self.lobby.grant(key.as_ref().or(mark.as_ref()), named, wanted(slot)) {
            let token = match token.filter(|_| mark.is_some()) {
                Some(token) => self.checkpoint.pass(token).await,
                None => None,
            };
            offer(&self.registry, Knock { claim, token, wanted })
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

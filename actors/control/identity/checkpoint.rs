//! The checkpoint: tokens are verified before the registry's door, on the thread that shows them, against the key sets the
//! room has published. It waits for nothing but a key set that is being read because of this very token.
use super::messages::Refresh;
use super::rules::{Passed, Refusal, Refused, Standing, verify};
use crate::registry::credentials::ShownKey;
use actix::Recipient;
use arc_swap::ArcSwap;
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::mail::{ReplySlot, offer};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The key sets as they are published, and the room that reads them.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub(super) standing: Arc<ArcSwap<Standing>>,
    pub(super) room: Recipient<Refresh>,
    pub(super) clock: SharedClock,
    pub(super) said: Arc<Said>,
}

/// The second in which each reason was last logged: who shows wrong tokens must not be able to fill a disk.
#[derive(Default, Debug)]
pub(super) struct Said([AtomicU64; Refusal::ALL.len()]);

impl Checkpoint {
    /// What the lobby would know a token by; `None` where this node trusts no issuer.
    pub(crate) fn mark(&self, token: &SecretString) -> Option<ShownKey> {
        let standing = self.standing.load();
        (!standing.issuers.is_empty()).then(|| ShownKey::of_token(standing.version, token.expose_secret()))
    }

    /// Verifies a token. Whoever is refused learns nothing of the reason.
    pub(crate) async fn pass(&self, token: &SecretString) -> Option<Passed> {
        let seen_version = self.standing.load().version;
        let refused = match self.look(token) {
            Ok(passed) => return Some(passed),
            Err(refused) => refused,
        };
        let Refused { issuer: Some(issuer), why } = refused else { return self.note(refused) };
        if !why.may_be_cured() {
            return self.note(refused);
        }
        let (reply, awaited) = ReplySlot::pair();
        if offer(&self.room, Refresh { issuer, seen_version, reply }).is_ok() {
            let _read_or_not = awaited.outcome().await;
        }
        self.look(token).map_or_else(|refused| self.note(refused), Some)
    }

    fn look(&self, token: &SecretString) -> Result<Passed, Refused> {
        verify(&self.standing.load(), token.expose_secret(), self.clock.now_unix_ms())
    }

    fn note(&self, Refused { why, issuer }: Refused) -> Option<Passed> {
        metrics::counter!("bailiwick_tokens_refused_total", "reason" => why.as_str()).increment(1);
        let second = self.clock.now_unix_ms() / 1_000;
        let last = Refusal::ALL.iter().position(|one| *one == why).and_then(|place| self.said.0.get(place));
        if last.is_some_and(|last| last.swap(second, Ordering::Relaxed) != second) {
            let standing = self.standing.load();
            let issuer = issuer.and_then(|place| standing.issuers.get(place)).map(|trusted| trusted.issuer.host());
            // whose token it is nobody knows before it is verified
            tracing::warn!(tenant = "none", issuer = issuer.as_deref(), reason = why.as_str(), "a token is refused");
        }
        None
    }
}

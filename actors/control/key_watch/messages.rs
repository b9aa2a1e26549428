//! Whom the key watch asks and tells. It takes no messages.
use crate::registry::encryption::{KeyIsDue, KeyStanding, ReadKeyRules};
use actix::Recipient;

/// The registry's doors for it.
#[derive(Clone, Debug)]
pub struct Registry {
    /// Says what the tenants' files say of keys.
    pub rules: Recipient<ReadKeyRules>,
    /// Has keys made anew.
    pub due: Recipient<KeyIsDue>,
    /// Seals and unseals tenants.
    pub standing: Recipient<KeyStanding>,
}

//! A tenant's flags: the same question under two rights. Whoever asks with a context may have any role; whoever reads the
//! flags as they are written has to be one that reads policies.
use super::handles::{AuditHandle, ObserveHandle, call};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_tenant::supervisor::messages::{FlagsInForce, ReadFlags};

impl ObserveHandle {
    /// The flags in force, to be evaluated for a context.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn flags(&self) -> Outcome<FlagsInForce> {
        call(&self.flags, |reply| ReadFlags { reply }).await
    }
}

impl AuditHandle {
    /// The flags in force, as they are written.
    ///
    /// # Errors
    /// The tenant's refusal.
    pub async fn flags(&self) -> Outcome<FlagsInForce> {
        call(&self.flags, |reply| ReadFlags { reply }).await
    }
}

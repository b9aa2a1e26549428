//! What follows from a look at a customer's key. Pure.
use crate::kms::custody::Look;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::KEY_UNREACHED_MS;
use std::collections::BTreeMap;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing.
    Nothing,
    /// The tenant is closed, for this reason.
    Seal(String),
    /// The tenant is opened again.
    Unseal,
    /// Its keys are wrapped by the key it names now.
    Adopt,
}

/// When each customer's key was last to be had.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Watched {
    good_unix_ms: BTreeMap<TenantKey, u64>,
}

impl Watched {
    /// Judges a look that began at a time. A key that is withheld seals at once; one nobody says anything about does so after
    /// [`KEY_UNREACHED_MS`], counted from when it was last to be had, or from the first look.
    pub fn judge(&mut self, tenant: TenantKey, is_sealed: bool, look: Look, began_unix_ms: u64) -> Verdict {
        match look {
            Look::Good | Look::Adopt => {
                self.good_unix_ms.insert(tenant, began_unix_ms);
                match (is_sealed, look) {
                    (true, _) => Verdict::Unseal,
                    (false, Look::Adopt) => Verdict::Adopt,
                    (false, _) => Verdict::Nothing,
                }
            }
            Look::Withheld(_) | Look::Unreached(_) if is_sealed => Verdict::Nothing,
            Look::Withheld(said) => Verdict::Seal(said),
            Look::Unreached(said) => {
                let good = self.good_unix_ms.entry(tenant).or_insert(began_unix_ms);
                // a clock that was set back gives no more time than there is
                *good = (*good).min(began_unix_ms);
                let silent_ms = began_unix_ms.saturating_sub(*good);
                if silent_ms < KEY_UNREACHED_MS {
                    return Verdict::Nothing;
                }
                Verdict::Seal(format!(
                    "who holds the key has said nothing about it for {} s: {said}",
                    silent_ms / 1_000
                ))
            }
        }
    }

    /// Forgets who is not looked at any more.
    pub fn keep_only(&mut self, is_watched: impl Fn(TenantKey) -> bool) {
        self.good_unix_ms.retain(|tenant, _| is_watched(*tenant));
    }
}

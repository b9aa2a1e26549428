//! Which tenants are overdue: expectations and the time in, verdicts out.
use super::messages::Expect;
use crate::registry::messages::Verdict;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_policy::commit::{Committed, Standing};
use bailiwick_policy::compile::PolicySnapshot;
use std::collections::BTreeMap;

/// Acknowledgements that are outstanding.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Outstanding {
    pushes: BTreeMap<u64, (u64, Expect)>,
}

impl Outstanding {
    /// Notes a push; returns when it is due.
    pub fn expect(&mut self, expect: Expect, now_unix_ms: u64) -> u64 {
        let due_unix_ms = now_unix_ms.saturating_add(ACKNOWLEDGE_MS);
        self.pushes.insert(expect.push, (due_unix_ms, expect));
        due_unix_ms
    }

    /// Notes an answer; one that comes after the verdict changes nothing.
    pub fn heard(&mut self, push: u64) {
        self.pushes.remove(&push);
    }

    /// Takes out everything that is overdue.
    pub fn overdue(&mut self, now_unix_ms: u64) -> Vec<Verdict> {
        let late: Vec<_> =
            self.pushes.iter().filter(|(_, (due, _))| *due <= now_unix_ms).map(|(push, _)| *push).collect();
        late.iter().filter_map(|push| self.pushes.remove(push)).map(|(_, expect)| verdict(expect)).collect()
    }
}

/// Why what an incarnation enforces is not what was committed; `None` where it is. Signatures that have expired since, and
/// signers that are no longer trusted, stop the next change and not the service.
#[must_use]
pub fn deviation(
    expected: &PolicySnapshot,
    committed: Option<&Committed>,
    enforced: &PolicySnapshot,
    now_unix_s: i64,
) -> Option<String> {
    if !enforced.is_same_as(expected) {
        return Some(format!("it enforces policy {} of other files than were committed", enforced.version));
    }
    match enforced.standing(committed, now_unix_s) {
        Ok(Standing::Unchanged) => None,
        Ok(Standing::Follows { .. }) => Some("what it enforces stands in no journal".to_owned()),
        Err(errors) => Some(format!(
            "what it enforces is not what was committed: {}",
            errors.first().map(ToString::to_string).unwrap_or_default()
        )),
    }
}

/// Incarnations that deviated at the last look. A policy that is being adopted deviates for a moment; who deviates in the
/// same way at two looks does not adopt one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Suspects(BTreeMap<(TenantKey, Generation), String>);

impl Suspects {
    /// Who deviated at the last look, and how.
    #[must_use]
    pub fn by_tenant(&self) -> BTreeMap<TenantKey, String> {
        self.0.iter().map(|((tenant, _), reason)| (*tenant, reason.clone())).collect()
    }

    /// Notes what a look found; gives a verdict on those that were found so at the look before.
    pub fn look(&mut self, deviating: BTreeMap<(TenantKey, Generation), String>) -> Vec<Verdict> {
        let before = std::mem::replace(&mut self.0, deviating);
        let again = self.0.iter().filter(|(who, reason)| before.get(*who) == Some(*reason));
        again
            .map(|((tenant, generation), reason)| Verdict {
                tenant: *tenant,
                generation: *generation,
                reason: reason.clone(),
            })
            .collect()
    }
}

fn verdict(expect: Expect) -> Verdict {
    Verdict {
        tenant: expect.tenant,
        generation: expect.generation,
        reason: format!("it did not acknowledge policy {} within {ACKNOWLEDGE_MS} ms", expect.version),
    }
}

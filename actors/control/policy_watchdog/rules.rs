//! Which tenants are overdue: expectations and the time in, verdicts out.
use super::messages::Expect;
use crate::registry::messages::Verdict;
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
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

fn verdict(expect: Expect) -> Verdict {
    Verdict {
        tenant: expect.tenant,
        generation: expect.generation,
        reason: format!("it did not acknowledge policy {} within {ACKNOWLEDGE_MS} ms", expect.version),
    }
}

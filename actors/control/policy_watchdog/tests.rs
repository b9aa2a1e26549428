use super::messages::Expect;
use super::rules::Outstanding;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use proptest::prelude::*;
use std::collections::BTreeSet;
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "test")]
fn expect(push: u64) -> Expect {
    Expect {
        push,
        tenant: TenantKey::mint(Uuid::from_u128(u128::from(push))),
        generation: Generation(push),
        version: "1.0.0".into(),
    }
}

#[test]
fn who_is_late_is_closed_and_who_answers_is_not() {
    let mut outstanding = Outstanding::default();
    assert_eq!(outstanding.expect(expect(1), 100), 100 + ACKNOWLEDGE_MS);
    outstanding.expect(expect(2), 100);
    outstanding.heard(1);
    assert!(outstanding.overdue(99 + ACKNOWLEDGE_MS).is_empty(), "not a millisecond early");
    let verdicts = outstanding.overdue(100 + ACKNOWLEDGE_MS);
    assert_eq!(verdicts.len(), 1);
    assert_eq!(verdicts[0].generation, Generation(2));
    assert!(verdicts[0].reason.contains("1.0.0"));
    assert!(outstanding.overdue(u64::MAX).is_empty(), "one verdict a push");
}

proptest! {
    #[test]
    fn every_push_ends_exactly_once(answered in proptest::collection::vec(any::<bool>(), 0..50)) {
        let mut outstanding = Outstanding::default();
        let pushes = answered.iter().enumerate().map(|(number, answered)| (number as u64, *answered));
        for (push, answered) in pushes.clone() {
            outstanding.expect(expect(push), push);
            if answered {
                outstanding.heard(push);
            }
        }
        let closed: BTreeSet<_> = outstanding.overdue(u64::MAX).into_iter().map(|verdict| verdict.generation.0).collect();
        let silent: BTreeSet<_> = pushes.filter(|(_, answered)| !answered).map(|(push, _)| push).collect();
        prop_assert_eq!(closed, silent);
    }
}

use super::messages::Expect;
use super::rules::{Outstanding, Suspects, deviation};
use crate::registry::fixtures::{ACME, policy_of, record};
use crate::registry::messages::{Enforcing, ReadEnforcing, Verdict};
use actix::prelude::*;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::ids::{Generation, TenantKey};
use bailiwick_kernel::limits::ACKNOWLEDGE_MS;
use bailiwick_policy::commit::{Committed, Standing};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_tenant::supervisor::messages::{AuditAnswers, ReadPolicy};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::mpsc;
use uuid::Uuid;

const NOW_S: i64 = 1_760_000_000;

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

#[test]
fn what_is_enforced_is_held_against_files_and_journal() {
    let policy = policy_of(&record("acme", ACME));
    let Ok(Standing::Follows { committed, .. }) = policy.standing(None, NOW_S) else {
        panic!("it may come into force")
    };
    assert_eq!(deviation(&policy, Some(&committed), &policy, NOW_S), None);
    let other = deviation(&other_files(&policy), Some(&committed), &policy, NOW_S);
    assert!(other.is_some_and(|reason| reason.contains("of other files than were committed")));
    let unwritten = deviation(&policy, None, &policy, NOW_S);
    assert!(unwritten.is_some_and(|reason| reason.contains("stands in no journal")));
    let mut later = committed;
    later.files.values_mut().for_each(|file| (file.version, file.digest) = ("9.0.0".into(), String::new()));
    let older = deviation(&policy, Some(&later), &policy, NOW_S);
    assert!(older.is_some_and(|reason| reason.contains("1.0.0 is not newer than 9.0.0")));
}

#[test]
fn who_brings_a_release_to_everybody_too_soon_deviates() {
    let policy = policy_of(&record("acme", ACME));
    let Ok(Standing::Follows { committed, .. }) = policy.standing(None, NOW_S) else {
        panic!("it may come into force")
    };
    let staged = policy.in_stages(&other_files(&policy));
    assert_eq!(deviation(&staged, Some(&committed), &staged, NOW_S), None);
    let too_soon = deviation(&staged, Some(&committed), &policy, NOW_S);
    assert!(too_soon.is_some_and(|reason| reason.contains("of other files than were committed")));
}

fn other_files(policy: &PolicySnapshot) -> PolicySnapshot {
    PolicySnapshot { digest: "of other files".to_owned(), ..policy.clone() }
}

/// Stands for the registry and for two supervisors: one enforces what was committed, one does not.
struct Fake {
    committed: Option<Committed>,
    policy: Arc<PolicySnapshot>,
    /// What is found in the journal of the first tenant.
    found: Option<String>,
    verdicts: mpsc::UnboundedSender<Verdict>,
}

impl Actor for Fake {
    type Context = Context<Self>;
}

impl Handler<Verdict> for Fake {
    type Result = ();
    fn handle(&mut self, verdict: Verdict, _: &mut Self::Context) {
        let _ended = self.verdicts.send(verdict);
    }
}

impl Handler<ReadEnforcing> for Fake {
    type Result = ();
    fn handle(&mut self, ReadEnforcing { reply }: ReadEnforcing, ctx: &mut Self::Context) {
        let of = |number: u64, expected: PolicySnapshot| Enforcing {
            tenant: expect(number).tenant,
            generation: Generation(number),
            expected: Arc::new(expected),
            committed: self.committed.clone().map(Arc::new),
            policy: ctx.address().recipient(),
            answers: ctx.address().recipient(),
        };
        reply.answer(Ok(vec![of(1, (*self.policy).clone()), of(2, other_files(&self.policy))]));
    }
}

impl Handler<AuditAnswers> for Fake {
    type Result = ();
    fn handle(&mut self, AuditAnswers { reply }: AuditAnswers, _: &mut Self::Context) {
        reply.answer(Ok(self.found.clone()));
    }
}

impl Handler<ReadPolicy> for Fake {
    type Result = ();
    fn handle(&mut self, ReadPolicy { reply }: ReadPolicy, _: &mut Self::Context) {
        reply.answer(Ok(Arc::clone(&self.policy)));
    }
}

#[actix::test]
async fn who_enforces_something_else_is_closed_and_nobody_else() {
    tokio::time::pause();
    let policy = policy_of(&record("acme", ACME));
    let Ok(Standing::Follows { committed, .. }) = policy.standing(None, NOW_S) else {
        panic!("it may come into force")
    };
    let (verdicts, mut seen) = mpsc::unbounded_channel();
    let fake = Fake { committed: Some(committed), policy, found: None, verdicts }.start();
    let clock = ManualClock::at(NOW_S.unsigned_abs() * 1_000);
    let _watchdog = super::start(clock, fake.clone().recipient(), fake.recipient());
    let verdict = seen.recv().await.unwrap();
    assert_eq!((verdict.tenant, verdict.generation), (expect(2).tenant, Generation(2)));
    let again = seen.recv().await.unwrap();
    assert_eq!(again.generation, Generation(2), "until the registry has closed it, and never the other one");
}

#[test]
fn one_look_is_no_verdict() {
    let mut suspects = Suspects::default();
    let found = |reason: &str| BTreeMap::from([((expect(1).tenant, Generation(1)), reason.to_owned())]);
    assert_eq!(suspects.look(found("adopting")), []);
    assert_eq!(suspects.look(BTreeMap::new()), []);
    assert_eq!(suspects.look(found("adopting")), []);
    assert_eq!(suspects.look(found("something else")), []);
    assert_eq!(suspects.look(found("something else")).len(), 1);
}

#[actix::test]
async fn who_gave_an_answer_its_policy_does_not_allow_is_closed() {
    tokio::time::pause();
    let policy = policy_of(&record("acme", ACME));
    let Ok(Standing::Follows { committed, .. }) = policy.standing(None, NOW_S) else {
        panic!("it may come into force")
    };
    let (verdicts, mut seen) = mpsc::unbounded_channel();
    let found = Some("1 answers stand in its journal".to_owned());
    let fake = Fake { committed: Some(committed), policy, found, verdicts }.start();
    let clock = ManualClock::at(NOW_S.unsigned_abs() * 1_000);
    let _watchdog = super::start(clock, fake.clone().recipient(), fake.recipient());
    let both = [seen.recv().await.unwrap(), seen.recv().await.unwrap()];
    let reasons: BTreeMap<_, _> = both.into_iter().map(|verdict| (verdict.generation.0, verdict.reason)).collect();
    assert_eq!(reasons[&1], "1 answers stand in its journal");
    assert!(reasons[&2].contains("of other files than were committed"), "asked first: {reasons:?}");
}

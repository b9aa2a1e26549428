use super::messages::Registry;
use super::rules::{Verdict, Watched};
use crate::kms::custody::Look;
use crate::kms::holder_fixture::{Holder, Mood};
use crate::kms::rules::Rotation;
use crate::kms::tests::tenant;
use crate::kms::{KeyService, RootSource, Setting};
use crate::registry::encryption::{KeyIsDue, KeyRules, KeyStanding, ReadKeyRules};
use actix::prelude::*;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::limits::{KEY_UNREACHED_MS, KEY_WITHDRAW_MS, SEALED_WITHIN_MS};
use bailiwick_kernel::shelf::Traces;
use bailiwick_policy::sovereignty::Region;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio::time::Instant;

const NOW: u64 = 1_760_000_000_000;
const OWN: &str = "vault:local:transit/acme";
const DAY_MS: u64 = 86_400_000;

fn withheld() -> Look {
    Look::Withheld("it is disabled".to_owned())
}

fn silent() -> Look {
    Look::Unreached("no answer".to_owned())
}

#[test]
fn what_is_withheld_seals_at_once_and_what_is_given_back_unseals() {
    let mut watched = Watched::default();
    let mut judge = |is_sealed, look, now_unix_ms| watched.judge(tenant(1), is_sealed, look, now_unix_ms);
    assert_eq!(judge(false, Look::Good, NOW), Verdict::Nothing);
    assert_eq!(judge(false, Look::Adopt, NOW), Verdict::Adopt);
    assert_eq!(judge(false, withheld(), NOW + 1), Verdict::Seal("it is disabled".to_owned()));
    assert_eq!(judge(true, withheld(), NOW + 2), Verdict::Nothing);
    assert_eq!(judge(true, silent(), NOW + 2 * KEY_UNREACHED_MS), Verdict::Nothing);
    assert_eq!(judge(true, Look::Good, NOW + 3), Verdict::Unseal);
    assert_eq!(judge(true, Look::Adopt, NOW + 3), Verdict::Unseal, "it adopts as it opens");
}

#[test]
fn silence_is_borne_for_a_while_and_no_longer_whatever_the_clock_does() {
    let mut watched = Watched::default();
    let mut judge = |look, now_unix_ms| watched.judge(tenant(1), false, look, now_unix_ms);
    assert_eq!(judge(silent(), NOW), Verdict::Nothing, "never good so far: counted from the first look");
    assert_eq!(judge(silent(), NOW + KEY_UNREACHED_MS - 1), Verdict::Nothing);
    assert_eq!(judge(Look::Good, NOW + KEY_UNREACHED_MS - 1), Verdict::Nothing);
    assert_eq!(judge(silent(), NOW + 2 * KEY_UNREACHED_MS - 2), Verdict::Nothing);
    let Verdict::Seal(reason) = judge(silent(), NOW + 2 * KEY_UNREACHED_MS - 1) else { panic!("it must seal") };
    assert!(reason.contains("for 60 s: no answer"), "{reason}");
    // a clock set back an hour: the time that passes from there counts
    let mut watched = Watched::default();
    let mut judge = |look, now_unix_ms| watched.judge(tenant(1), false, look, now_unix_ms);
    judge(Look::Good, NOW);
    assert_eq!(judge(silent(), NOW - 3_600_000), Verdict::Nothing);
    assert!(matches!(judge(silent(), NOW - 3_600_000 + KEY_UNREACHED_MS), Verdict::Seal(_)));
}

/// Says what the files say, and hears what follows.
struct Fake {
    rules: Arc<Mutex<Vec<KeyRules>>>,
    due: mpsc::UnboundedSender<KeyIsDue>,
    standing: mpsc::UnboundedSender<KeyStanding>,
}

impl Actor for Fake {
    type Context = Context<Self>;
}

impl Handler<ReadKeyRules> for Fake {
    type Result = ();
    fn handle(&mut self, ReadKeyRules { reply }: ReadKeyRules, _: &mut Self::Context) {
        reply.answer(Ok(self.rules.lock().unwrap().clone()));
    }
}

impl Handler<KeyIsDue> for Fake {
    type Result = ();
    fn handle(&mut self, due: KeyIsDue, _: &mut Self::Context) {
        let _ended = self.due.send(due);
    }
}

impl Handler<KeyStanding> for Fake {
    type Result = ();
    fn handle(&mut self, standing: KeyStanding, _: &mut Self::Context) {
        let is_sealed = standing.withheld.is_some();
        let mut rules = self.rules.lock().unwrap();
        rules.iter_mut().filter(|rule| rule.tenant == standing.tenant).for_each(|rule| rule.is_sealed = is_sealed);
        let _ended = self.standing.send(standing);
    }
}

struct Scene {
    _data: tempfile::TempDir,
    holder: Holder,
    keys: KeyService,
    clock: Arc<ManualClock>,
    due: mpsc::UnboundedReceiver<KeyIsDue>,
    standing: mpsc::UnboundedReceiver<KeyStanding>,
}

/// Tenants 1 with a key of its own and 2 without, both open, watched.
fn scene(rotation_days: Option<u32>) -> Scene {
    let (data, holder, clock) = (tempfile::tempdir().unwrap(), Holder::default(), ManualClock::at(NOW));
    holder.set("transit/acme", Mood::Good);
    let (root, region, outside) = (RootSource::File, Region::default(), vec![Box::new(holder.clone()) as _]);
    let shared = Arc::clone(&clock) as Arc<_>;
    let setting = Setting { data: data.path(), root: &root, region: &region, outside, clock: Arc::clone(&shared) as _ };
    let keys = KeyService::start(setting).unwrap();
    for (number, own) in [(1, Some(OWN)), (2, None)] {
        keys.cipher_under(tenant(number), keys.custody(own).wish(), || Ok(Traces::None)).unwrap();
    }
    let rule = |number, kms_key_id: Option<&str>| KeyRules {
        tenant: tenant(number),
        rotation_days,
        kms_key_id: kms_key_id.map(str::to_owned),
        is_open: true,
        is_sealed: false,
    };
    let rules = Arc::new(Mutex::new(vec![rule(1, Some(OWN)), rule(2, None)]));
    let ((due, dues), (standing, standings)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let fake = Fake { rules, due, standing }.start();
    let registry =
        Registry { rules: fake.clone().recipient(), due: fake.clone().recipient(), standing: fake.recipient() };
    let _watch = super::start(keys.clone(), shared, registry);
    Scene { _data: data, holder, keys, clock, due: dues, standing: standings }
}

#[actix::test]
async fn a_key_taken_back_is_noticed_in_time_and_given_back_too() {
    tokio::time::pause();
    let mut scene = scene(None);
    let began = Instant::now();
    scene.holder.set("transit/acme", Mood::Disabled);
    let standing = scene.standing.recv().await.unwrap();
    assert_eq!(standing, KeyStanding { tenant: tenant(1), withheld: Some("it is disabled".to_owned()) });
    // by the paused clock: what is left is for the rooms to end
    assert!(began.elapsed().as_millis() < u128::from(SEALED_WITHIN_MS - KEY_WITHDRAW_MS), "{:?}", began.elapsed());
    let calls = scene.holder.calls("transit/acme");
    scene.holder.set("transit/acme", Mood::Good);
    let standing = scene.standing.recv().await.unwrap();
    assert_eq!(standing, KeyStanding { tenant: tenant(1), withheld: None });
    assert!(scene.holder.calls("transit/acme") - calls <= 2, "by the next look");
    assert!(scene.due.try_recv().is_err(), "nothing is due");
}

#[actix::test]
async fn a_key_that_was_named_after_the_tenant_was_opened_is_taken() {
    tokio::time::pause();
    let mut scene = scene(None);
    scene.keys.cipher_under(tenant(1), crate::kms::Wish::Root, || panic!("it has a keyring")).unwrap();
    let due = scene.due.recv().await.unwrap();
    assert_eq!(due, KeyIsDue { tenant: tenant(1), rotation: Rotation::OfAnotherHolder });
    assert!(scene.standing.try_recv().is_err());
}

#[actix::test]
async fn old_keys_are_due_and_young_ones_are_not() {
    tokio::time::pause();
    let mut scene = scene(Some(90));
    scene.clock.advance(90 * DAY_MS);
    let due = [scene.due.recv().await.unwrap(), scene.due.recv().await.unwrap()];
    let rotation = Rotation::OlderThanDays(90);
    assert_eq!(due, [1, 2].map(|number| KeyIsDue { tenant: tenant(number), rotation }));
    for number in [1, 2] {
        let custody = scene.keys.custody((number == 1).then_some(OWN));
        scene.keys.rotate(tenant(number), custody.wish(), rotation).unwrap().unwrap();
    }
    while scene.due.try_recv().is_ok() {}
    scene.clock.advance(89 * DAY_MS);
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert!(scene.due.try_recv().is_err(), "they are young");
}

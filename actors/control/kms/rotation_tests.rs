//! Keys that grow old: what is due and when, what of it is bound, and that nobody who reads notices.
use super::keyring::{Keyring, Version};
use super::rules::{Due, Newest, Rotation, due};
use super::tests::tenant;
use super::{KeyError, KeyService, RootSource, Setting, Wish, shown};
use bailiwick_kernel::cipher::{Cipher, Purpose};
use bailiwick_kernel::clock::{Clock, ManualClock};
use bailiwick_kernel::limits::{KEY_VERSIONS_MAX, KEY_VERSIONS_ON_DEMAND_MAX};
use bailiwick_kernel::shelf::Traces;
use bailiwick_policy::sovereignty::Region;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NOW: u64 = 1_760_000_000_000;
const DAY_MS: u64 = 86_400_000;
const QUARTER: Rotation = Rotation::OlderThanDays(90);

fn at(data: &Path, clock: &Arc<ManualClock>) -> KeyService {
    let (root, region) = (RootSource::File, Region::default());
    let clock = Arc::clone(clock) as _;
    KeyService::start(Setting { data, root: &root, region: &region, outside: Vec::new(), clock }).unwrap()
}

fn opened(keys: &KeyService, number: u128) -> Cipher {
    keys.cipher_for(tenant(number), || Ok(Traces::None)).unwrap()
}

#[test]
fn a_key_is_due_by_its_age_and_a_full_keyring_leaves_room_for_age() {
    let newest =
        |number: usize, made_unix_ms| Newest { number: u32::try_from(number).unwrap(), made_unix_ms, key_id: None };
    let full = KEY_VERSIONS_MAX;
    let cases = [
        (newest(1, Some(NOW)), QUARTER, NOW, Due::No),
        (newest(1, Some(NOW)), QUARTER, NOW + 90 * DAY_MS - 1, Due::No),
        (newest(1, Some(NOW)), QUARTER, NOW + 90 * DAY_MS, Due::Yes),
        (newest(1, Some(NOW)), QUARTER, NOW - DAY_MS, Due::No),
        (newest(1, None), QUARTER, NOW, Due::Yes),
        (newest(1, Some(NOW)), Rotation::OlderThanDays(u32::MAX), u64::MAX, Due::Yes),
        (newest(full - 1, Some(0)), QUARTER, NOW, Due::Yes),
        (newest(full, Some(0)), QUARTER, NOW, Due::Full),
        (newest(full, Some(NOW)), QUARTER, NOW, Due::No),
        (newest(1, Some(NOW)), Rotation::OnDemand, NOW, Due::Yes),
        (newest(KEY_VERSIONS_ON_DEMAND_MAX - 1, Some(NOW)), Rotation::OnDemand, NOW, Due::Yes),
        (newest(KEY_VERSIONS_ON_DEMAND_MAX, Some(NOW)), Rotation::OnDemand, NOW, Due::Full),
        (newest(KEY_VERSIONS_ON_DEMAND_MAX, Some(0)), QUARTER, NOW, Due::Yes),
        (newest(1, None), Rotation::OfAnotherHolder, NOW, Due::No),
    ];
    for (newest, rotation, now_unix_ms, expected) in cases {
        assert_eq!(due(&newest, rotation, now_unix_ms), expected, "{newest:?} {rotation:?} {now_unix_ms}");
    }
}

#[test]
fn a_key_is_made_anew_when_it_is_old_and_whoever_has_it_open_seals_under_it_at_once() {
    let (data, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOW));
    let keys = at(data.path(), &clock);
    let (cipher, other) = (opened(&keys, 1), opened(&keys, 2));
    let before = cipher.seal(Purpose::Blob, b"name", b"secret").unwrap();
    clock.advance(90 * DAY_MS - 1);
    assert_eq!(keys.rotate(tenant(1), Wish::AsItIs, QUARTER).unwrap(), None);
    assert_eq!(cipher.newest_version(), 1);
    clock.advance(1);
    let newest = Newest { number: 2, made_unix_ms: Some(clock.now_unix_ms()), key_id: None };
    assert_eq!(keys.rotate(tenant(1), Wish::AsItIs, QUARTER).unwrap(), Some(newest.clone()));
    assert_eq!(keys.rotate(tenant(1), Wish::AsItIs, QUARTER).unwrap(), None, "it is young now");
    assert_eq!((cipher.newest_version(), other.newest_version(), keys.newest(tenant(1))), (2, 1, Some(newest)));
    let after = cipher.seal(Purpose::Blob, b"name", b"secret").unwrap();
    assert_eq!((before[4], after[4]), (1, 2), "the version stands in the head");
    keys.rotate(tenant(1), Wish::AsItIs, Rotation::OnDemand).unwrap().unwrap();
    for reader in [cipher, opened(&keys, 1), opened(&at(data.path(), &clock), 1)] {
        assert_eq!(reader.newest_version(), 3);
        for sealed in [&before, &after] {
            assert_eq!(reader.open(Purpose::Blob, b"name", sealed).unwrap(), b"secret");
        }
    }
    assert!(matches!(keys.rotate(tenant(9), Wish::AsItIs, QUARTER), Err(KeyError::Lost { .. })), "it has no keyring");
}

#[test]
fn a_keyring_older_than_times_is_read_and_its_key_is_old() {
    let (data, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOW));
    let keys = at(data.path(), &clock);
    let sealed = opened(&keys, 1).seal(Purpose::Blob, b"name", b"secret").unwrap();
    // as builds wrote it that knew no times: the same key, wrapped without one
    let keyring = keys.keyring_of(tenant(1)).unwrap();
    let key = keys.unwrap_all(&keyring, tenant(1)).unwrap().remove(0);
    let bare = Version { made_unix_ms: None, ..keyring.versions[0].clone() };
    let mut old = Keyring::empty(tenant(1), false);
    let wrapped = keys.wrap(&old, bare, "local-file", None, &key, tenant(1)).unwrap();
    old.push(wrapped);
    let text = String::from_utf8(old.bytes().unwrap()).unwrap().replace("\"format\": 2", "\"format\": 1");
    assert!(!text.contains("made") && !text.contains("key_id"), "{text}");
    std::fs::write(data.path().join(shown(tenant(1))), text).unwrap();
    let keys = at(data.path(), &clock);
    let cipher = opened(&keys, 1);
    assert_eq!(keys.newest(tenant(1)).unwrap().made_unix_ms, None);
    keys.rotate(tenant(1), Wish::AsItIs, QUARTER).unwrap().unwrap();
    for reader in [cipher, opened(&at(data.path(), &clock), 1)] {
        assert_eq!(reader.newest_version(), 2);
        assert_eq!(reader.open(Purpose::Blob, b"name", &sealed).unwrap(), b"secret");
    }
    assert!(std::fs::read_to_string(data.path().join(shown(tenant(1)))).unwrap().contains("\"format\": 2"));
}

#[test]
fn nobody_who_seals_and_opens_notices_rotation() {
    const ROTATIONS: u32 = 40;
    let (data, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(NOW));
    let keys = at(data.path(), &clock);
    let (cipher, going_on) = (opened(&keys, 1), AtomicBool::new(true));
    let (sealed, failed) = std::thread::scope(|scope| {
        let works = || {
            let (mut sealed, mut failed) = (Vec::new(), 0_usize);
            while going_on.load(Ordering::Relaxed) {
                let fresh = cipher.seal(Purpose::Record, b"", b"x").unwrap();
                let oldest = sealed.first().unwrap_or(&fresh);
                let opens = |bytes| cipher.open(Purpose::Record, b"", bytes).is_ok();
                failed += usize::from(!opens(&fresh)) + usize::from(!opens(oldest));
                sealed.push(fresh);
            }
            (sealed, failed)
        };
        let threads = [scope.spawn(works), scope.spawn(works)];
        for _ in 0..ROTATIONS {
            clock.advance(90 * DAY_MS);
            keys.rotate(tenant(1), Wish::AsItIs, QUARTER).unwrap().unwrap();
        }
        going_on.store(false, Ordering::Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).fold((Vec::new(), 0), |(mut all, sum), one| {
            all.extend(one.0);
            (all, sum + one.1)
        })
    });
    assert_eq!(failed, 0);
    let again = opened(&at(data.path(), &clock), 1);
    assert_eq!(again.newest_version(), ROTATIONS + 1);
    assert!(sealed.iter().all(|bytes| again.open(Purpose::Record, b"", bytes).is_ok()), "all of them, after a restart");
}

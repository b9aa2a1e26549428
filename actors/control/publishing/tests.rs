//! When heads are due, how long a place is left alone, and files that a power cut left behind.
use super::carrier::{append, last_in};
use super::messages::{Pace, Place, Target};
use super::rules::{Booked, PAUSE_MS, Pause, is_due, is_worth_asking, newer};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_tenant::proofs::extension::Taken;
use bailiwick_tenant::proofs::forms::{CHECKPOINT, PublishedHead, SignedHead};

fn taken(size: u64) -> Taken {
    Taken { checkpoint: format!("head of {size}"), verifier_key: "key".to_owned(), size }
}

fn booked(size: u64, at_unix_ms: u64) -> Booked {
    Booked { head: taken(size), at_unix_ms }
}

#[test]
fn a_head_is_due_when_its_journal_has_grown_and_time_or_records_say_so() {
    let hourly = Pace { every_ms: 3_600_000, after_records: None };
    let sooner = Pace { after_records: Some(10), ..hourly };
    let last = booked(100, 1_000);
    let (soon, later) = (2_000, 3_601_000);
    assert!(is_due(hourly, None, 1, 0) && !is_due(hourly, None, 0, 0), "the first one, of a journal that has records");
    for (pace, size, now, expected) in [
        (hourly, 101, soon, false),
        (hourly, 101, later, true),
        (hourly, 100, later, false),
        (sooner, 109, soon, false),
        (sooner, 110, soon, true),
        (sooner, 101, later, true),
        (sooner, 100, later, false),
    ] {
        assert_eq!(is_due(pace, Some(&last), size, now), expected, "{pace:?} {size} {now}");
    }
    assert!(!is_worth_asking(hourly, Some(&last), soon) && is_worth_asking(hourly, Some(&last), later));
    assert!(is_worth_asking(sooner, Some(&last), soon) && is_worth_asking(hourly, None, 0));
}

#[test]
fn a_place_that_fails_is_left_alone_for_longer_each_time_and_never_for_ever() {
    let (mut pause, mut waits) = (Pause::default(), Vec::new());
    assert!(!pause.is_on(0));
    for _ in 0..80 {
        pause = pause.after_failure(1_000);
        let until = (0..).map(|doubled| 1_000 + (PAUSE_MS << doubled)).take(11).chain([1_000 + 3_600_000]);
        waits.push(until.into_iter().find(|until| !pause.is_on(*until)).unwrap() - 1_000);
        assert!(pause.is_on(1_000));
    }
    assert_eq!(waits[..4], [2_000, 4_000, 8_000, 16_000]);
    assert_eq!(waits[79], 3_600_000, "an hour at most");
}

#[test]
fn the_place_knows_better_where_it_has_more_than_the_book() {
    assert_eq!(newer(None, None), None);
    assert_eq!(newer(Some(booked(5, 9)), Some(taken(7))), Some(booked(7, 9)));
    assert_eq!(newer(Some(booked(7, 9)), Some(taken(5))), Some(booked(7, 9)));
    assert_eq!(newer(None, Some(taken(7))), Some(booked(7, 0)));
}

#[test]
fn a_witness_does_not_witness_itself() {
    let pace = Pace { every_ms: 1, after_records: None };
    let target = |tenants: Option<&[&str]>, place| Target {
        name: "n".to_owned(),
        tenants: tenants.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        place,
        pace,
    };
    let witness = target(Some(&["acme", "beta"]), Place::Witness("beta".to_owned()));
    assert!(witness.takes("acme") && !witness.takes("beta") && !witness.takes("other"));
    assert!(target(None, Place::Folder("f".into())).takes("anybody"));
}

fn head(size: u64) -> PublishedHead {
    let Taken { checkpoint, verifier_key, size } = taken(size);
    let (tenant, tenant_key) = ("acme".to_owned(), "00".to_owned());
    let head = SignedHead { tenant, tenant_key, checkpoint, verifier_key, size, consistency: None };
    PublishedHead { format: CHECKPOINT.to_owned(), head, since: None }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "test")]
fn a_line_that_a_power_cut_tore_is_written_again_and_was_never_published() {
    let (folder, tenant) = (tempfile::tempdir().unwrap(), TenantKey::mint(uuid::Uuid::from_u128(7)));
    let heads = folder.path().join("heads");
    assert_eq!(last_in(&heads, tenant).unwrap(), None);
    append(&heads, tenant, &head(1)).unwrap();
    append(&heads, tenant, &head(2)).unwrap();
    assert_eq!(last_in(&heads, tenant).unwrap(), Some(taken(2)));
    let file = heads.join(format!("{}.jsonl", tenant.to_hex()));
    let whole = std::fs::read_to_string(&file).unwrap();
    for cut in 1..whole.lines().last().unwrap().len() {
        std::fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        assert_eq!(last_in(&heads, tenant).unwrap(), Some(taken(1)), "{cut} bytes short");
        append(&heads, tenant, &head(2)).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
    }
    std::fs::write(&file, "what is this\n").unwrap();
    assert!(last_in(&heads, tenant).is_err(), "nothing is published beside what nobody can read");
}

//! Keys of customers: who wraps, who is asked, and what nobody opens while a key is withheld.
use super::custody::{Custody, Look};
use super::customer_key::{AWS_KMS, CustomerKey, VAULT_TRANSIT};
use super::holder_fixture::{Holder, Mood};
use super::rules::Rotation;
use super::tests::tenant;
use super::{KeyError, KeyService, RootSource, Setting, Wish, shown};
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
use bailiwick_kernel::clock::SystemClock;
use bailiwick_kernel::shelf::Traces;
use bailiwick_policy::sovereignty::Region;
use std::path::Path;
use std::sync::Arc;

const ACME: &str = "vault:local:transit/acme";
const OTHER: &str = "vault:local:transit/other";

fn with(data: &Path, holder: Option<&Holder>) -> KeyService {
    let (root, region) = (RootSource::File, Region::default());
    let outside = holder.cloned().into_iter().map(|holder| Box::new(holder) as _).collect();
    let clock = Arc::new(SystemClock);
    KeyService::start(Setting { data, root: &root, region: &region, outside, clock }).unwrap()
}

fn holder(keys: &[&str]) -> Holder {
    let holder = Holder::default();
    keys.iter().for_each(|key| holder.set(key, Mood::Good));
    holder
}

fn opened(keys: &KeyService, number: u128, own: Option<&str>) -> Result<Cipher, KeyError> {
    keys.cipher_under(tenant(number), keys.custody(own).wish(), || Ok(Traces::None))
}

#[test]
fn names_of_keys_are_read_and_nothing_else_is_asked_for() {
    for (id, kind, region, name) in [
        ("arn:aws:kms:us-east-1:123456789012:key/abc-def", AWS_KMS, "us-east-1", None),
        ("arn:aws-us-gov:kms:us-gov-west-1:1:alias/acme", AWS_KMS, "us-gov-west-1", None),
        ("vault:eu-west-1:transit/acme-2_b", VAULT_TRANSIT, "eu-west-1", Some("transit/acme-2_b")),
    ] {
        let key = CustomerKey::parse(id).unwrap();
        let expected = (kind, region, id, name.unwrap_or(id));
        assert_eq!((key.kind, key.region.as_str(), key.id.as_str(), key.name.as_str()), expected);
    }
    let long = format!("vault:local:transit/{}", "k".repeat(300));
    for id in [
        "",
        "abc-def",
        "arn:aws:kms:us-east-1",
        "arn:aws:kms::123456789012:key/abc",
        "arn:aws:s3:us-east-1:123456789012:key/abc",
        "arn:aws:kms:us-east-1:123456789012:grant/abc",
        "vault::transit/acme",
        "vault:local:transit",
        "vault:local:transit/../sys",
        "vault:local:transit/a/b",
        "vault:local:transit/a b",
        long.as_str(),
    ] {
        assert!(CustomerKey::parse(id).is_err(), "{id}");
    }
}

#[test]
fn a_key_is_honoured_where_somebody_holds_it_and_said_to_be_named_where_nobody_does() {
    let data = tempfile::tempdir().unwrap();
    let keys = with(data.path(), Some(&holder(&[])));
    assert_eq!(keys.custody(None), Custody::Node);
    assert!(matches!(keys.custody(Some(ACME)), Custody::Customer(key) if key.id == ACME));
    for id in ["arn:aws:kms:us-east-1:123456789012:key/abc-def", "vault:eu-west-1:transit/acme", "my key"] {
        let Custody::NotHonoured(problem) = keys.custody(Some(id)) else { panic!("{id}") };
        assert!(problem.contains(id), "{problem}");
        assert_eq!(keys.custody(Some(id)).wish(), Wish::Root);
    }
}

#[test]
fn a_tenant_takes_its_own_key_and_the_nodes_opens_nothing_any_more() {
    let (data, holder) = (tempfile::tempdir().unwrap(), holder(&["transit/acme", "transit/other"]));
    let keys = with(data.path(), Some(&holder));
    let before = opened(&keys, 1, None).unwrap().seal(Purpose::Blob, b"name", b"x").unwrap();
    let cipher = opened(&keys, 1, Some(ACME)).unwrap();
    let after = cipher.seal(Purpose::Blob, b"name", b"x").unwrap();
    assert_eq!((before[4], after[4]), (1, 2), "a version the node's root key has never wrapped");
    let text = std::fs::read_to_string(data.path().join(shown(tenant(1)))).unwrap();
    assert!(text.matches(ACME).count() == 2 && !text.contains("local-file"), "{text}");
    for sealed in [&before, &after] {
        assert_eq!(opened(&keys, 1, Some(ACME)).unwrap().open(Purpose::Blob, b"name", sealed).unwrap(), b"x");
    }
    drop(keys);
    let alone = with(data.path(), None);
    for refused in [opened(&alone, 1, Some(ACME)), opened(&alone, 1, None)] {
        assert!(matches!(refused, Err(KeyError::NoProvider { .. })), "{refused:?}");
    }
    // its owner names another key, and then none
    let keys = with(data.path(), Some(&holder));
    let cipher = opened(&keys, 1, Some(ACME)).unwrap();
    for (own, version) in [(Some(OTHER), 3), (None, 4)] {
        assert_eq!(keys.look(tenant(1), keys.custody(own).wish()), Look::Adopt);
        let made = keys.rotate(tenant(1), keys.custody(own).wish(), Rotation::OfAnotherHolder).unwrap().unwrap();
        assert_eq!((made.number, made.key_id.as_deref(), cipher.newest_version()), (version, own, version));
        assert_eq!(keys.rotate(tenant(1), keys.custody(own).wish(), Rotation::OfAnotherHolder).unwrap(), None);
    }
    assert_eq!(opened(&keys, 1, None).unwrap().open(Purpose::Blob, b"name", &before).unwrap(), b"x");
}

#[test]
fn a_key_that_is_withheld_closes_its_tenant_alone_until_it_is_given_back() {
    let (data, holder) = (tempfile::tempdir().unwrap(), holder(&["transit/acme", "transit/other"]));
    let keys = with(data.path(), Some(&holder));
    let (own, other) = (opened(&keys, 1, Some(ACME)).unwrap(), opened(&keys, 2, Some(OTHER)).unwrap());
    let sealed = own.seal(Purpose::Blob, b"name", b"x").unwrap();
    let look = |number, id| keys.look(tenant(number), keys.custody(Some(id)).wish());
    assert_eq!((look(1, ACME), look(2, OTHER)), (Look::Good, Look::Good));

    holder.set("transit/acme", Mood::Disabled);
    assert_eq!((look(1, ACME), look(2, OTHER)), (Look::Withheld("it is disabled".to_owned()), Look::Good));
    keys.withdraw(tenant(1));
    assert_eq!(own.open(Purpose::Blob, b"name", &sealed), Err(CipherError::Withdrawn));
    assert!(matches!(opened(&keys, 1, Some(ACME)), Err(KeyError::Withheld { version: 1, .. })));
    // naming no key, or another one, is no way around it
    for way in [None, Some(OTHER)] {
        assert!(matches!(opened(&keys, 1, way), Err(KeyError::Withheld { .. })), "{way:?}");
    }
    let rotated = keys.rotate(tenant(1), keys.custody(Some(ACME)).wish(), Rotation::OnDemand);
    assert!(matches!(rotated, Err(KeyError::Withheld { .. })));
    assert!(opened(&keys, 2, Some(OTHER)).is_ok() && other.seal(Purpose::Blob, b"name", b"x").is_ok());

    holder.set("transit/acme", Mood::Silent);
    assert!(matches!(look(1, ACME), Look::Unreached(said) if said.contains("no answer in time")));
    assert!(matches!(opened(&keys, 1, Some(ACME)), Err(KeyError::Unreached { .. })));
    holder.set("transit/acme", Mood::Good);
    assert_eq!(look(1, ACME), Look::Good);
    assert_eq!(opened(&keys, 1, Some(ACME)).unwrap().open(Purpose::Blob, b"name", &sealed).unwrap(), b"x");
}

#[test]
fn a_tenant_that_comes_with_a_key_it_may_not_use_is_given_none_by_the_node() {
    let (data, holder) = (tempfile::tempdir().unwrap(), holder(&["transit/acme"]));
    holder.set("transit/acme", Mood::Disabled);
    let keys = with(data.path(), Some(&holder));
    assert!(matches!(opened(&keys, 1, Some(ACME)), Err(KeyError::Withheld { .. })));
    assert!(!data.path().join(shown(tenant(1))).exists(), "no keyring, and nothing sealed under the node's");
    assert!(matches!(keys.look(tenant(1), keys.custody(Some(ACME)).wish()), Look::Withheld(_)));
}

#[test]
fn what_one_tenants_key_wrapped_is_bound_to_that_tenant() {
    let (data, holder) = (tempfile::tempdir().unwrap(), holder(&["transit/acme"]));
    let keys = with(data.path(), Some(&holder));
    let file = |number| data.path().join(shown(tenant(number)));
    opened(&keys, 1, Some(ACME)).unwrap();
    opened(&keys, 2, Some(ACME)).unwrap();
    let (one, two) = (std::fs::read_to_string(file(1)).unwrap(), std::fs::read_to_string(file(2)).unwrap());
    let moved = two.replace(&tenant(2).to_hex(), &tenant(1).to_hex());
    for text in [moved, one.replace("transit/acme", "transit/other")] {
        std::fs::write(file(1), text).unwrap();
        assert!(opened(&keys, 1, Some(ACME)).is_err());
    }
    std::fs::write(file(1), one).unwrap();
    assert!(opened(&keys, 1, Some(ACME)).is_ok());
}

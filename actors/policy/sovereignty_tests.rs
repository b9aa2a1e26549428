use super::*;
use crate::schema::{Retention, SovereignEncryption};
use proptest::prelude::*;

fn rules(allowed: &[&str], forbidden: &[&str]) -> Sovereignty {
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Sovereignty {
        region: "eu-west-1".into(),
        allowed_regions: owned(allowed),
        forbidden_regions: owned(forbidden),
        retention: Retention { logs_days: 90, data_days: 365, data_days_max: None, backups_days: 2555 },
        encryption: SovereignEncryption {
            at_rest: "AES-256".into(),
            in_transit: "TLS-1.3".into(),
            kms_key_id: None,
            key_rotation_days: None,
        },
        compliance: vec![],
    }
}

#[test]
fn regions() {
    let rules = rules(&["eu-west-1", "us-*", "cn-north-1"], &["cn-*", "us-gov-west-1"]);
    for allowed in ["eu-west-1", "us-east-1", "us-west-2"] {
        assert_eq!(region_allowed(&rules, allowed), Ok(()), "{allowed}");
    }
    let refused = [
        "cn-north-1",
        "cn-",
        "us-gov-west-1",
        "eu-west-10",
        "eu-west",
        "EU-WEST-1",
        "ru-1",
        "",
        " eu-west-1",
        "*",
        "us-*",
        "eu-west-1\n",
        "ｅu-west-1",
    ];
    for refused in refused {
        assert!(region_allowed(&rules, refused).is_err(), "{refused:?}");
    }
}

#[test]
fn the_error_names_the_rule() {
    let rules = rules(&["cn-north-1"], &["cn-*"]);
    assert_eq!(region_allowed(&rules, "cn-north-1").unwrap_err(), "region cn-north-1 is forbidden by \"cn-*\"");
    assert!(region_allowed(&rules, "eu-west-1").unwrap_err().contains("not among the allowed regions"));
}

proptest! {
    #[test]
    fn a_forbidden_region_is_never_allowed(rest in "[a-z0-9-]{0,12}") {
        let region = format!("cn-{rest}");
        prop_assert!(region_allowed(&rules(&["cn-*", &region], &["cn-*"]), &region).is_err());
    }
}

/// What may be where, decided anew: letter by letter, from the words of the specification.
fn naive(sovereignty: &Sovereignty, region: &str) -> bool {
    let fits = |pattern: &String| {
        let (pattern, region): (Vec<char>, Vec<char>) = (pattern.chars().collect(), region.chars().collect());
        match pattern.iter().position(|letter| *letter == '*') {
            Some(star) => region.len() >= star && (0..star).all(|at| pattern[at] == region[at]),
            None => pattern == region,
        }
    };
    let letters = "abcdefghijklmnopqrstuvwxyz0123456789-";
    let mut is_name = !region.is_empty();
    for letter in region.chars() {
        is_name = is_name && letters.contains(letter);
    }
    let (mut may, mut must_not) = (false, false);
    for pattern in &sovereignty.allowed_regions {
        may = may || fits(pattern);
    }
    for pattern in &sovereignty.forbidden_regions {
        must_not = must_not || fits(pattern);
    }
    is_name && may && !must_not
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_cleared_is_what_both_lists_allow(
        allowed in prop::collection::vec("(eu|us|cn|local)?(-(we?|east)?(-1|-2)?)?\\*?", 0..4),
        forbidden in prop::collection::vec("(eu|us|cn|local)?(-(we?|east)?(-1|-2)?)?\\*?", 0..4),
        region in "(eu|us|cn|EU|local)?(-(west?|east)?(-1|-2| )?)?\\*?",
        flow in prop::sample::select(vec![Flow::Store, Flow::Cache, Flow::Call, Flow::Export, Flow::Backup]),
    ) {
        let lists = (allowed.clone(), forbidden.clone());
        let rules = Sovereignty { allowed_regions: lists.0, forbidden_regions: lists.1, ..rules(&[], &[]) };
        let cleared = rules.clear(flow, &region);
        prop_assert_eq!(cleared.is_ok(), naive(&rules, &region), "{:?} {:?} {:?}", allowed, forbidden, region);
        if let Ok(cleared) = cleared {
            prop_assert_eq!((cleared.flow(), cleared.region().as_str()), (flow, region.as_str()));
        }
    }
}

#[test]
fn what_travels_is_encrypted_as_the_stricter_policy_says() {
    let strict = rules(&["eu-*"], &[]);
    let mut lax = strict.clone();
    lax.encryption.in_transit = "TLS-1.2".into();
    let clear = |rules: &Sovereignty| rules.clear(Flow::Call, "eu-west-1");
    let (strict, lax) = (clear(&strict).unwrap(), clear(&lax).unwrap());
    assert_eq!((strict.in_transit(), lax.in_transit()), (InTransit::Tls13, InTransit::Tls12));
    assert_eq!(strict.clone().and(&lax).in_transit(), InTransit::Tls13);
    assert_eq!(lax.clone().and(&strict).in_transit(), InTransit::Tls13);
    assert_eq!(lax.clone().and(&lax).in_transit(), InTransit::Tls12);
    let mut unknown = rules(&["eu-*"], &[]);
    unknown.encryption.in_transit = "SSL".into();
    assert!(unknown.clear(Flow::Call, "eu-west-1").unwrap_err().contains("SSL"));
}

#[test]
fn a_region_is_a_name_and_absent_it_is_the_node_itself() {
    assert_eq!(Region::default().as_str(), REGION_UNDECLARED);
    assert_eq!(Region::named("eu-west-1").unwrap().to_string(), "eu-west-1");
    for no_name in ["", "*", "eu-*", "EU", "eu west", "eu_west"] {
        assert!(Region::named(no_name).is_err(), "{no_name:?}");
    }
}

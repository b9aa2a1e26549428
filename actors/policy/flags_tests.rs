use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

const MILLION: u32 = 1_000_000;

fn flags(features: Value) -> FeaturesFile {
    serde_json::from_value(json!({"tenant_id": "t", "features": features})).unwrap()
}

fn one(flag: Value) -> FeaturesFile {
    flags(json!({"f": flag}))
}

fn context(value: Value) -> Context {
    Context::read(Some(value)).unwrap()
}

/// Value, variant and reason, or the error.
fn said(flag: Value, level: ServiceLevel, context: &Context) -> (Value, String, Reason, Option<ErrorCode>) {
    let flags = one(flag);
    let said = evaluate(&flags, level, "f", context).unwrap();
    assert_eq!((said.key, said.error.is_some()), ("f", said.reason == Reason::Error));
    (said.value.clone(), said.variant.to_owned(), said.reason, said.error)
}

#[derive(serde::Deserialize)]
struct Vector {
    flag: String,
    seed: String,
    key: String,
    place: u32,
    weights: BTreeMap<String, u32>,
    variant: String,
}

#[derive(serde::Deserialize)]
struct Whole {
    flag: String,
    seed: String,
    places_sha256: String,
}

fn published() -> (Vec<Vector>, Whole) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/flag-vectors.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let (vectors, whole) = text.trim_end().rsplit_once('\n').unwrap();
    let vectors = vectors.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (vectors, serde_json::from_str(whole).unwrap())
}

#[test]
fn the_published_vectors_hold() {
    let (vectors, _) = published();
    assert!(vectors.len() > 200);
    for Vector { flag, seed, key, place, weights, variant } in vectors {
        assert_eq!(draw(ROLLOUT, &flag, &seed, &key, Percent::PARTS), place, "{flag} {seed} {key:?}");
        // and the flag itself goes by them: out at the place it has drawn, in at the next, its variant the same at all
        let variants: BTreeMap<_, _> = weights
            .keys()
            .map(|name| (name, name))
            .chain([(&OFF.to_owned(), &flag)])
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let file = |percent: Percent| {
            flags(json!({flag.clone(): {
                "enabled": true, "seed": seed, "variants": variants, "default_variant": "off", "split": weights,
                "rollout_percent": percent.to_string(),
            }}))
        };
        for (parts, expected) in [(place, OFF), (place + 1, &*variant), (Percent::PARTS, &*variant)] {
            let file = file(Percent::of_parts(parts));
            let said = evaluate(&file, ServiceLevel::Kept, &flag, &Context::of_key(&key)).unwrap();
            assert_eq!(said.variant, expected, "{flag} {seed} {key:?} at {parts}");
        }
    }
}

#[test]
fn a_million_keys_draw_what_the_other_languages_draw() {
    let (_, whole) = published();
    let mut places = Vec::new();
    for number in 0..MILLION {
        let place = draw(ROLLOUT, &whole.flag, &whole.seed, &format!("user-{number}"), Percent::PARTS);
        places.extend_from_slice(&place.to_be_bytes());
    }
    let digest = crate::digest::sha256_hex(&places);
    println!("flags in Rust: {MILLION} keys, SHA-256 of their places {digest}");
    assert_eq!(digest, whole.places_sha256);
}

#[test]
fn raising_a_percentage_never_removes_anyone_and_lowering_never_adds() {
    let steps: Vec<Percent> = (1..=100).map(|percent| Percent::of_parts(percent * 1_000)).collect();
    let mut in_at_half = 0;
    for number in 0..MILLION {
        let place = draw(ROLLOUT, "monotone", "", &format!("user-{number}"), Percent::PARTS);
        // who is in at one step is in at the next: the steps at which a key is in are the last ones, without a gap
        let first = steps.iter().position(|percent| is_in(place, *percent));
        let first = first.expect("everybody is in at 100 percent");
        assert!(steps.iter().enumerate().all(|(step, percent)| is_in(place, *percent) == (step >= first)), "{number}");
        in_at_half += u32::from(is_in(place, Percent::of_parts(50_000)));
    }
    assert!((498_000..502_000).contains(&in_at_half), "{in_at_half}");
}

/// Normal deviate of a chi-square statistic (Wilson and Hilferty): 3.09 has p = 0.001.
fn deviate(counts: &[u32]) -> f64 {
    let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
    let (free, expected) = (counts.len() as f64 - 1.0, total / counts.len() as f64);
    let square: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    ((square / free).cbrt() - (1.0 - 2.0 / (9.0 * free))) / (2.0 / (9.0 * free)).sqrt()
}

type KeyOf = fn(u32) -> String;

#[test]
fn shares_are_even_on_the_keys_people_have() {
    let kinds: [(&str, KeyOf); 3] = [
        ("sequential", |number| number.to_string()),
        ("uuid", |number| {
            uuid::Builder::from_random_bytes(
                u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_be_bytes(),
            )
            .into_uuid()
            .to_string()
        }),
        ("e-mail", |number| format!("person.{}@company{}.example", number / 100, number % 100)),
    ];
    for (kind, key) in kinds {
        let mut fine = vec![0_u32; Percent::PARTS as usize];
        for number in 0..MILLION {
            fine[draw(ROLLOUT, "even", "", &key(number), Percent::PARTS) as usize] += 1;
        }
        let coarse: Vec<u32> = fine.chunks(1_000).map(|chunk| chunk.iter().sum()).collect();
        for (resolution, counts) in [("1/100000", &fine), ("1/100", &coarse)] {
            let deviate = deviate(counts);
            println!("{kind} keys at {resolution}: normal deviate {deviate:.2} (p > 0.001 is below 3.09)");
            assert!(deviate < 3.09, "{kind} at {resolution}: {deviate}");
        }
    }
    // the measure itself sees it where every other share is a twenty-fifth larger than its neighbour
    let skewed: Vec<u32> = (0..100).map(|cell| if cell % 2 == 0 { 10_200 } else { 9_800 }).collect();
    assert!(deviate(&skewed) > 3.09, "{}", deviate(&skewed));
}

#[test]
fn two_flags_and_two_seeds_and_two_draws_know_nothing_of_each_other() {
    let names = [
        ("one", ROLLOUT, "new_search", "", ROLLOUT, "new_answer", ""),
        ("near", ROLLOUT, "flag1", "", ROLLOUT, "flag2", ""),
        ("seeds", ROLLOUT, "f", "", ROLLOUT, "f", "2026-12"),
        ("draws", ROLLOUT, "f", "", SPLIT, "f", ""),
    ];
    for (what, one, flag, seed, other, other_flag, other_seed) in names {
        let (mut sums, mut squares, mut product) = ([0.0; 2], [0.0; 2], 0.0);
        for number in 0..MILLION {
            let key = format!("user-{number}");
            let places = [
                draw(one, flag, seed, &key, Percent::PARTS),
                draw(other, other_flag, other_seed, &key, Percent::PARTS),
            ]
            .map(f64::from);
            for at in 0..2 {
                sums[at] += places[at];
                squares[at] += places[at] * places[at];
            }
            product += places[0] * places[1];
        }
        let count = f64::from(MILLION);
        let spread = |at: usize| (squares[at] / count - (sums[at] / count).powi(2)).sqrt();
        let correlation = (product / count - sums[0] * sums[1] / count / count) / spread(0) / spread(1);
        println!("{what}: correlation {correlation:.5}");
        assert!(correlation.abs() <= 0.01, "{what}: {correlation}");
    }
}

#[test]
fn a_boolean_flag_says_what_the_file_says() {
    let (kept, breached) = (ServiceLevel::Kept, ServiceLevel::Breached);
    let nobody = Context::default();
    let on = |reason| (json!(true), ON.to_owned(), reason, None);
    let off = |reason| (json!(false), OFF.to_owned(), reason, None);
    let cases = [
        (json!({"enabled": true}), kept, on(Reason::Static)),
        (json!({"enabled": true}), breached, on(Reason::Static)),
        (json!({"enabled": false}), kept, off(Reason::Disabled)),
        (json!({"enabled": true, "experimental": true}), kept, on(Reason::Static)),
        (json!({"enabled": true, "experimental": true}), breached, off(Reason::Disabled)),
        (json!({"enabled": true, "kill_switch": true}), kept, off(Reason::Disabled)),
        (json!({"enabled": true, "rollout_percent": "0"}), kept, off(Reason::Default)),
        (json!({"enabled": true, "rollout_percent": "100"}), kept, on(Reason::Static)),
    ];
    for (flag, level, expected) in cases {
        assert_eq!(said(flag.clone(), level, &nobody), expected, "{flag} {level:?}");
    }
}

#[test]
fn in_and_out_of_a_share_are_both_a_split() {
    let flag = |percent: &str| json!({"enabled": true, "rollout_percent": percent});
    let place = draw(ROLLOUT, "f", "", "me", Percent::PARTS);
    let me = Context::of_key("me");
    for (parts, value, variant) in [(place, false, OFF), (place + 1, true, ON)] {
        let percent = Percent::of_parts(parts).to_string();
        let expected = (json!(value), variant.to_owned(), Reason::Split, None);
        assert_eq!(said(flag(&percent), ServiceLevel::Kept, &me), expected, "{percent}");
    }
}

#[test]
fn what_switches_off_is_told_and_the_kill_switch_wins() {
    let flag = |value: Value| one(value).features.remove("f").unwrap();
    let everything = flag(json!({
        "enabled": true, "experimental": true, "kill_switch": true, "rollout_percent": "100",
        "targets": [{"keys": ["me"], "variant": "on"}],
    }));
    assert_eq!(everything.off_by(ServiceLevel::Breached), Some(OffBy::KillSwitch));
    let file = FeaturesFile { tenant_id: "t".into(), features: BTreeMap::from([("f".into(), everything)]) };
    for key in ["me", "you"] {
        let said = evaluate(&file, ServiceLevel::Kept, "f", &Context::of_key(key)).unwrap();
        assert_eq!((said.value, said.reason, said.off_by), (&json!(false), Reason::Disabled, Some(OffBy::KillSwitch)));
    }
    assert_eq!(flag(json!({"enabled": false, "experimental": true})).off_by(ServiceLevel::Breached), Some(OffBy::File));
    assert_eq!(
        flag(json!({"enabled": true, "experimental": true})).off_by(ServiceLevel::Breached),
        Some(OffBy::ServiceLevel)
    );
    assert_eq!(flag(json!({"enabled": true})).off_by(ServiceLevel::Breached), None);
}

#[test]
fn a_missing_targeting_key_is_an_error_with_the_default_wherever_the_answer_depends_on_it() {
    let missing =
        |value: Value, variant: &str| (value, variant.to_owned(), Reason::Error, Some(ErrorCode::TargetingKeyMissing));
    for nobody in [json!({}), json!({"targetingKey": ""}), json!({"targetingKey": null, "plan": "pro"})] {
        let nobody = context(nobody);
        for percent in ["0.001", "50", "99.999"] {
            let flag = json!({"enabled": true, "rollout_percent": percent});
            assert_eq!(said(flag, ServiceLevel::Kept, &nobody), missing(json!(false), OFF));
        }
        let split = json!({
            "enabled": true, "variants": {"a": "A", "b": "B"}, "default_variant": "b", "split": {"a": 1, "b": 1},
        });
        assert_eq!(said(split, ServiceLevel::Kept, &nobody), missing(json!("B"), "b"));
        let listed = json!({"enabled": true, "targets": [{"keys": ["me"], "variant": "on"}]});
        assert_eq!(said(listed, ServiceLevel::Kept, &nobody), missing(json!(false), OFF));
    }
    assert_eq!(
        evaluate(&one(json!({"enabled": true})), ServiceLevel::Kept, "g", &Context::default()),
        Err(ErrorCode::FlagNotFound)
    );
}

#[test]
fn a_context_that_is_none_is_refused() {
    for wrong in [
        json!([]),
        json!("me"),
        json!(1),
        json!({"targetingKey": 1}),
        json!({"targetingKey": ["me"]}),
        json!({"targetingKey": "x".repeat(1_025)}),
    ] {
        assert!(Context::read(Some(wrong.clone())).is_err(), "{wrong}");
    }
    assert_eq!(Context::read(None), Ok(Context::default()));
    assert_eq!(Context::read(Some(json!({"targetingKey": "me"}))), Ok(Context::of_key("me")));
}

#[test]
fn typed_flags_targets_and_splits() {
    let flag = json!({
        "enabled": true,
        "variants": {"short": {"words": 100}, "long": {"words": 900}, "none": {}},
        "default_variant": "none",
        "split": {"short": 1, "long": 3, "none": 0},
        "targets": [{"attribute": "plan", "values": ["free", "trial"], "variant": "short"}, {"keys": ["me"], "variant": "long"}],
    });
    let kept = |value: Value| said(flag.clone(), ServiceLevel::Kept, &context(value));
    let long = || (json!({"words": 900}), "long".to_owned(), Reason::TargetingMatch, None);
    let short = || (json!({"words": 100}), "short".to_owned(), Reason::TargetingMatch, None);
    assert_eq!(kept(json!({"targetingKey": "me"})), long());
    assert_eq!(kept(json!({"targetingKey": "me", "plan": "pro"})), long());
    assert_eq!(kept(json!({"targetingKey": "me", "plan": "trial"})), short(), "the first that matches counts");
    assert_eq!(kept(json!({"plan": "free"})), short(), "what matches before the key is needed needs no key");
    for other in [
        json!({"plan": ["free"], "targetingKey": "x"}),
        json!({"plan": "Free", "targetingKey": "x"}),
        json!({"targetingKey": "ME"}),
    ] {
        assert_eq!(kept(other).2, Reason::Split);
    }
    let mut longer = 0;
    for number in 0..10_000 {
        let (_, variant, reason, error) = kept(json!({"targetingKey": format!("user-{number}")}));
        assert_eq!((reason, error), (Reason::Split, None));
        assert_ne!(variant, "none", "a weight of nothing is nobody");
        longer += u32::from(variant == "long");
    }
    assert!((7_350..7_650).contains(&longer), "three of four are long: {longer}");

    let same_for_all = json!({"enabled": true, "variants": {"eu": "eu-1", "us": "us-1"}, "default_variant": "eu"});
    assert_eq!(
        said(same_for_all.clone(), ServiceLevel::Kept, &Context::default()),
        (json!("eu-1"), "eu".into(), Reason::Static, None)
    );
    let mut targeted = same_for_all;
    targeted["targets"] = json!([{"attribute": "country", "values": ["US"], "variant": "us"}]);
    assert_eq!(
        said(targeted, ServiceLevel::Kept, &Context::default()),
        (json!("eu-1"), "eu".into(), Reason::Default, None)
    );
    let alone = json!({
        "enabled": true, "variants": {"old": 1, "new": 2}, "default_variant": "old", "split": {"new": 5}, "rollout_percent": "25",
    });
    let news = (0..10_000)
        .filter(|number| said(alone.clone(), ServiceLevel::Kept, &Context::of_key(&format!("u{number}"))).0 == json!(2))
        .count();
    assert!((2_350..2_650).contains(&news), "one of four: {news}");
}

proptest! {
    #[test]
    fn a_rollout_only_grows_with_its_percentage_and_nobody_changes_variant(key in ".{1,40}", seed in ".{0,8}", low in 0_u32..=100_000, more in 0_u32..=100_000) {
        let (low, high) = (low, low.saturating_add(more).min(Percent::PARTS));
        let at = |parts: u32| {
            let flag = json!({
                "enabled": true, "seed": seed, "rollout_percent": Percent::of_parts(parts).to_string(),
                "variants": {"off": 0, "a": 1, "b": 2}, "default_variant": "off", "split": {"a": 1, "b": 1},
            });
            said(flag, ServiceLevel::Kept, &Context::of_key(&key)).1
        };
        let (before, after) = (at(low), at(high));
        prop_assert!(before == OFF || before == after, "{before} became {after}");
    }

    #[test]
    fn an_answer_depends_on_nothing_but_the_file_the_level_and_the_context(key in ".{0,20}", plan in "[a-c]", breached: bool) {
        let file = flags(json!({
            "a": {"enabled": true, "rollout_percent": "33.333"},
            "b": {"enabled": true, "experimental": true, "targets": [{"attribute": "plan", "values": ["a", "b"], "variant": "off"}]},
            "c": {"enabled": true, "variants": {"x": 1.5, "y": 2}, "default_variant": "x", "split": {"x": 2, "y": 5}},
        }));
        let level = if breached { ServiceLevel::Breached } else { ServiceLevel::Kept };
        let context = context(json!({"targetingKey": key, "plan": plan}));
        let all: Vec<_> = evaluate_all(&file, level, &context).collect();
        prop_assert_eq!(all.iter().map(|said| said.key).collect::<Vec<_>>(), ["a", "b", "c"]);
        for said in &all {
            prop_assert_eq!(evaluate(&file, level, said.key, &context), Ok(*said), "one alone and one among all");
        }
    }
}

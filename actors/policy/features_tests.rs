use crate::compile::{FEATURES, FILES, compile};
use crate::guardrails::Guardrails;
use crate::parse::FileTexts;
use crate::percent::Percent;
use std::path::Path;

/// The default tenant with these features.
fn texts(features: &str) -> FileTexts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/default");
    let mut texts: FileTexts = FILES
        .iter()
        .filter_map(|file| Some(((*file).to_owned(), std::fs::read_to_string(root.join(file)).ok()?)))
        .collect();
    texts.insert(FEATURES.to_owned(), format!("tenant_id: default\nfeatures:\n{features}"));
    texts
}

fn errors(features: &str) -> Vec<String> {
    compile("default", &texts(features), &Guardrails::none())
        .err()
        .unwrap_or_default()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_file_of_flags_means_what_it_says() {
    let file = texts(
        "  plain: {enabled: true}\n  share:\n    enabled: true\n    rollout_percent: 12.345\n    seed: again\n  text:\n    enabled: true\n    kill_switch: true\n    \
         variants: {short: brief, long: thorough}\n    default_variant: short\n    split: {short: 1, long: 3}\n    targets:\n      - {keys: [me, 7], variant: long}\n      - \
         {attribute: plan, values: [free], variant: short}\n",
    );
    let features = compile("default", &file, &Guardrails::none()).unwrap().features.features;
    assert_eq!(features["plain"].rollout_percent, Percent::ALL);
    assert_eq!((features["share"].rollout_percent.parts(), features["share"].seed.as_str()), (12_345, "again"));
    let text = &features["text"];
    assert!(text.kill_switch && text.targets[0].keys.contains("7") && text.targets[1].values.contains("free"));
    // an old file shows as it always did
    let plain = serde_json::to_value(&features["plain"]).unwrap();
    assert_eq!(plain, serde_json::json!({"enabled": true, "experimental": false, "description": ""}));
    // and what is shown reads back
    for flag in features.values() {
        let shown = serde_json::to_value(flag).unwrap();
        assert_eq!(&serde_json::from_value::<super::Feature>(shown).unwrap(), flag);
    }
}

#[test]
fn a_percentage_is_read_to_the_digit_or_refused_where_it_stands() {
    for (text, parts) in
        [("0", 0), ("0.001", 1), ("100", 100_000), ("100.0", 100_000), ("29.29", 29_290), ("'7.5'", 7_500)]
    {
        let file = texts(&format!("  f: {{enabled: true, rollout_percent: {text}}}\n"));
        assert_eq!(
            compile("default", &file, &Guardrails::none()).unwrap().features.features["f"].rollout_percent.parts(),
            parts,
            "{text}"
        );
    }
    for text in [
        "12.3456",
        "0.0001",
        "12.3450000000000000001",
        "100.001",
        "-1",
        "1e1",
        "010",
        ".5",
        "all",
        "true",
        "~",
        "",
        "[1]",
    ] {
        let found =
            errors(&format!("  other: {{enabled: true}}\n  f:\n    enabled: true\n    rollout_percent: {text}\n"));
        assert!(found.len() == 1 && found[0].starts_with("features.yaml:6:"), "{text}: {found:?}");
    }
    let found = errors("  f:\n    enabled: true\n    rollout_percent: 12.3456\n");
    let advice = "write a number from 0 to 100 with at most three digits after the point, such as 12.5";
    assert_eq!(found, [format!("features.yaml:5:22: 12.3456 is no percentage: {advice}")]);
}

/// What stands for this in the table: a flag of two variants.
const TYPED: &str = "enabled: true, variants: {a: 1, b: 2}, default_variant: a";

/// Flags that are refused, each with what is said.
const REFUSED: &[(&str, &str)] = &[
    (
        "'a/b': {enabled: true}",
        "features.yaml:3:10: features.a/b: \"a/b\" is no name of a flag: write 1 to 128 letters, digits and . _ - :",
    ),
    (
        "f: {enabled: true, default_variant: on}",
        "features.f.default_variant: \"on\" is none: a flag without variants is on or off, so leave this out",
    ),
    (
        "f: {enabled: true, variants: {a: 1}}",
        "features.f.default_variant: it is missing: say what those get whom the flag is off for",
    ),
    (
        "f: {enabled: true, variants: {a: 1, b: x}, default_variant: a}",
        "features.f.variants.b: text here and number in \"a\": write all values in one type",
    ),
    (
        "f: {enabled: true, variants: {a: ~}, default_variant: a}",
        "features.f.variants.a: no flag has such a value: write true or false, a number, a text or an object",
    ),
    ("f: {enabled: true, variants: {a: [1]}, default_variant: a}", "features.f.variants.a: no flag has such a value"),
    (
        "f: {enabled: true, variants: {alpha: 1, beta: 2}, default_variant: bete}",
        "features.f.default_variant: the flag has no variant \"bete\": did you mean \"beta\"?",
    ),
    (
        "f: {TYPED, rollout_percent: 10}",
        "features.f.rollout_percent: without a split everybody gets the default_variant, in or out: write a split",
    ),
    (
        "f: {enabled: true, split: {on: 1, off: 1}}",
        "features.f.split: there are no variants to split between: write variants, or rollout_percent alone",
    ),
    (
        "f: {TYPED, split: {a: 0}}",
        "features.f.split: the weights add up to 0: write whole numbers that add up to 1 to 1000000",
    ),
    ("f: {TYPED, split: {a: 1000000, b: 1}}", "features.f.split: the weights add up to 1000001"),
    ("f: {TYPED, split: {a: 1, c: 1}}", "features.f.split.c: the flag has no variant \"c\""),
    (
        "f: {enabled: true, targets: [{variant: on}]}",
        "features.f.targets[0]: it matches nobody: write keys, or an attribute and its values",
    ),
    (
        "f: {enabled: true, targets: [{keys: [a], attribute: b, values: [c], variant: on}]}",
        "features.f.targets[0]: it has keys and an attribute: write two targets",
    ),
    (
        "f: {enabled: true, targets: [{attribute: b, variant: on}]}",
        "features.f.targets[0].values: no value ever matches: write at least one",
    ),
    (
        "f: {enabled: true, targets: [{values: [b], variant: on}]}",
        "features.f.targets[0].values: values of what: name the attribute",
    ),
    (
        "f: {enabled: true, targets: [{keys: [a], variant: onn}]}",
        "features.f.targets[0].variant: the flag has no variant \"onn\": did you mean \"on\"?",
    ),
    ("f: {enabled: true, kill_swich: true}", "unknown key \"kill_swich\": did you mean \"kill_switch\"?"),
];

#[test]
fn what_contradicts_itself_is_refused_with_its_place_and_a_way_out() {
    let long_seed = format!("f: {{enabled: true, seed: {}}}", "x".repeat(257));
    let long_seed = (long_seed.as_str(), "features.f.seed: it is longer than 256 characters: shorten it");
    for (flag, expected) in REFUSED.iter().copied().chain([long_seed]) {
        let found = errors(&format!("  {}\n", flag.replace("TYPED", TYPED)));
        assert!(
            found.len() == 1 && found[0].starts_with("features.yaml:3:") && found[0].contains(expected),
            "{flag}: {found:?}"
        );
    }
}

#[test]
fn numbers_of_flags_and_of_their_parts_are_bounded() {
    let many: String = (0..1_001).map(|number| format!("  f{number}: {{enabled: true}}\n")).collect();
    assert!(errors(&many)[0].contains("1001 flags are too many: write at most 1000"), "{:?}", errors(&many));
    let variants = (0..65).map(|number| format!("v{number}: {number}")).collect::<Vec<_>>().join(", ");
    let found = errors(&format!("  f: {{enabled: true, default_variant: v0, variants: {{{variants}}}}}\n"));
    assert!(found[0].contains("65 are too many: write at most 64"), "{found:?}");
    let targets = vec!["{keys: [a], variant: on}"; 65].join(", ");
    let found = errors(&format!("  f: {{enabled: true, targets: [{targets}]}}\n"));
    assert!(found[0].contains("65 are too many: write at most 64"), "{found:?}");
}

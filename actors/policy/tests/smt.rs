//! Larger policy sets with the conflicts that are found in them, written to a file for an SMT solver: sets as large as
//! these have more requests than can be tried one by one. `tests/outside/policy_conflicts_z3.py` reads the file and
//! reckons every conflict again.
//!
//! The generator is the one of the tests inside the crate, which no other crate sees; it is compiled a second time here,
//! and the three doors it knocks at are opened under the names it calls them by.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick_policy::conflicts::{Kind, conflicts};
use bailiwick_policy::{language, obligations, redaction};
use language::Action;
use language::checks::{Enacted, problems};
use random_rules::{Dice, World, policy};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

#[path = "../random_rules.rs"]
#[expect(dead_code, reason = "requests and small worlds are for the tests inside the crate")]
mod random_rules;

/// How many sets are written where `BAILIWICK_SMT_SETS` does not say; `tests/outside/run` asks for ten times as many.
const SETS: u64 = 1_000;
const RULES_MIN: usize = 8;
const RULES_MAX: usize = 20;
/// Actions that share all attributes: a rule may be about several of them.
const ALIKE: [Action; 4] = [Action::Ask, Action::Search, Action::Complete, Action::Embed];

/// What a set is made of. Careless sets are about requests that cannot be judged, careful ones about what a rule
/// contributes, which is told only where every rule can be judged; in every third set many rules meet, because they are
/// about few attributes.
fn world(dice: &mut Dice, action: Action) -> World {
    let mut world = World::large(action);
    world.careless = if dice.once_in(3) { 8 } else { usize::MAX };
    world.unconditional = 6 + dice.below(60);
    world.depth = 2 + dice.below(2);
    if dice.once_in(3) {
        let at = dice.below(world.attributes.len());
        world.attributes.rotate_left(at);
        world.attributes.truncate(2 + dice.below(4));
    }
    world
}

/// Makes some of the rules about a second action, so that what a rule says for one action does not count for another.
fn widen(dice: &mut Dice, rules: &mut [Enacted], action: Action) {
    let Some(at) = ALIKE.iter().position(|alike| *alike == action) else { return };
    let second = ALIKE[(at + 1 + dice.below(ALIKE.len() - 1)) % ALIKE.len()];
    for at in 0..rules.len() {
        let former = rules[at].rule.actions.clone();
        match dice.below(4) {
            0 => rules[at].rule.actions.push(second),
            1 => rules[at].rule.actions = vec![second],
            _ => {}
        }
        if !problems(rules).is_empty() {
            rules[at].rule.actions = former;
        }
    }
}

fn set(seed: u64) -> Vec<Enacted> {
    let mut dice = Dice::new(seed);
    let action = Action::ALL[dice.below(Action::ALL.len())];
    let world = world(&mut dice, action);
    let mut rules = Vec::new();
    while rules.len() < RULES_MIN {
        rules = policy(&mut dice, action, &world, RULES_MAX);
    }
    widen(&mut dice, &mut rules, action);
    rules
}

/// The lines of some sets, with how often every kind of conflict occurs.
fn lines(seeds: std::ops::Range<u64>) -> (String, BTreeMap<Kind, u64>) {
    let (mut lines, mut seen) = (String::new(), BTreeMap::new());
    for seed in seeds {
        let rules = set(seed);
        let conflicts = conflicts(&rules);
        assert_eq!(conflicts.more, 0, "seed {seed}: every conflict is told");
        for conflict in &conflicts.found {
            assert_ne!(conflict.kind, Kind::TooComplicated, "seed {seed}: {conflict}");
            *seen.entry(conflict.kind).or_default() += 1;
        }
        let rules = rules.iter().map(|enacted| json!({ "guardrail": enacted.is_guardrail(), "rule": enacted.rule }));
        let found = conflicts.found.iter().map(|found| json!([found.kind, found.rule, found.with, found.actions]));
        let set = json!({ "seed": seed, "rules": rules.collect::<Vec<_>>(), "found": found.collect::<Vec<_>>() });
        lines.push_str(&format!("{set}\n"));
    }
    (lines, seen)
}

#[test]
fn smt_sets_are_written_with_their_conflicts() {
    let sets = std::env::var("BAILIWICK_SMT_SETS").map_or(SETS, |sets| sets.parse().unwrap());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(folder).unwrap();
    // the file has its name only once it is whole
    let mut file = tempfile::NamedTempFile::new_in(folder).unwrap();
    let mut seen: BTreeMap<Kind, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        let halves = [0..sets / 2, sets / 2..sets].map(|seeds| scope.spawn(|| lines(seeds)));
        for half in halves {
            let (lines, counts) = half.join().unwrap();
            file.write_all(lines.as_bytes()).unwrap();
            counts.into_iter().for_each(|(kind, count)| *seen.entry(kind).or_default() += count);
        }
    });
    let path = folder.join("policy-conflicts.jsonl");
    file.persist(&path).unwrap();
    println!("{sets} sets are in {}: {seen:?}", path.display());
    let every = sets < SETS || seen.len() == 6 && seen.values().all(|count| *count > 100);
    assert!(every, "every kind of conflict occurs: {seen:?}");
}

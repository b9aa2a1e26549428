//! Changes against exhaustive enumeration.
use super::*;
use crate::conflicts::everything;
use crate::evaluate::Engine;
use crate::naive::decide;
use crate::random_rules::{Dice, World, policy};

/// The number of changes whose box a request lies in, by the names its attributes would have there.
fn boxes_of(space: &Space, moved: &[(Outcome, Outcome, Box)], rules: &[Enacted], facts: &Facts) -> Vec<usize> {
    let at = |inside: &Box| space.holds_point(inside, facts, rules);
    (0..moved.len()).filter(|index| at(&moved[*index].2)).collect()
}

#[test]
fn the_changes_are_those_that_enumeration_finds() {
    let (mut changed, mut alike) = (0_u64, 0_u64);
    for seed in 0..10_000 {
        let mut dice = Dice::new(seed);
        let (action, world) = World::small(&mut dice);
        let before = policy(&mut dice, action, &world, 3);
        let after = policy(&mut dice, action, &world, 3);
        let both: Vec<_> = before.iter().chain(&after).cloned().collect();
        let space = Space::of(both.iter().map(|enacted| &enacted.rule));
        let moved = moved(&before, &after, action, &space).unwrap();
        for facts in everything(&both) {
            let outcomes = [&before, &after].map(|rules| decide(rules, action, &facts).outcome());
            let inside = boxes_of(&space, &moved, &both, &facts);
            match (outcomes[0] == outcomes[1], inside.as_slice()) {
                (true, []) => alike += 1,
                (false, [only]) => {
                    assert_eq!((moved[*only].0, moved[*only].1), (outcomes[0], outcomes[1]), "seed {seed}: {facts:?}");
                    changed += 1;
                }
                (same, boxes) => panic!("seed {seed}: same {same}, in {} boxes: {facts:?}", boxes.len()),
            }
        }
        if seed % 50 == 0 {
            let engines = [&before, &after].map(|rules| Engine::compile(rules.clone()).unwrap());
            for change in changes(&before, &after).unwrap().found {
                let told = engines.each_ref().map(|engine| engine.decide(change.action, &change.example).outcome());
                assert_eq!(told, [change.before, change.after], "seed {seed}: {change:?}");
            }
        }
    }
    println!("10000 pairs: {changed} requests changed and {alike} did not, as told");
    assert!(changed > 100_000 && alike > 100_000);
}

#[test]
fn a_policy_does_not_differ_from_itself() {
    for seed in 0..200 {
        let mut dice = Dice::new(seed);
        let world = World::large(Action::Ask);
        let rules = policy(&mut dice, Action::Ask, &world, 6);
        assert_eq!(changes(&rules, &rules), Ok(Changes::default()), "seed {seed}");
    }
}

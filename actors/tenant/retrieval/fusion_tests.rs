use super::*;
use proptest::prelude::*;

fn arm(scores: &[(u32, f32)]) -> Vec<Scored<u32>> {
    scores.iter().map(|(key, score)| Scored { key: *key, score: *score }).collect()
}

fn rule(fusion: Fusion, weight: f64) -> Rule {
    Rule { fusion, weight }
}

fn keys(fused: &[Scored<u32>]) -> Vec<u32> {
    fused.iter().map(|scored| scored.key).collect()
}

/// Written anew from the definition, passage by passage and without sharing a step with the rule.
fn naive(lexical: &[(u32, f32)], dense: &[(u32, f32)], fusion: Fusion, weight: f64) -> Vec<(u32, f64)> {
    let counts = |arm: &[(u32, f32)], key: u32| -> f64 {
        let best = |of: u32| arm.iter().filter(|(key, _)| *key == of).map(|(_, score)| *score).reduce(f32::max);
        let Some(own) = best(key) else { return 0.0 };
        let scores: Vec<f32> = arm.iter().filter_map(|(key, _)| best(*key)).collect();
        match fusion {
            Fusion::MinMax => {
                let low = f64::from(scores.iter().copied().reduce(f32::min).unwrap());
                let high = f64::from(scores.iter().copied().reduce(f32::max).unwrap());
                if high > low { (f64::from(own) - low) / (high - low) } else { 1.0 }
            }
            Fusion::Rrf => {
                let mut better: Vec<u32> =
                    arm.iter().map(|(key, _)| *key).filter(|key| best(*key).unwrap() > own).collect();
                better.sort_unstable();
                better.dedup();
                61.0 / (61.0 + better.len() as f64)
            }
        }
    };
    let mut all: Vec<u32> = lexical.iter().chain(dense).map(|(key, _)| *key).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(|key| (key, (1.0 - weight) * counts(lexical, key) + weight * counts(dense, key))).collect()
}

#[test]
fn each_arm_counts_by_how_far_a_passage_stands_above_its_worst() {
    let lexical = arm(&[(1, 30.0), (2, 20.0), (3, 10.0)]);
    let dense = arm(&[(3, 0.9), (2, 0.8), (4, 0.1)]);
    let fused = fuse(&lexical, &dense, rule(Fusion::MinMax, 0.5)).unwrap();
    assert_eq!(keys(&fused), [2, 1, 3, 4]);
    assert_eq!(fused[0].score, 0.6875);
    assert_eq!(keys(&fuse(&lexical, &dense, rule(Fusion::MinMax, 0.0)).unwrap())[..2], [1, 2]);
    assert_eq!(keys(&fuse(&lexical, &dense, rule(Fusion::MinMax, 1.0)).unwrap())[..2], [3, 2]);
}

#[test]
fn an_arm_that_found_nothing_leaves_the_other_one_as_it_is() {
    let found = arm(&[(7, 3.0), (5, 2.0), (6, 2.0), (9, 1.0)]);
    for fusion in [Fusion::MinMax, Fusion::Rrf] {
        assert_eq!(keys(&fuse(&found, &[], rule(fusion, 0.5)).unwrap()), [7, 5, 6, 9]);
        assert_eq!(keys(&fuse(&[], &found, rule(fusion, 0.5)).unwrap()), [7, 5, 6, 9]);
        assert_eq!(fuse::<u32>(&[], &[], rule(fusion, 0.5)).unwrap(), []);
    }
}

#[test]
fn equal_scores_are_all_best_and_stand_in_the_order_of_their_keys() {
    let equal = arm(&[(3, 1.0), (1, 1.0), (2, 1.0)]);
    let fused = fuse(&equal, &[], rule(Fusion::MinMax, 0.25)).unwrap();
    assert_eq!(fused, arm(&[(1, 0.75), (2, 0.75), (3, 0.75)]));
    let fused = fuse(&equal, &[], rule(Fusion::Rrf, 0.25)).unwrap();
    assert_eq!(fused, arm(&[(1, 0.75), (2, 0.75), (3, 0.75)]));
}

#[test]
fn what_is_no_finite_number_is_refused_with_the_arm_it_came_from() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (good, bad) = (arm(&[(1, 1.0)]), arm(&[(1, bad)]));
        for fusion in [Fusion::MinMax, Fusion::Rrf] {
            assert_eq!(fuse(&bad, &good, rule(fusion, 0.5)), Err(NoNumber { arm: "lexical" }));
            assert_eq!(fuse(&good, &bad, rule(fusion, 0.5)), Err(NoNumber { arm: "dense" }));
        }
    }
    let two = arm(&[(1, 2.0), (2, 1.0)]);
    assert_eq!(fuse(&two, &[], rule(Fusion::MinMax, f64::NAN)).unwrap(), arm(&[(1, 0.5), (2, 0.0)]));
}

proptest! {
    #[test]
    fn it_is_what_the_definition_says(
        lexical in prop::collection::vec((0_u32..40, -50_i16..50), 0..30),
        dense in prop::collection::vec((0_u32..40, -50_i16..50), 0..30),
        rrf in any::<bool>(),
        weight in 0.0_f64..=1.0,
    ) {
        let of = |scores: &[(u32, i16)]| -> Vec<(u32, f32)> {
            scores.iter().map(|(key, score)| (*key, f32::from(*score) / 7.0)).collect()
        };
        let (lexical, dense) = (of(&lexical), of(&dense));
        let fusion = if rrf { Fusion::Rrf } else { Fusion::MinMax };
        let fused = fuse(&arm(&lexical), &arm(&dense), rule(fusion, weight)).unwrap();
        let expected = naive(&lexical, &dense, fusion, weight);
        prop_assert_eq!(fused.len(), expected.len());
        for (key, score) in &expected {
            let found = fused.iter().find(|scored| scored.key == *key).unwrap();
            prop_assert!((f64::from(found.score) - score).abs() < 1e-6);
        }
        let in_order = |pair: &[Scored<u32>]| {
            pair[0].score > pair[1].score || (pair[0].score == pair[1].score && pair[0].key < pair[1].key)
        };
        prop_assert!(fused.windows(2).all(in_order));
        // the order in which an arm names its passages says nothing
        let (mut lexical, mut dense) = (arm(&lexical), arm(&dense));
        lexical.reverse();
        dense.reverse();
        prop_assert_eq!(fuse(&lexical, &dense, rule(fusion, weight)).unwrap(), fused);
    }
}

use super::*;
use proptest::prelude::*;

fn rule(weight: f64) -> Rule {
    Rule { fusion: Fusion::MinMax, weight }
}

fn ranked(keys: impl IntoIterator<Item = u32>) -> Vec<Scored<u32>> {
    (0_u8..).zip(keys).map(|(place, key)| Scored { key, score: -f32::from(place) }).collect()
}

/// One arm is right about a question, the other one more or less wrong: a weight between 0.1 and 0.5 suffices, or one below a
/// bound between 0.5 and 0.9.
fn one_sided(number: usize, dense_is_right: bool) -> Labelled {
    let scored = |key: u32, score: f32| Scored { key, score };
    let tenths = f32::from(u8::try_from(number % 10).unwrap()) / 10.0;
    let right = vec![scored(0, 1.0), scored(2, 0.5), scored(1, 0.0)];
    let wrong = vec![scored(1, 1.0), scored(0, tenths), scored(2, 0.0)];
    let (lexical, dense) = if dense_is_right { (wrong, right) } else { (right, wrong) };
    Labelled {
        question: format!("question {number}"),
        documents: ["right", "other", "third"].map(str::to_owned).to_vec(),
        lexical,
        dense,
        relevant: vec!["right".to_owned()],
    }
}

fn all_one_sided(count: usize, dense_is_right: bool) -> Vec<Labelled> {
    (0..count).map(|number| one_sided(number, dense_is_right)).collect()
}

#[test]
fn the_weight_moves_to_the_arm_that_is_right_and_the_more_questions_the_further() {
    let learnt = |count: usize, dense_is_right: bool, from: f64| {
        learn_weight(all_one_sided(count, dense_is_right).iter(), rule(from))
    };
    assert_eq!(learnt(0, true, 0.5), 0.5);
    let unlabelled = Labelled { relevant: Vec::new(), ..one_sided(0, true) };
    assert_eq!(learn_weight(vec![unlabelled; 100].iter(), rule(0.3)), 0.3);
    let (few, many) = (learnt(10, true, 0.3), learnt(500, true, 0.3));
    assert!(0.3 < few && few < many && many <= 0.8, "{few} {many}");
    let (few, many) = (learnt(10, false, 0.7), learnt(500, false, 0.7));
    assert!(0.2 <= many && many < few && few < 0.7, "{few} {many}");
    assert_eq!(learnt(500, true, 0.6), 0.6, "the policy's weight ranks all of them right already");
}

#[test]
fn too_few_labels_and_labels_that_say_nothing_leave_the_policys_weight() {
    let policy = rule(0.3);
    let few = lesson(&all_one_sided(LABELS_MIN - 1, true), policy);
    assert_eq!((few.weight, few.questions), (None, 29));
    assert!(few.learnt > few.policy, "it is told what they say all the same: {few:?}");
    let enough = lesson(&all_one_sided(LABELS_MIN, true), policy);
    assert!(enough.weight.is_some_and(|weight| 0.3 < weight && weight <= 0.8), "{enough:?}");
    assert!(enough.learnt > enough.policy && enough.policy >= enough.lexical, "{enough:?}");
    let alike = lesson(&all_one_sided(200, true), rule(0.6));
    assert_eq!((alike.weight, alike.questions), (None, 200), "nothing ranks better than the policy's");
    assert_eq!(lesson(&[], policy), Lesson::default());
}

#[test]
fn what_loses_against_words_alone_is_not_taken_over() {
    // the policy leans on meaning, which is wrong; the learnt weight is better, and words alone are best
    let one = |number: usize| {
        let wrong = one_sided(number / 2, false);
        let found_by_words_alone = vec![Scored { key: 1, score: 1.0 }, Scored { key: 2, score: 0.0 }];
        let lexical = [(0, 1.0), (1, 0.99), (2, 0.0)].map(|(key, score)| Scored { key, score }).to_vec();
        let question = format!("question {number}");
        if number.is_multiple_of(2) {
            Labelled { question, lexical, dense: found_by_words_alone, ..wrong }
        } else {
            Labelled { question, ..wrong }
        }
    };
    let questions: Vec<Labelled> = (0..100).map(one).collect();
    let found = lesson(&questions, rule(0.9));
    assert!(found.learnt > found.policy && found.learnt < found.lexical, "{found:?}");
    assert_eq!(found.weight, None);
}

/// Numbers that look random and are the same every time.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Rankings that have nothing to do with what is right: every weight is as good as any other.
#[test]
fn chance_is_taken_over_seldom_and_costs_little() {
    let mut noise = Noise(7);
    let (mut taken, mut lost) = (0, 0.0);
    for world in 0..200 {
        let mut random = |number: u64| {
            let mut keys: Vec<u32> = (0..8).collect();
            let mut shuffled = || {
                keys.sort_by_key(|_| noise.next(1 << 30));
                ranked(keys.iter().copied())
            };
            Labelled {
                question: format!("world {world} question {number}"),
                documents: (0..8).map(|at| format!("d{at}")).collect(),
                lexical: shuffled(),
                dense: shuffled(),
                relevant: vec![format!("d{}", number % 8)],
            }
        };
        let questions: Vec<Labelled> = (0..40).map(&mut random).collect();
        let fresh: Vec<Labelled> = (100..500).map(&mut random).collect();
        if let Some(weight) = lesson(&questions, rule(0.5)).weight {
            let gain = |weight: f64| mean(fresh.iter().filter_map(|question| question.gain(rule(weight)))).0;
            taken += 1;
            lost += gain(0.5) - gain(weight);
        }
    }
    assert!(taken < 110, "{taken} of 200");
    assert!(lost / f64::from(taken) < 0.005, "{}", lost / f64::from(taken));
}

proptest! {
    #[test]
    fn a_learnt_weight_silences_no_arm_and_moves_only_from_the_policys(
        labels in prop::collection::vec((prop::collection::vec(0_u32..6, 0..6), prop::collection::vec(0_u32..6, 0..6), 0_usize..6), 0..60),
        weight in 0.0_f64..=1.0,
    ) {
        let questions: Vec<Labelled> = labels
            .iter()
            .enumerate()
            .map(|(number, (lexical, dense, relevant))| Labelled {
                question: number.to_string(),
                documents: (0..6).map(|at| format!("d{at}")).collect(),
                lexical: ranked(lexical.iter().copied()),
                dense: ranked(dense.iter().copied()),
                relevant: vec![format!("d{relevant}")],
            })
            .collect();
        let learnt = learn_weight(questions.iter(), rule(weight));
        let bounds = weight.min(LEARNT_MIN)..=weight.max(LEARNT_MAX);
        prop_assert!(bounds.contains(&learnt), "{} from {}", learnt, weight);
        let found = lesson(&questions, rule(weight));
        prop_assert_eq!(found, lesson(&questions, rule(weight)));
        prop_assert!(found.weight.is_none_or(|weight| bounds.contains(&weight)));
        prop_assert!(found.weight.is_none() || (found.learnt > found.policy && found.learnt >= found.lexical - TOLERANCE));
        let mut reversed = questions;
        reversed.reverse();
        let again = lesson(&reversed, rule(weight));
        prop_assert_eq!((again.weight, again.questions), (found.weight, found.questions), "their order says nothing");
    }
}

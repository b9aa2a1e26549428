//! Table and property tests of meanings: how near two are, what an answer rests on, what is found and forgotten.
use super::lookup::Meaning;
use super::meaning::{Ground, Recollection, Vector, is_near};
use super::rules::{Key, Partition, key, partition};
use super::store::SemanticStore;
use super::tests::{draft, passage, words};
use crate::egress::fixtures::here;
use crate::question::{Matter, Passage, Question};
use crate::routing::markers;
use crate::ruling::Ruled;
use crate::supervisor::fixtures::{NOW, policy, principal, understanding};
use crate::turn::{Draft, DraftContent};
use bailiwick_policy::schema::{EmbeddingRoute, SemanticCacheRules};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
/// A request the default tenant's rules permit.
fn permitted() -> Ruled {
    Ruled::on(&policy("default", |_| {}), &Matter::Ask(Question::default()), &principal(), NOW).unwrap()
}

fn towards(numbers: &[f64]) -> Vector {
    Vector::towards(numbers).unwrap()
}

fn rules(max_bytes: u64, min_similarity: f64) -> SemanticCacheRules {
    let embedding = EmbeddingRoute { provider: "p".into(), model: "e".into() };
    SemanticCacheRules { ttl_s: 60, max_bytes, min_similarity, embedding }
}

fn asked(text: &str) -> Question {
    Question { text: text.into(), ..Question::default() }
}

fn part(question: &Question) -> Partition {
    partition(question, &policy("default", understanding), &permitted())
}

fn key_of(text: &str) -> Key {
    key(&Matter::Ask(asked(text)), &[], &policy("default", understanding), &permitted())
}

fn salt_and_oil() -> [Passage; 2] {
    [passage("salt", "Salt dissolves."), passage("oil", "Oil does not.")]
}

fn cites(text: &str) -> Recollection {
    Recollection::of(&words(text), &Ground::of(&salt_and_oil())).unwrap()
}

fn text_of(draft: Option<Draft>) -> Option<String> {
    match draft?.content {
        DraftContent::Grounded { text, .. } => Some(text),
        other => panic!("no words: {other:?}"),
    }
}

#[test]
fn only_a_direction_is_a_vector() {
    let largest = vec![1.0; 8_192];
    for numbers in [&[3.0, 4.0][..], &[-1e-3], &largest] {
        let vector = towards(numbers);
        assert!((vector.similarity(&vector).unwrap() - 1.0).abs() < 1e-5);
        assert_eq!(vector.bytes(), numbers.len() * 4);
    }
    let too_many = vec![1.0; 8_193];
    for numbers in [&[][..], &[0.0, 0.0], &[f64::NAN, 1.0], &[f64::INFINITY], &[1e308, 1e308], &too_many] {
        assert_eq!(Vector::towards(numbers), None, "{:?}", numbers.first());
    }
    assert_eq!(towards(&[1.0, 0.0]).similarity(&towards(&[1.0])), None, "of another model");
}

#[test]
fn one_embedding_is_read_out_of_an_answer() {
    let read = |data: serde_json::Value| Vector::read(&json!({ "data": data }));
    assert_eq!(read(json!([{"index": 0, "embedding": [3, 4.0]}])), Some(towards(&[3.0, 4.0])));
    for data in [
        json!([]),
        json!([{"embedding": [1.0]}, {"embedding": [1.0]}]),
        json!([{"embedding": "AACAPw=="}]),
        json!([{"embedding": [1.0, null]}]),
        json!([{"embedding": []}]),
        json!({"embedding": [1.0]}),
    ] {
        assert_eq!(read(data.clone()), None, "{data}");
    }
    assert_eq!(Vector::read(&json!({"error": "no"})), None);
}

#[test]
fn whatever_keeps_answers_apart_is_in_the_partition() {
    let (one, other) = (policy("default", understanding), policy("default", |_| {}));
    let with = |change: &dyn Fn(&mut Question)| {
        let mut question = asked("x");
        change(&mut question);
        partition(&question, &one, &permitted())
    };
    let parts = [
        with(&|_| {}),
        with(&|question| question.domain = Some("d".into())),
        with(&|question| question.usecase = Some("d".into())),
        with(&|question| question.top_k = Some(1)),
        with(&|question| question.top_k = Some(0)),
        partition(&asked("x"), &other, &permitted()),
    ];
    let apart: BTreeSet<String> = parts.iter().map(|part| format!("{part:?}")).collect();
    assert_eq!(apart.len(), parts.len(), "{parts:?}");
    assert_eq!(with(&|question| question.text = "y".into()), parts[0], "what it asks is for its meaning to say");
}

#[test]
fn an_answer_moves_to_where_its_passages_were_found() {
    let both = DraftContent::Grounded { text: "Oil [2], salt [1], oil [2].".into(), spans: vec![(1, 0..4), (2, 0..3)] };
    let answer = Recollection::of(&draft(both), &Ground::of(&salt_and_oil())).unwrap();
    let [salt, oil] = salt_and_oil();
    let found = Ground::of(&[oil.clone(), passage("sand", "Sand does not."), salt.clone()]);
    let moved = answer.on(&found).unwrap();
    let DraftContent::Grounded { text, spans } = &moved.content else { panic!("{moved:?}") };
    assert_eq!((text.as_str(), spans.as_slice()), ("Oil [1], salt [3], oil [1].", &[(3, 0..4), (1, 0..3)][..]));
    assert_eq!((moved.prompt_tokens, moved.completion_tokens, moved.model.provider.as_str()), (0, 0, "cache"));
    let unclean = cites("Both [1, 2].");
    assert_eq!(unclean.on(&found), None, "a marker that is not renumbered cites another passage");
}

#[test]
fn an_answer_stands_on_every_passage_it_cites_unchanged() {
    let answer = cites("Salt [1], oil [2].");
    let [salt, oil] = salt_and_oil();
    assert!(answer.on(&Ground::of(&[salt.clone(), oil.clone()])).is_some());
    let changed = |change: &dyn Fn(&mut Passage)| {
        let mut oil = oil.clone();
        change(&mut oil);
        Ground::of(&[salt.clone(), oil])
    };
    assert!(answer.on(&changed(&|oil| oil.score = 7.0)).is_some(), "how well it was found is not what it says");
    for ground in [
        Ground::of(&[]),
        Ground::of(std::slice::from_ref(&salt)),
        changed(&|oil| oil.text.push('!')),
        changed(&|oil| oil.document_id.push('!')),
        changed(&|oil| oil.trust_score = 0.4),
        changed(&|oil| oil.start = 1),
    ] {
        assert_eq!(answer.on(&ground), None, "{ground:?}");
    }
    let one = cites("Salt [1].");
    assert!(one.on(&Ground::of(std::slice::from_ref(&salt))).is_some(), "what it does not cite it does not need");
}

#[test]
fn what_rests_on_nothing_answers_nothing_else() {
    let ground = Ground::of(&salt_and_oil());
    let mut fallback = words("Salt [1].");
    fallback.model.fallback = true;
    for unfit in [
        words("Salt."),
        words("Sand [3]."),
        draft(DraftContent::Abstained { reason: "none".into() }),
        draft(DraftContent::Completion(json!({}))),
        Draft { cut_short: true, ..words("Salt [1].") },
        fallback,
    ] {
        assert_eq!(Recollection::of(&unfit, &ground), None, "{unfit:?}");
    }
}

#[test]
fn the_nearest_that_is_near_enough_and_stands_is_found() {
    let store = SemanticStore::new(&rules(1 << 20, 0.9), &here());
    let (here, elsewhere) = (part(&asked("x")), part(&Question { domain: Some("d".into()), ..asked("x") }));
    let remember = |here: Partition, name: &str, at: f64, text: &str, now| {
        let vector = Arc::new(towards(&[at.cos(), at.sin()]));
        store.remember(Meaning { place: (here, key_of(name)), vector }, cites(text), now);
    };
    let ground = Ground::of(&salt_and_oil());
    let found = |here: &Partition, at: f64, ground: &Ground, now| {
        text_of(store.nearest(here, &towards(&[at.cos(), at.sin()]), ground, now))
    };
    let text = |text: &str| Some(text.to_owned());
    let limit = 0.9_f64.acos();
    remember(here, "a", 0.0, "a [1]", NOW);
    assert_eq!(found(&here, limit - 1e-3, &ground, NOW), text("a [1]"));
    assert_eq!(found(&here, limit + 1e-3, &ground, NOW), None, "below the threshold");
    assert_eq!(found(&elsewhere, 0.0, &ground, NOW), None, "in another partition");
    remember(here, "b", 0.1, "b [2]", NOW + 1);
    assert_eq!(found(&here, 0.06, &ground, NOW + 1), text("b [2]"), "the nearer one");
    let salt = Ground::of(&salt_and_oil()[..1]);
    assert_eq!(found(&here, 0.06, &salt, NOW + 1), text("a [1]"), "the nearer one does not stand");
    remember(here, "c", 0.1, "c [2]", NOW + 2);
    assert_eq!(found(&here, 0.1, &ground, NOW + 2), text("c [2]"), "of two that are as near the younger one");
    remember(here, "c", 0.1, "d [2]", NOW + 3);
    assert_eq!(found(&here, 0.1, &ground, NOW + 3), text("d [2]"), "the same question is answered anew");
    assert_eq!(found(&here, 0.1, &ground, NOW + 60_002), text("d [2]"), "until its time is over");
    assert_eq!(found(&here, 0.1, &ground, NOW + 60_003), None);
    assert!(store.nearest(&here, &towards(&[1.0]), &ground, NOW).is_none(), "another model's directions");
}

#[test]
fn equal_questions_are_as_near_as_can_be_asked_for() {
    assert!(is_near(1.0 - 5e-7, 1.0) && !is_near(1.0 - 2e-6, 1.0) && !is_near(-1.0, 0.1));
    let odd = towards(&[0.1, 0.7, -0.3, 1e-9, 12.0, 5.5, 0.333, -8.25, 0.01]);
    assert!(is_near(odd.similarity(&odd.clone()).unwrap(), 1.0));
}

#[test]
fn an_answer_larger_than_the_store_is_not_remembered() {
    let store = SemanticStore::new(&rules(64 << 10, 0.9), &here());
    let (here, vector) = (part(&asked("x")), Arc::new(towards(&[1.0])));
    let long = cites(&format!("{} [1]", "x".repeat(64 << 10)));
    store.remember(Meaning { place: (here, key_of("a")), vector: Arc::clone(&vector) }, long, NOW);
    assert_eq!((store.bytes(), store.nearest(&here, &vector, &Ground::of(&salt_and_oil()), NOW)), (0, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn similarity_is_the_cosine(pairs in prop::collection::vec((-9.0_f64..9.0, -9.0_f64..9.0), 1..70)) {
        let (one, other): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (Some(first), Some(second)) = (Vector::towards(&one), Vector::towards(&other)) else { return Ok(()) };
        let expected = dot(&one, &other) / (dot(&one, &one).sqrt() * dot(&other, &other).sqrt());
        let found = first.similarity(&second).unwrap();
        prop_assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_store_never_grows_over_its_bytes(entries in prop::collection::vec((0_usize..9_000, 1_usize..2_000), 1..150)) {
        let max_bytes: usize = 64 << 10;
        let store = SemanticStore::new(&rules(64 << 10, 0.5), &here());
        let (here, ground) = (part(&asked("x")), Ground::of(&salt_and_oil()));
        let policy = policy("default", understanding);
        let mut remembered = Vec::new();
        for (number, (length, dimensions)) in entries.iter().enumerate() {
            let mut numbers = vec![0.0; *dimensions];
            numbers[number % dimensions] = 1.0;
            let text = number.to_string();
            let key = key(&Matter::Ask(asked(&text)), &[], &policy, &permitted());
            let (vector, words) = (Arc::new(towards(&numbers)), format!("{text} {} [1]", "x".repeat(*length)));
            let bytes = words.len() + vector.bytes();
            store.remember(Meaning { place: (here, key), vector: Arc::clone(&vector) }, cites(&words), NOW);
            prop_assert!(store.nearest(&here, &vector, &ground, NOW).is_some(), "the newest is there");
            prop_assert!(store.bytes() <= 64 << 10);
            remembered.push((words, vector, bytes));
            let known = |(words, vector, _): &&(String, Arc<Vector>, usize)| {
                text_of(store.nearest(&here, vector, &ground, NOW)).as_ref() == Some(words)
            };
            let bytes: usize = remembered.iter().rev().take(8).filter(known).map(|(.., bytes)| *bytes).sum();
            prop_assert!(bytes <= max_bytes, "{bytes} bytes can be recalled");
        }
    }
}

proptest! {
    /// However the markers of an answer are written: given to another question it cites the same passages, or it is not
    /// given at all.
    #[test]
    fn an_answer_never_comes_to_cite_another_passage(
        text in r"([a-c ]{0,3}|\[|\]|[0-9]|, ?|-|\[[1-5]\]){0,24}",
        found in Just((0..6_usize).collect::<Vec<_>>()).prop_shuffle(),
        count in 0..=6_usize,
    ) {
        let all: Vec<Passage> = (0..6).map(|number| passage(&format!("d{number}"), &format!("Words {number}."))).collect();
        let before = &all[..4];
        let after: Vec<Passage> = found[..count].iter().map(|index| all[*index].clone()).collect();
        let cited = |text: &str, passages: &[Passage]| -> Vec<String> {
            let numbers = markers::cited(text, passages.len());
            numbers.into_iter().map(|number| passages[number - 1].document_id.clone()).collect()
        };
        let text = markers::clean(&text, before.len());
        let Some(answer) = Recollection::of(&words(&text), &Ground::of(before)) else { return Ok(()) };
        let given = text_of(answer.on(&Ground::of(&after)));
        if let Some(given) = &given {
            // as the exit reads it
            prop_assert_eq!(cited(&markers::clean(given, after.len()), &after), cited(&text, before));
        }
        prop_assert!(given.is_some() || count < 6 || text.contains("[["), "all passages were found: {}", text);
    }
}

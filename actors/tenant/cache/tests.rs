//! Table and property tests of the cache's rules and of what it remembers.
use super::rules::{Course, bytes_of, course, exact, given_again, is_fit, key, partition, semantic};
use super::store::Store;
use crate::egress::fixtures::here;
use crate::question::{CacheControl, Chat, Exchange, Matter, ModelUsed, Passage, Question, Search};
use crate::ruling::Ruled;
use crate::supervisor::fixtures::{NOW, caching, metered, policy, principal, understanding};
use crate::turn::{Draft, DraftContent};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::ExactCacheRules;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;
/// A request the default tenant's rules permit.
fn permitted() -> Ruled {
    Ruled::on(&policy("default", |_| {}), &Matter::Ask(Question::default()), &principal(), NOW).unwrap()
}

pub(super) fn passage(id: &str, text: &str) -> Passage {
    Passage {
        document_id: id.into(),
        chunk_id: format!("{id}#0"),
        title: "Title".into(),
        source: "upload.local/a.txt".into(),
        text: text.into(),
        start: 0,
        end: text.len(),
        page: None,
        score: 1.0,
        trust_score: 0.5,
        domain: "general".into(),
        usecase: "general".into(),
        version: 0,
        document_sha256: String::new(),
    }
}

/// A question that comes behind another one, which was answered so.
fn behind(answer: &str) -> Question {
    let earlier = Exchange { question: "before".into(), answer: answer.into(), ..Exchange::default() };
    Question { earlier: [earlier].into(), ..Question::default() }
}

fn ask(text: &str) -> Matter {
    Matter::Ask(Question { text: text.into(), ..Question::default() })
}

pub(super) fn draft(content: DraftContent) -> Draft {
    let model = ModelUsed { provider: "p".into(), name: "m".into(), region: "eu-west-1".into(), fallback: false };
    Draft {
        content,
        prompt_tokens: 11,
        completion_tokens: 7,
        model,
        cut_short: false,
        ended_by_length: false,
        rejection: None,
    }
}

pub(super) fn words(text: &str) -> Draft {
    draft(DraftContent::Grounded { text: text.into(), spans: vec![] })
}

#[test]
fn everything_that_decides_an_answer_is_in_its_key() {
    let (caching, metered) = (policy("default", caching), policy("default", metered));
    let passages = [passage("a", "Salt dissolves."), passage("b", "Oil does not.")];
    let changed = |change: &dyn Fn(&mut Passage)| {
        let mut changed = passages.to_vec();
        change(&mut changed[0]);
        changed
    };
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let filtered = |question: Question| Matter::Ask(Question { text: "x".into(), ..question });
    let keys = [
        key(&ask("x"), &passages, &caching, &permitted()),
        key(&ask("y"), &passages, &caching, &permitted()),
        key(&filtered(Question { domain: Some("d".into()), ..Question::default() }), &passages, &caching, &permitted()),
        key(&filtered(Question { top_k: Some(1), ..Question::default() }), &passages, &caching, &permitted()),
        key(&filtered(behind("one")), &passages, &caching, &permitted()),
        key(&filtered(behind("two")), &passages, &caching, &permitted()),
        key(&ask("x"), &passages, &metered, &permitted()),
        key(&ask("x"), &passages[..1], &caching, &permitted()),
        key(&ask("x"), &[], &caching, &permitted()),
        key(&ask("x"), &[passages[1].clone(), passages[0].clone()], &caching, &permitted()),
        key(&ask("x"), &changed(&|passage| passage.text.push('!')), &caching, &permitted()),
        key(&ask("x"), &changed(&|passage| passage.title.push('!')), &caching, &permitted()),
        key(&ask("x"), &changed(&|passage| passage.document_id.push('!')), &caching, &permitted()),
        key(&ask("x"), &changed(&|passage| passage.trust_score = 0.6), &caching, &permitted()),
        key(&ask("x"), &changed(&|passage| passage.start = 1), &caching, &permitted()),
        key(&ask("x"), &changed(&|passage| passage.page = Some(0)), &caching, &permitted()),
        key(&Matter::Embed(Box::new(body.clone())), &[], &caching, &permitted()),
        key(&Matter::Chat(Box::new(Chat { model: "m".into(), body, max_tokens: None })), &[], &caching, &permitted()),
    ];
    let told_apart: BTreeSet<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    assert_eq!(told_apart.len(), keys.len(), "{keys:?}");
    let scored = changed(&|passage| passage.score = 7.0);
    let again = key(&ask("x"), &scored, &caching, &permitted());
    assert_eq!(again, keys[0], "how well a passage was found is not what it says");
}

#[test]
fn what_was_said_before_parts_questions_of_one_meaning() {
    let policy = policy("default", caching);
    let of = |question: &Question| format!("{:?}", partition(question, &policy, &permitted()));
    let apart: BTreeSet<String> = [&Question::default(), &behind("one"), &behind("two")].map(of).into();
    assert_eq!(apart.len(), 3, "one conversation's answer is not given in another");
    assert_eq!(of(&behind("one")), of(&behind("one")));
}

#[test]
fn the_file_opts_in_and_the_asker_out() {
    let caching = policy("default", caching);
    let understanding = policy("default", understanding);
    let off = policy("default", |_| {});
    assert!(exact(&off).is_none() && semantic(&off).is_none(), "off by default");
    let (rules, by_meaning) = (caching.router.cache.as_ref(), understanding.router.cache.as_ref());
    assert!(semantic(&caching).is_none() && exact(&understanding).is_none(), "each is asked for by itself");
    let search = Matter::Search(Search::default());
    let embed = Matter::Embed(Box::new(json!({"model": "m", "input": "x"})));
    let table = [
        (None, ask("x"), CacheControl::Default, Course::Pass),
        (None, ask("x"), CacheControl::NoStore, Course::Pass),
        (rules, search, CacheControl::Default, Course::Pass),
        (rules, ask("x"), CacheControl::Default, Course::Look),
        (rules, ask("x"), CacheControl::NoCache, Course::Refresh),
        (rules, ask("x"), CacheControl::NoStore, Course::Bypass),
        (rules, embed.clone(), CacheControl::Default, Course::Look),
        (by_meaning, ask("x"), CacheControl::Default, Course::Look),
        (by_meaning, ask("x"), CacheControl::NoCache, Course::Refresh),
        (by_meaning, ask("x"), CacheControl::NoStore, Course::Bypass),
        (by_meaning, embed.clone(), CacheControl::Default, Course::Pass),
        (by_meaning, embed, CacheControl::NoStore, Course::Pass),
    ];
    for (rules, matter, wish, expected) in table {
        assert_eq!(course(rules, &matter, wish), expected, "{matter:?} {wish:?}");
    }
}

#[test]
fn directives_are_read_as_browsers_send_them() {
    for (directives, expected) in [
        ("", CacheControl::Default),
        ("max-age=0", CacheControl::Default),
        ("No-Cache", CacheControl::NoCache),
        ("no-cache, no-transform", CacheControl::NoCache),
        ("no-cache,no-store , must-revalidate", CacheControl::NoStore),
        ("no-storex", CacheControl::Default),
    ] {
        assert_eq!(CacheControl::parse(directives), expected, "{directives}");
    }
}

#[test]
fn only_a_whole_answer_of_the_first_choice_is_remembered() {
    assert!(is_fit(&words("x")) && is_fit(&draft(DraftContent::Abstained { reason: "none".into() })));
    let mut fallback = words("x");
    fallback.model.fallback = true;
    for unfit in [
        Draft { cut_short: true, ..words("x") },
        Draft { ended_by_length: true, ..words("x") },
        Draft { rejection: Some(Rejection::new(Code::PolicyDenied, "no")), ..words("x") },
        fallback,
        given_again(&words("x")),
    ] {
        assert!(!is_fit(&unfit), "{unfit:?}");
    }
}

#[test]
fn an_answer_given_again_says_where_it_came_from() {
    let again = given_again(&words("x"));
    assert_eq!((again.prompt_tokens, again.completion_tokens, &again.content), (0, 0, &words("x").content));
    assert_eq!((again.model.provider.as_str(), again.model.name.as_str()), ("cache", "p/m"));
    assert_eq!(again.model.region, "eu-west-1", "where it was made");
}

fn key_of(number: usize) -> super::rules::Key {
    key(&ask(&number.to_string()), &[], &policy("default", metered), &permitted())
}

#[test]
fn an_answer_is_given_until_its_time_is_over() {
    let store = Store::new(&ExactCacheRules { ttl_s: 60, max_bytes: 1 << 20 }, &here());
    let key = key_of(1);
    store.remember(key, words("x"), NOW);
    assert_eq!(store.recall(&key, NOW + 59_999).as_deref(), Some(&words("x")));
    assert_eq!(store.recall(&key_of(2), NOW), None);
    assert_eq!(store.recall(&key, NOW + 60_000), None);
    assert_eq!(store.recall(&key, NOW), None, "and is gone then");
}

#[test]
fn an_answer_larger_than_the_cache_is_not_remembered() {
    let store = Store::new(&ExactCacheRules { ttl_s: 60, max_bytes: 1_000 }, &here());
    store.remember(key_of(1), words(&"x".repeat(1_000)), NOW);
    store.remember(key_of(2), draft(DraftContent::Completion(json!({"words": "x".repeat(300)}))), NOW);
    assert_eq!((store.recall(&key_of(1), NOW), store.recall(&key_of(2), NOW)), (None, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn the_cache_never_grows_over_its_bytes(lengths in prop::collection::vec(0_usize..20_000, 1..120)) {
        let max_bytes: usize = 64 << 10;
        let store = Store::new(&ExactCacheRules { ttl_s: 60, max_bytes: 64 << 10 }, &here());
        let policy = policy("default", metered);
        let mut remembered = Vec::new();
        for (number, length) in lengths.iter().enumerate() {
            let key = key(&ask(&number.to_string()), &[], &policy, &permitted());
            let answer = words(&"x".repeat(*length));
            prop_assert!(bytes_of(&answer) > *length);
            store.remember(key, answer, NOW);
            prop_assert!(store.recall(&key, NOW).is_some(), "the newest is there");
            remembered.push(key);
            let bytes: usize = remembered.iter().filter_map(|key| store.recall(key, NOW)).map(|answer| bytes_of(&answer)).sum();
            prop_assert!(bytes <= max_bytes, "{bytes} bytes of answers can be recalled");
        }
    }
}

//! Table and property tests of repeated calls: names and digests, the rules, what is kept and what is told from it.
use super::index::{Index, Place};
use super::keeping::{self, Ending};
use super::keyed::Keyed;
use super::name::Name;
use super::rules::{Came, Repeats, Waited, judge, other_body};
use crate::digest::MatterDigest;
use crate::entry::Entry;
use crate::question::{Answer, Chat, Citation, Completion, Matter, ModelUsed, Question, Reply, Search, Usage};
use crate::supervisor::fixtures::{NOW, belongings_of, nobody};
use bailiwick_kernel::codec;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::limits::{
    NAME_CHARS_MAX, RECORD_BYTES_MAX, REPEATED_REPLY_BYTES_MAX, REPEATS_KEPT_MS, REPEATS_WAITING_MAX,
};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use proptest::prelude::*;
use serde_json::{Value, json};

fn chat(body: Value) -> Matter {
    Matter::Chat(Box::new(Chat { model: "m".into(), body, max_tokens: None }))
}

#[test]
fn a_name_belongs_to_one_api_key() {
    assert_eq!(Name::of("a", "k"), Name::of("a", "k"));
    for (key_id, key) in [("b", "k"), ("a", "l"), ("ak", ""), ("", "ak"), ("k", "a")] {
        assert_ne!(Name::of("a", "k"), Name::of(key_id, key), "{key_id:?} {key:?}");
    }
}

#[test]
fn everything_that_decides_an_answer_is_in_its_digest() {
    let ask = |text: &str, domain: Option<&str>, usecase: Option<&str>, top_k| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Matter::Ask(Question {
            text: text.into(),
            domain: owned(domain),
            usecase: owned(usecase),
            top_k,
            ..Question::default()
        })
    };
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 0});
    let with = |field: &str, value: Value| {
        let mut other = body.clone();
        other[field] = value;
        other
    };
    let all = [
        ask("x", None, None, None),
        ask("y", None, None, None),
        ask("x", Some("d"), None, None),
        ask("x", Some(""), None, None),
        ask("x", None, Some("d"), None),
        ask("x", None, None, Some(0)),
        ask("x", None, None, Some(3)),
        Matter::Search(Search { query: "x".into(), ..Search::default() }),
        chat(body.clone()),
        chat(with("model", json!("n"))),
        chat(with("temperature", json!(0.5))),
        chat(with("messages", json!([{"role": "user", "content": "y"}]))),
        chat(with("messages", json!([{"role": "user", "content": ["x"]}]))),
        chat(with("seed", Value::Null)),
        chat(with("seed", json!(false))),
        chat(with("seed", json!("false"))),
        Matter::Embed(Box::new(body.clone())),
    ];
    for (at, one) in all.iter().enumerate() {
        for (other_at, other) in all.iter().enumerate() {
            assert_eq!(MatterDigest::of(one) == MatterDigest::of(other), at == other_at, "{one:?}\n{other:?}");
        }
    }
}

#[test]
fn how_an_answer_is_told_and_the_order_of_fields_are_not() {
    let whole = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "n": 1});
    let streamed: Value = serde_json::from_str(
        r#"{"n":1,"stream":true,"stream_options":{"include_usage":true},"messages":[{"content":"x","role":"user"}],"model":"m"}"#,
    )
    .unwrap();
    assert_eq!(MatterDigest::of(&chat(whole.clone())), MatterDigest::of(&chat(streamed)));
    let inside = json!({"model": "m", "messages": [{"role": "user", "content": "x", "stream": true}], "n": 1});
    assert_ne!(MatterDigest::of(&chat(whole)), MatterDigest::of(&chat(inside)), "only the body's own field tells");
}

fn digest(text: &str) -> MatterDigest {
    MatterDigest::of(&Matter::Ask(Question { text: text.into(), ..Question::default() }))
}

fn first(repeats: &mut Repeats<u32>, name: Name, matter: MatterDigest) -> u64 {
    match repeats.came(name, matter, 0) {
        Came::First { attempt, waiter: 0 } => attempt,
        other => panic!("not the first: {other:?}"),
    }
}

#[test]
fn who_comes_meanwhile_waits_and_another_body_is_refused() {
    let (mut repeats, name, matter) = (Repeats::default(), Name::of("a", "k"), digest("x"));
    let attempt = first(&mut repeats, name, matter);
    assert_eq!(repeats.came(name, digest("y"), 1), Came::Waits, "the journal may keep its answer");
    assert_eq!(repeats.came(name, matter, 2), Came::Waits);
    assert_eq!(repeats.runs(&name, attempt, matter), [1], "the journal keeps nothing");
    assert_eq!(repeats.came(name, digest("y"), 3), Came::Refused(3, other_body()));
    assert_eq!(other_body().code, Code::Conflict);
    assert!(matches!(repeats.came(Name::of("b", "k"), digest("y"), 4), Came::First { .. }), "another API key");
    assert_eq!(repeats.ended(&name, attempt, matter), Waited { same: vec![2], other: vec![] });
    assert!(first(&mut repeats, name, matter) > attempt, "it is in flight no more");
}

#[test]
fn what_the_journal_keeps_decides_whose_body_is_the_other_one() {
    let (mut repeats, name) = (Repeats::default(), Name::of("a", "k"));
    let attempt = first(&mut repeats, name, digest("other"));
    assert_eq!(repeats.came(name, digest("kept"), 1), Came::Waits);
    assert_eq!(repeats.came(name, digest("other"), 2), Came::Waits);
    assert_eq!(repeats.ended(&name, attempt, digest("kept")), Waited { same: vec![1], other: vec![2] });
    assert_eq!(judge(digest("kept"), digest("other")), Err(other_body()));
    assert_eq!(judge(digest("kept"), digest("kept")), Ok(()));
}

#[test]
fn an_attempt_that_is_over_ends_nobody_elses() {
    let (mut repeats, name, matter) = (Repeats::default(), Name::of("a", "k"), digest("x"));
    let over = first(&mut repeats, name, matter);
    repeats.ended(&name, over, matter);
    let attempt = first(&mut repeats, name, matter);
    assert_eq!(repeats.came(name, matter, 1), Came::Waits);
    assert_eq!(repeats.ended(&name, over, matter), Waited { same: vec![], other: vec![] });
    assert!(repeats.runs(&name, over, digest("y")).is_empty());
    assert_eq!(repeats.ended(&name, attempt, matter), Waited { same: vec![1], other: vec![] });
    assert_eq!(repeats.in_flight(), 0);
}

#[test]
fn so_many_wait_and_no_more() {
    let (mut repeats, name, matter) = (Repeats::default(), Name::of("a", "k"), digest("x"));
    first(&mut repeats, name, matter);
    for waiter in 0..u32::try_from(REPEATS_WAITING_MAX).unwrap() {
        assert_eq!(repeats.came(name, matter, waiter), Came::Waits);
    }
    let Came::Refused(_, rejection) = repeats.came(name, matter, 0) else { panic!("it waits") };
    assert_eq!((rejection.code, rejection.retry_after_ms.is_some()), (Code::Overloaded, true));
}

fn answer(words: &str) -> Reply {
    let citation = Citation {
        marker: "[1]".into(),
        document_id: "d".into(),
        chunk_id: "d#0".into(),
        title: "T".into(),
        source: "s".into(),
        snippet: words.into(),
        start: 3,
        end: 9,
        page: None,
        trust_score: 0.1 + 0.2,
    };
    Reply::Answer(Box::new(Answer {
        query_id: "q".into(),
        answer: words.into(),
        abstained: false,
        reason: None,
        citations: vec![citation],
        trust_score: 1.0 / 3.0,
        model: ModelUsed::default(),
        usage: Usage { prompt_tokens: 1, completion_tokens: 2, cost: NanoUsd(7) },
        policy_version: "1".into(),
        receipt: String::new(),
        notes: Vec::new(),
        ended_by_length: false,
    }))
}

fn completion(body: Value) -> Reply {
    Reply::Completion(Box::new(Completion {
        query_id: "q".into(),
        body,
        model: ModelUsed::default(),
        usage: Usage::default(),
        policy_version: "1".into(),
        receipt: String::new(),
    }))
}

/// Keeps an ending and reads it again, as the journal would; `None` where nothing is kept.
fn kept_again(verdict: &Outcome<Reply>, charged: u64, cut_short: bool) -> Option<Outcome<Reply>> {
    let entries = on_stage(|| {
        let keyed = Keyed::new("key".into(), "🦀".repeat(NAME_CHARS_MAX), digest("x"), 1, nobody());
        let ending = Ending { verdict, charged: NanoUsd(charged), cut_short, now_unix_ms: NOW };
        keeping::entries(&keyed, "q", ending, 3)
    });
    let mut read = Vec::new();
    for entry in &entries {
        let bytes = codec::encode(entry).unwrap();
        assert!(bytes.len() <= RECORD_BYTES_MAX, "{}", bytes.len());
        read.push(codec::decode::<Entry>(&bytes).unwrap());
    }
    let mut read = read.into_iter();
    let Some(Entry::ReplyKept(first)) = read.next() else { return None };
    assert_eq!(usize::try_from(first.parts).unwrap(), entries.len());
    assert_eq!(first.answer_records, 3);
    let kept = keeping::read(*first, read).expect("what was kept can be read");
    assert_eq!(kept.matter, digest("x"));
    Some(kept.outcome)
}

fn on_stage<T>(test: impl FnOnce() -> T) -> T {
    actix_rt::System::new().block_on(async { test() })
}

#[test]
fn whatever_was_charged_is_kept_and_nothing_else_but_replies() {
    let refused = || Err::<Reply, _>(Rejection::retry_after(Code::UpstreamFailed, "broke off", 1_000));
    let code = |kept: Option<Outcome<Reply>>| kept.map(|outcome| outcome.map_err(|rejection| rejection.code));
    let said = answer("words");
    let table = [
        (Ok(said.clone()), 7, false, Some(Ok(said.clone()))),
        (Ok(said.clone()), 0, false, Some(Ok(said.clone()))),
        (Ok(said.clone()), 7, true, Some(Err(Code::Conflict))),
        (Ok(said), 0, true, None),
        (refused(), 7, false, Some(Err(Code::UpstreamFailed))),
        (refused(), 0, false, None),
    ];
    for (verdict, charged, cut_short, expected) in table {
        assert_eq!(code(kept_again(&verdict, charged, cut_short)), expected, "{charged} {cut_short} {verdict:?}");
    }
    let Some(Err(kept)) = kept_again(&refused(), 7, false) else { panic!("a charge is kept") };
    assert!(kept.detail.starts_with("broke off; ") && kept.retry_after_ms.is_none(), "{kept:?}");
}

#[test]
fn those_who_wait_for_a_stream_that_was_cut_are_not_told_half_of_it() {
    let verdict = Ok(answer("half of i"));
    let told = |charged, cut_short| {
        let ending = Ending { verdict: &verdict, charged: NanoUsd(charged), cut_short, now_unix_ms: NOW };
        keeping::told_instead("q", ending).map(|rejection| rejection.code)
    };
    assert_eq!((told(7, true), told(0, true)), (Some(Code::Conflict), Some(Code::Lost)));
    assert_eq!((told(7, false), told(0, false)), (None, None));
}

#[test]
fn of_a_reply_too_large_is_kept_that_it_was_given() {
    let large = completion(json!({"data": "é".repeat(REPEATED_REPLY_BYTES_MAX / 2)}));
    let Some(Err(rejection)) = kept_again(&Ok(large), 0, false) else { panic!("too large") };
    assert!(rejection.code == Code::Conflict && rejection.detail.contains("too large"), "{rejection:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_kept_reply_reads_back_to_the_byte(words in prop::collection::vec("[a-zé🦀\"\\\\]{1,20000}", 0..8), floats in prop::collection::vec(any::<f64>().prop_filter("JSON has no others", |float| float.is_finite()), 0..600)) {
        for reply in [answer(&words.concat()), completion(json!({"data": [{"embedding": floats}], "words": words}))] {
            let kept = kept_again(&Ok(reply.clone()), 7, false);
            prop_assert_eq!(&kept, &Some(Ok(reply.clone())));
            if let (Reply::Completion(said), Some(Ok(Reply::Completion(again)))) = (reply, kept) {
                prop_assert_eq!(said.body.to_string(), again.body.to_string());
            }
        }
    }
}

#[test]
fn a_record_that_is_missing_or_anothers_is_not_read() {
    let entries = on_stage(|| {
        let keyed = Keyed::new("key".into(), "k".into(), digest("x"), 1, nobody());
        let verdict = Ok(answer(&"long ".repeat(20_000)));
        let ending = Ending { verdict: &verdict, charged: NanoUsd(7), cut_short: false, now_unix_ms: NOW };
        keeping::entries(&keyed, "q", ending, 1)
    });
    let Entry::ReplyKept(first) = &entries[0] else { panic!("kept") };
    assert!(entries.len() > 2 && keeping::read(*first.clone(), entries[1..].to_vec()).is_some());
    assert_eq!(keeping::read(*first.clone(), entries[2..].to_vec()), None, "one is missing");
    let mut foreign = entries[1..].to_vec();
    foreign[0] = Entry::ReplyContinued { query_id: "other".into(), text: "\"}}".into() };
    assert_eq!(keeping::read(*first.clone(), foreign), None);
}

#[test]
fn the_ring_holds_so_many_and_says_when_it_is_full() {
    let (_folder, belongings) = belongings_of(1);
    let index = Index::new(belongings.shelf("kept").unwrap(), 3);
    let name = |number: u64| Name::of("key", &number.to_string());
    let place = |number: u64| Place { number, position: Position(number * 10), at_unix_ms: NOW + number };
    for number in 0..3 {
        assert_eq!(index.full_for_ms(number, NOW).unwrap(), None, "slot {number} is free");
        index.keep(name(number), place(number)).unwrap();
    }
    assert_eq!(index.full_for_ms(3, NOW + 5).unwrap(), Some(REPEATS_KEPT_MS - 5), "until the oldest may be forgotten");
    assert_eq!(index.full_for_ms(3, NOW + REPEATS_KEPT_MS).unwrap(), None);
    assert_eq!(index.find(&name(0), NOW + REPEATS_KEPT_MS).unwrap(), None, "after 24 hours it is not kept");
    assert_eq!(index.find(&name(1), NOW + REPEATS_KEPT_MS).unwrap(), Some(place(1)));
    index.keep(name(3), place(3)).unwrap();
    assert_eq!(index.find(&name(0), NOW).unwrap(), None, "its slot was needed");
    // kept anew under a name that stands in an older slot: forgetting that slot must not forget the name
    index.keep(name(2), place(4)).unwrap();
    index.keep(name(5), place(5)).unwrap();
    assert_eq!(index.find(&name(2), NOW).unwrap(), Some(place(4)));
    // a replay that was interrupted runs again
    index.keep(name(2), place(4)).unwrap();
    index.keep(name(5), place(5)).unwrap();
    assert_eq!(
        [2, 3, 5].map(|number| index.find(&name(number), NOW).unwrap()),
        [Some(place(4)), Some(place(3)), Some(place(5))]
    );
}

#[test]
fn a_document_is_gone_for_what_was_kept_before_it_was_removed() {
    let (_folder, belongings) = belongings_of(1);
    let index = Index::new(belongings.shelf("kept").unwrap(), 3);
    index.removed("d", Position(7)).unwrap();
    let gone = |id: &str, position| index.is_removed_since(id, Position(position)).unwrap();
    assert_eq!((gone("d", 6), gone("d", 8), gone("other", 6)), (true, false, false), "it may have come back since");
}

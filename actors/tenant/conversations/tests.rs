use super::memory::{Conversations, meant_behind};
use super::rules::understood;
use bailiwick_policy::access::Principal;
use proptest::prelude::*;

const MUSEUM: &str = "What are the opening hours of the museum in summer?";

fn after(earlier: &[&str], question: &str) -> Option<String> {
    understood(question, &earlier.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

#[test]
fn a_follow_up_becomes_a_whole_question() {
    let table = [
        (MUSEUM, "And in winter?", "What are the opening hours of the museum in winter?"),
        (MUSEUM, "in winter?", "What are the opening hours of the museum in winter?"),
        (MUSEUM, "and on Sunday?", "What are the opening hours of the museum in summer on Sunday?"),
        ("Where is the office in Paris?", "What about Berlin?", "Where is the office in Berlin?"),
        ("How long is the notice period?", "How about the probation period?", "How long is the probation period?"),
        ("Who built the old mill in 1821?", "When did it burn down?", "When did the old mill burn down?"),
        ("When does the museum open?", "What is its address?", "What is the museum's address?"),
        ("Who founded Northwind Traders?", "Where are they today?", "Where are Northwind Traders today?"),
        ("Who leads the Bank of England?", "and who owns it?", "Who owns Bank of England?"),
        (MUSEUM, "What about it?", MUSEUM),
    ];
    for (earlier, question, expected) in table {
        assert_eq!(after(&[earlier], question).as_deref(), Some(expected), "{earlier} {question}");
    }
    let two = ["Who built the old mill?", "How many visitors come?"];
    assert_eq!(
        after(&two, "Is it open on Sunday?").as_deref(),
        Some("Is the old mill open on Sunday?"),
        "the last topic"
    );
}

#[test]
fn a_question_of_its_own_stays_as_it_is() {
    for question in [
        "How long is parental leave?",
        "parental leave?",
        "Is it possible to park at the museum?",
        "And what are the fees of the library?",
        "Wann öffnet es?",
        "",
        "?",
    ] {
        assert_eq!(after(&[MUSEUM], question), None, "{question}");
    }
    assert_eq!(after(&[], "And in winter?"), None, "nothing was said before");
    assert_eq!(after(&["How come?"], "When was it built?"), None, "nothing to speak of was said");
}

fn asker(key: &str, user: Option<&str>) -> Principal {
    let attributes = std::collections::BTreeMap::new();
    Principal { key_id: key.into(), user_id: user.map(Into::into), role: None, attributes }
}

#[test]
fn a_conversation_is_its_askers_alone() {
    let mut all = Conversations::default();
    let (anna, other) = (asker("k1", Some("anna")), asker("k1", Some("ben")));
    assert_eq!(all.hear(&anna, "c", MUSEUM, 3, 0), MUSEUM);
    let winter = "What are the opening hours of the museum in winter?";
    assert_eq!(all.hear(&other, "c", "And in winter?", 3, 1), "And in winter?", "another user of the same key");
    assert_eq!(all.hear(&asker("k2", Some("anna")), "c", "And in winter?", 3, 1), "And in winter?", "another key");
    assert_eq!(all.hear(&anna, "d", "And in winter?", 3, 1), "And in winter?", "another conversation");
    assert_eq!(all.hear(&anna, "c", "And in winter?", 3, 1), winter);
    assert_eq!(all.hear(&anna, "c", "And in spring?", 3, 2), "What are the opening hours of the museum in spring?");
}

#[test]
fn what_is_remembered_is_bounded_by_turns_time_and_count() {
    let mut all = Conversations::default();
    let anna = asker("k1", None);
    all.hear(&anna, "c", "Who built the old mill?", 1, 0);
    all.hear(&anna, "c", "How many visitors come?", 1, 1);
    assert_eq!(all.hear(&anna, "c", "When did it burn down?", 1, 2), "When did it burn down?", "one turn back only");
    all.hear(&anna, "c", MUSEUM, 3, 3);
    let half_an_hour = 30 * 60 * 1_000;
    assert_eq!(all.hear(&anna, "c", "And in winter?", 3, 3 + half_an_hour), "And in winter?");
    for number in 0..2_000 {
        all.hear(&anna, &number.to_string(), MUSEUM, 3, half_an_hour + number);
    }
    assert_eq!(all.len(), 1_024);
    assert_eq!(all.hear(&anna, "1999", "And in winter?", 0, half_an_hour + 2_000), "And in winter?", "switched off");
    assert!(all.is_empty(), "and nothing is kept");
}

#[test]
fn messages_that_come_with_a_question_are_its_conversation() {
    let earlier = [MUSEUM.to_owned(), "And in winter?".to_owned()];
    assert_eq!(meant_behind("And in spring?", &earlier, 3), "What are the opening hours of the museum in spring?");
    assert_eq!(meant_behind("And in spring?", &earlier, 0), "And in spring?");
    assert_eq!(meant_behind("And in spring?", &[], 3), "And in spring?");
}

proptest! {
    #[test]
    fn no_words_break_it(
        earlier in prop::collection::vec("(what|The|it|of|does|[A-Z][a-z]{0,3}|\\PC|'s|\\?| ){0,12}", 0..4),
        question in "(and|what about|it|its|in|the|does|[A-Z][a-z]{0,3}|\\PC|\\?| ){0,10}",
    ) {
        let one = meant_behind(&question, &earlier, 3);
        prop_assert_eq!(&one, &meant_behind(&question, &earlier, 3));
        prop_assert!(!one.trim().is_empty() || question.trim().is_empty());
    }
}

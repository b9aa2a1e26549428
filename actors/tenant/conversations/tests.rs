use super::rules::understood;
use super::{Bounds, Conversations, Speaker, meant_behind, told};
use crate::question::Exchange;
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

fn in_conversation<'a>(principal: &'a Principal, conversation: &'a str) -> Speaker<'a> {
    Speaker { principal, end_user: None, conversation }
}

const fn turns(turns: usize) -> Bounds {
    Bounds { turns, characters: 0 }
}

const WINTER: &str = "What are the opening hours of the museum in winter?";

#[test]
fn a_conversation_is_its_askers_alone() {
    let mut all = Conversations::default();
    let (anna, other, elsewhere) = (asker("k1", Some("anna")), asker("k1", Some("ben")), asker("k2", Some("anna")));
    let mut hear = |speaker, question: &str, now| all.hear(speaker, question, turns(3), now).whole;
    assert_eq!(hear(in_conversation(&anna, "c"), MUSEUM, 0), MUSEUM);
    let winter = "And in winter?";
    assert_eq!(hear(in_conversation(&other, "c"), winter, 1), winter, "another user of the same key");
    assert_eq!(hear(in_conversation(&elsewhere, "c"), winter, 1), winter, "another key");
    assert_eq!(hear(in_conversation(&anna, "d"), winter, 1), winter, "another conversation");
    let for_zoe = Speaker { end_user: Some("zoe"), ..in_conversation(&anna, "c") };
    assert_eq!(hear(for_zoe, winter, 1), winter, "another end user of the same key");
    assert_eq!(hear(in_conversation(&anna, "c"), winter, 1), WINTER);
    let spring = "What are the opening hours of the museum in spring?";
    assert_eq!(hear(in_conversation(&anna, "c"), "And in spring?", 2), spring);
    assert_eq!(hear(for_zoe, MUSEUM, 3), MUSEUM);
    assert_eq!(hear(for_zoe, winter, 4), WINTER, "the end user's own conversation");
}

#[test]
fn what_is_remembered_is_bounded_by_turns_time_and_count() {
    let mut all = Conversations::default();
    let anna = asker("k1", None);
    let mut hear = |conversation: &str, question: &str, most: usize, now: u64| {
        all.hear(in_conversation(&anna, conversation), question, turns(most), now).whole
    };
    hear("c", "Who built the old mill?", 1, 0);
    hear("c", "How many visitors come?", 1, 1);
    assert_eq!(hear("c", "When did it burn down?", 1, 2), "When did it burn down?", "one turn back only");
    hear("c", MUSEUM, 3, 3);
    let half_an_hour = 30 * 60 * 1_000;
    assert_eq!(hear("c", "And in winter?", 3, 3 + half_an_hour), "And in winter?");
    for number in 0..2_000 {
        hear(&number.to_string(), MUSEUM, 3, half_an_hour + number);
    }
    assert_eq!(all.len(), 1_024);
    let off = all.hear(in_conversation(&anna, "1999"), "And in winter?", turns(0), half_an_hour + 2_000);
    assert_eq!((off.whole.as_str(), off.place), ("And in winter?", None), "switched off");
    assert!(all.is_empty(), "and nothing is kept");
}

fn answer(text: &str) -> Exchange {
    Exchange { answer: text.into(), query_id: "q".into(), rests_on: vec![("hours".into(), 7)], ..Exchange::default() }
}

fn answers(earlier: &[Exchange]) -> Vec<&str> {
    earlier.iter().map(|exchange| exchange.answer.as_str()).collect()
}

#[test]
fn a_model_is_told_what_was_answered_before_the_oldest_left_out_first() {
    let (mut all, anna) = (Conversations::default(), asker("k1", None));
    let bounds = Bounds { turns: 3, characters: 200 };
    let mut ask = |question: &str, said: &str| {
        let heard = all.hear(in_conversation(&anna, "c"), question, bounds, 0);
        all.answered(&heard.place.unwrap(), answer(said), bounds);
        heard.earlier
    };
    assert!(ask(MUSEUM, "From nine to eight [1].").is_empty());
    let told = ask("And in winter?", "From ten to four [1].");
    assert_eq!(answers(&told), ["From nine to eight [1]."]);
    assert_eq!((told[0].question.as_str(), told[0].rests_on.as_slice()), (MUSEUM, &[("hours".to_owned(), 7)][..]));
    let told = ask("And in spring?", &"x".repeat(60));
    assert_eq!((answers(&told), told[1].question.as_str()).1, WINTER, "as it was meant");
    // 51 + 60, 51 + 21 and 51 + 23 characters are more than 200 together
    assert_eq!(answers(&ask("And in autumn?", "y")), ["From ten to four [1].", &"x".repeat(60)]);
    assert!(ask("And in June?", &"z".repeat(1_000)).len() <= 2);
    assert!(ask("And in July?", "w").is_empty(), "what is beyond the bounds alone leaves nothing before it either");
}

#[test]
fn an_answer_finds_its_own_question_or_none() {
    let (mut all, anna) = (Conversations::default(), asker("k1", None));
    let bounds = Bounds { turns: 2, characters: 1_000 };
    let mut places = Vec::new();
    for number in 0..4 {
        let question = format!("What is number {number}?");
        places.push(all.hear(in_conversation(&anna, "c"), &question, bounds, number).place.unwrap());
    }
    for (number, place) in places.iter().enumerate().rev() {
        all.answered(place, answer(&number.to_string()), bounds);
    }
    let heard = all.hear(in_conversation(&anna, "c"), "And now?", bounds, 5);
    assert_eq!(answers(&heard.earlier), ["2", "3"], "the first ones were forgotten, and came too late");
    let half_an_hour = 30 * 60 * 1_000;
    let anew = all.hear(in_conversation(&anna, "c"), MUSEUM, bounds, half_an_hour + 5);
    all.answered(&heard.place.unwrap(), answer("of a conversation before"), bounds);
    assert!(all.hear(in_conversation(&anna, "c"), "And now?", bounds, half_an_hour + 6).earlier.is_empty());
    let many = (0..300).map(|number| (number.to_string(), 1)).collect();
    all.answered(&anew.place.unwrap(), Exchange { rests_on: many, ..answer("of too many documents") }, bounds);
    assert!(all.hear(in_conversation(&anna, "c"), "And now?", bounds, half_an_hour + 7).earlier.is_empty());
    let unasked = all.hear(in_conversation(&anna, "c"), MUSEUM, turns(2), half_an_hour + 8);
    assert_eq!(unasked.place, None, "where no model is asked no answer is kept");
}

fn brought(question: &str, answer: &str) -> Exchange {
    Exchange { question: question.into(), answer: answer.into(), ..Exchange::default() }
}

#[test]
fn messages_that_come_with_a_question_are_its_conversation() {
    let earlier = [brought(MUSEUM, ""), brought("And in winter?", "")];
    assert_eq!(meant_behind("And in spring?", &earlier, 3), "What are the opening hours of the museum in spring?");
    assert_eq!(meant_behind("And in spring?", &earlier, 0), "And in spring?");
    assert_eq!(meant_behind("And in spring?", &[], 3), "And in spring?");
    let answered = [brought("a", "1"), brought("b", ""), brought("c", "3")];
    let of = |turns, characters| told(answered.iter(), Bounds { turns, characters }).to_vec();
    assert_eq!(answers(&of(3, 100)), ["1", "3"], "what was not answered says nothing");
    assert_eq!(answers(&of(2, 100)), ["3"]);
    assert_eq!((answers(&of(3, 3)), of(3, 0).len(), of(0, 100).len()), (vec!["3"], 0, 0));
}

proptest! {
    #[test]
    fn no_words_break_it(
        earlier in prop::collection::vec("(what|The|it|of|does|[A-Z][a-z]{0,3}|\\PC|'s|\\?| ){0,12}", 0..4),
        question in "(and|what about|it|its|in|the|does|[A-Z][a-z]{0,3}|\\PC|\\?| ){0,10}",
    ) {
        let earlier: Vec<_> = earlier.iter().map(|question| brought(question, "")).collect();
        let one = meant_behind(&question, &earlier, 3);
        prop_assert_eq!(&one, &meant_behind(&question, &earlier, 3));
        prop_assert!(!one.trim().is_empty() || question.trim().is_empty());
    }
}

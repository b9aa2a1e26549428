//! Sentences, words and question types.
use crate::routing::providers::extractive::cues::{Shapes, Wanted, wanted};
use crate::routing::providers::extractive::sentences::{Kind, SENTENCE_BYTES_MAX, split};
use crate::routing::providers::extractive::words::{Stems, base, folded, is_ordered, is_stop_word, likeness};
use proptest::prelude::*;

fn sentences(text: &str) -> Vec<&str> {
    split(text).into_iter().map(|sentence| &text[sentence.bytes]).collect()
}

#[test]
fn a_full_stop_ends_a_sentence_only_where_it_does() {
    let table: &[(&str, &[&str])] = &[
        ("It rained. It stopped.", &["It rained.", "It stopped."]),
        ("Pi is 3.14 or so. Good.", &["Pi is 3.14 or so.", "Good."]),
        ("Dr. Smith met Mr. Jones. They left.", &["Dr. Smith met Mr. Jones.", "They left."]),
        ("J. R. R. Tolkien wrote it. Yes.", &["J. R. R. Tolkien wrote it.", "Yes."]),
        ("J. A. Hobson (1858) wrote.", &["J. A. Hobson (1858) wrote."]),
        ("Brown v. Board of Education of Topeka. Next.", &["Brown v. Board of Education of Topeka.", "Next."]),
        ("Made in the U.S. Army labs.", &["Made in the U.S. Army labs."]),
        ("Made in the U.S. The rest is not.", &["Made in the U.S.", "The rest is not."]),
        ("Open at 9 a.m. The doors close at 5 p.m. sharp.", &["Open at 9 a.m.", "The doors close at 5 p.m. sharp."]),
        ("See e.g. Paris. Or not.", &["See e.g. Paris.", "Or not."]),
        ("He said \"Stop!\" Then he left.", &["He said \"Stop!\"", "Then he left."]),
        ("It grew.[12] It shrank.[3][4] End.", &["It grew.[12]", "It shrank.[3][4]", "End."]),
        ("Wait... what? Yes!", &["Wait... what?", "Yes!"]),
        ("今日は雨です。明日は晴れます。", &["今日は雨です。", "明日は晴れます。"]),
        ("यह पहला है। यह दूसरा है।", &["यह पहला है।", "यह दूसरा है।"]),
        ("", &[]),
        (" \n\t ", &[]),
        ("no stop at all", &["no stop at all"]),
    ];
    for (text, expected) in table {
        assert_eq!(sentences(text), *expected, "{text}");
    }
}

#[test]
fn lines_are_joined_where_they_were_wrapped_and_kept_apart_where_they_were_not() {
    let wrapped = "The quick brown fox jumps over the lazy dog while\nthe cat sleeps. The end.";
    assert_eq!(sentences(wrapped).len(), 2);
    let list = "We sell:\n- apples\n- pears\n1. First step\n2) Second step";
    assert_eq!(sentences(list), ["We sell:", "apples", "pears", "First step", "Second step"]);
    assert_eq!(sentences("Opening hours: 9 to 5\nClosed on Sunday"), ["Opening hours: 9 to 5", "Closed on Sunday"]);
    assert_eq!(sentences("In short.\n\n2024. It was a year."), ["In short.", "2024.", "It was a year."]);
}

#[test]
fn headings_and_questions_are_told_from_statements() {
    let kinds = |text: &str| split(text).into_iter().map(|s| s.kind).collect::<Vec<_>>();
    assert_eq!(kinds("# Parental leave\nSixteen weeks."), [Kind::Heading, Kind::Statement]);
    assert_eq!(kinds("Parental leave\n\nSixteen weeks."), [Kind::Heading, Kind::Statement]);
    assert_eq!(kinds("How long is it?\nSixteen weeks."), [Kind::Question, Kind::Statement]);
    assert_eq!(kinds("Hours: nine to five"), [Kind::Statement]);
    assert_eq!(kinds("- sixteen weeks"), [Kind::Statement]);
}

#[test]
fn a_sentence_without_end_is_cut_at_spaces() {
    let text = "word ".repeat(1_000);
    let parts = sentences(&text);
    assert!(parts.len() > 1 && parts.iter().all(|part| part.len() <= SENTENCE_BYTES_MAX && part.ends_with("word")));
    let solid = "é".repeat(3_000);
    assert_eq!(sentences(&solid).concat(), solid);
}

#[test]
fn words_of_one_meaning_meet() {
    let stems = Stems::default();
    let alike = |one: &str, other: &str| likeness(&stems.of(base(&folded(one))), &stems.of(base(&folded(other))));
    for (one, other) in [
        ("registered", "register"),
        ("Won", "wins"),
        ("1,000", "1000"),
        ("four", "4"),
        ("firm’s", "firm"),
        ("1970s", "1970"),
    ] {
        assert!(alike(one, other) >= 1.0, "{one} {other}");
    }
    assert!((0.1..1.0).contains(&alike("democracy", "democratic")));
    assert!((0.1..1.0).contains(&alike("Straße", "Straßen")));
    for (one, other) in [("2017", "2018"), ("cat", "dog"), ("10000", "100000"), ("über", "unter")] {
        assert!(alike(one, other) <= 0.0, "{one} {other}");
    }
}

#[test]
fn the_word_lists_are_in_order() {
    assert!(is_ordered());
    assert!(is_stop_word("what") && is_stop_word("yours") && is_stop_word("a") && !is_stop_word("policy"));
    assert_eq!((base("ate"), base("wrote"), base("table")), ("eat", "write", "table"));
}

#[test]
fn a_question_says_what_it_wants() {
    let table = [
        ("Who won?", Wanted::Person),
        ("By whom was it built?", Wanted::Person),
        ("When did it rain?", Wanted::Date),
        ("In what year did it open?", Wanted::Date),
        ("When it rains, what is done?", Wanted::Thing),
        ("Where is the office?", Wanted::Place),
        ("Which city hosts it?", Wanted::Place),
        ("How many were there?", Wanted::Number),
        ("What percentage failed?", Wanted::Number),
        ("Why did it fail?", Wanted::Reason),
        ("How is it made?", Wanted::Manner),
        ("Is it safe?", Wanted::Verdict),
        ("What is it?", Wanted::Thing),
        ("", Wanted::Thing),
    ];
    for (question, expected) in table {
        assert_eq!(wanted(question), expected, "{question}");
    }
}

#[test]
fn a_word_of_the_question_is_not_its_answer() {
    assert!(Shapes::of("1999", "1999", false, Wanted::Date).offers(Wanted::Date));
    assert!(!Shapes::of("1999", "1999", true, Wanted::Date).offers(Wanted::Date));
    assert!(!Shapes::of("Ann", "ann", false, Wanted::Person).opening().offers(Wanted::Person));
}

proptest! {
    #[test]
    fn sentences_cover_the_text_in_order(text in "(\\PC|[ .!?\n\t#\\[\\]-]){0,400}") {
        let mut end = 0;
        for sentence in split(&text) {
            prop_assert!(sentence.bytes.start >= end && !sentence.bytes.is_empty());
            let words = text.get(sentence.bytes.clone());
            prop_assert!(words.is_some_and(|words| words.trim() == words), "{:?}", words);
            end = sentence.bytes.end;
        }
    }
}

//! Whole answers: what is cited, what is refused, and that no input breaks the rules.
use crate::routing::providers::extractive::reading::Source;
use crate::routing::providers::extractive::rules::{Cited, Finding, SENTENCES_MAX, Shape, find, plain};
use proptest::prelude::*;

const MILL: &str = "The old mill stands beside the river Arle. Anna Weber built it in 1821 with four stones. It burned down in \
                    1904 because a lamp fell over. Today about 12,500 visitors come every year.";
const LEAVE: &str =
    "# Parental leave\nEmployees get 16 weeks at full pay.\n\n# Sick leave\nEmployees get 6 weeks at full pay.";
const FEES: &str = "How much is the late fee?\nIt is 1.5 percent of the amount per month.\n\nHow do I pay?\nBy card or by bank transfer.";

const SHAPE: Shape = Shape { chars_max: usize::MAX, origins_min: 0 };

fn sources<'t>(texts: &[&'t str]) -> Vec<Source<'t>> {
    texts
        .iter()
        .zip([9.0, 6.0, 3.0, 1.0])
        .enumerate()
        .map(|(origin, (text, score))| Source { title: "", text, score, origin })
        .collect()
}

fn cited(question: &str, texts: &[&str]) -> Vec<Cited> {
    match find(question, &sources(texts), SHAPE) {
        Finding::Answer(cited) => cited,
        Finding::Nothing { reason } => panic!("{question}: {reason}"),
    }
}

fn first(question: &str, texts: &[&str]) -> String {
    let cited = cited(question, texts).remove(0);
    texts[cited.marker - 1].chars().skip(cited.chars.start).take(cited.chars.len()).collect()
}

fn refused(question: &str, texts: &[&str]) -> String {
    match find(question, &sources(texts), SHAPE) {
        Finding::Nothing { reason } => reason,
        Finding::Answer(cited) => panic!("{question}: {cited:?}"),
    }
}

#[test]
fn the_sentence_that_answers_comes_first() {
    let table = [
        ("Who built the mill?", MILL, "Anna Weber"),
        ("When did the mill burn down?", MILL, "1904"),
        ("Why did the mill burn down?", MILL, "lamp"),
        ("How many visitors come to the mill every year?", MILL, "12,500"),
        ("Where is the old mill?", MILL, "river Arle"),
        ("How long is parental leave?", LEAVE, "16 weeks"),
        ("How long is sick leave?", LEAVE, "6 weeks"),
        ("How much is the late fee?", FEES, "1.5 percent"),
        ("How do I pay?", FEES, "bank transfer"),
    ];
    for (question, text, answer) in table {
        let sentence = first(question, &[text]);
        assert!(sentence.contains(answer), "{question}: {sentence}");
        let among = first(question, &[text, "The town council meets on Tuesday. It has nine members."]);
        assert!(among.contains(answer), "{question}: {among}");
    }
    assert!(!first("How long is sick leave?", &[LEAVE]).contains("16"));
}

#[test]
fn the_passage_that_answers_need_not_be_the_first() {
    let other = "The mill museum sells bread and flour. It opens at nine.";
    let found = cited("Who built the mill in 1821?", &[other, MILL]);
    assert_eq!(found[0].marker, 2);
    assert_eq!(found[0].words, "Anna Weber built it in 1821 with four stones. [2]");
    assert_eq!(&MILL[found[0].chars.clone()], "Anna Weber built it in 1821 with four stones.");
}

#[test]
fn a_second_sentence_answers_what_the_first_leaves_open() {
    let rent = "The monthly rent is 900 euros. Parking is 40 euros. The garden is shared.";
    let deposit = "The deposit is three months and is returned within 30 days. Keys are at the desk.";
    let found = cited("What is the monthly rent and when is the deposit returned?", &[rent, deposit]);
    let mut markers: Vec<usize> = found.iter().map(|cited| cited.marker).collect();
    markers.sort_unstable();
    assert_eq!(markers, [1, 2], "{found:?}");
}

#[test]
fn whoever_asks_sees_both_where_two_passages_say_otherwise() {
    let one = "The annual fee of the library is 20 euros. It opens at nine.";
    let other = "Members know that the annual fee of the library is 35 euros. Dogs stay outside.";
    let found = cited("How much is the annual fee of the library?", &[one, other]);
    assert_eq!(found.iter().map(|cited| cited.marker).collect::<Vec<_>>(), [1, 2], "{found:?}");
    let same = "Members know that the annual fee of the library is 20 euros. Dogs stay outside.";
    assert_eq!(cited("How much is the annual fee of the library?", &[one, same]).len(), 1);
}

#[test]
fn as_many_origins_are_cited_as_are_asked_for_and_there_are() {
    let texts = [
        "The annual fee of the library is 20 euros.",
        "The annual fee of the library is 20 euros!",
        "At the library the fee is 20 euros, to be paid every year.",
        "Bread is sold on Monday.",
    ];
    let found = |origins_min| match find(
        "How much is the annual fee of the library?",
        &sources(&texts),
        Shape { origins_min, ..SHAPE },
    ) {
        Finding::Answer(cited) => cited.iter().map(|cited| cited.marker).collect::<Vec<_>>(),
        Finding::Nothing { reason } => panic!("{reason}"),
    };
    assert_eq!(found(0), [1]);
    assert_eq!(found(2), [1, 3], "what repeats the first confirms nothing");
    assert_eq!(found(4), [1, 3], "and what is about something else neither");
}

#[test]
fn the_same_sentence_is_not_cited_twice() {
    let found = cited("Who built the mill?", &[MILL, MILL]);
    let mut words: Vec<&str> = found.iter().map(|cited| cited.words.split(" [").next().unwrap()).collect();
    words.dedup();
    assert_eq!(words.len(), found.len());
}

#[test]
fn an_answer_keeps_within_its_length_but_is_never_half_a_sentence() {
    let rent = "The monthly rent is 900 euros. Parking is 40 euros.";
    let deposit = "The deposit is three months and is returned within 30 days.";
    let question = "What is the monthly rent and when is the deposit returned?";
    let Finding::Answer(found) = find(question, &sources(&[rent, deposit]), Shape { chars_max: 1, ..SHAPE }) else {
        panic!("refused")
    };
    assert_eq!(found.len(), 1);
    assert!(found[0].words.contains(". ["));
}

#[test]
fn nothing_is_said_where_nothing_supports_it() {
    assert_eq!(refused("Who built the mill?", &[]), "No passage was found for this question.");
    assert_eq!(refused("Who built the mill?", &["", " \n"]), "No passage was found for this question.");
    assert!(refused("What is it?", &[MILL]).starts_with("The question names nothing"));
    assert!(refused("", &[MILL]).starts_with("The question names nothing"));
    assert!(refused("Who built the mill?", &["Who built the mill?"]).contains("no statement"));
    let reason = refused("What is the recommended dosage of amoxicillin?", &[MILL, LEAVE]);
    assert_eq!(reason, "The passages found do not mention “recommended”, “dosage”, “amoxicillin”.");
    let reason =
        refused("What features arrived in PostgreSQL 17?", &["Release 15 of MySQL brought many features. It is fast."]);
    assert_eq!(reason, "The passages found do not mention “PostgreSQL”, “17”.");
}

#[test]
fn a_name_in_the_title_stands_for_the_passage() {
    let text = "Refunds are paid within 14 days of the return.";
    let titled = [Source { title: "Northwind shop rules", text, score: 4.0, origin: 0 }];
    let found = find("When are refunds paid at Northwind?", &titled, SHAPE);
    assert!(matches!(found, Finding::Answer(cited) if cited[0].words.contains("14 days")));
}

#[test]
fn other_scripts_are_answered_too() {
    let text = "Die Mühle steht am Fluß. Sie wurde 1821 von Anna Weber gebaut. Heute ist sie ein Museum 🏛.";
    let found = cited("Wann wurde die Mühle gebaut?", &[text]);
    let span: String = text.chars().skip(found[0].chars.start).take(found[0].chars.len()).collect();
    assert_eq!(span, "Sie wurde 1821 von Anna Weber gebaut.");
    assert!(
        first("長城はいつ建設されましたか", &["長城は紀元前に建設されました。とても長いです。"]).starts_with("長城")
    );
}

#[test]
fn scores_that_are_no_numbers_do_no_harm() {
    for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 0.0] {
        let found = find("Who built the mill?", &[Source { title: "", text: MILL, score, origin: 0 }], SHAPE);
        assert!(matches!(found, Finding::Answer(cited) if cited[0].words.contains("Anna Weber")), "{score}");
    }
}

#[test]
fn a_document_cannot_forge_a_marker() {
    assert_eq!(
        plain("Proven.[2] See [3, 4]\n and [٣], a[0], [x] [ 7 ]."),
        "Proven.(2) See (3, 4) and (٣), a(0), [x] ( 7 )."
    );
    let found = cited("Who built the mill?", &["Anna Weber built the mill.[2] It stands [3]."]);
    assert_eq!(found[0].words, "Anna Weber built the mill.(2) [1]");
}

#[test]
fn the_same_call_gets_the_same_answer() {
    let texts = [MILL, LEAVE, FEES];
    let one = find("When did the mill burn down?", &sources(&texts), SHAPE);
    assert!((0..5).all(|_| find("When did the mill burn down?", &sources(&texts), SHAPE) == one));
}

proptest! {
    #[test]
    fn every_citation_is_exact(
        question in "(who|when|how many|mill|[a-zé ]|\\PC){0,30}",
        texts in proptest::collection::vec("(mill |Anna |é|🏛|[0-9\\[\\]]{1,3}|\\. |\n|\\PC){0,120}", 0..6),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let list: Vec<Source<'_>> = texts.iter().enumerate().map(|(origin, text)| Source { title: "mill", text, score: 1.0, origin }).collect();
        match find(&question, &list, SHAPE) {
            Finding::Nothing { reason } => prop_assert!(!reason.is_empty()),
            Finding::Answer(cited) => {
                prop_assert!(!cited.is_empty() && cited.len() <= SENTENCES_MAX);
                for sentence in &cited {
                    let text = texts[sentence.marker - 1];
                    prop_assert!(sentence.chars.end <= text.chars().count() && !sentence.chars.is_empty());
                    let span: String = text.chars().skip(sentence.chars.start).take(sentence.chars.len()).collect();
                    prop_assert_eq!(&sentence.words, &format!("{} [{}]", plain(&span), sentence.marker));
                }
            }
        }
    }
}

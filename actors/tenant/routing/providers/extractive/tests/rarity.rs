use super::super::reading::{Source, read};
use super::super::signals::{Signals, signals};

fn figures(question: &str, passages: &[&str]) -> Signals {
    let sources: Vec<Source<'_>> =
        passages.iter().enumerate().map(|(origin, text)| Source { title: "", text, score: 1.0, origin }).collect();
    signals(&read(question, &sources))
}

#[test]
fn a_rare_word_that_is_missing_weighs_more_than_a_common_one() {
    let question = "Which company sells the anemometer?";
    let rare = figures(question, &["A company in the north sells tools of many kinds."]);
    let common = figures(question, &["The anemometer is sold by a firm in the north."]);
    assert!(rare.missing_rarest > common.missing_rarest, "{rare:?} {common:?}");
    assert!(rare.rare_anywhere < common.rare_anywhere);
    assert!(
        (rare.missing_rarest - (12_000_f32.log10() - 1.0)).abs() < 1e-5,
        "it is in no list: {}",
        rare.missing_rarest
    );
}

#[test]
fn one_passage_is_told_from_several_that_share_the_question() {
    let question = "When was the lighthouse of Fastnet lit?";
    let together = figures(question, &["The lighthouse of Fastnet was lit in 1904.", "Gulls nest on the cliffs."]);
    let apart = figures(question, &["A lighthouse stands on the cape.", "Fastnet is a rock far out at sea."]);
    assert!((together.rare_once_passage - together.rare_passage).abs() < 1e-5);
    assert!(apart.rare_passage < together.rare_passage && apart.scored < together.scored);
    assert!(together.scored_next <= f32::EPSILON && apart.scored_next > 0.0);
    assert!((apart.rare_anywhere - (apart.rare_once)).abs() < 1e-5);
}

#[test]
fn strangers_are_capitalised_words_within_sentences_that_nobody_asked_for() {
    let found = figures("Where is Fastnet?", &["Fastnet lies off Cork. Gulls nest there."]);
    assert!((found.strangers - 1.0 / 7.0).abs() < 1e-6, "Cork, of seven words: {}", found.strangers);
}

#[test]
fn nothing_read_and_nothing_asked_give_finite_figures() {
    for (question, passages) in [("", &[][..]), ("", &["Text."]), ("What is it?", &[]), ("Fastnet?", &[""])] {
        assert!(
            figures(question, passages).values().iter().all(|value| value.is_finite()),
            "{question:?} {passages:?}"
        );
    }
}

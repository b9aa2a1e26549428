use super::super::fixtures::passages;
use super::*;
use proptest::prelude::*;

fn passage(document: &str, text: &str) -> Passage {
    Passage { document_id: document.to_owned(), text: text.to_owned(), ..passages()[0].clone() }
}

#[test]
fn sources_are_documents_that_do_not_repeat_one_another() {
    let all = [
        passage("a", "Salt dissolves."),
        passage("a", "Oil does not."),
        passage("b", " salt  dissolves. "),
        passage("c", "Sugar dissolves."),
    ];
    let sources = Sources::of(&all);
    let table = [
        ("", 0),
        ("Salt [1].", 1),
        ("Salt [1]. Oil [2].", 1),
        ("[1] [3]", 1),
        ("[2] [3]", 1),
        ("[2][4]", 2),
        ("[1, 4]", 2),
    ];
    for (text, expected) in table {
        assert_eq!(sources.cited(text), expected, "{text}");
    }
}

#[test]
fn passages_of_a_document_and_of_its_copy_are_one_source() {
    let of = |document: &str, text: &str, sha256: &str| Passage {
        document_sha256: sha256.into(),
        ..passage(document, text)
    };
    let all = [
        of("a", "Salt dissolves.", "1f"),
        of("copy of a", "Oil does not.", "1f"),
        of("b", "Sugar dissolves.", "2e"),
        of("c", "Sand does not dissolve.", ""),
        of("d", "Gold does not dissolve.", ""),
    ];
    let sources = Sources::of(&all);
    for (text, expected) in [("[1] [2]", 1), ("[1] [3]", 2), ("[2] [3]", 2), ("[4] [5]", 2), ("[1][2][3][4][5]", 4)] {
        assert_eq!(sources.cited(text), expected, "{text}");
    }
}

#[test]
fn what_lacks_sources_says_how_many() {
    let two = Demands { sources_min: 2, characters_max: None };
    assert_eq!(two.refusal(2), None);
    assert!(two.refusal(1).unwrap().contains("asks for 2 sources") && two.refusal(1).unwrap().contains("rests on 1"));
    assert!(Demands { sources_min: 1, ..two }.refusal(0).unwrap().contains("cites none"));
    assert_eq!(Demands::default().refusal(0), None);
}

#[test]
fn an_answer_ends_behind_its_last_sentence_within_the_length() {
    let text = "Salt dissolves [1]. Dr. Oil does not [2]. Sugar does. [3]";
    let at = |most: usize| shortened(text, Some(most));
    assert_eq!(at(1_000), text);
    assert_eq!(at(text.len()), text);
    assert_eq!(at(text.len() - 1), "Salt dissolves [1]. Dr. Oil does not [2].");
    assert_eq!(at(30), "Salt dissolves [1].");
    assert_eq!(at(18), "", "half a sentence is none");
    assert_eq!(shortened(text, None), text);
    assert_eq!(shortened("Ähre. Öl. Übel.", Some(9)), "Ähre. Öl.", "characters, not bytes");
    assert_eq!(shortened("雨です。晴れ。", Some(4)), "雨です。");
}

proptest! {
    /// A stream, however it is cut, tells what the exit lets stand of the whole.
    #[test]
    fn a_stream_ends_where_the_whole_does(
        pieces in prop::collection::vec("(Ab|[a-c]|\\.|!| |\n|\\[[1-3]\\]|é){0,6}", 0..12),
        most in 0_usize..40,
    ) {
        let whole = pieces.concat();
        let mut within = Within::new(Some(most));
        let mut told: String = pieces.iter().map(|piece| within.push(piece)).collect();
        told.push_str(&within.finish());
        prop_assert_eq!(&told, &shortened(&whole, Some(most)));
        prop_assert!(whole.starts_with(&told) && told.chars().count() <= most);
        if whole.chars().count() <= most {
            prop_assert_eq!(told, whole);
        }
    }
}

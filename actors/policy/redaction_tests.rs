use super::*;
use proptest::prelude::*;

fn all() -> Redactions {
    Redactions::of(&Recogniser::ALL.into_iter().collect())
}

#[test]
fn what_is_personal_goes_and_what_only_looks_like_it_stays() {
    for (words, redacted) in [
        ("write to anna.b+x@mail.example.org.", "write to <email>."),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN <iban> please"),
        ("GB82WEST12345698765432", "<iban>"),
        ("NL91ABNA0417164301", "NL91ABNA0417164301"),
        ("card 4111 1111 1111 1111, expires 10/27", "card <card>, expires 10/27"),
        ("5500-0000-0000-0004", "<card>"),
        ("order 4111111111111112", "order 4111111111111112"),
        ("SSN 123-45-6789", "SSN <ssn>"),
        ("part 900-45-6789 and 000-45-6789", "part 900-45-6789 and 000-45-6789"),
        ("call +49 30 1234 5678 or (030) 1234-5678", "call <phone> or <phone>"),
        (
            "on 2025-10-06 at 12:30, section 4.2.1, 1 000 000 dollars",
            "on 2025-10-06 at 12:30, section 4.2.1, 1 000 000 dollars",
        ),
        ("from 192.168.0.17 to 300.1.2.3", "from <ip_address> to 300.1.2.3"),
        ("nothing [1] here [2]", "nothing [1] here [2]"),
    ] {
        assert_eq!(all().redact(words), redacted, "{words}");
    }
}

#[test]
fn only_what_is_asked_for_is_taken_out() {
    let words = "anna@example.org, 123-45-6789";
    let of = |forms: &[Recogniser]| Redactions::of(&forms.iter().copied().collect());
    assert_eq!(of(&[]).redact(words), words);
    assert_eq!(of(&[Recogniser::Ssn]).redact(words), "anna@example.org, <ssn>");
    let both = of(&[Recogniser::Ssn]).and(of(&[Recogniser::Email]));
    assert_eq!(both.redact(words), "<email>, <ssn>");
    assert_eq!(serde_json::to_string(&both).unwrap(), "[\"email\",\"ssn\"]");
}

#[test]
fn words_that_keep_coming_do_not_wait_for_the_end() {
    let mut redactor = Redactor::new(all());
    let told: String = (0..100)
        .map(|_| redactor.push("twelve words of nothing in particular, again and again, until it ends. "))
        .collect();
    assert!(told.len() > 6_000, "{}", told.len());
}

fn pieces() -> impl Strategy<Value = Vec<String>> {
    let forms = prop::sample::select(vec![
        "anna@example.org",
        "DE89 3704 0044 0532 0130 00",
        "4111 1111 1111 1111",
        "123-45-6789",
        "+49 30 1234 5678",
        "192.168.0.17",
        "plain words of no form at all",
        " ",
        ".",
        "[1]",
        "ä€",
        "12",
        "-",
    ]);
    let words = prop::collection::vec(forms, 0..120).prop_map(|words| words.concat());
    (words, prop::collection::vec(1_usize..40, 0..200)).prop_map(|(words, cuts)| {
        let (mut rest, mut pieces) = (words.as_str(), Vec::new());
        for cut in cuts {
            let (piece, more) = rest.split_at(rest.ceil_char_boundary(cut.min(rest.len())));
            pieces.push(piece.to_owned());
            rest = more;
        }
        pieces.push(rest.to_owned());
        pieces
    })
}

proptest! {
    /// However words are cut, a stream tells what the whole would say.
    #[test]
    fn a_stream_says_what_the_whole_says(pieces in pieces()) {
        let mut redactor = Redactor::new(all());
        let mut told: String = pieces.iter().map(|piece| redactor.push(piece)).collect();
        told.push_str(&redactor.finish());
        let whole = pieces.concat();
        prop_assert_eq!(told, all().redact(&whole).into_owned());
    }
}

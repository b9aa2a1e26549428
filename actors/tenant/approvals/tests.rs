use super::*;
use crate::question::{Chat, Matter, Question};
use bailiwick_kernel::limits::{APPROVAL_SUBJECT_BYTES_MAX, APPROVALS_OPEN_MAX};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Role;
use bailiwick_policy::language::Action;
use serde_json::json;

const NOW: u64 = 1_760_000_000_000;
const HOUR: Decision = Decision::Approve { for_ms: 3_600_000 };

fn person(key_id: &str, user_id: Option<&str>, role: Option<Role>) -> Principal {
    let user_id = user_id.map(str::to_owned);
    Principal { key_id: key_id.into(), user_id, role, attributes: Default::default() }
}

fn omar() -> Principal {
    person("k-omar", Some("omar"), Some(Role::Operator))
}

fn dana() -> Principal {
    person("k-dana", Some("dana"), Some(Role::Owner))
}

fn asks(text: &str, principal: &Principal) -> Need {
    Need::of_matter(Action::Ask, &Matter::Ask(Question { text: text.into(), ..Question::default() }), principal)
}

/// The book after these entries, each at its own position.
fn after(entries: &[Entry]) -> Approvals {
    let mut standing = Approvals::default();
    for (position, entry) in (0..).zip(entries) {
        standing.apply(Position(position), entry);
    }
    standing
}

fn refusal(outcome: Outcome<Entry>) -> Code {
    outcome.unwrap_err().code
}

#[test]
fn a_word_is_for_one_request_of_one_asker() {
    let need = asks("who earns what?", &omar());
    let approved = after(&[need.asked(NOW)]).decide(&need.id(), HOUR, &dana(), NOW).unwrap();
    let standing = after(&[need.asked(NOW), approved]);
    assert_eq!(standing.word(&need, NOW), Word::Approved);
    let elsewhere = [
        asks("who earns what", &omar()),
        asks("who earns what?", &person("k-other", Some("omar"), Some(Role::Operator))),
        asks("who earns what?", &person("k-omar", None, Some(Role::Operator))),
        Need::of_matter(
            Action::Search,
            &Matter::Ask(Question { text: "who earns what?".into(), ..Question::default() }),
            &omar(),
        ),
        Need::of_subject(Action::Ask, "who earns what?", &omar()),
    ];
    for other in elsewhere {
        assert!(matches!(standing.word(&other, NOW), Word::Asked(_)), "{other:?}");
    }
}

#[test]
fn who_may_decide() {
    let need = asks("who earns what?", &omar());
    let standing = after(&[need.asked(NOW)]);
    let decides = |by: &Principal| standing.decide(&need.id(), HOUR, by, NOW);
    assert!(decides(&dana()).is_ok());
    for nobody in [
        omar(),
        // the same person with another key, the same key under another name, and a key that is nobody's
        person("k-second", Some("omar"), Some(Role::Owner)),
        person("k-omar", Some("dana"), Some(Role::Owner)),
        person("k-service", None, Some(Role::Owner)),
        // the platform's operator is nobody of the tenant
        person("operator", Some("root"), None),
    ] {
        assert_eq!(refusal(decides(&nobody)), Code::Forbidden, "{nobody:?}");
    }
    assert_eq!(refusal(standing.decide("ffff", HOUR, &dana(), NOW)), Code::NotFound);
    let decided = after(&[need.asked(NOW), decides(&dana()).unwrap()]);
    assert_eq!(refusal(decided.decide(&need.id(), Decision::Refuse, &dana(), NOW)), Code::Conflict);
}

#[test]
fn what_is_asked_is_shown_whole_and_is_the_approved_one() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    let chat = |body: serde_json::Value| Matter::Chat(Box::new(Chat { model: "m".into(), body, max_tokens: None }));
    let need = Need::of_matter(Action::Complete, &chat(body.clone()), &omar());
    let Entry::ApprovalAsked(asked) = need.asked(NOW) else { panic!("asked") };
    assert_eq!(asked.subject, body.to_string());
    assert_eq!((asked.user_id.as_deref(), asked.until_unix_ms), (Some("omar"), NOW + rules::WAITS_MS));
    assert!(hex::encode(asked.digest).starts_with(&asked.id));
    let streamed = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": true});
    assert_eq!(
        Need::of_matter(Action::Complete, &chat(streamed), &omar()).id(),
        need.id(),
        "how it is told is no other request"
    );
    let scoped = Question { text: "x".into(), domain: Some("d".into()), top_k: Some(3), ..Question::default() };
    let Entry::ApprovalAsked(asked) = Need::of_matter(Action::Ask, &Matter::Ask(scoped), &omar()).asked(NOW) else {
        panic!("asked")
    };
    assert_eq!(asked.subject, "domain: d\ntop_k: 3\nx");
}

#[test]
fn time_ends_waiting_words_and_refusals() {
    let need = asks("x", &omar());
    let ends = |entries: &[Entry], until: u64| {
        let standing = after(entries);
        assert!(!matches!(standing.word(&need, until - 1), Word::Asked(_)));
        assert!(matches!(standing.word(&need, until), Word::Asked(_)));
        assert!(standing.open(until).is_empty());
    };
    let asked = need.asked(NOW);
    ends(std::slice::from_ref(&asked), NOW + rules::WAITS_MS);
    let word = |decision| after(std::slice::from_ref(&asked)).decide(&need.id(), decision, &dana(), NOW + 5).unwrap();
    ends(&[asked.clone(), word(HOUR)], NOW + 5 + 3_600_000);
    ends(&[asked.clone(), word(Decision::Refuse)], NOW + rules::WAITS_MS);
    let refused = after(&[asked.clone(), word(Decision::Refuse)]).word(&need, NOW + 6);
    assert!(refused.rejection(&need).detail.contains("was refused by a person"));
    let late = after(std::slice::from_ref(&asked)).decide(&need.id(), HOUR, &dana(), NOW + rules::WAITS_MS);
    assert_eq!(refusal(late), Code::NotFound);
    // what has run out makes room for the same request
    let again = need.asked(NOW + rules::WAITS_MS);
    assert_eq!(after(&[asked, again]).word(&need, NOW + rules::WAITS_MS), Word::Waits);
}

#[test]
fn a_request_that_is_asked_twice_keeps_the_word_on_it() {
    let need = asks("x", &omar());
    let approved = after(&[need.asked(NOW)]).decide(&need.id(), HOUR, &dana(), NOW).unwrap();
    let standing = after(&[need.asked(NOW), approved, need.asked(NOW + 1)]);
    assert_eq!(standing.word(&need, NOW + 2), Word::Approved);
    assert_eq!(standing.open(NOW + 2).len(), 1);
}

#[test]
fn no_more_wait_than_people_can_read() {
    let asked: Vec<_> = (0..APPROVALS_OPEN_MAX).map(|number| asks(&number.to_string(), &omar()).asked(NOW)).collect();
    let full = asks("one more", &omar());
    let word = after(&asked).word(&full, NOW);
    assert!(word.rejection(&full).detail.contains("have some of them decided first"));
    assert!(matches!(after(&asked[1..]).word(&full, NOW), Word::Asked(_)));
    assert!(matches!(after(&asked).word(&full, NOW + rules::WAITS_MS), Word::Asked(_)));
    let long = asks(&"x".repeat(APPROVAL_SUBJECT_BYTES_MAX + 1), &omar());
    assert!(after(&[]).word(&long, NOW).rejection(&long).detail.contains("is not put before anybody"));
}

#[test]
fn a_word_lets_one_call_through_at_a_time_and_one_in_all() {
    let (book, need) = (SharedApprovals::default(), asks("x", &omar()));
    book.apply(Position(0), &[need.asked(NOW)]);
    assert!(matches!(book.meet(&need, NOW), Met::Waits(Word::Waits)));
    let approved = book.decide(&need.id(), HOUR, &dana(), NOW).unwrap();
    book.apply(Position(1), &[approved]);
    let Met::Approved(claim) = book.meet(&need, NOW) else { panic!("approved") };
    assert!(matches!(book.meet(&need, NOW), Met::Waits(Word::InUse)));
    // the rooms are rebuilt while it is on its way: the journal knows of no use yet
    let approved = after(&[need.asked(NOW)]).decide(&need.id(), HOUR, &dana(), NOW).unwrap();
    book.follow(after(&[need.asked(NOW), approved]));
    assert!(matches!(book.meet(&need, NOW), Met::Waits(Word::InUse)), "also then");
    drop(claim);
    let Met::Approved(claim) = book.meet(&need, NOW) else { panic!("nothing came of the first one") };
    claim.used();
    assert!(matches!(book.meet(&need, NOW), Met::Waits(Word::Asked(_))), "it is used up");
}

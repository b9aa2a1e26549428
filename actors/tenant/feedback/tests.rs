use super::messages::DistrustedView;
use super::rules::*;
use crate::entry::{Entry, LineageChunk};
use bailiwick_policy::visibility::{Document, Visible};
use proptest::prelude::*;

fn cited(document: &str, trust_score: f64) -> LineageChunk {
    LineageChunk {
        source_id: document.to_owned(),
        chunk_id: format!("{document}#0"),
        trust_score,
        ..LineageChunk::default()
    }
}

fn judged<'a>(up: bool, rejected: &'a [String], by: &'a str) -> Judged<'a> {
    Judged { query_id: "q", up, rejected, by, key_id: "key", at_unix_ms: 1 }
}

fn rejects(distrust: &mut Distrust, document: &str, by: &str) -> Option<Entry> {
    let trust_score = 0.7 - distrust.documents().find(|one| one.id == document).map_or(0.0, Distrusted::lost);
    let chunks = [cited(document, trust_score)];
    let rejected = [format!("{document}#0")];
    let entry = follows(&judged(false, &rejected, by), &chunks, distrust).unwrap();
    entry.iter().for_each(|entry| distrust.apply(entry));
    entry
}

fn finds(visible: &Visible, id: &str) -> bool {
    visible.admits(&Document { id, domain: "d", usecase: "u" })
}

#[test]
fn each_person_costs_a_document_one_step_and_no_more_than_five_count() {
    let mut distrust = Distrust::default();
    for by in ["ann", "ann", "bob"] {
        rejects(&mut distrust, "a", by);
    }
    let view: Vec<_> = distrust.documents().map(DistrustedView::from).collect();
    let one = |lost: f64, rejected_by| DistrustedView {
        document_id: "a".into(),
        trust_score: 0.7,
        trust_lost: lost,
        rejected_by,
    };
    assert_eq!(view, [one(0.1, 2)]);
    for number in 0..20 {
        rejects(&mut distrust, "a", &format!("user-{number}"));
    }
    let view: Vec<_> = distrust.documents().map(DistrustedView::from).collect();
    assert_eq!(view, [one(0.25, 5)], "the trust before is told as it was");
}

#[test]
fn what_has_fallen_below_the_minimum_is_not_found_and_nothing_else() {
    let mut distrust = Distrust::default();
    rejects(&mut distrust, "a*", "ann");
    rejects(&mut distrust, "b", "ann");
    rejects(&mut distrust, "b", "bob");
    let visible = distrust.keep_out(Visible::everything(), 0.65);
    assert!(finds(&visible, "a*"), "0.65 is not below 0.65");
    assert!(!finds(&visible, "b"));
    rejects(&mut distrust, "a*", "bob");
    let visible = distrust.keep_out(Visible::everything(), 0.65);
    assert!(!finds(&visible, "a*"));
    assert!(finds(&visible, "a-other"), "an id is no pattern");
    assert_eq!(Distrust::default().keep_out(Visible::everything(), 1.0), Visible::everything());
}

#[test]
fn praise_takes_back_the_own_rejection_and_nobody_elses() {
    let mut distrust = Distrust::default();
    for by in ["ann", "bob"] {
        rejects(&mut distrust, "a", by);
    }
    let chunks = [cited("a", 0.6), cited("z", 0.9)];
    assert_eq!(follows(&judged(true, &[], "eve"), &chunks, &distrust), Ok(None));
    let entry = follows(&judged(true, &[], "ann"), &chunks, &distrust).unwrap().unwrap();
    distrust.apply(&entry);
    assert!(distrust.is_rejected_by("a", "bob") && !distrust.is_rejected_by("a", "ann"));
    let entry = follows(&judged(true, &[], "bob"), &chunks, &distrust).unwrap().unwrap();
    distrust.apply(&entry);
    assert_eq!(distrust, Distrust::default());
}

#[test]
fn only_what_an_answer_cites_can_be_rejected_and_no_praise_rejects() {
    let distrust = Distrust::default();
    let chunks = [cited("a", 0.6)];
    let other = [String::from("b#0")];
    let refused = follows(&judged(false, &other, "ann"), &chunks, &distrust).unwrap_err();
    assert!(refused.detail.contains("b#0"), "{}", refused.detail);
    let own = [String::from("a#0")];
    assert!(follows(&judged(true, &own, "ann"), &chunks, &distrust).is_err());
    assert_eq!(follows(&judged(false, &[], "ann"), &chunks, &distrust), Ok(None));
}

proptest! {
    /// Whatever is rejected, taken back and given back in whatever order: bounded, and nothing is left when all is back.
    #[test]
    fn trust_stays_within_its_bounds_and_comes_back_whole(
        steps in prop::collection::vec((0..400_usize, 0..8_usize, 0..4_u8), 1..600),
    ) {
        let mut distrust = Distrust::default();
        for (document, by, what) in steps {
            let (document, by) = (format!("d{document}"), format!("u{by}"));
            if what > 0 {
                rejects(&mut distrust, &document, &by);
            } else if let Some(entry) = follows(&judged(true, &[], &by), &[cited(&document, 0.5)], &distrust).unwrap() {
                distrust.apply(&entry);
            }
            prop_assert!(distrust.documents().count() <= DISTRUSTED_MAX);
            prop_assert!(distrust.documents().all(|document| (1..=STEPS_MAX).contains(&document.by.len())));
        }
        let again = Distrust::of(distrust.documents().cloned());
        prop_assert_eq!(&again, &distrust);
        let documents = distrust.documents().map(|document| document.id.clone()).collect();
        let restored = super::records::TrustRestored { documents, rejected_by: None, by: "key".into(), at_unix_ms: 2 };
        distrust.apply(&Entry::TrustRestored(Box::new(restored)));
        prop_assert_eq!(distrust, Distrust::default());
    }
}

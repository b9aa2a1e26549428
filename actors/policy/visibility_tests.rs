//! What may be found against what the engine says about each document.
use super::*;
use crate::evaluate::Ruling;
use crate::language::Fact;
use crate::random_rules::{Dice, World, policy};
use std::collections::BTreeSet;

const TEXTS: [&str; 7] = ["0", "a", "aa", "ab", "b", "bz", "c"];

/// Somebody of whom some attributes are known.
fn somebody(dice: &mut Dice) -> Facts {
    let permissions =
        ["a", "ab"].iter().filter(|_| dice.once_in(2)).map(|text| (*text).to_owned()).collect::<BTreeSet<_>>();
    let mut facts = Facts::new().with("user.permissions", Fact::Texts(permissions)).text("user.role", "operator");
    for attribute in ["user.id", "request.domain", "user.attributes.department"] {
        if !dice.once_in(3) {
            facts = facts.text(attribute, TEXTS[dice.below(TEXTS.len())]);
        }
    }
    facts
}

#[test]
fn what_may_be_found_is_what_the_engine_permits_of_each_document() {
    let (mut seen, mut hidden, mut refused) = (0_u32, 0_u32, 0_u32);
    for seed in 0..4_000 {
        let mut dice = Dice::new(seed);
        let world = World {
            attributes: vec![
                DOCUMENT_DOMAIN,
                DOCUMENT_USECASE,
                DOCUMENT_ID,
                "user.permissions",
                "user.attributes.department",
                "user.role",
            ],
            patterns: &["a", "a*", "ab", "b*", "*"],
            numbers: &[0],
            careless: 40,
            unconditional: 6,
            depth: 2,
        };
        let engine = Engine::compile(policy(&mut dice, Action::Retrieve, &world, 5)).unwrap();
        let facts = somebody(&mut dice);
        let found = visible(&engine, &facts);
        for _ in 0..12 {
            let [id, domain, usecase] = [0, 1, 2].map(|_| TEXTS[dice.below(TEXTS.len())]);
            let document =
                facts.clone().text(DOCUMENT_ID, id).text(DOCUMENT_DOMAIN, domain).text(DOCUMENT_USECASE, usecase);
            let ruling = engine.decide(Action::Retrieve, &document);
            let permitted = matches!(ruling, Ruling::Permitted { .. });
            match &found {
                Ok(visible) => {
                    assert_eq!(
                        visible.admits(&Document { id, domain, usecase }),
                        permitted,
                        "seed {seed}: {document:?} {visible:?}"
                    );
                    *(if permitted { &mut seen } else { &mut hidden }) += 1;
                }
                Err(_) => refused += 1,
            }
        }
        // whoever is let in is judged: nothing is found by somebody of whom a rule cannot say
        if found.is_ok() {
            let document = facts.text(DOCUMENT_ID, "a").text(DOCUMENT_DOMAIN, "a").text(DOCUMENT_USECASE, "a");
            assert!(
                !matches!(engine.decide(Action::Retrieve, &document), Ruling::Refused(Refusal::Unjudged(_))),
                "seed {seed}"
            );
        }
    }
    println!("{seen} documents seen, {hidden} hidden, {refused} not judged, as the engine says");
    assert!(seen > 5_000 && hidden > 5_000 && refused > 200);
}

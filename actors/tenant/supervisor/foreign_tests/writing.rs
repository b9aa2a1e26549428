//! Documents taken in under names of the neighbour's, by a third tenant: what it is told is what the same tenant is told
//! on a node of its own, to the position of every record.
use super::super::fixtures::document;
use super::foreign::{Dice, Pair};
use super::scene::{NAMES, Scene};
use crate::retrieval::messages::{DocumentState, NewDocument};

/// Documents of one upload.
const UPLOAD: usize = 50;

pub(super) async fn attempt(scene: &Scene, row: &'static str, times: usize) -> Vec<String> {
    let (mut found, mut taken) = (Vec::new(), 0);
    let numbers: Vec<_> = (0..times).collect();
    for upload in numbers.chunks(UPLOAD) {
        let documents: Vec<_> = upload.iter().map(|number| named(scene, row, *number)).collect();
        let told = scene.writer.ingest(documents.clone()).await.unwrap();
        let told_alone = scene.lone_writer.ingest(documents).await.unwrap();
        taken += told.iter().filter(|document| document.state == DocumentState::Accepted).count();
        for (document, alone) in told.iter().zip(&told_alone) {
            if document != alone {
                found.push(format!("{row}: {document:?}, without neighbours {alone:?}"));
            }
        }
    }
    assert!(taken * 3 > times, "only {taken} of {times} were taken in");
    found
}

/// A document with one field of the neighbour's.
fn named(scene: &Scene, row: &str, number: usize) -> NewDocument {
    let ids = &scene.ids;
    let spell = |pool: &[Pair]| {
        let mut dice = Dice::of(row, number);
        let pair = dice.one_of(pool).clone();
        pair.spelled(&mut dice, &NAMES).theirs
    };
    let document =
        document(&format!("{}-{number}", row.replace('.', "-")), &format!("Written as number {number} of {row}."));
    match row {
        "NewDocument.id" => NewDocument { id: Some(spell(&ids.documents)), ..document },
        // its id follows from source and title
        "NewDocument.source" => NewDocument {
            id: None,
            title: Some(ids.titles[number % ids.titles.len()].theirs.clone()),
            source: Some(spell(&ids.sources)),
            ..document
        },
        "NewDocument.domain" => NewDocument { domain: Some(spell(&ids.domains)), ..document },
        "NewDocument.usecase" => NewDocument { usecase: Some(spell(&ids.usecases)), ..document },
        row => panic!("{row} is in the table and nowhere tried"),
    }
}

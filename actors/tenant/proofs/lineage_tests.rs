//! A lineage file against its journal, and against everything somebody who hands it on could do to it.
use super::super::tests::{TAMPERINGS, at_work, exported};
use super::super::verifier::Export;
use super::*;
use crate::imports::records::{ImportedLine, ImportedLines, OldLine};
use crate::supervisor::fixtures::*;
use crate::supervisor::lineage_forms::LineageForm;
use crate::supervisor::messages::ExportLineage;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// The file, as it is handed out.
async fn file_of(tenant: &Tenant) -> Vec<String> {
    let export = |reply| ExportLineage { from: 0, max: 2_048, principal: principal(), reply };
    let portion = tenant.told(export).await.unwrap();
    portion.records.iter().flat_map(|record| LineageForm::Jsonl.tell(record)).map(|line| line.to_string()).collect()
}

/// What the verified journal says, and the name of its tenant.
async fn journal_of(tenant: &Tenant) -> (String, Vec<Said>) {
    let (file, key) = exported(tenant).await;
    let mut export = Export::begin(&file.header, Some(&key), None).unwrap();
    let said = file.records.iter().map(|record| export.record(record).unwrap()).collect();
    export.end().unwrap();
    (file.header.tenant.clone(), said)
}

fn held_against(lines: &[String], (tenant, journal): &(String, Vec<Said>)) -> Result<Traced, Unverified> {
    let mut lineage = Lineage::of(tenant);
    journal.iter().cloned().for_each(|said| lineage.record(said));
    lines.iter().try_for_each(|line| lineage.line(line))?;
    lineage.end()
}

/// Another value in one field of a line.
fn edited(line: &str, dice: &mut StdRng) -> String {
    let mut line: LineageLine = serde_json::from_str(line).unwrap();
    let texts = [
        &mut line.tenant_id,
        &mut line.domain,
        &mut line.usecase,
        &mut line.source_id,
        &mut line.query_id,
        &mut line.chunk_id,
        &mut line.agent_id,
        &mut line.policy_version,
        &mut line.timestamp,
        &mut line.hash,
    ];
    let field = dice.random_range(0..texts.len() + 2);
    match texts.into_iter().nth(field) {
        Some(text) => text.push('x'),
        None if field % 2 == 0 => line.trust_score += 0.125,
        None => line.seq += 1,
    }
    serde_json::to_string(&line).unwrap()
}

/// One thing somebody who hands a lineage file on could do to it; its name.
fn tampered(lines: &mut Vec<String>, other: &[String], forked: &[String], dice: &mut StdRng) -> &'static str {
    let count = lines.len();
    let at = dice.random_range(0..count);
    match dice.random_range(0..9) {
        0 => {
            lines[at] = edited(&lines[at], dice);
            "edited"
        }
        1 => {
            lines.remove(at);
            "deleted"
        }
        2 => {
            let copy = lines[dice.random_range(0..count)].clone();
            lines.insert(at, copy);
            "inserted"
        }
        3 => {
            let to = (at + 1 + dice.random_range(0..count - 1)) % count;
            lines.swap(at, to);
            "exchanged"
        }
        4 => {
            let before = lines.clone();
            while *lines == before {
                lines.shuffle(dice);
            }
            "shuffled"
        }
        5 => {
            lines.truncate(at);
            "cut"
        }
        6 => {
            lines[at] = other[dice.random_range(0..other.len())].clone();
            "another tenant's line"
        }
        7 => {
            lines.splice(at.., forked[at..].iter().cloned());
            "forked"
        }
        _ => {
            lines[at] = lines[at].replacen('{', "{\"note\":1,", 1);
            "a field put in"
        }
    }
}

#[actix_rt::test]
async fn whatever_is_done_to_a_lineage_file_is_found() {
    let (stage, elsewhere) = (Stage::new(), Stage::new());
    let (tenant, _) = at_work(&stage, 1).await;
    let (other, _) = at_work(&stage, 2).await;
    let (fork, _) = at_work(&elsewhere, 1).await;
    let (lines, journal) = (file_of(&tenant).await, journal_of(&tenant).await);
    let (other, forked) = (file_of(&other).await, file_of(&fork).await);
    let whole = held_against(&lines, &journal).unwrap();
    assert_eq!(whole, Traced { lines: u64::try_from(lines.len()).unwrap(), unproved: 0 });
    assert!(held_against(&forked, &journal).is_err() && held_against(&[], &journal).is_err());
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..TAMPERINGS {
        let mut dice = StdRng::seed_from_u64(seed);
        let mut copy = lines.clone();
        let how = tampered(&mut copy, &other, &forked, &mut dice);
        assert!(held_against(&copy, &journal).is_err(), "seed {seed}: {how} and not found");
        *seen.entry(how).or_insert(0_u32) += 1;
    }
    println!("{TAMPERINGS} tamperings of a lineage file of {} lines, all found: {seen:?}", lines.len());
    assert!(seen.len() == 9 && seen.values().all(|count| *count > 1_000), "{seen:?}");
}

#[actix_rt::test]
async fn lines_of_records_whose_words_are_not_shown_are_counted_and_bound_to_their_place() {
    let stage = Stage::new();
    let (tenant, _) = at_work(&stage, 1).await;
    let (lines, (name, mut journal)) = (file_of(&tenant).await, journal_of(&tenant).await);
    journal.iter_mut().for_each(|said| said.entry = None);
    let traced = held_against(&lines, &(name.clone(), journal.clone())).unwrap();
    assert_eq!(traced.unproved, traced.lines);
    let mut moved = lines.clone();
    moved.reverse();
    assert!(held_against(&moved, &(name.clone(), journal.clone())).is_err());
    let elsewhere = lines[0].replace("\"hash\":\"", "\"hash\":\"0");
    assert!(held_against(&[elsewhere], &(name, journal)).is_err());
}

/// A record that brought three lines in, and one that took them back.
fn brought() -> [Said; 2] {
    let line = |number: u64| ImportedLine {
        number,
        sha256: [7; 32],
        said: OldLine {
            query_id: format!("q-{number}"),
            source_id: "doc".to_owned(),
            chunk_id: "chunk".to_owned(),
            trust_score: 0.5,
            agent_id: "old".to_owned(),
            policy_version: "0.1".to_owned(),
            timestamp: "2025-10-08T12:00:00Z".to_owned(),
            domain: "general".to_owned(),
            usecase: "general".to_owned(),
        },
    };
    let (file_sha256, by, at_unix_ms) = ([9; 32], "key".to_owned(), 1);
    let lines = (1..=3).map(line).collect();
    let file = "lineage.jsonl".to_owned();
    let taken = ImportedLines { file_sha256, file, after: 0, to: 3, lines, by: by.clone(), at_unix_ms };
    let withdrawn = LineageImport::Withdrawn { file_sha256, by, at_unix_ms };
    [(4, LineageImport::Lines(taken)), (6, withdrawn)].map(|(position, import)| Said {
        position,
        hash: [3; 32],
        entry: Some(Entry::LineageImported(Box::new(import))),
    })
}

#[test]
fn what_another_system_wrote_is_told_whole_and_as_it_was_brought_in_or_was_taken_back() {
    let [taken, withdrawn] = brought();
    let Some(Entry::LineageImported(import)) = &taken.entry else { panic!("no import") };
    let LineageImport::Lines(record) = import.as_ref() else { panic!("no lines") };
    let lines: Vec<String> = imported_of("t", Position(4), &[3; 32], record)
        .iter()
        .map(|line| serde_json::to_string(line).unwrap())
        .collect();
    let held = |lines: &[String], journal: &[&Said]| {
        let journal = journal.iter().map(|said| (*said).clone()).collect();
        held_against(lines, &("t".to_owned(), journal)).map(|traced| traced.lines)
    };
    assert_eq!(held(&lines, &[&taken]).unwrap(), 3);
    assert_eq!(held(&[], &[&taken, &withdrawn]).unwrap(), 0, "taken back");
    assert_eq!(held(&lines, &[&taken, &withdrawn]).unwrap(), 3, "told before it was taken back");
    let swapped = [&lines[1], &lines[0], &lines[2]].map(Clone::clone);
    let edited = [lines[0].replace("q-1", "q-9"), lines[1].clone(), lines[2].clone()];
    let native = [lines[0].replace(",\"imported\"", ",\"was\"")];
    for wrong in [&[][..], &lines[..2], &lines[1..], &swapped, &edited, &native] {
        assert!(held(wrong, &[&taken]).is_err(), "{wrong:?}");
    }
    assert!(held(&lines[..2], &[&taken, &withdrawn]).is_err(), "some of them");
    let twice = [lines.clone(), lines.clone()].concat();
    assert!(held(&twice, &[&taken]).is_err());
}

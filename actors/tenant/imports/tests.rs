use super::messages::{ImportState, ImportStep, ImportView, Portion};
use super::records::{ImportedLines, LineageImport};
use super::rules::{Decided, Imports, decide, read, sha256};
use crate::entry::Entry;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::limits::{IMPORTED_LINE_BYTES_MAX, IMPORTED_LINES_MAX, IMPORTS_MAX, RECORD_BYTES_MAX};
use bailiwick_kernel::outcome::{Code, Rejection};
use proptest::prelude::*;

const FILE: &str = "00000000000000000000000000000000000000000000000000000000000000ab";

fn line(query: &str) -> String {
    format!(
        r#"{{"source_id":"doc-1","query_id":"{query}","chunk_id":"chunk-1","trust_score":0.82,"agent_id":"planner-v1","policy_version":"1.2.3","timestamp":"2025-10-08T12:00:00Z"}}"#
    )
}

fn portion(after: u64, lines: &[&str]) -> ImportStep {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    ImportStep::Take(Portion { file_sha256: FILE.into(), file: "lineage.jsonl".into(), after, lines })
}

/// A journal that holds nothing but imports.
#[derive(Default)]
struct Journal {
    imports: Imports,
    records: Vec<LineageImport>,
}

impl Journal {
    fn step(&mut self, step: ImportStep) -> Result<ImportView, Rejection> {
        let Decided { entries, view } = decide(&self.imports, "default", step, "key", 7)?;
        for entry in entries {
            let Entry::LineageImported(import) = entry else { panic!("{entry:?}") };
            self.imports.apply(Position(self.records.len() as u64), &import);
            self.records.push(*import);
        }
        Ok(view)
    }

    /// Numbers of the lines that are shown, in their order.
    fn shown(&self) -> Vec<u64> {
        let lines = (0_u64..).zip(&self.records).filter_map(|(at, record)| match record {
            LineageImport::Lines(lines) if self.imports.shows(Position(at), lines) => Some(lines),
            _ => None,
        });
        lines.flat_map(|lines| lines.lines.iter().map(|line| line.number)).collect()
    }
}

fn withdraw() -> ImportStep {
    ImportStep::Withdraw { file_sha256: FILE.into() }
}

fn keep() -> ImportStep {
    ImportStep::Keep { file_sha256: FILE.into() }
}

#[test]
fn a_line_without_a_tenant_is_the_tenants_in_the_default_domain_and_use_case() {
    let said = read("default", &line("q-456")).unwrap();
    assert_eq!((said.said.domain.as_str(), said.said.usecase.as_str()), ("general", "general"));
    assert_eq!((said.said.query_id.as_str(), said.said.trust_score), ("q-456", 0.82));
    assert!(said.left_behind.is_empty());
    let named =
        line("q").replacen('{', r#"{"tenant_id":"default","domain_id":"law","usecase":"review","latency_ms":3,"#, 1);
    let said = read("default", &named).unwrap();
    assert_eq!((said.said.domain.as_str(), said.said.usecase.as_str()), ("law", "review"));
    assert_eq!(said.left_behind, ["latency_ms"]);
}

#[test]
fn lines_that_say_too_little_or_somebody_elses_are_refused_with_what_to_do() {
    for (from, to, wanted) in [
        ("\"query_id\":\"q\",", "", "it has no query_id"),
        ("\"q\"", "\"\"", "query_id is empty"),
        ("\"q\"", "7", "query_id is no text"),
        ("0.82", "1.5", "trust_score is no number"),
        ("0.82", "\"high\"", "trust_score is no number"),
        ("2025-10-08T12:00:00Z", "yesterday", "timestamp is no time"),
        ("{", "{\"tenant_id\":\"acme-corp\",", "it is \"acme-corp\"'s, not default's"),
        ("}", "", "it is no JSON object"),
    ] {
        let text = line("q").replacen(from, to, 1);
        let problem = read("default", &text).unwrap_err();
        assert!(problem.contains(wanted), "{problem}");
    }
    let long = line(&"q".repeat(300));
    assert!(read("default", &long).unwrap_err().contains("query_id is longer"));
    assert!(read("default", &" ".repeat(IMPORTED_LINE_BYTES_MAX + 1)).unwrap_err().contains("are more than"));
}

#[test]
fn a_line_is_kept_once_however_often_it_comes() {
    let mut journal = Journal::default();
    let (one, two) = (line("a"), line("b"));
    let view = journal.step(portion(0, &[&one, "{", &two])).unwrap();
    assert_eq!((view.to, view.lines, view.refused.len(), view.refused[0].line), (3, 2, 1, 2));
    assert_eq!(journal.shown(), [1, 3]);
    assert_eq!(journal.step(portion(0, &[&one, "{", &two])).unwrap().lines, 2);
    assert_eq!(journal.step(portion(1, &["{", &two, &one])).unwrap().to, 4);
    assert_eq!(journal.shown(), [1, 3, 4]);
    let gap = journal.step(portion(9, &[&one])).unwrap_err();
    assert!(gap.code == Code::Conflict && gap.detail.contains("lines up to 4 are here"), "{gap}");
    let LineageImport::Lines(ImportedLines { lines, .. }) = &journal.records[0] else { panic!() };
    assert_eq!(lines[0].sha256, sha256(one.as_bytes()));
}

#[test]
fn lines_that_cannot_be_read_are_passed_all_the_same() {
    let mut journal = Journal::default();
    let view = journal.step(portion(0, &["", "  ", "[]"])).unwrap();
    assert_eq!((view.to, view.lines, view.refused.len()), (3, 0, 1), "blank lines are none");
    assert_eq!(journal.step(portion(3, &[&line("a")])).unwrap().lines, 1);
}

#[test]
fn an_import_is_taken_back_as_a_whole_and_may_come_again() {
    let mut journal = Journal::default();
    assert_eq!(journal.step(withdraw()).unwrap_err().code, Code::NotFound);
    let text = line("a");
    journal.step(portion(0, &[&text, &text])).unwrap();
    let view = journal.step(withdraw()).unwrap();
    assert_eq!((view.state, view.to, view.lines), (ImportState::Withdrawn, 0, 0));
    assert_eq!(journal.shown(), [0; 0]);
    let records = journal.records.len();
    journal.step(withdraw()).unwrap();
    assert_eq!(journal.records.len(), records, "once");
    assert_eq!(journal.step(keep()).unwrap_err().code, Code::Conflict);
    journal.step(portion(0, &[&text])).unwrap();
    assert_eq!(journal.shown(), [1]);
}

#[test]
fn what_is_confirmed_stays() {
    let mut journal = Journal::default();
    let text = line("a");
    journal.step(portion(0, &[&text])).unwrap();
    assert_eq!(journal.step(keep()).unwrap().state, ImportState::Kept);
    journal.step(keep()).unwrap();
    let refused = journal.step(withdraw()).unwrap_err();
    assert!(refused.code == Code::Conflict && refused.detail.contains("it was confirmed"), "{refused}");
    assert_eq!(journal.step(portion(1, &[&text])).unwrap_err().code, Code::Conflict);
    assert_eq!(journal.step(portion(0, &[&text])).unwrap().lines, 1, "what is here is here");
}

#[test]
fn everything_is_bounded() {
    let mut journal = Journal::default();
    let text = line("a");
    for step in [
        portion(0, &[]),
        portion(0, &vec![text.as_str(); IMPORTED_LINES_MAX + 1]),
        ImportStep::Take(Portion {
            file_sha256: FILE.to_uppercase(),
            file: "f".into(),
            after: 0,
            lines: vec![text.clone()],
        }),
        ImportStep::Take(Portion {
            file_sha256: FILE.into(),
            file: "a\nb".into(),
            after: 0,
            lines: vec![text.clone()],
        }),
    ] {
        assert_eq!(journal.step(step).unwrap_err().code, Code::InvalidRequest);
    }
    for number in 0..=IMPORTS_MAX {
        let file_sha256 = hex::encode(sha256(&number.to_be_bytes()));
        let taken = journal.step(ImportStep::Take(Portion {
            file_sha256,
            file: "f".into(),
            after: 0,
            lines: vec![text.clone()],
        }));
        assert_eq!(taken.is_ok(), number < IMPORTS_MAX);
    }
}

#[test]
fn the_longest_lines_fit_their_records() {
    let mut journal = Journal::default();
    let long = line(&"é".repeat(120)).replacen(
        '{',
        &format!(r#"{{"notes":"{}","#, "x".repeat(IMPORTED_LINE_BYTES_MAX / 2)),
        1,
    );
    journal.step(portion(0, &[long.as_str(); 40])).unwrap();
    assert_eq!(journal.shown().len(), 40);
    for record in journal.records {
        let bytes = bailiwick_kernel::codec::encode(&Entry::LineageImported(Box::new(record))).unwrap();
        assert!(bytes.len() < RECORD_BYTES_MAX);
    }
}

proptest! {
    #[test]
    fn whatever_portions_come_in_whatever_order_each_line_stands_once(cuts in prop::collection::vec((0_u64..30, 1_usize..12), 1..40)) {
        let lines: Vec<String> = (1..=40).map(|number| line(&format!("q-{number}"))).collect();
        let (mut journal, mut reached) = (Journal::default(), 0);
        for (after, count) in cuts {
            let from = after as usize;
            let sent: Vec<&str> = lines[from..(from + count).min(lines.len())].iter().map(String::as_str).collect();
            match journal.step(portion(after, &sent)) {
                Ok(view) => {
                    reached = reached.max(after + sent.len() as u64);
                    prop_assert_eq!(view.to, reached);
                }
                Err(rejection) => prop_assert!(after > reached && rejection.code == Code::Conflict),
            }
            prop_assert_eq!(journal.shown(), (1..=reached).collect::<Vec<_>>());
        }
    }
}

//! The pages behind the first one: a table for each framework, the evidence of each control, and the journal's checkpoint.
use super::cover::per_cent;
use super::marks::{BAD, Face, GOOD, GROUND, MARGIN, MEASURE, Mark, QUIET};
use super::sheet::{Sheet, Style};
use super::table::{self, Cell, Columns};
use crate::compliance::frameworks::Framework;
use crate::compliance::report::{Checkpoint, ControlResult, Evidence, Report};

const CLAUSES: Columns = Columns(&[("CLAUSES", 140.0), ("CONTROL", 150.0), ("OUTCOME", 58.0), ("WHY", 147.28)]);
const FACTS: Columns = Columns(&[("EVIDENCE", 150.0), ("VALUE", 134.0), ("SOURCE", 80.0), ("OBSERVED", 131.28)]);
/// What a signed note's third line is (C2SP tlog-checkpoint).
const ROOT_LINE: usize = 2;

/// A number of records, in words.
pub(super) fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

/// The root hash of a signed head.
pub(super) fn root_of(note: &str) -> &str {
    note.lines().nth(ROOT_LINE).unwrap_or_default()
}

/// Draws them.
pub(super) fn draw(sheet: &mut Sheet<'_>, report: &Report) {
    sheet.turn();
    for result in &report.frameworks {
        let title = format!("{} · {}", result.framework.as_str(), per_cent(result.score.score_ppm));
        table::heading(sheet, &title, 90.0);
        sheet.paragraph(Style::plain(8.4).ink(QUIET), &result.title);
        sheet.skip(6.0);
        clauses(sheet, report, result.framework);
        sheet.skip(20.0);
    }
    table::heading(sheet, "Evidence", 110.0);
    let told = "Every control in scope with the facts it rests on, where each comes from, when it was so and until when it may \
                be relied on. Times are UTC.";
    sheet.paragraph(Style::plain(8.4).ink(QUIET), told);
    sheet.skip(8.0);
    report.controls.iter().for_each(|control| evidence(sheet, control));
    if let Some(checkpoint) = &report.checkpoint {
        seal(sheet, checkpoint);
    }
}

fn clauses(sheet: &mut Sheet<'_>, report: &Report, framework: Framework) {
    CLAUSES.head(sheet);
    for control in &report.controls {
        let own = control.supports.iter().filter(|clause| clause.framework == framework);
        let own: Vec<_> = own.map(|clause| clause.clause.as_str()).collect();
        if own.is_empty() {
            continue;
        }
        let small = Style::plain(8.0);
        CLAUSES.row(
            sheet,
            &[
                Cell::Words(small.strong(), own.join(", ")),
                Cell::Twice((small, control.title.clone()), (Style::plain(7.2).ink(QUIET), control.id.clone())),
                Cell::Outcome(control.outcome),
                Cell::Words(small, control.why.clone()),
            ],
        );
    }
}

/// A time to the minute.
fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

fn observed(evidence: &Evidence) -> (String, String) {
    match (&evidence.observed_at, &evidence.fresh_until) {
        (Some(observed), Some(until)) if evidence.is_fresh => {
            (minute(observed), format!("fresh until {}", minute(until)))
        }
        (Some(observed), Some(until)) => (minute(observed), format!("outdated since {}", minute(until))),
        _ => ("never".to_owned(), "nobody has told".to_owned()),
    }
}

fn evidence(sheet: &mut Sheet<'_>, control: &ControlResult) {
    let small = Style::plain(7.6);
    sheet.need(84.0);
    let (y, size) = (sheet.y, 9.4);
    let name = format!("{}  {}", control.id, control.title);
    sheet.line_at(MARGIN, y + 10.0, Style::plain(size).strong(), &name);
    let width = sheet.letters.width(Face::Strong, size, &name);
    table::label(sheet, MARGIN + width + 9.0, y + 0.6, control.outcome);
    sheet.line_to(MARGIN + MEASURE, y + 10.0, small.ink(QUIET), &format!("counts {}", control.weight));
    sheet.y += 15.0;
    sheet.paragraph(Style::plain(8.0).ink(QUIET), &control.checks);
    let supports: Vec<_> =
        control.supports.iter().map(|clause| format!("{} {}", clause.framework.as_str(), clause.clause)).collect();
    sheet.paragraph(small.ink(QUIET), &format!("Supports {}", supports.join(" · ")));
    sheet.skip(3.0);
    FACTS.head(sheet);
    for one in &control.evidence {
        let (at, until) = observed(one);
        let fresh = Style::plain(7.0).ink(if one.is_fresh { GOOD } else { BAD });
        let value = one.value.as_ref().map_or_else(|| "unknown".to_owned(), super::super::facts::FactValue::told);
        FACTS.row(
            sheet,
            &[
                Cell::Twice((small, one.says.clone()), (Style::plain(7.0).ink(QUIET), one.fact.clone())),
                Cell::Words(small.strong(), value),
                Cell::Words(small, one.source.clone().unwrap_or_else(|| "none".to_owned())),
                Cell::Twice((small, at), (fresh, until)),
            ],
        );
    }
    sheet.skip(13.0);
}

fn seal(sheet: &mut Sheet<'_>, checkpoint: &Checkpoint) {
    let mono = Style { face: Face::Mono, leading: 10.4, ..Style::plain(7.2) };
    let inside = MEASURE - 24.0;
    let lines: Vec<String> = checkpoint
        .note
        .lines()
        .flat_map(|line| sheet.letters.lines(mono.face, mono.size, line, inside))
        .chain(sheet.letters.lines(mono.face, mono.size, &format!("key: {}", checkpoint.verifier_key), inside))
        .collect();
    let height = lines.iter().fold(20.0, |sum, _| sum + mono.leading);
    table::heading(sheet, "Checkpoint of the journal", height + 70.0);
    let told = format!(
        "The report was made when the tenant's journal had {}. Its head was signed by the key below, which follows from \
         the node's root key. Whoever holds an export of the journal or a receipt verifies with `bailiwick verify` that it \
         belongs to this head, and with a later checkpoint that nothing before it was changed.",
        records(checkpoint.size)
    );
    sheet.paragraph(Style::plain(8.4), &told);
    sheet.skip(8.0);
    sheet.mark(Mark::Panel { x: MARGIN, y: sheet.y, width: MEASURE, height, radius: 5.0, ink: GROUND });
    let mut base = sheet.y + 10.0 + mono.size;
    for line in &lines {
        sheet.line_at(MARGIN + 12.0, base, mono, line);
        base += mono.leading;
    }
    sheet.y += height + 8.0;
}

//! The first page: whose report it is, the score, the frameworks, and what to do first.
use super::marks::{ACCENT, BAD, GOLD, GOOD, GROUND, Ink, LINE, MARGIN, MEASURE, Mark, PAGE_WIDTH, PAPER, QUIET};
use super::sheet::{Sheet, Style};
use super::table::{self, Cell, Columns};
use crate::compliance::report::{ControlResult, FrameworkResult, Outcome, Report, Score};

/// Weeks whose scores are drawn.
const WEEKS_SHOWN: usize = 12;
/// Height of the line that says how many more there are.
const MORE: f32 = 18.0;
const BAND: f32 = 118.0;
const PANEL: f32 = 138.0;

/// Draws it.
pub(super) fn draw(sheet: &mut Sheet<'_>, report: &Report) {
    band(sheet, report);
    sheet.y = BAND + 22.0;
    score(sheet, report);
    frameworks(sheet, report);
    first(sheet, report);
}

fn band(sheet: &mut Sheet<'_>, report: &Report) {
    sheet.mark(Mark::Panel { x: 0.0, y: 0.0, width: PAGE_WIDTH, height: BAND, radius: 0.0, ink: ACCENT });
    sheet.mark(Mark::Panel { x: 0.0, y: BAND, width: PAGE_WIDTH, height: 3.0, radius: 0.0, ink: GOLD });
    sheet.mark(Mark::Seal { x: MARGIN, y: 33.0, size: 52.0 });
    let (left, white, pale) = (MARGIN + 68.0, PAPER, Ink(0xd5, 0xe4, 0xdf));
    sheet.line_at(left, 54.0, Style::plain(24.0).strong().ink(white), "Compliance report");
    let told = format!("{} · week {}", report.tenant, report.week);
    sheet.line_at(left, 76.0, Style::plain(12.5).ink(white), &told);
    let policy = if report.policy_version.is_empty() { "no policy in force" } else { &report.policy_version };
    let when = report.reported_at.get(..16).unwrap_or(&report.reported_at).replace('T', " ");
    let told = format!("made on {when} UTC · policy {policy} · region {}", report.region);
    sheet.line_at(left, 94.0, Style::plain(8.6).ink(pale), &told);
}

/// A share of a million, in per cent with one digit.
pub(super) fn per_cent(ppm: u32) -> String {
    let tenths = ppm / 1_000;
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// The colour a score is shown in.
fn ink_of(ppm: u32) -> Ink {
    match ppm {
        900_000.. => GOOD,
        600_000.. => GOLD,
        _ => BAD,
    }
}

/// A share of a million as a number between 0 and 1.
#[expect(clippy::cast_precision_loss, reason = "parts of a million, for drawing")]
fn share(ppm: u32) -> f32 {
    ppm as f32 / 1_000_000.0
}

fn score(sheet: &mut Sheet<'_>, report: &Report) {
    let (top, Score { score_ppm, passed, failed, unknown, weight_passed, weight }) = (sheet.y, report.score);
    sheet.mark(Mark::Panel { x: MARGIN, y: top, width: MEASURE, height: PANEL, radius: 6.0, ink: GROUND });
    let (middle, ring) = ((MARGIN + 76.0, top + PANEL / 2.0), 46.0);
    let arc = |share, ink| Mark::Arc { x: middle.0, y: middle.1, radius: ring, weight: 11.0, share, ink };
    sheet.mark(arc(1.0, LINE));
    sheet.mark(arc(share(score_ppm), ink_of(score_ppm)));
    sheet.line_amid(middle.0, middle.1 + 5.0, Style::plain(19.0).strong(), &per_cent(score_ppm));
    sheet.line_amid(middle.0, middle.1 + 18.0, Style::plain(7.4).ink(QUIET), &format!("{weight_passed} of {weight}"));
    let mut x = MARGIN + 156.0;
    for (count, word, ink) in [(passed, "passed", GOOD), (failed, "failed", BAD), (unknown, "unknown", GOLD)] {
        sheet.line_at(x, top + 46.0, Style::plain(25.0).strong().ink(ink), &count.to_string());
        sheet.line_at(x, top + 61.0, Style::plain(8.6).ink(QUIET), word);
        x += 62.0;
    }
    sheet.paragraph_at(MARGIN + 156.0, top + 74.0, 182.0, Style::plain(7.0).ink(QUIET), &report.meaning);
    weeks(sheet, report, top);
}

/// The last weeks as bars, this one last.
fn weeks(sheet: &mut Sheet<'_>, report: &Report, top: f32) {
    let (left, width, floor, height) = (MARGIN + 356.0, MEASURE - 376.0, top + 108.0, 72.0);
    let before = report.history.iter().filter(|week| week.week != report.week);
    let mut scores: Vec<(&str, u32)> = before.map(|week| (week.week.as_str(), week.score.score_ppm)).collect();
    scores.push((&report.week, report.score.score_ppm));
    let shown = scores.split_off(scores.len().saturating_sub(WEEKS_SHOWN));
    let step = width / 12.0;
    let mut x = left + width - step * shown.iter().fold(0.0, |sum: f32, _| sum + 1.0);
    let (first, last) = (shown.first().map_or("", |week| week.0), report.week.as_str());
    for (week, ppm) in &shown {
        let bar = (share(*ppm) * height).max(1.5);
        let ink = if *week == last { ink_of(*ppm) } else { Ink(0xb9, 0xc4, 0xbe) };
        sheet.mark(Mark::Panel { x: x + 1.2, y: floor - bar, width: step - 2.4, height: bar, radius: 1.4, ink });
        x += step;
    }
    sheet.mark(Mark::Rule { x: left, y: floor, width, weight: 0.6, ink: LINE });
    let quiet = Style::plain(7.4).ink(QUIET);
    sheet.line_at(left, top + 24.0, quiet, "Score by week");
    sheet.line_to(left + width, floor + 12.0, quiet, last);
    if first != last {
        sheet.line_at(left, floor + 12.0, quiet, first);
    }
    sheet.y = top + PANEL + 20.0;
}

fn frameworks(sheet: &mut Sheet<'_>, report: &Report) {
    table::heading(sheet, "Frameworks", 30.0);
    if report.frameworks.is_empty() {
        sheet.paragraph(Style::plain(9.0), "The tenant names no framework: every control is in scope.");
    }
    for FrameworkResult { framework, title, score, .. } in &report.frameworks {
        sheet.need(26.0);
        let (y, bar) = (sheet.y, 120.0);
        sheet.line_at(MARGIN, y + 10.0, Style::plain(10.0).strong(), framework.as_str());
        sheet.line_at(MARGIN + 74.0, y + 10.0, Style::plain(8.4).ink(QUIET), title);
        let (left, full) = (PAGE_WIDTH - MARGIN - bar - 50.0, share(score.score_ppm));
        sheet.mark(Mark::Panel { x: left, y: y + 4.0, width: bar, height: 6.0, radius: 3.0, ink: LINE });
        let ink = ink_of(score.score_ppm);
        sheet.mark(Mark::Panel { x: left, y: y + 4.0, width: (bar * full).max(3.0), height: 6.0, radius: 3.0, ink });
        sheet.line_to(PAGE_WIDTH - MARGIN, y + 10.5, Style::plain(9.0).strong(), &per_cent(score.score_ppm));
        let of = format!("{} of {} controls passed", score.passed, score.passed + score.failed + score.unknown);
        sheet.line_at(MARGIN + 74.0, y + 20.0, Style::plain(7.4).ink(QUIET), &of);
        sheet.y += 27.0;
    }
    if !report.not_mapped.is_empty() {
        let told = format!("No clauses are mapped here for {}.", report.not_mapped.join(", "));
        sheet.paragraph(Style::plain(8.4).ink(BAD), &told);
    }
    sheet.skip(8.0);
}

const FIRST: Columns = Columns(&[("CONTROL", 128.0), ("OUTCOME", 58.0), ("WHY", 150.0), ("WHAT TO DO", 159.28)]);

fn first(sheet: &mut Sheet<'_>, report: &Report) {
    let mut open: Vec<&ControlResult> =
        report.controls.iter().filter(|control| control.outcome != Outcome::Passed).collect();
    open.sort_by_key(|control| (std::cmp::Reverse(control.weight), control.outcome != Outcome::Failed));
    table::heading(sheet, "What to do first", 40.0);
    if open.is_empty() {
        sheet.paragraph(Style::plain(9.0), "Nothing: every control in scope has passed.");
        return;
    }
    FIRST.head(sheet);
    let mut shown = 0_usize;
    for control in &open {
        let small = Style::plain(8.0);
        let weight = format!("{} · counts {}", control.id, control.weight);
        let cells = [
            Cell::Twice((small.strong(), control.title.clone()), (Style::plain(7.2).ink(QUIET), weight)),
            Cell::Outcome(control.outcome),
            Cell::Words(small, control.why.clone()),
            Cell::Words(small, control.to_do.clone().unwrap_or_default()),
        ];
        if !FIRST.fits(sheet, &cells, MORE) {
            break;
        }
        FIRST.row(sheet, &cells);
        shown = shown.saturating_add(1);
    }
    let more = open.len().saturating_sub(shown);
    if more > 0 {
        sheet.skip(5.0);
        let told = format!("and {more} more, among the controls below");
        sheet.paragraph(Style::plain(7.6).ink(QUIET), &told);
    }
}

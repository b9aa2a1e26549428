//! The report as PDF. The same report gives the same bytes: no time of day, no random number and no typeface of the machine
//! goes into it.
mod body;
mod cover;
mod letters;
mod marks;
mod press;
mod sheet;
mod table;

use super::report::Report;
use letters::Letters;
use marks::{MARGIN, Mark, PAGE_HEIGHT, PAGE_WIDTH, QUIET};
use sheet::{Sheet, Style};

/// Hexadecimal or base64 digits of a root that are shown at the foot of a page.
const ROOT_SHOWN: usize = 16;

/// Why a report could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("drawing the report: {0}")]
pub struct NotDrawn(String);

/// Draws a report.
///
/// # Errors
/// [`NotDrawn`], where the program was built without its typefaces.
pub fn pdf(report: &Report) -> Result<Vec<u8>, NotDrawn> {
    let letters = Letters::read().map_err(|error| NotDrawn(error.to_string()))?;
    let mut sheet = Sheet::new(&letters);
    cover::draw(&mut sheet, report);
    body::draw(&mut sheet, report);
    let mut pages = sheet.into_pages();
    let count = pages.len();
    for (number, page) in (1..).zip(pages.iter_mut()) {
        page.extend(foot(&letters, report, number, count));
    }
    press::print(&pages, report).map_err(NotDrawn)
}

/// What ties every page to the tenant's journal.
fn foot(letters: &Letters, report: &Report, number: usize, count: usize) -> Vec<Mark> {
    let style = Style::plain(7.2).ink(QUIET);
    let journal = report.checkpoint.as_ref().map_or_else(
        || "no checkpoint of the journal".to_owned(),
        |checkpoint| {
            let root: String = body::root_of(&checkpoint.note).chars().take(ROOT_SHOWN).collect();
            format!("journal of {}, root {root}…", body::records(checkpoint.size))
        },
    );
    let told = format!("{} · {} · {journal}", report.tenant, report.week);
    let place = format!("{number} / {count}");
    let (y, right) = (PAGE_HEIGHT - 34.0, PAGE_WIDTH - MARGIN);
    let line = |x: f32, text: &str| Mark::Letters {
        x,
        y,
        face: style.face,
        size: style.size,
        ink: style.ink,
        text: letters.known(style.face, text),
    };
    vec![
        Mark::Rule { x: MARGIN, y: y - 14.0, width: right - MARGIN, weight: 0.5, ink: marks::LINE },
        line(MARGIN, &told),
        line(right - letters.width(style.face, style.size, &place), &place),
    ]
}

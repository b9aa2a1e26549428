//! Tables: rows whose cells are as high as the highest of them, with their head again on every page.
use super::marks::{ACCENT, BAD, Face, GOLD, GOOD, GROUND, Ink, LINE, MARGIN, MEASURE, Mark, PAPER, QUIET};
use super::sheet::{Sheet, Style};
use crate::compliance::report::Outcome;

/// Space inside a cell.
const PADDING: f32 = 5.0;
const HEAD: Style = Style::plain(7.2).strong().ink(QUIET);

/// One cell.
#[derive(Clone, PartialEq, Debug)]
pub enum Cell {
    /// Words.
    Words(Style, String),
    /// Words and, below them, quieter ones.
    Twice((Style, String), (Style, String)),
    /// What became of a control.
    Outcome(Outcome),
}

/// A table's columns: their heads and widths, which add up to [`MEASURE`].
pub struct Columns(pub &'static [(&'static str, f32)]);

/// The word and the colour of an outcome.
#[must_use]
pub fn shown(outcome: Outcome) -> (&'static str, Ink) {
    match outcome {
        Outcome::Passed => ("passed", GOOD),
        Outcome::Failed => ("failed", BAD),
        Outcome::Unknown => ("unknown", GOLD),
    }
}

/// A small coloured label; its width.
pub fn label(sheet: &mut Sheet<'_>, x: f32, y: f32, outcome: Outcome) {
    let (word, ink) = shown(outcome);
    let style = Style::plain(7.0).strong().ink(PAPER);
    let width = sheet.letters.width(Face::Strong, style.size, word) + 11.0;
    sheet.mark(Mark::Panel { x, y, width, height: 12.5, radius: 6.25, ink });
    sheet.line_at(x + 5.5, y + 8.8, style, word);
}

impl Columns {
    /// The line of heads.
    pub fn head(&self, sheet: &mut Sheet<'_>) {
        sheet.mark(Mark::Panel { x: MARGIN, y: sheet.y, width: MEASURE, height: 16.0, radius: 2.0, ink: GROUND });
        let mut x = MARGIN;
        for (name, width) in self.0 {
            sheet.line_at(x + PADDING, sheet.y + 10.8, HEAD, name);
            x += width;
        }
        sheet.y += 16.0;
    }

    fn height(&self, sheet: &Sheet<'_>, cells: &[Cell]) -> f32 {
        let of_cell = |((_, width), cell): (&(&str, f32), &Cell)| match cell {
            Cell::Words(style, text) => sheet.height(width - 2.0 * PADDING, *style, text),
            Cell::Twice(one, other) => {
                sheet.height(width - 2.0 * PADDING, one.0, &one.1)
                    + sheet.height(width - 2.0 * PADDING, other.0, &other.1)
            }
            Cell::Outcome(_) => 13.0,
        };
        self.0.iter().zip(cells).map(of_cell).fold(0.0_f32, f32::max) + 2.0 * PADDING
    }

    /// True where a row fits on this page, with something of this height below it.
    #[must_use]
    pub fn fits(&self, sheet: &Sheet<'_>, cells: &[Cell], below: f32) -> bool {
        sheet.has_room(self.height(sheet, cells) + below)
    }

    /// One row; on a new page where it does not fit, below the heads.
    pub fn row(&self, sheet: &mut Sheet<'_>, cells: &[Cell]) {
        let height = self.height(sheet, cells);
        if sheet.need(height) {
            self.head(sheet);
        }
        let (mut x, top) = (MARGIN, sheet.y + PADDING);
        for ((_, width), cell) in self.0.iter().zip(cells) {
            let (left, inside) = (x + PADDING, width - 2.0 * PADDING);
            match cell {
                Cell::Words(style, text) => {
                    sheet.paragraph_at(left, top, inside, *style, text);
                }
                Cell::Twice(one, other) => {
                    let above = sheet.paragraph_at(left, top, inside, one.0, &one.1);
                    sheet.paragraph_at(left, top + above, inside, other.0, &other.1);
                }
                Cell::Outcome(outcome) => label(sheet, left, top, *outcome),
            }
            x += width;
        }
        sheet.y += height;
        sheet.mark(Mark::Rule { x: MARGIN, y: sheet.y, width: MEASURE, weight: 0.5, ink: LINE });
    }
}

/// A heading with a line of its own colour; never alone at the foot of a page.
pub fn heading(sheet: &mut Sheet<'_>, title: &str, below: f32) {
    sheet.need(34.0 + below);
    sheet.mark(Mark::Panel { x: MARGIN, y: sheet.y + 3.0, width: 3.0, height: 14.0, radius: 1.5, ink: ACCENT });
    sheet.line_at(MARGIN + 10.0, sheet.y + 15.0, Style::plain(14.0).strong(), title);
    sheet.y += 24.0;
}

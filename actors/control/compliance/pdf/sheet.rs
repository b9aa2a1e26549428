//! Pages that are filled from top to bottom: what does not fit goes on the next one.
use super::letters::Letters;
use super::marks::{Face, INK, Ink, MARGIN, MEASURE, Mark, PAGE_HEIGHT, Page};

/// Where the text begins on a page.
const TOP: f32 = 56.0;
/// Free space at the foot, with the footer in it.
const FOOT: f32 = 64.0;

/// How letters look.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Style {
    /// In which face.
    pub face: Face,
    /// In points.
    pub size: f32,
    /// From one base line to the next.
    pub leading: f32,
    /// In which colour.
    pub ink: Ink,
}

impl Style {
    /// For reading, in this size.
    #[must_use]
    pub const fn plain(size: f32) -> Self {
        Self { face: Face::Regular, size, leading: size * 1.4, ink: INK }
    }

    /// The same, stronger.
    #[must_use]
    pub const fn strong(self) -> Self {
        Self { face: Face::Strong, ..self }
    }

    /// The same in another colour.
    #[must_use]
    pub const fn ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }
}

/// The pages so far.
pub struct Sheet<'a> {
    /// Measures.
    pub letters: &'a Letters,
    pages: Vec<Page>,
    /// Where the next thing begins.
    pub y: f32,
}

impl<'a> Sheet<'a> {
    /// One empty page.
    #[must_use]
    pub fn new(letters: &'a Letters) -> Self {
        Self { letters, pages: vec![Vec::new()], y: TOP }
    }

    /// All pages.
    #[must_use]
    pub fn into_pages(self) -> Vec<Page> {
        self.pages
    }

    /// Puts something on the present page.
    pub fn mark(&mut self, mark: Mark) {
        if let Some(page) = self.pages.last_mut() {
            page.push(mark);
        }
    }

    /// Begins a new page.
    pub fn turn(&mut self) {
        self.pages.push(Vec::new());
        self.y = TOP;
    }

    /// True where this height is left on the present page.
    #[must_use]
    pub fn has_room(&self, height: f32) -> bool {
        self.y + height <= PAGE_HEIGHT - FOOT
    }

    /// Begins a new page where less than this height is left. True where it did.
    pub fn need(&mut self, height: f32) -> bool {
        let is_full = !self.has_room(height) && self.y > TOP;
        if is_full {
            self.turn();
        }
        is_full
    }

    /// Leaves some space.
    pub fn skip(&mut self, height: f32) {
        self.y += height;
    }

    /// One line at a place, in letters the face has.
    pub fn line_at(&mut self, x: f32, y: f32, style: Style, text: &str) {
        let text = self.letters.known(style.face, text);
        self.mark(Mark::Letters { x, y, face: style.face, size: style.size, ink: style.ink, text });
    }

    /// One line that ends at a place.
    pub fn line_to(&mut self, right: f32, y: f32, style: Style, text: &str) {
        let width = self.letters.width(style.face, style.size, text);
        self.line_at(right - width, y, style, text);
    }

    /// One line around a place.
    pub fn line_amid(&mut self, middle: f32, y: f32, style: Style, text: &str) {
        let width = self.letters.width(style.face, style.size, text);
        self.line_at(middle - width / 2.0, y, style, text);
    }

    /// A paragraph of this width, beginning at the present height; its height.
    pub fn paragraph_at(&mut self, x: f32, y: f32, width: f32, style: Style, text: &str) -> f32 {
        let lines = self.letters.lines(style.face, style.size, text, width);
        let mut base = y + style.size;
        for line in &lines {
            self.line_at(x, base, style, line);
            base += style.leading;
        }
        height_of(&lines, style)
    }

    /// How high a paragraph of this width is.
    #[must_use]
    pub fn height(&self, width: f32, style: Style, text: &str) -> f32 {
        height_of(&self.letters.lines(style.face, style.size, text, width), style)
    }

    /// A paragraph between the margins, line by line over pages.
    pub fn paragraph(&mut self, style: Style, text: &str) {
        for line in self.letters.lines(style.face, style.size, text, MEASURE) {
            self.need(style.leading);
            self.line_at(MARGIN, self.y + style.size, style, &line);
            self.y += style.leading;
        }
    }
}

fn height_of(lines: &[String], style: Style) -> f32 {
    let mut height = 0.0;
    lines.iter().for_each(|_line| height += style.leading);
    height
}

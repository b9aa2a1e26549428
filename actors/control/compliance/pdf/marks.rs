//! What stands on a page, before it is written: letters, boxes, lines and arcs at places in points, from the upper left.
//! Laid out first and written afterwards, because the first page says how many there are.

/// Width of a page (A4), in points.
pub const PAGE_WIDTH: f32 = 595.28;
/// Height of a page, in points.
pub const PAGE_HEIGHT: f32 = 841.89;
/// Free space at the left and right edge.
pub const MARGIN: f32 = 50.0;
/// Width between the margins.
pub const MEASURE: f32 = PAGE_WIDTH - 2.0 * MARGIN;

/// A typeface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Face {
    /// For reading.
    Regular,
    /// For headings and names.
    Strong,
    /// For hashes.
    Mono,
}

/// A colour, red, green and blue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ink(pub u8, pub u8, pub u8);

/// Words.
pub const INK: Ink = Ink(0x1c, 0x25, 0x23);
/// Words that are less important.
pub const QUIET: Ink = Ink(0x66, 0x71, 0x6d);
/// The house's colour.
pub const ACCENT: Ink = Ink(0x1d, 0x5c, 0x50);
/// The house's second colour.
pub const GOLD: Ink = Ink(0xb9, 0x86, 0x2a);
/// Passed.
pub const GOOD: Ink = Ink(0x2c, 0x7a, 0x4b);
/// Failed.
pub const BAD: Ink = Ink(0xa6, 0x32, 0x28);
/// Lines.
pub const LINE: Ink = Ink(0xdd, 0xd8, 0xca);
/// Grounds of panels.
pub const GROUND: Ink = Ink(0xf6, 0xf4, 0xee);
/// Paper.
pub const PAPER: Ink = Ink(0xff, 0xff, 0xff);

/// One thing on a page.
#[derive(Clone, PartialEq, Debug)]
pub enum Mark {
    /// One line of letters, from the left end of its base line.
    Letters {
        /// Left end.
        x: f32,
        /// Base line.
        y: f32,
        /// In which face.
        face: Face,
        /// In points.
        size: f32,
        /// In which colour.
        ink: Ink,
        /// Which letters.
        text: String,
    },
    /// A filled box with rounded corners.
    Panel {
        /// Left.
        x: f32,
        /// Top.
        y: f32,
        /// Width.
        width: f32,
        /// Height.
        height: f32,
        /// Radius of its corners.
        radius: f32,
        /// In which colour.
        ink: Ink,
    },
    /// A level line.
    Rule {
        /// Left end.
        x: f32,
        /// Where it lies.
        y: f32,
        /// How long.
        width: f32,
        /// How thick.
        weight: f32,
        /// In which colour.
        ink: Ink,
    },
    /// A part of a ring, from the top clockwise.
    Arc {
        /// Middle.
        x: f32,
        /// Middle.
        y: f32,
        /// Radius of the middle of the line.
        radius: f32,
        /// How thick.
        weight: f32,
        /// How much of the whole ring, 0 to 1.
        share: f32,
        /// In which colour.
        ink: Ink,
    },
    /// The house's seal.
    Seal {
        /// Left.
        x: f32,
        /// Top.
        y: f32,
        /// Width and height.
        size: f32,
    },
}

/// One page.
pub type Page = Vec<Mark>;

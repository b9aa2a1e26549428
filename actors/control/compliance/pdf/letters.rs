//! The typefaces of the house, which are part of the program: how wide letters are, and where lines break.
use super::marks::Face;
use skrifa::MetadataProvider;
use skrifa::instance::{LocationRef, Size};
use skrifa::raw::{FontRef, ReadError};

/// Inter, under the SIL Open Font License 1.1 (`fonts/LICENSE.md`).
pub const REGULAR: &[u8] = include_bytes!("fonts/Inter-Regular.otf");
/// The same, stronger.
pub const STRONG: &[u8] = include_bytes!("fonts/Inter-SemiBold.otf");
/// JetBrains Mono, under the same licence.
pub const MONO: &[u8] = include_bytes!("fonts/JetBrainsMono-Regular.ttf");

/// What stands for a letter no face has.
const NO_LETTER: char = '?';

/// The bytes of a face.
#[must_use]
pub fn bytes_of(face: Face) -> &'static [u8] {
    match face {
        Face::Regular => REGULAR,
        Face::Strong => STRONG,
        Face::Mono => MONO,
    }
}

/// Measures letters.
pub struct Letters {
    regular: FontRef<'static>,
    strong: FontRef<'static>,
    mono: FontRef<'static>,
}

impl Letters {
    /// The three faces, read.
    ///
    /// # Errors
    /// [`ReadError`], where the program was built with something else in their place.
    pub fn read() -> Result<Self, ReadError> {
        let read = |face| FontRef::new(bytes_of(face));
        Ok(Self { regular: read(Face::Regular)?, strong: read(Face::Strong)?, mono: read(Face::Mono)? })
    }

    fn face(&self, face: Face) -> &FontRef<'static> {
        match face {
            Face::Regular => &self.regular,
            Face::Strong => &self.strong,
            Face::Mono => &self.mono,
        }
    }

    /// A text in letters the face has.
    #[must_use]
    pub fn known(&self, face: Face, text: &str) -> String {
        let charmap = self.face(face).charmap();
        text.chars().map(|letter| if charmap.map(letter).is_some() { letter } else { NO_LETTER }).collect()
    }

    /// How wide a text is, in points.
    #[must_use]
    pub fn width(&self, face: Face, size: f32, text: &str) -> f32 {
        let font = self.face(face);
        let (charmap, metrics) = (font.charmap(), font.glyph_metrics(Size::new(size), LocationRef::default()));
        text.chars().filter_map(|letter| charmap.map(letter)).filter_map(|glyph| metrics.advance_width(glyph)).sum()
    }

    /// A text in lines of at most this width; a word that is wider is broken.
    #[must_use]
    pub fn lines(&self, face: Face, size: f32, text: &str, width: f32) -> Vec<String> {
        let (mut lines, mut line) = (Vec::new(), String::new());
        for word in text.split_whitespace() {
            let with = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if self.width(face, size, &with) <= width {
                line = with;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for letter in word.chars() {
                line.push(letter);
                if self.width(face, size, &line) > width && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, letter.to_string()));
                }
            }
        }
        if !line.is_empty() || lines.is_empty() {
            lines.push(line);
        }
        lines
    }
}

//! Documents of hostile origin to text. Plain text and Markdown are read in this process; formats whose readers are
//! known to panic, recurse or take quadratic time on hostile input (html, pdf, docx) are read in a child process of
//! the same binary under limits of memory and time.
pub mod child;
mod docx;
pub mod format;
mod html;
mod markdown;
mod pdf;
mod text;

#[cfg(test)]
mod tests;

pub use child::{Sandbox, run_child};
pub use format::{Format, detect, safe_name};

use bailiwick_kernel::limits::{DOCUMENT_CHARS_MAX, TITLE_CHARS_MAX};
use serde::{Deserialize, Serialize};

/// The text of a document. Line ends are `\n`; offsets count characters (Unicode scalar values) of `text`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Parsed {
    /// The title the document itself carries, on one line.
    pub title: Option<String>,
    /// Readable text, never blank.
    pub text: String,
    /// First character of each page after the first; empty for formats without pages.
    pub page_starts: Vec<u64>,
}

impl Parsed {
    /// Text that came as text: line ends and limits as for files, without a reader.
    ///
    /// # Errors
    /// [`ParseError`], as for a plain text file.
    pub fn from_text(text: String) -> Result<Self, ParseError> {
        Self::checked(None, text::tidy(text)?, Vec::new())
    }

    /// Checks what every format must keep: not blank, within the limit, a title worth showing.
    fn checked(title: Option<String>, text: String, page_starts: Vec<u64>) -> Result<Self, ParseError> {
        if text.chars().nth(DOCUMENT_CHARS_MAX).is_some() {
            return Err(ParseError::TooLarge {
                what: "text, in characters".to_owned(),
                max: DOCUMENT_CHARS_MAX as u64,
            });
        }
        if text.trim().is_empty() {
            return Err(ParseError::Empty);
        }
        Ok(Self { title: title.as_deref().and_then(one_line), text, page_starts })
    }
}

/// A title on one line, within its limit; `None` where nothing is left.
fn one_line(title: &str) -> Option<String> {
    let words: Vec<&str> =
        title.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line: String = words.join(" ").chars().take(TITLE_CHARS_MAX).collect();
    (!line.is_empty()).then_some(line)
}

/// Why a document gives no text. Each says what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, Serialize, Deserialize)]
pub enum ParseError {
    /// The file's name is empty, too long, hidden behind a path trick or holds control characters.
    #[error("reading a file's name: it is empty, longer than 255 bytes or holds control characters; rename the file")]
    UnsafeName,
    /// No reader for this ending.
    #[error("reading a file: {ending:?} files are not supported; send txt, md, html, pdf or docx")]
    Unsupported {
        /// The ending as sent, shortened.
        ending: String,
    },
    /// The bytes are not what the ending says.
    #[error("reading a file: its name says {named}, its bytes say {found}; give it the right ending")]
    Mismatch {
        /// What the ending promises.
        named: String,
        /// What the first bytes are.
        found: String,
    },
    /// A limit was passed.
    #[error("reading a file: its {what} exceeds {max}; split it")]
    TooLarge {
        /// What is too large, with its unit.
        what: String,
        /// The limit.
        max: u64,
    },
    /// A password would be needed.
    #[error("reading a file: it is encrypted; remove its password and send it again")]
    Encrypted,
    /// The file does not keep its format's rules.
    #[error("reading a file: it is broken ({detail}); export it again from where it came")]
    Broken {
        /// What is wrong.
        detail: String,
    },
    /// The bytes are not UTF-8.
    #[error("reading a file: byte {at} is not UTF-8; save it as UTF-8")]
    NotUtf8 {
        /// First byte that is wrong, counted from 0.
        at: u64,
    },
    /// The text holds a NUL character.
    #[error("reading a file: byte {at} is NUL, so it is not a text file; give it its right ending")]
    Nul {
        /// Where, counted from 0.
        at: u64,
    },
    /// Nothing readable inside.
    #[error("reading a file: no text found; a scan needs text recognition first")]
    Empty,
    /// The reader did not finish.
    #[error("reading a file: not finished after {limit_ms} ms; split it or export it again")]
    TimedOut {
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// The reader died: it panicked, or passed its limit of memory.
    #[error("reading a file: the parser died on it (broken, or needs too much memory); export it again or split it")]
    Crashed,
    /// The reader could not be started.
    #[error("reading a file: the parser could not be started ({detail}); the file was not looked at, try again")]
    Unavailable {
        /// What is wrong.
        detail: String,
    },
}

impl ParseError {
    fn broken(detail: impl std::fmt::Display) -> Self {
        Self::Broken { detail: one_line(&detail.to_string()).unwrap_or_default() }
    }
}

/// Reads bytes of a known format in this process. Only [`Sandbox`] calls it: directly for formats that are safe to
/// read, in the child process for the others.
fn read(format: Format, bytes: &[u8]) -> Result<Parsed, ParseError> {
    match format {
        Format::Text => text::parse(bytes),
        Format::Markdown => markdown::parse(bytes),
        Format::Html => html::parse(bytes),
        Format::Pdf => pdf::parse(bytes),
        Format::Docx => docx::parse(bytes),
    }
}

//! Which format a file has, by its name's ending and its first bytes; both must agree.
use super::ParseError;
use bailiwick_kernel::limits::FILE_NAME_BYTES_MAX;

/// Formats that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Plain text.
    Text,
    /// CommonMark with tables.
    Markdown,
    /// HTML.
    Html,
    /// PDF with a text layer.
    Pdf,
    /// Word, Office Open XML.
    Docx,
}

const LABELS: [(&str, Format); 5] = [
    ("text", Format::Text),
    ("markdown", Format::Markdown),
    ("html", Format::Html),
    ("pdf", Format::Pdf),
    ("docx", Format::Docx),
];

const ENDINGS: [(&str, Format); 8] = [
    ("txt", Format::Text),
    ("text", Format::Text),
    ("md", Format::Markdown),
    ("markdown", Format::Markdown),
    ("html", Format::Html),
    ("htm", Format::Html),
    ("pdf", Format::Pdf),
    ("docx", Format::Docx),
];

/// First bytes of files that are certainly not text.
const MAGICS: [(&[u8], &str); 8] = [
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old or encrypted Office file"),
    (b"\x7FELF", "a program"),
    (b"\x89PNG", "a picture"),
    (b"\xFF\xD8\xFF", "a picture"),
    (b"\x1F\x8B", "gzip"),
    (b"{\\rtf", "rtf"),
];

/// Readers accept a PDF whose header stands within this many bytes (ISO 32000-1, annex H.3.4.1).
const PDF_HEADER_WITHIN_BYTES: usize = 1_024;

impl Format {
    /// The word that names this format on the parser process's command line.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
        }
    }

    /// Reads what [`Format::label`] wrote.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        LABELS.iter().find(|(known, _)| *known == label).map(|(_, format)| *format)
    }

    /// True where the format's reader runs in a process of its own.
    #[must_use]
    pub fn is_sandboxed(self) -> bool {
        matches!(self, Self::Html | Self::Pdf | Self::Docx)
    }
}

/// The last component of a file's name as it was sent, or `None` where nothing may be made of it: no path tricks, no
/// control or text-direction characters (they make a name read as another one), at most 255 bytes.
#[must_use]
pub fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next()?.trim();
    let is_deceptive = |c: char| {
        c.is_control() || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    if last.is_empty()
        || last == "."
        || last == ".."
        || last.len() > FILE_NAME_BYTES_MAX
        || name.chars().any(is_deceptive)
    {
        return None;
    }
    Some(last.to_owned())
}

/// The format of a file by its name's ending, confirmed by its first bytes.
///
/// # Errors
/// [`ParseError::UnsafeName`], [`ParseError::Unsupported`], [`ParseError::Mismatch`]; [`ParseError::Encrypted`] for a
/// password-protected Word file, which is no zip any more.
pub fn detect(name: &str, bytes: &[u8]) -> Result<Format, ParseError> {
    let name = safe_name(name).ok_or(ParseError::UnsafeName)?;
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let format = ENDINGS
        .iter()
        .find(|(known, _)| *known == ending)
        .map(|(_, format)| *format)
        .ok_or_else(|| ParseError::Unsupported { ending: ending.chars().take(16).collect() })?;
    let found = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, what)| *what);
    match format {
        Format::Pdf if has_pdf_header(bytes) => Ok(format),
        Format::Docx if found == Some("zip") => Ok(format),
        Format::Docx if bytes.starts_with(b"\xD0\xCF\x11\xE0") => Err(ParseError::Encrypted),
        Format::Pdf | Format::Docx => Err(mismatch(format, found.unwrap_or("something else"))),
        Format::Text | Format::Markdown | Format::Html => {
            found.map_or(Ok(format), |found| Err(mismatch(format, found)))
        }
    }
}

fn mismatch(format: Format, found: &str) -> ParseError {
    ParseError::Mismatch { named: format.label().to_owned(), found: found.to_owned() }
}

fn has_pdf_header(bytes: &[u8]) -> bool {
    let head = bytes.get(..PDF_HEADER_WITHIN_BYTES).unwrap_or(bytes);
    head.windows(5).any(|window| window == b"%PDF-")
}

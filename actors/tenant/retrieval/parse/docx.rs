//! Word documents to text: a zip of XML, both read within bounds. Runs only in the child process.
use super::{ParseError, Parsed};
use bailiwick_kernel::limits::{ARCHIVE_ENTRIES_MAX, ARCHIVE_ENTRY_BYTES_MAX, DOCUMENT_CHARS_MAX};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use std::io::{BufReader, Cursor, Read};
use zip::ZipArchive;
use zip::result::ZipError;

/// Reads a Word document's body. Deleted, moved-away and hidden text is left out, as Word shows it. The title is the
/// document's property, or its first heading.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(refused)?;
    if archive.len() > ARCHIVE_ENTRIES_MAX {
        return Err(ParseError::TooLarge { what: "archive, in files".to_owned(), max: ARCHIVE_ENTRIES_MAX as u64 });
    }
    let mut body = Body::default();
    read_entry(&mut archive, "word/document.xml", &mut body)?;
    let mut properties = Properties::default();
    match read_entry(&mut archive, "docProps/core.xml", &mut properties) {
        Ok(()) | Err(ParseError::Broken { .. }) => {}
        Err(error) => return Err(error),
    }
    body.end_line();
    let title = [Some(properties.title), body.heading].into_iter().flatten().find(|title| !title.trim().is_empty());
    Parsed::checked(title, body.text.trim_end().to_owned(), Vec::new())
}

fn refused(error: ZipError) -> ParseError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ParseError::Encrypted,
        ZipError::FileNotFound => ParseError::broken("it is a zip without word/document.xml"),
        other => ParseError::broken(other),
    }
}

/// What reads the events of one XML file.
trait Visit {
    fn start(&mut self, name: &[u8], tag: &BytesStart<'_>);
    fn end(&mut self, name: &[u8]);
    fn words(&mut self, words: &str) -> Result<(), ParseError>;
}

/// Streams one XML file of the archive through a visitor; the unpacked size is bounded while it is read, whatever
/// the archive claims. Document types, hence entity bombs and external entities, are refused.
fn read_entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, visitor: &mut impl Visit) -> Result<(), ParseError> {
    let entry = archive.by_name(name).map_err(refused)?;
    let mut reader = Reader::from_reader(BufReader::new(Bounded { inner: entry, left: ARCHIVE_ENTRY_BYTES_MAX }));
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(unreadable)? {
            Event::Start(tag) => visitor.start(tag.local_name().as_ref(), &tag),
            Event::End(tag) => visitor.end(tag.local_name().as_ref()),
            Event::Empty(tag) => {
                visitor.start(tag.local_name().as_ref(), &tag);
                visitor.end(tag.local_name().as_ref());
            }
            Event::Text(words) => visitor.words(&words.decode().map_err(ParseError::broken)?)?,
            Event::CData(words) => visitor.words(&words.decode().map_err(ParseError::broken)?)?,
            Event::GeneralRef(reference) => visitor.words(&resolve(&reference)?)?,
            Event::DocType(_) => return Err(ParseError::broken("it declares a document type, which Word never does")),
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn unreadable(error: quick_xml::Error) -> ParseError {
    match error {
        quick_xml::Error::Io(io) if io.kind() == std::io::ErrorKind::FileTooLarge => {
            ParseError::TooLarge { what: "unpacked content, in bytes".to_owned(), max: ARCHIVE_ENTRY_BYTES_MAX }
        }
        other => ParseError::broken(other),
    }
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, ParseError> {
    if let Some(c) = reference.resolve_char_ref().map_err(ParseError::broken)? {
        return Ok(if c == '\0' { String::new() } else { c.to_string() });
    }
    let name = reference.decode().map_err(ParseError::broken)?;
    let known = resolve_predefined_entity(&name);
    known.map(str::to_owned).ok_or_else(|| ParseError::broken("it uses an entity that XML does not define"))
}

/// A reader that fails, instead of ending, when more than the limit comes out of it.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or(std::io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// `docProps/core.xml`.
#[derive(Default)]
struct Properties {
    title: String,
    in_title: bool,
}

impl Visit for Properties {
    fn start(&mut self, name: &[u8], _tag: &BytesStart<'_>) {
        self.in_title = name == b"title";
    }

    fn end(&mut self, _name: &[u8]) {
        self.in_title = false;
    }

    fn words(&mut self, words: &str) -> Result<(), ParseError> {
        if self.in_title {
            self.title.push_str(words);
        }
        Ok(())
    }
}

/// Elements passed over with everything inside: deleted and moved-away text, field codes, tab stops, and the second
/// copy of what a newer Word shows in another way.
const PASSED_OVER: [&[u8]; 7] = [b"del", b"moveFrom", b"instrText", b"delInstrText", b"delText", b"tabs", b"Fallback"];

/// `word/document.xml`.
#[derive(Default)]
struct Body {
    text: String,
    line: String,
    heading: Option<String>,
    /// Depth below an element that is passed over; 0 outside.
    passing: usize,
    /// Table rows open: inside one, paragraphs join a line.
    rows: usize,
    in_text: bool,
    hidden_run: bool,
    heading_paragraph: bool,
}

impl Body {
    fn end_line(&mut self) {
        let line = self.line.trim_end();
        if !line.is_empty() {
            self.text.push_str(line);
            self.text.push('\n');
        }
        self.line.clear();
    }

    fn end_paragraph(&mut self) {
        if std::mem::take(&mut self.heading_paragraph) && self.heading.is_none() && !self.line.trim().is_empty() {
            self.heading = Some(self.line.clone());
        }
        if self.rows == 0 {
            self.end_line();
        } else if !self.line.is_empty() && !self.line.ends_with([' ', '\t']) {
            self.line.push(' ');
        }
    }
}

impl Visit for Body {
    fn start(&mut self, name: &[u8], tag: &BytesStart<'_>) {
        if self.passing > 0 || PASSED_OVER.contains(&name) {
            self.passing = self.passing.saturating_add(1);
            return;
        }
        match name {
            b"t" => self.in_text = true,
            b"r" => self.hidden_run = false,
            b"vanish" => self.hidden_run = !matches!(value(tag).as_deref(), Some("0" | "false" | "off")),
            b"tab" => self.line.push('\t'),
            b"br" | b"cr" => self.line.push(if self.rows == 0 { '\n' } else { ' ' }),
            b"noBreakHyphen" => self.line.push('-'),
            b"p" if self.rows == 0 => self.end_line(),
            b"pStyle" => {
                let style = value(tag).unwrap_or_default().to_ascii_lowercase();
                self.heading_paragraph = style.starts_with("heading") || style == "title";
            }
            b"tr" => self.rows = self.rows.saturating_add(1),
            _other => {}
        }
    }

    fn end(&mut self, name: &[u8]) {
        if self.passing > 0 {
            self.passing = self.passing.saturating_sub(1);
            return;
        }
        match name {
            b"t" => self.in_text = false,
            b"p" => self.end_paragraph(),
            b"tc" => {
                let end = self.line.trim_end_matches(' ').len();
                self.line.truncate(end);
                self.line.push('\t');
            }
            b"tr" => {
                self.rows = self.rows.saturating_sub(1);
                if self.rows == 0 {
                    self.end_line();
                }
            }
            _other => {}
        }
    }

    fn words(&mut self, words: &str) -> Result<(), ParseError> {
        if !self.in_text || self.hidden_run || self.passing > 0 {
            return Ok(());
        }
        // Four bytes are the longest character: what passes this has certainly too many of them.
        if self.text.len().saturating_add(self.line.len()) > DOCUMENT_CHARS_MAX.saturating_mul(4) {
            return Err(ParseError::TooLarge {
                what: "text, in characters".to_owned(),
                max: DOCUMENT_CHARS_MAX as u64,
            });
        }
        self.line.extend(words.chars().filter(|c| *c != '\0'));
        Ok(())
    }
}

/// The `val` attribute of a property, whatever its prefix.
fn value(tag: &BytesStart<'_>) -> Option<String> {
    let attribute = tag.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == b"val")?;
    std::str::from_utf8(&attribute.value).ok().map(str::to_owned)
}

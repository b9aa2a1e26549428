//! PDF to text, page by page. Runs only in the child process: its reader panics on odd files.
use super::{ParseError, Parsed};
use bailiwick_kernel::limits::DOCUMENT_CHARS_MAX;
use pdf_extract::{ConvertToFmt, Document, MediaBox, Object, OutputDev, OutputError, PlainTextOutput, Transform};
use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

type ArtBox = Option<(f64, f64, f64, f64)>;

/// Reads a PDF with a text layer. A file that opens with the empty password counts as not encrypted.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let mut document = Document::load_mem(bytes).map_err(|error| cannot_load(bytes, &error))?;
    if document.is_encrypted() {
        document.decrypt("").map_err(|_wrong_password| ParseError::Encrypted)?;
    }
    let title = title(&document);
    let mut pages = Pages::new();
    let outcome = pdf_extract::output_doc(&document, &mut pages);
    if pages.buffer.0.borrow().chars > DOCUMENT_CHARS_MAX {
        return Err(ParseError::TooLarge { what: "text, in characters".to_owned(), max: DOCUMENT_CHARS_MAX as u64 });
    }
    outcome.map_err(|error| ParseError::broken(format!("page {}: {error}", pages.finished.len() + 1)))?;
    let (text, page_starts) = join(&pages.finished);
    Parsed::checked(title, text, page_starts)
}

fn cannot_load(bytes: &[u8], error: &pdf_extract::Error) -> ParseError {
    let names_encryption = bytes.windows(8).any(|window| window == b"/Encrypt");
    let is_about_it = matches!(
        error,
        pdf_extract::Error::Decryption(_)
            | pdf_extract::Error::InvalidPassword
            | pdf_extract::Error::UnsupportedSecurityHandler(_)
    );
    if names_encryption && is_about_it { ParseError::Encrypted } else { ParseError::broken(error) }
}

fn title(document: &Document) -> Option<String> {
    let info = document.trailer.get(b"Info").ok()?;
    let info = match info {
        Object::Reference(id) => document.get_object(*id).ok()?,
        direct => direct,
    };
    pdf_extract::decode_text_string(info.as_dict().ok()?.get(b"Title").ok()?).ok()
}

/// Joins pages by newlines and says at which character each page after the first starts.
fn join(pages: &[String]) -> (String, Vec<u64>) {
    let mut text = String::new();
    let mut chars = 0_u64;
    let mut starts = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        let page = page.trim();
        if number > 0 {
            text.push('\n');
            chars += 1;
            starts.push(chars);
        }
        text.push_str(page);
        chars += page.chars().count() as u64;
    }
    (text, starts)
}

/// Collects the text of each page; the reading order and word gaps are the library's.
struct Pages {
    finished: Vec<String>,
    buffer: Buffer,
    page: PlainTextOutput<Buffer>,
}

impl Pages {
    fn new() -> Self {
        let buffer = Buffer::default();
        Self { finished: Vec::new(), page: PlainTextOutput::new(buffer.clone()), buffer }
    }
}

/// Where the library writes one page to; refuses when the whole document passes its limit.
#[derive(Clone, Default)]
struct Buffer(Rc<RefCell<Written>>);

#[derive(Default)]
struct Written {
    page: String,
    chars: usize,
}

impl ConvertToFmt for Buffer {
    type Writer = Self;

    fn convert(self) -> Self {
        self
    }
}

impl Write for Buffer {
    fn write_str(&mut self, words: &str) -> std::fmt::Result {
        let mut written = self.0.borrow_mut();
        written.chars = written.chars.saturating_add(words.chars().count());
        if written.chars > DOCUMENT_CHARS_MAX {
            return Err(std::fmt::Error);
        }
        // Fonts without a Unicode table yield control characters: no reader sees them, no search should.
        written.page.extend(words.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')));
        Ok(())
    }
}

impl OutputDev for Pages {
    fn begin_page(&mut self, number: u32, media_box: &MediaBox, art_box: ArtBox) -> Result<(), OutputError> {
        self.page = PlainTextOutput::new(self.buffer.clone());
        self.page.begin_page(number, media_box, art_box)
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        self.finished.push(std::mem::take(&mut self.buffer.0.borrow_mut().page));
        self.page.end_page()
    }

    fn output_character(
        &mut self,
        transform: &Transform,
        width: f64,
        spacing: f64,
        font_size: f64,
        words: &str,
    ) -> Result<(), OutputError> {
        self.page.output_character(transform, width, spacing, font_size, words)
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.page.begin_word()
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        self.page.end_word()
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        self.page.end_line()
    }
}

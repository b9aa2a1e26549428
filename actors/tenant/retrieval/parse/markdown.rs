//! Markdown to readable text: what a reader of the rendered page sees, code kept, link targets and raw tags dropped.
use super::{ParseError, Parsed, text};
use pulldown_cmark::{Event, MetadataBlockKind, Options, Parser, Tag, TagEnd};

/// Reads CommonMark with tables and front matter. The first heading is the title, or the front matter's `title:`.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let source = text::decode(bytes)?;
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut page = Page::default();
    for event in Parser::new_ext(&source, options) {
        page.take(event);
    }
    let text = page.text.trim_end().to_owned();
    Parsed::checked(page.title.or(page.front_title), text, Vec::new())
}

#[derive(Default)]
struct Page {
    text: String,
    title: Option<String>,
    front_title: Option<String>,
    /// Byte at which the heading being read starts.
    heading_start: Option<usize>,
    in_metadata: bool,
    raw_html: Option<String>,
    /// Next number of each open list; `None` for bullets.
    numbers: Vec<Option<u64>>,
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.open(tag),
            Event::End(tag) => self.close(tag),
            Event::Text(words) if self.in_metadata => self.read_metadata(&words),
            Event::Text(words) | Event::Code(words) => self.text.push_str(&words),
            Event::InlineMath(words) | Event::DisplayMath(words) => self.text.push_str(&words),
            Event::Html(raw) => match &mut self.raw_html {
                Some(block) => block.push_str(&raw),
                None => self.text.push_str(&without_tags(&raw)),
            },
            Event::InlineHtml(_) => {}
            Event::FootnoteReference(label) => {
                self.text.push('[');
                self.text.push_str(&label);
                self.text.push(']');
            }
            Event::SoftBreak | Event::HardBreak => self.text.push('\n'),
            Event::Rule => self.blank_line(),
            Event::TaskListMarker(done) => self.text.push_str(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn open(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Heading { .. } => {
                self.blank_line();
                self.heading_start = Some(self.text.len());
            }
            Tag::List(first) => {
                if self.numbers.is_empty() {
                    self.blank_line();
                }
                self.numbers.push(first);
            }
            Tag::Item => self.open_item(),
            Tag::HtmlBlock => {
                self.blank_line();
                self.raw_html = Some(String::new());
            }
            Tag::MetadataBlock(MetadataBlockKind::YamlStyle | MetadataBlockKind::PlusesStyle) => {
                self.in_metadata = true
            }
            Tag::TableHead | Tag::TableRow => self.line(),
            Tag::Paragraph | Tag::BlockQuote(_) | Tag::CodeBlock(_) | Tag::Table(_) if self.numbers.is_empty() => {
                self.blank_line();
            }
            Tag::CodeBlock(_) | Tag::Table(_) => self.line(),
            Tag::FootnoteDefinition(label) => {
                self.blank_line();
                self.text.push_str(&format!("[{label}] "));
            }
            _inline => {}
        }
    }

    fn open_item(&mut self) {
        self.line();
        let depth = self.numbers.len().saturating_sub(1).min(8);
        self.text.push_str(&"  ".repeat(depth));
        match self.numbers.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                self.text.push_str(&marker);
            }
            _bullet => self.text.push_str("- "),
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                if let Some(heading) = self.heading_start.take().and_then(|start| self.text.get(start..))
                    && self.title.is_none()
                {
                    self.title = Some(heading.to_owned()).filter(|heading| !heading.trim().is_empty());
                }
                self.blank_line();
            }
            TagEnd::List(_) => {
                self.numbers.pop();
                if self.numbers.is_empty() {
                    self.blank_line();
                }
            }
            TagEnd::HtmlBlock => {
                let block = self.raw_html.take().unwrap_or_default();
                self.text.push_str(without_tags(&block).trim());
                self.blank_line();
            }
            TagEnd::MetadataBlock(_) => self.in_metadata = false,
            TagEnd::TableCell => self.text.push('\t'),
            TagEnd::Paragraph | TagEnd::CodeBlock | TagEnd::BlockQuote(_) | TagEnd::Table => {
                if self.numbers.is_empty() { self.blank_line() } else { self.line() }
            }
            _other => {}
        }
    }

    fn read_metadata(&mut self, lines: &str) {
        for line in lines.lines() {
            if let Some(title) = line.strip_prefix("title:") {
                self.front_title = Some(title.trim().trim_matches(['"', '\'']).to_owned());
            }
        }
    }

    /// Ends the line being written, if one is.
    fn line(&mut self) {
        let end = self.text.trim_end_matches([' ', '\t']).len();
        self.text.truncate(end);
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    fn blank_line(&mut self) {
        self.line();
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }
}

/// Raw HTML inside Markdown without its tags. Scripts, styles and comments vanish with their content. Deliberately
/// not the HTML reader: that one is only trusted inside the child process.
fn without_tags(raw: &str) -> String {
    let head = raw.trim_start();
    let hidden = ["<script", "<style", "<template", "<!--", "<?", "<![CDATA["];
    if hidden.iter().any(|tag| head.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))) {
        return String::new();
    }
    let mut text = String::with_capacity(raw.len());
    let mut inside = false;
    for c in raw.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            other if !inside => text.push(other),
            _of_a_tag => {}
        }
    }
    text
}

//! HTML to visible text, from the tokens of the browser engine's tokenizer.
//!
//! No tree is built. A tree of hostile nesting is as deep as the file is long, and the standard's repair of
//! formatting elements makes it quadratic in nodes; tokens take memory in proportion to the file and need no stack.
//! One kind of hidden element at a time is followed by counting its own name, which is all that visibility needs.
use super::{ParseError, Parsed, text};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};
use std::cell::RefCell;

/// Elements whose content is not the document's text: code, navigation, pictures and form controls.
const HIDDEN: [&str; 16] = [
    "script", "style", "template", "noscript", "nav", "svg", "iframe", "object", "canvas", "audio", "video", "select",
    "datalist", "textarea", "button", "noembed",
];
/// Elements set off by an empty line.
const PARAGRAPHS: [&str; 18] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "blockquote",
    "table",
    "ul",
    "ol",
    "dl",
    "section",
    "article",
    "hr",
    "figure",
    "main",
];
/// Elements that stand on a line of their own.
const LINES: [&str; 16] = [
    "div",
    "li",
    "tr",
    "dt",
    "dd",
    "br",
    "address",
    "header",
    "footer",
    "aside",
    "figcaption",
    "caption",
    "details",
    "summary",
    "form",
    "fieldset",
];
/// Elements without an end tag: they hide nothing.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Reads HTML. The title is the `<title>`, or the first `<h1>`.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ParseError> {
    let source = text::decode(bytes)?;
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from(source));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Page::default())), TokenizerOpts::default());
    // Only a sink that asks for a script to be run or an encoding to be changed pauses the tokenizer; this one never
    // does, so one call takes everything.
    let _finished = tokenizer.feed(&queue);
    tokenizer.end();
    let page = tokenizer.sink.0.into_inner();
    let title = [page.title, page.heading].into_iter().find(|title| !title.trim().is_empty());
    Parsed::checked(title, page.text.trim_end().to_owned(), Vec::new())
}

struct Sink(RefCell<Page>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) => return page.tag(&tag),
            Token::CharacterTokens(words) => page.words(&words),
            _without_text => {}
        }
        TokenSinkResult::Continue
    }
}

/// The hidden element being passed over: its name and how many of that name are open.
struct Hidden {
    name: String,
    open: usize,
}

#[derive(Default)]
struct Page {
    text: String,
    title: String,
    heading: String,
    hidden: Option<Hidden>,
    in_title: bool,
    in_heading: bool,
    preformatted: usize,
}

impl Page {
    fn tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name: &str = &tag.name;
        match tag.kind {
            TagKind::StartTag => self.start(name, tag),
            TagKind::EndTag => self.end(name),
        }
        let inside_svg = self.hidden.as_ref().is_some_and(|hidden| hidden.name == "svg");
        if tag.kind == TagKind::EndTag || (inside_svg && tag.self_closing) {
            return TokenSinkResult::Continue;
        }
        match name {
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => TokenSinkResult::RawData(RawKind::Rawtext),
            "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
            "title" if !inside_svg => TokenSinkResult::RawData(RawKind::Rcdata),
            "plaintext" => TokenSinkResult::Plaintext,
            _other => TokenSinkResult::Continue,
        }
    }

    fn start(&mut self, name: &str, tag: &Tag) {
        if let Some(hidden) = &mut self.hidden {
            // A paragraph ends where the next block starts, tag or no tag.
            let ended = hidden.name == "p" && (PARAGRAPHS.contains(&name) || name == "div");
            if !ended {
                hidden.open += usize::from(hidden.name == name);
                return;
            }
            self.hidden = None;
        }
        if !VOID.contains(&name) && (HIDDEN.contains(&name) || is_concealed(tag)) {
            self.hidden = Some(Hidden { name: name.to_owned(), open: 1 });
            return;
        }
        match name {
            "title" => self.in_title = true,
            "h1" if self.heading.is_empty() => self.in_heading = true,
            "pre" => self.preformatted = self.preformatted.saturating_add(1),
            _other => {}
        }
        self.separate(name);
    }

    fn end(&mut self, name: &str) {
        if let Some(hidden) = &mut self.hidden {
            if hidden.name == name {
                hidden.open = hidden.open.saturating_sub(1);
                if hidden.open == 0 {
                    self.hidden = None;
                }
            }
            return;
        }
        match name {
            "title" => self.in_title = false,
            "h1" => self.in_heading = false,
            "pre" => self.preformatted = self.preformatted.saturating_sub(1),
            "td" | "th" => {
                self.drop_blanks();
                self.text.push('\t');
            }
            _other => {}
        }
        self.separate(name);
    }

    fn separate(&mut self, name: &str) {
        let breaks = if PARAGRAPHS.contains(&name) { "\n\n" } else { "\n" };
        if breaks == "\n" && !LINES.contains(&name) {
            return;
        }
        self.drop_blanks();
        while !self.text.is_empty() && !self.text.ends_with(breaks) {
            self.text.push('\n');
        }
    }

    fn drop_blanks(&mut self) {
        let end = self.text.trim_end_matches([' ', '\t']).len();
        self.text.truncate(end);
    }

    fn words(&mut self, words: &str) {
        if self.hidden.is_some() {
            return;
        }
        if self.in_title {
            self.title.push_str(words);
            return;
        }
        if self.in_heading {
            self.heading.push_str(words);
        }
        if self.preformatted > 0 {
            self.text.push_str(words);
            return;
        }
        for c in words.chars() {
            if !c.is_whitespace() {
                self.text.push(c);
            } else if !self.text.is_empty() && !self.text.ends_with([' ', '\t', '\n']) {
                self.text.push(' ');
            }
        }
    }
}

/// True where the author hides an element from readers: text nobody sees must not be evidence for an answer.
fn is_concealed(tag: &Tag) -> bool {
    tag.attrs.iter().any(|attribute| {
        let value: &str = &attribute.value;
        match &*attribute.name.local {
            "hidden" => true,
            "aria-hidden" => value.eq_ignore_ascii_case("true"),
            "role" => value.eq_ignore_ascii_case("navigation"),
            "style" => {
                let style: String = value.chars().take(1_000).filter(|c| !c.is_whitespace()).collect();
                let style = style.to_ascii_lowercase();
                style.contains("display:none") || style.contains("visibility:hidden")
            }
            _other => false,
        }
    })
}

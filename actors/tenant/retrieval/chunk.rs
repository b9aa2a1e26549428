//! Cuts a document's text into pieces for retrieval, with exact character offsets. Pure.
use bailiwick_kernel::limits::CHUNK_CHARS_MAX;
use text_splitter::{ChunkConfig, TextSplitter};

/// Characters the splitter sees at a time. It looks through all that is left for every piece it cuts, so the text is
/// given to it window by window: time stays linear in the document.
const WINDOW_CHARS: usize = CHUNK_CHARS_MAX * 4;

/// One piece of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// First character in the document's text.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// The characters `start..end`; neither end is white space.
    pub text: String,
    /// Page, counted from 1, where the document has pages.
    pub page: Option<u32>,
}

/// Cuts a text into pieces of at most [`CHUNK_CHARS_MAX`] characters, at the strongest boundary that fits (paragraph,
/// line, sentence, word). Everything but white space between pieces is covered, nothing twice. A text that fits stays
/// whole. No piece spans two pages, so that a citation's page is always the right one.
///
/// `page_starts` are the first characters of each page after the first; empty for a document without pages.
#[must_use]
pub fn chunk(parsed_text: &str, page_starts: &[u64]) -> Vec<Piece> {
    let splitter = TextSplitter::new(ChunkConfig::new(CHUNK_CHARS_MAX).with_trim(false));
    let mut pieces = Vec::new();
    let mut rest = parsed_text;
    let mut start = 0;
    let ends = page_starts.iter().map(|end| usize::try_from(*end).unwrap_or(usize::MAX)).chain([usize::MAX]);
    for (number, end) in (1_u32..).zip(ends) {
        let (page, after) = split_at_char(rest, end.saturating_sub(start));
        let page_number = (!page_starts.is_empty()).then_some(number);
        cut_page(&splitter, page, start, page_number, &mut pieces);
        start += page.chars().count();
        rest = after;
    }
    pieces
}

fn cut_page(
    splitter: &TextSplitter<text_splitter::Characters>,
    page: &str,
    mut start: usize,
    number: Option<u32>,
    pieces: &mut Vec<Piece>,
) {
    let mut rest = page;
    while !rest.is_empty() {
        let (window, after) = split_at_char(rest, WINDOW_CHARS);
        // The commonest page by far fits: it needs no search for boundaries.
        if after.is_empty() && split_at_char(window, CHUNK_CHARS_MAX).1.is_empty() {
            push_trimmed(window, start, number, pieces);
            return;
        }
        let parts: Vec<&str> = splitter.chunks(window).collect();
        // The last piece ends where the window does, not where the text wants it: it is cut again in the next one.
        let whole = if after.is_empty() { parts.len() } else { parts.len().saturating_sub(1).max(1) };
        let mut taken = 0;
        for part in parts.into_iter().take(whole) {
            push_trimmed(part, start, number, pieces);
            start += part.chars().count();
            taken += part.len();
        }
        rest = rest.get(taken.max(1)..).unwrap_or_default();
    }
}

fn push_trimmed(part: &str, start: usize, page: Option<u32>, pieces: &mut Vec<Piece>) {
    let leading = part.len() - part.trim_start().len();
    let leading = part.get(..leading).map_or(0, |blanks| blanks.chars().count());
    let text = part.trim();
    if !text.is_empty() {
        let first = start + leading;
        pieces.push(Piece { start: first, end: first + text.chars().count(), text: text.to_owned(), page });
    }
}

/// Splits after the given number of characters, or at the end.
fn split_at_char(text: &str, chars: usize) -> (&str, &str) {
    let at = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    text.split_at_checked(at).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_exact(text: &str, page_starts: &[u64]) {
        let pieces = chunk(text, page_starts);
        let characters: Vec<char> = text.chars().collect();
        let mut covered = 0;
        for piece in &pieces {
            assert!(piece.start >= covered, "pieces overlap at {}", piece.start);
            assert!(
                characters[covered..piece.start].iter().all(|c| c.is_whitespace()),
                "lost {covered}..{}",
                piece.start
            );
            assert_eq!(characters[piece.start..piece.end].iter().collect::<String>(), piece.text);
            assert!(piece.end > piece.start && piece.end - piece.start <= CHUNK_CHARS_MAX);
            let page = page_starts.iter().filter(|start| **start <= piece.start as u64).count() as u32 + 1;
            assert_eq!(piece.page, (!page_starts.is_empty()).then_some(page));
            let spanned = page_starts.iter().any(|at| *at > piece.start as u64 && *at < piece.end as u64);
            assert!(!spanned, "{}..{} spans two pages", piece.start, piece.end);
            covered = piece.end;
        }
        assert!(characters[covered..].iter().all(|c| c.is_whitespace()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn offsets_are_exact_for_any_unicode(
            parts in proptest::collection::vec(("\\PC{0,400}|[\\s\\S]{0,200}|[a-zä ]{0,900}", "\n|\n\n| |"), 0..60),
            pages in proptest::collection::vec(0_u64..9_000, 0..5),
        ) {
            let text: String = parts.iter().flat_map(|(words, gap)| [words.as_str(), gap]).collect();
            assert_exact(&text, &[]);
            let mut pages = pages;
            pages.sort_unstable();
            pages.dedup();
            pages.retain(|start| *start > 0);
            assert_exact(&text, &pages);
        }
    }

    #[test]
    fn a_text_that_fits_stays_whole() {
        let sentence = "A randomised trial found no difference.\n";
        let abstract_of_2000: String = sentence.chars().cycle().take(CHUNK_CHARS_MAX - 1).chain(['.']).collect();
        let pieces = chunk(&abstract_of_2000, &[]);
        assert_eq!(pieces, [Piece { start: 0, end: CHUNK_CHARS_MAX, text: abstract_of_2000, page: None }]);
        let one_more: String = sentence.chars().cycle().take(CHUNK_CHARS_MAX).chain(['.']).collect();
        assert_eq!(chunk(&one_more, &[]).len(), 2);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert_eq!(chunk("", &[]), []);
        assert_eq!(chunk(" \n\t ", &[1]), []);
    }

    #[test]
    fn a_cut_prefers_the_end_of_a_paragraph() {
        let paragraph = format!("{}\n\n", "word ".repeat(300).trim_end());
        let pieces = chunk(&paragraph.repeat(40), &[]);
        assert_eq!(pieces.len(), 40);
        assert!(pieces.iter().all(|piece| piece.text == paragraph.trim_end()));
    }

    #[test]
    fn pages_that_lie_beyond_the_text_or_go_backwards_do_no_harm() {
        for starts in [vec![500], vec![3, 2, 1], vec![0], vec![u64::MAX, 1]] {
            let pieces = chunk("ähm, so what", &starts);
            let all: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            assert_eq!(all.replace(' ', ""), "ähm,sowhat");
        }
    }

    #[test]
    fn texts_larger_than_a_window_stay_exact() {
        assert_exact(&"Über Größen spricht man nicht. 我们 do.\n".repeat(2_000), &[1_000, 30_000, 60_000]);
        assert_exact(&"x".repeat(WINDOW_CHARS * 3 + 17), &[]);
        assert_exact(&"a\u{301}".repeat(WINDOW_CHARS), &[]);
    }
}

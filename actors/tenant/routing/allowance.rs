//! How much of an answer may be told: no more tokens than were held for, whatever its provider sends. Counted while words are
//! still coming, and cheaply: as long as there are fewer bytes than tokens held nothing is counted, and from there on each
//! word about once. Blanks counted apart may count for less than together: each piece counts for a few more, and near the end all is counted anew.
use super::output;
use super::tokens;
use crate::budget::hold::Candidate;
use crate::catalog::EXTRACTIVE;
use crate::turn::DraftContent;
use serde_json::Value;

/// Bytes of a last word that may still go on; a longer one is counted as it stands.
const LAST_WORD_BYTES_MAX: usize = 512;

/// What a piece counts for beyond its own tokens: what lies across its edges may be more tokens than on both sides.
const EDGE_TOKENS: u64 = 4;

/// The tokens held for an answer, and how many of its words were counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Allowance {
    tokens_max: u64,
    answers: u32,
    /// Tokens of what was counted …
    counted: u64,
    /// … and its bytes.
    counted_bytes: usize,
}

impl Allowance {
    /// The tokens held for a candidate's answers. `None` where the answer is made here: it has a bound where it is made.
    pub(super) fn of(candidate: &Candidate) -> Option<Self> {
        let tokens_max = u64::from(candidate.route.max_tokens).saturating_mul(u64::from(candidate.answers));
        let allowance = Self { tokens_max, answers: candidate.answers, counted: 0, counted_bytes: 0 };
        (candidate.route.provider != EXTRACTIVE).then_some(allowance)
    }

    /// The tokens held for.
    pub(super) fn tokens_max(&self) -> u64 {
        self.tokens_max
    }

    /// Where a text that grows with every call has to end, in bytes; nothing while all of it is within.
    pub(super) async fn end_of(&mut self, heard: &str) -> Option<usize> {
        if self.is_surely_within(heard) {
            return None;
        }
        let rest = heard.get(self.counted_bytes..).unwrap_or_default();
        let (words, last) = rest.split_at(whole_words(rest));
        let own = tokens::count_where_it_fits(words).await;
        let of_words = self.counted.saturating_add(own).saturating_add(EDGE_TOKENS);
        if of_words <= self.tokens_max {
            (self.counted, self.counted_bytes) = (of_words, self.counted_bytes.saturating_add(words.len()));
            if self.is_surely_within(heard)
                || self.counted.saturating_add(tokens::count(last)).saturating_add(EDGE_TOKENS) <= self.tokens_max
            {
                return None;
            }
        }
        // what was counted in pieces is counted a little high: nothing is cut for that
        let whole = tokens::count_where_it_fits(heard).await;
        if whole <= self.tokens_max {
            (self.counted, self.counted_bytes) = (whole, heard.len());
            return None;
        }
        Some(tokens::end_of_where_it_fits(heard, self.tokens_max).await)
    }

    /// No vocabulary makes more tokens of a text than it has bytes.
    fn is_surely_within(&self, heard: &str) -> bool {
        let uncounted = u64::try_from(heard.len().saturating_sub(self.counted_bytes)).unwrap_or(u64::MAX);
        self.counted.saturating_add(uncounted) <= self.tokens_max
    }

    /// A chunk with the first so many bytes of its words, after which every answer has ended.
    pub(super) fn last_chunk(&self, chunk: Value, bytes_max: usize) -> Value {
        output::ended(chunk, "delta", bytes_max, self.answers)
    }

    /// A whole answer that used so many tokens, as far as it is within; `true` where it is cut.
    pub(super) async fn within(&self, content: DraftContent, used: u64) -> (DraftContent, bool) {
        if used <= self.tokens_max {
            return (content, false);
        }
        match content {
            DraftContent::Grounded { mut text, spans } => {
                let end = tokens::end_of_where_it_fits(&text, self.tokens_max).await;
                let is_cut = end < text.len();
                text.truncate(end);
                (DraftContent::Grounded { text, spans }, is_cut)
            }
            DraftContent::Completion(body) => {
                let mut words = String::new();
                output::collect_words(&body, "message", &mut words);
                let end = tokens::end_of_where_it_fits(&words, self.tokens_max).await;
                if end == words.len() {
                    return (DraftContent::Completion(body), false);
                }
                (DraftContent::Completion(output::ended(body, "message", end, 0)), true)
            }
            DraftContent::Abstained { reason } => (DraftContent::Abstained { reason }, false),
        }
    }
}

/// Where the last word begins, with the blanks before it; the text's end where that is too long to wait for.
fn whole_words(text: &str) -> usize {
    let is_blank = |letter: char| matches!(letter, ' ' | '\n');
    let end = text.trim_end_matches(|letter| !is_blank(letter)).trim_end_matches(is_blank).len();
    if text.len().saturating_sub(end) > LAST_WORD_BYTES_MAX { text.len() } else { end }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::candidate;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn allowance(tokens_max: u32) -> Allowance {
        let mut candidate = candidate("primary", false);
        candidate.route.max_tokens = tokens_max;
        Allowance::of(&candidate).unwrap()
    }

    /// Where a text ends that comes in such pieces, and how many bytes were counted on the way.
    fn ends(text: &str, piece_chars: usize, tokens_max: u32) -> Option<usize> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut allowance, mut heard) = (allowance(tokens_max), String::new());
            let letters: Vec<char> = text.chars().collect();
            for piece in letters.chunks(piece_chars) {
                heard.extend(piece);
                if let Some(end) = allowance.end_of(&heard).await {
                    return Some(end);
                }
            }
            None
        })
    }

    #[test]
    fn what_is_made_here_is_not_cut_and_every_answer_asked_for_has_its_tokens() {
        assert_eq!(Allowance::of(&candidate(EXTRACTIVE, false)), None);
        let three = Candidate { answers: 3, ..candidate("primary", false) };
        assert_eq!(Allowance::of(&three).unwrap().tokens_max(), 300);
    }

    #[test]
    fn nothing_is_counted_while_it_cannot_be_too_much() {
        let mut allowance = allowance(1_000);
        let heard = "word ".repeat(200);
        assert!(allowance.is_surely_within(&heard));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(allowance.end_of(&heard)), None);
        assert_eq!((allowance.counted, allowance.counted_bytes), (0, 0));
        let heard = "word ".repeat(201);
        assert_eq!(runtime.block_on(allowance.end_of(&heard)), None);
        assert!(allowance.counted > 190 && allowance.counted_bytes > 900, "{allowance:?}");
    }

    #[test]
    fn a_stream_without_end_ends_where_the_tokens_do() {
        for text in ["lorem ipsum dolor sit amet ".repeat(2_000), "x".repeat(40_000), "größer 🦀\n\n".repeat(900)] {
            for piece_chars in [1, 7, 5_000] {
                let end = ends(&text, piece_chars, 64).unwrap();
                assert!(tokens::count(&text[..end]) <= 64);
                assert!(end >= 64, "no token has less than a byte");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_within_is_never_cut_however_it_comes(text in "[a-c \\n{}é]{0,600}", piece_chars in 1_usize..40, spare in 0_u32..3) {
            let tokens = u32::try_from(tokens::count(&text)).unwrap();
            prop_assert_eq!(ends(&text, piece_chars, tokens + spare), None);
            if let Some(fewer) = tokens.checked_sub(1 + spare) {
                let end = ends(&text, piece_chars, fewer);
                prop_assert!(end.is_some_and(|end| tokens::count(&text[..end]) <= u64::from(fewer)), "{:?}", end);
            }
        }
    }

    #[tokio::test]
    async fn a_whole_answer_is_cut_where_more_was_used_than_held() {
        let body = |content: &str| json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]});
        let (text, held) = ("lorem ipsum ".repeat(100), allowance(20));
        let (kept, is_cut) = held.within(DraftContent::Completion(body(&text)), 20).await;
        assert_eq!(
            (kept, is_cut),
            (DraftContent::Completion(body(&text)), false),
            "a provider's own count is believed"
        );
        let (DraftContent::Completion(cut), true) = held.within(DraftContent::Completion(body(&text)), 21).await else {
            panic!("told whole")
        };
        let told = cut["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(text.starts_with(told) && tokens::count(told) == 20, "{told}");
        assert_eq!(cut["choices"][0]["finish_reason"], "length");
        let grounded = DraftContent::Grounded { text: text.clone(), spans: Vec::new() };
        let (DraftContent::Grounded { text: told, .. }, true) = held.within(grounded, 300).await else {
            panic!("told whole")
        };
        assert_eq!(tokens::count(&told), 20);
        let (kept, is_cut) = held.within(DraftContent::Completion(body("Yes.")), 5_000).await;
        assert_eq!(
            (kept, is_cut),
            (DraftContent::Completion(body("Yes.")), false),
            "what it thought to itself is not told"
        );
    }
}

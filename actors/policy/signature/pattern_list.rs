//! Pattern lists as ssh_config(5) PATTERNS has them: who a line means, and what its key may sign.

/// Patterns between commas; `*` stands for any bytes, `?` for one, `!` before a pattern takes back what it matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PatternList {
    patterns: Vec<Pattern>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Pattern {
    is_negated: bool,
    text: String,
}

impl PatternList {
    /// Reads a list. Stricter than ssh: what could match nothing or an empty name is refused instead of kept.
    ///
    /// # Errors
    /// Byte offset and problem of the first pattern that is none.
    pub(super) fn parse(list: &str) -> Result<Self, (usize, String)> {
        let mut patterns = Vec::new();
        let mut at = 0;
        for written in list.split(',') {
            let (is_negated, text) = written.strip_prefix('!').map_or((false, written), |text| (true, text));
            if text.is_empty() {
                return Err((at, "a name is missing between the commas: write it or remove the comma".into()));
            }
            if text.trim() != text {
                return Err((at, format!("{written:?} has a blank at its end, which would count: remove it")));
            }
            patterns.push(Pattern { is_negated, text: text.to_owned() });
            at += written.len() + 1;
        }
        if patterns.iter().all(|pattern| pattern.is_negated) {
            return Err((0, format!("{list:?} only says what is not meant: add what is, such as * for the rest")));
        }
        Ok(Self { patterns })
    }

    /// True where a pattern matches the word and none with `!` before it does.
    pub(super) fn admits(&self, word: &str) -> bool {
        let matching = || self.patterns.iter().filter(|pattern| matches(&pattern.text, word));
        matching().all(|pattern| !pattern.is_negated) && matching().next().is_some()
    }

    /// The first pattern that says what is meant, by which a line is called.
    pub(super) fn first(&self) -> &str {
        self.patterns.iter().find(|pattern| !pattern.is_negated).map_or("", |pattern| pattern.text.as_str())
    }
}

/// Over bytes, as ssh does. Only the last star is ever taken back: what an earlier one could still give up, the last
/// one can take, so that hostile patterns cost at most the product of both lengths.
fn matches(pattern: &str, word: &str) -> bool {
    let (pattern, word) = (pattern.as_bytes(), word.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(byte) = word.get(seen) {
        match (pattern.get(at), last_star) {
            (Some(b'*'), _) => {
                last_star = Some((at, seen));
                at += 1;
            }
            (Some(expected), _) if *expected == b'?' || expected == byte => {
                at += 1;
                seen += 1;
            }
            (_, Some((star, taken))) => {
                last_star = Some((star, taken + 1));
                at = star + 1;
                seen = taken + 1;
            }
            (_, None) => return false,
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == b'*')
}

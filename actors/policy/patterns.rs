//! Forbidden patterns: linear-time regular expressions over what a reader sees.
use bailiwick_kernel::limits::FORBIDDEN_PATTERNS_MAX;
use regex::{Regex, RegexSet};
use std::borrow::Cow;

/// Compiles a list of patterns.
///
/// # Errors
/// Index and problem of every pattern that does not compile or matches every text; index `None` for the whole list.
pub fn compile(patterns: &[String]) -> Result<RegexSet, Vec<(Option<usize>, String)>> {
    if patterns.len() > FORBIDDEN_PATTERNS_MAX {
        return Err(vec![(
            None,
            format!("{} patterns are more than {FORBIDDEN_PATTERNS_MAX}: join some of them", patterns.len()),
        )]);
    }
    let problems: Vec<_> =
        patterns.iter().enumerate().filter_map(|(index, pattern)| Some((Some(index), problem(pattern)?))).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    RegexSet::new(patterns)
        .map_err(|error| vec![(None, format!("the patterns do not compile together: {}", one_line(&error)))])
}

fn problem(pattern: &str) -> Option<String> {
    match Regex::new(pattern) {
        Err(error) => Some(format!("pattern {pattern:?} does not compile: {}", one_line(&error))),
        Ok(regex) if regex.is_match("") => {
            Some(format!("pattern {pattern:?} matches every text: make it match at least one character"))
        }
        Ok(_) => None,
    }
}

/// The last line of a pattern error says what is wrong; the lines before draw the pattern.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// Index of the first pattern that matches the text as it stands or as a reader sees it.
#[must_use]
pub fn first_match(patterns: &RegexSet, text: &str) -> Option<usize> {
    let first = |text: &str| patterns.matches(text).iter().next();
    first(text).or_else(|| match visible(text) {
        Cow::Owned(seen) => first(&seen),
        Cow::Borrowed(_) => None,
    })
}

/// The text without characters no reader sees: otherwise a soft hyphen in a forbidden phrase would let it pass.
fn visible(text: &str) -> Cow<'_, str> {
    if text.contains(is_invisible) { Cow::Owned(text.replace(is_invisible, "")) } else { Cow::Borrowed(text) }
}

pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(patterns: &[&str]) -> RegexSet {
        compile(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_first_pattern_that_matches_is_named() {
        let patterns = set(&[r"\bone\b", "two"]);
        assert_eq!(first_match(&patterns, "two and one"), Some(0));
        assert_eq!(first_match(&patterns, "two and once"), Some(1));
        assert_eq!(first_match(&patterns, "three"), None);
        assert_eq!(first_match(&set(&[]), "anything"), None);
    }

    #[test]
    fn invisible_characters_hide_nothing() {
        let patterns = set(&[r"(?i)ignore all previous instructions"]);
        assert_eq!(first_match(&patterns, "Ig\u{ad}nore all\u{200b} previous in\u{2060}structions\u{feff}"), Some(0));
    }

    #[test]
    fn every_bad_pattern_is_named() {
        let bad = ["fine".to_owned(), "(open".to_owned(), "a*".to_owned(), r"(a)\1".to_owned()];
        let problems = compile(&bad).unwrap_err();
        assert_eq!(problems.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
        assert!(problems[0].1.contains("(open") && problems[0].1.contains("unclosed group"), "{problems:?}");
        assert!(problems[1].1.contains("matches every text"), "{problems:?}");
    }

    #[test]
    fn a_hostile_pattern_is_refused_and_a_nested_one_stays_linear() {
        assert!(compile(&["(a{1000}){1000}".to_owned()]).is_err());
        assert!(compile(&vec!["x".to_owned(); FORBIDDEN_PATTERNS_MAX + 1]).is_err());
        assert_eq!(first_match(&set(&["(a+)+$"]), &format!("{}b", "a".repeat(100_000))), None);
    }
}

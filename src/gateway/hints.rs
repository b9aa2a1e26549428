//! Makes the messages of serde helpful: an unknown key is answered with the nearest known one.

/// Longest message that is passed on; a caller's own megabyte-long key is not echoed.
const MESSAGE_CHARS_MAX: usize = 400;
/// Longest name a nearest known one is searched for.
const NAME_CHARS_MAX: usize = 64;
/// Lowest likeness (0 to 1) at which a known name is suggested.
const LIKENESS_MIN: f64 = 0.7;

/// The message, with `did you mean` where it names an unknown field or variant that resembles a known one.
#[must_use]
pub fn with_nearest_key(message: &str) -> String {
    let mut text: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    if text.len() < message.len() {
        text.push('…');
    }
    if let Some(known) = nearest_key(message) {
        text.push_str("; did you mean `");
        text.push_str(known);
        text.push_str("`?");
    }
    text
}

fn nearest_key(message: &str) -> Option<&str> {
    if !message.contains("unknown field `") && !message.contains("unknown variant `") {
        return None;
    }
    // serde quotes the unknown name first and the known ones after it
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|name| name.len() <= NAME_CHARS_MAX)?;
    quoted
        .map(|known| (strsim::jaro_winkler(unknown, known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::with_nearest_key;

    #[test]
    fn an_unknown_key_gets_the_nearest_known_one() {
        let message = "unknown field `questoin`, expected one of `question`, `domain`, `top_k` at line 1 column 11";
        assert!(with_nearest_key(message).ends_with("did you mean `question`?"));
        let variant = "unknown variant `viwer`, expected one of `owner`, `viewer`";
        assert!(with_nearest_key(variant).ends_with("did you mean `viewer`?"));
    }

    #[test]
    fn nothing_is_suggested_where_nothing_is_near() {
        for message in [
            "unknown field `zzz`, expected `question` or `domain`",
            "invalid type: map, expected a string",
            "missing field `question`",
        ] {
            assert_eq!(with_nearest_key(message), message);
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        let message = format!("unknown field `{}`, expected `a`", "x".repeat(1 << 20));
        assert!(with_nearest_key(&message).chars().count() < 450);
    }
}

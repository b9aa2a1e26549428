//! Text to words, the same way for documents and queries: runs of letters and digits, and overlapping pairs where a
//! script writes no spaces. Pure.
use std::ops::Range;

/// Byte ranges of the words of a text, in order.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a str,
    at: usize,
    in_unspaced_run: bool,
}

impl<'a> Words<'a> {
    /// The words of `text`.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        Self { text, at: 0, in_unspaced_run: false }
    }

    fn ahead(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    /// Goes to the end of a run that began with a letter or digit of a script with spaces.
    fn run_on(&mut self) {
        loop {
            // most letters are ASCII, and those need no decoding
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            match self.ahead() {
                Some(next) if next.is_alphanumeric() && !is_unspaced(next) => self.at += next.len_utf8(),
                _ => return,
            }
        }
    }
}

impl Iterator for Words<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let (start, here) = (self.at, self.ahead()?);
            self.at += here.len_utf8();
            if !here.is_alphanumeric() {
                self.in_unspaced_run = false;
            } else if is_unspaced(here) {
                let first_of_run = !std::mem::replace(&mut self.in_unspaced_run, true);
                match self.ahead() {
                    Some(next) if is_unspaced(next) => return Some(start..self.at + next.len_utf8()),
                    _ if first_of_run => return Some(start..self.at),
                    _ => {}
                }
            } else {
                self.in_unspaced_run = false;
                self.run_on();
                return Some(start..self.at);
            }
        }
    }
}

/// True for scripts written without spaces between words: Han, kana, Thai, Lao, Khmer, Myanmar.
fn is_unspaced(letter: char) -> bool {
    matches!(u32::from(letter),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF | 0x2_0000..=0x3_1FFF)
}

#[cfg(test)]
mod tests {
    use super::Words;

    fn words(text: &str) -> Vec<&str> {
        Words::of(text).map(|range| &text[range]).collect()
    }

    #[test]
    fn splits_at_everything_but_letters_and_digits() {
        assert_eq!(words("Hello, happy tax-payer! 3.5"), ["Hello", "happy", "tax", "payer", "3", "5"]);
        assert_eq!(words("  "), Vec::<&str>::new());
        assert_eq!(words("Müller’s Straße"), ["Müller", "s", "Straße"]);
    }

    #[test]
    fn pairs_scripts_without_spaces() {
        assert_eq!(words("東京都"), ["東京", "京都"]);
        assert_eq!(words("猫"), ["猫"]);
        assert_eq!(words("abc東京def猫。犬"), ["abc", "東京", "def", "猫", "犬"]);
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_in_bounds_and_ordered(text in "\\PC{0,60}") {
            let mut last = 0;
            for range in Words::of(&text) {
                proptest::prop_assert!(text.get(range.clone()).is_some_and(|word| !word.is_empty()));
                proptest::prop_assert!(range.start >= last);
                last = range.start;
            }
        }
    }
}

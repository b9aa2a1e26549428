//! What may be taken out of words before somebody reads them: recognisers of personal data (specification 2.5, "PII").
//!
//! Each knows one form and, where the form has one, its check digits: a number that only looks like a card or an account
//! stays. No form is longer than [`FORM_CHARS_MAX`], so that words that are still coming need not be held back for long.
use core::net::Ipv4Addr;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

/// Characters of the longest form.
pub const FORM_CHARS_MAX: usize = 224;
/// Digits of a telephone number with its country (ITU-T E.164 has 15 at most); fewer are dates, amounts, sections.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 10..=15;
/// Digits of a payment card (ISO/IEC 7812).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// A form of personal data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Recogniser {
    /// An address of electronic mail.
    Email,
    /// An international bank account number with the right check digits (ISO 13616).
    Iban,
    /// A payment card's number with the right check digit (ISO/IEC 7812).
    Card,
    /// A social security number of the United States.
    Ssn,
    /// A telephone number written in groups.
    Phone,
    /// An IPv4 address.
    IpAddress,
}

impl Recogniser {
    /// Every form; of two that match the same words the first is named.
    pub const ALL: [Self; 6] = [Self::Email, Self::Iban, Self::Card, Self::Ssn, Self::Phone, Self::IpAddress];

    /// What stands where it was.
    #[must_use]
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "<email>",
            Self::Iban => "<iban>",
            Self::Card => "<card>",
            Self::Ssn => "<ssn>",
            Self::Phone => "<phone>",
            Self::IpAddress => "<ip_address>",
        }
    }

    /// Its form; what matches is looked at once more by [`Recogniser::confirms`].
    fn pattern(self) -> &'static str {
        match self {
            Self::Email => r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,32}\.){1,4}[A-Za-z]{2,16}\b",
            Self::Iban => r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
            Self::Card => r"\b[0-9](?:[ -]?[0-9]){12,18}\b",
            Self::Ssn => r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
            Self::Phone => r"(?:\+[0-9]{1,3}[ .-]?)?(?:\([0-9]{1,4}\)[ .-]?|\b)[0-9]{2,5}(?:[ ./-][0-9]{2,5}){1,5}\b",
            Self::IpAddress => r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b",
        }
    }

    fn confirms(self, found: &str) -> bool {
        let digits: Vec<u32> = found.chars().filter_map(|character| character.to_digit(10)).collect();
        match self {
            Self::Email => true,
            Self::Iban => found.parse::<iban::Iban>().is_ok(),
            Self::Card => CARD_DIGITS.contains(&digits.len()) && has_check_digit(&digits),
            Self::Ssn => !found.starts_with("000") && !found.starts_with("666") && !found.starts_with('9'),
            Self::Phone => PHONE_DIGITS.contains(&digits.len()) && found.parse::<Ipv4Addr>().is_err(),
            Self::IpAddress => found.parse::<Ipv4Addr>().is_ok(),
        }
    }
}

/// Luhn's formula (ISO/IEC 7812-1, annex B).
fn has_check_digit(digits: &[u32]) -> bool {
    let sum: u32 = (0_usize..)
        .zip(digits.iter().rev())
        .map(|(place, digit)| match (place.is_multiple_of(2), digit.saturating_mul(2)) {
            (true, _) => *digit,
            (false, doubled) if doubled > 9 => doubled.saturating_sub(9),
            (false, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10)
}

static PATTERNS: LazyLock<Vec<(Recogniser, Regex)>> =
    LazyLock::new(|| Recogniser::ALL.iter().filter_map(|one| Some((*one, Regex::new(one.pattern()).ok()?))).collect());

/// Forms that are taken out together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Redactions(u8);

impl Serialize for Redactions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(Recogniser::ALL.into_iter().filter(|one| self.has(*one)))
    }
}

impl fmt::Display for Redactions {
    /// The forms as they stand in files, with commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms = Recogniser::ALL.into_iter().filter(|one| self.has(*one));
        let names: Vec<_> = forms.map(|one| one.placeholder().trim_matches(['<', '>'])).collect();
        f.write_str(&names.join(", "))
    }
}

impl Redactions {
    /// These forms.
    #[must_use]
    pub fn of(forms: &BTreeSet<Recogniser>) -> Self {
        Recogniser::ALL
            .into_iter()
            .filter(|one| forms.contains(one))
            .fold(Self::default(), |all, one| Self(all.0 | bit(one)))
    }

    /// True where nothing is taken out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Both.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    fn has(self, one: Recogniser) -> bool {
        self.0 & bit(one) != 0
    }

    /// Where forms stand, in order, none over another.
    fn found(self, text: &str) -> Vec<(std::ops::Range<usize>, Recogniser)> {
        let mut found: Vec<(std::ops::Range<usize>, Recogniser)> = Vec::new();
        for (form, pattern) in PATTERNS.iter().filter(|(form, _)| self.has(*form)) {
            let confirmed = pattern.find_iter(text).filter(|one| form.confirms(one.as_str())).map(|one| one.range());
            for range in confirmed {
                if found.iter().all(|(other, _)| other.end <= range.start || range.end <= other.start) {
                    found.push((range, *form));
                }
            }
        }
        found.sort_by_key(|(range, _)| range.start);
        found
    }

    /// The text without what these forms recognise.
    #[must_use]
    pub fn redact<'a>(self, text: &'a str) -> Cow<'a, str> {
        let found = if self.is_empty() { Vec::new() } else { self.found(text) };
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut redacted, mut from) = (String::with_capacity(text.len()), 0);
        for (range, form) in found {
            redacted.push_str(text.get(from..range.start).unwrap_or_default());
            redacted.push_str(form.placeholder());
            from = range.end;
        }
        redacted.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(redacted)
    }
}

fn bit(one: Recogniser) -> u8 {
    1 << (one as u8)
}

/// Redacts words that arrive in pieces: gives what no further words can change, and holds the rest back.
#[derive(Debug)]
pub struct Redactor {
    redactions: Redactions,
    held: String,
}

impl Redactor {
    /// A redactor that has heard nothing.
    #[must_use]
    pub fn new(redactions: Redactions) -> Self {
        Self { redactions, held: String::new() }
    }

    /// Takes the next words; gives what is decided.
    #[must_use]
    pub fn push(&mut self, words: &str) -> String {
        if self.redactions.is_empty() {
            return words.to_owned();
        }
        self.held.push_str(words);
        let decided = self.decided();
        let rest = self.held.split_off(decided);
        let ready = std::mem::replace(&mut self.held, rest);
        self.redactions.redact(&ready).into_owned()
    }

    /// Ends the words; gives what was still held back.
    #[must_use]
    pub fn finish(self) -> String {
        self.redactions.redact(&self.held).into_owned()
    }

    /// Up to where nothing that follows can change what is recognised: the last blank that stands in nothing that looks like a
    /// form and has the longest form behind it. Every form looks at most one character beyond itself.
    fn decided(&self) -> usize {
        let chars = self.held.chars().count();
        let Some(spare) = chars.checked_sub(FORM_CHARS_MAX.saturating_mul(2)).filter(|spare| *spare > 0) else {
            return 0;
        };
        let limit = self.held.char_indices().nth(spare).map_or(0, |(at, _)| at);
        // also where a form was looked at and was none: what is looked at next begins behind it
        let patterns = PATTERNS.iter().filter(|(form, _)| self.redactions.has(*form));
        let looked_at: Vec<_> =
            patterns.flat_map(|(_, pattern)| pattern.find_iter(&self.held).map(|one| one.range())).collect();
        let outside = |at: usize| looked_at.iter().all(|range| at <= range.start || range.end <= at);
        let blanks = self.held.char_indices().filter(|(at, character)| *at <= limit && character.is_whitespace());
        blanks.map(|(at, _)| at).rfind(|at| outside(*at)).unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "redaction_tests.rs"]
mod tests;

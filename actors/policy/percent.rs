//! Shares of everybody, in steps of a thousandth of a percent: read to the digit, compared in integers.
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A percentage between nothing and everybody, counted in 1/100,000 of the whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Percent(u32);

/// What a text that is no percentage is answered with.
const ADVICE: &str = "write a number from 0 to 100 with at most three digits after the point, such as 12.5";
const DECIMALS: usize = 3;
/// As much of a text that is no percentage is shown.
const SHOWN_CHARS_MAX: usize = 32;
const PER_PERCENT: u32 = 1_000;

impl Percent {
    /// Parts of the whole.
    pub const PARTS: u32 = 100_000;
    /// Nobody.
    pub const NONE: Self = Self(0);
    /// Everybody.
    pub const ALL: Self = Self(Self::PARTS);

    /// So many parts of [`Percent::PARTS`]; everybody where there are more.
    #[must_use]
    pub fn of_parts(parts: u32) -> Self {
        Self(parts.min(Self::PARTS))
    }

    /// Parts of [`Percent::PARTS`].
    #[must_use]
    pub fn parts(self) -> u32 {
        self.0
    }

    /// Reads a percentage to the digit: no sign, no exponent, no zero in front, and nothing is rounded.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(ADVICE),
            Some(parts) => parts,
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_padded = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || whole.len() > 3 || is_padded || fraction.len() > DECIMALS {
            return Err(ADVICE);
        }
        if !digits(whole) || !digits(fraction) {
            return Err(ADVICE);
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| ADVICE);
        let parts = number(whole)? * PER_PERCENT + number(&format!("{fraction:0<DECIMALS$}"))?;
        if parts > Self::PARTS { Err(ADVICE) } else { Ok(Self(parts)) }
    }
}

impl Default for Percent {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, parts) = (self.0 / PER_PERCENT, self.0 % PER_PERCENT);
        if parts == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{parts:0DECIMALS$}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Percent {
    /// Asks for the text of the number as its author wrote it: a float in between could round what it reads.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Percent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage from 0 to 100 with at most three digits after the point, such as 12.5")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Percent, E> {
                Percent::parse(text).map_err(|advice| {
                    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
                    E::custom(format!("{shown} is no percentage: {advice}"))
                })
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl schemars::JsonSchema for Percent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percent".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "a percentage, exact to three digits after the point",
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 100},
                {"type": "string", "pattern": r"^(100(\.0{1,3})?|[1-9]?\d(\.\d{1,3})?)$"}
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_reads_back_and_nothing_is_rounded() {
        for parts in 0..=Percent::PARTS {
            let percent = Percent::of_parts(parts);
            assert_eq!(Percent::parse(&percent.to_string()), Ok(percent));
        }
        for (text, parts) in
            [("0", 0), ("100", 100_000), ("100.000", 100_000), ("0.001", 1), ("33.3", 33_300), ("99.999", 99_999)]
        {
            assert_eq!(Percent::parse(text).map(Percent::parts), Ok(parts), "{text}");
        }
    }

    #[test]
    fn what_is_no_percentage_is_refused() {
        let wrong = [
            "",
            ".",
            ".5",
            "5.",
            "-1",
            "+1",
            "1e2",
            "1e-3",
            "010",
            "00",
            "0.0001",
            "12.3450",
            "100.001",
            "101",
            "1000",
            "4294967297",
            "5 ",
            " 5",
            "5%",
            "0x10",
            "1_0",
            "1,5",
            "NaN",
            ".inf",
            "٣",
            "1..2",
            "1.2.3",
        ];
        for text in wrong {
            assert_eq!(Percent::parse(text), Err(ADVICE), "{text:?}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let read: Percent = serde_json::from_str("\"12.345\"").unwrap();
        assert_eq!((read, serde_json::to_string(&read).unwrap()), (Percent(12_345), "\"12.345\"".to_owned()));
    }
}

//! Money as integer nano-dollars: exact to add, exact to compare, printed as a decimal string (contract §4).
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Nano-dollars in one dollar.
pub const NANO_PER_USD: u64 = 1_000_000_000;
const FRACTION_DIGITS: usize = 9;

/// An amount of money in nano-USD (10⁻⁹ dollar). Never negative, never a float; reaches 18.4 billion dollars.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct NanoUsd(pub u64);

/// Why a text is no amount of money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AmountError {
    /// Not a plain decimal such as `12` or `0.10`.
    #[error("not a decimal amount of dollars: write digits with at most one point, such as 0.10")]
    Malformed,
    /// More than nine digits after the point.
    #[error("finer than a nano-dollar: use at most nine digits after the point")]
    TooFine,
    /// Above the largest amount that can be counted.
    #[error("larger than can be counted: the largest amount is 18446744073 dollars")]
    TooLarge,
}

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or `None` where it cannot be counted.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The sum, stopping at the largest amount: for limits, where "more than can be counted" must refuse.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, stopping at nothing.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The price of `count` units, stopping at the largest amount.
    #[must_use]
    pub fn saturating_times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// Reads a decimal amount of dollars exactly; no float is involved.
    ///
    /// # Errors
    /// [`AmountError`] for anything but digits with at most one point and nine digits after it.
    pub fn parse_usd(text: &str) -> Result<Self, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
            return Err(AmountError::Malformed);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > FRACTION_DIGITS {
            return Err(AmountError::TooFine);
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| AmountError::TooLarge)? };
        let nano: u64 = format!("{fraction:0<FRACTION_DIGITS$}").parse().map_err(|_| AmountError::Malformed)?;
        whole.checked_mul(NANO_PER_USD).and_then(|sum| sum.checked_add(nano)).map(Self).ok_or(AmountError::TooLarge)
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, nano) = (self.0 / NANO_PER_USD, self.0 % NANO_PER_USD);
        if nano == 0 {
            return write!(f, "{whole}");
        }
        let fraction = format!("{nano:0FRACTION_DIGITS$}");
        write!(f, "{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl Serialize for NanoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for NanoUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;
        impl de::Visitor<'_> for Amount {
            type Value = NanoUsd;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of dollars such as 500 or 0.10")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<NanoUsd, E> {
                NanoUsd::parse_usd(text).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, dollars: u64) -> Result<NanoUsd, E> {
                dollars.checked_mul(NANO_PER_USD).map(NanoUsd).ok_or_else(|| E::custom(AmountError::TooLarge))
            }
            fn visit_i64<E: de::Error>(self, dollars: i64) -> Result<NanoUsd, E> {
                u64::try_from(dollars).map_err(|_| E::custom(AmountError::Malformed)).and_then(|d| self.visit_u64(d))
            }
            // the shortest decimal that reads back as this float is what the author of the file wrote
            fn visit_f64<E: de::Error>(self, dollars: f64) -> Result<NanoUsd, E> {
                NanoUsd::parse_usd(&dollars.to_string()).map_err(E::custom)
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Amount)
        } else {
            u64::deserialize(deserializer).map(NanoUsd)
        }
    }
}

impl schemars::JsonSchema for NanoUsd {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Usd".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "an amount of US dollars, exact to nine digits after the point",
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d*(\.\d{1,9})?$"}]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_read_exactly() {
        for (text, nano) in [
            ("0", 0),
            ("0.10", 100_000_000),
            ("10000", 10_000 * NANO_PER_USD),
            (".5", 500_000_000),
            ("0.000000001", 1),
            ("1.0000000000", NANO_PER_USD),
        ] {
            assert_eq!(NanoUsd::parse_usd(text), Ok(NanoUsd(nano)), "{text}");
        }
        for (text, error) in [
            ("", AmountError::Malformed),
            ("-1", AmountError::Malformed),
            ("1e3", AmountError::Malformed),
            ("0.0000000001", AmountError::TooFine),
            ("18446744074", AmountError::TooLarge),
        ] {
            assert_eq!(NanoUsd::parse_usd(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(nano: u64) {
            prop_assert_eq!(NanoUsd::parse_usd(&NanoUsd(nano).to_string()), Ok(NanoUsd(nano)));
        }
    }
}

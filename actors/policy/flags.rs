//! What a flag says to whom: OpenFeature's value, variant, reason and error, from the file, the service level and the
//! context alone. No clock, no random: the same question has the same answer on every node and after every restart.
//!
//! # Who is in
//!
//! Written so that anybody can write it again; `tests/data/flag-vectors.jsonl` holds examples, and programs in Python and
//! JavaScript beside `tests/outside/run` agree with them.
//!
//! ```text
//! draw(purpose, flag, seed, key, places):
//!     input  = for each of purpose, flag, seed, key (UTF-8, exactly as given: no folding, no normalising):
//!              its length in bytes as 8 bytes, most significant first; then its bytes
//!     number = the first 8 bytes of SHA-256(input), as an unsigned integer, most significant first
//!     return (number * places) >> 64                            in integers of 128 bits: 0 to places - 1
//!
//! in at P percent:  draw("rollout", flag, seed, key, 100000) < P * 1000
//! the variant:      n = draw("split", flag, seed, key, sum of the weights);
//!                   the variants in the order of their names' bytes: the first whose weight, added to the weights
//!                   before it, is greater than n
//! ```
//!
//! `seed` is the empty text where the file has none. Who is in at one percentage is in at every higher one, because the draw
//! does not know the percentage; which variant a key has does not depend on it either, because it is another draw.
use crate::digest::place;
use crate::features::{Feature, FeaturesFile, Target};
use crate::percent::Percent;
use bailiwick_kernel::limits::TARGETING_KEY_BYTES_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The variants of a boolean flag.
pub const ON: &str = "on";
/// See [`ON`].
pub const OFF: &str = "off";
/// The targeting key's place in a context.
pub const TARGETING_KEY: &str = "targetingKey";

static TRUE: Value = Value::Bool(true);
static FALSE: Value = Value::Bool(false);

/// Why a flag has its value, as OpenFeature says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// The same for everybody.
    Static,
    /// Nothing that looks at the context applied.
    Default,
    /// By a share of the targeting keys.
    Split,
    /// By a target of the file.
    TargetingMatch,
    /// The flag is off for everybody.
    Disabled,
    /// It could not be found out; the value is that of those whom the flag is off for.
    Error,
}

/// What went wrong, as OpenFeature says it. Types are compared by its clients: no request names one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// The tenant has no such flag.
    FlagNotFound,
    /// The answer depends on the targeting key, and there is none.
    TargetingKeyMissing,
    /// The context is not what it must be.
    InvalidContext,
    /// The request cannot be read.
    ParseError,
    /// Anything else.
    General,
}

/// Whether the tenant's service level is kept; experimental flags are off while it is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceLevel {
    /// As far as is known.
    #[default]
    Kept,
    /// For several windows in a row.
    Breached,
}

/// What has switched a flag off for everybody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OffBy {
    /// `kill_switch: true`.
    KillSwitch,
    /// `enabled: false`.
    File,
    /// It is experimental and the service level is breached.
    ServiceLevel,
}

/// For whom a flag is evaluated.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Context {
    targeting_key: Option<String>,
    attributes: Map<String, Value>,
}

impl Context {
    /// A context of a targeting key alone.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        Self { targeting_key: Some(key.to_owned()), attributes: Map::new() }
    }

    /// For whom flags are asked, where it is said.
    #[must_use]
    pub fn targeting_key(&self) -> Option<&str> {
        self.targeting_key.as_deref()
    }

    /// Reads a context. An absent one knows nothing; an empty targeting key is none.
    ///
    /// # Errors
    /// What is wrong with it: [`ErrorCode::InvalidContext`] in words.
    pub fn read(context: Option<Value>) -> Result<Self, String> {
        let mut attributes = match context {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(attributes)) => attributes,
            Some(_) => return Err("the context is no JSON object; send one, or leave it out".to_owned()),
        };
        let targeting_key = match attributes.remove(TARGETING_KEY) {
            None | Some(Value::Null) => None,
            Some(Value::String(key)) if key.len() > TARGETING_KEY_BYTES_MAX => {
                return Err(format!(
                    "the targetingKey has more than {TARGETING_KEY_BYTES_MAX} bytes; send a shorter one"
                ));
            }
            Some(Value::String(key)) => Some(key).filter(|key| !key.is_empty()),
            Some(_) => return Err("the targetingKey is no text; send it as a JSON string".to_owned()),
        };
        Ok(Self { targeting_key, attributes })
    }
}

/// What a flag says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Evaluation<'a> {
    /// Which flag.
    pub key: &'a str,
    /// Its value.
    pub value: &'a Value,
    /// The name of that value.
    pub variant: &'a str,
    /// Why it has it.
    pub reason: Reason,
    /// What has switched it off for everybody, where something has.
    pub off_by: Option<OffBy>,
    /// What went wrong, where the reason is [`Reason::Error`].
    pub error: Option<ErrorCode>,
    /// Whether it is experimental.
    pub experimental: bool,
}

/// What one flag says.
///
/// # Errors
/// [`ErrorCode::FlagNotFound`]; a flag that is there has a value, whatever else goes wrong.
pub fn evaluate<'a>(
    flags: &'a FeaturesFile,
    level: ServiceLevel,
    key: &str,
    context: &Context,
) -> Result<Evaluation<'a>, ErrorCode> {
    let (key, flag) = flags.features.get_key_value(key).ok_or(ErrorCode::FlagNotFound)?;
    Ok(flag.evaluate(key, level, context))
}

/// What every flag says, in the order of their names.
pub fn evaluate_all<'a>(
    flags: &'a FeaturesFile,
    level: ServiceLevel,
    context: &Context,
) -> impl Iterator<Item = Evaluation<'a>> {
    flags.features.iter().map(move |(key, flag)| flag.evaluate(key, level, context))
}

/// The place a key draws, below `places`. See the head of this file.
#[must_use]
pub fn draw(purpose: &str, flag: &str, seed: &str, key: &str, places: u32) -> u32 {
    place(&[purpose, flag, seed, key], places)
}

/// The draw that decides who is in.
pub const ROLLOUT: &str = "rollout";
/// The draw that decides between variants.
pub const SPLIT: &str = "split";

/// Whether the place a key has drawn is within a percentage.
#[must_use]
pub fn is_in(place: u32, percent: Percent) -> bool {
    place < percent.parts()
}

impl Feature {
    /// What has switched the flag off for everybody, where something has.
    #[must_use]
    pub fn off_by(&self, level: ServiceLevel) -> Option<OffBy> {
        if self.kill_switch {
            Some(OffBy::KillSwitch)
        } else if !self.enabled {
            Some(OffBy::File)
        } else if self.experimental && level == ServiceLevel::Breached {
            Some(OffBy::ServiceLevel)
        } else {
            None
        }
    }

    fn evaluate<'a>(&'a self, key: &'a str, level: ServiceLevel, context: &Context) -> Evaluation<'a> {
        let off_by = self.off_by(level);
        let decided = if off_by.is_some() { Ok((self.off(), Reason::Disabled)) } else { self.decide(key, context) };
        let (variant, reason, error) = match decided {
            Ok((variant, reason)) => (variant, reason, None),
            Err(error) => (self.off(), Reason::Error, Some(error)),
        };
        let (variant, value) = self.named(variant);
        Evaluation { key, value, variant, reason, off_by, error, experimental: self.experimental }
    }

    /// The variant of somebody the flag is not off for. The targeting key is asked for where the answer depends on it,
    /// and only there.
    fn decide<'a>(&'a self, flag: &str, context: &Context) -> Result<(&'a str, Reason), ErrorCode> {
        let key = || context.targeting_key.as_deref().ok_or(ErrorCode::TargetingKeyMissing);
        for target in &self.targets {
            if target.matches(context, key)? {
                return Ok((&target.variant, Reason::TargetingMatch));
            }
        }
        let otherwise = if self.targets.is_empty() { Reason::Static } else { Reason::Default };
        let otherwise = match self.rollout_percent {
            Percent::NONE => return Ok((self.off(), Reason::Default)),
            Percent::ALL => otherwise,
            percent => {
                if !is_in(draw(ROLLOUT, flag, &self.seed, key()?, Percent::PARTS), percent) {
                    return Ok((self.off(), Reason::Split));
                }
                Reason::Split
            }
        };
        let weighed = || self.split.iter().filter(|(_, weight)| **weight > 0);
        let mut names = weighed().map(|(name, _)| name.as_str());
        match (names.next(), names.next()) {
            (None, _) if self.variants.is_empty() => Ok((ON, otherwise)),
            (None, _) => Ok((self.off(), otherwise)),
            (Some(only), None) => Ok((only, otherwise)),
            (Some(_), Some(_)) => {
                let sum = weighed().fold(0_u32, |sum, (_, weight)| sum.saturating_add(*weight));
                let mut left = draw(SPLIT, flag, &self.seed, key()?, sum);
                for (name, weight) in weighed() {
                    if left < *weight {
                        return Ok((name, Reason::Split));
                    }
                    left = left.saturating_sub(*weight);
                }
                Ok((self.off(), Reason::Split)) // never: the draw is below the sum of the weights
            }
        }
    }

    /// The variant of those whom the flag is off for.
    fn off(&self) -> &str {
        self.default_variant.as_deref().unwrap_or(OFF)
    }

    fn named<'a>(&'a self, variant: &'a str) -> (&'a str, &'a Value) {
        if self.variants.is_empty() {
            return if variant == ON { (ON, &TRUE) } else { (OFF, &FALSE) };
        }
        // the compiler has refused every name that is no variant
        self.variants.get(variant).map_or((variant, &Value::Null), |value| (variant, value))
    }
}

impl Target {
    fn matches<'k>(
        &self,
        context: &Context,
        key: impl FnOnce() -> Result<&'k str, ErrorCode>,
    ) -> Result<bool, ErrorCode> {
        match &self.attribute {
            Some(attribute) => {
                let text = context.attributes.get(attribute).and_then(Value::as_str);
                Ok(text.is_some_and(|text| self.values.contains(text)))
            }
            None => Ok(self.keys.contains(key()?)),
        }
    }
}

#[cfg(test)]
#[path = "flags_tests.rs"]
mod tests;

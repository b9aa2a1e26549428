//! Conditions as they are written: `all`, `any`, `not`, and tests of one attribute.
use super::facts::Fact;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;
use std::fmt;

/// When a rule matches. A mapping with several entries, and a list, ask for all of them in their order.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// Every one holds; tried in order, the first that does not hold decides.
    All(Vec<Self>),
    /// One holds; tried in order, the first that holds decides.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// One attribute passes a test.
    Is {
        /// Such as `user.role`.
        attribute: String,
        /// What is asked of it.
        test: Test,
    },
}

/// What is asked of one attribute.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// It is one of these; a text that ends in `*` stands for every text that begins like it.
    AnyOf(Vec<Scalar>),
    /// It lies between these, both included.
    Between {
        /// Lowest.
        at_least: Option<i64>,
        /// Highest.
        at_most: Option<i64>,
    },
    /// It is there, or is not.
    Present(bool),
    /// The set contains this text.
    Contains(String),
}

impl Test {
    /// Whether a value passes; `None` where there is none and the test asks for it.
    #[must_use]
    pub fn passes(&self, fact: Option<&Fact>) -> Option<bool> {
        if let Self::Present(wanted) = self {
            return Some(fact.is_some() == *wanted);
        }
        Some(match (self, fact?) {
            (Self::Between { at_least, at_most }, Fact::Number(number)) => {
                at_least.is_none_or(|least| least <= *number) && at_most.is_none_or(|most| *number <= most)
            }
            (Self::Contains(text), Fact::Texts(texts)) => texts.contains(text),
            (Self::AnyOf(scalars), fact) => scalars.iter().any(|scalar| scalar.equals(fact)),
            _ => false,
        })
    }
}

/// A constant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Flag(bool),
}

impl Scalar {
    fn equals(&self, fact: &Fact) -> bool {
        match (self, fact) {
            (Self::Number(one), Fact::Number(other)) => one == other,
            (Self::Flag(one), Fact::Flag(other)) => one == other,
            (Self::Text(text), Fact::Text(other)) => Pattern::of(text).matches(other),
            _ => false,
        }
    }
}

/// A text constant, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern<'a> {
    /// This text.
    Exactly(&'a str),
    /// Every text that begins like this.
    Prefix(&'a str),
}

impl<'a> Pattern<'a> {
    /// What a text stands for: itself, or where it ends in `*` every text that begins like it.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        text.strip_suffix('*').map_or(Self::Exactly(text), Self::Prefix)
    }

    /// Whether it stands for this text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exactly(own) => *own == text,
            Self::Prefix(beginning) => text.starts_with(beginning),
        }
    }
}

impl Condition {
    /// Tests in it, over all branches.
    #[must_use]
    pub fn tests(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::tests).sum(),
            Self::Not(part) => part.tests(),
            Self::Is { .. } => 1,
        }
    }

    /// Calls back for every test, with the attribute it is about.
    pub fn each_test<'a>(&'a self, visit: &mut impl FnMut(&'a str, &'a Test)) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.each_test(visit)),
            Self::Not(part) => part.each_test(visit),
            Self::Is { attribute, test } => visit(attribute, test),
        }
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConditionVisitor)
    }
}

struct ConditionVisitor;

impl<'de> Visitor<'de> for ConditionVisitor {
    type Value = Condition;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a condition such as `user.role: [owner, admin]`, one of `all`, `any`, `not`, or a list of conditions",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Condition, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            parts.push(part);
        }
        Ok(Condition::All(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Condition, A::Error> {
        let mut parts = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            parts.push(match key.as_str() {
                "all" => Condition::All(map.next_value()?),
                "any" => Condition::Any(map.next_value()?),
                "not" => Condition::Not(Box::new(map.next_value()?)),
                _ => Condition::Is { attribute: key, test: map.next_value()? },
            });
        }
        match (parts.pop(), parts.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(last), false) => {
                parts.push(last);
                Ok(Condition::All(parts))
            }
            (None, _) => Err(A::Error::custom("an empty condition says nothing: remove `when`, or ask for something")),
        }
    }
}

impl<'de> Deserialize<'de> for Test {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TestVisitor)
    }
}

struct TestVisitor;

impl<'de> Visitor<'de> for TestVisitor {
    type Value = Test;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list of values, or one of `at_least`, `at_most`, `present`, `contains`")
    }
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Test, E> {
        Ok(Test::AnyOf(vec![Scalar::Flag(flag)]))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Test, E> {
        Ok(Test::AnyOf(vec![Scalar::Number(number)]))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Test, E> {
        ScalarVisitor.visit_u64(number).map(|scalar| Test::AnyOf(vec![scalar]))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Test, E> {
        Ok(Test::AnyOf(vec![Scalar::Text(text.to_owned())]))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Test, A::Error> {
        let mut scalars = Vec::new();
        while let Some(scalar) = list.next_element()? {
            scalars.push(scalar);
        }
        Ok(Test::AnyOf(scalars))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Test, A::Error> {
        const KNOWN: &[&str] = &["at_least", "at_most", "present", "contains"];
        let (mut low, mut high, mut test) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "at_least" => low = Some(map.next_value()?),
                "at_most" => high = Some(map.next_value()?),
                "present" if test.is_none() => test = Some(Test::Present(map.next_value()?)),
                "contains" if test.is_none() => test = Some(Test::Contains(map.next_value()?)),
                "present" | "contains" => {
                    return Err(A::Error::custom("two tests of one attribute: write each as an entry of `all`"));
                }
                other => return Err(A::Error::unknown_field(other, KNOWN)),
            }
        }
        match (low, high, test) {
            (None, None, Some(test)) => Ok(test),
            (at_least, at_most, None) if at_least.is_some() || at_most.is_some() => {
                Ok(Test::Between { at_least, at_most })
            }
            (None, None, None) => Err(A::Error::custom(
                "an empty test asks nothing: write `at_least`, `at_most`, `present` or `contains`",
            )),
            _ => Err(A::Error::custom("two tests of one attribute: write each as an entry of `all`")),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, true or false")
    }
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
        i64::try_from(number)
            .map(Scalar::Number)
            .map_err(|_large| E::custom("the number is too large: write a smaller one"))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::All(parts) => map.serialize_entry("all", parts)?,
            Self::Any(parts) => map.serialize_entry("any", parts)?,
            Self::Not(part) => map.serialize_entry("not", part)?,
            Self::Is { attribute, test } => map.serialize_entry(attribute, test)?,
        }
        map.end()
    }
}

impl Serialize for Test {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, low, high) = match self {
            Self::AnyOf(scalars) => return scalars.serialize(serializer),
            Self::Between { at_least, at_most } => ("", *at_least, *at_most),
            Self::Present(_) => ("present", None, None),
            Self::Contains(_) => ("contains", None, None),
        };
        let mut map = serializer.serialize_map(None)?;
        if let Self::Present(present) = self {
            map.serialize_entry(key, present)?;
        }
        if let Self::Contains(text) = self {
            map.serialize_entry(key, text)?;
        }
        for (bound, value) in [("at_least", low), ("at_most", high)] {
            if let Some(value) = value {
                map.serialize_entry(bound, &value)?;
            }
        }
        map.end()
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

impl JsonSchema for Condition {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let nested = generator.subschema_for::<Self>();
        let scalar = json_schema!({ "type": ["string", "integer", "boolean"] });
        json_schema!({
            "description": "When a rule matches: every entry holds. `all`, `any` and `not` join conditions; any other key is an attribute.",
            "anyOf": [
                { "type": "array", "items": nested },
                {
                    "type": "object",
                    "minProperties": 1,
                    "properties": {
                        "all": { "type": "array", "items": nested },
                        "any": { "type": "array", "items": nested },
                        "not": nested,
                    },
                    "additionalProperties": {
                        "anyOf": [
                            scalar,
                            { "type": "array", "items": scalar },
                            {
                                "type": "object",
                                "additionalProperties": false,
                                "properties": {
                                    "at_least": { "type": "integer" },
                                    "at_most": { "type": "integer" },
                                    "present": { "type": "boolean" },
                                    "contains": { "type": "string" },
                                },
                            },
                        ],
                    },
                },
            ],
        })
    }
}

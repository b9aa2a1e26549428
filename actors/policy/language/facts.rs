//! What is known of one request when it is judged.
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// One attribute's value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fact {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A set of texts.
    Texts(BTreeSet<String>),
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Texts(texts) => texts.serialize(serializer),
        }
    }
}

/// A fact in a form every encoding reads back: what is shown to people is not told apart by its type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RecordedFact {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A set of texts.
    Texts(BTreeSet<String>),
}

impl From<&Fact> for RecordedFact {
    fn from(fact: &Fact) -> Self {
        match fact {
            Fact::Text(text) => Self::Text(text.clone()),
            Fact::Number(number) => Self::Number(*number),
            Fact::Flag(flag) => Self::Flag(*flag),
            Fact::Texts(texts) => Self::Texts(texts.clone()),
        }
    }
}

impl From<RecordedFact> for Fact {
    fn from(recorded: RecordedFact) -> Self {
        match recorded {
            RecordedFact::Text(text) => Self::Text(text),
            RecordedFact::Number(number) => Self::Number(number),
            RecordedFact::Flag(flag) => Self::Flag(flag),
            RecordedFact::Texts(texts) => Self::Texts(texts),
        }
    }
}

/// Attribute to value. An attribute that is absent has no value: a rule that asks for it cannot be judged.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Facts(BTreeMap<Cow<'static, str>, Fact>);

impl Facts {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    #[must_use]
    pub fn with(mut self, attribute: impl Into<Cow<'static, str>>, fact: Fact) -> Self {
        self.0.insert(attribute.into(), fact);
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, attribute: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        self.with(attribute, Fact::Text(text.into()))
    }

    /// Adds a text where there is one.
    #[must_use]
    pub fn text_if(self, attribute: impl Into<Cow<'static, str>>, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(attribute, text),
            None => self,
        }
    }

    /// Adds a whole number; one beyond what the language counts to is its largest.
    #[must_use]
    pub fn number(self, attribute: impl Into<Cow<'static, str>>, number: impl TryInto<i64>) -> Self {
        let number = number.try_into().unwrap_or(i64::MAX);
        self.with(attribute, Fact::Number(number))
    }

    /// Adds a yes or no.
    #[must_use]
    pub fn flag(self, attribute: impl Into<Cow<'static, str>>, flag: bool) -> Self {
        self.with(attribute, Fact::Flag(flag))
    }

    /// Adds what rules of `generate` ask of a model.
    #[must_use]
    pub fn of_model(self, provider: &str, name: &str, region: &str, fallback: bool) -> Self {
        self.text("model.provider", provider)
            .text("model.name", name)
            .text("model.region", region)
            .flag("model.fallback", fallback)
    }

    /// The value of an attribute.
    #[must_use]
    pub fn get(&self, attribute: &str) -> Option<&Fact> {
        self.0.get(attribute)
    }

    /// Every attribute with its value, to be written down.
    #[must_use]
    pub fn recorded(&self) -> Vec<(String, RecordedFact)> {
        self.iter().map(|(attribute, fact)| (attribute.to_owned(), fact.into())).collect()
    }

    /// What was written down.
    #[must_use]
    pub fn of_recorded(recorded: Vec<(String, RecordedFact)>) -> Self {
        recorded.into_iter().fold(Self::new(), |facts, (attribute, fact)| facts.with(attribute, fact.into()))
    }

    /// Every attribute that has a value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(attribute, fact)| (attribute.as_ref(), fact))
    }
}

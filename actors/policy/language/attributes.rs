//! Every attribute a rule may name: its type, whether every request has it, and for which actions it means something.
use super::{Action, Fact};
use crate::parse::advice;

/// The type of an attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number between these, both included.
    Number(i64, i64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// A set of texts, asked with `contains`.
    Texts,
}

/// One attribute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// As it stands in a condition.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether some requests lack it; a rule asks `present` first.
    pub optional: bool,
    about: About,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum About {
    Anything,
    /// What names a domain and a use case, in the asker's own words.
    Scoped,
    Requests,
    /// Documents that come in.
    Documents,
    /// Documents that may be found.
    Kept,
    Models,
}

/// A kept document's id.
pub const DOCUMENT_ID: &str = "document.id";
/// A kept document's domain.
pub const DOCUMENT_DOMAIN: &str = "document.domain";
/// A kept document's use case.
pub const DOCUMENT_USECASE: &str = "document.usecase";
/// Prefix of the attributes users carry in `users.yaml`.
pub const USER_ATTRIBUTES: &str = "user.attributes.";
/// The role of the platform's operator, who has none within a tenant.
pub const PLATFORM: &str = "platform";
/// Roles a request may come with: the five of a tenant, and the platform's operator.
pub const ROLES: &[&str] = &["owner", "admin", "operator", "auditor", "viewer", PLATFORM];
/// Days of the week, as `request.weekday` has them.
pub const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const BYTES_MAX: i64 = 1 << 40;

const fn attribute(name: &'static str, kind: Kind, optional: bool, about: About) -> Attribute {
    Attribute { name, kind, optional, about }
}

/// The table. An attribute users carry ([`USER_ATTRIBUTES`]) is a text that may be absent.
pub const ATTRIBUTES: [Attribute; 20] = [
    attribute("user.id", Kind::Text, true, About::Anything),
    attribute("user.role", Kind::Choice(ROLES), false, About::Anything),
    attribute("user.permissions", Kind::Texts, false, About::Anything),
    attribute("request.domain", Kind::Text, true, About::Scoped),
    attribute("request.usecase", Kind::Text, true, About::Scoped),
    attribute("request.hour_utc", Kind::Number(0, 23), false, About::Anything),
    attribute("request.weekday", Kind::Choice(WEEKDAYS), false, About::Anything),
    attribute("request.bytes", Kind::Number(0, BYTES_MAX), false, About::Requests),
    attribute("request.top_k", Kind::Number(0, 1_000_000), false, About::Requests),
    attribute("document.source_host", Kind::Text, false, About::Documents),
    attribute("document.trust_percent", Kind::Number(0, 100), false, About::Documents),
    attribute("document.bytes", Kind::Number(0, BYTES_MAX), false, About::Documents),
    attribute("document.region", Kind::Text, false, About::Documents),
    attribute(DOCUMENT_ID, Kind::Text, false, About::Kept),
    attribute(DOCUMENT_DOMAIN, Kind::Text, false, About::Kept),
    attribute(DOCUMENT_USECASE, Kind::Text, false, About::Kept),
    attribute("model.provider", Kind::Text, false, About::Models),
    attribute("model.name", Kind::Text, false, About::Models),
    attribute("model.region", Kind::Text, false, About::Models),
    attribute("model.fallback", Kind::Flag, false, About::Models),
];

impl Attribute {
    /// Whether a request for this action has the attribute, or may have it.
    #[must_use]
    pub fn belongs_to(self, action: Action) -> bool {
        match self.about {
            About::Anything => true,
            About::Scoped => {
                matches!(action, Action::Ask | Action::Search | Action::Ingest | Action::Retrieve | Action::Generate)
            }
            About::Requests => {
                matches!(action, Action::Ask | Action::Search | Action::Complete | Action::Embed)
            }
            About::Documents => matches!(action, Action::Ingest),
            About::Kept => matches!(action, Action::Retrieve),
            About::Models => matches!(action, Action::Generate),
        }
    }

    /// Whether this is what the language expects of the attribute: a value of its type, or none where it is optional.
    #[must_use]
    pub fn admits(self, fact: Option<&Fact>) -> bool {
        match (self.kind, fact) {
            (_, None) => self.optional,
            (Kind::Text | Kind::Choice(_), Some(Fact::Text(_)))
            | (Kind::Flag, Some(Fact::Flag(_)))
            | (Kind::Texts, Some(Fact::Texts(_))) => true,
            (Kind::Number(low, high), Some(Fact::Number(number))) => (low..=high).contains(number),
            _ => false,
        }
    }
}

/// Finds an attribute.
///
/// # Errors
/// What is wrong with the name, with the nearest known one.
pub fn find(name: &str) -> Result<Attribute, String> {
    if let Some(own) = name.strip_prefix(USER_ATTRIBUTES) {
        let is_word = !own.is_empty()
            && own.len() <= 64
            && own.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        return if is_word {
            Ok(attribute(USER_ATTRIBUTES, Kind::Text, true, About::Anything))
        } else {
            Err(format!("{own:?} is no attribute of a user: write lower-case letters, digits and underscores"))
        };
    }
    let known: Vec<_> = ATTRIBUTES.iter().map(|attribute| attribute.name).collect();
    ATTRIBUTES
        .into_iter()
        .find(|attribute| attribute.name == name)
        .ok_or_else(|| format!("unknown attribute {name:?}: {}", advice(name, &known)))
}

//! Whom a turn counts for at each level.
use crate::question::Matter;
use bailiwick_policy::access::Principal;
use bailiwick_policy::levels::Level;

/// The domain and use case of whatever names none, as for documents.
pub const GENERAL: &str = "general";
/// Who is counted where a key names no user: all such keys together.
pub const NO_USER: &str = "-";

/// The domain or use case a name stands for.
#[must_use]
pub fn named(name: Option<&str>) -> &str {
    name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or(GENERAL)
}

/// The member of each level a turn counts for. There is one at every level, so that leaving a name out evades no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scope<'a> {
    domain: &'a str,
    usecase: &'a str,
    user: &'a str,
    key: &'a str,
}

impl<'a> Scope<'a> {
    /// The scope of what is asked, by whom.
    #[must_use]
    pub fn of(matter: &'a Matter, principal: &'a Principal) -> Self {
        let (domain, usecase) = match matter {
            Matter::Ask(question) => (question.domain.as_deref(), question.usecase.as_deref()),
            Matter::Search(search) => (search.domain.as_deref(), search.usecase.as_deref()),
            Matter::Chat(_) | Matter::Embed(_) | Matter::Rank(_) => (None, None),
        };
        Self {
            domain: named(domain),
            usecase: named(usecase),
            user: principal.user_id.as_deref().unwrap_or(NO_USER),
            key: &principal.key_id,
        }
    }

    /// The member of a level.
    #[must_use]
    pub fn member(&self, level: Level) -> &'a str {
        match level {
            Level::Domain => self.domain,
            Level::Usecase => self.usecase,
            Level::User => self.user,
            Level::Key => self.key,
        }
    }
}

//! The levels below a tenant at which limits and ceilings are set (specification 2.2 `quotas`, 2.4 `budget`).
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A level below the tenant, from the widest to the narrowest. What stands at a level holds beside what stands above
/// it: a request passes all of them or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A domain of the tenant, such as `hr`.
    Domain,
    /// A use case within the tenant's domains, such as `onboarding`.
    Usecase,
    /// A user of `users.yaml`, or any other user a key was issued for.
    User,
    /// One API key, by its public id.
    Key,
}

impl Level {
    /// Every level, from the widest to the narrowest.
    pub const ALL: [Self; 4] = [Self::Domain, Self::Usecase, Self::User, Self::Key];

    /// The level as it stands in a file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::Usecase => "usecase",
            Self::User => "user",
            Self::Key => "key",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Who may do what: roles of specification 2.5 and the rights routes ask for. Which role has which right is written in
//! `roles.cedar`, read by the registry, the golden access matrix and the documentation alike.
use crate::roles;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A role within one tenant (specification 2.5), and the platform's operator above all tenants.
///
/// In the order of the access matrix: every role may do what those below it may.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Full control of one tenant.
    Owner,
    /// Manages users and policies of one tenant.
    Admin,
    /// Runs pipelines: asks, ingests, gives feedback.
    Operator,
    /// Reads everything of one tenant, changes nothing.
    Auditor,
    /// Sees the dashboards of one tenant.
    Viewer,
}

/// What a route asks for. Holding a right's handle is the permission, and it permits nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Ask, search, chat, embed.
    Ask,
    /// Add and remove documents.
    Ingest,
    /// Judge an answer.
    Feedback,
    /// Read documents, lineage, policy.
    Audit,
    /// See usage and service levels.
    Observe,
    /// Change keys, users, policies of one tenant.
    Govern,
    /// Create, change, suspend and delete tenants.
    Fleet,
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 7] =
        [Self::Ask, Self::Ingest, Self::Feedback, Self::Audit, Self::Observe, Self::Govern, Self::Fleet];

    /// The right as it stands in files and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Ingest => "ingest",
            Self::Feedback => "feedback",
            Self::Audit => "audit",
            Self::Observe => "observe",
            Self::Govern => "govern",
            Self::Fleet => "fleet",
        }
    }
}

impl Role {
    /// Every role, in the order of the access matrix.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Operator, Self::Auditor, Self::Viewer];

    /// The role as it stands in files and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Viewer => "viewer",
        }
    }

    /// Reads a role.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether the role has the right in its own tenant, as `roles.cedar` says. [`Right::Fleet`] belongs to no tenant role.
    #[must_use]
    pub fn may(self, right: Right) -> bool {
        roles::permits(self, right)
    }

    /// The one of two roles that may do less.
    #[must_use]
    pub fn lower(self, other: Self) -> Self {
        self.max(other)
    }

    /// True where this role may issue a key of the other: never one that may do more than itself.
    #[must_use]
    pub fn may_issue(self, other: Self) -> bool {
        match self {
            Self::Owner => true,
            Self::Admin => other != Self::Owner,
            _ => false,
        }
    }
}

/// Who is acting, as the registry found out. Rides with every message of a handle; it grants nothing by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Principal {
    /// Public id of the key that was shown.
    pub key_id: String,
    /// The user the key belongs to, where it names one.
    pub user_id: Option<String>,
    /// The role within the tenant; `None` for the platform operator.
    pub role: Option<Role>,
    /// What the issuer of a bearer token says of the user, by attribute; nothing for a key.
    pub attributes: BTreeMap<String, String>,
}

impl Principal {
    /// Who asks, as one name: the user, else the key. Judgements are counted and flags are drawn by it.
    #[must_use]
    pub fn asker(&self) -> &str {
        self.user_id.as_deref().unwrap_or(&self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHTS: [Right; 7] = Right::ALL;

    #[test]
    fn the_access_matrix() {
        let matrix = [
            // ask, ingest, feedback, audit, observe, govern, fleet
            (Role::Owner, [true, true, true, true, true, true, false]),
            (Role::Admin, [true, true, true, true, true, true, false]),
            (Role::Operator, [true, true, true, true, true, false, false]),
            (Role::Auditor, [false, false, false, true, true, false, false]),
            (Role::Viewer, [false, false, false, false, true, false, false]),
        ];
        for (role, row) in matrix {
            assert_eq!(RIGHTS.map(|right| role.may(right)), row, "{}", role.as_str());
        }
        assert_eq!(matrix.map(|(role, _)| role), Role::ALL);
    }

    #[test]
    fn who_asks_is_the_user_and_else_the_key() {
        let of = |user_id: Option<&str>| Principal {
            key_id: "key".into(),
            user_id: user_id.map(str::to_owned),
            role: None,
            attributes: BTreeMap::new(),
        };
        assert_eq!((of(Some("anna")).asker(), of(None).asker()), ("anna", "key"));
    }

    #[test]
    fn the_lower_of_two_roles_may_what_both_may() {
        for (one, other) in Role::ALL.into_iter().flat_map(|one| Role::ALL.map(|other| (one, other))) {
            let both = RIGHTS.map(|right| one.may(right) && other.may(right));
            assert_eq!(RIGHTS.map(|right| one.lower(other).may(right)), both, "{one:?} {other:?}");
            assert_eq!(one.lower(other), other.lower(one));
        }
        assert_eq!(Role::Owner.lower(Role::Admin), Role::Admin, "equal rights, but an admin issues no owner's key");
    }

    #[test]
    fn keys_are_issued_downwards_only() {
        let matrix = [
            (Role::Owner, [true, true, true, true, true]),
            (Role::Admin, [false, true, true, true, true]),
            (Role::Operator, [false; 5]),
            (Role::Auditor, [false; 5]),
            (Role::Viewer, [false; 5]),
        ];
        for (role, row) in matrix {
            assert_eq!(Role::ALL.map(|other| role.may_issue(other)), row, "{}", role.as_str());
        }
        for (issuer, issued) in Role::ALL.into_iter().flat_map(|issuer| Role::ALL.map(|issued| (issuer, issued))) {
            let gains = RIGHTS.into_iter().any(|right| issued.may(right) && !issuer.may(right));
            assert!(!(issuer.may_issue(issued) && gains), "{} gains through {}", issuer.as_str(), issued.as_str());
        }
    }

    #[test]
    fn names_read_back_and_no_other_text_is_a_role() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("{:?}", role.as_str()));
        }
        for text in ["", "Owner", "owner ", "root", "fleet"] {
            assert_eq!(Role::parse(text), None, "{text:?}");
        }
    }
}

//! The frameworks controls are mapped to, by the names tenants' files give them. A control *supports* a clause: whether
//! somebody complies is decided by people, who look at more than a machine can see.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A framework.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Framework {
    /// HIPAA.
    #[serde(rename = "HIPAA")]
    Hipaa,
    /// SOX.
    #[serde(rename = "SOX")]
    Sox,
    /// GDPR.
    #[serde(rename = "GDPR")]
    Gdpr,
    /// SOC 2.
    #[serde(rename = "SOC2")]
    Soc2,
    /// ISO/IEC 27001.
    #[serde(rename = "ISO27001")]
    Iso27001,
}

impl Framework {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Hipaa, Self::Sox, Self::Gdpr, Self::Soc2, Self::Iso27001];

    /// The name in tenants' files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hipaa => "HIPAA",
            Self::Sox => "SOX",
            Self::Gdpr => "GDPR",
            Self::Soc2 => "SOC2",
            Self::Iso27001 => "ISO27001",
        }
    }

    /// What it is called by those who wrote it, and which text the clauses are of.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Hipaa => "HIPAA Security Rule, 45 CFR Part 164 Subpart C",
            Self::Sox => "Sarbanes-Oxley Act of 2002, controls over financial reporting",
            Self::Gdpr => "General Data Protection Regulation, (EU) 2016/679",
            Self::Soc2 => "SOC 2, Trust Services Criteria 2017 (points of focus 2022)",
            Self::Iso27001 => "ISO/IEC 27001:2022, Annex A",
        }
    }

    /// The framework of a name in a tenant's file; nothing for one whose clauses nobody has mapped here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|framework| framework.as_str() == name)
    }
}

//! Where data and calls may be (specification 2.5). How long data is kept is said by [`retention`](crate::retention).
//!
//! Every flow of a tenant's bytes has one decision before its first byte: [`Sovereignty::clear`]. What it gives is the only
//! [`Cleared`] there is, and what keeps or sends bytes asks for one.
use crate::language::condition::Pattern;
use crate::schema::Sovereignty;
use std::fmt;

/// The region of a node whose configuration names none: the machine it runs on, wherever that stands. A tenant is there
/// only where its lists say so in as many words.
pub const REGION_UNDECLARED: &str = "local";

/// The name of one region, such as `eu-west-1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Region(String);

impl Region {
    /// The region of this name.
    ///
    /// # Errors
    /// What is wrong with the text as a name.
    pub fn named(name: &str) -> Result<Self, String> {
        region_problem(name).map_or_else(|| Ok(Self(name.to_owned())), Err)
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Region {
    fn default() -> Self {
        Self(REGION_UNDECLARED.to_owned())
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Region {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::named(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What is done with bytes of a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// They are kept: journal, documents, index.
    Store,
    /// Answers are remembered.
    Cache,
    /// They are sent to a model: first choice, fallback or embedding.
    Call,
    /// They are handed out as a whole to somebody who may have them.
    Export,
    /// A copy is kept for the case that the first is lost.
    Backup,
    /// The signed head of a journal is given to somebody who keeps it.
    Publish,
    /// Where turns spent their time is told to who watches the node.
    Trace,
    /// Documents are read from a bucket.
    Fetch,
    /// Vectors of passages are kept and searched in a store outside.
    Index,
    /// What lies outside is taken away from there.
    TakeBack,
}

impl Flow {
    fn doing(self) -> &'static str {
        match self {
            Self::Store => "keeping data",
            Self::Cache => "remembering answers",
            Self::Call => "calling a model",
            Self::Export => "exporting data",
            Self::Backup => "backing data up",
            Self::Publish => "publishing a signed head",
            Self::Trace => "sending traces",
            Self::Fetch => "reading documents from a bucket",
            Self::Index => "searching vectors outside the node",
            Self::TakeBack => "taking back what lies outside the node",
        }
    }
}

/// The oldest version of TLS bytes may travel under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum InTransit {
    /// `TLS-1.2`.
    Tls12,
    /// `TLS-1.3`.
    Tls13,
}

impl InTransit {
    /// By the name `encryption.in_transit` has it under; `None` for any other.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "TLS-1.2" => Some(Self::Tls12),
            "TLS-1.3" => Some(Self::Tls13),
            _ => None,
        }
    }
}

/// The proof that a flow of bytes to a region was decided about and is allowed. Made by [`Sovereignty::clear`] and
/// [`Sovereignty::clear_to_take_back`] alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cleared {
    flow: Flow,
    region: Region,
    in_transit: InTransit,
}

impl Cleared {
    /// What may be done.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Where.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Under which TLS at least, where the bytes travel.
    #[must_use]
    pub fn in_transit(&self) -> InTransit {
        self.in_transit
    }

    /// As cleared by another policy as well: the stricter one of both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.in_transit = self.in_transit.max(other.in_transit);
        self
    }
}

impl Sovereignty {
    /// Decides about a flow of bytes to a region, before the first of them.
    ///
    /// # Errors
    /// Why not, in words for the caller: a region that is unknown, forbidden or not allowed; an encryption nobody knows.
    pub fn clear(&self, flow: Flow, region: &str) -> Result<Cleared, String> {
        let refused = |problem: String| format!("{}: {problem} (data-sovereignty.yaml)", flow.doing());
        region_allowed(self, region).map_err(refused)?;
        Ok(Cleared { flow, region: Region(region.to_owned()), in_transit: self.in_transit().map_err(refused)? })
    }

    /// Decides about a request that has deleted what lies in a region. It says by its number what is to go, never what that is,
    /// so that lists which do not allow the region any more cannot keep it there.
    ///
    /// # Errors
    /// An encryption nobody knows.
    pub fn clear_to_take_back(&self, region: &Region) -> Result<Cleared, String> {
        let refused = |problem: String| format!("{}: {problem} (data-sovereignty.yaml)", Flow::TakeBack.doing());
        let in_transit = self.in_transit().map_err(refused)?;
        Ok(Cleared { flow: Flow::TakeBack, region: region.clone(), in_transit })
    }

    fn in_transit(&self) -> Result<InTransit, String> {
        InTransit::named(&self.encryption.in_transit).ok_or_else(|| {
            format!("encryption.in_transit {:?} is not known: write TLS-1.3", self.encryption.in_transit)
        })
    }
}

/// Decides whether data or a call may be in a region. A forbidden region wins over an allowed one; `*` at the end
/// stands for any rest; a region nobody allowed is refused.
///
/// # Errors
/// Why the region is refused, in words for the caller.
pub fn region_allowed(sovereignty: &Sovereignty, region: &str) -> Result<(), String> {
    if region.is_empty() {
        return Err("the region is unknown; ask the operator to state it in config.toml".to_owned());
    }
    if let Some(problem) = region_problem(region) {
        return Err(problem);
    }
    if let Some(forbidden) = sovereignty.forbidden_regions.iter().find(|pattern| Pattern::of(pattern).matches(region)) {
        return Err(format!("region {region} is forbidden by {forbidden:?}"));
    }
    if sovereignty.allowed_regions.iter().any(|pattern| Pattern::of(pattern).matches(region)) {
        return Ok(());
    }
    Err(format!("region {region} is not among the allowed regions ({})", sovereignty.allowed_regions.join(", ")))
}

/// What is wrong with a text as the name of one region; `None` where it is one.
#[must_use]
pub fn region_problem(region: &str) -> Option<String> {
    let fits = !region.is_empty()
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (!fits).then(|| format!("{region:?} is no region: write lower-case letters, digits and hyphens, such as eu-west-1"))
}

/// What is wrong with a text as a pattern of regions: a region, or the beginning of one and `*`.
#[must_use]
pub fn region_pattern_problem(pattern: &str) -> Option<String> {
    region_problem(pattern.strip_suffix('*').unwrap_or(pattern)).map(|_| {
        format!(
            "{pattern:?} is no region pattern: write a region such as eu-west-1, or its beginning and * such as cn-*"
        )
    })
}

#[cfg(test)]
#[path = "sovereignty_tests.rs"]
mod tests;

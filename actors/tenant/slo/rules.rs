//! When a tenant's releases are frozen, when no longer, and who may let one through nevertheless. Pure.
//!
//! A freeze ends when less than nine tenths of the budget are used, by the objective it began under or a stricter one: whoever
//! writes `slo.yaml`, which nobody signs, cannot end it. Two people can, for a time: named users of the tenant with different
//! names and keys, who say the same reason and the same time.
use super::budget::{Budget, Events, Status};
use super::records::{FreezeOverridden, OverrideAsked, ReleasesFrozen};
use crate::entry::Entry;
use crate::slo::windows::Tally;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Principal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a wish to override a freeze waits for the second word.
pub const OVERRIDE_WAITS_MS: u64 = 3_600_000;
/// The longest override.
pub const OVERRIDE_MS_MAX: u64 = 24 * 3_600_000;
/// Characters of a reason, at most.
pub const REASON_CHARS_MAX: usize = 500;

/// Since when releases are frozen, and by what they thaw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Freeze {
    since_unix_ms: u64,
    allowed_ppm: u64,
}

/// An override that is in force, or was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Override {
    by: [String; 2],
    reason: String,
    until_unix_ms: u64,
}

/// All that the journal says of a tenant's service level. Part of the fold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// The events of the last 30 days.
    pub events: Events,
    /// The freeze.
    pub releases: Releases,
}

impl ServiceRecord {
    /// Folds a record in.
    pub fn apply(&mut self, entry: &Entry) {
        if let Entry::TurnsCounted(counted) = entry {
            self.events.note(Tally { good: counted.good, bad: counted.bad }, counted.at_unix_ms);
        }
        self.releases.apply(entry);
    }
}

/// Whether a tenant's releases are frozen.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Releases {
    freeze: Option<Freeze>,
    asked: Option<OverrideAsked>,
    overridden: Option<Override>,
}

/// A freeze as the control plane has to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Frozen {
    /// Since when.
    pub since_unix_ms: u64,
    /// Until when it is overridden, where it is.
    pub overridden_until_unix_ms: Option<u64>,
}

impl Frozen {
    /// Whether nothing may be released now.
    #[must_use]
    pub fn holds(&self, now_unix_ms: u64) -> bool {
        self.overridden_until_unix_ms.is_none_or(|until| until <= now_unix_ms)
    }
}

/// The freeze of a tenant's releases as shown.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct ReleasesView {
    /// Whether nothing new is released now.
    pub frozen: bool,
    /// Since when the error budget is used up; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_since: Option<String>,
    /// What two people have agreed on, while it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overridden: Option<OverrideView>,
    /// What one person wants, and a second has to say as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<OverrideView>,
}

/// An override.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct OverrideView {
    /// Who said so.
    pub by: Vec<String>,
    /// Why.
    pub reason: String,
    /// Minutes it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u64>,
    /// Until when it holds, or waits for the second word; RFC 3339.
    pub until: String,
}

/// What somebody says who wants to release in spite of a freeze.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OverrideWish {
    /// For how long.
    pub for_ms: u64,
    /// Why.
    pub reason: String,
}

impl Releases {
    /// Folds a record in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::ReleasesFrozen(frozen) => {
                let freeze = Freeze { since_unix_ms: frozen.at_unix_ms, allowed_ppm: frozen.allowed_ppm };
                *self = Self { freeze: Some(freeze), ..Self::default() };
            }
            Entry::ReleasesThawed { .. } => *self = Self::default(),
            Entry::OverrideAsked(asked) => self.asked = Some((**asked).clone()),
            Entry::FreezeOverridden(overridden) => {
                self.asked = None;
                self.overridden = Some(Override {
                    by: [overridden.asked_by.0.clone(), overridden.agreed_by.0.clone()],
                    reason: overridden.reason.clone(),
                    until_unix_ms: overridden.until_unix_ms,
                });
            }
            _ => {}
        }
    }

    /// The freeze, where there is one.
    #[must_use]
    pub fn frozen(&self) -> Option<Frozen> {
        self.freeze.map(|freeze| Frozen {
            since_unix_ms: freeze.since_unix_ms,
            overridden_until_unix_ms: self.overridden.as_ref().map(|overridden| overridden.until_unix_ms),
        })
    }

    /// Whether nothing may be released now.
    #[must_use]
    pub fn is_frozen(&self, now_unix_ms: u64) -> bool {
        self.frozen().is_some_and(|frozen| frozen.holds(now_unix_ms))
    }

    /// The record by which a freeze begins or ends, where it does.
    #[must_use]
    pub fn judge(&self, budget: Budget, now_unix_ms: u64) -> Option<Entry> {
        match self.freeze {
            None => (budget.status() == Some(Status::Exhausted)).then(|| {
                Entry::ReleasesFrozen(Box::new(ReleasesFrozen {
                    allowed_ppm: budget.allowed_ppm,
                    good: budget.tally.good,
                    bad: budget.tally.bad,
                    consumed_ms: budget.consumed_ms().unwrap_or_default(),
                    at_unix_ms: now_unix_ms,
                }))
            }),
            Some(freeze) => {
                let strictest = Budget { allowed_ppm: budget.allowed_ppm.min(freeze.allowed_ppm), ..budget };
                strictest.may_thaw().then_some(Entry::ReleasesThawed { at_unix_ms: now_unix_ms })
            }
        }
    }

    /// Somebody's word that something is to be released nevertheless: waits for a second one, or is the second one.
    ///
    /// # Errors
    /// `conflict` where nothing is frozen or an override is in force, `forbidden` for who is no person of the tenant, and for
    /// whoever has said it already.
    pub fn say(&self, wish: OverrideWish, by: &Principal, now_unix_ms: u64) -> Outcome<Entry> {
        let refused =
            |code, detail: &str| Err(Rejection::new(code, format!("overriding the release freeze: {detail}")));
        if self.freeze.is_none() {
            return refused(Code::Conflict, "releases are not frozen; nothing stands in their way");
        }
        if !self.is_frozen(now_unix_ms) {
            return refused(Code::Conflict, "it is overridden already; release what is to be released");
        }
        let Some(user_id) = by.user_id.clone().filter(|_| by.role.is_some()) else {
            let detail = "it takes the words of two people of the tenant; use the key or the token of a user";
            return refused(Code::Forbidden, detail);
        };
        let asked = self.asked.as_ref().filter(|asked| asked.until_unix_ms > now_unix_ms);
        let same = asked.filter(|asked| asked.for_ms == wish.for_ms && asked.reason == wish.reason);
        let Some(asked) = same else {
            return Ok(Entry::OverrideAsked(Box::new(OverrideAsked {
                for_ms: wish.for_ms,
                reason: wish.reason,
                key_id: by.key_id.clone(),
                user_id,
                at_unix_ms: now_unix_ms,
                until_unix_ms: now_unix_ms.saturating_add(OVERRIDE_WAITS_MS),
            })));
        };
        if asked.user_id == user_id || asked.key_id == by.key_id {
            return refused(Code::Forbidden, "whoever asked does not agree as well; somebody else has to say the same");
        }
        Ok(Entry::FreezeOverridden(Box::new(FreezeOverridden {
            reason: asked.reason.clone(),
            asked_by: (asked.user_id.clone(), asked.key_id.clone()),
            agreed_by: (user_id, by.key_id.clone()),
            at_unix_ms: now_unix_ms,
            until_unix_ms: now_unix_ms.saturating_add(asked.for_ms.min(OVERRIDE_MS_MAX)),
        })))
    }

    /// As shown.
    #[must_use]
    pub fn view(&self, now_unix_ms: u64) -> ReleasesView {
        let overridden = self.overridden.as_ref().filter(|overridden| overridden.until_unix_ms > now_unix_ms);
        let asked = self.asked.as_ref().filter(|asked| asked.until_unix_ms > now_unix_ms);
        ReleasesView {
            frozen: self.is_frozen(now_unix_ms),
            frozen_since: self.freeze.map(|freeze| rfc3339(freeze.since_unix_ms)),
            overridden: overridden.map(|overridden| OverrideView {
                by: overridden.by.to_vec(),
                reason: overridden.reason.clone(),
                minutes: None,
                until: rfc3339(overridden.until_unix_ms),
            }),
            asked: asked.map(|asked| OverrideView {
                by: vec![asked.user_id.clone()],
                reason: asked.reason.clone(),
                minutes: Some(asked.for_ms / 60_000),
                until: rfc3339(asked.until_unix_ms),
            }),
        }
    }
}

//! What of a tenant's files is released, so that it may reach people in stages, and what holds for everybody at once.
//!
//! A release is the three policy files, the router's choice of models, and the flags. Beside it stand what may not differ
//! between two people of one tenant: the record with its quotas, users, regions, ceilings of money, the guard, by which the
//! one index is judged, and legal holds. Those are the newest for everybody, and so is every flag's kill switch.
use crate::commit::is_about_signatures;
use crate::compile::{self, EVALUATION, FEATURES, GOVERNANCE, PolicySnapshot, RETRIEVAL, ROUTER};
use crate::diff::changes;
use crate::digest::sha256_hex;
use crate::evaluate::Outcome;
use crate::features::FeaturesFile;
use crate::parse::FileTexts;
use crate::schema::{GovernanceSettings, RouterFile};
use std::sync::Arc;

/// The files a release is made of.
pub const RELEASED: [&str; 5] = [RETRIEVAL, EVALUATION, GOVERNANCE, ROUTER, FEATURES];

/// Names the release these files make: SHA-256 over those of them that belong to it, in hexadecimal.
#[must_use]
pub fn digest_of(texts: &FileTexts) -> String {
    compile::digest(texts.iter().filter(|(file, _)| RELEASED.contains(&file.as_str())))
}

/// The texts of a release by themselves, with their signatures: what is shown of one that was in force before.
#[must_use]
pub fn texts_of(texts: &FileTexts) -> FileTexts {
    let belongs = |file: &str| RELEASED.contains(&file) || is_about_signatures(file);
    texts.iter().filter(|(file, _)| belongs(file)).map(|(file, text)| (file.clone(), text.clone())).collect()
}

impl PolicySnapshot {
    /// What serves those this release does not reach: the release before, under everything that holds for everybody.
    #[must_use]
    pub fn beside(&self, former: &Self) -> Self {
        Self {
            version: former.version.clone(),
            digest: sha256_hex(format!("{} beside {}", former.digest, self.digest).as_bytes()),
            release: former.release.clone(),
            top_k: former.top_k,
            output_forbidden: former.output_forbidden.clone(),
            engine: Arc::clone(&former.engine),
            conflicts: Arc::clone(&former.conflicts),
            governance: GovernanceSettings {
                // a document is kept or it is not: a hold that reached a tenth of the people would keep nothing
                legal_holds: self.governance.legal_holds.clone(),
                ..former.governance.clone()
            },
            evaluation: former.evaluation.clone(),
            router: RouterFile {
                routing: former.router.routing.clone(),
                sla: former.router.sla.clone(),
                ..self.router.clone()
            },
            features: features_beside(&self.features, &former.features),
            control: None,
            ..self.clone()
        }
    }

    /// Whether people would notice nothing of this release beside a former one: then it needs no stages.
    #[must_use]
    pub fn is_released_like(&self, former: &Self) -> bool {
        let beside = self.beside(former);
        // who signs the next one, and how it is released, is felt by nobody now
        let felt = |policy: &Self| GovernanceSettings {
            approvals: 1,
            rollout: None,
            sandbox: None,
            ..policy.governance.clone()
        };
        beside.top_k == self.top_k
            && felt(&beside) == felt(self)
            && beside.evaluation == self.evaluation
            && beside.router == self.router
            && beside.features == self.features
            && beside.engine.rules() == self.engine.rules()
    }

    /// Whether people would notice nothing of this release beside a former one but that more is refused: what is done to stop
    /// something. Rules that are too complicated to be compared are none of these.
    #[must_use]
    pub fn only_refuses_more_than(&self, former: &Self) -> bool {
        let otherwise = Self { engine: Arc::clone(&former.engine), ..self.clone() };
        otherwise.is_released_like(former)
            && changes(former.engine.rules(), self.engine.rules()).is_ok_and(|changes| {
                changes.more == 0 && changes.found.iter().all(|change| change.after == Outcome::Refused)
            })
    }

    /// The same, reaching everybody.
    #[must_use]
    pub fn for_everybody(&self) -> Self {
        Self { control: None, ..self.clone() }
    }

    /// The same, beside a release that serves those it does not reach.
    #[must_use]
    pub fn in_stages(&self, former: &Self) -> Self {
        Self { control: Some(Arc::new(self.beside(former))), ..self.clone() }
    }

    /// What decides where nobody's conversation says which release it is: the one that came through.
    #[must_use]
    pub fn settled(self: &Arc<Self>) -> Arc<Self> {
        self.control.as_ref().map_or_else(|| Arc::clone(self), Arc::clone)
    }

    /// Whether rooms that have adopted this one need not adopt the other.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let control = |policy: &Self| policy.control.as_ref().map(|control| control.digest.clone());
        self.digest == other.digest && control(self) == control(other)
    }
}

/// The flags of the release before, without those that are switched off or gone for good by now.
fn features_beside(newest: &FeaturesFile, former: &FeaturesFile) -> FeaturesFile {
    let mut features = former.features.clone();
    for (name, feature) in &mut features {
        feature.kill_switch |= newest.features.get(name).is_some_and(|newest| newest.kill_switch);
    }
    FeaturesFile { tenant_id: former.tenant_id.clone(), features }
}

#[cfg(test)]
#[path = "release_tests.rs"]
mod tests;

//! One search by words and meaning, and what decides whether it is one.
use super::super::corpus::Corpus;
use super::super::fusion::{Rule, Scored};
use super::super::index::{IndexError, Spot};
use super::super::truth::{Truth, TruthError};
use super::arm::{Arm, OutsideStanding};
use super::asking::Door;
use super::matrix::{Matrix, exact};
use super::views::{DenseView, OutsideView};
use crate::question::Passage;
use crate::vector_store::TenantCollection;
use bailiwick_kernel::limits::LOOKUP_MS_MAX;
use bailiwick_policy::access::Principal;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::dense::{DenseSettings, Judged, Learnt};
use bailiwick_policy::stores::namespace_written;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Embedding a question may use this part of a request's remaining time: what is then found must still be answered from.
const PART_OF_TIME: u32 = 4;

/// What a question means, and everything it takes to search by that.
pub struct Meaning {
    /// The passages' vectors.
    pub arm: Arc<Arm>,
    /// Those as they were embedded.
    pub truth: Arc<Truth>,
    /// The question's.
    pub vector: Arc<[f32]>,
    /// The collection it is searched in; the node's memory where there is none.
    pub outside: Option<Arc<TenantCollection>>,
    /// How the two rankings become one.
    pub rule: Rule,
}

/// How passages are looked for.
pub enum Way {
    /// By their words: the tenant wants nothing else.
    Words,
    /// By words and meaning.
    Both(Meaning),
    /// By their words, for this reason.
    WordsBecause(String),
}

/// What was found, and how.
pub struct Found {
    /// The passages, best first.
    pub passages: Vec<Passage>,
    /// By words and meaning; where not, and it should have been, why.
    pub hybrid: Result<(), String>,
}

/// Why a search by meaning came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The index; a rebuild cures it.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The vectors.
    #[error(transparent)]
    Truth(#[from] TruthError),
    /// The collection they are searched in.
    #[error("{0}")]
    Outside(String),
}

/// What a collection outside has found, to be held against the index once more.
pub struct Nearby {
    /// The points it named, in order; why none.
    pub ids: Result<Vec<u64>, String>,
    /// The chunks that could be found, by place, in order.
    pub found: Vec<(u64, Spot)>,
}

/// The rule of a tenant's settings as they are written.
#[must_use]
pub fn rule(settings: &DenseSettings) -> Rule {
    Rule { fusion: settings.fusion, weight: settings.weight }
}

/// The passages of each of the two rankings, before they are one.
pub struct Arms {
    /// By words.
    pub lexical: Vec<Scored<Spot>>,
    /// By meaning.
    pub dense: Vec<Scored<Spot>>,
    /// What stands there.
    pub passages: BTreeMap<Spot, Passage>,
}

/// The vectors, and where they are searched.
struct Searched {
    arm: Arc<Arm>,
    outside: Option<Arc<TenantCollection>>,
}

impl Corpus {
    /// Whether passages are found by their meaning too under a tenant's settings.
    ///
    /// # Errors
    /// Why not.
    fn dense_in_force(&self, policy: &PolicySnapshot, settings: &DenseSettings) -> Result<Searched, String> {
        settings.in_force(self.dense.judged.load().as_deref())?;
        self.searched(policy, settings)
    }

    /// The vectors and where they are searched, whether or not they are used.
    fn searched(&self, policy: &PolicySnapshot, settings: &DenseSettings) -> Result<Searched, String> {
        let namespace = policy.tenant.index_namespace();
        let outside = namespace.map(|namespace| self.collection(namespace)).transpose()?;
        let arm = self.dense.arm.load_full().filter(|arm| arm.is_of(&settings.model, namespace));
        let arm = arm.ok_or_else(|| "the passages' vectors are being read".to_owned())?;
        let is_there = arm.outline().is_none_or(|outline| outline.is_filled());
        match namespace {
            Some(namespace) if !is_there => {
                Err(format!("the passages' vectors are being brought to {}", namespace_written(namespace)))
            }
            _ => Ok(Searched { arm, outside }),
        }
    }

    /// The collection of a namespace, where it may be used.
    fn collection(&self, namespace: &str) -> Result<Arc<TenantCollection>, String> {
        let collection = self.collections.get(namespace).ok_or_else(|| {
            format!("no vector store {} is declared for this tenant in config.toml", namespace_written(namespace))
        })?;
        collection.may_be_used()?;
        Ok(Arc::clone(collection))
    }

    /// How the search by meaning stands, where the tenant wants it.
    #[must_use]
    pub fn dense_view(&self) -> Option<DenseView> {
        let policy = self.policy.load();
        let settings = policy.dense.as_ref()?;
        let (standing, in_force) = (self.dense.standing(), self.dense_in_force(&policy, settings));
        Some(DenseView {
            model: settings.model.clone(),
            in_force: in_force.is_ok(),
            indexed: standing.indexed,
            pending: standing.pending,
            skipped: standing.skipped,
            reason: in_force.err().or(standing.trouble),
            judged: self.dense.judged.load_full().map(|judged| Judged::clone(&judged)),
            weight: settings.weight_in_force(self.dense.learnt.load().as_deref()),
            learnt: self.dense.learnt.load_full().map(|learnt| Learnt::clone(&learnt)),
            outside: policy.tenant.index_namespace().map(|namespace| self.outside_view(namespace)),
        })
    }

    fn outside_view(&self, namespace: &str) -> OutsideView {
        let OutsideStanding { points, waiting, owed, trouble, .. } = self.dense.outside();
        let region = self.collections.get(namespace).map(|collection| collection.region().to_string());
        OutsideView { namespace: namespace_written(namespace), region, points, waiting, owed, trouble }
    }

    /// How a question's passages are looked for: by words and meaning where that is in force and the question can be
    /// embedded in time, with the asker's own money and leave.
    pub async fn way(
        self: &Arc<Self>,
        door: &Door,
        policy: &PolicySnapshot,
        question: &str,
        asker: &Principal,
        patience: Duration,
    ) -> Way {
        let Some(settings) = &policy.dense else { return Way::Words };
        match self.dense_in_force(policy, settings) {
            Ok(searched) => {
                let weight = settings.weight_in_force(self.dense.learnt.load().as_deref());
                let rule = Rule { weight, ..rule(settings) };
                self.meaning(door, (settings, searched, rule), question, asker, patience).await
            }
            Err(reason) => Way::WordsBecause(reason),
        }
    }

    /// The way by words and meaning as the settings are written, whether or not it is in force: for whoever compares the two.
    pub(super) async fn way_in_any_case(
        self: &Arc<Self>,
        door: &Door,
        (policy, settings): (&PolicySnapshot, &DenseSettings),
        question: &str,
        asker: &Principal,
    ) -> Way {
        match self.searched(policy, settings) {
            Ok(searched) => {
                let patience = Duration::from_millis(LOOKUP_MS_MAX) * PART_OF_TIME;
                self.meaning(door, (settings, searched, rule(settings)), question, asker, patience).await
            }
            Err(reason) => Way::WordsBecause(reason),
        }
    }

    async fn meaning(
        self: &Arc<Self>,
        door: &Door,
        (settings, searched, rule): (&DenseSettings, Searched, Rule),
        question: &str,
        asker: &Principal,
        patience: Duration,
    ) -> Way {
        let truth = match self.truth().await {
            Ok(truth) => truth,
            Err(rejection) => return Way::WordsBecause(rejection.detail),
        };
        let vector = match self.dense.known(&settings.model, question) {
            Some(vector) => vector,
            None => match self.embedded(door, settings, question, asker, patience).await {
                Ok(vector) => vector,
                Err(reason) => return Way::WordsBecause(reason),
            },
        };
        let Searched { arm, outside } = searched;
        Way::Both(Meaning { arm, truth, vector, outside, rule })
    }

    async fn embedded(
        &self,
        door: &Door,
        settings: &DenseSettings,
        question: &str,
        asker: &Principal,
        patience: Duration,
    ) -> Result<Arc<[f32]>, String> {
        let within = (patience / PART_OF_TIME).min(Duration::from_millis(LOOKUP_MS_MAX));
        let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let texts = [question];
        let embedding = door.embed(&settings.model, &texts, asker.clone(), deadline_ms);
        let embedded = tokio::time::timeout(within, embedding).await;
        let embedded = embedded.map_err(|_elapsed| "the question was embedded too slowly".to_owned())?;
        let embedded = embedded.map_err(|rejection| format!("the question was not embedded: {}", rejection.detail))?;
        let vector: Arc<[f32]> = embedded.into_iter().next().unwrap_or_default().into();
        self.dense.remember(&settings.model, question, Arc::clone(&vector));
        Ok(vector)
    }
}

/// What a collection outside has named, nearest first by the vectors as they were embedded: how near it says they are counts for
/// nothing. Equal ones in the order of their places.
pub(in super::super) fn reckoned(meaning: &Meaning, nearby: Nearby, most: usize) -> Result<Vec<Scored<Spot>>, Failed> {
    let Nearby { ids, found } = nearby;
    let mut near = Vec::new();
    for id in ids.map_err(Failed::Outside)? {
        let spot = found.binary_search_by_key(&id, |(place, _)| *place).ok().and_then(|at| found.get(at));
        let vector = meaning.truth.vector(id)?.filter(|vector| vector.len() == meaning.vector.len());
        if let (Some((_, spot)), Some(vector)) = (spot, vector) {
            near.push(Scored { key: *spot, score: exact(&meaning.vector, &vector) });
        }
    }
    near.sort_by(|one, other| other.score.total_cmp(&one.score));
    near.truncate(most);
    Ok(near)
}

/// The vector of a row as it was embedded.
pub(in super::super) fn exactly(matrix: &Matrix, truth: &Truth, row: u32) -> Result<Option<Vec<f32>>, TruthError> {
    match matrix.place(row) {
        Some(place) => truth.vector(place),
        None => Ok(None),
    }
}

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

/// Questions embedded by one call, at most.
const QUESTIONS_AT_ONCE: usize = 32;
const NOT_EMBEDDED: &str = "the question was not embedded";
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

/// The vectors passages are found by, and how what they find joins what words find.
#[derive(Clone)]
pub struct InForce {
    /// The passages' vectors.
    pub arm: Arc<Arm>,
    /// The collection they are searched in; the node's memory where there is none.
    pub outside: Option<Arc<TenantCollection>>,
    /// How the two rankings become one.
    pub rule: Rule,
}

impl InForce {
    /// What it takes to search for a question of this vector.
    #[must_use]
    pub fn meaning(&self, truth: &Arc<Truth>, vector: &Arc<[f32]>) -> Meaning {
        let Self { arm, outside, rule } = self.clone();
        Meaning { arm, truth: Arc::clone(truth), vector: Arc::clone(vector), outside, rule }
    }
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

impl Corpus {
    /// By which vectors passages are found too under a tenant's settings.
    ///
    /// # Errors
    /// Why by none.
    pub fn dense_in_force(&self, policy: &PolicySnapshot, settings: &DenseSettings) -> Result<InForce, String> {
        settings.in_force(self.dense.judged.load().as_deref())?;
        let weight = settings.weight_in_force(self.dense.learnt.load().as_deref());
        self.by(policy, settings, Rule { weight, ..rule(settings) })
    }

    /// The vectors and where they are searched, whether or not they are used.
    fn by(&self, policy: &PolicySnapshot, settings: &DenseSettings, rule: Rule) -> Result<InForce, String> {
        let namespace = policy.tenant.index_namespace();
        let outside = namespace.map(|namespace| self.collection(namespace)).transpose()?;
        let arm = self.dense.arm.load_full().ok_or_else(|| "the passages' vectors are being read".to_owned())?;
        if arm.model != settings.model {
            return Err("the passages have vectors of another model".to_owned());
        }
        if !arm.is_of(&settings.model, namespace) {
            return Err("the passages' vectors are being read".to_owned());
        }
        let is_there = arm.outline().is_none_or(|outline| outline.is_filled());
        match namespace {
            Some(namespace) if !is_there => {
                Err(format!("the passages' vectors are being brought to {}", namespace_written(namespace)))
            }
            _ => Ok(InForce { arm, outside, rule }),
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
            Ok(in_force) => self.meaning(door, in_force, question, asker, patience).await,
            Err(reason) => Way::WordsBecause(reason),
        }
    }

    /// The vectors with the rule as the settings are written, whether or not they are in force: for whoever compares the two.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) fn in_any_case(&self, policy: &PolicySnapshot, settings: &DenseSettings) -> Result<InForce, String> {
        self.by(policy, settings, rule(settings))
    }

    async fn meaning(
        self: &Arc<Self>,
        door: &Door,
        in_force: InForce,
        question: &str,
        asker: &Principal,
        patience: Duration,
    ) -> Way {
        let truth = match self.truth().await {
            Ok(truth) => truth,
            Err(rejection) => return Way::WordsBecause(rejection.detail),
        };
        let within = (patience / PART_OF_TIME).min(Duration::from_millis(LOOKUP_MS_MAX));
        match self.embedded(door, &in_force.arm.model, &[question], asker, within).await.as_deref() {
            Ok([vector]) => Way::Both(in_force.meaning(&truth, vector)),
            Ok(_) => Way::WordsBecause(NOT_EMBEDDED.to_owned()),
            Err(reason) => Way::WordsBecause(reason.clone()),
        }
    }

    /// What questions mean, in their order. Those that are not known yet are embedded, several by one call, all of them within
    /// a time, with somebody's money and leave.
    ///
    /// # Errors
    /// Why one of them could not be had.
    pub async fn embedded(
        &self,
        door: &Door,
        model: &str,
        questions: &[&str],
        asker: &Principal,
        within: Duration,
    ) -> Result<Vec<Arc<[f32]>>, String> {
        let mut vectors: Vec<_> =
            questions.iter().map(|question| (*question, self.dense.known(model, question))).collect();
        let mut unknown: Vec<_> = vectors.iter_mut().filter(|(_, vector)| vector.is_none()).collect();
        let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let embedding = async {
            for batch in unknown.chunks_mut(QUESTIONS_AT_ONCE) {
                let texts: Vec<&str> = batch.iter().map(|(question, _)| *question).collect();
                let embedded = door.embed(model, &texts, asker.clone(), deadline_ms).await;
                let embedded = embedded.map_err(|rejection| rejection.detail)?;
                for ((question, vector), embedded) in batch.iter_mut().zip(embedded) {
                    let known: Arc<[f32]> = embedded.into();
                    self.dense.remember(model, question, Arc::clone(&known));
                    *vector = Some(known);
                }
            }
            Ok(())
        };
        let embedded = tokio::time::timeout(within, embedding).await;
        let embedded = embedded.map_err(|_elapsed| "the question was embedded too slowly".to_owned())?;
        embedded.map_err(|detail: String| format!("{NOT_EMBEDDED}: {detail}"))?;
        vectors.into_iter().map(|(_, vector)| vector.ok_or_else(|| NOT_EMBEDDED.to_owned())).collect()
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

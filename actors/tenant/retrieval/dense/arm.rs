//! What one tenant's search by meaning has in memory: its vectors, a few questions, and how it stands. Dropped when the
//! index closes.
use super::matrix::Matrix;
use crate::digest::sha256;
use arc_swap::ArcSwapOption;
use bailiwick_kernel::limits::DENSE_BYTES_MAX;
use bailiwick_policy::dense::{Judged, Learnt};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Questions whose vectors are remembered.
const QUESTIONS_MAX: usize = 256;

/// The vectors of one tenant, of one model.
#[derive(Debug)]
pub struct Arm {
    /// Which model's.
    pub model: String,
    matrix: RwLock<Matrix>,
}

impl Arm {
    /// No vectors yet.
    #[must_use]
    pub fn of(model: &str) -> Self {
        Self { model: model.to_owned(), matrix: RwLock::new(Matrix::new(DENSE_BYTES_MAX)) }
    }

    /// Its vectors, to search in.
    pub fn read(&self) -> RwLockReadGuard<'_, Matrix> {
        self.matrix.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its vectors, to be changed; searches wait meanwhile.
    pub fn write(&self) -> RwLockWriteGuard<'_, Matrix> {
        self.matrix.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the search by meaning stands, as it is told.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DenseView {
    /// The model that embeds.
    pub model: String,
    /// Passages are found by words and meaning now; by words alone otherwise.
    pub in_force: bool,
    /// Passages with a vector.
    pub indexed: u64,
    /// Passages that wait for theirs.
    pub pending: u64,
    /// Passages no vector could be had for; they are found by their words alone.
    pub skipped: u64,
    /// Why it is not in force, or why passages wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What golden questions came to with and without it, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
    /// Weight of the ranking by meaning now.
    pub weight: f64,
    /// What accepted answers and golden questions came to for the weight, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnt: Option<Learnt>,
}

/// How far the background has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// Passages with a vector.
    pub indexed: u64,
    /// Passages that wait.
    pub pending: u64,
    /// Passages given up.
    pub skipped: u64,
    /// What keeps the others waiting, where something does.
    pub trouble: Option<String>,
    /// Times it has come to the end of what there was to do.
    pub rounds: u64,
}

#[derive(Debug, Default)]
struct Questions {
    known: HashMap<[u8; 32], Arc<[f32]>>,
    order: VecDeque<[u8; 32]>,
}

/// The state of one tenant's search by meaning.
#[derive(Debug, Default)]
pub struct Dense {
    /// The vectors, while the index is open.
    pub arm: ArcSwapOption<Arm>,
    /// What golden questions came to.
    pub judged: ArcSwapOption<Judged>,
    /// What they, and accepted answers, came to for the weight.
    pub learnt: ArcSwapOption<Learnt>,
    standing: watch::Sender<Standing>,
    nudge: Notify,
    questions: Mutex<Questions>,
}

impl Dense {
    /// Something may have changed for the background to look at.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Resolves when something may have changed since it resolved last.
    pub async fn nudged(&self) {
        self.nudge.notified().await;
    }

    /// How far the background has come.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Says how far the background has come.
    pub fn stand(&self, change: impl FnOnce(&mut Standing)) {
        self.standing.send_modify(change);
    }

    /// Waits until a model's vectors are in memory; no longer than this.
    pub async fn loaded(&self, model: &str, within: Duration) {
        let mut standing = self.standing.subscribe();
        let is_loaded = |_: &Standing| self.arm.load().as_ref().is_some_and(|arm| arm.model == model);
        let _whether_or_not = tokio::time::timeout(within, standing.wait_for(is_loaded)).await;
    }

    /// Waits until the background stands so.
    #[cfg(test)]
    pub async fn stands(&self, so: impl FnMut(&Standing) -> bool) -> Standing {
        self.standing.subscribe().wait_for(so).await.unwrap().clone()
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a question means, where it was asked lately.
    #[must_use]
    pub fn known(&self, model: &str, question: &str) -> Option<Arc<[f32]>> {
        self.questions().known.get(&name(model, question)).cloned()
    }

    /// Remembers what a question means, in the stead of the oldest where there is no room.
    pub fn remember(&self, model: &str, question: &str, vector: Arc<[f32]>) {
        let (mut questions, name) = (self.questions(), name(model, question));
        if questions.known.insert(name, vector).is_some() {
            return;
        }
        questions.order.push_back(name);
        if questions.order.len() > QUESTIONS_MAX
            && let Some(oldest) = questions.order.pop_front()
        {
            questions.known.remove(&oldest);
        }
    }

    /// Drops what is in memory: the index closes.
    pub fn drop_arm(&self) {
        self.arm.store(None);
        *self.questions() = Questions::default();
    }
}

/// By a digest, so that no question stands in memory for its vector's sake.
fn name(model: &str, question: &str) -> [u8; 32] {
    sha256(&[model.as_bytes(), &[0], question.as_bytes()].concat())
}

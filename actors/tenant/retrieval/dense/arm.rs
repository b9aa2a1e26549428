//! What one tenant's search by meaning has in memory: its vectors, a few questions, and how it stands. Dropped when the
//! index closes.
use super::super::index::of_place;
use super::matrix::{Matrix, Unfit};
use super::outline::Outline;
use super::vectors::Placed;
use crate::digest::sha256;
use arc_swap::ArcSwapOption;
use bailiwick_kernel::limits::{DENSE_BYTES_MAX, OUTSIDE_POINTS_MAX};
use bailiwick_policy::dense::{Judged, Learnt};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
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
    vectors: Vectors,
}

/// Where they are searched.
#[derive(Debug)]
enum Vectors {
    /// In memory.
    Here(RwLock<Matrix>),
    /// In a collection outside.
    Outside { namespace: String, outline: RwLock<Outline> },
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl Arm {
    /// No vectors yet, to be searched in the collection of a namespace where there is one, in memory otherwise.
    #[must_use]
    pub fn of(model: &str, namespace: Option<&str>) -> Self {
        let vectors = match namespace {
            None => Vectors::Here(RwLock::new(Matrix::new(DENSE_BYTES_MAX))),
            Some(namespace) => Vectors::Outside {
                namespace: namespace.to_owned(),
                outline: RwLock::new(Outline::new(OUTSIDE_POINTS_MAX)),
            },
        };
        Self { model: model.to_owned(), vectors }
    }

    /// Whether it is this model's, searched there.
    #[must_use]
    pub fn is_of(&self, model: &str, namespace: Option<&str>) -> bool {
        let own = match &self.vectors {
            Vectors::Here(_) => None,
            Vectors::Outside { namespace, .. } => Some(namespace.as_str()),
        };
        self.model == model && own == namespace
    }

    /// Its vectors in memory, to search in.
    #[must_use]
    pub fn matrix(&self) -> Option<RwLockReadGuard<'_, Matrix>> {
        match &self.vectors {
            Vectors::Here(matrix) => Some(read(matrix)),
            Vectors::Outside { .. } => None,
        }
    }

    /// What of it lies outside.
    #[must_use]
    pub fn outline(&self) -> Option<RwLockReadGuard<'_, Outline>> {
        match &self.vectors {
            Vectors::Here(_) => None,
            Vectors::Outside { outline, .. } => Some(read(outline)),
        }
    }

    /// What of it lies outside, to be changed.
    #[must_use]
    pub fn outline_mut(&self) -> Option<RwLockWriteGuard<'_, Outline>> {
        match &self.vectors {
            Vectors::Here(_) => None,
            Vectors::Outside { outline, .. } => Some(write(outline)),
        }
    }

    /// Vectors it has.
    #[must_use]
    pub fn count(&self) -> usize {
        match &self.vectors {
            Vectors::Here(matrix) => read(matrix).count(),
            Vectors::Outside { outline, .. } => read(outline).count(),
        }
    }

    /// Whether so many vectors of so many numbers would be taken in.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn fits(&self, numbers: usize, vectors: usize) -> Result<(), Unfit> {
        match &self.vectors {
            Vectors::Here(matrix) => read(matrix).fits(numbers, vectors),
            Vectors::Outside { outline, .. } => read(outline).fits(numbers, vectors),
        }
    }

    /// Whether so many more of its own length would be.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn has_room(&self, vectors: usize) -> Result<(), Unfit> {
        let numbers = match &self.vectors {
            Vectors::Here(matrix) => read(matrix).dimensions(),
            Vectors::Outside { outline, .. } => read(outline).dimensions(),
        };
        self.fits(numbers, vectors)
    }

    /// Takes in vectors that are on the shelf; searches in memory wait meanwhile.
    ///
    /// # Errors
    /// [`Unfit`]; those before are in.
    pub fn put(&self, vectors: &[Placed]) -> Result<(), Unfit> {
        match &self.vectors {
            Vectors::Here(matrix) => {
                let mut matrix = write(matrix);
                vectors.iter().try_for_each(|placed| matrix.put(placed.place, &placed.vector))
            }
            Vectors::Outside { outline, .. } => {
                let mut outline = write(outline);
                vectors.iter().try_for_each(|placed| outline.put(placed.place, placed.vector.len()))
            }
        }
    }

    /// Drops the vectors of versions that are not wanted any more.
    pub fn retain(&self, wanted: impl Fn(u64) -> bool) {
        match &self.vectors {
            Vectors::Here(matrix) => write(matrix).retain(|place| wanted(of_place(place).0)),
            Vectors::Outside { outline, .. } => write(outline).retain(wanted),
        }
    }
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

/// How the collection outside stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OutsideStanding {
    /// Passages whose vectors are there.
    pub points: u64,
    /// Passages whose vectors are not there yet.
    pub waiting: u64,
    /// Versions of documents whose points are not known to be gone.
    pub owed: u64,
    /// What keeps any of it waiting.
    pub trouble: Option<String>,
    /// Times the background has come to the end of what there was to do.
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
    /// The vectors that are searched outside, from when they were read: what the background there keeps up.
    pub outlined: ArcSwapOption<Arm>,
    /// Held while a collection outside is changed, and while it is read how it stands.
    pub mirroring: tokio::sync::Mutex<()>,
    standing: watch::Sender<Standing>,
    outside: watch::Sender<OutsideStanding>,
    nudge: Notify,
    nudge_outside: Notify,
    is_suspect: AtomicBool,
    questions: Mutex<Questions>,
}

impl Dense {
    /// Something may have changed for the background to look at.
    pub fn nudge(&self) {
        self.nudge.notify_one();
        self.nudge_outside.notify_one();
    }

    /// Something may have changed for the collection outside.
    pub fn nudge_outside(&self) {
        self.nudge_outside.notify_one();
    }

    /// Resolves when something may have changed for the collection outside since it resolved last.
    pub async fn nudged_outside(&self) {
        self.nudge_outside.notified().await;
    }

    /// A search found the collection outside not as it should be: it is looked at.
    pub fn suspect(&self) {
        self.is_suspect.store(true, Ordering::Relaxed);
        self.nudge_outside.notify_one();
    }

    /// Whether it is to be looked at.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.is_suspect.load(Ordering::Relaxed)
    }

    /// It was looked at.
    pub fn trust(&self) {
        self.is_suspect.store(false, Ordering::Relaxed);
    }

    /// How the collection outside stands.
    #[must_use]
    pub fn outside(&self) -> OutsideStanding {
        self.outside.borrow().clone()
    }

    /// Says how the collection outside stands.
    pub fn stand_outside(&self, change: impl FnOnce(&mut OutsideStanding)) {
        self.outside.send_modify(change);
    }

    /// Waits until the collection outside stands so.
    #[cfg(test)]
    pub async fn stands_outside(&self, so: impl FnMut(&OutsideStanding) -> bool) -> OutsideStanding {
        self.outside.subscribe().wait_for(so).await.unwrap().clone()
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
        self.outlined.store(None);
        *self.questions() = Questions::default();
    }
}

/// By a digest, so that no question stands in memory for its vector's sake.
fn name(model: &str, question: &str) -> [u8; 32] {
    sha256(&[model.as_bytes(), &[0], question.as_bytes()].concat())
}

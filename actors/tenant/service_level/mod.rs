//! Whether one tenant's service level is kept, judged inside the tenant by what its own turns came to. Experimental flags
//! are off while it is not (specification 2.7, `disableExperimentalFeatures`). `rules.rs` judges; this is the place where
//! the turns' many tasks note how they ended.
pub mod rules;
#[cfg(test)]
mod tests;

use bailiwick_policy::flags::ServiceLevel;
use bailiwick_policy::schema::Objectives;
use rules::{Ended, LevelView, Watch};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The watch of one tenant, shared by its turns.
#[derive(Debug)]
pub struct SharedWatch(Mutex<Watch>);

impl SharedWatch {
    /// A watch that knows nothing yet.
    #[must_use]
    pub fn new(objectives: &Objectives) -> Self {
        Self(Mutex::new(Watch::new(objectives)))
    }

    /// Notes how a turn ended; the new level where this has changed it.
    pub fn note(&self, ended: Ended, now_unix_ms: u64) -> Option<ServiceLevel> {
        self.lock().note(ended, now_unix_ms)
    }

    /// Judges by other objectives from now on.
    pub fn adopt(&self, objectives: &Objectives) {
        self.lock().adopt(objectives);
    }

    /// The level now.
    #[must_use]
    pub fn view(&self) -> LevelView {
        self.lock().view()
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        // nothing that can panic runs under the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

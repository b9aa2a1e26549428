//! How good one tenant's answers are, measured without a judge: golden questions go the way every question goes, what comes
//! back is compared with what is known, and the figures stand in the journal (specification 1, eval loop); every other answer
//! is held against the passages it was given from (`online.rs`). What is measured is pure; the supervisor asks.
pub mod answers;
pub mod estimate;
pub mod judge;
pub mod messages;
pub mod online;
pub mod prediction;
pub mod records;
pub mod rules;
pub mod schedule;
#[cfg(test)]
mod tests;
mod tokens;

use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How far the evaluation under way is; one at a time, whatever becomes of the rooms meanwhile.
#[derive(Clone, Default, Debug)]
pub struct SharedProgress(Arc<Mutex<Option<Progress>>>);

/// How far an evaluation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Progress {
    /// Questions asked.
    pub asked: u64,
    /// Questions there are.
    pub questions: u64,
}

/// The right to be the evaluation under way; gone with its end, however it ends.
#[derive(Debug)]
pub struct UnderWay(SharedProgress);

impl SharedProgress {
    fn lock(&self) -> MutexGuard<'_, Option<Progress>> {
        // nothing that can panic runs under the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an evaluation.
    ///
    /// # Errors
    /// `conflict` where one is under way.
    pub fn begin(&self, questions: u64) -> Outcome<UnderWay> {
        let mut progress = self.lock();
        if progress.is_some() {
            let detail = "evaluating: the tenant's golden questions are being asked already; wait until they have been";
            return Err(Rejection::new(Code::Conflict, detail));
        }
        *progress = Some(Progress { asked: 0, questions });
        Ok(UnderWay(self.clone()))
    }

    /// How far it is; nothing where none is under way.
    #[must_use]
    pub fn view(&self) -> Option<Progress> {
        *self.lock()
    }
}

impl UnderWay {
    /// Notes that one more question was asked.
    pub fn step(&self) {
        if let Some(progress) = self.0.lock().as_mut() {
            progress.asked = progress.asked.saturating_add(1);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

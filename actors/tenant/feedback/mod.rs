//! Judgements of answers, and what follows from them (specification 1, feedback): a passage somebody rejected costs its
//! document a step of trust, for everybody, until it is taken back; an answer somebody accepted may become a golden question.
//! Which step, how far, and what gives it back is pure; the supervisor writes it down, the retrieval room heeds it.
pub mod messages;
pub mod records;
pub mod rules;
#[cfg(test)]
mod tests;

use arc_swap::ArcSwap;
use rules::Distrust;
use std::sync::Arc;

/// The trust documents have lost, as far as the journal has been folded: written by the supervisor, read by every search.
#[derive(Debug, Default)]
pub struct SharedDistrust(ArcSwap<Distrust>);

impl SharedDistrust {
    /// As the journal has it at opening.
    #[must_use]
    pub fn new(distrust: Distrust) -> Self {
        Self(ArcSwap::from_pointee(distrust))
    }

    /// What is lost now.
    #[must_use]
    pub fn view(&self) -> Arc<Distrust> {
        self.0.load_full()
    }

    /// Documents begin anew: they were replaced, and the journal says so.
    pub fn forget<'a>(&self, ids: impl Iterator<Item = &'a str> + Clone) {
        if self.0.load().documents().next().is_some() {
            self.0.rcu(|distrust| distrust.without(ids.clone()));
        }
    }

    /// What is lost from now on.
    pub fn set(&self, distrust: Distrust) {
        self.0.store(Arc::new(distrust));
    }
}

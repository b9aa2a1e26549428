//! The sheet a turn carries its rate figures on, from the rooms that count to the edge that tells the caller.
use std::sync::{Mutex, PoisonError};

/// The limit with the least left, as it stood when it was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figure {
    /// Units the limit allows in its window.
    pub limit: u64,
    /// Whole units left.
    pub remaining: u64,
    /// Nanoseconds until all of it is left again, rounded up.
    pub reset_ns: u64,
}

/// The figures of one turn; `None` where nothing limits it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateFigures {
    /// Of requests.
    pub requests: Option<Figure>,
    /// Of tokens.
    pub tokens: Option<Figure>,
}

/// Where the rooms of one turn note their figures. The last note of a kind stands.
#[derive(Debug, Default)]
pub struct RateSheet(Mutex<RateFigures>);

impl RateSheet {
    /// Notes the figure of requests.
    pub fn note_requests(&self, figure: Option<Figure>) {
        self.change(|figures| figures.requests = figure);
    }

    /// Notes the figure of tokens.
    pub fn note_tokens(&self, figure: Option<Figure>) {
        self.change(|figures| figures.tokens = figure);
    }

    /// What was noted so far.
    #[must_use]
    pub fn read(&self) -> RateFigures {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut RateFigures)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

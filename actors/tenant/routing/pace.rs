//! The pace of calls to one provider, over all tenants of the node: what the provider itself would refuse is not sent.
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Jitter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;

/// Callers that wait for the same cell do not come back at the same moment.
const SPREAD: Duration = Duration::from_millis(5);

/// The pace of one provider. Its whole minute may be called at once and is then refilled continuously.
#[derive(Debug)]
pub struct Pace(Option<DefaultDirectRateLimiter>);

/// No call within the time the caller has; one fits after this long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooFast(pub Duration);

impl Pace {
    /// A pace of so many requests a minute; without a number, or with 0, nothing holds a call back.
    #[must_use]
    pub fn per_minute(requests: Option<u32>) -> Self {
        let quota = requests.and_then(NonZeroU32::new).map(Quota::per_minute);
        Self(quota.map(RateLimiter::direct))
    }

    /// Waits for the cell of one call, and takes it.
    ///
    /// # Errors
    /// [`TooFast`], at once, where it does not come within `patience`.
    pub async fn cell(&self, patience: Duration) -> Result<(), TooFast> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        let clock = DefaultClock::default();
        let begun = tokio::time::Instant::now();
        while let Err(until) = limiter.check() {
            let wait = until.wait_time_from(clock.now());
            if wait > patience.saturating_sub(begun.elapsed()) {
                return Err(TooFast(wait));
            }
            tokio::time::sleep(Jitter::up_to(SPREAD) + wait).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Pace, TooFast};
    use std::time::Duration;

    #[tokio::test]
    async fn a_minute_may_come_at_once_and_no_more() {
        let pace = Pace::per_minute(Some(3));
        for _ in 0..3 {
            pace.cell(Duration::ZERO).await.unwrap();
        }
        let TooFast(wait) = pace.cell(Duration::from_millis(1)).await.unwrap_err();
        assert!(wait <= Duration::from_secs(20), "a third of a minute is one cell, not {wait:?}");
        assert_eq!(Pace::per_minute(None).cell(Duration::ZERO).await, Ok(()));
    }

    #[tokio::test]
    async fn a_call_waits_for_a_cell_that_comes_in_time() {
        let pace = Pace::per_minute(Some(60_000));
        let mut waited = 0;
        // a cell comes back every millisecond, so the callers have to outrun that to find none
        while waited < 3 {
            if pace.cell(Duration::ZERO).await.is_err() {
                pace.cell(Duration::from_secs(20)).await.unwrap();
                waited += 1;
            }
        }
    }
}

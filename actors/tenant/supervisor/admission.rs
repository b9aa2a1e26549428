//! Admission: rate, concurrency, deadline, policy. The right was checked where the handle was minted.
use crate::question::Matter;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What one tenant may have in flight and per hour (specification 2.2 `quotas`).
#[derive(Debug)]
pub(super) struct Admission {
    rate: Option<DefaultDirectRateLimiter>,
    requests_per_hour: u32,
    in_flight: Arc<Semaphore>,
    concurrent: u32,
    /// Places of earlier quotas, still taken by turns admitted under them.
    earlier: Vec<(Arc<Semaphore>, u32)>,
}

impl Admission {
    pub(super) fn new(policy: &PolicySnapshot) -> Self {
        let quotas = &policy.tenant.quotas;
        let rate = NonZeroU32::new(quotas.max_requests_per_hour)
            .map(|per_hour| RateLimiter::direct(Quota::per_hour(per_hour)));
        let concurrent = quotas.max_concurrent_requests;
        let in_flight = Arc::new(Semaphore::new(usize::try_from(concurrent).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { rate, requests_per_hour: quotas.max_requests_per_hour, in_flight, concurrent, earlier: Vec::new() }
    }

    /// Takes other quotas over; the same quotas keep their counters.
    pub(super) fn adopt(&mut self, policy: &PolicySnapshot) {
        let quotas = &policy.tenant.quotas;
        if quotas.max_requests_per_hour == self.requests_per_hour && quotas.max_concurrent_requests == self.concurrent {
            return;
        }
        let before = std::mem::replace(self, Self::new(policy));
        self.earlier = before.earlier;
        self.earlier.push((before.in_flight, before.concurrent));
        self.earlier.retain(|(places, concurrent)| {
            places.available_permits() < usize::try_from(*concurrent).unwrap_or(usize::MAX)
        });
    }

    /// Lets one turn in.
    ///
    /// # Errors
    /// `rate_limited` with the exact wait, `overloaded` where too many turns are in flight.
    pub(super) fn admit(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        let permit = Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_full| {
            let detail = format!("{} requests of this tenant are in flight already, its quota max_concurrent_requests; try again shortly", self.concurrent);
            Rejection::retry_after(Code::RateLimited, detail, 100)
        })?;
        let Some(rate) = &self.rate else {
            return Err(Rejection::new(
                Code::RateLimited,
                "this tenant's quota max_requests_per_hour is 0; raise it in tenant.yaml",
            ));
        };
        rate.check().map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let detail = format!(
                "this tenant's quota of {} requests per hour is used up; wait for the next slot",
                self.requests_per_hour
            );
            Rejection::retry_after(Code::RateLimited, detail, u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
        })?;
        Ok(permit)
    }

    /// Resolves when no turn is in flight any more; nothing is admitted afterwards.
    pub(super) fn drained(&self) -> impl Future<Output = ()> + 'static + use<> {
        let now = std::iter::once((Arc::clone(&self.in_flight), self.concurrent));
        let all: Vec<_> = self.earlier.iter().cloned().chain(now).collect();
        async move {
            for (in_flight, concurrent) in all {
                let _all = in_flight.acquire_many(concurrent).await;
                in_flight.close();
            }
        }
    }
}

/// Whether a passed-through model may be called at all is the budget's and routing's question; here only what no
/// room could serve is turned away.
///
/// # Errors
/// `invalid_request`.
pub(super) fn is_serveable(matter: &Matter) -> Result<(), Rejection> {
    match matter {
        Matter::Ask(question) if question.text.trim().is_empty() => {
            Err(Rejection::new(Code::InvalidRequest, "the question is empty; ask something"))
        }
        Matter::Search(search) if search.query.trim().is_empty() => {
            Err(Rejection::new(Code::InvalidRequest, "the query is empty; search for something"))
        }
        _ => Ok(()),
    }
}

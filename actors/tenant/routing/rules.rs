//! Which candidate is called next, and when: primary, its retries, fallback; deadlines; health of providers; what the
//! tenant's policy allows. State and event and `now` give the next step; the shell takes it.
use bailiwick_kernel::limits::PROVIDER_RETRY_AFTER_MS_MAX;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::RouterFile;
use std::collections::BTreeMap;

/// Failures in a row after which a provider rests.
pub const FAILURES_TO_REST: u32 = 5;
/// Outcomes remembered of one provider: one bit each.
const OUTCOMES_KEPT: u32 = u32::BITS;
/// Outcomes below which its share of failures says nothing.
pub const OUTCOMES_TO_JUDGE: u32 = 16;
/// How long it rests before one call may try it again.
pub const REST_MS: u64 = 5_000;
/// Longest wait before the first retry; doubles with each further one.
const BACKOFF_FIRST_MS: u64 = 100;
/// Longest wait before any retry.
const BACKOFF_MAX_MS: u64 = 2_000;

/// What this tenant knows of one provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Health {
    /// Serves.
    Serving(Record),
    /// Rests until the given time; then one call may try it.
    Resting { until_unix_ms: u64 },
    /// One call is trying it; a second one may when that call has not come back by the given time.
    Trying { until_unix_ms: u64 },
}

/// How the last calls of one provider ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Record {
    /// Failures in a row.
    in_a_row: u32,
    /// The last outcomes, newest lowest; a bit that is set is a failure.
    outcomes: u32,
    /// How many of them are known.
    known: u32,
}

impl Record {
    fn with(self, failed: bool) -> Self {
        Self {
            in_a_row: if failed { self.in_a_row.saturating_add(1) } else { 0 },
            outcomes: self.outcomes << 1 | u32::from(failed),
            known: self.known.saturating_add(1).min(OUTCOMES_KEPT),
        }
    }

    /// Too many in a row, or half of all.
    fn must_rest(self) -> bool {
        let failures = self.outcomes.count_ones();
        self.in_a_row >= FAILURES_TO_REST || (self.known >= OUTCOMES_TO_JUDGE && failures * 2 >= self.known)
    }
}

/// Health of all providers as this tenant's own calls found it. One tenant's failures rest nobody else's provider.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HealthBook(BTreeMap<String, Health>);

impl HealthBook {
    /// Whether the provider may be called now; counts the call that tries a rested one. A provider that stands alone
    /// rests too: its callers get an answer at once instead of a timeout.
    ///
    /// # Errors
    /// Milliseconds until it may be tried.
    pub fn admit(&mut self, provider: &str, now_unix_ms: u64) -> Result<(), u64> {
        let Some(health) = self.0.get_mut(provider) else {
            return Ok(());
        };
        match *health {
            Health::Serving(_) => Ok(()),
            Health::Resting { until_unix_ms } | Health::Trying { until_unix_ms } if until_unix_ms > now_unix_ms => {
                Err(until_unix_ms.saturating_sub(now_unix_ms))
            }
            Health::Resting { .. } | Health::Trying { .. } => {
                *health = Health::Trying { until_unix_ms: now_unix_ms.saturating_add(REST_MS) };
                Ok(())
            }
        }
    }

    /// The provider answered, if only with an error of the caller's making.
    pub fn note_alive(&mut self, provider: &str) {
        let record = match self.0.get(provider) {
            Some(Health::Serving(record)) => record.with(false),
            // it was tried and serves again: what was before the rest is forgotten
            Some(Health::Resting { .. } | Health::Trying { .. }) | None => Record::default().with(false),
        };
        match self.0.get_mut(provider) {
            Some(health) => *health = Health::Serving(record),
            None => drop(self.0.insert(provider.to_owned(), Health::Serving(record))),
        }
    }

    /// The provider failed in a way that may pass.
    pub fn note_failure(&mut self, provider: &str, now_unix_ms: u64) {
        let resting = Health::Resting { until_unix_ms: now_unix_ms.saturating_add(REST_MS) };
        let health = self.0.entry(provider.to_owned()).or_insert(Health::Serving(Record::default()));
        *health = match *health {
            Health::Serving(record) if !record.with(true).must_rest() => Health::Serving(record.with(true)),
            Health::Serving(_) | Health::Trying { .. } => resting,
            // a call that was under way when the rest began does not prolong it
            still @ Health::Resting { .. } => still,
        };
    }
}

/// A candidate of the hold, as the course sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Provider's name.
    pub provider: String,
    /// Tries after the first.
    pub retries: u32,
    /// A call that takes longer is given up.
    pub timeout_ms: u64,
    /// Why it may not be called, where it may not.
    pub barred: Option<Rejection>,
}

/// What happened since the last step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Nothing yet: the turn has come in.
    Departed,
    /// A wait is over.
    Waited,
    /// The hold has no room for the call beside one that broke off and may have been billed: on to the next candidate.
    Unaffordable,
    /// The candidate may not be called before the deadline, which says nothing about its health.
    Paced {
        /// Milliseconds until it may be.
        wait_ms: u64,
    },
    /// The candidate may not be called, or not any longer: on to the next one.
    Barred(Rejection),
    /// The call failed before the asker saw a word of it.
    Failed {
        /// It may work when tried again.
        passing: bool,
        /// When the provider wants to be asked again.
        retry_after_ms: Option<u64>,
        /// What went wrong; fit for the asker.
        detail: String,
    },
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Call this candidate of the hold, giving it up after so long.
    Call {
        /// Its index.
        choice: usize,
        /// Milliseconds it may take.
        timeout_ms: u64,
    },
    /// Wait, then report [`News::Waited`].
    Wait {
        /// Milliseconds.
        for_ms: u64,
    },
    /// Nobody is left to be called.
    GiveUp(Rejection),
}

/// One turn's way over its candidates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Course {
    choices: Vec<Choice>,
    deadline_unix_ms: u64,
    at: usize,
    retried: u32,
    last: Option<Rejection>,
}

impl Course {
    /// The course over the given candidates, in their order, until the deadline.
    #[must_use]
    pub fn new(choices: Vec<Choice>, deadline_unix_ms: u64) -> Self {
        Self { choices, deadline_unix_ms, at: 0, retried: 0, last: None }
    }

    /// The next step. `random` spreads retries; it decides nothing else.
    pub fn steer(&mut self, book: &mut HealthBook, news: News, now_unix_ms: u64, random: u64) -> Step {
        if let News::Paced { wait_ms } = news {
            self.last = self.choices.get(self.at).map(|choice| paced(&choice.provider, wait_ms));
            self.advance();
        }
        if news == News::Unaffordable {
            self.advance();
        }
        if let News::Barred(why) = &news {
            self.last = Some(why.clone());
            self.advance();
        }
        if let News::Failed { passing, retry_after_ms, detail } = news
            && let Some(wait) = self.after_failure(book, passing, retry_after_ms, detail, now_unix_ms, random)
        {
            return wait;
        }
        let remaining_ms = self.deadline_unix_ms.saturating_sub(now_unix_ms);
        while let Some(choice) = self.choices.get(self.at) {
            if remaining_ms == 0 {
                return Step::GiveUp(self.out_of_time());
            }
            match &choice.barred {
                Some(why) => self.last = self.last.take().or_else(|| Some(why.clone())),
                None => match book.admit(&choice.provider, now_unix_ms) {
                    Ok(()) => return Step::Call { choice: self.at, timeout_ms: choice.timeout_ms.min(remaining_ms) },
                    Err(rest_ms) => self.last = self.last.take().or_else(|| Some(resting(&choice.provider, rest_ms))),
                },
            }
            self.advance();
        }
        Step::GiveUp(self.last.take().unwrap_or_else(|| {
            Rejection::new(Code::UpstreamFailed, "calling a model: no provider stands in this tenant's route; ask the operator to check router.yaml and config.toml")
        }))
    }

    fn after_failure(
        &mut self,
        book: &mut HealthBook,
        passing: bool,
        retry_after_ms: Option<u64>,
        detail: String,
        now_unix_ms: u64,
        random: u64,
    ) -> Option<Step> {
        let choice = self.choices.get(self.at)?;
        if passing {
            book.note_failure(&choice.provider, now_unix_ms);
        } else {
            book.note_alive(&choice.provider);
        }
        self.last = Some(Rejection {
            code: Code::UpstreamFailed,
            detail,
            retry_after_ms: passing.then(|| retry_after_ms.unwrap_or(1_000)),
        });
        if passing && self.retried < choice.retries {
            let wait_ms = wait_before_retry(self.retried, retry_after_ms, random);
            let remaining_ms = self.deadline_unix_ms.saturating_sub(now_unix_ms);
            if let Some(for_ms) = wait_ms.filter(|wait_ms| *wait_ms < remaining_ms) {
                self.retried = self.retried.saturating_add(1);
                return Some(Step::Wait { for_ms });
            }
        }
        self.advance();
        None
    }

    fn advance(&mut self) {
        self.at = self.at.saturating_add(1);
        self.retried = 0;
    }

    fn out_of_time(&mut self) -> Rejection {
        self.last.take().unwrap_or_else(|| {
            Rejection::retry_after(Code::UpstreamFailed, "calling a model: the time of this request ran out before a provider could be called; ask again with more time", 1_000)
        })
    }
}

/// Full jitter: anything from nothing to a ceiling that doubles. A provider's own `Retry-After` is the floor; one
/// beyond the bound is not waited for.
fn wait_before_retry(retried: u32, retry_after_ms: Option<u64>, random: u64) -> Option<u64> {
    let ceiling_ms =
        BACKOFF_FIRST_MS.saturating_mul(1_u64.checked_shl(retried).unwrap_or(u64::MAX)).min(BACKOFF_MAX_MS);
    let jitter_ms = random.checked_rem(ceiling_ms.saturating_add(1)).unwrap_or(0);
    match retry_after_ms {
        Some(after_ms) if after_ms > PROVIDER_RETRY_AFTER_MS_MAX => None,
        Some(after_ms) => Some(after_ms.saturating_add(jitter_ms)),
        None => Some(jitter_ms),
    }
}

fn paced(provider: &str, wait_ms: u64) -> Rejection {
    let detail = format!(
        "calling a model: provider {provider} is called as often as this node may call it; try again in {wait_ms} ms"
    );
    Rejection::retry_after(Code::Overloaded, detail, wait_ms)
}

fn resting(provider: &str, rest_ms: u64) -> Rejection {
    let detail = format!(
        "calling a model: provider {provider} failed {FAILURES_TO_REST} times in a row, or half of its calls, and rests; try again later"
    );
    Rejection::retry_after(Code::UpstreamFailed, detail, rest_ms)
}

/// Whether a model may be called by name on the passed-through routes: listed in `allowed_models` (a `*` at the end
/// allows every continuation), or a model of the tenant's own `router.yaml`.
///
/// # Errors
/// `policy_denied`, naming the model.
pub fn check_model(model: &str, allowed_models: &[String], router: &RouterFile) -> Result<(), Rejection> {
    let routed = router.routing.primary.model == model
        || router.routing.fallback.as_ref().is_some_and(|route| route.model == model);
    if routed || allowed_models.iter().any(|pattern| matches(pattern, model)) {
        return Ok(());
    }
    let detail = format!(
        "calling a model: {model} is neither in allowed_models of governance.yaml nor a model of router.yaml; name an allowed one"
    );
    Err(Rejection::new(Code::PolicyDenied, detail))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

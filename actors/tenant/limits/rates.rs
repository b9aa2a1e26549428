//! Rates of requests and tokens, over a tenant and its levels.
//!
//! A rate allows its whole number at once and is refilled continuously: in every time T no more is admitted than
//! `amount + amount · T / window`, and whoever waits as long as was said is admitted. Rates of requests are kept by the
//! supervisor, rates of tokens by the budget room: each owns its own.
use super::book::{Book, Closed, Part, Spec};
use super::gcra::{Dry, Rate};
use super::scope::{NO_USER, Scope};
use super::sheet::Figure;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{LevelLimit, Quotas};
use std::fmt;

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;
const HOUR_NS: u64 = 60 * MINUTE_NS;
const MILLISECOND_NS: u64 = 1_000_000;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Requests,
    Tokens,
}

/// A limit said no. Nothing was counted at any level.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    unit: Unit,
    wanted: u64,
    closed: Closed,
}

impl Refused {
    /// Nanoseconds after which the same is admitted, unless others come first; `None` where waiting does not help.
    #[must_use]
    pub fn wait_ns(&self) -> Option<u64> {
        match self.closed {
            Closed::Dry { dry: Dry::For { wait_ns }, .. } | Closed::Full { wait_ns } => Some(wait_ns),
            Closed::Dry { dry: Dry::Forever, .. } => None,
        }
    }

    /// The level that refused; `None` for the tenant itself.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        match &self.closed {
            Closed::Dry { spec, .. } => spec.level,
            Closed::Full { .. } => None,
        }
    }
}

impl From<Refused> for Rejection {
    /// `rate_limited` with the wait rounded up to milliseconds, `quota_exceeded` where waiting does not help,
    /// `overloaded` where every counter is in use.
    fn from(refused: Refused) -> Self {
        let wait_ms = refused.wait_ns().map(|wait_ns| wait_ns.div_ceil(MILLISECOND_NS));
        let detail = refused.to_string();
        match (&refused.closed, wait_ms) {
            (Closed::Full { .. }, Some(wait_ms)) => Self::retry_after(Code::Overloaded, detail, wait_ms),
            (_, Some(wait_ms)) => Self::retry_after(Code::RateLimited, detail, wait_ms),
            (_, None) => Self::new(Code::QuotaExceeded, detail),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_str();
        let Closed::Dry { spec, member, dry } = &self.closed else {
            return write!(f, "counting {unit}: this tenant's counters by name are all in use; try again shortly");
        };
        let window = if spec.rate.window_ns == HOUR_NS { "hour" } else { "minute" };
        let amount = spec.rate.amount;
        match spec.level {
            None => write!(f, "this tenant's quota of {amount} {unit} per {window}")?,
            Some(Level::User) if **member == *NO_USER => {
                write!(f, "the limit of {amount} {unit} per {window} of keys without a user")?;
            }
            Some(level) => write!(f, "the limit of {amount} {unit} per {window} of {level} {member:?}")?,
        }
        match dry {
            Dry::For { wait_ns } => {
                write!(f, " is used up; the next fits in {} ms", wait_ns.div_ceil(MILLISECOND_NS))
            }
            Dry::Forever => write!(f, " never allows {} at once; ask for less or raise it in tenant.yaml", self.wanted),
        }
    }
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
        }
    }

    fn specs(self, quotas: &Quotas) -> Vec<Spec> {
        let tenant = match self {
            Self::Requests => [
                Some((u64::from(quotas.max_requests_per_hour), HOUR_NS)),
                quotas.max_requests_per_minute.map(|amount| (u64::from(amount), MINUTE_NS)),
            ],
            Self::Tokens => [None, quotas.max_tokens_per_minute.map(|amount| (amount, MINUTE_NS))],
        };
        let of_level = |limit: &LevelLimit| match self {
            Self::Requests => [
                limit.max_requests_per_hour.map(|amount| (u64::from(amount), HOUR_NS)),
                limit.max_requests_per_minute.map(|amount| (u64::from(amount), MINUTE_NS)),
            ],
            Self::Tokens => [None, limit.max_tokens_per_minute.map(|amount| (amount, MINUTE_NS))],
        };
        let spec = |level: Option<Level>, name: &str, (amount, window_ns): (u64, u64)| Spec {
            level,
            name: name.into(),
            rate: Rate { amount, window_ns },
        };
        let tenant = tenant.into_iter().flatten().map(|figure| spec(None, "", figure));
        let levels = quotas.limits.iter().flat_map(|limit| {
            of_level(limit).into_iter().flatten().map(|figure| spec(Some(limit.level), &limit.name, figure))
        });
        tenant.chain(levels).collect()
    }
}

/// Makes time go forward only. A wall clock that is set back would stop every counter until it has caught up; set
/// forward, it refills at most one allowance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Hands {
    seen_ns: u64,
    lead_ns: u64,
}

impl Hands {
    fn at(&mut self, now_ns: u64) -> u64 {
        self.lead_ns = self.lead_ns.saturating_add(self.seen_ns.saturating_sub(now_ns));
        self.seen_ns = now_ns;
        now_ns.saturating_add(self.lead_ns)
    }
}

/// Rates of requests.
#[derive(Clone, Debug)]
pub struct RequestRates {
    book: Book,
    hands: Hands,
}

impl RequestRates {
    /// The rates of a tenant, all whole.
    #[must_use]
    pub fn new(quotas: &Quotas) -> Self {
        let mut book = Book::default();
        book.adopt(Unit::Requests.specs(quotas), 0);
        Self { book, hands: Hands::default() }
    }

    /// Takes other quotas over. What is used stays used, whatever changed; a limit that is new begins whole.
    pub fn adopt(&mut self, quotas: &Quotas, now_ns: u64) {
        self.book.adopt(Unit::Requests.specs(quotas), self.hands.at(now_ns));
    }

    /// Whether a request may come in now. Counts nothing: [`RequestRates::take`] does.
    ///
    /// # Errors
    /// The level that has to be waited for longest.
    pub fn peek(&mut self, scope: &Scope<'_>, now_ns: u64) -> Result<(), Refused> {
        let now_ns = self.hands.at(now_ns);
        self.book.peek(scope, now_ns, 1).map_err(|closed| Refused { unit: Unit::Requests, wanted: 1, closed })
    }

    /// Counts a request that was looked at, at every level. Gives the tightest limit of its scope, for the headers.
    pub fn take(&mut self, scope: &Scope<'_>, now_ns: u64) -> Option<Figure> {
        let now_ns = self.hands.at(now_ns);
        self.book.take(scope, now_ns, 1, |_serial, _member, _given| {})
    }

    /// The tightest limit of a scope, for the headers of who is not let in.
    pub fn figure(&mut self, scope: &Scope<'_>, now_ns: u64) -> Option<Figure> {
        let now_ns = self.hands.at(now_ns);
        self.book.tightest(scope, now_ns)
    }

    /// Forgets members whose allowance is whole again.
    pub fn sweep(&mut self, now_ns: u64) {
        let now_ns = self.hands.at(now_ns);
        self.book.sweep(now_ns);
    }

    /// Members that are counted by name now, at most [`bailiwick_kernel::limits::COUNTED_MEMBERS_MAX`].
    #[must_use]
    pub fn members(&self) -> usize {
        self.book.members()
    }
}

/// Rates of tokens. Whoever holds money for a call takes the call's worst case here, and gives back what the call did
/// not use.
#[derive(Clone, Debug)]
pub struct TokenRates {
    book: Book,
    hands: Hands,
}

/// Tokens taken at every level of a call. Dropped, they stay used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "tokens that are not used are given back with it"]
pub struct Taken {
    parts: Vec<Part>,
    tokens: u64,
}

impl Taken {
    /// How many.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }
}

impl TokenRates {
    /// The rates of a tenant, all whole.
    #[must_use]
    pub fn new(quotas: &Quotas) -> Self {
        let mut book = Book::default();
        book.adopt(Unit::Tokens.specs(quotas), 0);
        Self { book, hands: Hands::default() }
    }

    /// True where any limit counts tokens.
    #[must_use]
    pub fn are_limited(&self) -> bool {
        self.book.has_limits()
    }

    /// Takes other quotas over. What is used stays used, whatever changed; a limit that is new begins whole.
    pub fn adopt(&mut self, quotas: &Quotas, now_ns: u64) {
        self.book.adopt(Unit::Tokens.specs(quotas), self.hands.at(now_ns));
    }

    /// Takes tokens at every level, or at none.
    ///
    /// # Errors
    /// The level that has to be waited for longest.
    pub fn take(&mut self, scope: &Scope<'_>, now_ns: u64, tokens: u64) -> Result<Taken, Refused> {
        let now_ns = self.hands.at(now_ns);
        let refused = |closed| Refused { unit: Unit::Tokens, wanted: tokens, closed };
        self.book.peek(scope, now_ns, tokens).map_err(refused)?;
        let mut parts = Vec::new();
        self.book.take(scope, now_ns, tokens, |serial, member, given| {
            parts.push(Part { serial, member: member.into(), given });
        });
        Ok(Taken { parts, tokens })
    }

    /// Gives back what a call did not use. What time has refilled since is not given a second time.
    pub fn give_back(&mut self, taken: Taken, now_ns: u64, unused: u64) {
        let now_ns = self.hands.at(now_ns);
        for part in &taken.parts {
            self.book.give_back(part, now_ns, unused.min(taken.tokens));
        }
    }

    /// The tightest limit of a scope, for the headers; `None` where nothing limits its tokens.
    pub fn figure(&mut self, scope: &Scope<'_>, now_ns: u64) -> Option<Figure> {
        let now_ns = self.hands.at(now_ns);
        self.book.tightest(scope, now_ns)
    }

    /// Forgets members whose allowance is whole again.
    pub fn sweep(&mut self, now_ns: u64) {
        let now_ns = self.hands.at(now_ns);
        self.book.sweep(now_ns);
    }

    /// Members that are counted by name now, at most [`bailiwick_kernel::limits::COUNTED_MEMBERS_MAX`].
    #[must_use]
    pub fn members(&self) -> usize {
        self.book.members()
    }
}

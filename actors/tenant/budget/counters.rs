//! Ceilings and the counters they are held against: posted and pending, by account and window. Pure.
use super::accounts::{Account, Accounts, Spender, Sum};
use super::windows::{Calendar, Stretch};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::EVERY_MEMBER;
use bailiwick_policy::schema::Window;
use std::collections::BTreeMap;

/// Counters beyond which those at rest are forgotten; the accounts keep what they counted.
const COUNTERS_KEPT: usize = 4_096;

/// One ceiling in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ceiling {
    /// What is counted; the tenant itself where absent.
    pub level: Option<Level>,
    /// Whose; everyone at this level apart where absent.
    pub name: Option<String>,
    /// Over which window.
    pub window: Window,
    /// Most money.
    pub limit: Option<NanoUsd>,
    /// Most tokens.
    pub limit_tokens: Option<u64>,
}

impl Ceiling {
    fn counts(&self, account: &Account) -> bool {
        let (level, name) = match account {
            Account::Tenant => return self.level.is_none(),
            Account::Domain(name) => (Level::Domain, name),
            Account::Usecase(name) => (Level::Usecase, name),
            Account::User(name) => (Level::User, name),
            Account::Key(name) => (Level::Key, name),
        };
        self.level == Some(level) && self.name.as_ref().is_none_or(|only| only == name)
    }
}

/// The ceilings of a policy: the tenant's own first. The quota of `tenant.yaml` bounds the month as well.
#[must_use]
pub fn ceilings(policy: &PolicySnapshot) -> Vec<Ceiling> {
    let budget = &policy.router.budget;
    let own = |window, limit| Ceiling { level: None, name: None, window, limit: Some(limit), limit_tokens: None };
    let month = budget.monthly_limit_usd.min(policy.tenant.quotas.max_cost_per_month);
    let hour = budget.hourly_limit_usd.map(|limit| own(Window::Hour, limit));
    let tenants = [own(Window::Month, month), own(Window::Day, budget.daily_limit_usd)].into_iter().chain(hour);
    let narrower = budget.ceilings.iter().map(|rule| Ceiling {
        level: Some(rule.level),
        name: (rule.name != EVERY_MEMBER).then(|| rule.name.clone()),
        window: rule.window,
        limit: rule.limit_usd,
        limit_tokens: rule.limit_tokens,
    });
    tenants.chain(narrower).collect()
}

/// Names one counter. The window's start is part of the name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CounterKey {
    /// Whose.
    pub account: Account,
    /// Which kind of window.
    pub window: Window,
    /// Which window.
    pub stretch: Stretch,
}

/// What one counter counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counter {
    /// Spent.
    pub posted: Sum,
    /// Held.
    pub pending: Sum,
}

/// One ceiling with the counter that is held against it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The counter's name.
    pub key: CounterKey,
    /// What it counts.
    pub counter: Counter,
    /// Most money.
    pub limit: Option<NanoUsd>,
    /// Most tokens.
    pub limit_tokens: Option<u64>,
    /// The account cannot be kept apart any more: nothing may be spent on it.
    pub is_unknown: bool,
}

impl Bound {
    /// What may still be held.
    #[must_use]
    pub fn room(&self) -> Sum {
        self.left(self.counter.posted.plus(self.counter.pending))
    }

    /// What could be held if everything that is held now came back unused.
    #[must_use]
    pub fn room_at_rest(&self) -> Sum {
        self.left(self.counter.posted)
    }

    fn left(&self, used: Sum) -> Sum {
        if self.is_unknown {
            return Sum::default();
        }
        let money = self.limit.map_or(NanoUsd(u64::MAX), |limit| limit.saturating_sub(used.money));
        let tokens = self.limit_tokens.map_or(u64::MAX, |limit| limit.saturating_sub(used.tokens));
        Sum { money, tokens }
    }
}

/// All counters of one tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counters {
    ceilings: Vec<Ceiling>,
    calendar: Calendar,
    accounts: Accounts,
    counters: BTreeMap<CounterKey, Counter>,
    /// Beyond so many, those at rest are forgotten.
    kept_max: usize,
}

impl Counters {
    /// Counters over folded accounts, under the ceilings of a policy.
    #[must_use]
    pub fn new(accounts: Accounts, policy: &PolicySnapshot) -> Self {
        let calendar = Calendar::new(policy.budget_zone.clone());
        Self { ceilings: ceilings(policy), calendar, accounts, counters: BTreeMap::new(), kept_max: COUNTERS_KEPT }
    }

    /// Takes other ceilings and another calendar over. Nothing is pending afterwards: what is held must be held again.
    pub fn adopt(&mut self, policy: &PolicySnapshot) {
        self.ceilings = ceilings(policy);
        self.calendar = Calendar::new(policy.budget_zone.clone());
        self.counters.clear();
    }

    /// Every ceiling a call of this spender stands under, in the windows of the time it was admitted.
    pub fn bounds(&mut self, spender: &Spender, at_unix_ms: u64) -> Vec<Bound> {
        let mut bounds = Vec::new();
        for account in spender.accounts() {
            for ceiling in self.ceilings.iter().filter(|ceiling| ceiling.counts(&account)) {
                let stretch = self.calendar.window(ceiling.window, at_unix_ms);
                let key = CounterKey { account: account.clone(), window: ceiling.window, stretch };
                let counter = self.counters.get(&key).copied().unwrap_or_else(|| Counter {
                    posted: self.accounts.within(&account, stretch),
                    pending: Sum::default(),
                });
                let (limit, limit_tokens) = (ceiling.limit, ceiling.limit_tokens);
                let is_unknown = !self.accounts.make_room(&account, at_unix_ms);
                bounds.push(Bound { key, counter, limit, limit_tokens, is_unknown });
            }
        }
        bounds
    }

    /// Holds a sum against every counter of a call, and gives their names.
    pub fn hold(&mut self, bounds: &[Bound], sum: Sum) -> Vec<CounterKey> {
        let mut keys: Vec<CounterKey> = bounds.iter().map(|bound| bound.key.clone()).collect();
        keys.sort();
        keys.dedup();
        for key in &keys {
            let accounts = &self.accounts;
            let counter = self.counters.entry(key.clone()).or_insert_with(|| Counter {
                posted: accounts.within(&key.account, key.stretch),
                pending: Sum::default(),
            });
            counter.pending = counter.pending.plus(sum);
        }
        self.forget_what_is_at_rest();
        keys
    }

    /// Lets a held sum go.
    pub fn release(&mut self, keys: &[CounterKey], sum: Sum) {
        for key in keys {
            if let Some(counter) = self.counters.get_mut(key) {
                counter.pending = counter.pending.minus(sum);
            }
        }
    }

    /// Books what was spent by a call of this spender.
    pub fn post(&mut self, spender: &Spender, sum: Sum, at_unix_ms: u64) {
        for account in spender.accounts() {
            self.accounts.book(&account, sum, at_unix_ms);
            self.change(account, at_unix_ms, |posted| posted.plus(sum));
        }
    }

    /// Takes back what was booked and turned out not to have been spent.
    pub fn take_back(&mut self, spender: &Spender, sum: Sum, at_unix_ms: u64) {
        for account in spender.accounts() {
            self.accounts.take_back(&account, sum, at_unix_ms);
            self.change(account, at_unix_ms, |posted| posted.minus(sum));
        }
    }

    /// Changes the counters of the windows around a time; what is not counted now will be summed from the accounts.
    fn change(&mut self, account: Account, at_unix_ms: u64, change: impl Fn(Sum) -> Sum) {
        let mut key = CounterKey { account, window: Window::Hour, stretch: Stretch::default() };
        for window in [Window::Hour, Window::Day, Window::Month] {
            key.window = window;
            key.stretch = self.calendar.window(window, at_unix_ms);
            if let Some(counter) = self.counters.get_mut(&key) {
                counter.posted = change(counter.posted);
            }
        }
    }

    /// Every ceiling of the tenant itself, at a time.
    pub fn of_tenant(&mut self, at_unix_ms: u64) -> Vec<Bound> {
        self.bounds(&Spender::default(), at_unix_ms)
    }

    /// Counters that count something now, for the tenant's own figures.
    #[must_use]
    pub fn in_use(&self) -> Vec<(CounterKey, Counter, Option<NanoUsd>, Option<u64>)> {
        let bounded = |key: &CounterKey| {
            self.ceilings
                .iter()
                .find(move |ceiling| ceiling.window == key.window && ceiling.counts(&key.account))
                .cloned()
        };
        let counters = self.counters.iter().filter_map(|(key, counter)| {
            let ceiling = bounded(key)?;
            Some((key.clone(), *counter, ceiling.limit, ceiling.limit_tokens))
        });
        counters.collect()
    }

    /// What is not held now is summed from the accounts when it is asked for again.
    fn forget_what_is_at_rest(&mut self) {
        if self.counters.len() > self.kept_max {
            self.counters.retain(|_, counter| counter.pending != Sum::default());
            self.kept_max = COUNTERS_KEPT.max(self.counters.len().saturating_mul(2));
        }
    }
}

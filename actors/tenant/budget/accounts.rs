//! Who spent what, when: the accounts of one tenant, folded from its journal in quarters of an hour. Every time zone of
//! today lies a whole number of quarters from UTC, so that any calendar's windows can be summed from them, also after the
//! zone was changed. Pure.
use super::windows::Stretch;
use crate::entry::Entry;
use crate::limits::scope::{GENERAL, NO_USER, Scope, named};
use bailiwick_kernel::limits::ACCOUNTS_MAX;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::levels::Level;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const QUARTER_MS: u64 = 900_000;
const QUARTERS_PER_DAY: u32 = 96;
/// Days kept for one account: longer than any window, and more where some of them were quiet.
const DAYS_MAX: usize = 34;
/// An account that has been quiet for so many days may make room for another.
const QUIET_DAYS: u32 = 33;
/// Accounts of each level: names are free text at some of them, and may not take the room of users and keys.
const ACCOUNTS_PER_LEVEL_MAX: usize = ACCOUNTS_MAX / Level::ALL.len();

/// Whose spending is counted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Account {
    /// The tenant's: everything.
    Tenant,
    /// Of questions that name this domain.
    Domain(String),
    /// Of questions that name this use case.
    Usecase(String),
    /// Of this user.
    User(String),
    /// Of this key, by its public id.
    Key(String),
}

/// On whose accounts one call is booked, beside the tenant's. A call has a domain, a use case, a user and a key, so that
/// leaving a name out evades no ceiling; only what a crash lost as a whole has none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Spender {
    /// Domain of the question.
    pub domain: Option<String>,
    /// Use case of the question.
    pub usecase: Option<String>,
    /// User that asks.
    pub user: Option<String>,
    /// Key that asks.
    pub key: Option<String>,
}

impl Account {
    /// Which of the levels, from the widest to the narrowest; `None` for the tenant itself.
    fn level(&self) -> Option<usize> {
        match self {
            Self::Tenant => None,
            Self::Domain(_) => Some(0),
            Self::Usecase(_) => Some(1),
            Self::User(_) => Some(2),
            Self::Key(_) => Some(3),
        }
    }

    /// The account as a key of a store: its level's letter and its name.
    #[must_use]
    pub fn to_key(&self) -> Vec<u8> {
        let (level, name) = match self {
            Self::Tenant => (b't', ""),
            Self::Domain(name) => (b'd', name.as_str()),
            Self::Usecase(name) => (b'c', name.as_str()),
            Self::User(name) => (b'u', name.as_str()),
            Self::Key(name) => (b'k', name.as_str()),
        };
        [&[level], name.as_bytes()].concat()
    }
}

impl Spender {
    /// Who a turn of these members is booked on.
    #[must_use]
    pub fn of(members: &Scope<'_>) -> Self {
        let [domain, usecase, user, key] = Level::ALL.map(|level| Some(members.member(level).to_owned()));
        Self { domain, usecase, user, key }
    }

    /// The accounts, the tenant's first.
    pub fn accounts(&self) -> impl Iterator<Item = Account> + '_ {
        let of = |name: &Option<String>, account: fn(String) -> Account| name.clone().map(account);
        let narrower = [
            of(&self.domain, Account::Domain),
            of(&self.usecase, Account::Usecase),
            of(&self.user, Account::User),
            of(&self.key, Account::Key),
        ];
        std::iter::once(Account::Tenant).chain(narrower.into_iter().flatten())
    }
}

/// Money and tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sum {
    /// Money.
    pub money: NanoUsd,
    /// Tokens of prompts and answers.
    pub tokens: u64,
}

impl Sum {
    /// The sum, stopping at the largest amounts.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { money: self.money.saturating_add(other.money), tokens: self.tokens.saturating_add(other.tokens) }
    }

    /// The difference, stopping at nothing.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { money: self.money.saturating_sub(other.money), tokens: self.tokens.saturating_sub(other.tokens) }
    }
}

/// What one account spent on one UTC day, by quarter of an hour.
pub type Quarters = BTreeMap<u32, Sum>;

/// What one account spent, by UTC day and quarter of an hour since the epoch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct History(BTreeMap<u32, Arc<Quarters>>);

impl History {
    fn book(&mut self, sum: Sum, at_unix_ms: u64) {
        let quarter = quarter(at_unix_ms);
        let quarters = Arc::make_mut(self.0.entry(day_of(quarter)).or_default());
        let booked = quarters.entry(quarter).or_default();
        *booked = booked.plus(sum);
        if self.0.len() > DAYS_MAX {
            self.0.pop_first();
        }
    }

    fn take_back(&mut self, sum: Sum, at_unix_ms: u64) {
        let quarter = quarter(at_unix_ms);
        if let Some(quarters) = self.0.get_mut(&day_of(quarter))
            && let Some(booked) = Arc::make_mut(quarters).get_mut(&quarter)
        {
            *booked = booked.minus(sum);
        }
    }

    fn within(&self, stretch: Stretch) -> Sum {
        let (first, end) =
            (quarter(stretch.starts_unix_ms), quarter(stretch.ends_unix_ms.saturating_add(QUARTER_MS - 1)));
        let days = self.0.range(day_of(first)..=day_of(end));
        let quarters = days.flat_map(|(_, quarters)| quarters.range(first..end));
        quarters.fold(Sum::default(), |total, (_, sum)| total.plus(*sum))
    }

    fn last_day(&self) -> u32 {
        self.0.last_key_value().map_or(0, |(day, _)| *day)
    }
}

fn quarter(unix_ms: u64) -> u32 {
    u32::try_from(unix_ms / QUARTER_MS).unwrap_or(u32::MAX)
}

fn day_of(quarter: u32) -> u32 {
    quarter / QUARTERS_PER_DAY
}

/// All accounts of one tenant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounts {
    histories: BTreeMap<Account, Arc<History>>,
    /// Accounts at each level, the tenant's own left out.
    counts: [usize; Level::ALL.len()],
}

impl Accounts {
    /// Accounts as they were saved, day by day.
    #[must_use]
    pub fn of(saved: impl IntoIterator<Item = (Account, u32, Quarters)>) -> Self {
        let mut accounts = Self::default();
        for (account, day, quarters) in saved {
            Arc::make_mut(accounts.open(&account)).0.insert(day, Arc::new(quarters));
        }
        accounts
    }

    fn open(&mut self, account: &Account) -> &mut Arc<History> {
        if !self.histories.contains_key(account)
            && let Some(count) = account.level().and_then(|level| self.counts.get_mut(level))
        {
            *count = count.saturating_add(1);
        }
        self.histories.entry(account.clone()).or_default()
    }

    /// The days of accounts that are not those of an earlier copy, with what was spent: what must be saved.
    #[must_use]
    pub fn changed_since<'a>(&'a self, earlier: &Self) -> Vec<(&'a Account, u32, &'a Quarters)> {
        let mut changed = Vec::new();
        for (account, history) in &self.histories {
            let before = earlier.histories.get(account);
            if before.is_some_and(|before| Arc::ptr_eq(before, history)) {
                continue;
            }
            for (day, quarters) in &history.0 {
                let same = before.and_then(|before| before.0.get(day)).is_some_and(|was| Arc::ptr_eq(was, quarters));
                if !same {
                    changed.push((account, *day, &**quarters));
                }
            }
        }
        changed
    }

    /// The days of accounts of an earlier copy that are not kept any more.
    #[must_use]
    pub fn forgotten_since<'a>(&self, earlier: &'a Self) -> Vec<(&'a Account, u32)> {
        let mut forgotten = Vec::new();
        for (account, before) in &earlier.histories {
            let now = self.histories.get(account);
            if now.is_some_and(|now| Arc::ptr_eq(now, before)) {
                continue;
            }
            let is_gone = |day: &&u32| now.is_none_or(|now| !now.0.contains_key(*day));
            forgotten.extend(before.0.keys().filter(is_gone).map(|day| (account, *day)));
        }
        forgotten
    }

    /// True where the account is kept, or there is room for one more at its level.
    fn may_keep(&self, account: &Account) -> bool {
        let count = account.level().and_then(|level| self.counts.get(level)).copied().unwrap_or(0);
        count < ACCOUNTS_PER_LEVEL_MAX || self.histories.contains_key(account)
    }

    /// Books a sum. Where there is no room for one more account at this level, the one that has been quiet for longest
    /// makes room, if it has been quiet for longer than any window; else the sum stays unbooked there, and whoever is
    /// limited by that account is refused ([`Accounts::make_room`]).
    pub fn book(&mut self, account: &Account, sum: Sum, at_unix_ms: u64) {
        if sum == Sum::default() {
            return;
        }
        if self.make_room(account, at_unix_ms) {
            Arc::make_mut(self.open(account)).book(sum, at_unix_ms);
        }
    }

    /// True where the account is kept, or there is room for it, if only because another has been quiet for long.
    pub fn make_room(&mut self, account: &Account, at_unix_ms: u64) -> bool {
        if !self.may_keep(account) {
            self.forget_the_quietest(account.level(), at_unix_ms);
        }
        self.may_keep(account)
    }

    /// Makes room at a level, where an account has been quiet for longer than any window.
    fn forget_the_quietest(&mut self, level: Option<usize>, at_unix_ms: u64) {
        let before = day_of(quarter(at_unix_ms)).saturating_sub(QUIET_DAYS);
        let of_level = self.histories.iter().filter(|(account, _)| account.level() == level);
        let quietest = of_level.min_by_key(|(_, history)| history.last_day());
        let quietest = quietest.filter(|(_, history)| history.last_day() < before).map(|(account, _)| account.clone());
        if let Some(account) = quietest
            && self.histories.remove(&account).is_some()
            && let Some(count) = level.and_then(|level| self.counts.get_mut(level))
        {
            *count = count.saturating_sub(1);
        }
    }

    /// Takes a sum back that was booked at this time and turned out not to have been spent.
    pub fn take_back(&mut self, account: &Account, sum: Sum, at_unix_ms: u64) {
        if let Some(history) = self.histories.get_mut(account) {
            Arc::make_mut(history).take_back(sum, at_unix_ms);
        }
    }

    /// What an account spent within a stretch.
    #[must_use]
    pub fn within(&self, account: &Account, stretch: Stretch) -> Sum {
        self.histories.get(account).map(|history| history.within(stretch)).unwrap_or_default()
    }

    /// Folds one entry in.
    pub fn apply(&mut self, entry: &Entry) {
        for posting in postings(entry) {
            self.book(&posting.account, posting.booked, posting.at_unix_ms);
            if posting.taken_back != Sum::default() {
                self.take_back(&posting.account, posting.taken_back, posting.at_unix_ms);
            }
        }
    }
}

/// One change of one account.
struct Posting {
    account: Account,
    booked: Sum,
    taken_back: Sum,
    at_unix_ms: u64,
}

impl Posting {
    fn spent(account: Account, booked: Sum, at_unix_ms: u64) -> Self {
        Self { account, booked, taken_back: Sum::default(), at_unix_ms }
    }
}

/// What an entry changes. A charge counts in the windows of the time its call was admitted: those that held for it.
fn postings(entry: &Entry) -> Vec<Posting> {
    let money = |money| Sum { money, tokens: 0 };
    match entry {
        Entry::AnswerRecorded(answer) => {
            let tokens = answer.usage.prompt_tokens.saturating_add(answer.usage.completion_tokens);
            let sum = Sum { money: answer.usage.cost, tokens };
            // a question that names a domain or use case is moved there by the record right behind
            let spender = Spender {
                domain: Some(GENERAL.to_owned()),
                usecase: Some(GENERAL.to_owned()),
                user: Some(answer.user_id.as_deref().unwrap_or(NO_USER).to_owned()),
                key: Some(answer.key_id.clone()),
            };
            spender.accounts().map(|account| Posting::spent(account, sum, answer.admitted_unix_ms)).collect()
        }
        Entry::ChargeAttributed(charge) => {
            let tokens = charge.prompt_tokens.saturating_add(charge.completion_tokens);
            let sum = Sum { money: charge.charged, tokens };
            let at_unix_ms = charge.admitted_unix_ms;
            let moved = |name: &Option<String>, account: fn(String) -> Account| {
                let to = account(named(name.as_deref()).to_owned());
                let back = Posting {
                    account: account(GENERAL.to_owned()),
                    booked: Sum::default(),
                    taken_back: sum,
                    at_unix_ms,
                };
                name.as_ref().map(|_named| [back, Posting::spent(to, sum, at_unix_ms)])
            };
            let moves = [moved(&charge.domain, Account::Domain), moved(&charge.usecase, Account::Usecase)];
            moves.into_iter().flatten().flatten().collect()
        }
        Entry::Unreconciled { amount, at_unix_ms } => {
            vec![Posting::spent(Account::Tenant, money(*amount), *at_unix_ms)]
        }
        Entry::HoldClosed(closed) => {
            let accounts = closed.spender.accounts();
            accounts
                .map(|account| Posting::spent(account, money(closed.unreconciled), closed.admitted_unix_ms))
                .collect()
        }
        Entry::Reconciled(reconciled) => {
            let mut postings = Vec::new();
            for (lump, released) in reconciled.releases() {
                postings.extend(lump.spender.accounts().map(|account| Posting {
                    account,
                    booked: Sum::default(),
                    taken_back: money(released),
                    at_unix_ms: lump.at_unix_ms,
                }));
            }
            postings.push(Posting::spent(Account::Tenant, money(reconciled.beyond()), reconciled.at_unix_ms));
            postings
        }
        _ => Vec::new(),
    }
}

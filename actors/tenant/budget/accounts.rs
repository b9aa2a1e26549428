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
/// Quarters kept for one account: 33 days of them, and more where they are not all used.
const QUARTERS_MAX: usize = 33 * 96;

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

/// What one account spent, by quarter of an hour since the epoch.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct History(BTreeMap<u32, Sum>);

impl History {
    fn book(&mut self, sum: Sum, at_unix_ms: u64) {
        let booked = self.0.entry(quarter(at_unix_ms)).or_default();
        *booked = booked.plus(sum);
        if self.0.len() > QUARTERS_MAX {
            self.0.pop_first();
        }
    }

    fn take_back(&mut self, sum: Sum, at_unix_ms: u64) {
        if let Some(booked) = self.0.get_mut(&quarter(at_unix_ms)) {
            *booked = booked.minus(sum);
        }
    }

    fn within(&self, stretch: Stretch) -> Sum {
        let quarters = quarter(stretch.starts_unix_ms)..quarter(stretch.ends_unix_ms.saturating_add(QUARTER_MS - 1));
        self.0.range(quarters).fold(Sum::default(), |total, (_, sum)| total.plus(*sum))
    }

    fn last(&self) -> u32 {
        self.0.last_key_value().map_or(0, |(quarter, _)| *quarter)
    }
}

fn quarter(unix_ms: u64) -> u32 {
    u32::try_from(unix_ms / QUARTER_MS).unwrap_or(u32::MAX)
}

/// All accounts of one tenant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Accounts(BTreeMap<Account, Arc<History>>);

impl Accounts {
    /// Accounts as they were saved.
    #[must_use]
    pub fn of(saved: impl IntoIterator<Item = (Account, History)>) -> Self {
        Self(saved.into_iter().map(|(account, history)| (account, Arc::new(history))).collect())
    }

    /// The accounts that are not those of an earlier copy, with what they spent: what must be saved.
    pub fn changed_since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = (&'a Account, &'a History)> {
        let is_same = |account: &Account, history: &Arc<History>| {
            earlier.0.get(account).is_some_and(|before| Arc::ptr_eq(before, history))
        };
        let changed = self.0.iter().filter(move |(account, history)| !is_same(account, history));
        changed.map(|(account, history)| (account, &**history))
    }

    /// The accounts of an earlier copy that are not kept any more.
    pub fn forgotten_since<'a>(&'a self, earlier: &'a Self) -> impl Iterator<Item = &'a Account> {
        earlier.0.keys().filter(|account| !self.0.contains_key(account))
    }

    /// True where the account is kept, or there is room for one more.
    #[must_use]
    pub fn may_keep(&self, account: &Account) -> bool {
        self.0.len() < ACCOUNTS_MAX || self.0.contains_key(account)
    }

    /// Books a sum. Where there is no room for one more account, the one that has been quiet for longest makes room, if it
    /// has been quiet for longer than any window; else the sum stays unbooked there, and whoever is limited by that
    /// account is refused ([`Accounts::may_keep`]).
    pub fn book(&mut self, account: &Account, sum: Sum, at_unix_ms: u64) {
        if sum == Sum::default() {
            return;
        }
        if !self.may_keep(account) {
            self.forget_the_quietest(at_unix_ms);
        }
        if self.may_keep(account) {
            Arc::make_mut(self.0.entry(account.clone()).or_default()).book(sum, at_unix_ms);
        }
    }

    fn forget_the_quietest(&mut self, at_unix_ms: u64) {
        let before = quarter(at_unix_ms).saturating_sub(u32::try_from(QUARTERS_MAX).unwrap_or(u32::MAX));
        let quietest = self.0.iter().min_by_key(|(_, history)| history.last());
        let quietest = quietest.filter(|(_, history)| history.last() < before).map(|(account, _)| account.clone());
        if let Some(account) = quietest {
            self.0.remove(&account);
        }
    }

    /// Takes a sum back that was booked at this time and turned out not to have been spent.
    pub fn take_back(&mut self, account: &Account, sum: Sum, at_unix_ms: u64) {
        if let Some(history) = self.0.get_mut(account) {
            Arc::make_mut(history).take_back(sum, at_unix_ms);
        }
    }

    /// What an account spent within a stretch.
    #[must_use]
    pub fn within(&self, account: &Account, stretch: Stretch) -> Sum {
        self.0.get(account).map(|history| history.within(stretch)).unwrap_or_default()
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

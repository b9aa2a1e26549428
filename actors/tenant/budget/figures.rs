//! The budget's figures as the tenant's own routes show them. Pure.
use super::accounts::Account;
use super::rules::Balance;
use crate::supervisor::messages::{BudgetFigures, CeilingFigures};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_policy::schema::Window;

/// Counters below the tenant that are shown, at most.
const CEILINGS_SHOWN_MAX: usize = 256;

/// The figures at a time.
pub(super) fn figures(balance: &mut Balance, waiting: usize, now_unix_ms: u64) -> BudgetFigures {
    let (circuit_breaker, used_ppm) = balance.breaker(now_unix_ms);
    let own = balance.of_tenant(now_unix_ms);
    let of = |window| own.iter().find(|bound| bound.key.window == window);
    let limit = |window| of(window).and_then(|bound| bound.limit);
    let spent = |window| of(window).map(|bound| bound.counter.posted.money).unwrap_or_default();
    BudgetFigures {
        limit_month: limit(Window::Month).unwrap_or_default(),
        limit_day: limit(Window::Day).unwrap_or_default(),
        limit_hour: limit(Window::Hour),
        spent_month: spent(Window::Month),
        spent_day: spent(Window::Day),
        spent_hour: spent(Window::Hour),
        held: balance.held(),
        unreconciled: balance.ledger.books.unreconciled,
        overrun: balance.ledger.books.overrun,
        books: balance.ledger.books,
        circuit_breaker,
        used_ppm,
        circuit_breaker_switches: balance.breaker_switches(),
        waiting: u64::try_from(waiting).unwrap_or(u64::MAX),
        ceilings: ceilings(balance, now_unix_ms),
    }
}

fn ceilings(balance: &Balance, now_unix_ms: u64) -> Vec<CeilingFigures> {
    let in_use = balance.counters().in_use().into_iter();
    let shown = in_use.filter(|(key, ..)| key.stretch.holds(now_unix_ms) && key.account != Account::Tenant);
    shown
        .take(CEILINGS_SHOWN_MAX)
        .filter_map(|(key, counter, limit, limit_tokens)| {
            let (level, name) = match key.account {
                Account::Tenant => return None,
                Account::Domain(name) => ("domain", name),
                Account::Usecase(name) => ("usecase", name),
                Account::User(name) => ("user", name),
                Account::Key(name) => ("key", name),
            };
            Some(CeilingFigures {
                level: level.to_owned(),
                name,
                window: key.window,
                limit,
                limit_tokens,
                spent: counter.posted.money,
                held: counter.pending.money,
                tokens: counter.posted.tokens,
                starts: rfc3339(key.stretch.starts_unix_ms),
                ends: rfc3339(key.stretch.ends_unix_ms),
            })
        })
        .collect()
}

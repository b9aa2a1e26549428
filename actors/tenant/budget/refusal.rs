//! Why a call is refused that no ceiling has room for, in numbers. Pure.
use super::accounts::{Account, Sum};
use super::candidates::{shortest, worst};
use super::counters::Bound;
use super::hold::Candidate;
use super::sums::{FULL, least, within};
use bailiwick_kernel::outcome::{Code, Rejection};

/// A refusal with the numbers that justify it: those of the ceiling that refuses for longest.
pub(super) fn exceeded(candidates: &[Candidate], prompt_tokens: u64, bounds: &[Bound], now_unix_ms: u64) -> Rejection {
    let needed = candidates.iter().map(|one| worst(&shortest(one), prompt_tokens)).fold(FULL, least);
    let lacking = bounds
        .iter()
        .filter(|bound| !within(needed, bound.room_at_rest()))
        .max_by_key(|bound| bound.key.stretch.ends_unix_ms);
    let Some(bound) = lacking.or(bounds.first()) else {
        return Rejection::new(Code::BudgetExceeded, "holding money for this call: this tenant has no budget");
    };
    let whose = match &bound.key.account {
        Account::Tenant => "the tenant".to_owned(),
        Account::Domain(name) => format!("domain {name}"),
        Account::Usecase(name) => format!("use case {name}"),
        Account::User(name) => format!("user {name}"),
        Account::Key(name) => format!("key {name}"),
    };
    let window = bound.key.window.as_str();
    let Sum { money, tokens } = bound.counter.posted;
    let numbers = match (bound.limit, bound.limit_tokens) {
        _ if bound.is_unknown => "more accounts than can be kept apart".to_owned(),
        (Some(limit), _) if needed.money > bound.room_at_rest().money => {
            format!(
                "{} USD are needed, {money} USD of {limit} USD are spent and {} USD held",
                needed.money, bound.counter.pending.money
            )
        }
        (_, Some(limit)) => {
            format!(
                "{} tokens are needed, {tokens} of {limit} are used and {} held",
                needed.tokens, bound.counter.pending.tokens
            )
        }
        (limit, None) => format!("{} USD are needed of {} USD", needed.money, limit.unwrap_or_default()),
    };
    let fits_an_empty_window = within(
        needed,
        Sum { money: bound.limit.unwrap_or(FULL.money), tokens: bound.limit_tokens.unwrap_or(FULL.tokens) },
    );
    if bound.is_unknown || !fits_an_empty_window {
        let detail = format!(
            "holding the worst case of this call: {numbers} in this {window} by {whose}, and no {window} to come has room for it; ask for less or raise budget in router.yaml"
        );
        return Rejection::new(Code::BudgetExceeded, detail);
    }
    let detail = format!(
        "holding the worst case of this call: {numbers} in this {window} by {whose}; wait for the next {window} or raise budget in router.yaml"
    );
    Rejection::retry_after(
        Code::BudgetExceeded,
        detail,
        bound.key.stretch.ends_unix_ms.saturating_sub(now_unix_ms).max(1),
    )
}

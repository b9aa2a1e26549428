//! The counters against another way to the same decisions, and against what is promised about them.
use super::book::{Book, Closed};
use super::gcra::{Cell, Dry, Rate};
use super::oracle::{Bucket, Dice};
use super::rates::{RequestRates, TokenRates};
use super::scope::{NO_USER, Scope};
use super::sheet::Figure;
use crate::question::{Matter, Question};
use bailiwick_kernel::limits::COUNTED_MEMBERS_MAX;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::access::Principal;
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{LevelLimit, Quotas};
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;
const HOUR_NS: u64 = 60 * MINUTE_NS;
/// 9 October 2025, as a wall clock counts it.
const START_NS: u64 = 1_760_000_000 * SECOND_NS;

fn limit(level: Level, name: &str) -> LevelLimit {
    LevelLimit {
        level,
        name: name.into(),
        max_requests_per_hour: None,
        max_requests_per_minute: None,
        max_tokens_per_minute: None,
        max_concurrent_requests: None,
        max_storage_gb: None,
    }
}

fn quotas(per_hour: u32, limits: Vec<LevelLimit>) -> Quotas {
    Quotas { max_requests_per_hour: per_hour, max_concurrent_requests: 8, limits, ..Quotas::default() }
}

/// Who asks about what; scopes are borrowed from it.
struct Asker(Matter, Principal);

impl Asker {
    fn new(domain: &str, usecase: &str, user: &str, key: &str) -> Self {
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let question = Question { domain: named(domain), usecase: named(usecase), ..Question::default() };
        Self(
            Matter::Ask(question),
            Principal { key_id: key.into(), user_id: named(user), role: None, attributes: Default::default() },
        )
    }

    fn scope(&self) -> Scope<'_> {
        Scope::of(&self.0, &self.1)
    }
}

/// Time until the next arrival: now and then at once, at a cell's edge, or after a long rest.
fn pause(dice: &mut Dice, rate: Rate) -> u64 {
    let cell_ns = rate.window_ns / rate.amount;
    match dice.below(16) {
        0..4 => 0,
        4..6 => cell_ns,
        6..8 => cell_ns + 1,
        8 => cell_ns.saturating_sub(1),
        9 => dice.below(rate.window_ns * 2),
        _ => dice.below(cell_ns * 2 + 2),
    }
}

#[test]
fn one_counter_decides_as_the_oracle_on_nine_million_arrivals() {
    let windows = [7, SECOND_NS, MINUTE_NS, HOUR_NS];
    let mut dice = Dice::new(1);
    let (mut arrivals, mut admitted) = (0_u64, 0_u64);
    for round in 0..180 {
        let amount = 1 + dice.below([3, 60, 1_000, 4_000_000_000][round % 4]);
        let rate = Rate { amount, window_ns: windows[round / 4 % 4] };
        let (mut cell, mut bucket) = (Cell::default(), Bucket::full(rate.amount, rate.window_ns));
        // begins far from the origin, where a rounded product would show
        let mut now_ns = START_NS;
        for _ in 0..50_000 {
            now_ns += pause(&mut dice, rate);
            let units = 1 + dice.below(amount.min(3));
            arrivals += 1;
            match rate.peek(cell, now_ns, units) {
                Ok(()) => {
                    assert!(bucket.has(now_ns, units), "{rate:?} admits {units} at {now_ns}");
                    rate.take(&mut cell, now_ns, units);
                    bucket.take(now_ns, units);
                    admitted += 1;
                }
                Err(Dry::For { wait_ns }) => {
                    assert!(!bucket.has(now_ns, units), "{rate:?} refuses {units} at {now_ns}");
                    assert!(bucket.is_exact_wait(now_ns, units, wait_ns), "{rate:?} lets wait {wait_ns} ns");
                }
                Err(Dry::Forever) => panic!("{units} of {amount} fit"),
            }
        }
    }
    assert_eq!(arrivals, 9_000_000);
    assert!(admitted > 1_000_000 && admitted < 8_000_000, "both answers occur: {admitted} admitted");
}

/// Limits of every level and window, tight enough to refuse each other.
fn many_limits() -> Quotas {
    let per_hour = |level, name, amount| LevelLimit { max_requests_per_hour: Some(amount), ..limit(level, name) };
    let per_minute = |level, name, amount| LevelLimit { max_requests_per_minute: Some(amount), ..limit(level, name) };
    let limits = vec![
        per_hour(Level::Domain, "hr", 400),
        per_minute(Level::Domain, "*", 14),
        per_minute(Level::Usecase, "*", 15),
        LevelLimit { max_requests_per_minute: Some(17), ..per_hour(Level::User, "*", 399) },
        per_minute(Level::Key, "*", 13),
        per_minute(Level::Key, "k0", 7),
    ];
    Quotas { max_requests_per_minute: Some(41), ..quotas(900, limits) }
}

/// A bucket for every counter a scope has, by the words of the file.
fn buckets_of(quotas: &Quotas, scope: &Scope<'_>) -> Vec<(String, u64, u64)> {
    let mut of = vec![("tenant/h".to_owned(), u64::from(quotas.max_requests_per_hour), HOUR_NS)];
    of.extend(quotas.max_requests_per_minute.map(|amount| ("tenant/m".to_owned(), amount.into(), MINUTE_NS)));
    for limit in quotas.limits.iter().filter(|limit| limit.name == "*" || limit.name == scope.member(limit.level)) {
        let name = format!("{}/{}/{}", limit.level, limit.name, scope.member(limit.level));
        of.extend(limit.max_requests_per_hour.map(|amount| (name.clone() + "/h", amount.into(), HOUR_NS)));
        of.extend(limit.max_requests_per_minute.map(|amount| (name + "/m", amount.into(), MINUTE_NS)));
    }
    of
}

#[test]
fn several_levels_decide_as_the_oracle_on_a_million_arrivals_and_say_the_exact_wait() {
    let quotas = many_limits();
    let mut askers = Vec::new();
    for (domain, usecase) in [("hr", "onboarding"), ("hr", ""), ("legal", "contracts"), ("", "")] {
        for (user, key) in [("ann", "k0"), ("ann", "k1"), ("bob", "k2"), ("", "k3")] {
            askers.push(Asker::new(domain, usecase, user, key));
        }
    }
    let counters: Vec<_> = askers.iter().map(|asker| buckets_of(&quotas, &asker.scope())).collect();
    let names: std::collections::BTreeSet<_> = counters.iter().flatten().cloned().collect();
    let mut buckets: BTreeMap<String, Bucket> =
        names.into_iter().map(|(name, amount, window_ns)| (name, Bucket::full(amount, window_ns))).collect();
    let mut rates = RequestRates::new(&quotas);
    let (mut dice, mut now_ns, mut waits) = (Dice::new(2), START_NS, 0_u64);
    let mut refused_by: BTreeMap<Option<Level>, u64> = BTreeMap::new();
    for _ in 0..1_000_000 {
        now_ns += if dice.below(2_000) == 0 { dice.below(HOUR_NS / 2) } else { dice.below(SECOND_NS) };
        let at = usize::try_from(dice.below(16)).unwrap();
        let scope = askers[at].scope();
        let here = || counters[at].iter().map(|(name, ..)| name);
        match rates.peek(&scope, now_ns) {
            Ok(()) => {
                let told = rates.take(&scope, now_ns);
                assert_eq!(told, rates.figure(&scope, now_ns), "what is told of a taking is what is left after it");
                for name in here() {
                    let bucket = buckets.get_mut(name).unwrap();
                    assert!(bucket.has(now_ns, 1), "{name} has nothing left");
                    bucket.take(now_ns, 1);
                }
            }
            Err(refused) => {
                let wait_ns = refused.wait_ns().unwrap();
                assert!(here().all(|name| buckets[name].has(now_ns + wait_ns, 1)), "{refused}: all have one by then");
                assert!(!here().all(|name| buckets[name].has(now_ns + wait_ns - 1, 1)), "{refused}: not earlier");
                *refused_by.entry(refused.level()).or_default() += 1;
                waits += 1;
            }
        }
        if dice.below(64) == 0 {
            let least = here().map(|name| buckets[name].units(now_ns)).min();
            assert_eq!(rates.figure(&scope, now_ns).map(|figure| figure.remaining), least);
        }
    }
    assert!(waits >= 100_000, "only {waits} waits were checked");
    assert_eq!(refused_by.len(), 5, "every level refuses at times: {refused_by:?}");
}

#[test]
fn in_every_window_no_more_is_admitted_than_burst_and_rate() {
    let mut dice = Dice::new(3);
    for (amount, window_ns) in [(1, SECOND_NS), (7, MINUTE_NS), (60, MINUTE_NS), (1_000, HOUR_NS), (3, 7)] {
        let rate = Rate { amount, window_ns };
        let (mut cell, mut now_ns, mut admitted) = (Cell::default(), START_NS, Vec::new());
        for _ in 0..6_000 {
            now_ns += pause(&mut dice, rate) / 2;
            if rate.peek(cell, now_ns, 1).is_ok() {
                rate.take(&mut cell, now_ns, 1);
                admitted.push(now_ns);
            }
        }
        assert!(admitted.len() > 300, "only {} were admitted", admitted.len());
        for (first, from_ns) in admitted.iter().enumerate() {
            for (last, to_ns) in admitted.iter().enumerate().skip(first) {
                let (count, time_ns) = ((last - first + 1) as u128, u128::from(to_ns - from_ns));
                let most = u128::from(amount) * (u128::from(window_ns) + time_ns);
                assert!(count * u128::from(window_ns) <= most, "{rate:?}: {count} within {time_ns} ns");
            }
        }
    }
}

#[test]
fn a_whole_window_may_come_at_once() {
    let mut rates = RequestRates::new(&quotas(3, vec![]));
    let asker = Asker::new("", "", "", "k");
    let scope = asker.scope();
    for left in (0..3).rev() {
        rates.peek(&scope, START_NS).unwrap();
        rates.take(&scope, START_NS);
        let reset_ns = (3 - left) * HOUR_NS / 3;
        assert_eq!(rates.figure(&scope, START_NS), Some(Figure { limit: 3, remaining: left, reset_ns }));
    }
    let refused = rates.peek(&scope, START_NS).unwrap_err();
    assert_eq!(refused.wait_ns(), Some(HOUR_NS / 3));
    assert!(rates.peek(&scope, START_NS + HOUR_NS / 3 - 1).is_err());
    assert!(rates.peek(&scope, START_NS + HOUR_NS / 3).is_ok());
}

#[test]
fn a_refusal_at_one_level_counts_at_no_other() {
    let quotas = quotas(10, vec![LevelLimit { max_requests_per_minute: Some(1), ..limit(Level::Key, "*") }]);
    let mut rates = TokenRates::new(&Quotas {
        max_tokens_per_minute: Some(10),
        limits: vec![LevelLimit { max_tokens_per_minute: Some(1), ..limit(Level::Key, "*") }],
        ..quotas.clone()
    });
    let (one, other) = (Asker::new("", "", "", "one"), Asker::new("", "", "", "other"));
    assert!(rates.take(&one.scope(), START_NS, 1).is_ok());
    for _ in 0..20 {
        let refused = rates.take(&one.scope(), START_NS, 1).unwrap_err();
        assert_eq!(refused.level(), Some(Level::Key));
    }
    assert!(
        rates.take(&other.scope(), START_NS, 1).is_ok(),
        "twenty refusals have used up nothing of the tenant's ten"
    );
}

#[test]
fn leaving_a_name_out_evades_no_limit() {
    let limits = vec![
        LevelLimit { max_requests_per_minute: Some(2), ..limit(Level::Domain, "*") },
        LevelLimit { max_requests_per_minute: Some(3), ..limit(Level::User, NO_USER) },
    ];
    let mut rates = RequestRates::new(&quotas(100, limits));
    let mut admitted = |domain: &str, user: &str| {
        let asker = Asker::new(domain, "", user, "k");
        let admits = rates.peek(&asker.scope(), START_NS).is_ok();
        if admits {
            rates.take(&asker.scope(), START_NS);
        }
        admits
    };
    assert!(admitted("", "ann") && admitted(" ", "ann"));
    assert!(!admitted("general", "ann") && !admitted("", "ann"), "no domain is the general one");
    assert!(admitted("hr", "") && admitted("legal", "") && admitted("it", ""));
    assert!(!admitted("sales", ""), "keys without a user are counted together");
    assert!(admitted("sales", "ann"));
}

#[test]
fn refusals_name_the_level_and_what_to_do() {
    let told = |quotas: &Quotas, tokens: u64| {
        let mut rates = TokenRates::new(quotas);
        let asker = Asker::new("hr", "", "ann", "k");
        let first = rates.take(&asker.scope(), START_NS, tokens);
        let refused = first.and_then(|_taken| rates.take(&asker.scope(), START_NS, tokens)).unwrap_err();
        Rejection::from(refused)
    };
    let tenant = Quotas { max_tokens_per_minute: Some(100), ..quotas(1, vec![]) };
    let rejection = told(&tenant, 100);
    assert_eq!((rejection.code, rejection.retry_after_ms), (Code::RateLimited, Some(60_000)));
    assert_eq!(rejection.detail, "this tenant's quota of 100 tokens per minute is used up; the next fits in 60000 ms");
    let rejection = told(&tenant, 101);
    assert_eq!((rejection.code, rejection.retry_after_ms), (Code::QuotaExceeded, None), "no wait helps");
    let user = LevelLimit { max_tokens_per_minute: Some(7), ..limit(Level::User, "*") };
    let rejection = told(&Quotas { limits: vec![user], ..tenant }, 4);
    assert_eq!(rejection.retry_after_ms, Some(8_572), "1/7 of a minute is 8571.4 ms, and never told shorter");
    assert!(rejection.detail.starts_with("the limit of 7 tokens per minute of user \"ann\" is used up"));
}

#[test]
fn adoption_forgets_no_use_and_gives_none_anew() {
    let asker = Asker::new("hr", "", "ann", "k");
    let scope = asker.scope();
    let key = |amount| LevelLimit { max_requests_per_minute: Some(amount), ..limit(Level::Key, "*") };
    let user = LevelLimit { max_requests_per_hour: Some(50), ..limit(Level::User, "ann") };
    let before = quotas(100, vec![key(10), user.clone()]);
    let mut rates = RequestRates::new(&before);
    let left = |rates: &RequestRates, now_ns| rates.clone().figure(&scope, now_ns).unwrap().remaining;
    for _ in 0..10 {
        rates.peek(&scope, START_NS).unwrap();
        rates.take(&scope, START_NS);
    }
    let untouched = rates.clone();
    rates.adopt(&before, START_NS);
    for wait_ns in [0, 1, 5 * SECOND_NS, 6 * SECOND_NS, MINUTE_NS] {
        let now_ns = START_NS + wait_ns;
        let decide = |rates: &RequestRates| rates.clone().peek(&scope, now_ns).err();
        assert_eq!(decide(&rates), decide(&untouched), "the same limits decide the same after {wait_ns} ns");
    }
    rates.adopt(&quotas(100, vec![user.clone(), key(12)]), START_NS);
    assert_eq!(left(&rates, START_NS), 2, "ten of twelve are used, and the order of the file says nothing");
    rates.adopt(&quotas(100, vec![key(5), user]), START_NS);
    let refused = rates.peek(&scope, START_NS).unwrap_err();
    assert_eq!(refused.wait_ns(), Some(72 * SECOND_NS), "six of ten have to come back at five a minute");
    rates.adopt(&quotas(100, vec![]), START_NS);
    assert_eq!((left(&rates, START_NS), rates.members()), (90, 0));
    rates.adopt(&quotas(100, vec![key(12)]), START_NS);
    assert_eq!(left(&rates, START_NS), 12, "a limit that was gone begins whole");
}

#[test]
fn members_are_bounded_and_idle_ones_cost_nothing() {
    let every_domain = LevelLimit { max_requests_per_minute: Some(60), ..limit(Level::Domain, "*") };
    let mut rates = RequestRates::new(&quotas(u32::MAX, vec![every_domain]));
    let mut ask = |domain: &str, now_ns: u64| {
        let asker = Asker::new(domain, "", "", "k");
        rates.peek(&asker.scope(), now_ns)?;
        rates.take(&asker.scope(), now_ns);
        Ok::<_, super::rates::Refused>(rates.members())
    };
    for number in 0..COUNTED_MEMBERS_MAX {
        assert_eq!(ask(&format!("d{number}"), START_NS), Ok(number + 1));
    }
    let refused = ask("one more", START_NS + 10).unwrap_err();
    assert_eq!((refused.wait_ns(), refused.level()), (Some(SECOND_NS - 10), None));
    let rejection = Rejection::from(refused);
    assert_eq!((rejection.code, rejection.retry_after_ms), (Code::Overloaded, Some(1_000)));
    assert_eq!(ask("d7", START_NS + 10), Ok(COUNTED_MEMBERS_MAX), "who is counted already is served");
    assert!(ask("one more", START_NS + SECOND_NS - 1).is_err());
    assert_eq!(ask("one more", START_NS + SECOND_NS), Ok(2), "d7 is not whole yet, the others are gone");
    rates.sweep(START_NS + 3 * SECOND_NS);
    assert_eq!(rates.members(), 0);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing_and_gives_nothing() {
    let mut rates = RequestRates::new(&quotas(60, vec![]));
    let asker = Asker::new("", "", "", "k");
    let scope = asker.scope();
    for _ in 0..60 {
        rates.peek(&scope, START_NS).unwrap();
        rates.take(&scope, START_NS);
    }
    let back_ns = START_NS - 1_000 * HOUR_NS;
    assert_eq!(rates.peek(&scope, back_ns).unwrap_err().wait_ns(), Some(MINUTE_NS));
    assert!(rates.peek(&scope, back_ns + MINUTE_NS - 1).is_err());
    assert!(rates.peek(&scope, back_ns + MINUTE_NS).is_ok());
}

/// One taking of tokens, as used in the end.
struct Use {
    at_ns: u64,
    tokens: u64,
}

#[test]
fn tokens_given_back_never_let_more_be_used_than_burst_and_rate() {
    let mut dice = Dice::new(5);
    let asker = Asker::new("", "", "", "k");
    let scope = asker.scope();
    let mut given_back = 0_u64;
    for round in 0..60 {
        let amount = 50 + dice.below(200);
        let mut rates = TokenRates::new(&Quotas { max_tokens_per_minute: Some(amount), ..quotas(1, vec![]) });
        let (mut now_ns, mut open, mut uses) = (START_NS, Vec::new(), Vec::<Use>::new());
        for _ in 0..300 {
            now_ns += dice.below(8 * SECOND_NS);
            let tokens = 1 + dice.below(amount);
            if let Ok(taken) = rates.take(&scope, now_ns, tokens) {
                uses.push(Use { at_ns: now_ns, tokens });
                open.push((taken, uses.len() - 1));
            }
            while !open.is_empty() && dice.below(2) == 0 {
                let (taken, index) = open.swap_remove(usize::try_from(dice.below(open.len() as u64)).unwrap());
                let unused = dice.below(taken.tokens() + 1);
                uses[index].tokens -= unused;
                given_back += unused;
                rates.give_back(taken, now_ns, unused);
            }
        }
        for first in 0..uses.len() {
            let mut sum = 0;
            for last in first..uses.len() {
                sum += uses[last].tokens;
                let time_ns = uses[last].at_ns - uses[first].at_ns;
                let most = u128::from(amount) * u128::from(MINUTE_NS + time_ns);
                assert!(
                    u128::from(sum) * u128::from(MINUTE_NS) <= most,
                    "round {round}: {sum} of {amount} tokens a minute were used within {time_ns} ns"
                );
            }
        }
    }
    assert!(given_back > 100_000, "only {given_back} tokens were given back");
}

#[test]
fn what_a_call_did_not_use_is_there_at_once_and_only_once() {
    let limits = vec![LevelLimit { max_tokens_per_minute: Some(600), ..limit(Level::User, "*") }];
    let quotas = Quotas { max_tokens_per_minute: Some(1_000), ..quotas(1, limits) };
    let mut rates = TokenRates::new(&quotas);
    let asker = Asker::new("", "", "ann", "k");
    let scope = asker.scope();
    let taken = rates.take(&scope, START_NS, 600).unwrap();
    assert_eq!(rates.take(&scope, START_NS, 1).unwrap_err().level(), Some(Level::User));
    rates.give_back(taken, START_NS, 500);
    assert_eq!(rates.figure(&scope, START_NS).unwrap().remaining, 500);
    assert!(rates.take(&scope, START_NS, 501).is_err());

    // a call that ends after its tokens have come back by time gives nothing
    let long = rates.take(&scope, START_NS, 500).unwrap();
    let later_ns = START_NS + MINUTE_NS;
    let next = rates.take(&scope, later_ns, 600).unwrap();
    rates.give_back(long, later_ns, 500);
    assert_eq!(rates.figure(&scope, later_ns).unwrap().remaining, 0);

    // nor does one that was taken under another rate
    let mut raised = quotas.clone();
    raised.limits[0].max_tokens_per_minute = Some(700);
    rates.adopt(&raised, later_ns);
    assert_eq!(rates.figure(&scope, later_ns).unwrap().remaining, 100);
    rates.give_back(next, later_ns, 600);
    assert_eq!(rates.figure(&scope, later_ns).unwrap().remaining, 100);
    assert_eq!(TokenRates::new(&self::quotas(1, vec![])).figure(&scope, later_ns), None, "nothing limits");
}

#[test]
fn of_two_calls_that_gave_back_the_later_one_gives_no_more_than_still_stands() {
    let second = |seconds: u64| START_NS + seconds * SECOND_NS;
    let mut rates = TokenRates::new(&Quotas { max_tokens_per_minute: Some(60), ..quotas(1, vec![]) });
    let asker = Asker::new("", "", "", "k");
    let scope = asker.scope();
    let first = rates.take(&scope, second(0), 60).unwrap();
    let later = rates.take(&scope, second(50), 50).unwrap();
    rates.give_back(first, second(50), 10);
    // of the later call's fifty, time has given back forty by now
    let last = rates.take(&scope, second(90), 50).unwrap();
    rates.give_back(later, second(90), 50);
    assert_eq!(rates.figure(&scope, second(90)).unwrap().remaining, 10, "fifty of sixty were taken just now");
    drop(last);
}

#[test]
fn more_than_a_window_has_is_refused_for_ever_and_a_zero_rate_always() {
    let rate = Rate { amount: 5, window_ns: MINUTE_NS };
    assert_eq!(rate.peek(Cell::default(), START_NS, 6), Err(Dry::Forever));
    let mut book = Book::default();
    book.adopt(vec![], START_NS);
    let asker = Asker::new("", "", "", "k");
    assert_eq!(book.peek(&asker.scope(), START_NS, u64::MAX), Ok(()), "what nothing limits is not limited");
    let mut closed = RequestRates::new(&quotas(0, vec![]));
    assert_eq!(closed.peek(&asker.scope(), START_NS).unwrap_err().wait_ns(), None);
    assert_eq!(closed.figure(&asker.scope(), START_NS), Some(Figure { limit: 0, remaining: 0, reset_ns: 0 }));
    let huge = Rate { amount: u64::MAX, window_ns: HOUR_NS };
    let mut cell = Cell::default();
    huge.take(&mut cell, START_NS, u64::MAX);
    assert_eq!(huge.remaining(cell, START_NS), 0);
    assert_eq!(huge.whole_in_ns(cell, START_NS), HOUR_NS);
    assert!(matches!(book.peek(&asker.scope(), START_NS, 1), Ok::<(), Closed>(())));
}

//! Table tests of the budget's rules. The long random runs stand in [`super::model_tests`].
use super::accounts::{Account, Accounts, Spender, Sum};
use super::breaker::{Breaker, BreakerState};
use super::candidates::worst_case;
use super::fixtures::{candidate, rules};
use super::hold::{Candidate, Embedding};
use super::ledger::{Ledger, day_of, month_of};
use super::rules::{Balance, Call, Cover, Ended, Fit, Made, Weighed};
use super::waiting::{Line, Waiting};
use crate::catalog::{EXTRACTIVE, Price};
use crate::entry::{Entry, Lump, Reconciled};
use crate::supervisor::fixtures::NOW;
use bailiwick_kernel::limits::ACCOUNTS_MAX;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::{BreakerAction, BudgetBreaker, EmbeddingRoute, HoldRecords};

const DAY_MS: u64 = 86_400_000;

fn balance(day: u64, month: u64) -> Balance {
    Balance::new(Ledger::default(), Accounts::default(), &rules(day, month, ""))
}

fn under(further: &str) -> Balance {
    Balance::new(Ledger::default(), Accounts::default(), &rules(10_000, 10_000, further))
}

fn spender(user: &str) -> Spender {
    Spender { domain: Some("hr".into()), usecase: None, user: Some(user.into()), key: Some("k1".into()) }
}

fn call(candidates: Vec<Candidate>, prompt_tokens: u64) -> Call {
    Call {
        query_id: "q".into(),
        spender: spender("ann"),
        admitted_unix_ms: NOW,
        candidates,
        embedding: None,
        fallback: None,
        is_grounded: true,
        prompt_tokens,
    }
}

fn fits(balance: &mut Balance, call: &Call) -> Fit {
    match balance.weigh(call, NOW) {
        Weighed::Fits(fit) => fit,
        other => panic!("does not fit: {other:?}"),
    }
}

fn make(balance: &mut Balance, call: &Call) -> Made {
    let fit = fits(balance, call);
    balance.make(&fit, call)
}

fn refused(balance: &mut Balance, call: &Call) -> Rejection {
    match balance.weigh(call, NOW) {
        Weighed::Refused(rejection) => rejection,
        other => panic!("not refused: {other:?}"),
    }
}

fn settled(money: u64) -> Ended {
    Ended::Settled(Sum { money: NanoUsd(money), tokens: money })
}

fn posted(balance: &mut Balance, at_unix_ms: u64) -> Vec<u64> {
    balance.of_tenant(at_unix_ms).iter().map(|bound| bound.counter.posted.money.0).collect()
}

#[test]
fn views_are_by_day_and_month_in_utc() {
    assert_eq!((day_of(DAY_MS - 1), day_of(DAY_MS)), (0, 1));
    assert_eq!((month_of(0), month_of(31 * DAY_MS)), (1970 * 12, 1970 * 12 + 1));
}

#[test]
fn the_dearest_candidate_that_fits_is_held_and_the_others_struck() {
    let mut balance = balance(1_000, 10_000);
    let call = call(vec![candidate(100, 50, false), candidate(1, 50, true)], 10);
    let fit = fits(&mut balance, &call);
    assert_eq!(fit.candidates.len(), 1, "the primary, at 6000, does not fit and must not be called");
    assert!(fit.candidates[0].fallback);
    assert_eq!(balance.make(&fit, &call).amount, NanoUsd(60));
}

fn embedding(tokens: u64) -> Option<Embedding> {
    let route = EmbeddingRoute { provider: "p".into(), model: "e".into() };
    Some(Embedding { route, price: Price { input_nano_usd_per_token: 2, output_nano_usd_per_token: 0 }, tokens })
}

#[test]
fn looking_up_is_held_for_beside_the_answer_and_never_instead_of_it() {
    let mut balance = balance(1_000, 1_000);
    let wanted = |tokens| Call { embedding: embedding(tokens), ..call(vec![candidate(1, 400, false)], 100) };
    let fit = fits(&mut balance, &wanted(250));
    assert_eq!((fit.embedding.is_some(), fit.tokens()), (true, 750));
    assert_eq!(balance.make(&fit, &wanted(250)).amount, NanoUsd(1_000), "the answer's worst case and the embedding's");
    let mut balance = under("");
    for (tokens, is_held, held) in [(4_750, true, 10_000), (4_751, false, 500)] {
        let fit = fits(&mut balance, &wanted(tokens));
        assert_eq!(fit.embedding.is_some(), is_held);
        let made = balance.make(&fit, &wanted(tokens));
        assert_eq!(made.amount, NanoUsd(held));
        balance.returned(made.number, Ended::Unused, NanoUsd::ZERO, NOW);
    }
    let dearer =
        Call { embedding: embedding(1), ..call(vec![candidate(30, 400, false), candidate(1, 400, true)], 100) };
    assert!(fits(&mut balance, &dearer).embedding.is_some());
    let made = make(&mut balance, &call(vec![candidate(1, 9_600, false)], 0));
    balance.returned(made.number, settled(9_600), NanoUsd::ZERO, NOW);
    let cut = fits(&mut balance, &wanted(1));
    assert!(cut.embedding.is_none() && cut.candidates[0].route.max_tokens < 400, "the last money is for the answer");
}

#[test]
fn the_fallback_is_checked_like_the_primary() {
    let mut balance = balance(100, 1_000);
    let first = make(&mut balance, &call(vec![candidate(1, 90, false)], 0));
    balance.returned(first.number, settled(90), NanoUsd::ZERO, NOW);
    let refused = refused(&mut balance, &call(vec![candidate(100, 50, false), candidate(1, 50, true)], 10));
    assert_eq!(refused.code, Code::BudgetExceeded);
    assert_eq!(refused.retry_after_ms, Some(DAY_MS - NOW % DAY_MS));
    let numbers = "0.000000026 USD are needed, 0.00000009 USD of 0.0000001 USD are spent";
    assert!(refused.detail.contains(numbers), "{}", refused.detail);
    assert_eq!(balance.held(), NanoUsd::ZERO);
}

#[test]
fn what_no_window_has_room_for_is_not_asked_to_wait() {
    let refused = refused(&mut balance(10, 1_000), &call(vec![candidate(1, 50, false)], 10));
    assert_eq!((refused.code, refused.retry_after_ms), (Code::BudgetExceeded, None));
}

#[test]
fn the_month_refuses_where_the_day_would_not() {
    let refused = refused(&mut balance(1_000, 100), &call(vec![candidate(10, 50, false)], 0));
    assert!(refused.detail.contains("in this month by the tenant"), "{}", refused.detail);
}

#[test]
fn a_late_record_cannot_touch_another_window() {
    let mut balance = balance(100, 1_000);
    let made = make(&mut balance, &call(vec![candidate(1, 90, false)], 0));
    let tomorrow = NOW + DAY_MS;
    balance.returned(made.number, settled(90), NanoUsd::ZERO, tomorrow);
    assert_eq!(posted(&mut balance, NOW), [90, 90]);
    assert_eq!(posted(&mut balance, tomorrow), [90, 0], "the charge counts on the day that held for it");
}

#[test]
fn a_clock_that_goes_back_finds_the_window_it_left() {
    let mut balance = balance(100, 1_000);
    let made = make(&mut balance, &call(vec![candidate(1, 100, false)], 0));
    balance.returned(made.number, settled(100), NanoUsd::ZERO, NOW);
    let tomorrow = Call { admitted_unix_ms: NOW + DAY_MS, ..call(vec![candidate(1, 100, false)], 0) };
    make(&mut balance, &tomorrow);
    refused(&mut balance, &call(vec![candidate(1, 16, false)], 0));
}

#[test]
fn who_fits_beside_what_comes_back_waits_and_is_not_refused() {
    let mut balance = balance(100, 1_000);
    let first = make(&mut balance, &call(vec![candidate(1, 60, false)], 0));
    let second = call(vec![candidate(1, 60, false)], 0);
    let Weighed::MustWait(tight) = balance.weigh(&second, NOW) else { panic!("60 beside 60 of 100") };
    assert_eq!(tight.len(), 1, "the day is tight, the month is not");
    balance.returned(first.number, settled(10), NanoUsd::ZERO, NOW);
    assert_eq!(make(&mut balance, &second).amount, NanoUsd(60));
}

#[test]
fn the_last_money_buys_a_shorter_answer() {
    let mut balance = balance(100, 1_000);
    let first = make(&mut balance, &call(vec![candidate(1, 60, false)], 0));
    balance.returned(first.number, settled(60), NanoUsd::ZERO, NOW);
    let fit = fits(&mut balance, &call(vec![candidate(1, 60, false)], 10));
    assert_eq!(fit.candidates[0].route.max_tokens, 30, "40 are left, the prompt takes 10");
    refused(&mut balance, &call(vec![candidate(1, 60, false)], 30));
}

#[test]
fn a_hold_needs_durable_escrow_before_it_is_handed_on() {
    let mut balance = balance(1_000, 1_000);
    let made = make(&mut balance, &call(vec![candidate(1, 100, false)], 0));
    let Cover::Grow(block) = made.cover else { panic!("nothing is durable yet") };
    assert!(block >= made.amount && block <= NanoUsd(1_000));
    balance.escrowed(block);
    let next = make(&mut balance, &call(vec![candidate(1, 100, false)], 0)).cover;
    assert!(!matches!(next, Cover::Grow(_)), "{next:?}");
}

#[test]
fn strict_holds_have_a_record_of_their_own() {
    let mut balance = under("  holds: strict\n");
    let made = make(&mut balance, &call(vec![candidate(1, 100, false)], 0));
    let Cover::Record(taken) = made.cover else { panic!("no record") };
    assert_eq!((taken.amount, taken.query_id.as_str()), (NanoUsd(100), "q"));
    let closed = balance.returned(made.number, Ended::Unused, NanoUsd::ZERO, NOW + 5).unwrap();
    assert_eq!((closed.unreconciled, closed.admitted_unix_ms), (NanoUsd::ZERO, NOW));
    assert_eq!(balance.returned(made.number, Ended::Unused, NanoUsd::ZERO, NOW + 6), None, "a hold comes home once");
}

#[test]
fn every_answer_asked_for_is_held() {
    let mut three = candidate(1, 100, false);
    three.answers = 3;
    assert_eq!(worst_case(&three, 10), NanoUsd(310));
}

#[test]
fn what_a_call_may_cost_is_exact_however_large() {
    let price = |input, output| Price { input_nano_usd_per_token: input, output_nano_usd_per_token: output };
    for (price, tokens, cost) in [
        (price(1, 1), (1, 1), 2),
        (price(150, 600), (1_001, 4_096), 2_607_750),
        (price(1, 11), (9, 100), 1_109),
        (price(1_000_000_000_007, 3), (9_013, 1), 9_013_000_000_063_094),
    ] {
        let (prompt_tokens, max_tokens) = tokens;
        let one = Candidate { price, ..candidate(0, max_tokens, false) };
        assert_eq!(worst_case(&one, prompt_tokens), NanoUsd(cost));
    }
}

#[test]
fn free_calls_hold_nothing() {
    let made = make(&mut balance(0, 0), &call(vec![candidate(0, 100, false)], 100));
    assert_eq!((made.amount, made.cover), (NanoUsd::ZERO, Cover::Covered));
}

#[test]
fn a_provider_that_reports_more_than_was_held_shows_as_overrun() {
    let mut balance = balance(1_000, 1_000);
    let made = make(&mut balance, &call(vec![candidate(1, 100, false)], 0));
    balance.returned(made.number, settled(130), NanoUsd::ZERO, NOW);
    assert_eq!(posted(&mut balance, NOW), [130, 130]);
    let books = balance.ledger.books;
    assert_eq!((books.spent, books.overrun, balance.held()), (NanoUsd(100), NanoUsd(30), NanoUsd::ZERO));
    assert!(books.balance(), "{books:?}");
}

#[test]
fn a_level_refuses_for_itself_and_for_nobody_else() {
    let mut balance = under(
        "  ceilings:\n    - {level: user, name: \"*\", window: day, limit_usd: \"0.0000001\"}\n    - {level: domain, name: hr, window: hour, limit_tokens: 150}\n",
    );
    let made = make(&mut balance, &call(vec![candidate(1, 90, false)], 0));
    balance.returned(made.number, settled(90), NanoUsd::ZERO, NOW);
    let refusal = refused(&mut balance, &call(vec![candidate(1, 90, false)], 0));
    assert!(refusal.detail.contains("in this day by user ann"), "{}", refusal.detail);
    let bob = Call { spender: spender("bob"), ..call(vec![candidate(1, 60, false)], 0) };
    make(&mut balance, &bob);
    let tokens = Call { spender: spender("eve"), ..call(vec![candidate(1, 90, false)], 0) };
    assert!(matches!(balance.weigh(&tokens, NOW), Weighed::MustWait(_)), "the domain has 60 tokens, bob holds them");
    let elsewhere = Spender { domain: Some("it".into()), ..spender("eve") };
    make(&mut balance, &Call { spender: elsewhere, ..tokens });
}

#[test]
fn all_levels_or_none() {
    let mut balance = under("  ceilings:\n    - {level: key, window: month, limit_usd: \"0.00000001\"}\n");
    refused(&mut balance, &call(vec![candidate(1, 90, false)], 0));
    assert_eq!(balance.held(), NanoUsd::ZERO);
    assert!(balance.of_tenant(NOW).iter().all(|bound| bound.counter.pending == Sum::default()));
}

#[test]
fn the_calendar_is_that_of_the_zone() {
    // half past ten in the evening of 9 October in New York is the 10th in UTC
    let evening = 1_760_063_400_000;
    let mut balance =
        Balance::new(Ledger::default(), Accounts::default(), &rules(100, 1_000, "  time_zone: America/New_York\n"));
    let late = Call { admitted_unix_ms: evening, ..call(vec![candidate(1, 100, false)], 0) };
    let made = make(&mut balance, &late);
    balance.returned(made.number, settled(100), NanoUsd::ZERO, evening);
    assert_eq!(posted(&mut balance, evening - 12 * 3_600_000), [100, 100], "the same day in New York");
    assert_eq!(posted(&mut balance, evening + 3 * 3_600_000), [100, 0], "the next day in New York");
}

#[test]
fn other_ceilings_count_what_was_spent_and_held_before() {
    let mut balance = balance(1_000, 1_000);
    let spent = make(&mut balance, &call(vec![candidate(1, 70, false)], 0));
    balance.returned(spent.number, settled(70), NanoUsd::ZERO, NOW);
    let held = make(&mut balance, &call(vec![candidate(1, 20, false)], 0));
    balance.adopt(&rules(100, 1_000, "  ceilings:\n    - {level: user, window: day, limit_usd: \"0.0000001\"}\n"));
    refused(&mut balance, &call(vec![candidate(1, 16, false)], 20));
    balance.returned(held.number, Ended::Unused, NanoUsd::ZERO, NOW);
    assert_eq!(make(&mut balance, &call(vec![candidate(1, 30, false)], 0)).amount, NanoUsd(30));
}

#[test]
fn reconciling_takes_back_what_was_not_spent_and_keeps_the_books_balanced() {
    let mut fold = Ledger::default();
    let mut accounts = Accounts::default();
    let mut journal = vec![
        Entry::EscrowTaken { block: NanoUsd(80), at_unix_ms: NOW },
        Entry::Unreconciled { amount: NanoUsd(80), at_unix_ms: NOW },
    ];
    let lump = Lump { amount: NanoUsd(80), spender: Spender::default(), at_unix_ms: NOW };
    for (charged, expected) in [(30, (30, 0)), (80, (80, 0)), (95, (80, 15)), (0, (0, 0))] {
        journal.truncate(2);
        let lumps = vec![lump.clone()];
        journal.push(Entry::Reconciled(Box::new(Reconciled {
            lumps,
            charged: NanoUsd(charged),
            by: "operator".into(),
            at_unix_ms: NOW,
        })));
        (fold, accounts) = (Ledger::default(), Accounts::default());
        for entry in &journal {
            fold.apply(entry);
            accounts.apply(entry);
            assert!(fold.books.balance(), "{:?}", fold.books);
        }
        assert_eq!((fold.books.spent.0, fold.books.overrun.0), expected);
        let mut balance = Balance::new(fold.clone(), accounts.clone(), &rules(1_000, 1_000, ""));
        assert_eq!(posted(&mut balance, NOW), [charged, charged]);
    }
    assert_eq!((fold.books.escrow, fold.lumps.len()), (NanoUsd::ZERO, 0));
    let changed: Vec<_> =
        accounts.changed_since(&Accounts::default()).iter().map(|(account, ..)| (*account).clone()).collect();
    assert_eq!(changed, [Account::Tenant]);
    assert!(accounts.changed_since(&accounts.clone()).is_empty(), "a copy has nothing to be saved");
}

fn breaker(action: BreakerAction) -> BudgetBreaker {
    BudgetBreaker { threshold: 0.8, action, hysteresis: 0.05 }
}

#[test]
fn the_breaker_goes_over_once_per_crossing() {
    let mut breaker_ = Breaker::default();
    let rule = breaker(BreakerAction::Block);
    for (used_ppm, state) in [
        (0, BreakerState::Closed),
        (799_999, BreakerState::Closed),
        (800_000, BreakerState::Open),
        (760_000, BreakerState::Open),
        (800_001, BreakerState::Open),
        (749_999, BreakerState::Closed),
        (790_000, BreakerState::Closed),
    ] {
        assert_eq!(breaker_.judge(&rule, used_ppm), state, "{used_ppm}");
    }
    assert_eq!(breaker_.switches(), 2);
}

#[test]
fn from_the_threshold_on_no_request_reaches_the_primary() {
    let threshold = "  circuit_breaker: {threshold: 0.8, action: downgrade_to_fallback}\n";
    let mut balance = Balance::new(Ledger::default(), Accounts::default(), &rules(1_000_000, 10_000_000, threshold));
    let wanted = call(vec![candidate(10, 1, false), candidate(1, 1, true)], 0);
    let (mut primary_before, mut after, mut primary_after) = (0, 0, 0);
    while after < 100_000 {
        let is_over = posted(&mut balance, NOW)[1] >= 800_000;
        let fit = fits(&mut balance, &wanted);
        let to_primary = u64::from(fit.candidates.iter().any(|candidate| !candidate.fallback));
        let made = balance.make(&fit, &wanted);
        let cost = fit.candidates[0].price.output_nano_usd_per_token;
        balance.returned(made.number, settled(cost), NanoUsd::ZERO, NOW);
        if is_over {
            (after, primary_after) = (after + 1, primary_after + to_primary);
        } else {
            primary_before += to_primary;
        }
    }
    assert_eq!((primary_before, after, primary_after), (80_000, 100_000, 0));
    assert_eq!(balance.breaker_switches(), 1);
    assert_eq!(posted(&mut balance, NOW)[1], 900_000, "every one of them was served");
}

#[test]
fn each_action_leaves_what_it_says() {
    let after = |action: &str, is_grounded: bool, named: Vec<Candidate>| {
        let breaker = format!("  circuit_breaker: {{threshold: 0.0, action: {action}}}\n");
        let fallback = Some(candidate(1, 50, true));
        let wanted = Call { fallback, is_grounded, embedding: embedding(1), ..call(named, 0) };
        under(&breaker).weigh(&wanted, NOW)
    };
    let primary = || vec![candidate(2, 50, false)];
    for action in ["block", "require_approval"] {
        let Weighed::Refused(refusal) = after(action, true, primary()) else { panic!("{action} lets pass") };
        assert_eq!(refusal.code, Code::BudgetExceeded);
        assert!(refusal.retry_after_ms.is_some());
    }
    let Weighed::Fits(fit) = after("downgrade_to_fallback", false, primary()) else { panic!() };
    assert!(fit.candidates.iter().all(|candidate| candidate.fallback), "a call that names the primary goes down too");
    assert_eq!(fit.embedding, None, "an open breaker pays for nothing an answer can do without");
    let Weighed::Fits(fit) = after("extractive_only", true, primary()) else { panic!() };
    assert_eq!(fit.candidates[0].route.provider, EXTRACTIVE);
    assert!(matches!(after("extractive_only", false, primary()), Weighed::Refused(_)));
}

#[test]
fn an_approval_lets_calls_through_until_it_ends() {
    let mut balance = under("  circuit_breaker: {threshold: 0.0, action: require_approval}\n");
    let wanted = Call { embedding: embedding(1), ..call(vec![candidate(1, 50, false)], 0) };
    balance.ledger.approved_until_unix_ms = NOW + 10;
    assert!(fits(&mut balance, &wanted).embedding.is_some());
    assert!(matches!(balance.weigh(&wanted, NOW + 10), Weighed::Refused(_)));
}

#[test]
fn the_line_keeps_its_order_where_the_counters_are_the_same() {
    let mut balance = under("  ceilings:\n    - {level: user, window: day, limit_usd: 1}\n");
    let keys = |user: &str, balance: &mut Balance| -> Vec<_> {
        let fit = fits(balance, &Call { spender: spender(user), ..call(vec![candidate(1, 20, false)], 0) });
        fit.keys().cloned().collect()
    };
    let (ann, bob) = (keys("ann", &mut balance), keys("bob", &mut balance));
    let anns = ann.iter().find(|key| key.account == Account::User("ann".into())).unwrap();
    let mut line = Line::default();
    assert!(line.stands_before(&ann).is_empty());
    line.join(Waiting { call: 1, tight: vec![anns.clone()], until_unix_ms: NOW }).unwrap();
    assert_eq!(
        line.stands_before(&ann),
        std::slice::from_ref(anns),
        "whoever stands behind waits for what is waited for, and for no more"
    );
    assert!(line.stands_before(&bob).is_empty(), "a user at their ceiling keeps nobody else waiting");
    line.join(Waiting { call: 2, tight: vec![anns.clone()], until_unix_ms: NOW + 5 }).unwrap();
    let late: Vec<_> = line.take_late(NOW).into_iter().map(|waiting| waiting.call).collect();
    assert_eq!((late, line.len()), (vec![1], 1));
    assert_eq!(line.stands_before(&ann), std::slice::from_ref(anns), "one still waits");
    assert_eq!(line.take().map(|waiting| waiting.call).collect::<Vec<_>>(), [2]);
    assert!(line.is_empty() && line.stands_before(&ann).is_empty());
}

#[test]
fn a_call_that_broke_off_counts_as_spent_until_it_is_reconciled() {
    let mut balance = balance(1_000, 1_000);
    let made = make(&mut balance, &call(vec![candidate(1, 100, false), candidate(1, 50, true)], 0));
    assert_eq!(made.amount, NanoUsd(150), "the fallback is held beside the primary, which may be billed and break off");
    let closed = balance.returned(made.number, settled(20), NanoUsd(100), NOW).unwrap();
    assert_eq!((posted(&mut balance, NOW), closed.unreconciled), (vec![120, 120], NanoUsd(100)));
    let unknown = make(&mut balance, &call(vec![candidate(1, 30, false)], 0));
    balance.returned(unknown.number, Ended::Unknown, NanoUsd::ZERO, NOW);
    let books = balance.ledger.books;
    assert_eq!((books.unreconciled, books.spent, balance.held()), (NanoUsd(130), NanoUsd(20), NanoUsd::ZERO));
    assert!(books.balance(), "{books:?}");
}

#[test]
fn free_text_takes_no_room_from_users_and_keys() {
    let mut balance = under(
        "  ceilings:\n    - {level: user, window: day, limit_usd: 1}\n    - {level: domain, window: day, limit_usd: 1}\n",
    );
    let of = |domain: String| Spender { domain: Some(domain), ..spender("ann") };
    let spend = |balance: &mut Balance, spender: Spender| {
        let call = Call { spender, ..call(vec![candidate(0, 16, false)], 0) };
        let Weighed::Fits(fit) = balance.weigh(&call, NOW) else { return false };
        let made = balance.make(&fit, &call);
        balance.returned(made.number, settled(0), NanoUsd::ZERO, NOW);
        let used = Ended::Settled(Sum { money: NanoUsd::ZERO, tokens: 1 });
        let made = balance.make(&fit, &call);
        balance.returned(made.number, used, NanoUsd::ZERO, NOW);
        true
    };
    for number in 0..ACCOUNTS_MAX {
        spend(&mut balance, of(format!("made-up-{number}")));
    }
    assert!(!spend(&mut balance, of("one more".into())), "domains have no room left, and say so");
    assert!(spend(
        &mut balance,
        Spender { user: Some("bob".into()), domain: Some("made-up-1".into()), ..spender("bob") }
    ));
}

#[test]
fn modes_of_holds_are_read() {
    assert_eq!(rules(1, 1, "  holds: strict\n").router.budget.holds, HoldRecords::Strict);
    assert_eq!(rules(1, 1, "").router.budget.holds, HoldRecords::Escrow);
}

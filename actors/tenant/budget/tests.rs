//! Table and property tests of the budget's rules.
use super::hold::Candidate;
use super::ledger::{Ledger, day_of, month_of};
use super::rules::{Balance, Cover, worst_case};
use crate::catalog::Price;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::schema::{BudgetRules, Route};
use proptest::prelude::*;

const NOW: u64 = 1_760_000_000_000;

fn rules(day: u64, month: u64) -> BudgetRules {
    BudgetRules { monthly_limit_usd: NanoUsd(month), daily_limit_usd: NanoUsd(day), circuit_breaker: None }
}

fn candidate(price: u64, max_tokens: u32, fallback: bool) -> Candidate {
    let route = Route { provider: "p".into(), model: "m".into(), temperature: 0.0, max_tokens };
    Candidate {
        route,
        price: Price { input_nano_usd_per_token: price, output_nano_usd_per_token: price },
        fallback,
        answers: 1,
    }
}

fn balance(day: u64, month: u64) -> Balance {
    Balance::new(Ledger::default(), &rules(day, month), NanoUsd(u64::MAX))
}

#[test]
fn windows_are_calendar_windows_in_utc() {
    assert_eq!(day_of(86_399_999), 0);
    assert_eq!(day_of(86_400_000), 1);
    assert_eq!(month_of(0), 1970 * 12);
    assert_eq!(month_of(31 * 86_400_000), 1970 * 12 + 1);
}

#[test]
fn a_late_record_cannot_touch_another_window() {
    let mut ledger = Ledger::default();
    ledger.book(NanoUsd(7), NOW);
    ledger.book(NanoUsd(5), NOW - 86_400_000);
    assert_eq!((ledger.spent_day(NOW), ledger.spent_month(NOW)), (NanoUsd(7), NanoUsd(12)));
}

#[test]
fn the_dearest_candidate_that_fits_is_held_and_the_others_struck() {
    let mut balance = balance(1_000, 10_000);
    let mut candidates = vec![candidate(100, 50, false), candidate(1, 50, true)];
    let made = balance.hold(&mut candidates, 10, NOW).unwrap();
    assert_eq!(made.amount, NanoUsd(60));
    assert_eq!(candidates.len(), 1, "the primary, at 6000, does not fit and must not be called");
    assert!(candidates[0].fallback);
}

#[test]
fn the_fallback_is_checked_like_the_primary() {
    let mut balance = balance(10, 10);
    let mut candidates = vec![candidate(100, 50, false), candidate(1, 50, true)];
    let refused = balance.hold(&mut candidates, 10, NOW).unwrap_err();
    assert_eq!(refused.code, Code::BudgetExceeded);
    assert_eq!(refused.retry_after_ms, Some(86_400_000 - NOW % 86_400_000));
    assert_eq!(balance.held(), NanoUsd::ZERO);
}

#[test]
fn the_month_refuses_where_the_day_would_not() {
    let mut balance = balance(1_000, 100);
    let refused = balance.hold(&mut vec![candidate(10, 50, false)], 0, NOW).unwrap_err();
    assert!(refused.detail.contains("the month's limit"), "{}", refused.detail);
}

#[test]
fn a_hold_needs_durable_escrow_before_it_is_handed_on() {
    let mut balance = balance(1_000, 1_000);
    let made = balance.hold(&mut vec![candidate(1, 100, false)], 0, NOW).unwrap();
    let Cover::Grow(block) = made.cover else { panic!("nothing is durable yet") };
    assert!(block >= made.amount);
    balance.escrowed(block);
    assert_eq!(balance.hold(&mut vec![candidate(1, 100, false)], 0, NOW).unwrap().cover, Cover::Covered);
}

#[test]
fn every_answer_asked_for_is_held() {
    let mut three = candidate(1, 100, false);
    three.answers = 3;
    assert_eq!(worst_case(&three, 10), NanoUsd(310));
}

#[test]
fn free_calls_hold_nothing() {
    let made = balance(0, 0).hold(&mut vec![candidate(0, 100, false)], 100, NOW).unwrap();
    assert_eq!((made.amount, made.cover), (NanoUsd::ZERO, Cover::Covered));
}

#[test]
fn a_provider_that_reports_more_than_was_held_shows_as_overrun() {
    let mut balance = balance(1_000, 1_000);
    let made = balance.hold(&mut vec![candidate(1, 100, false)], 0, NOW).unwrap();
    balance.returned(made.number, NanoUsd(130), NOW);
    assert_eq!(
        (balance.ledger.spent_day(NOW), balance.ledger.overrun, balance.held()),
        (NanoUsd(130), NanoUsd(30), NanoUsd::ZERO)
    );
}

#[derive(Clone, Debug)]
enum Step {
    Hold { price: u64, max_tokens: u32, prompt: u64 },
    Settle { which: usize, share: u8 },
    Drop { which: usize },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..50, 0_u32..200, 0_u64..200).prop_map(|(price, max_tokens, prompt)| Step::Hold { price, max_tokens, prompt }),
        3 => (any::<usize>(), any::<u8>()).prop_map(|(which, share)| Step::Settle { which, share }),
        1 => any::<usize>().prop_map(|which| Step::Drop { which }),
        1 => (0_u64..40 * 3_600_000).prop_map(|ms| Step::Wait { ms }),
    ]
}

proptest! {
    /// BUD1: whatever comes, no window is ever overspent by one nano-dollar.
    #[test]
    fn no_window_is_overspent(steps in prop::collection::vec(step(), 1..200), day in 0_u64..50_000, month in 0_u64..200_000) {
        let mut balance = balance(day, month);
        let (mut open, mut now) = (Vec::new(), NOW);
        for step in steps {
            match step {
                Step::Hold { price, max_tokens, prompt } => {
                    let mut candidates = vec![candidate(price, max_tokens, false)];
                    let worst = worst_case(&candidates[0], prompt);
                    if let Ok(made) = balance.hold(&mut candidates, prompt, now) {
                        prop_assert_eq!(made.amount, worst);
                        open.push((made.number, made.amount));
                    }
                }
                Step::Settle { which, share } if !open.is_empty() => {
                    let (number, amount) = open.swap_remove(which % open.len());
                    balance.returned(number, NanoUsd(amount.0 * u64::from(share) / 255), now);
                }
                Step::Drop { which } if !open.is_empty() => {
                    let (number, _) = open.swap_remove(which % open.len());
                    balance.returned(number, NanoUsd::ZERO, now);
                }
                Step::Wait { ms } if open.is_empty() => now += ms,
                _ => {}
            }
            prop_assert!(balance.ledger.spent_day(now).saturating_add(balance.held()) <= NanoUsd(day));
            prop_assert!(balance.ledger.spent_month(now).saturating_add(balance.held()) <= NanoUsd(month));
            prop_assert_eq!(balance.held().0, open.iter().map(|(_, amount)| amount.0).sum::<u64>());
        }
    }
}

//! The bets are fair: means over every possible block, not over a sample.
use super::evidence::{Arms, by_requests, by_share, choose, harmless};
use super::*;

const ODDS: [f64; 3] = [1.6, 5.0, 40.0];
const RATES: [f64; 9] = [0.0, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.99, 1.0];

fn block(control: (u64, u64), canary: (u64, u64)) -> Arms {
    let tally = |(requests, failures)| Tally { requests, failures };
    Arms { control: tally(control), canary: tally(canary) }
}

/// Probability of so many failures in so many requests.
fn binomial(requests: u64, failures: u64, rate: f64) -> f64 {
    choose(requests, failures) * rate.powi(failures as i32) * (1.0 - rate).powi((requests - failures) as i32)
}

/// The mean of a payoff where control and canary fail at these rates.
fn mean(sizes: (u64, u64), rates: (f64, f64), ln_payoff: impl Fn(&Arms) -> f64) -> f64 {
    let mut mean = 0.0;
    for control in 0..=sizes.0 {
        for canary in 0..=sizes.1 {
            let chance = binomial(sizes.0, control, rates.0) * binomial(sizes.1, canary, rates.1);
            if chance > 0.0 {
                mean += chance * ln_payoff(&block((sizes.0, control), (sizes.1, canary))).exp();
            }
        }
    }
    mean
}

#[test]
fn the_bet_by_requests_gains_nothing_from_a_version_no_worse() {
    for canaries in 0..=20 {
        for odds in ODDS {
            for (index, control) in RATES.into_iter().enumerate() {
                for canary in &RATES[..=index] {
                    let mean = mean((20 - canaries, canaries), (control, *canary), |block| by_requests(block, odds));
                    assert!(mean < 1.0 + 1e-9, "{canaries} {odds} {control} {canary}: {mean}");
                    assert!(*canary < control || mean > 1.0 - 1e-9, "{canaries} {odds} {control}: {mean} wastes money");
                }
            }
        }
    }
}

#[test]
fn the_bet_by_requests_is_fair_for_any_number_of_failures_where_arms_are_drawn() {
    for canaries in 0..=20 {
        for failures in 0..=20_u64 {
            let mut mean = 0.0;
            for hits in failures.saturating_sub(20 - canaries)..=failures.min(canaries) {
                let ways = choose(canaries, hits) * choose(20 - canaries, failures - hits) / choose(20, failures);
                mean += ways * by_requests(&block((20 - canaries, failures - hits), (canaries, hits)), 5.0).exp();
            }
            assert!((mean - 1.0).abs() < 1e-9, "{canaries} {failures}: {mean}");
        }
    }
}

#[test]
fn the_bet_by_share_is_fair_where_failures_are_of_different_conversations() {
    for (share, odds) in [0.1, 0.5, 1.0].into_iter().flat_map(|share| ODDS.map(|odds| (share, odds))) {
        for failures in 0..=20 {
            let mean: f64 = (0..=failures)
                .map(|hits| {
                    let paid = by_share(&block((20, failures - hits), (20, hits)), odds, share).exp();
                    binomial(failures, hits, share) * paid
                })
                .sum();
            assert!((mean - 1.0).abs() < 1e-9, "{share} {odds} {failures}: {mean}");
        }
    }
}

#[test]
fn a_bet_is_placed_before_the_outcome() {
    let mut evidence = Evidence::default();
    let margin = Margin::default();
    let outcomes = (0..20).map(|request| (if request < 4 { Arm::Canary } else { Arm::Control }, request > 12));
    for (arm, failed) in outcomes {
        evidence.record(arm, failed, 10, margin);
    }
    let unseen = harmless(&block((16, 7), (4, 0)), 0.02, margin);
    assert!((evidence.ln_harmless() - unseen).abs() < 1e-8, "{} {unseen}", evidence.ln_harmless());
}

#[test]
fn harm_beyond_the_margin_never_pays() {
    let margins = [(20_000, 150), (1, 100), (0, 0), (10_000, 300), (900_000, 100), (u32::MAX, u32::MAX)];
    for (points_ppm, factor_percent) in margins {
        let margin = Margin { points_ppm, factor_percent };
        let points = f64::from(points_ppm.clamp(1, 900_000)) / 1e6;
        let factor = f64::from(factor_percent.clamp(100, 1000)) / 100.0;
        for canaries in [1, 2, 10, 19] {
            for expected in [1e-12, 0.001, 0.01, 0.2, 0.7, 1.0 - 1e-12] {
                for control in RATES {
                    let edge = points + factor * control;
                    for canary in [edge, (edge + 1.0) / 2.0, 1.0].into_iter().filter(|rate| (edge..=1.0).contains(rate))
                    {
                        let mean = mean((20 - canaries, canaries), (control, canary), |block| {
                            harmless(block, expected, margin)
                        });
                        assert!(mean < 1.0 + 1e-9, "{margin:?} {canaries} {expected} {control} {canary}: {mean}");
                    }
                }
            }
        }
    }
}

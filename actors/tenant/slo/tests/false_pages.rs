//! A service that is exactly at its objective, for 30 simulated days, again and again: who is told without reason.
use super::dice::Dice;
use crate::slo::alarms::{Alarms, PAIRS, Severity};
use crate::slo::windows::Tally;

const HOUR_MS: u64 = 3_600_000;
const PERIOD_MS: u64 = 30 * 24 * HOUR_MS;
const TICK_MS: u64 = 10_000;
/// 99.9 %.
const ALLOWED_PPM: u64 = 1_000;

/// Requests that go well before the next one that fails.
fn good_before_bad(dice: &mut Dice) -> u64 {
    (dice.uniform().ln() / (1.0 - ALLOWED_PPM as f64 / 1e6).ln()) as u64
}

/// Plain burn rates, as the workbook has them: the same alarms without evidence.
fn pages_by_burn_rate_alone(alarms: &Alarms) -> bool {
    alarms.is_burning_somewhere(Severity::Page)
}

/// One period; whether somebody was paged, and whether burn rates alone would have.
fn period(seed: u64, per_hour: u64) -> (bool, bool) {
    let mut dice = Dice(seed);
    let mut alarms = Alarms::new(ALLOWED_PPM);
    let (mut paged, mut plain) = (false, false);
    let (mut left, begin) = (good_before_bad(&mut dice), 700 * PERIOD_MS);
    let (mut sent, ticks) = (0, PERIOD_MS / TICK_MS);
    for tick in 0..ticks {
        let now = begin + tick * TICK_MS;
        let due = per_hour * (tick + 1) * TICK_MS / HOUR_MS;
        let mut changes = if tick % 6 == 0 { alarms.pass(now) } else { Vec::new() };
        while sent < due {
            let good = left.min(due - sent);
            if good > 0 {
                changes.extend(alarms.note(Tally { good, bad: 0 }, now));
                (sent, left) = (sent + good, left - good);
            }
            if left == 0 && sent < due {
                changes.extend(alarms.note(Tally::one(false), now));
                plain = plain || pages_by_burn_rate_alone(&alarms);
                (sent, left) = (sent + 1, good_before_bad(&mut dice));
            }
        }
        paged |= changes.iter().any(|change| change.is_raised && change.pair.severity == Severity::Page);
    }
    (paged, plain)
}

#[test]
fn at_the_objective_hardly_anybody_is_paged_and_by_burn_rates_alone_nearly_everybody() {
    assert!(PAIRS.iter().filter(|pair| pair.severity == Severity::Page).count() == 2);
    for (per_hour, periods, plain_min) in [(1, 60, 20), (10, 60, 50), (1_000, 12, 0)] {
        let seen: Vec<_> = (0..periods).map(|seed| period(seed * 7_919 + per_hour, per_hour)).collect();
        let count = |of: fn(&(bool, bool)) -> bool| seen.iter().filter(|one| of(one)).count();
        let (paged, plain) = (count(|one| one.0), count(|one| one.1));
        println!("{per_hour:>5} an hour: {paged} of {periods} periods paged; by burn rates alone {plain}");
        // more than one of these would have a chance of a thousandth at 1 %
        assert!(paged <= 2, "{per_hour} an hour: {paged} of {periods}");
        assert!(plain >= plain_min, "{per_hour} an hour: the burn rate alone paged {plain} of {periods}");
    }
}

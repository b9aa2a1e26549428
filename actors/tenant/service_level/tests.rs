use super::rules::*;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::flags::ServiceLevel::{self, Breached, Kept};
use bailiwick_policy::schema::Objectives;
use proptest::prelude::*;

const GOOD: Ended = Ended::Answered { latency_ms: 100 };
const SLOW: Ended = Ended::Answered { latency_ms: 101 };

fn objectives() -> Objectives {
    Objectives { availability: 0.999, p95_latency_ms: 100, error_rate_max: 0.01, cost_per_1k_qa_usd: NanoUsd(1) }
}

/// A watch and a clock that moves by whole windows.
struct Walk {
    watch: Watch,
    now: u64,
}

impl Walk {
    fn new() -> Self {
        Self { watch: Watch::new(&objectives()), now: 1_760_000_000_000 }
    }

    /// One window of these turns; they are judged when the first turn of the next window comes.
    fn window(&mut self, turns: &[(usize, Ended)]) -> ServiceLevel {
        for (times, ended) in turns {
            for _ in 0..*times {
                self.watch.note(*ended, self.now);
            }
        }
        self.now += WINDOW_MS;
        self.seen()
    }

    /// The level once the window that is over has been judged, as the next turn will find it.
    fn seen(&self) -> ServiceLevel {
        let mut next = self.watch.clone();
        next.note(Ended::Searched, self.now);
        next.view().state
    }

    fn windows(&mut self, count: u32, turns: &[(usize, Ended)]) -> ServiceLevel {
        (0..count).map(|_| self.window(turns)).last().unwrap_or_else(|| self.seen())
    }
}

const FINE: [(usize, Ended); 1] = [(100, GOOD)];
const BAD: [(usize, Ended); 2] = [(94, GOOD), (6, SLOW)];

#[test]
fn one_bad_window_or_two_change_nothing_and_the_third_in_a_row_does() {
    let mut walk = Walk::new();
    assert_eq!(walk.windows(5, &FINE), Kept);
    assert_eq!(walk.windows(BREACHED_WINDOWS - 1, &BAD), Kept);
    assert_eq!(walk.window(&FINE), Kept, "a good one between them begins the row again");
    assert_eq!(walk.windows(BREACHED_WINDOWS - 1, &BAD), Kept);
    assert_eq!(walk.window(&BAD), Breached);
    assert_eq!(walk.windows(KEPT_WINDOWS - 1, &FINE), Breached);
    assert_eq!(walk.window(&BAD), Breached, "a bad one between them begins the row again");
    assert_eq!(walk.windows(KEPT_WINDOWS - 1, &FINE), Breached);
    assert_eq!(walk.window(&FINE), Kept);
}

#[test]
fn a_single_slow_answer_never_changes_anything_however_often_it_comes() {
    let mut walk = Walk::new();
    for _ in 0..200 {
        assert_eq!(walk.window(&[(19, GOOD), (1, SLOW)]), Kept, "one of twenty is within the 95th percentile");
    }
    let mut walk = Walk::new();
    for _ in 0..200 {
        walk.now += WINDOW_MS_MAX;
        assert_eq!(walk.window(&[(1, SLOW)]), Kept, "one alone is no percentile");
    }
    // every other window bad, for ever
    let mut walk = Walk::new();
    for _ in 0..200 {
        assert_eq!(walk.window(&BAD), Kept);
        assert_eq!(walk.window(&FINE), Kept);
    }
}

#[test]
fn each_part_of_the_level_counts_at_its_edge() {
    for (turns, expected) in [
        (&[(95, GOOD), (5, SLOW)][..], Kept),
        (&[(94, GOOD), (6, SLOW)], Breached),
        (&[(99, GOOD), (1, Ended::Failed)], Kept),
        (&[(98, GOOD), (2, Ended::Failed)], Breached),
        (&[(980, Ended::Searched), (20, Ended::Failed)], Breached),
        (&[(20, GOOD), (1_980, Ended::Searched), (20, Ended::Failed)], Kept),
        (&[(20, SLOW), (1_980, Ended::Searched)], Breached),
    ] {
        let mut walk = Walk::new();
        assert_eq!(walk.windows(BREACHED_WINDOWS, turns), expected, "{turns:?}");
    }
}

#[test]
fn quiet_is_neither_good_nor_bad() {
    let mut walk = Walk::new();
    assert_eq!(walk.windows(BREACHED_WINDOWS, &BAD), Breached);
    for _ in 0..100 {
        walk.now += WINDOW_MS_MAX;
        assert_eq!(walk.window(&[(3, GOOD)]), Breached, "too few to say");
    }
    walk.now += WINDOW_MS_MAX;
    assert_eq!(walk.windows(KEPT_WINDOWS, &FINE), Kept);
    let mut walk = Walk::new();
    for _ in 0..100 {
        walk.now += WINDOW_MS_MAX;
        assert_eq!(walk.window(&[(3, Ended::Failed)]), Kept, "too few to say");
    }
}

#[test]
fn few_turns_make_a_longer_window() {
    let mut walk = Walk::new();
    // seven answers a minute: three minutes make a window of 21
    for minute in 0..9 {
        assert_eq!(walk.window(&[(7, SLOW)]), if minute < 8 { Kept } else { Breached }, "minute {minute}");
    }
    // a search an hour long, and nothing else, is judged by its failures alone
    let mut walk = Walk::new();
    assert_eq!(walk.windows(BREACHED_WINDOWS, &BAD), Breached);
    assert_eq!(walk.windows(60 * KEPT_WINDOWS, &[(10, Ended::Searched)]), Kept);
}

#[test]
fn other_objectives_judge_from_the_next_window_on_and_the_same_ones_change_nothing() {
    let mut walk = Walk::new();
    walk.windows(BREACHED_WINDOWS - 1, &BAD);
    walk.watch.adopt(&objectives());
    assert_eq!(walk.window(&BAD), Breached);
    let looser = Objectives { p95_latency_ms: 101, ..objectives() };
    let mut walk = Walk::new();
    walk.windows(BREACHED_WINDOWS - 1, &BAD);
    walk.window(&BAD);
    walk.watch.adopt(&looser);
    assert_eq!(walk.windows(BREACHED_WINDOWS, &BAD), Kept);
}

#[test]
fn a_clock_that_goes_back_ends_no_window_early() {
    let mut walk = Walk::new();
    walk.windows(BREACHED_WINDOWS - 1, &BAD);
    for _ in 0..1_000 {
        assert_eq!(walk.watch.note(SLOW, walk.now), None);
        walk.now -= 1_000;
    }
    assert_eq!(walk.watch.view().state, Kept);
}

/// The rule again, over a list of verdicts.
fn by_the_book(windows: &[bool]) -> ServiceLevel {
    let (mut level, mut from) = (Kept, 0);
    for at in 0..windows.len() {
        let row = |count: u32, bad: bool| {
            let count = count as usize;
            at + 1 >= from + count && windows[at + 1 - count..=at].iter().all(|window| *window == bad)
        };
        let changes = if level == Kept { row(BREACHED_WINDOWS, true) } else { row(KEPT_WINDOWS, false) };
        if changes {
            (level, from) = (if level == Kept { Breached } else { Kept }, at + 1);
        }
    }
    level
}

proptest! {
    #[test]
    fn the_level_is_that_of_the_book(windows in proptest::collection::vec((any::<bool>(), 1_usize..14), 0..24)) {
        let windows: Vec<bool> = windows.into_iter().flat_map(|(bad, times)| vec![bad; times]).collect();
        let mut walk = Walk::new();
        for at in 0..windows.len() {
            let seen = walk.window(if windows[at] { &BAD } else { &FINE });
            prop_assert_eq!(seen, by_the_book(&windows[..=at]), "after {} windows", at + 1);
        }
    }
}

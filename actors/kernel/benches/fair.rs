//! What a fair pick costs with ten thousand lanes waiting, beside two things measured in the same run: the same pick by
//! looking at every lane, and a first-come-first-served queue, which looks at none.
//!
//! `cargo bench -p bailiwick-kernel --bench fair`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_kernel::fair::Limits;
use bailiwick_kernel::fair::rules::Fair;
use std::collections::VecDeque;
use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

const LANES: u64 = 10_000;
const PICKS: usize = 1_000_000;
const SCANS: usize = 2_000;

fn cost(step: u64) -> u64 {
    1 + (step.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44)
}

struct Times(Vec<Duration>);

impl Times {
    fn percentile(&self, percent: f64) -> f64 {
        let place = (self.0.len() - 1) as f64 * percent / 100.0;
        self.0[place as usize].as_secs_f64() * 1e6
    }

    fn mean(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64() * 1e6 / self.0.len() as f64
    }

    fn show(&self, what: &str) {
        println!(
            "{what:<42} mean {:>8.3} us   p50 {:>8.3} us   p99 {:>8.3} us   p99.9 {:>8.3} us",
            self.mean(),
            self.percentile(50.0),
            self.percentile(99.0),
            self.percentile(99.9)
        );
    }
}

fn timed(rounds: usize, mut one: impl FnMut(u64) -> Duration) -> Times {
    let mut times: Vec<Duration> = (0..rounds as u64).map(&mut one).collect();
    times.sort_unstable();
    Times(times)
}

/// A pick, with everything a dispatch does; and the whole of a slice: coming, being picked, giving back.
fn fair() -> (Times, Times) {
    let limits = Limits {
        slots: NonZeroUsize::new(2).unwrap(),
        crowds_give_way: true,
        queue_max: 16,
        lanes_max: LANES as usize,
        slice_cost: 500_000,
    };
    let weight = |lane: u64| NonZeroU32::new(1 << (lane % 3)).unwrap();
    let mut fair = Fair::new(limits);
    for lane in (0..LANES).chain(0..LANES) {
        fair.arrive(lane, weight(lane), u64::MAX).unwrap();
    }
    let mut running = VecDeque::from([fair.grant().unwrap()]);
    let mut wholes = Vec::with_capacity(PICKS);
    let picks = timed(PICKS, |step| {
        let began = Instant::now();
        let granted = fair.grant().unwrap();
        let picked = began.elapsed();
        let lane = granted.key();
        running.push_back(granted);
        fair.give_back(running.pop_front().unwrap(), cost(step));
        fair.arrive(lane, weight(lane), u64::MAX).unwrap();
        wholes.push(began.elapsed());
        picked
    });
    assert!(fair.widest_gap_ppm() <= 1_000_000, "FAIR1");
    println!("fairness gap ratio {:.3} over {PICKS} picks", fair.widest_gap_ppm() as f64 / 1e6);
    wholes.sort_unstable();
    (picks, Times(wholes))
}

fn every_lane() -> Times {
    let mut counters: Vec<(u128, u64)> = (0..LANES).map(|lane| (0, lane)).collect();
    timed(SCANS, |step| {
        let began = Instant::now();
        let lowest = counters.iter_mut().min().unwrap();
        lowest.0 += u128::from(cost(step));
        began.elapsed()
    })
}

fn first_come() -> Times {
    let mut queue: VecDeque<u64> = (0..LANES).collect();
    timed(PICKS, |_step| {
        let began = Instant::now();
        let lane = black_box(queue.pop_front().unwrap());
        let picked = began.elapsed();
        queue.push_back(lane);
        picked
    })
}

fn main() {
    let (picks, wholes) = fair();
    let (scans, fifo) = (every_lane(), first_come());
    println!("{LANES} lanes waiting, 2 slots");
    picks.show("fair pick (bar: p99 at most 2 us)");
    wholes.show("fair slice: pick, give back, come again");
    scans.show("pick by looking at every lane");
    fifo.show("first come first served, with the clock");
    println!(
        "ratio of means: looking at every lane / fair pick {:.0}   fair pick / first come {:.1}",
        scans.mean() / picks.mean(),
        picks.mean() / fifo.mean()
    );
}

//! A quiet tenant beside a noisy one, in virtual time: alone, with the neighbour, and the neighbour alone. The same
//! checks are put to a first-come-first-served queue, which must fail them.
use super::rules::{Fair, Granted, Limits, Ticket};
use super::tests::{Random, limits, weight};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

const SLOTS: usize = 2;
const SLICE_US: u64 = 2_000;
const LARGEST_US: u64 = 40_000;
const QUEUE_MAX: usize = 64;
const VICTIM: usize = 0;
const AGGRESSOR: usize = 1;
const VICTIM_JOBS: usize = 5_000;
const PATIENCE_US: u64 = 10_000_000;

/// One piece of work: whose, when it was meant to start, what is left of it.
struct Job {
    tenant: usize,
    intended_us: u64,
    size_us: u64,
    left_us: u64,
}

/// What gets work to the slots.
trait Queue {
    /// Takes a job in, or refuses it.
    fn take(&mut self, job: Job) -> bool;
    /// Starts the next slice where a slot is free, and says which slot (a number of its own) and how long.
    fn start(&mut self) -> Option<(usize, u64)>;
    /// The slice of a slot is over; gives the job back where it is done.
    fn end(&mut self, slot: usize) -> Option<Job>;
}

/// Jobs whole, in the order they came.
#[derive(Default)]
struct FirstCome {
    waiting: VecDeque<Job>,
    running: [Option<Job>; SLOTS],
}

impl Queue for FirstCome {
    fn take(&mut self, job: Job) -> bool {
        let fits = self.waiting.len() < QUEUE_MAX;
        if fits {
            self.waiting.push_back(job);
        }
        fits
    }

    fn start(&mut self) -> Option<(usize, u64)> {
        let slot = self.running.iter().position(Option::is_none)?;
        let job = self.waiting.pop_front()?;
        let left_us = job.left_us;
        self.running[slot] = Some(job);
        Some((slot, left_us))
    }

    fn end(&mut self, slot: usize) -> Option<Job> {
        self.running[slot].take()
    }
}

/// Jobs in slices, by the rules.
struct Shared {
    fair: Fair<usize>,
    patience_us: u64,
    /// By lane, in the order of the lane's queue.
    waiting: Vec<(Ticket, Job)>,
    running: [Option<(Granted<usize>, Job)>; SLOTS],
    /// Slots whose job goes on at once.
    renewed: VecDeque<(usize, u64)>,
}

impl Shared {
    fn new(patience_us: u64) -> Self {
        let fair = Fair::new(Limits { queue_max: QUEUE_MAX, ..limits(SLOTS, SLICE_US) });
        Self { fair, patience_us, waiting: Vec::new(), running: [const { None }; SLOTS], renewed: VecDeque::new() }
    }

    fn run(&mut self, slot: usize, granted: Granted<usize>, job: Job) -> (usize, u64) {
        let slice_us = job.left_us.min(SLICE_US);
        self.running[slot] = Some((granted, job));
        (slot, slice_us)
    }
}

impl Queue for Shared {
    fn take(&mut self, job: Job) -> bool {
        let ticket = self.fair.arrive(job.tenant, weight(1), self.patience_us);
        if let Ok(ticket) = ticket {
            self.waiting.push((ticket, job));
        }
        ticket.is_ok()
    }

    fn start(&mut self) -> Option<(usize, u64)> {
        if let Some(renewed) = self.renewed.pop_front() {
            return Some(renewed);
        }
        let granted = self.fair.grant()?;
        let slot = self.running.iter().position(Option::is_none).unwrap();
        let place = self.waiting.iter().position(|(ticket, _)| *ticket == granted.ticket()).unwrap();
        let (_, job) = self.waiting.remove(place);
        Some(self.run(slot, granted, job))
    }

    fn end(&mut self, slot: usize) -> Option<Job> {
        let (granted, mut job) = self.running[slot].take().unwrap();
        let slice_us = job.left_us.min(SLICE_US);
        job.left_us -= slice_us;
        if job.left_us == 0 {
            self.fair.give_back(granted, slice_us);
            return Some(job);
        }
        match self.fair.renew(granted, slice_us) {
            Ok(granted) => {
                let renewed = self.run(slot, granted, job);
                self.renewed.push_back(renewed);
            }
            Err(ticket) => self.waiting.push((ticket, job)),
        }
        None
    }
}

/// Mostly small, sometimes large; or the largest only.
#[derive(Clone, Copy, Debug)]
enum Sizes {
    Mixed,
    Largest,
}

impl Sizes {
    fn draw(self, random: &mut Random) -> u64 {
        match self {
            Self::Largest => LARGEST_US,
            Self::Mixed if random.below(5) == 0 => 5_000 + random.below(LARGEST_US - 5_000),
            Self::Mixed => 1_000 + random.below(4_000),
        }
    }

    fn mean_us(self) -> u64 {
        match self {
            Self::Largest => LARGEST_US,
            Self::Mixed => (4 * 3_000 + 22_500) / 5,
        }
    }
}

/// An open stream: the next job comes after an exponential pause, whatever became of those before.
struct Stream {
    tenant: usize,
    pause_us: u64,
    sizes: Sizes,
    random: Random,
}

impl Stream {
    fn victim(load_percent: u64) -> Self {
        let pause_us = Sizes::Mixed.mean_us() * 100 / (load_percent * SLOTS as u64);
        Self { tenant: VICTIM, pause_us, sizes: Sizes::Mixed, random: Random::seeded(1) }
    }

    /// A hundred times as many jobs as the victim.
    fn aggressor(load_percent: u64, sizes: Sizes) -> Self {
        let pause_us = Self::victim(load_percent).pause_us / 100;
        Self { tenant: AGGRESSOR, pause_us, sizes, random: Random::seeded(2) }
    }

    fn next(&mut self, after_us: u64) -> (u64, u64) {
        let uniform = (self.random.below(1 << 30) + 1) as f64 / f64::from(1 << 30);
        (after_us + (-uniform.ln() * self.pause_us as f64) as u64, self.sizes.draw(&mut self.random))
    }
}

struct Done {
    ended_us: u64,
    took_us: u64,
    size_us: u64,
}

#[derive(Default)]
struct Seen {
    victim_done: Vec<Done>,
    victim_refused: usize,
    aggressor_served_us: u64,
}

impl Seen {
    fn percentile(&self, percent: usize) -> u64 {
        let mut all: Vec<u64> = self.victim_done.iter().map(|done| done.took_us).collect();
        all.sort_unstable();
        all[(all.len() - 1) * percent / 100]
    }
}

/// Runs the streams for so long.
fn run(queue: &mut dyn Queue, streams: Vec<Stream>, until_us: u64) -> Seen {
    let mut events = BinaryHeap::new();
    let mut seen = Seen::default();
    let mut streams = streams;
    let mut next = Vec::new();
    for (at, stream) in streams.iter_mut().enumerate() {
        let (due_us, work_us) = stream.next(0);
        next.push(work_us);
        events.push(Reverse((due_us, SLOTS + at)));
    }
    while let Some(Reverse((now_us, what))) = events.pop()
        && now_us < until_us
    {
        if what < SLOTS {
            if let Some(job) = queue.end(what) {
                if job.tenant == VICTIM {
                    let (took_us, size_us) = (now_us - job.intended_us, job.size_us);
                    seen.victim_done.push(Done { ended_us: now_us, took_us, size_us });
                } else {
                    seen.aggressor_served_us += job.size_us;
                }
            }
        } else {
            let stream = &mut streams[what - SLOTS];
            let size_us = next[what - SLOTS];
            let job = Job { tenant: stream.tenant, intended_us: now_us, size_us, left_us: size_us };
            let is_victim = job.tenant == VICTIM;
            if !queue.take(job) && is_victim {
                seen.victim_refused += 1;
            }
            let (due_us, work_us) = stream.next(now_us);
            next[what - SLOTS] = work_us;
            events.push(Reverse((due_us, what)));
        }
        while let Some((slot, slice_us)) = queue.start() {
            events.push(Reverse((now_us + slice_us, slot)));
        }
    }
    seen
}

/// What is promised of a victim beside a neighbour.
#[derive(Debug)]
struct Verdict {
    alone_us: u64,
    with_us: u64,
    refused: usize,
    /// Of all slots' time, when the aggressor is by itself.
    aggressor_percent: u64,
}

impl Verdict {
    fn keeps(&self, ratio_percent: u64) -> bool {
        self.refused == 0 && self.aggressor_percent >= 95 && self.with_us * 100 <= self.alone_us * ratio_percent
    }
}

fn verdict(queue: impl Fn() -> Box<dyn Queue>, load_percent: u64, sizes: Sizes) -> Verdict {
    let until_us = Stream::victim(load_percent).pause_us * VICTIM_JOBS as u64;
    let alone = run(&mut *queue(), vec![Stream::victim(load_percent)], until_us);
    let both = vec![Stream::victim(load_percent), Stream::aggressor(load_percent, sizes)];
    let with = run(&mut *queue(), both, until_us);
    let again = run(&mut *queue(), vec![Stream::victim(load_percent)], until_us);
    assert_eq!(alone.percentile(99), again.percentile(99), "virtual time repeats itself");
    let aggressor = run(&mut *queue(), vec![Stream::aggressor(load_percent, sizes)], until_us / 10);
    Verdict {
        alone_us: alone.percentile(99),
        with_us: with.percentile(99),
        refused: alone.victim_refused + with.victim_refused,
        aggressor_percent: aggressor.aggressor_served_us * 100 / (until_us / 10 * SLOTS as u64),
    }
}

fn by_the_rules() -> Box<dyn Queue> {
    Box::new(Shared::new(PATIENCE_US))
}

fn first_come() -> Box<dyn Queue> {
    Box::<FirstCome>::default()
}

/// The victim's load in percent of all slots, and what its slowest hundredth may take then, in percent of alone.
const PROMISES: [(u64, u64); 2] = [(10, 130), (2, 110)];

#[test]
fn a_neighbour_with_a_hundred_times_the_rate_is_not_felt() {
    for (load_percent, ratio_percent) in PROMISES {
        for sizes in [Sizes::Mixed, Sizes::Largest] {
            let verdict = verdict(by_the_rules, load_percent, sizes);
            assert!(verdict.keeps(ratio_percent), "{load_percent} % load beside {sizes:?}: {verdict:?}");
        }
    }
}

#[test]
fn serving_who_comes_first_breaks_every_promise() {
    for (load_percent, ratio_percent) in PROMISES {
        for sizes in [Sizes::Mixed, Sizes::Largest] {
            let verdict = verdict(first_come, load_percent, sizes);
            assert!(!verdict.keeps(ratio_percent), "{load_percent} % load beside {sizes:?}: {verdict:?}");
            assert!(verdict.aggressor_percent >= 95, "it is no slower queue: {verdict:?}");
            assert!(verdict.refused > 0 && verdict.with_us > 5 * verdict.alone_us, "{verdict:?}");
        }
    }
}

/// One tenant sends so much, in percent of what the node can do. Gives, for each part of the time, the share of the
/// slots' time that went to jobs which ended within their patience.
fn in_time_percent(load_percent: u64, parts: usize) -> Vec<u64> {
    const PART_US: u64 = 60_000_000;
    const IN_TIME_US: u64 = 250_000;
    let mut queue = Shared::new(IN_TIME_US);
    let pause_us = Sizes::Mixed.mean_us() * 100 / (load_percent * SLOTS as u64);
    let stream = Stream { tenant: VICTIM, pause_us, sizes: Sizes::Mixed, random: Random::seeded(9) };
    let seen = run(&mut queue, vec![stream], PART_US * parts as u64);
    let mut useful = vec![0; parts];
    for job in seen.victim_done.iter().filter(|job| job.took_us <= IN_TIME_US) {
        useful[(job.ended_us / PART_US) as usize] += job.size_us;
    }
    useful.into_iter().map(|useful_us| useful_us * 100 / (PART_US * SLOTS as u64)).collect()
}

#[test]
fn overload_is_shed_at_the_front_and_what_is_taken_in_ends_in_time_for_as_long_as_it_lasts() {
    let peak = [70, 90, 100, 120].into_iter().map(|load| in_time_percent(load, 1)[0]).max().unwrap();
    let parts = in_time_percent(300, 10);
    assert!(parts.iter().all(|part| part * 100 >= peak * 90), "{parts:?} of a peak of {peak}");
    let (first, last) = (parts[0], parts[9]);
    assert!(first.abs_diff(last) * 100 <= first * 5, "nothing drifts: {parts:?}");
}

//! Percentiles against the sorted truth, merges in every order, and a stall that has to show.
use super::dice::Dice;
use crate::slo::latencies::{Latencies, RELATIVE_ERROR, Sketch};

const COUNT: usize = 20_000;

fn normal(dice: &mut Dice) -> f64 {
    (-2.0 * dice.uniform().ln()).sqrt() * (std::f64::consts::TAU * dice.uniform()).cos()
}

type Draw = fn(&mut Dice) -> f64;

const DISTRIBUTIONS: [(&str, Draw); 10] = [
    ("constant", |_| 137.0),
    ("uniform", |dice| 1.0 + 2_000.0 * dice.uniform()),
    ("exponential", |dice| -250.0 * dice.uniform().ln()),
    ("normal", |dice| 400.0 + 60.0 * normal(dice)),
    ("log-normal", |dice| (5.0 + 1.2 * normal(dice)).exp()),
    ("pareto, shape 1.1", |dice| 20.0 * dice.uniform().powf(-1.0 / 1.1)),
    ("cauchy, half", |dice| 100.0 * (std::f64::consts::PI * (dice.uniform() - 0.5)).tan().abs()),
    (
        "bimodal",
        |dice| if dice.uniform() < 0.94 { 30.0 + 5.0 * dice.uniform() } else { 4_000.0 + 900.0 * dice.uniform() },
    ),
    ("two values", |dice| if dice.uniform() < 0.97 { 3.0 } else { 60_000.0 }),
    ("mostly nothing", |dice| if dice.uniform() < 0.9 { 0.0 } else { 5.0 * dice.uniform() }),
];

fn drawn(draw: Draw, seed: u64) -> Vec<u64> {
    let mut dice = Dice(seed);
    (0..COUNT).map(|_| draw(&mut dice).max(0.0) as u64).collect()
}

fn sketch_of(latencies: &[u64]) -> Sketch {
    let mut sketch = Sketch::default();
    latencies.iter().for_each(|latency| sketch.note(*latency));
    sketch
}

#[test]
fn percentiles_are_within_one_percent_of_the_sorted_truth_on_ten_distributions() {
    for (seed, (name, draw)) in (0..).zip(DISTRIBUTIONS) {
        let mut latencies = drawn(draw, seed);
        let sketch = sketch_of(&latencies);
        latencies.sort_unstable();
        for per_mille in [500, 950, 990] {
            let truth = latencies[(COUNT * per_mille).div_ceil(1_000) - 1] as f64;
            let told = sketch.percentile_ms(per_mille as u64).unwrap();
            let off = if truth == 0.0 { told } else { (told - truth).abs() / truth };
            println!("{name:>18} {per_mille:>4}: {told:>12.3} for {truth:>9} off by {:.3} %", 100.0 * off);
            assert!(off <= RELATIVE_ERROR + 1e-9, "{name} at {per_mille}: {told}, not {truth}");
        }
    }
    assert_eq!(Sketch::default().percentile_ms(950), None, "nothing is no number");
}

#[test]
fn merged_in_whatever_order_and_portions_it_is_the_same_bytes() {
    for (seed, (name, draw)) in (0..).zip(DISTRIBUTIONS) {
        let latencies = drawn(draw, seed);
        let whole = sketch_of(&latencies);
        for portions in [2, 7, 61] {
            let mut parts: Vec<_> = latencies.chunks(COUNT / portions).map(sketch_of).collect();
            for turn in 0..4 {
                parts.rotate_left(turn * portions / 3);
                if turn % 2 == 1 {
                    parts.reverse();
                }
                let mut merged = Sketch::default();
                parts.iter().for_each(|part| merged.merge(part));
                assert_eq!(merged.canonical(), whole.canonical(), "{name}: {portions} portions, order {turn}");
                let told = |sketch: &Sketch| [500, 950, 990].map(|at| sketch.percentile_ms(at).unwrap().to_bits());
                assert_eq!(told(&merged), told(&whole), "{name}");
            }
        }
    }
}

#[test]
fn a_window_forgets_what_is_older_and_keeps_a_bounded_number_of_sketches() {
    let mut window = Latencies::new(1_000, 5);
    for second in 0..100 {
        window.note(second, second * 1_000);
    }
    assert_eq!(window.merged().count(), 5);
    assert!((window.merged().percentile_ms(0).unwrap_or(95.0) - 95.0).abs() < 1.0);
    window.pass(200_000);
    assert_eq!((window.merged().count(), window.merged().percentile_ms(950)), (0, None));
    // a clock that went back
    window.note(7, 199_000);
    window.note(8, 10_000);
    assert_eq!(window.merged().count(), 2);
}

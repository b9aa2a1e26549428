use super::*;
use proptest::prelude::*;

/// Numbers that look random and are the same every time (SplitMix64).
struct Noise(u64);

impl Noise {
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A world: how often the judge says yes, and how well the figure predicts it.
#[derive(Clone, Copy, Debug)]
struct World {
    yes: f64,
    follows: f64,
    sampled: f64,
    answers: usize,
}

impl World {
    /// Figures are right with probability `follows`, and a coin of the same share of heads otherwise; biased upwards.
    fn live(self, noise: &mut Noise) -> Option<Corrected> {
        let (mut verdicts, mut figures) = (Verdicts::default(), Sums::default());
        for _ in 0..self.answers {
            let verdict = f64::from(u8::from(noise.share() < self.yes));
            let drawn =
                if noise.share() < self.follows { verdict } else { f64::from(u8::from(noise.share() < self.yes)) };
            let figure = 0.3 + 0.7 * drawn * noise.share().sqrt();
            figures.note(figure);
            if noise.share() < self.sampled {
                verdicts.note(verdict, figure);
            }
        }
        corrected(&verdicts, &figures)
    }
}

const WORLDS: [World; 6] = [
    World { yes: 0.8, follows: 0.9, sampled: 0.1, answers: 2_000 },
    World { yes: 0.8, follows: 0.0, sampled: 0.1, answers: 2_000 },
    World { yes: 0.5, follows: 0.7, sampled: 0.05, answers: 1_000 },
    World { yes: 0.95, follows: 0.8, sampled: 0.2, answers: 1_000 },
    World { yes: 0.7, follows: 0.95, sampled: 0.5, answers: 400 },
    World { yes: 0.6, follows: 1.0, sampled: 0.02, answers: 5_000 },
];
const LIVES: u32 = 2_000;

#[test]
fn the_interval_holds_the_judges_mean_in_nineteen_of_twenty_worlds_and_is_never_wider() {
    for (seed, world) in (1..).zip(WORLDS) {
        let mut noise = Noise(seed);
        let (mut held, mut lived, mut width, mut alone) = (0_u32, 0_u32, 0.0, 0.0);
        for _ in 0..LIVES {
            let Some(Corrected { estimate, sample, .. }) = world.live(&mut noise) else { continue };
            lived += 1;
            held += u32::from(estimate.low <= world.yes && world.yes <= estimate.high);
            let one = estimate.high - estimate.low;
            assert!(one <= sample.high - sample.low + 1e-12, "{world:?}: {estimate:?} {sample:?}");
            width += one;
            alone += sample.high - sample.low;
        }
        let share = f64::from(held) / f64::from(lived);
        // two standard errors below 95 % leave room for the sample's own approximation
        assert!(share >= 0.935, "{world:?}: {share}");
        if world.follows >= 0.9 {
            assert!(width < 0.9 * alone, "{world:?}: {width} {alone}");
        }
    }
}

#[test]
fn the_mean_is_the_judges_however_biased_the_figure_is() {
    let mut noise = Noise(99);
    let world = World { yes: 0.4, follows: 0.9, sampled: 0.1, answers: 2_000 };
    let means: Vec<f64> = (0..500).filter_map(|_| world.live(&mut noise)).map(|found| found.estimate.mean).collect();
    let mean = means.iter().sum::<f64>() / means.len() as f64;
    assert!((mean - 0.4).abs() < 0.005, "{mean}");
}

#[test]
fn few_verdicts_and_figures_that_never_differ_are_not_corrected() {
    let (mut verdicts, mut figures) = (Verdicts::default(), Sums::default());
    assert_eq!(corrected(&verdicts, &figures), None);
    for number in 0_u32..100 {
        let verdict = f64::from(number % 2);
        figures.note(verdict);
        if number < 19 {
            verdicts.note(verdict, verdict);
        }
    }
    let found = corrected(&verdicts, &figures).unwrap();
    assert_eq!((found.estimate, found.weight, found.answers), (found.sample, 0.0, 100));
    verdicts.note(1.0, 1.0);
    let found = corrected(&verdicts, &figures).unwrap();
    assert!(found.weight > 0.7 && found.estimate.high - found.estimate.low < found.sample.high - found.sample.low);
    let (mut verdicts, mut figures) = (Verdicts::default(), Sums::default());
    for number in 0_u32..100 {
        figures.note(1.0);
        if number < 50 {
            verdicts.note(f64::from(number % 2), 1.0);
        }
    }
    let found = corrected(&verdicts, &figures).unwrap();
    assert_eq!((found.estimate, found.weight), (found.sample, 0.0));
}

/// Reckoned by hand from the paper's formulas: covariance 0.06 · 40/39, variance of the figure 0.0825 · 40/39 and
/// 0.0825 · 160/159, of the verdicts 0.24 · 40/39.
#[test]
fn it_is_what_the_formulas_give() {
    let (mut verdicts, mut figures) = (Verdicts::default(), Sums::default());
    for number in 0_u32..200 {
        let figure = f64::from(number % 10) / 10.0;
        figures.note(figure);
        if number < 40 {
            verdicts.note(f64::from(u8::from([2, 3, 5, 6, 8, 9].contains(&(number % 10)))), figure);
        }
    }
    let found = corrected(&verdicts, &figures).unwrap();
    assert!((found.estimate.mean - 0.6).abs() < 1e-12, "{found:?}");
    assert!((found.weight - 0.584022039).abs() < 1e-9, "{found:?}");
    let narrowed = (found.estimate.high - found.estimate.low) / (found.sample.high - found.sample.low);
    assert!((narrowed - 0.924118223).abs() < 1e-9, "{narrowed}");
}

/// One of the vectors that `tests/outside/prediction_oracle.py` reckons from the values themselves.
#[derive(serde::Deserialize)]
struct Vector {
    /// Verdict and figure of each answer that was judged, in ten-thousandths.
    judged: Vec<(f64, f64)>,
    /// Figures of the others.
    others: Vec<f64>,
    expected: Expected,
}

#[derive(serde::Deserialize)]
struct Expected {
    sample: (f64, f64, f64),
    weight: f64,
    mean: f64,
    low: f64,
    high: f64,
}

#[test]
fn the_published_vectors_hold() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/prediction-vectors.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let vectors: Vec<Vector> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(vectors.len() >= 80);
    for (number, Vector { judged, others, expected }) in (1..).zip(vectors) {
        let (mut verdicts, mut figures) = (Verdicts::default(), Sums::default());
        for (verdict, figure) in judged {
            verdicts.note(verdict / 1e4, figure / 1e4);
            figures.note(figure / 1e4);
        }
        others.into_iter().for_each(|figure| figures.note(figure / 1e4));
        let Corrected { estimate, sample, weight, .. } = corrected(&verdicts, &figures).unwrap();
        let pairs = [
            (weight, expected.weight),
            (estimate.mean, expected.mean),
            (estimate.low, expected.low),
            (estimate.high, expected.high),
            (sample.mean, expected.sample.0),
            (sample.low, expected.sample.1),
            (sample.high, expected.sample.2),
        ];
        // the quantile of Student's distribution is found by search
        let apart = pairs.iter().map(|(own, other)| (own - other).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-7, "line {number}: {apart}: {estimate:?} {sample:?} {weight}");
    }
}

proptest! {
    #[test]
    fn an_interval_holds_its_mean_and_is_no_wider(
        answers in prop::collection::vec((0.0_f64..=1.0, 0.0_f64..=1.0, any::<bool>()), 1..200),
    ) {
        let (mut verdicts, mut figures) = (Verdicts::default(), Sums::default());
        for (verdict, figure, is_judged) in answers {
            figures.note(figure);
            if is_judged {
                verdicts.note(verdict, figure);
            }
        }
        if let Some(Corrected { estimate, sample, weight, answers }) = corrected(&verdicts, &figures) {
            prop_assert!(0.0 <= estimate.low && estimate.low <= estimate.mean);
            prop_assert!(estimate.mean <= estimate.high && estimate.high <= 1.0);
            prop_assert!(estimate.high - estimate.low <= sample.high - sample.low + 1e-12);
            prop_assert!((0.0..=1.0).contains(&weight) && answers >= estimate.count);
        }
    }
}

use super::rules::{Drift, drift};
use super::sample::{Cells, Day, Days, Ended, RECENT_DAYS, REFERENCE_DAYS};
use super::trend::{ANSWERS_MIN, Quality, trend};

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 to 1.
    fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }
}

/// How questions end in a world: shares of refusals, abstentions and answers without a citation, and where trust lies.
#[derive(Clone, Copy)]
struct World {
    refused: f64,
    abstained: f64,
    uncited: f64,
    trust: (f64, f64),
}

const USUAL: World = World { refused: 0.02, abstained: 0.08, uncited: 0.02, trust: (0.55, 0.95) };

impl World {
    fn ask(&self, dice: &mut Dice) -> Ended {
        let drawn = dice.share();
        if drawn < self.refused {
            return Ended::Refused;
        }
        if drawn < self.refused + self.abstained {
            return Ended::Abstained;
        }
        if drawn < self.refused + self.abstained + self.uncited {
            return Ended::Uncited;
        }
        // three passages on average: rather in the middle than at the ends
        let middle = (dice.share() + dice.share() + dice.share()) / 3.0;
        Ended::Cited(self.trust.0 + middle * (self.trust.1 - self.trust.0))
    }
}

/// So many questions over so many days, a share of them in another world.
fn period(dice: &mut Dice, number: u64, days: u64, world: World, other: (f64, World)) -> Vec<Day> {
    let mut asked = vec![Day::default(); usize::try_from(days).unwrap()];
    for _ in 0..number {
        let day = usize::try_from(dice.below(days)).unwrap();
        let world = if dice.share() < other.0 { other.1 } else { world };
        asked[day].note(world.ask(dice));
    }
    asked
}

fn cells(days: &[Day]) -> Vec<Cells> {
    days.iter().map(|day| day.cells).collect()
}

fn compared(dice: &mut Dice, number: u64, share: f64, other: World) -> (Drift, Quality) {
    let recent = period(dice, number, RECENT_DAYS, USUAL, (share, other));
    let reference = period(dice, number, REFERENCE_DAYS, USUAL, (0.0, USUAL));
    (drift(&cells(&recent), &cells(&reference)), trend(&recent, &reference).quality)
}

/// Shares, in parts of a thousand, of what was called drift and of what was called better or worse.
fn shares(seed: u64, times: u64, number: u64, share: f64, other: World) -> (f64, f64) {
    let mut dice = Dice(seed);
    let (mut drifted, mut moved) = (0_u64, 0_u64);
    for _ in 0..times {
        let (drift, quality) = compared(&mut dice, number, share, other);
        assert_eq!(drift.score > 0.0, drift.is_significant() && drift.distance > 0.0);
        drifted += u64::from(drift.is_significant());
        moved += u64::from(matches!(quality, Quality::Improving | Quality::Declining));
    }
    let per_cent = |count: u64| 100.0 * count as f64 / times as f64;
    (per_cent(drifted), per_cent(moved))
}

/// The bar: at most one false alarm in a hundred, however many questions there are.
#[test]
fn what_has_not_changed_is_seldom_called_drift() {
    for number in [50, 200, 2_000] {
        let (drifted, moved) = shares(7 + number, 4_000, number, 0.0, USUAL);
        println!(
            "{number} questions, nothing changed: {drifted:.2} % called drift, {moved:.2} % called better or worse"
        );
        assert!(drifted <= 1.0 && moved <= 1.0, "{number}: {drifted} % and {moved} %");
    }
}

/// What a tenth of the questions may become: each another way to fail.
const CHANGES: [(&str, World); 5] = [
    ("abstained on", World { abstained: 1.0, refused: 0.0, ..USUAL }),
    ("refused", World { refused: 1.0, ..USUAL }),
    ("answered without a citation", World { uncited: 1.0, refused: 0.0, abstained: 0.0, ..USUAL }),
    ("answered from doubtful sources", World { refused: 0.0, abstained: 0.0, uncited: 0.0, trust: (0.2, 0.5) }),
    ("answered from the best sources", World { refused: 0.0, abstained: 0.0, uncited: 0.0, trust: (0.93, 1.0) }),
];

/// The bar: a tenth that comes from elsewhere is found in 95 of a hundred weeks of 2,000 questions.
#[test]
fn a_tenth_from_elsewhere_is_found() {
    for (what, other) in CHANGES {
        let (found, _) = shares(11, 300, 2_000, 0.1, other);
        println!("2,000 questions, a tenth {what}: found in {found:.1} %");
        assert!(found >= 95.0, "{what}: {found} %");
    }
}

/// Days on which everybody asks about the same thing: from 2 % to 32 % of their questions have no answer. Taken one by one,
/// questions of such days look like drift most of the time; the days themselves say that they do not.
#[test]
fn days_that_differ_among_themselves_are_seldom_called_drift() {
    let mut dice = Dice(13);
    let (mut drifted, mut naive, mut moved, times) = (0_u32, 0_u32, 0_u32, 1_000_u32);
    for _ in 0..times {
        let mut clumped = |days: u64| -> Vec<Day> {
            (0..days)
                .flat_map(|_| {
                    let abstained = 0.02 + 0.3 * dice.share();
                    period(&mut dice, 150, 1, World { abstained, ..USUAL }, (0.0, USUAL))
                })
                .collect()
        };
        let (recent, reference) = (clumped(RECENT_DAYS), clumped(REFERENCE_DAYS));
        let as_one_day = |days: &[Day]| {
            let mut one = Cells::default();
            days.iter().for_each(|day| one.0.iter_mut().zip(day.cells.0).for_each(|(sum, count)| *sum += count));
            one
        };
        drifted += u32::from(drift(&cells(&recent), &cells(&reference)).is_significant());
        naive += u32::from(drift(&[as_one_day(&recent)], &[as_one_day(&reference)]).is_significant());
        moved += u32::from(matches!(trend(&recent, &reference).quality, Quality::Improving | Quality::Declining));
    }
    let per_cent = |count: u32| 100.0 * f64::from(count) / f64::from(times);
    let (drifted, naive, moved) = (per_cent(drifted), per_cent(naive), per_cent(moved));
    println!(
        "days that differ: {drifted:.1} % called drift ({naive:.1} % without regard to days), {moved:.1} % better or worse"
    );
    assert!(drifted <= 3.5 && drifted * 5.0 <= naive && moved <= 2.0, "{drifted} %, {naive} %, {moved} %");
}

#[test]
fn thin_data_say_nothing() {
    let mut dice = Dice(3);
    let recent =
        period(&mut dice, ANSWERS_MIN - 1, RECENT_DAYS, World { abstained: 1.0, refused: 0.0, ..USUAL }, (0.0, USUAL));
    let reference = period(&mut dice, 5_000, REFERENCE_DAYS, USUAL, (0.0, USUAL));
    let judged = drift(&cells(&recent), &cells(&reference));
    assert_eq!((judged.score, judged.p_value), (0.0, None));
    assert_eq!(trend(&recent, &reference).quality, Quality::Unknown);
    // many questions of two days alone: nothing is known of how days differ
    let recent = period(&mut dice, 5_000, 2, USUAL, (0.0, USUAL));
    assert_eq!(trend(&recent, &reference).quality, Quality::Unknown);
    let nothing = drift(&[], &[]);
    assert_eq!((nothing.score, nothing.p_value, nothing.recent), (0.0, None, 0));
}

#[test]
fn quality_that_rises_falls_or_stays_is_called_so() {
    let mut dice = Dice(5);
    let mut heading = |share: f64, other: World| {
        let recent = period(&mut dice, 4_000, RECENT_DAYS, USUAL, (share, other));
        let reference = period(&mut dice, 4_000, REFERENCE_DAYS, USUAL, (0.0, USUAL));
        trend(&recent, &reference).quality
    };
    assert_eq!(heading(0.0, USUAL), Quality::Stable);
    assert_eq!(heading(0.3, World { abstained: 1.0, refused: 0.0, ..USUAL }), Quality::Declining);
    assert_eq!(
        heading(0.6, World { trust: (0.9, 1.0), abstained: 0.0, refused: 0.0, uncited: 0.0 }),
        Quality::Improving
    );
}

#[test]
fn the_distance_grows_with_the_difference_and_stays_within_one() {
    let mut dice = Dice(17);
    let mut at =
        |share: f64| compared(&mut dice, 2_000, share, World { abstained: 1.0, refused: 0.0, ..USUAL }).0.score;
    let scores = [0.0, 0.2, 0.5, 1.0].map(&mut at);
    assert!(scores.windows(2).all(|pair| pair[0] < pair[1]) && scores[3] <= 1.0, "{scores:?}");
    assert_eq!(scores[0], 0.0);
}

#[test]
fn only_the_days_that_are_compared_are_kept() {
    let mut days = Days::default();
    for day in 0..200 {
        days.at(day).unwrap().note(Ended::Abstained);
    }
    let (recent, reference) = days.split(199);
    assert_eq!((recent.len(), reference.len()), (7, 28));
    assert!(days.at(100).is_none(), "a day that is forgotten is not begun anew");
    let (recent, reference) = days.split(206);
    assert_eq!((recent.len(), reference.len()), (0, 28), "a week without a question");
    assert_eq!(days.split(3), (vec![], vec![]), "a clock that was set back");
}

#[test]
fn a_question_counts_where_it_belongs() {
    let mut day = Day::default();
    for ended in
        [Ended::Refused, Ended::Abstained, Ended::Uncited, Ended::Cited(0.0), Ended::Cited(0.05), Ended::Cited(1.0)]
    {
        day.note(ended);
    }
    day.note(Ended::Cited(f64::NAN));
    let mut expected = Cells::default();
    for cell in [0, 1, 2, 3, 3, 4, 22] {
        expected.0[cell] += 1;
    }
    assert_eq!(day.cells, expected);
    assert_eq!((day.quality.count, day.quality.sum, day.quality.squares), (6, 10_500, 100_250_000));
    assert_eq!(day.quality.mean(), Some(0.175));
}

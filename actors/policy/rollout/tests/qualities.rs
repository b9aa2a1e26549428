//! What the test of quality promises, held against many rollouts: the same in every run.
use super::*;

const REQUEST_MS: u64 = 10_000;
const ROLLOUTS: u64 = 1_000;

/// Shares of poor answers and of failures, of control and canary.
#[derive(Clone, Copy, Debug)]
struct World {
    poor: [f64; 2],
    fails: [f64; 2],
}

/// How a rollout ended, and after how many requests; failures and poor answers are judged side by side.
fn live(world: World, dice: &mut Dice, most: u64) -> (Option<RollBack>, u64) {
    let rules = Rules::default();
    let mut rollout = Rollout::begin(rules, 0);
    let mut quality = Quality::begin(rollout.stage());
    for request in 1..=most {
        let moment = at(request * REQUEST_MS);
        let is_canary = dice.share() * 100.0 < f64::from(rollout.stage().percent());
        let (arm, of) = if is_canary { (Arm::Canary, 1) } else { (Arm::Control, 0) };
        let (is_poor, failed) = (dice.share() < world.poor[of], dice.share() < world.fails[of]);
        if !failed && quality.record(arm, is_poor, rollout.stage()) && quality.is_poorer(&rules) {
            rollout.step(Event::Poorer, moment);
        }
        match rollout.step(outcome(arm, failed), moment) {
            Step::RollBack(reason) => return (Some(reason), request),
            Step::Complete => return (None, request),
            _ => {}
        }
    }
    (None, most)
}

#[test]
fn a_version_that_is_no_worse_goes_back_in_one_rollout_of_a_hundred_at_most() {
    let alike = [
        World { poor: [0.1, 0.1], fails: [0.02, 0.02] },
        World { poor: [0.5, 0.5], fails: [0.0, 0.0] },
        World { poor: [0.01, 0.01], fails: [0.05, 0.05] },
        World { poor: [0.3, 0.1], fails: [0.02, 0.02] },
    ];
    for (seed, world) in (1..).zip(alike) {
        let mut dice = Dice(seed);
        let back = (0..ROLLOUTS).filter(|_| live(world, &mut dice, 5_000).0.is_some()).count();
        // one in a hundred is promised; three standard errors above it are chance
        assert!(back <= 19, "{world:?}: {back} of {ROLLOUTS}");
    }
}

#[test]
fn a_loss_of_quality_sends_a_version_back_that_fails_no_more_often() {
    let mut dice = Dice(7);
    let world = World { poor: [0.05, 0.3], fails: [0.02, 0.02] };
    let fates: Vec<_> = (0..200).map(|_| live(world, &mut dice, 20_000)).collect();
    let back = fates.iter().filter(|(end, _)| *end == Some(RollBack::Poorer)).count();
    assert!(back >= 195, "{back} of 200");
    let mut requests: Vec<u64> = fates.iter().map(|(_, requests)| *requests).collect();
    requests.sort_unstable();
    assert!(requests[100] < 1_500, "half of them within {}", requests[100]);
}

#[test]
fn what_is_better_or_says_nothing_goes_on() {
    let mut quality = Quality::begin(Stage::Tenth);
    for number in 0..10_000_u32 {
        let arm = if number.is_multiple_of(10) { Arm::Canary } else { Arm::Control };
        quality.record(arm, arm == Arm::Control && number.is_multiple_of(3), Stage::Tenth);
    }
    assert!(!quality.is_poorer(&Rules::default()));
    assert_eq!(quality.total(Arm::Canary), Tally { requests: 1_000, failures: 0 });
    let mut alone = Quality::begin(Stage::Tenth);
    for _ in 0..10_000 {
        alone.record(Arm::Canary, true, Stage::Tenth);
    }
    assert!(!alone.is_poorer(&Rules::default()), "one arm alone is no comparison");
}

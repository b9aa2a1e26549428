//! What the tests promise, held against the traffic of many rollouts: the same in every run.
use super::*;

/// Six requests a minute.
const REQUEST_MS: u64 = 10_000;
const REQUESTS_MAX: u64 = 60_000;

/// What came out of a rollout.
struct Fate {
    last: Step,
    stage: Stage,
    requests: u64,
    canary: u64,
}

impl Fate {
    fn of(rollout: &Rollout, last: Step, requests: u64) -> Self {
        let canary = rollout.evidence().total(Arm::Canary).requests;
        Self { last, stage: rollout.stage(), requests, canary }
    }

    fn is_rolled_back(&self) -> bool {
        self.last == Step::RollBack(RollBack::Worse)
    }

    fn is_complete(&self) -> bool {
        self.last == Step::Complete
    }
}

/// Requests without a conversation; `rates` gives the failure rates of control and canary at a request.
fn run(dice: &mut Dice, is_frozen: bool, most: u64, rates: impl Fn(u64) -> (f64, f64)) -> Fate {
    let mut rollout = Rollout::begin(Rules::default(), 0);
    let mut request = 0;
    loop {
        request += 1;
        let is_canary = dice.share() * 100.0 < f64::from(rollout.stage().percent());
        let (control, canary) = rates(request);
        let (arm, rate) = if is_canary { (Arm::Canary, canary) } else { (Arm::Control, control) };
        let moment = Moment { unix_ms: request * REQUEST_MS, is_frozen };
        let step = rollout.step(outcome(arm, dice.share() < rate), moment);
        if matches!(step, Step::RollBack(_) | Step::Complete) || request == most {
            return Fate::of(&rollout, step, request);
        }
    }
}

struct Conversation {
    key: String,
    always_fails: bool,
    has_failed: bool,
}

/// Thirty conversations at a time, of five requests in the mean; those that always fail do so in either arm.
fn talk(dice: &mut Dice, salt: &str, always_fail: f64, is_first_failure_only: bool) -> Fate {
    let mut rollout = Rollout::begin(Rules::default(), 0);
    let mut open: Vec<Conversation> = Vec::new();
    let mut begun = 0;
    let mut step = Step::Hold(Hold::NoData);
    for request in 1..=20_000 {
        while open.len() < 30 {
            begun += 1;
            let key = format!("conversation {begun}");
            open.push(Conversation { key, always_fails: dice.share() < always_fail, has_failed: false });
        }
        let at = (dice.share() * 30.0) as usize;
        let talking = &mut open[at];
        let failed = talking.always_fails || dice.share() < 0.001;
        if !(is_first_failure_only && talking.has_failed) {
            let arm = rollout.arm(salt, &talking.key);
            step = rollout.step(outcome(arm, failed), self::at(request * REQUEST_MS));
        }
        talking.has_failed |= failed;
        if matches!(step, Step::RollBack(_) | Step::Complete) {
            return Fate::of(&rollout, step, request);
        }
        if dice.share() < 0.2 {
            open.swap_remove(at);
        }
    }
    Fate::of(&rollout, step, 20_000)
}

fn quantile(fates: &[Fate], share: f64, value: impl Fn(&Fate) -> u64) -> u64 {
    let mut values: Vec<u64> = fates.iter().map(value).collect();
    values.sort_unstable();
    values[((values.len() - 1) as f64 * share) as usize]
}

fn share(fates: &[Fate], has: impl Fn(&Fate) -> bool) -> f64 {
    fates.iter().filter(|fate| has(fate)).count() as f64 / fates.len() as f64
}

/// 10^4 over all the rates.
#[test]
fn a_good_version_goes_back_in_less_than_one_of_a_hundred_rollouts_and_reaches_everybody() {
    let mut back = 0.0;
    for rate in [0.001, 0.01, 0.05, 0.2] {
        let mut dice = Dice(20_260);
        let fates: Vec<Fate> = (0..2_500).map(|_| run(&mut dice, false, REQUESTS_MAX, |_| (rate, rate))).collect();
        let false_rollbacks = share(&fates, Fate::is_rolled_back);
        println!(
            "both arms {rate}: false rollbacks {false_rollbacks}, requests until complete: median {}, 90 % {}",
            quantile(&fates, 0.5, |fate| fate.requests),
            quantile(&fates, 0.9, |fate| fate.requests),
        );
        assert!(false_rollbacks <= 0.01, "{rate}: {false_rollbacks}");
        assert!(share(&fates, Fate::is_complete) >= 0.99, "{rate}");
        back += false_rollbacks / 4.0;
    }
    println!("false rollbacks over all: {back}");
}

#[test]
fn looking_for_as_long_as_one_likes_costs_no_more() {
    let mut dice = Dice(1);
    let fates: Vec<Fate> = (0..500).map(|_| run(&mut dice, true, 10_000, |_| (0.02, 0.02))).collect();
    let false_rollbacks = share(&fates, Fate::is_rolled_back);
    println!("frozen at 10 % for 10,000 requests: false rollbacks {false_rollbacks}");
    assert!(false_rollbacks <= 0.01, "{false_rollbacks}");
}

#[test]
fn an_outage_of_both_arms_is_nobodys_fault() {
    let mut dice = Dice(2);
    let outages = |request: u64| if request % 500 < 60 { 0.6 } else { 0.01 };
    let fates: Vec<Fate> = (0..1_000)
        .map(|_| run(&mut dice, false, REQUESTS_MAX, |request| (outages(request), outages(request))))
        .collect();
    let false_rollbacks = share(&fates, Fate::is_rolled_back);
    println!("outages: false rollbacks {false_rollbacks}, complete {}", share(&fates, Fate::is_complete));
    assert!(false_rollbacks <= 0.01, "{false_rollbacks}");
}

#[test]
fn a_bad_version_is_stopped_early() {
    for (control, canary, most) in [(0.01, 0.05, 200), (0.01, 0.2, 40), (0.01, 1.0, 10), (0.001, 0.05, 200)] {
        let mut dice = Dice(3);
        let fates: Vec<Fate> = (0..2_000).map(|_| run(&mut dice, false, REQUESTS_MAX, |_| (control, canary))).collect();
        let exposed = |fate: &Fate| if fate.is_rolled_back() { fate.canary } else { u64::MAX };
        let median = quantile(&fates, 0.5, exposed);
        println!(
            "{canary} against {control}: exposed requests: median {median}, 90 % {}; stopped {}, seen by half {}",
            quantile(&fates, 0.9, exposed),
            share(&fates, Fate::is_rolled_back),
            share(&fates, |fate| fate.stage != Stage::Tenth),
        );
        assert!(median <= most, "{canary} against {control}: {median}");
        assert!(share(&fates, Fate::is_complete) <= 0.001);
    }
}

#[test]
fn harm_at_the_margin_opens_no_stage() {
    for (control, canary) in [(0.0, 0.02), (0.01, 0.035), (0.1, 0.17)] {
        let mut dice = Dice(4);
        let fates: Vec<Fate> = (0..500).map(|_| run(&mut dice, false, REQUESTS_MAX, |_| (control, canary))).collect();
        let opened = share(&fates, |fate| fate.stage != Stage::Tenth);
        println!("{canary} against {control}, at the margin: opened the next stage {opened}");
        assert!(opened <= 0.05, "{canary} against {control}: {opened}");
    }
}

#[test]
fn a_conversation_that_always_fails_is_one_misfortune() {
    for always_fail in [0.01, 0.2] {
        for is_first_failure_only in [true, false] {
            let mut dice = Dice(5);
            let fates: Vec<Fate> = (0..400)
                .map(|rollout| talk(&mut dice, &format!("rollout {rollout}"), always_fail, is_first_failure_only))
                .collect();
            let false_rollbacks = share(&fates, Fate::is_rolled_back);
            println!(
                "{always_fail} of the conversations always fail, first failure only {is_first_failure_only}: \
                 false rollbacks {false_rollbacks}"
            );
            assert_eq!(false_rollbacks <= 0.01, is_first_failure_only, "{always_fail}: {false_rollbacks}");
        }
    }
}

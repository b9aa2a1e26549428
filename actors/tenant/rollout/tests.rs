use super::rules::*;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::rollout::{Arm, Event, Hold, Moment, RollBack, Stage, Step};
use bailiwick_policy::schema::{FailureKind, RolloutSettings};
use proptest::prelude::*;

const START: u64 = 1_760_000_000_000;
const HOUR_MS: u64 = 3_600_000;
const WELL: Ending = Ending::Replied { abstained: false };
const FAULT: Ending = Ending::Refused(Code::UpstreamFailed);

fn at(unix_ms: u64) -> Moment {
    Moment { unix_ms, is_frozen: false }
}

fn begun(settings: &RolloutSettings) -> Course {
    Course::at(Course::beginning("release", settings, START), settings)
}

/// A course whose notes are durable at once; the requests it takes to end it.
struct Walk {
    course: Course,
    asked: u64,
    now: u64,
}

impl Walk {
    fn new() -> Self {
        Self { course: begun(&RolloutSettings::default()), asked: 0, now: START }
    }

    fn ask(&mut self, ending: impl Fn(Arm, u64) -> Ending) -> Option<Step> {
        self.asked += 1;
        self.now += 20_000;
        let drawn = self.course.draw(&format!("conversation {}", self.asked));
        let standing = self.course.note(drawn, ending(drawn.arm, self.asked), at(self.now))?;
        self.course.is_kept(&standing).then(|| self.course.end()).flatten()
    }

    fn until_the_end(&mut self, ending: impl Fn(Arm, u64) -> Ending) -> Step {
        (0..100_000).find_map(|_| self.ask(&ending)).unwrap()
    }
}

#[test]
fn a_good_release_reaches_everybody_and_a_bad_one_goes_back() {
    let mut good = Walk::new();
    assert_eq!(good.until_the_end(|_, asked| if asked.is_multiple_of(100) { FAULT } else { WELL }), Step::Complete);
    assert_eq!(good.course.draw("anybody").arm, Arm::Canary);
    let mut bad = Walk::new();
    let ending = |arm, asked: u64| if arm == Arm::Canary && asked.is_multiple_of(3) { FAULT } else { WELL };
    assert_eq!(bad.until_the_end(ending), Step::RollBack(RollBack::Worse));
    assert!(bad.asked < 3_000, "{}", bad.asked);
    assert!((0..1_000).all(|number| bad.course.draw(&format!("{number}")).arm == Arm::Control));
}

#[test]
fn a_stage_opens_when_it_is_written_down_and_not_before() {
    let settings = RolloutSettings { stage_minutes: 0, ..RolloutSettings::default() };
    let mut course = begun(&settings);
    let mut waiting = None;
    for asked in 0..10_000 {
        let drawn = course.draw(&format!("{asked}"));
        let standing = course.note(drawn, WELL, at(START));
        if let Some(standing) = standing.filter(|standing| standing.rollout.stage() == Stage::Half) {
            waiting = Some(standing);
            break;
        }
    }
    let half = waiting.unwrap();
    let drawn: Vec<_> = (0..1_000).map(|number| course.draw(&format!("later {number}"))).collect();
    let canary = drawn.iter().filter(|drawn| drawn.arm == Arm::Canary).count();
    assert!((60..150).contains(&canary), "a tenth still, {canary}");
    assert_eq!(course.note(drawn[0], WELL, at(START)), None, "drawn in the stage before: says nothing of this one");
    assert!(!course.is_kept(&half));
    let canary = (0..1_000).filter(|number| course.draw(&format!("later {number}")).arm == Arm::Canary).count();
    assert!((430..570).contains(&canary), "a half, {canary}");
}

#[test]
fn what_goes_back_goes_back_before_it_is_written_down() {
    let mut course = begun(&RolloutSettings::default());
    let (step, standing) = course.steer(Event::Withdraw, at(START));
    assert_eq!(step, Step::RollBack(RollBack::Withdrawn));
    assert!((0..1_000).all(|number| course.draw(&format!("{number}")).arm == Arm::Control));
    assert_eq!(course.end(), None, "told as ended only once it is durable");
    assert!(course.is_kept(&standing.unwrap()));
    assert_eq!(course.end(), Some(Step::RollBack(RollBack::Withdrawn)));
}

#[test]
fn a_conversation_that_fails_again_and_again_failed_once() {
    let mut course = begun(&RolloutSettings::default());
    let stuck = (0..).map(|number| format!("stuck {number}")).find(|id| course.draw(id).arm == Arm::Canary).unwrap();
    for asked in 0..5_000 {
        course.note(course.draw(&stuck), FAULT, at(START));
        course.note(course.draw(&format!("{asked}")), WELL, at(START));
    }
    assert_eq!(course.view(at(START)).canary.failures, 1);
    assert_eq!(course.end(), None);
}

#[test]
fn poor_answers_send_a_release_back_and_each_conversation_is_one_misfortune() {
    let mut course = begun(&RolloutSettings::default());
    let stuck = (0..).map(|number| format!("stuck {number}")).find(|id| course.draw(id).arm == Arm::Canary).unwrap();
    for asked in 0..2_000 {
        assert!(course.measure(course.draw(&stuck), true, at(START)).is_none_or(|weighed| weighed.standing.is_none()));
        course.measure(course.draw(&format!("{asked}")), false, at(START));
    }
    assert_eq!((course.view(at(START)).canary.poor, course.view(at(START)).canary.failures), (1, 0));
    // what the journal has of it goes on after a restart, and is of this release alone
    let mut kept = None;
    let ended = (2_000..20_000).find_map(|asked| {
        let drawn = course.draw(&format!("{asked}"));
        let weighed = course.measure(drawn, drawn.arm == Arm::Canary, at(START))?;
        if let Some(before) = kept.replace(weighed.quality.clone()) {
            assert!(weighed.quality.is_after(&before));
        }
        weighed.standing
    });
    assert_eq!(ended.unwrap().rollout.end(), Some(Step::RollBack(RollBack::Poorer)));
    assert_eq!(course.draw("anybody").arm, Arm::Control, "before it is written down");
    let begin = || begun(&RolloutSettings::default());
    assert_eq!(begin().knowing(kept.clone()).view(at(START)).canary.poor, course.view(at(START)).canary.poor);
    let of_another = kept.map(|kept| QualityStanding { release: "another".to_owned(), ..kept });
    assert_eq!(begin().knowing(of_another).view(at(START)).canary.poor, 0);
}

#[test]
fn only_what_a_release_may_be_blamed_for_counts() {
    let refusals = Ending::Refused(Code::PolicyDenied);
    let abstained = Ending::Replied { abstained: true };
    let of = |kinds: &[FailureKind], ending| {
        let failures = kinds.iter().copied().collect();
        let mut course = begun(&RolloutSettings { failures, ..RolloutSettings::default() });
        course.note(course.draw("one"), ending, at(START));
        let view = course.view(at(START));
        (view.canary.requests + view.control.requests, view.canary.failures + view.control.failures)
    };
    use FailureKind::{Abstention, Fault, Refusal};
    assert_eq!(of(&[Fault, Refusal], FAULT), (1, 1));
    assert_eq!(of(&[Refusal], FAULT), (0, 0), "a kind that is not counted says nothing");
    assert_eq!(of(&[Fault, Refusal], refusals), (1, 1));
    assert_eq!(of(&[Fault], refusals), (0, 0));
    assert_eq!(of(&[Fault], abstained), (1, 0));
    assert_eq!(of(&[Abstention], abstained), (1, 1));
    for code in [Code::InvalidRequest, Code::RateLimited, Code::BudgetExceeded, Code::NotFound, Code::TooLarge] {
        assert_eq!(of(&[Fault, Refusal, Abstention], Ending::Refused(code)), (0, 0), "{code:?}");
    }
}

#[test]
fn a_course_read_from_the_journal_goes_on() {
    let mut walk = Walk::new();
    let mut kept = None;
    for _ in 0..200 {
        walk.asked += 1;
        let drawn = walk.course.draw(&format!("conversation {}", walk.asked));
        kept = walk.course.note(drawn, WELL, at(START)).or(kept);
    }
    let settings = RolloutSettings::default();
    let resumed = Course::at(kept.unwrap(), &settings);
    assert_eq!(resumed.view(at(START)), walk.course.view(at(START)), "two hundred are whole blocks: nothing is lost");
    assert_eq!(
        resumed.view(at(START)).next,
        Step::Hold(Hold::TooFewRequests { missing: 100 - resumed.view(at(START)).canary.requests })
    );
}

#[test]
fn somebody_who_promotes_is_refused_under_a_freeze() {
    let mut course = begun(&RolloutSettings::default());
    let frozen = Moment { unix_ms: START + HOUR_MS, is_frozen: true };
    assert_eq!(course.steer(Event::Promote, frozen), (Step::Hold(Hold::Frozen), None));
    let (step, standing) = course.steer(Event::Promote, at(START));
    assert_eq!(step, Step::Complete);
    assert_eq!(course.draw("one").arm, begun(&RolloutSettings::default()).draw("one").arm, "not before it is durable");
    assert!(course.is_kept(&standing.unwrap()));
    assert_eq!(course.draw("one").arm, Arm::Canary);
}

proptest! {
    /// Notes that overtake one another on their way to the journal never take a rollout back.
    #[test]
    fn a_late_note_takes_nothing_back(order in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let mut walk = Walk::new();
        let mut standings = vec![Course::beginning("release", &RolloutSettings::default(), START)];
        while standings.len() < 41 {
            walk.asked += 1;
            walk.now += 60_000;
            let drawn = walk.course.draw(&format!("conversation {}", walk.asked));
            let noted = walk.course.note(drawn, WELL, at(walk.now));
            if let Some(standing) = noted {
                walk.course.is_kept(&standing);
                standings.push(standing);
            }
        }
        let mut reader = Course::at(standings[0].clone(), &RolloutSettings::default());
        let mut folded = standings[0].clone();
        let mut percent = 0;
        for index in order {
            let standing = &standings[index + 1];
            reader.is_kept(standing);
            if standing.is_after(&folded) {
                folded = standing.clone();
            }
            let now = reader.view(at(START)).percent;
            prop_assert!(now >= percent);
            percent = now;
        }
        prop_assert_eq!(&folded, &standings[40]);
    }
}

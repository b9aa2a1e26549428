//! Tables and properties of the rules.
use super::rules::*;
use bailiwick_kernel::limits::PROVIDER_RETRY_AFTER_MS_MAX;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::RouterFile;
use proptest::prelude::*;

const START: u64 = 1_000_000;

fn choice(provider: &str, retries: u32) -> Choice {
    Choice { provider: provider.into(), retries, timeout_ms: 400, barred: None }
}

fn barred(provider: &str) -> Choice {
    Choice { barred: Some(Rejection::new(Code::SovereigntyViolation, "elsewhere")), ..choice(provider, 0) }
}

fn failed(passing: bool) -> News {
    News::Failed { passing, retry_after_ms: None, detail: "it failed".into() }
}

fn retry_after(ms: u64) -> News {
    News::Failed { passing: true, retry_after_ms: Some(ms), detail: "busy".into() }
}

fn call(choice: usize) -> Step {
    Step::Call { choice, timeout_ms: 400 }
}

fn code_of(step: Step) -> Code {
    match step {
        Step::GiveUp(rejection) => rejection.code,
        other => panic!("gives up, but {other:?}"),
    }
}

#[test]
fn primary_then_its_retries_then_fallback_then_nobody() {
    let (mut course, mut book) =
        (Course::new(vec![choice("a", 1), choice("b", 0)], START + 10_000), HealthBook::default());
    assert_eq!(course.steer(&mut book, News::Departed, START, 7), call(0));
    assert_eq!(course.steer(&mut book, failed(true), START, 7), Step::Wait { for_ms: 7 });
    assert_eq!(course.steer(&mut book, News::Waited, START, 7), call(0));
    assert_eq!(course.steer(&mut book, failed(true), START, 7), call(1));
    assert_eq!(code_of(course.steer(&mut book, failed(true), START, 7)), Code::UpstreamFailed);
}

#[test]
fn a_lasting_failure_is_not_retried() {
    let (mut course, mut book) =
        (Course::new(vec![choice("a", 3), choice("b", 3)], START + 10_000), HealthBook::default());
    assert_eq!(course.steer(&mut book, News::Departed, START, 0), call(0));
    assert_eq!(course.steer(&mut book, failed(false), START, 0), call(1));
}

#[test]
fn a_provider_that_is_called_too_often_is_passed_over_and_stays_well() {
    let (mut course, mut book) =
        (Course::new(vec![choice("a", 3), choice("b", 0)], START + 10_000), HealthBook::default());
    assert_eq!(course.steer(&mut book, News::Departed, START, 0), call(0));
    assert_eq!(course.steer(&mut book, News::Paced { wait_ms: 20_000 }, START, 0), call(1));
    let Step::GiveUp(rejection) = course.steer(&mut book, News::Paced { wait_ms: 30_000 }, START, 0) else {
        panic!("nobody is left");
    };
    assert_eq!((rejection.code, rejection.retry_after_ms), (Code::Overloaded, Some(30_000)));
    assert_eq!(book, HealthBook::default(), "nothing failed");
}

#[test]
fn a_retry_after_is_waited_for_within_its_bound_and_the_deadline() {
    for (after_ms, deadline_ms, expected) in [
        (300, 10_000, Step::Wait { for_ms: 305 }),
        (PROVIDER_RETRY_AFTER_MS_MAX + 1, 100_000, call(1)),
        (300, 300, call(1)),
    ] {
        let (mut course, mut book) =
            (Course::new(vec![choice("a", 1), choice("b", 0)], START + deadline_ms), HealthBook::default());
        let _call = course.steer(&mut book, News::Departed, START, 5);
        let step = course.steer(&mut book, retry_after(after_ms), START, 5);
        match (&step, &expected) {
            (Step::Call { choice, .. }, Step::Call { choice: wanted, .. }) => assert_eq!(choice, wanted),
            _ => assert_eq!(step, expected),
        }
    }
}

#[test]
fn a_call_never_outlives_the_deadline() {
    let (mut course, mut book) =
        (Course::new(vec![choice("a", 0), choice("b", 0)], START + 100), HealthBook::default());
    assert_eq!(course.steer(&mut book, News::Departed, START, 0), Step::Call { choice: 0, timeout_ms: 100 });
    assert_eq!(course.steer(&mut book, failed(true), START + 60, 0), Step::Call { choice: 1, timeout_ms: 40 });
    let mut late = Course::new(vec![choice("a", 0)], START);
    assert_eq!(code_of(late.steer(&mut book, News::Departed, START, 0)), Code::UpstreamFailed);
}

#[test]
fn what_policy_bars_is_never_called_and_says_why() {
    let mut book = HealthBook::default();
    let mut course = Course::new(vec![barred("a"), choice("b", 0)], START + 1_000);
    assert_eq!(course.steer(&mut book, News::Departed, START, 0), call(1));
    let mut nowhere = Course::new(vec![barred("a"), barred("b")], START + 1_000);
    assert_eq!(code_of(nowhere.steer(&mut book, News::Departed, START, 0)), Code::SovereigntyViolation);
    let mut nobody = Course::new(Vec::new(), START + 1_000);
    assert_eq!(code_of(nobody.steer(&mut book, News::Departed, START, 0)), Code::UpstreamFailed);
}

#[test]
fn a_provider_that_fails_rests_even_alone_and_comes_back_by_one_call() {
    let mut book = HealthBook::default();
    for _ in 0..FAILURES_TO_REST {
        assert_eq!(book.admit("a", START), Ok(()));
        book.note_failure("a", START);
    }
    let mut alone = Course::new(vec![choice("a", 2)], START + 60_000);
    let Step::GiveUp(refusal) = alone.steer(&mut book, News::Departed, START + 1, 0) else { panic!("rests") };
    assert_eq!(refusal.retry_after_ms, Some(REST_MS - 1));
    let later = START + REST_MS;
    assert_eq!(book.admit("a", later), Ok(()), "one call tries it");
    assert_eq!(book.admit("a", later), Err(REST_MS), "only one");
    assert_eq!(
        book.admit("a", later + REST_MS),
        Ok(()),
        "a trying call that never came back does not shut it for ever"
    );
    book.note_failure("a", later);
    assert_eq!(book.admit("a", later + 1), Err(REST_MS - 1), "a failed try rests it again");
    assert_eq!(book.admit("a", later + REST_MS), Ok(()));
    book.note_alive("a");
    assert_eq!([book.admit("a", later), book.admit("a", later)], [Ok(()), Ok(())], "it serves everybody again");
}

#[test]
fn one_success_ends_the_row_of_failures() {
    let mut book = HealthBook::default();
    for _ in 0..2 {
        (1..FAILURES_TO_REST).for_each(|_| book.note_failure("a", START));
        book.note_alive("a");
    }
    assert_eq!(book.admit("a", START), Ok(()));
}

#[test]
fn a_provider_that_fails_half_of_its_calls_rests_though_never_long_in_a_row() {
    let outcomes = |failures_of_four: u32, calls: u32| {
        let mut book = HealthBook::default();
        for call in 0..calls {
            if call % 4 < failures_of_four { book.note_failure("a", START) } else { book.note_alive("a") }
        }
        book.admit("a", START)
    };
    assert_eq!(outcomes(1, 400), Ok(()), "a quarter is borne");
    assert_eq!(outcomes(2, OUTCOMES_TO_JUDGE - 2), Ok(()), "too few to be judged by");
    assert_eq!(outcomes(3, OUTCOMES_TO_JUDGE + 1), Err(REST_MS));
}

#[test]
fn models_are_those_listed_or_routed() {
    let route = |model: &str| serde_json::json!({"provider": "p", "model": model});
    let router: RouterFile = serde_json::from_value(serde_json::json!({
        "tenant_id": "t", "routing": {"primary": route("first"), "fallback": route("second")},
        "sla": {"p95_latency_ms": 1, "error_rate_max": 0.1, "cost_per_1k_qa_usd": 1},
        "budget": {"monthly_limit_usd": 1, "daily_limit_usd": 1}
    }))
    .unwrap();
    let listed = ["small-*".to_owned(), "exact".to_owned()];
    for (model, allowed, may) in [
        ("first", &[][..], true),
        ("second", &[][..], true),
        ("other", &[][..], false),
        ("small-3", &listed[..], true),
        ("exact", &listed[..], true),
        ("exactly", &listed[..], false),
        ("first", &listed[..], true),
    ] {
        assert_eq!(check_model(model, allowed, &router).is_ok(), may, "{model}");
    }
}

proptest! {
    #[test]
    fn a_course_ends_and_never_calls_what_is_barred(
        choices in proptest::collection::vec((0u32..4, any::<bool>()), 0..4),
        outcomes in proptest::collection::vec((any::<bool>(), proptest::option::of(0u64..20_000)), 0..40),
        randoms in proptest::collection::vec(any::<u64>(), 60),
        deadline_ms in 0u64..30_000,
    ) {
        let choices: Vec<Choice> = choices.iter().enumerate()
            .map(|(index, (retries, bar))| if *bar { barred(&index.to_string()) } else { choice(&index.to_string(), *retries) }).collect();
        let most_calls: u32 = choices.iter().map(|choice| choice.retries + 1).sum();
        let (mut course, mut book) = (Course::new(choices.clone(), START + deadline_ms), HealthBook::default());
        let (mut news, mut now, mut calls, mut outcomes) = (News::Departed, START, 0, outcomes.into_iter().cycle());
        for random in randoms {
            match course.steer(&mut book, news, now, random) {
                Step::GiveUp(_) => return Ok(()),
                Step::Wait { for_ms } => {
                    now += for_ms;
                    prop_assert!(now < START + deadline_ms, "waits only where time is left after it");
                    news = News::Waited;
                }
                Step::Call { choice, timeout_ms } => {
                    calls += 1;
                    prop_assert!(calls <= most_calls && choices[choice].barred.is_none());
                    prop_assert!(timeout_ms > 0 && now + timeout_ms <= START + deadline_ms);
                    let (passing, retry_after_ms) = outcomes.next().unwrap_or((true, None));
                    news = News::Failed { passing, retry_after_ms, detail: String::new() };
                }
            }
        }
        prop_assert!(false, "a course of {} choices never ended", choices.len());
    }
}

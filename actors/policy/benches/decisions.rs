//! What a decision costs, and what it takes to find every conflict of a policy: `cargo bench -p bailiwick-policy --bench decisions`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measuring program stops at the first surprise"
)]
use bailiwick_policy::compile::{FILES, GOVERNANCE, PolicySnapshot, compile};
use bailiwick_policy::conflicts::{Kind, conflicts};
use bailiwick_policy::evaluate::{Engine, Refusal, Ruling};
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::language::checks::{Enacted, Origin, problems};
use bailiwick_policy::language::{Action, Condition, Effect, Facts, Rule, Scalar, Test};
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::rehearsal::{Recorded, RecordedModel, replay};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
const DECISIONS: usize = 20_000;
const REPLAYED: usize = 100_000;

fn is(attribute: &str, text: String) -> Condition {
    Condition::Is { attribute: attribute.into(), test: Test::AnyOf(vec![Scalar::Text(text)]) }
}

fn present(attribute: &str) -> Condition {
    Condition::Is { attribute: attribute.into(), test: Test::Present(true) }
}

/// A house of departments, each with rules of its own about its own domains, as large tenants have them: permits by
/// department and size, forbids by domain and hour, one in fifty reaching into another department's domain.
fn policy(rules: usize) -> Vec<Enacted> {
    let actions = [Action::Ask, Action::Search, Action::Retrieve, Action::Ingest];
    let one = |index: usize| {
        let (department, turn) = (index / 8, index % 8);
        let action = actions[department % actions.len()];
        let domain = format!("dept-{department:05}-{turn}");
        let reach = if index % 50 == 7 { format!("dept-{:05}*", department / 2) } else { domain.clone() };
        let effect = if turn < 4 { Effect::Permit } else { Effect::Forbid };
        let hours = Test::Between { at_least: Some(turn as i64), at_most: Some(turn as i64 + 12) };
        let parts = vec![
            present("request.domain"),
            is("request.domain", reach),
            present("user.attributes.department"),
            is("user.attributes.department", format!("department {department}")),
            Condition::Is { attribute: "request.hour_utc".into(), test: hours },
        ];
        let rule = Rule {
            id: format!("rule-{index}"),
            effect,
            actions: vec![action],
            when: Some(Condition::All(parts)),
            overrides: Vec::new(),
            obligation: None,
            reason: String::new(),
        };
        Enacted { rule, origin: Origin::Tenant { file: "policies/governance.yaml", index } }
    };
    (0..rules).map(one).collect()
}

fn request(number: usize) -> Facts {
    Facts::new()
        .text("user.id", format!("user-{number}"))
        .text("user.role", "operator")
        .text("user.attributes.department", format!("department {}", number % 5))
        .with("user.permissions", bailiwick_policy::language::Fact::Texts(BTreeSet::new()))
        .text("request.domain", format!("dept-{:05}-{}", number % 5, number % 8))
        .number("request.hour_utc", number % 24)
        .text("request.weekday", "monday")
        .number("request.bytes", number)
        .number("request.top_k", 8)
}

/// A sample tenant's policy with 20 rules, compiled whole.
fn sample(reason: &str) -> PolicySnapshot {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants/acme-corp");
    let mut texts: FileTexts =
        FILES.iter().map(|file| ((*file).to_owned(), std::fs::read_to_string(folder.join(file)).unwrap())).collect();
    let more: String = (0..15)
        .map(|number| {
            format!(
                "  - id: ward-{number}\n    effect: forbid\n    actions: [ask]\n    when: {{ request.hour_utc: {{ at_least: {hour}, \
                 at_most: {hour} }} }}\n    overrides: [members-work]\n    reason: {reason}\n",
                hour = 8 + number % 15
            )
        })
        .collect();
    let governance = texts.get_mut(GOVERNANCE).unwrap();
    *governance = governance.replacen("rules:\n", &format!("rules:\n{more}"), 1);
    compile("acme-corp", &texts, &Guardrails::none()).unwrap_or_else(|errors| panic!("{errors:#?}"))
}

/// What was asked a hundred thousand times.
fn recorded(number: usize) -> Recorded {
    let model = RecordedModel {
        provider: "extractive".into(),
        name: "sentences".into(),
        region: "us-east-1".into(),
        fallback: false,
    };
    let answer = "A nurse telephones every patient within 2 working days of discharge [1].".to_owned();
    Recorded {
        action: Action::Ask,
        facts: request(number),
        model: Some(model),
        answer,
        is_grounded: true,
        admitted_unix_ms: 0,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// What deciding takes, in microseconds: in the middle and at the slow end.
fn decisions(engine: &Engine, asked: &[Facts]) -> [f64; 2] {
    let mut times: Vec<_> = (0..DECISIONS)
        .map(|number| {
            let facts = &asked[number % asked.len()];
            let started = Instant::now();
            black_box(engine.decide(Action::Ask, black_box(facts)));
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    [times.len() / 2, times.len() * 99 / 100].map(|place| times[place].as_secs_f64() * 1e6)
}

fn main() {
    for rules in [5, 20, 40, 100, 200] {
        let engine = Engine::compile(policy(rules)).unwrap();
        let asked: Vec<_> = (0..256).map(request).collect();
        let nowhere = asked.iter().map(|facts| facts.clone().text("request.domain", "none")).collect();
        let is_matched = |facts: &Facts| engine.decide(Action::Ask, facts) != Ruling::Refused(Refusal::NotPermitted);
        let matched = (0..5_000).map(request).filter(is_matched).take(256).collect();
        for (requests, asked) in
            [("", asked), (", request that matches", matched), (", request that matches nothing", nowhere)]
        {
            let [middle, slow] = decisions(&engine, &asked);
            println!("decision among {rules} rules{requests}: p50 {middle:.1} us, p99 {slow:.1} us");
        }
    }
    for rules in [200, 10_000] {
        let rules = policy(rules);
        let times = (0..3).map(|_| {
            let (rules, started) = (rules.clone(), Instant::now());
            black_box(Engine::compile(rules)).unwrap();
            started.elapsed()
        });
        println!("compiling {} rules: {:.1} ms", rules.len(), median(times.collect()).as_secs_f64() * 1e3);
    }
    for rules in [200, 10_000] {
        let rules = policy(rules);
        assert!(problems(&rules).is_empty());
        let mut found = conflicts(&rules);
        let times = (0..ROUNDS).map(|_| {
            let started = Instant::now();
            found = conflicts(black_box(&rules));
            started.elapsed()
        });
        let time = median(times.collect());
        let overlaps = found.found.iter().filter(|conflict| conflict.kind == Kind::Overlap).count();
        println!(
            "conflicts of {} rules: {:.1} ms, {} found ({overlaps} overlaps)",
            rules.len(),
            time.as_secs_f64() * 1e3,
            found.found.len() + found.more
        );
    }
    let (before, after) = (sample("rounds"), sample("visits"));
    let requests: Vec<_> = (0..REPLAYED).map(recorded).collect();
    let started = Instant::now();
    let replayed = replay(black_box(&before), black_box(&after), &requests);
    println!(
        "rehearsal of {} recorded requests under two policies: {:.2} s, {} would be refused",
        replayed.requests,
        started.elapsed().as_secs_f64(),
        replayed.refused
    );
}

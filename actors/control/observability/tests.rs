use super::catalogue::{Kind, METRICS, Scope};
use super::exposition::{Exposition, OTHER, merged, node_recorder};
use super::rules::{Amount, Faults, Figure, figures};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::journey::Times;
use bailiwick_tenant::supervisor::messages::{Event, Happened};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "test")]
fn numbered(number: u128) -> TenantKey {
    TenantKey::mint(Uuid::from_u128(number << 96))
}

fn tenant() -> TenantKey {
    numbered(1)
}

#[test]
fn an_answer_is_counted_timed_and_charged() {
    let event = Event::Answered {
        kind: "ask",
        latency_ms: 1500,
        charged: NanoUsd(7),
        abstained: true,
        fallback: false,
        tokens: (11, 13),
        times: Times { us: [1_000, 0, 2_000, 0, 0, 90_000, 4_000], upstream_us: 80_000 },
        is_good: true,
        budget_used_ppm: Some(250_000),
    };
    let figures = figures(&event);
    let of = |metric: &str| {
        figures
            .iter()
            .filter(|figure| figure.metric == metric)
            .map(|figure| (figure.label, figure.amount))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("bailiwick_answers_total"), [(Some(("kind", "ask")), Amount::Count(1))]);
    assert_eq!(of("bailiwick_answer_seconds"), [(Some(("kind", "ask")), Amount::Observe(1.5))]);
    assert_eq!(of("bailiwick_charged_nano_usd_total"), [(None, Amount::Count(7))]);
    assert_eq!(
        of("bailiwick_tokens_total"),
        [(Some(("direction", "prompt")), Amount::Count(11)), (Some(("direction", "completion")), Amount::Count(13))]
    );
    assert_eq!(of("bailiwick_abstentions_total").len(), 1);
    assert_eq!(
        of("bailiwick_answer_overhead_seconds"),
        [(None, Amount::Observe(0.017))],
        "without the provider's 80 ms"
    );
    assert_eq!(of("bailiwick_overhead_seconds").len(), 7);
    assert!(of("bailiwick_overhead_seconds").contains(&(Some(("stage", "routing")), Amount::Observe(0.01))));
    assert_eq!(of("bailiwick_slo_events_total"), [(None, Amount::Count(1))]);
    assert_eq!(of("bailiwick_slo_bad_events_total"), [(None, Amount::Count(0))]);
    assert_eq!(of("bailiwick_budget_used_ratio"), [(None, Amount::Stands(0.25))]);
    assert!(of("bailiwick_fallbacks_total").is_empty());
}

#[test]
fn refusals_are_counted_by_code() {
    let counted = figures(&Event::Refused { code: Code::BudgetExceeded, is_failure: false });
    assert_eq!(counted[0].label, Some(("code", "budget_exceeded")));
    assert_eq!(counted.len(), 1, "a refusal says nothing about the service level");
    let failed = figures(&Event::Refused { code: Code::Lost, is_failure: true });
    let bad = failed.iter().find(|figure| figure.metric == "bailiwick_slo_bad_events_total").unwrap();
    assert_eq!(bad.amount, Amount::Count(1));
}

#[test]
fn a_silent_supervisor_is_shown_with_its_last_fault() {
    let mut faults = Faults::default();
    assert_eq!(faults.silent(tenant(), 4).restarts, 0);
    faults.note(&Happened { tenant: tenant(), event: Event::Rebuilt { room: "retrieval", restarts: 3 } });
    let view = faults.silent(tenant(), 4);
    assert_eq!((view.state.as_str(), view.restarts), ("silent", 3));
    assert!(view.last_fault.unwrap().contains("retrieval"));
    faults.note(&Happened { tenant: tenant(), event: Event::Quarantined });
    assert_eq!(faults.silent(tenant(), 4).restarts, 3, "a quarantine keeps the count");
}

fn answered() -> Vec<Figure> {
    vec![Figure { metric: "bailiwick_answers_total", label: Some(("kind", "ask")), amount: Amount::Count(1) }]
}

fn exposition(tenants_max: usize) -> Exposition {
    Exposition::new(node_recorder().handle(), tenants_max)
}

#[test]
fn names_follow_prometheus_and_stand_once() {
    let mut seen = HashSet::new();
    for metric in METRICS {
        assert!(seen.insert(metric.name) && metric.name.starts_with("bailiwick_"), "{}", metric.name);
        let ends = |suffix: &str| metric.name.ends_with(suffix);
        match metric.kind {
            Kind::Counter => assert!(ends("_total"), "{}", metric.name),
            Kind::Histogram => assert!(ends("_seconds"), "{}", metric.name),
            Kind::Gauge => assert!(!ends("_total"), "{}", metric.name),
        }
        assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{}", metric.name);
    }
}

#[test]
fn every_figure_of_an_event_is_in_the_catalogue() {
    let known: HashSet<_> = METRICS.iter().filter(|one| one.scope == Scope::Tenant).map(|one| one.name).collect();
    let events = [
        Event::Repeated { kind: "ask" },
        Event::Refused { code: Code::Lost, is_failure: true },
        Event::ObjectiveStands { allowed_ppm: 1_000 },
        Event::LevelChanged { breached: true },
        Event::ReleasesStand(None),
        Event::Rebuilt { room: "cache", restarts: 1 },
        Event::Quarantined,
    ];
    for figure in events.iter().flat_map(figures) {
        assert!(known.contains(figure.metric), "{}", figure.metric);
    }
}

#[test]
fn a_tenant_is_shown_its_own_figures_and_nobody_elses() {
    let shown = exposition(10);
    let now = Instant::now();
    shown.count(numbered(1), &answered(), now);
    shown.count(numbered(2), &answered(), now);
    shown.count(numbered(2), &answered(), now);
    let (one, two) = (shown.render_of(numbered(1)), shown.render_of(numbered(2)));
    let series = |tenant: TenantKey| format!("bailiwick_answers_total{{tenant=\"{tenant}\",kind=\"ask\"}} ");
    assert!(one.contains(&format!("{}1", series(numbered(1)))), "{one}");
    assert!(two.contains(&format!("{}2", series(numbered(2)))), "{two}");
    assert!(!one.contains(&numbered(2).to_string()) && !two.contains(&numbered(1).to_string()));
    assert!(!one.contains("bailiwick_knocks_refused_total"), "the node's are the operator's");
    let all = shown.render();
    assert!(all.contains(&series(numbered(1))) && all.contains(&series(numbered(2))), "{all}");
    for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Counter && metric.label.is_none()) {
        let line = format!("# TYPE {} counter", metric.name);
        assert_eq!(all.lines().filter(|one| **one == line).count(), 1, "{line}: said once for all tenants");
    }
}

#[test]
fn tenants_beyond_the_bound_are_counted_together_until_one_falls_silent() {
    let shown = exposition(2);
    let now = Instant::now();
    for number in 1..=5 {
        shown.count(numbered(number), &answered(), now);
    }
    let all = shown.render();
    assert!(all.contains(&format!("bailiwick_answers_total{{tenant=\"{OTHER}\",kind=\"ask\"}} 3")), "{all}");
    assert!(!all.contains(&numbered(3).to_string()));
    assert!(!shown.render_of(numbered(3)).contains("bailiwick_"), "others' figures are nobody's to see");
    let later = now + Duration::from_secs(3_601);
    shown.count(numbered(1), &answered(), later);
    shown.count(numbered(3), &answered(), later);
    let all = shown.render();
    assert!(all.contains(&numbered(3).to_string()) && !all.contains(&numbered(2).to_string()), "{all}");
}

#[test]
fn observations_nobody_reads_do_not_pile_up() {
    let shown = exposition(1);
    let observed =
        [Figure { metric: "bailiwick_answer_overhead_seconds", label: None, amount: Amount::Observe(0.002) }];
    for _ in 0..10_000 {
        shown.count(tenant(), &observed, Instant::now());
    }
    shown.tidy();
    let told = shown.render_of(tenant());
    assert!(
        told.contains("bailiwick_answer_overhead_seconds_bucket") && told.contains("le=\"0.0025\"} 10000"),
        "{told}"
    );
}

#[test]
fn expositions_merge_into_one_group_a_metric() {
    let text =
        |tenant: &str| format!("# HELP a A.\n# TYPE a counter\na{{tenant=\"{tenant}\"}} 1\n\n# TYPE b gauge\nb 2\n\n");
    let whole = merged([text("x"), text("y")].into_iter());
    assert_eq!(
        whole,
        "# HELP a A.\n# TYPE a counter\na{tenant=\"x\"} 1\na{tenant=\"y\"} 1\n# TYPE b gauge\nb 2\nb 2\n"
    );
}

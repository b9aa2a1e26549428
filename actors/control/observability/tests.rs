use super::rules::{Amount, Faults, figures};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::Code;
use bailiwick_tenant::supervisor::messages::{Event, Happened};
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant() -> TenantKey {
    TenantKey::mint(Uuid::from_u128(1))
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
    assert!(of("bailiwick_fallbacks_total").is_empty());
}

#[test]
fn refusals_are_counted_by_code() {
    let counted = figures(&Event::Refused { code: Code::BudgetExceeded });
    assert_eq!(counted[0].label, Some(("code", "budget_exceeded")));
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

use super::messages::Charged;
use super::rules::Ledger;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::COST_DAYS_MAX;
use bailiwick_kernel::money::NanoUsd;
use uuid::Uuid;

const DAY_MS: u64 = 86_400_000;

#[expect(clippy::disallowed_methods, reason = "test")]
fn charge(tenant: u128, day: u64, amount: u64) -> Charged {
    let tenant = TenantKey::mint(Uuid::from_u128(tenant << 96));
    Charged { tenant, at_unix_ms: day * DAY_MS + 5, amount: NanoUsd(amount), prompt_tokens: 2, completion_tokens: 3 }
}

#[test]
fn charges_add_up_by_tenant_and_day() {
    let mut ledger = Ledger::default();
    for charged in [charge(1, 0, 10), charge(1, 0, 5), charge(2, 0, 7), charge(1, 31, 1)] {
        ledger.add(&charged);
    }
    let view: Vec<_> = ledger
        .view()
        .into_iter()
        .map(|cost| (cost.day, cost.turns, cost.cost_usd.0, cost.prompt_tokens, cost.completion_tokens))
        .collect();
    assert_eq!(
        view,
        [("1970-02-01".into(), 1, 1, 2, 3), ("1970-01-01".into(), 2, 15, 4, 6), ("1970-01-01".into(), 1, 7, 2, 3)]
    );
}

#[test]
fn the_oldest_days_are_forgotten() {
    let mut ledger = Ledger::default();
    for day in 0..COST_DAYS_MAX as u64 + 10 {
        ledger.add(&charge(1, day, 1));
    }
    let view = ledger.view();
    assert_eq!(view.len(), COST_DAYS_MAX);
    assert_eq!(view.last().unwrap().day, "1970-01-11");
}

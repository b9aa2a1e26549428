//! Faults of what a tenant is built from: time, names, prices and policies that a neighbour has a part in.
use super::super::world::{Fault, Parts, Street};
use super::{Leak, leak};
use crate::catalog::{Catalog, Price};
use bailiwick_kernel::clock::{Clock, SharedClock};
use bailiwick_kernel::ids::Generation;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use regex::RegexSet;
use std::sync::Arc;

pub(in super::super) const LEAKS: &[Leak] = &[
    leak("clock_ticks_with_load", "every request of a neighbour moves the clock by a millisecond", Fault::Parts(ticks)),
    leak("one_id_generator", "questions of all tenants are numbered by one generator", Fault::Parts(numbers_together)),
    leak("price_by_volume", "the price list is that of the whole node's volume", Fault::Parts(prices_by_volume)),
    leak(
        "name_of_another",
        "lineage is written under the name of whoever came before",
        Fault::Parts(under_another_name),
    ),
    leak("generation_of_the_fleet", "incarnations are numbered over all tenants", Fault::Parts(generations)),
    leak("deadline_by_load", "questions are given up sooner on a busy node", Fault::Parts(deadlines)),
    leak("output_patterns_united", "what a neighbour may not say, nobody may", Fault::Parts(patterns)),
    leak("guard_of_another", "documents are judged by the guard of a neighbour", Fault::Parts(guards)),
    leak("top_k_of_another", "a neighbour's policy says how many passages are found", Fault::Parts(top_k)),
    leak("flag_seed_of_the_node", "shares of flags are drawn anew when a neighbour comes", Fault::Parts(flag_seed)),
    leak("rates_divided", "a rate is divided among the tenants that are busy", Fault::Parts(rates)),
    leak("storage_left_on_disk", "a storage quota is what the neighbours left of the disk", Fault::Parts(storage)),
    leak("budget_divided", "the day's ceiling is what the neighbours left of the node's", Fault::Parts(budget)),
    leak("concurrency_divided", "places in flight are divided among the busy", Fault::Parts(places)),
    leak("routes_of_another", "a neighbour's caches decide whether answers are remembered", Fault::Parts(caches)),
];

/// How much there is of the neighbours.
fn others(parts: &Parts<'_>) -> u64 {
    u64::try_from(parts.life.documents + parts.life.deeds_per_step).unwrap()
}

fn change(parts: &mut Parts<'_>, change: impl FnOnce(&mut PolicySnapshot)) {
    let mut policy = PolicySnapshot::clone(&parts.a.policy);
    change(&mut policy);
    parts.a.policy = Arc::new(policy);
}

#[derive(Debug)]
struct Ticking {
    inner: SharedClock,
    street: StreetRef,
}

struct StreetRef(Arc<Street>);

impl std::fmt::Debug for StreetRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Street")
    }
}

impl Clock for Ticking {
    fn now_unix_ms(&self) -> u64 {
        self.inner.now_unix_ms() + self.street.0.requests()
    }
}

fn ticks(parts: &mut Parts<'_>) {
    parts.a.clock =
        Arc::new(Ticking { inner: Arc::clone(&parts.a.clock), street: StreetRef(Arc::clone(parts.street)) });
}

fn numbers_together(parts: &mut Parts<'_>) {
    parts.b.draw = Arc::clone(&parts.a.draw);
}

fn prices_by_volume(parts: &mut Parts<'_>) {
    let rebate = others(parts).min(2);
    let mut entry = crate::catalog::ProviderEntry::clone(&parts.a.catalog.providers["meter"]);
    let price = Price { input_nano_usd_per_token: 3 - rebate, output_nano_usd_per_token: 5 };
    entry.prices.insert("metered".into(), price.into());
    parts.a.catalog = Arc::new(Catalog { providers: [("meter".to_owned(), Arc::new(entry))].into() });
}

fn under_another_name(parts: &mut Parts<'_>) {
    if others(parts) > 0 {
        parts.a.name.clone_from(&parts.b.name);
    }
}

fn generations(parts: &mut Parts<'_>) {
    parts.a.generation = Generation(1 + others(parts));
}

fn deadlines(parts: &mut Parts<'_>) {
    if others(parts) > 0 {
        parts.a.ask_deadline_ms = 0;
    }
}

fn patterns(parts: &mut Parts<'_>) {
    let is_there = others(parts) > 0;
    change(parts, |policy| {
        let theirs = is_there.then(|| "amber".to_owned());
        let all: Vec<String> = policy.output_forbidden.patterns().iter().cloned().chain(theirs).collect();
        policy.output_forbidden = RegexSet::new(all).unwrap();
    });
}

fn guards(parts: &mut Parts<'_>) {
    let guard = (others(parts) > 0).then(|| Arc::clone(&parts.b.policy.guard));
    change(parts, |policy| policy.guard = guard.unwrap_or_else(|| Arc::clone(&policy.guard)));
}

fn top_k(parts: &mut Parts<'_>) {
    let theirs = parts.b.policy.top_k;
    change(parts, |policy| policy.top_k = theirs);
}

fn flag_seed(parts: &mut Parts<'_>) {
    let seed = others(parts).to_string();
    change(parts, |policy| policy.features.features.get_mut("tables").unwrap().seed = seed);
}

fn rates(parts: &mut Parts<'_>) {
    let share = u32::try_from(1 + others(parts)).unwrap();
    change(parts, |policy| policy.tenant.quotas.max_requests_per_hour /= share);
}

fn storage(parts: &mut Parts<'_>) {
    if others(parts) > 0 {
        change(parts, |policy| policy.tenant.quotas.max_storage_gb = 0.000_000_3);
    }
}

fn budget(parts: &mut Parts<'_>) {
    let spent = NanoUsd(others(parts));
    change(parts, |policy| {
        policy.router.budget.daily_limit_usd = policy.router.budget.daily_limit_usd.saturating_sub(spent);
    });
}

fn places(parts: &mut Parts<'_>) {
    if others(parts) > 0 {
        change(parts, |policy| policy.tenant.quotas.max_concurrent_requests = 0);
    }
}

fn caches(parts: &mut Parts<'_>) {
    let theirs = parts.b.policy.router.cache.clone();
    change(parts, |policy| policy.router.cache = theirs);
}

//! The fold: charges to totals by day and tenant.
use super::messages::{Charged, CostView};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::COST_DAYS_MAX;
use bailiwick_kernel::money::NanoUsd;
use std::collections::BTreeMap;

const DAY_MS: u64 = 86_400_000;

/// Totals of one tenant on one day.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Total {
    turns: u64,
    amount: NanoUsd,
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// Totals of the fleet.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Ledger {
    days: BTreeMap<u64, BTreeMap<TenantKey, Total>>,
}

impl Ledger {
    /// Adds one charge; forgets the oldest day beyond the bound.
    pub fn add(&mut self, charged: &Charged) {
        let total = self.days.entry(charged.at_unix_ms / DAY_MS).or_default().entry(charged.tenant).or_default();
        total.turns = total.turns.saturating_add(1);
        total.amount = total.amount.saturating_add(charged.amount);
        total.prompt_tokens = total.prompt_tokens.saturating_add(charged.prompt_tokens);
        total.completion_tokens = total.completion_tokens.saturating_add(charged.completion_tokens);
        while self.days.len() > COST_DAYS_MAX {
            self.days.pop_first();
        }
    }

    /// The totals, newest day first, tenants in key order within a day.
    #[must_use]
    pub fn view(&self) -> Vec<CostView> {
        let by_day = self.days.iter().rev();
        by_day
            .flat_map(|(day, tenants)| {
                let date: String = rfc3339(day.saturating_mul(DAY_MS)).chars().take(10).collect();
                tenants.iter().map(move |(tenant, total)| CostView {
                    tenant: tenant.to_string(),
                    day: date.clone(),
                    turns: total.turns,
                    cost_usd: total.amount,
                    prompt_tokens: total.prompt_tokens,
                    completion_tokens: total.completion_tokens,
                })
            })
            .collect()
    }
}

//! Pure decisions of the budget: what a call may cost at worst, whether it fits, when the escrow must grow.
use super::hold::Candidate;
use super::ledger::Ledger;
use crate::catalog::{Catalog, EXTRACTIVE};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::{BudgetRules, Route, RouterFile};
use std::collections::BTreeMap;

/// The escrow grows to this many times what is held, so that most holds need no record of their own.
const ESCROW_HEADROOM: u64 = 4;

/// The balance of one tenant. Invariant BUD1: spent + held never exceeds the limit of any window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Balance {
    /// What the journal says was spent.
    pub ledger: Ledger,
    limit_day: NanoUsd,
    limit_month: NanoUsd,
    held: NanoUsd,
    holds: BTreeMap<u64, NanoUsd>,
    next_hold: u64,
}

/// What a hold needs before it may be handed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cover {
    /// The durable escrow covers it.
    Covered,
    /// The escrow must first be made durable at this size.
    Grow(NanoUsd),
}

/// A hold that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Made {
    /// Its number.
    pub number: u64,
    /// What it holds.
    pub amount: NanoUsd,
    /// What it needs.
    pub cover: Cover,
}

/// The models a passed-through or grounded call may use, in order, each with its price.
///
/// # Errors
/// `policy_denied` where the model may not be named, `invalid_request` where it is unknown.
pub fn candidates(
    router: &RouterFile,
    allowed_models: &[String],
    catalog: &Catalog,
    wanted: Option<(&str, Option<u32>)>,
    now_unix_ms: u64,
) -> Result<Vec<Candidate>, Rejection> {
    let routes = [(Some(&router.routing.primary), false), (router.routing.fallback.as_ref(), true)];
    let priced = routes.into_iter().filter_map(|(route, fallback)| Some((route?, fallback)));
    let Some((model, max_tokens)) = wanted else {
        let found: Vec<_> =
            priced.filter_map(|(route, fallback)| candidate(catalog, route.clone(), fallback, now_unix_ms)).collect();
        return if found.is_empty() { Err(unpriced()) } else { Ok(found) };
    };
    let named: Vec<_> =
        priced.filter(|(route, _)| route.model == model).map(|(route, fallback)| (route.clone(), fallback)).collect();
    let routes = if named.is_empty() {
        if !allowed_models.iter().any(|allowed| allowed == model) {
            return Err(Rejection::new(
                Code::PolicyDenied,
                format!("the model {model:?} is not among the models of this tenant; GET /v1/models lists them"),
            ));
        }
        let mut providers = catalog.providers.values();
        let provider = providers.find(|entry| entry.price_at(model, now_unix_ms).is_some()).ok_or_else(unpriced)?;
        let limit = router.routing.primary.max_tokens;
        vec![(
            Route { provider: provider.name.clone(), model: model.to_owned(), temperature: 1.0, max_tokens: limit },
            false,
        )]
    } else {
        named
    };
    let found: Vec<_> = routes
        .into_iter()
        .map(|(mut route, fallback)| {
            route.max_tokens = max_tokens.map_or(route.max_tokens, |wanted| wanted.min(route.max_tokens));
            (route, fallback)
        })
        .filter_map(|(route, fallback)| candidate(catalog, route, fallback, now_unix_ms))
        .collect();
    if found.is_empty() { Err(unpriced()) } else { Ok(found) }
}

fn candidate(catalog: &Catalog, route: Route, fallback: bool, now_unix_ms: u64) -> Option<Candidate> {
    let price = catalog.price_at(&route.provider, &route.model, now_unix_ms)?;
    (route.provider == EXTRACTIVE || catalog.providers.contains_key(&route.provider)).then_some(Candidate {
        route,
        price,
        fallback,
        answers: 1,
    })
}

fn unpriced() -> Rejection {
    Rejection::new(
        Code::PolicyDenied,
        "no model of this tenant's router has a provider and a price in force; the operator must add them to config.toml ([[providers]], prices)",
    )
}

/// What a candidate costs at worst: every prompt token, and as many tokens in every answer as it may give.
#[must_use]
pub fn worst_case(candidate: &Candidate, prompt_tokens: u64) -> NanoUsd {
    candidate
        .price
        .of(prompt_tokens, u64::from(candidate.route.max_tokens).saturating_mul(u64::from(candidate.answers)))
}

impl Balance {
    /// A balance on a folded ledger under the tenant's ceilings.
    #[must_use]
    pub fn new(ledger: Ledger, rules: &BudgetRules, month_quota: NanoUsd) -> Self {
        let mut balance = Self {
            ledger,
            limit_day: NanoUsd::ZERO,
            limit_month: NanoUsd::ZERO,
            held: NanoUsd::ZERO,
            holds: BTreeMap::new(),
            next_hold: 0,
        };
        balance.adopt(rules, month_quota);
        balance
    }

    /// Takes other ceilings over; holds made before stay.
    pub fn adopt(&mut self, rules: &BudgetRules, month_quota: NanoUsd) {
        self.limit_day = rules.daily_limit_usd;
        self.limit_month = rules.monthly_limit_usd.min(month_quota);
    }

    /// What is held now.
    #[must_use]
    pub fn held(&self) -> NanoUsd {
        self.held
    }

    /// Ceilings of day and month.
    #[must_use]
    pub fn limits(&self) -> (NanoUsd, NanoUsd) {
        (self.limit_day, self.limit_month)
    }

    /// What may still be held at the given time, by the tightest window.
    #[must_use]
    pub fn room(&self, now_unix_ms: u64) -> NanoUsd {
        let left = |limit: NanoUsd, spent: NanoUsd| limit.saturating_sub(spent.saturating_add(self.held));
        left(self.limit_day, self.ledger.spent_day(now_unix_ms))
            .min(left(self.limit_month, self.ledger.spent_month(now_unix_ms)))
    }

    /// Holds the worst case of the dearest candidate that fits; candidates that do not fit are struck.
    ///
    /// # Errors
    /// `budget_exceeded`, with the numbers and when the window ends, where none fits.
    pub fn hold(
        &mut self,
        candidates: &mut Vec<Candidate>,
        prompt_tokens: u64,
        now_unix_ms: u64,
    ) -> Result<Made, Rejection> {
        let room = self.room(now_unix_ms);
        let cheapest =
            candidates.iter().map(|candidate| worst_case(candidate, prompt_tokens)).min().unwrap_or_default();
        candidates.retain(|candidate| worst_case(candidate, prompt_tokens) <= room);
        let Some(amount) = candidates.iter().map(|candidate| worst_case(candidate, prompt_tokens)).max() else {
            return Err(self.exceeded(cheapest, room, now_unix_ms));
        };
        let number = self.next_hold;
        self.next_hold = self.next_hold.saturating_add(1);
        if amount > NanoUsd::ZERO {
            self.holds.insert(number, amount);
            self.held = self.held.saturating_add(amount);
        }
        Ok(Made { number, amount, cover: self.cover() })
    }

    /// Whether the durable escrow covers what is held now.
    #[must_use]
    pub fn cover(&self) -> Cover {
        if self.held <= self.ledger.escrow {
            return Cover::Covered;
        }
        Cover::Grow(self.held.saturating_times(ESCROW_HEADROOM))
    }

    /// A hold came home. What was charged is in the journal already; here it moves from held to spent.
    pub fn returned(&mut self, number: u64, charged: NanoUsd, now_unix_ms: u64) {
        let amount = self.holds.remove(&number).unwrap_or_default();
        self.held = self.held.saturating_sub(amount);
        self.ledger.book(charged, now_unix_ms);
        self.ledger.overrun = self.ledger.overrun.saturating_add(charged.saturating_sub(amount));
    }

    /// The escrow is durable at this size.
    pub fn escrowed(&mut self, block: NanoUsd) {
        self.ledger.escrow = block;
    }

    /// True where a block is outstanding that nothing needs.
    #[must_use]
    pub fn escrow_is_idle(&self) -> bool {
        self.held == NanoUsd::ZERO && self.ledger.escrow > NanoUsd::ZERO
    }

    fn exceeded(&self, needed: NanoUsd, room: NanoUsd, now_unix_ms: u64) -> Rejection {
        let day_is_tight = self.limit_day.saturating_sub(self.ledger.spent_day(now_unix_ms))
            <= self.limit_month.saturating_sub(self.ledger.spent_month(now_unix_ms));
        let (window, limit) = if day_is_tight { ("day", self.limit_day) } else { ("month", self.limit_month) };
        Rejection::retry_after(
            Code::BudgetExceeded,
            format!(
                "holding the worst case of this call: {needed} USD are needed, {room} USD are left of the {window}'s limit of {limit} USD; wait for the next {window} or raise budget in router.yaml"
            ),
            until_window_ends_ms(day_is_tight, now_unix_ms),
        )
    }
}

fn until_window_ends_ms(day: bool, now_unix_ms: u64) -> u64 {
    let next_day = (super::ledger::day_of(now_unix_ms).saturating_add(1)).saturating_mul(86_400_000);
    if day {
        return next_day.saturating_sub(now_unix_ms);
    }
    let month = super::ledger::month_of(now_unix_ms);
    let mut ends = next_day;
    while super::ledger::month_of(ends) == month {
        ends = ends.saturating_add(86_400_000);
    }
    ends.saturating_sub(now_unix_ms)
}

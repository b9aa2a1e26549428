//! The models a call may use, what each costs at worst, and how far an answer must be cut to be affordable. Pure.
use super::accounts::Sum;
use super::hold::{Candidate, Embedding};
use crate::catalog::{Catalog, EXTRACTIVE};
use crate::routing::rules::check_model;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::{Route, RouterFile, SemanticCacheRules};

/// An answer is not cut below this many tokens: a call that buys fewer buys nothing.
pub const OUTPUT_TOKENS_MIN: u32 = 16;

/// Tokens a provider adds to a text that it embeds, at most.
const FRAMING_TOKENS: u64 = 8;

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
        check_model(model, allowed_models, router)?;
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
        is_cut: false,
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

/// The tokens a candidate may use at worst.
#[must_use]
pub fn worst_tokens(candidate: &Candidate, prompt_tokens: u64) -> u64 {
    let answers = u64::from(candidate.route.max_tokens).saturating_mul(u64::from(candidate.answers));
    prompt_tokens.saturating_add(answers)
}

/// What a candidate may use at worst, in money and tokens.
#[must_use]
pub fn worst(candidate: &Candidate, prompt_tokens: u64) -> Sum {
    Sum { money: worst_case(candidate, prompt_tokens), tokens: worst_tokens(candidate, prompt_tokens) }
}

/// The same candidate with an answer just long enough to be of use.
#[must_use]
pub fn shortest(candidate: &Candidate) -> Candidate {
    let mut shortest = candidate.clone();
    shortest.route.max_tokens = shortest.route.max_tokens.min(OUTPUT_TOKENS_MIN);
    shortest
}

/// The same candidate with answers as long as the room affords; `None` where they would be too short to be of use.
#[must_use]
pub fn shrunk(candidate: &Candidate, prompt_tokens: u64, room: Sum) -> Option<Candidate> {
    let least = shortest(candidate);
    if !fits(&least, prompt_tokens, room) {
        return None;
    }
    let answers = u64::from(candidate.answers).max(1);
    let prompt = candidate.price.of(prompt_tokens, 0);
    let money_left = room.money.saturating_sub(prompt).0;
    let by_money = money_left.checked_div(candidate.price.output_nano_usd_per_token.saturating_mul(answers));
    let by_tokens = room.tokens.saturating_sub(prompt_tokens) / answers;
    let affordable = u32::try_from(by_money.unwrap_or(u64::MAX).min(by_tokens)).unwrap_or(u32::MAX);
    let mut shrunk = candidate.clone();
    shrunk.route.max_tokens = candidate.route.max_tokens.min(affordable).max(least.route.max_tokens);
    shrunk.is_cut = shrunk.route.max_tokens < candidate.route.max_tokens;
    Some(shrunk)
}

/// True where the worst case stays within the room.
#[must_use]
pub fn fits(candidate: &Candidate, prompt_tokens: u64, room: Sum) -> bool {
    let worst = worst(candidate, prompt_tokens);
    worst.money <= room.money && worst.tokens <= room.tokens
}

/// The fallback of the router, where it has a price in force.
#[must_use]
pub fn fallback(router: &RouterFile, catalog: &Catalog, now_unix_ms: u64) -> Option<Candidate> {
    candidate(catalog, router.routing.fallback.clone()?, true, now_unix_ms)
}

/// The embedding of a question, where the model the semantic cache names for it has a price in force. No vocabulary makes
/// more tokens of a text than it has bytes, but for the few a provider frames it with.
#[must_use]
pub fn embedding(rules: &SemanticCacheRules, catalog: &Catalog, question: &str, now_unix_ms: u64) -> Option<Embedding> {
    let route = rules.embedding.clone();
    let price = catalog.providers.get(&route.provider)?.price_at(&route.model, now_unix_ms)?;
    let tokens = u64::try_from(question.len()).unwrap_or(u64::MAX).saturating_add(FRAMING_TOKENS);
    Some(Embedding { route, price, tokens })
}

//! What the tests of money share: ceilings, candidates, records of answers.
use super::accounts::Spender;
use super::hold::Candidate;
use crate::catalog::Price;
use crate::entry::{AnswerRecorded, ChargeAttributed, Entry};
use crate::limits::scope::{GENERAL, NO_USER};
use crate::question::{ModelUsed, Usage};
use crate::supervisor::fixtures::{edit, policy};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::schema::Route;
use std::sync::Arc;

/// The sample policy with other ceilings, in nano-dollars, and further lines of `budget`.
pub(super) fn rules(day: u64, month: u64, further: &str) -> Arc<PolicySnapshot> {
    policy("default", |texts| budget(texts, day, month, further))
}

/// Puts other ceilings into a tenant's files.
pub(super) fn budget(texts: &mut FileTexts, day: u64, month: u64, further: &str) {
    let router = texts.get_mut("router.yaml").unwrap();
    let start = router.find("\nbudget:").unwrap();
    let (day, month) = (NanoUsd(day), NanoUsd(month));
    *router = format!(
        "{}\nbudget:\n  monthly_limit_usd: \"{month}\"\n  daily_limit_usd: \"{day}\"\n{further}",
        &router[..start]
    );
    let quota = texts["tenant.yaml"].lines().find(|line| line.contains("max_cost_per_month")).unwrap().to_owned();
    edit(texts, "tenant.yaml", &quota, "  max_cost_per_month: 18000000000");
}

/// A model at one price for every token.
pub(super) fn candidate(price: u64, max_tokens: u32, fallback: bool) -> Candidate {
    let route = Route { provider: "p".into(), model: "m".into(), temperature: 0.0, max_tokens };
    Candidate {
        route,
        price: Price { input_nano_usd_per_token: price, output_nano_usd_per_token: price },
        fallback,
        answers: 1,
        is_cut: false,
    }
}

/// What the exit writes of an answer.
pub(super) struct Charged<'a> {
    pub(super) query_id: &'a str,
    pub(super) spender: &'a Spender,
    pub(super) money: u64,
    pub(super) tokens: u64,
    /// How much of the money was above the hold.
    pub(super) overrun: u64,
    pub(super) admitted_unix_ms: u64,
    pub(super) cleared_unix_ms: u64,
}

/// The records of a charged answer.
pub(super) fn answer_records(charged: &Charged<'_>) -> Vec<Entry> {
    let Charged { query_id, spender, money, tokens, overrun, admitted_unix_ms, cleared_unix_ms } = *charged;
    let key_id = spender.key.clone().unwrap();
    let user_id = spender.user.clone().filter(|user| user != NO_USER);
    let mut entries = vec![Entry::AnswerRecorded(Box::new(AnswerRecorded {
        query_id: query_id.to_owned(),
        kind: "ask".into(),
        question: String::new(),
        answer: String::new(),
        abstained: false,
        cited: Vec::new(),
        model: ModelUsed::default(),
        usage: Usage { prompt_tokens: tokens, completion_tokens: 0, cost: NanoUsd(money) },
        overrun: NanoUsd(overrun),
        policy_version: String::new(),
        key_id: key_id.clone(),
        user_id: user_id.clone(),
        admitted_unix_ms,
        cleared_unix_ms,
        idempotency_key: None,
        cut_short: false,
    }))];
    let named = |name: &Option<String>| name.clone().filter(|name| name != GENERAL);
    let (domain, usecase) = (named(&spender.domain), named(&spender.usecase));
    if domain.is_some() || usecase.is_some() {
        entries.push(Entry::ChargeAttributed(Box::new(ChargeAttributed {
            query_id: query_id.to_owned(),
            domain,
            usecase,
            key_id,
            user_id,
            provider: String::new(),
            model: String::new(),
            charged: NanoUsd(money),
            prompt_tokens: tokens,
            completion_tokens: 0,
            admitted_unix_ms,
            cleared_unix_ms,
        })));
    }
    entries
}

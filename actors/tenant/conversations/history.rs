//! What a model is told of a conversation: its last questions that were answered, within bounds. Pure.
use crate::catalog::EXTRACTIVE;
use crate::question::Exchange;
use bailiwick_policy::compile::PolicySnapshot;
use std::sync::Arc;

/// How much of a conversation counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Questions before the present one.
    pub turns: usize,
    /// Characters of those questions and their answers that a model is told; 0 where no model is asked.
    pub characters: usize,
}

impl Bounds {
    /// As a tenant's policy has them. The embedded provider reads passages and nothing else: where it answers, no answer is
    /// kept.
    #[must_use]
    pub fn of(policy: &PolicySnapshot) -> Self {
        let as_count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let (settings, routing) = (&policy.governance, &policy.router.routing);
        let mut routes = std::iter::once(&routing.primary).chain(&routing.fallback);
        let is_told = routes.any(|route| route.provider != EXTRACTIVE);
        let characters = if is_told { as_count(settings.max_history_characters) } else { 0 };
        Self { turns: as_count(settings.max_history_turns), characters }
    }
}

/// Of exchanges, oldest first, those that a model is told: the last ones that were answered, as far as all of them together
/// are within the bounds.
#[must_use]
pub fn told<'e>(earlier: impl DoubleEndedIterator<Item = &'e Exchange>, bounds: Bounds) -> Arc<[Exchange]> {
    let mut left = bounds.characters;
    let answered = earlier.rev().take(bounds.turns).filter(|exchange| !exchange.answer.is_empty());
    let mut told: Vec<Exchange> = answered
        .map_while(|exchange| {
            left = left.checked_sub(exchange.characters())?;
            Some(exchange.clone())
        })
        .collect();
    told.reverse();
    told.into()
}

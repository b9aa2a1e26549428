//! The shell of the exit: one rule, one durable append, then the reply.
use super::actor::{RebuildRooms, Supervisor};
use super::exit::{self, Charge};
use super::grounds::{Knew, conversation_told, grounds};
use super::messages::Event;
use super::repeats::keeping::{self, Ending};
use super::sideways::kind_of;
use super::verdicts::sampled;
use crate::budget::accounts::Sum;
use crate::budget::hold::Hold;
use crate::budget::is_full;
use crate::budget::messages::BookLate;
use crate::cache::lookup::Lookup;
use crate::cache::messages::Remember;
use crate::cache::rules::is_fit;
use crate::entry::Entry;
use crate::service_level::rules::Ended;
use crate::turn::{Answered, Case, Grounded, Turn};
use actix::prelude::*;
use bailiwick_kernel::fabric::Appended;
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::CACHE_PROVIDER;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::Instrument;

/// How long a full queue of appends is left alone …
const FULL_PAUSE: Duration = Duration::from_millis(10);
/// … and how often it is tried before the answer is given up.
const FULL_TRIES_MAX: u32 = 500;

/// What looking the question up took.
fn embedded(hold: &Hold) -> Sum {
    hold.embedded().map(|(_, used)| used).unwrap_or_default()
}

/// The charge of a draft: the price the hold was reckoned with, times what was used, and what looking the question up took.
fn charge_of(turn: &Turn<Answered>) -> Charge {
    let (hold, draft) = (&turn.stage.hold, &turn.stage.draft);
    let used = &draft.model;
    let paid = hold
        .candidates
        .iter()
        .find(|candidate| candidate.route.provider == used.provider && candidate.route.model == used.name)
        .map(|candidate| candidate.price.of(draft.prompt_tokens, draft.completion_tokens));
    let embedded = embedded(hold);
    let recalled = (used.provider == CACHE_PROVIDER).then_some(NanoUsd::ZERO);
    // a model the hold does not name cannot have answered; should it claim so, the whole hold is the charge
    let amount = paid.or(recalled).map_or(hold.amount(), |answer| answer.saturating_add(embedded.money));
    Charge { amount, held: hold.amount() }
}

impl Supervisor {
    /// What the cache is told once the answer is durable, and where it is.
    fn remember(&self, turn: &Turn<Answered>) -> Option<(Recipient<Remember>, Remember)> {
        let (case, draft) = (&turn.case, &turn.stage.draft);
        let as_meant = case.lookup.as_ref().and_then(Lookup::meaning);
        // an answer cut to the last money of a window is nobody else's answer
        let is_cut = turn.stage.hold.candidates.iter().any(|candidate| candidate.is_cut);
        let is_wanted = (case.remember_as.is_some() || as_meant.is_some()) && is_fit(draft) && !is_cut;
        let rooms = self.rooms.as_ref().filter(|_| is_wanted)?;
        let (passages, draft) = (Arc::clone(&turn.stage.passages), draft.clone());
        let remember = Remember { as_asked: case.remember_as, as_meant, passages, draft };
        Some((rooms.cache.clone().recipient(), remember))
    }
}

/// The entries of an answer, and behind them those that keep it for its `Idempotency-Key`, where it came under one.
fn with_kept(case: &mut Case, ending: Ending<'_>, mut answer: Vec<Entry>) -> Vec<Entry> {
    let Some(keyed) = &mut case.idempotency_key else { return answer };
    let query_id = case.query_id.to_string();
    if let Some(rejection) = keeping::told_instead(&query_id, ending) {
        keyed.note(|| Err(rejection));
    }
    let kept = keeping::entries(keyed, &query_id, ending, answer.len());
    answer.extend(kept);
    answer
}

/// Appends what a provider was paid for. A queue that is full is waited for: nothing of it was taken, and an answer that
/// is paid for is not thrown away for a neighbour's burst. The append is queued at once, so that its place is that of this
/// call.
fn append_patiently(
    journal: Journal,
    entries: Vec<Entry>,
) -> impl Future<Output = Result<Appended, JournalError>> + Send + 'static {
    let first = journal.append(&entries);
    async move {
        let mut appended = first.await;
        for _ in 0..FULL_TRIES_MAX {
            if !appended.as_ref().is_err_and(is_full) {
                break;
            }
            tokio::time::sleep(FULL_PAUSE).await;
            appended = journal.append(&entries).await;
        }
        appended
    }
}

impl Handler<Turn<Answered>> for Supervisor {
    type Result = ();

    fn handle(&mut self, mut turn: Turn<Answered>, ctx: &mut Self::Context) {
        let Some(opened) = &self.opened else { return };
        let now = self.parts.clock.now_unix_ms();
        let charge = charge_of(&turn);
        let remember = self.remember(&turn);
        let remembering = self.remembering(&turn);
        let mut draft = turn.take_draft();
        draft.prompt_tokens = draft.prompt_tokens.saturating_add(embedded(&turn.stage.hold).tokens);
        let (tokens, cut_short) = ((draft.prompt_tokens, draft.completion_tokens), draft.cut_short);
        let clearance = exit::clear(&turn.case, &turn.stage.passages, draft, charge, now);
        let groundedness = clearance.measured.as_ref().and_then(|measured| measured.grounding.groundedness());
        if let Some((exposure, groundedness)) = turn.case.exposure.as_ref().zip(groundedness) {
            exposure.measure(groundedness < 1.0);
        }
        let (verdicts, sampled) = (self.verdicts.clone(), sampled(&turn.case, &clearance));
        let latency_ms = now.saturating_sub(turn.case.arrived_unix_ms);
        let mut event = Event::Answered {
            kind: kind_of(&turn.case.matter),
            latency_ms,
            charged: charge.amount,
            abstained: clearance.record.abstained,
            fallback: clearance.record.model.fallback,
            tokens,
            times: turn.times(),
            is_good: clearance.verdict.is_ok(),
            budget_used_ppm: turn.budget_used_ppm(),
        };
        let ending = Ending { verdict: &clearance.verdict, charged: charge.amount, cut_short, now_unix_ms: now };
        let embedding = exit::embedding_charged(&turn.case, &clearance.record, &turn.stage.hold);
        let (passages, held, level) = (&turn.stage.passages, charge.held, self.watch.view().state);
        let grounded = grounds(&turn.case, &clearance.record, &Knew { passages, level, held });
        let mut answer = exit::entries(clearance.record, clearance.attribution);
        answer.extend(embedding.map(|embedding| Entry::EmbeddingCharged(Box::new(embedding))));
        if self.facts_kept.keeps(now) || turn.case.ruled.obligations().log {
            answer.push(Entry::RequestJudged(Box::new(exit::request_judged(&turn.case))));
        }
        answer.extend(clearance.measured.map(|measured| Entry::AnswerMeasured(Box::new(measured))));
        answer.extend(exit::passages_found(&turn.case).map(|found| Entry::PassagesFound(Box::new(found))));
        answer.extend(exit::passages_ranked(&turn.case).map(|ranked| Entry::PassagesRanked(Box::new(ranked))));
        answer.extend(conversation_told(&turn.case).map(|told| Entry::ConversationTold(Box::new(told))));
        answer.push(Entry::AnswerGrounded(Box::new(grounded.behind(answer.len()))));
        answer.extend(turn.case.approval.as_ref().map(|claim| claim.entry(now)));
        let entries = with_kept(&mut turn.case, ending, answer);
        let append = append_patiently(opened.belongings.journal.clone(), entries);
        let (sideways, latencies, home) = (turn.case.sideways.clone(), self.latencies.clone(), ctx.address());
        let (tenant, incarnation) = (opened.belongings.journal.tenant(), self.incarnation);
        let verdict = clearance.verdict;
        // the hold of an earlier incarnation cannot tell this one's budget what was charged
        let late =
            self.rooms.as_ref().map(|rooms| &rooms.budget).filter(|budget| {
                charge.amount > NanoUsd::ZERO && !turn.stage.hold.is_of(&(*budget).clone().recipient())
            });
        let late = late.cloned();
        let (spender, admitted_unix_ms) = (turn.case.spender(), turn.case.admitted_unix_ms);
        let answered_to = Arc::clone(&self.answered_to);
        let (query_id, unsure) = (turn.case.query_id.to_string(), turn.stage.hold.unsure());
        let overrun = charge.amount.saturating_sub(charge.held);
        let used = Sum { money: charge.amount, tokens: tokens.0.saturating_add(tokens.1) };
        let span = turn.log_span();
        let ending = async move {
            let appended = match append.await {
                Ok(appended) => appended,
                Err(error) => {
                    tracing::error!(%tenant, %error, "an answer could not be recorded; it is not given and the rooms are rebuilt");
                    turn.lose();
                    bailiwick_kernel::mail::post_certain(&home, RebuildRooms { incarnation });
                    return;
                }
            };
            answered_to.fetch_max(appended.last.next().0, Ordering::Relaxed);
            if let Some(claim) = turn.case.approval.take() {
                claim.used();
            }
            if let Some(sampled) = sampled {
                verdicts.ask_for(sampled);
            }
            latencies.lock().unwrap_or_else(std::sync::PoisonError::into_inner).record(latency_ms);
            if let Event::Answered { times, .. } = &mut event {
                *times = turn.times(); // with the append, which is the exit's own time
            }
            if let Some(budget) = late {
                bailiwick_kernel::mail::post_certain(
                    &budget,
                    BookLate { query_id, spender, used, overrun, unsure, admitted_unix_ms },
                );
            }
            match verdict {
                Ok(mut reply) => {
                    sideways.ended(Ended::Answered { latency_ms });
                    if let Some((cache, remember)) = remember {
                        let _forgotten = bailiwick_kernel::mail::offer(&cache, remember); // derived: busy is no harm
                    }
                    if let Some(remembering) = remembering {
                        remembering.answered(&reply);
                    }
                    exit::stamp(&mut reply, appended.first.0, &appended.first_hash);
                    turn.settle_and_clear(used, reply).reply();
                }
                Err(rejection) => turn.settle_and_refuse(used, rejection),
            }
            // behind the answer: another thread wakes for it, and would run before the one that answers
            sideways.tell(event);
        };
        actix::spawn(ending.instrument(span));
    }
}

impl Handler<Turn<Grounded>> for Supervisor {
    type Result = ();

    /// Searches come straight from retrieval: nothing was spent, nothing is generated, the guard judged the passages.
    fn handle(&mut self, turn: Turn<Grounded>, _: &mut Self::Context) {
        if !matches!(turn.case.matter, crate::question::Matter::Search(_)) {
            return turn.refuse(Rejection::new(Code::Internal, "a turn came to the exit without an answer"));
        }
        let turn = turn.found();
        let latency_ms = self.parts.clock.now_unix_ms().saturating_sub(turn.case.arrived_unix_ms);
        let event = Event::Answered {
            kind: "search",
            latency_ms,
            charged: NanoUsd::ZERO,
            abstained: false,
            fallback: false,
            tokens: (0, 0),
            times: turn.times(),
            is_good: true,
            budget_used_ppm: None,
        };
        let sideways = turn.case.sideways.clone();
        sideways.ended(Ended::Searched);
        let recorded = self.recorded(exit::entries_of_search(&turn.case, self.parts.clock.now_unix_ms()));
        actix::spawn(async move {
            match recorded.await {
                Ok(()) => {
                    turn.clear_hits().reply();
                    sideways.tell(event);
                }
                Err(rejection) => turn.refuse(rejection),
            }
        });
    }
}

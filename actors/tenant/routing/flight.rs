//! One turn's flight over its candidates: asks the rules for the next step, takes it, reports what came of it.
use super::actor::Desk;
use super::allowance::Allowance;
use super::landing::land;
use super::lookup;
use super::pace::TooFast;
use super::providers::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, RankCall, Said};
use super::relay::{End, Relay, Tally};
use super::rules::{self, Choice, Course, News, Step};
use super::spans;
use super::standing::{Called, ModelKey};
use crate::budget::candidates::worst_case;
use crate::budget::hold::Candidate;
use crate::journey::walk::Calling;
use crate::question::{Chat, Matter, Ranking};
use crate::ruling::ModelCall;
use crate::turn::{Draft, FrameSink, Funded, Turn};
use bailiwick_kernel::limits::STREAM_FRAMES_MAX;
use bailiwick_kernel::mail;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::schema::Route;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How an attempt ended.
pub(super) enum Landing {
    /// Words came, or money was used without an answer: settled by the exit.
    Billed(Box<Draft>),
    /// Nothing was shown and nothing billed for certain: somebody else may try.
    Failed(ProviderError),
    /// The asker left before the call was made.
    Abandoned,
    /// No place at the provider within the time of the request.
    Crowded(Rejection),
    /// The provider may not be called before the deadline, only after so many milliseconds: somebody else may be.
    Paced(u64),
    /// Its region may not be sent to by now; nothing was.
    Barred(Rejection),
    /// Its region may not be sent to any longer: the call was ended, and may have been billed.
    Withdrawn(Rejection),
}

/// Takes a turn to its end: answered, settled with a rejection, or refused.
pub(super) async fn fly(desk: &Desk, mut turn: Turn<Funded>) {
    if let Some(draft) = lookup::look_up(desk, &mut turn).await {
        return mail::post_certain_to(&desk.exit, turn.answer(draft));
    }
    put_in_order(desk, &mut turn);
    let mut course = Course::new(choices(desk, &turn), turn.case.deadline_unix_ms);
    let mut news = News::Departed;
    loop {
        let now_unix_ms = desk.clock.now_unix_ms();
        let step = course.steer(&mut desk.book.borrow_mut(), news, now_unix_ms, rand::random());
        news = match step {
            Step::GiveUp(rejection) => return give_up(desk, turn, rejection),
            Step::Wait { for_ms } => {
                tokio::time::sleep(Duration::from_millis(for_ms)).await;
                News::Waited
            }
            // a call that broke off may have been billed: the next one must be held for beside it
            Step::Call { choice, .. } if !turn.stage.hold.covers(cost_at_worst(&turn, choice)) => News::Unaffordable,
            Step::Call { choice, timeout_ms } => match attempt(desk, &turn, choice, timeout_ms).await {
                Landing::Billed(draft) => {
                    note_health(desk, &draft);
                    // carries a settlement: bounded by the turns admitted, and never to be lost to a full mailbox
                    return mail::post_certain_to(&desk.exit, turn.answer(*draft));
                }
                Landing::Failed(error) => {
                    if matches!(error, ProviderError::Unsure { .. }) {
                        let lost = cost_at_worst(&turn, choice);
                        turn.stage.hold.note_unsure(lost);
                    }
                    news_of(error)
                }
                Landing::Abandoned => return leave(desk, turn),
                Landing::Paced(wait_ms) => News::Paced { wait_ms },
                Landing::Barred(rejection) => News::Barred(rejection),
                Landing::Withdrawn(rejection) => {
                    let lost = cost_at_worst(&turn, choice);
                    turn.stage.hold.note_unsure(lost);
                    News::Barred(rejection)
                }
                Landing::Crowded(rejection) => return give_up(desk, turn, rejection),
            },
        };
    }
}

/// Ends a turn nobody answered: refused where it stands, or by the exit where looking the question up was paid for.
fn give_up(desk: &Desk, turn: Turn<Funded>, rejection: Rejection) {
    match lookup::paid_in_vain(desk, &turn, rejection) {
        Ok(draft) => mail::post_certain_to(&desk.exit, turn.answer(draft)),
        Err(rejection) => turn.refuse(rejection),
    }
}

/// Ends a turn its asker left: dropped, or settled where looking the question up was paid for.
fn leave(desk: &Desk, turn: Turn<Funded>) {
    if let Ok(draft) = lookup::paid_in_vain(desk, &turn, Rejection::lost()) {
        mail::post_certain_to(&desk.exit, turn.answer(draft));
    }
}

/// What a call to a candidate may cost.
fn cost_at_worst(turn: &Turn<Funded>, choice: usize) -> NanoUsd {
    let hold = &turn.stage.hold;
    hold.candidates.get(choice).map(|candidate| worst_case(candidate, hold.prompt_tokens)).unwrap_or_default()
}

/// The candidates in the order their standing gives them; each is held for, whichever goes first.
fn put_in_order(desk: &Desk, turn: &mut Turn<Funded>) {
    let candidates = &mut turn.stage.hold.candidates;
    if candidates.len() < 2 {
        return;
    }
    let models: Vec<ModelKey> = candidates.iter().map(model_key).collect();
    let now_unix_ms = desk.clock.now_unix_ms();
    let order = desk.standings.borrow_mut().order(&models, &turn.case.policy.router.sla, now_unix_ms);
    *candidates = order.into_iter().filter_map(|index| candidates.get(index).cloned()).collect();
}

fn model_key(candidate: &Candidate) -> ModelKey {
    let Route { provider, model, .. } = &candidate.route;
    ModelKey { provider: provider.clone(), model: model.clone() }
}

/// Notes how a call went, for the order of those to come.
fn note_standing(desk: &Desk, candidate: &Candidate, landing: &Landing, latency: Duration) {
    let (failed, cost) = match landing {
        Landing::Billed(draft) => {
            let cost = candidate.price.of(draft.prompt_tokens, draft.completion_tokens);
            (draft.rejection.as_ref().is_some_and(|rejection| rejection.code == Code::UpstreamFailed), cost)
        }
        Landing::Failed(ProviderError::Passing(_) | ProviderError::Busy { .. } | ProviderError::Unsure { .. }) => {
            (true, NanoUsd::ZERO)
        }
        // a request no provider takes says nothing about the provider
        Landing::Failed(_)
        | Landing::Crowded(_)
        | Landing::Paced(_)
        | Landing::Barred(_)
        | Landing::Withdrawn(_)
        | Landing::Abandoned => return,
    };
    let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    desk.standings.borrow_mut().note(model_key(candidate), Called { latency_ms, failed, cost });
}

fn note_health(desk: &Desk, draft: &Draft) {
    let broke_off = draft.rejection.as_ref().is_some_and(|rejection| rejection.code == Code::UpstreamFailed);
    let mut book = desk.book.borrow_mut();
    if broke_off {
        book.note_failure(&draft.model.provider, desk.clock.now_unix_ms());
    } else {
        book.note_alive(&draft.model.provider);
    }
}

fn news_of(error: ProviderError) -> News {
    let detail = format!("calling a model: {error}");
    match error {
        ProviderError::Passing(_) => News::Failed { passing: true, retry_after_ms: None, detail },
        ProviderError::Busy { retry_after_ms, .. } => {
            News::Failed { passing: true, retry_after_ms: Some(retry_after_ms), detail }
        }
        ProviderError::Unsure { passing, .. } => News::Failed { passing, retry_after_ms: None, detail },
        ProviderError::Lasting(_) | ProviderError::Cut { .. } => {
            News::Failed { passing: false, retry_after_ms: None, detail }
        }
    }
}

/// The candidates as the rules see them, each checked against region, models and the policy's rules anew.
fn choices(desk: &Desk, turn: &Turn<Funded>) -> Vec<Choice> {
    let policy = &turn.case.policy;
    let passed_through = !matches!(turn.case.matter, Matter::Ask(_));
    let choice = |candidate: &Candidate| {
        let Route { provider, model, .. } = &candidate.route;
        let Some(client) = desk.clients.get(provider) else {
            let detail = format!(
                "calling a model: provider {provider} of router.yaml is not set up on this node; ask the operator to add it to config.toml"
            );
            return Choice {
                provider: provider.clone(),
                retries: 0,
                timeout_ms: 0,
                barred: Some(Rejection::new(Code::UpstreamFailed, detail)),
            };
        };
        let region = client.entry.region.as_str();
        let allowed = client.may_take(&desk.egress, &policy.sovereignty);
        let allowed = allowed.and_then(|_cleared| {
            if passed_through {
                rules::check_model(model, &policy.governance.allowed_models, &policy.router)
            } else {
                Ok(())
            }
        });
        let call = ModelCall { provider, model, region, fallback: candidate.fallback };
        let allowed = allowed.and_then(|()| turn.case.ruled.may_call(policy, &call));
        Choice {
            provider: provider.clone(),
            retries: client.entry.retries,
            timeout_ms: client.entry.timeout_ms,
            barred: allowed.err(),
        }
    };
    turn.stage.hold.candidates.iter().map(choice).collect()
}

async fn attempt(desk: &Desk, turn: &Turn<Funded>, choice: usize, timeout_ms: u64) -> Landing {
    let plan = turn.case.policy.tenant.plan;
    let Some((candidate, client, lane)) = turn.stage.hold.candidates.get(choice).and_then(|candidate| {
        let provider = &candidate.route.provider;
        Some((candidate, desk.clients.get(provider)?, desk.lanes.get(provider, plan)?))
    }) else {
        return Landing::Failed(ProviderError::Lasting("the candidate is not set up on this node".into()));
    };
    if let Err(TooFast(wait)) = client.pace.cell(Duration::from_millis(remaining_ms(desk, turn))).await {
        return Landing::Paced(u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
    }
    let place = match lane.enter(Duration::from_millis(remaining_ms(desk, turn))).await {
        Ok(place) => place,
        Err(crowded) => return Landing::Crowded(crowded),
    };
    if turn.is_abandoned() && !turn.case.is_told_again() {
        return Landing::Abandoned; // nothing was asked of the provider: the turn is dropped, its hold unused
    }
    // while it waited other rules may have come into force
    let mut transfer = match client.depart(&desk.egress, &turn.case.policy.sovereignty) {
        Ok(transfer) => transfer,
        Err(rejection) => return Landing::Barred(rejection),
    };
    let Some(provider) = client.reach(&transfer) else { return Landing::Failed(elsewhere()) };
    // the wait for a place has used up some of it
    let limit_ms = timeout_ms.min(remaining_ms(desk, turn));
    let (called, withdrawn, calling) = (Instant::now(), OnceCell::new(), turn.calling());
    let until_withdrawn = async {
        // never set twice: this ends with the first one
        let _set = withdrawn.set(transfer.withdrawn().await);
    };
    let (outcome, tally) = if turn.is_streaming() && !matches!(turn.case.matter, Matter::Embed(_)) {
        streamed(turn, candidate, (provider, calling.clone()), limit_ms, until_withdrawn).await
    } else {
        let calling = calling.clone();
        let call = match &turn.case.matter {
            Matter::Embed(body) => provider.embed_in(embed_call(body, &candidate.route, calling), place),
            _ => call(turn, candidate, (provider, calling), FrameSink::whole()),
        };
        (Some(while_allowed(until_withdrawn, within(limit_ms, candidate, call)).await), Tally::default())
    };
    // nothing is under way any more: whoever adopts other rules may go on
    drop(transfer);
    turn.note_upstream_us(u64::try_from(called.elapsed().as_micros()).unwrap_or(u64::MAX));
    let latency = called.elapsed();
    let landing = recalled(land(turn, candidate, client, outcome, tally).await, withdrawn.into_inner());
    note_standing(desk, candidate, &landing, latency);
    if let Some(calling) = calling {
        turn.called(spans::attempt(&calling, client, candidate, &turn.case.matter, &landing));
    }
    landing
}

fn remaining_ms(desk: &Desk, turn: &Turn<Funded>) -> u64 {
    turn.case.deadline_unix_ms.saturating_sub(desk.clock.now_unix_ms())
}

fn elsewhere() -> ProviderError {
    ProviderError::Lasting("the provider runs elsewhere than it was cleared for".into())
}

/// A call for as long as its region may be sent to. The call is dropped, and with it its connection, before anything else
/// happens.
pub(super) async fn while_allowed(
    withdrawn: impl Future<Output = ()>,
    call: impl Future<Output = Result<Said, ProviderError>>,
) -> Result<Said, ProviderError> {
    tokio::select! {
        biased;
        () = withdrawn => Err(ProviderError::Unsure {
            detail: "the provider's region may be sent to no longer".into(),
            passing: false,
        }),
        outcome = call => outcome,
    }
}

/// What a landing comes to where its region was withdrawn meanwhile.
fn recalled(landing: Landing, withdrawn: Option<Rejection>) -> Landing {
    match (landing, withdrawn) {
        (Landing::Failed(_), Some(why)) => Landing::Withdrawn(why),
        (Landing::Billed(draft), Some(why)) => Landing::Billed(Box::new(Draft { rejection: Some(why), ..*draft })),
        (landing, _) => landing,
    }
}

async fn within(limit_ms: u64, candidate: &Candidate, call: ProviderFuture<Said>) -> Result<Said, ProviderError> {
    let late = |_elapsed| {
        let detail = format!("provider {} did not answer within {limit_ms} ms", candidate.route.provider);
        ProviderError::Unsure { detail, passing: true }
    };
    tokio::time::timeout(Duration::from_millis(limit_ms), call).await.map_err(late)?
}

/// Calls a provider with a relay between it and the asker. The call ends at once where the relay does, and its connection
/// with it: an asker who is gone, a forbidden word, or words beyond what was held for cost nothing further.
async fn streamed(
    turn: &Turn<Funded>,
    candidate: &Candidate,
    provider: (&dyn Provider, Option<Arc<Calling>>),
    limit_ms: u64,
    withdrawn: impl Future<Output = ()>,
) -> (Option<Result<Said, ProviderError>>, Tally) {
    let (forbidden, redactions) = (turn.case.policy.output_forbidden.clone(), turn.case.ruled.obligations().redact);
    let relay = match turn.case.matter {
        Matter::Ask(_) => {
            let relay = Relay::of_words(turn.sink(), &turn.stage.passages, forbidden).redacting(redactions);
            relay.meeting(turn.case.demands())
        }
        _ => {
            let relay = Relay::of_chunks(turn.sink(), forbidden).redacting_chunks(redactions);
            if turn.case.is_told_again() { relay.assembling() } else { relay }
        }
    };
    let relay = relay.within(Allowance::of(candidate));
    let (sender, frames) = mpsc::channel(STREAM_FRAMES_MAX);
    let call = within(limit_ms, candidate, call(turn, candidate, provider, FrameSink::into_channel(sender)));
    let call = while_allowed(withdrawn, call);
    let (mut call, mut relay) = (std::pin::pin!(call), std::pin::pin!(relay.run(frames)));
    tokio::select! {
        biased;
        tally = &mut relay => match tally.end {
            End::Whole => (Some(call.await), tally),
            End::HungUp | End::Forbidden | End::Spent => (None, tally),
        },
        outcome = &mut call => (Some(outcome), relay.await),
    }
}

fn call(
    turn: &Turn<Funded>,
    candidate: &Candidate,
    (provider, calling): (&dyn Provider, Option<Arc<Calling>>),
    sink: FrameSink,
) -> ProviderFuture<Said> {
    let route = &candidate.route;
    match &turn.case.matter {
        Matter::Ask(question) => provider.answer(GroundedCall {
            question: question.text.clone(),
            earlier: Arc::clone(&question.earlier),
            passages: turn.stage.passages.clone(),
            model: route.model.clone(),
            temperature: route.temperature,
            max_tokens: route.max_tokens,
            demands: turn.case.demands(),
            sink,
            calling,
        }),
        Matter::Chat(chat) => provider.chat(PassedCall { body: chat_body(chat, route), sink, calling }),
        Matter::Embed(body) => provider.embed(embed_call(body, route, calling)),
        Matter::Rank(ranking) => {
            provider.rank(RankCall { ranking: Ranking { model: route.model.clone(), ..*ranking.clone() }, calling })
        }
        Matter::Search(_) => Box::pin(std::future::ready(Err(ProviderError::Lasting("a search asks no model".into())))),
    }
}

fn embed_call(body: &Value, route: &Route, calling: Option<Arc<Calling>>) -> PassedCall {
    PassedCall { body: with_model(body, route), sink: FrameSink::whole(), calling }
}

fn with_model(body: &Value, route: &Route) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("model".into(), Value::String(route.model.clone()));
    }
    body
}

/// The caller's body with the candidate's model, and never more tokens than the hold was reckoned with.
fn chat_body(chat: &Chat, route: &Route) -> Value {
    let mut body = with_model(&chat.body, route);
    let limit = chat.max_tokens.map_or(route.max_tokens, |asked| asked.min(route.max_tokens));
    if let Some(fields) = body.as_object_mut() {
        let newer = fields.get("max_completion_tokens").is_some_and(|field| !field.is_null());
        let (kept, dropped) =
            if newer { ("max_completion_tokens", "max_tokens") } else { ("max_tokens", "max_completion_tokens") };
        fields.shift_remove(dropped);
        fields.insert(kept.into(), json!(limit));
    }
    body
}

//! Turns through the room: what the asker sees, what the exit settles, what the hold pays.
use super::RoutingRoom;
use super::clients::Clients;
use super::fixtures::*;
use super::messages::RoutingParts;
use super::providers::{ProviderError, Said};
use crate::budget::candidates::worst_case;
use crate::budget::hold::Candidate;
use crate::budget::rules::Ended;
use crate::catalog::{Catalog, Price, ProviderEntry};
use crate::egress::fixtures::borders;
use crate::question::{Chat, Frame, Matter};
use crate::turn::{Awaiting, DraftContent, FrameSink, Funded, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::obituary::{Died, Obituary};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::schema::Plan;
use bailiwick_policy::sovereignty::Region;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

pub(super) struct House {
    room: Addr<RoutingRoom>,
    pub(super) exit: mpsc::UnboundedReceiver<Turn<crate::turn::Answered>>,
    _died: mpsc::UnboundedReceiver<Died>,
}

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(number))
}

pub(super) fn house(clients: Clients) -> House {
    let (exit, answered): Exit = collector();
    let (to, died) = collector::<Died>();
    let parts = RoutingParts {
        lanes: clients.lanes(tenant(1)),
        clients: Arc::new(clients),
        egress: borders(&policy(&[])),
        exit,
        clock: ManualClock::at(NOW),
        obituary: Obituary::new("routing", 1, to),
    };
    House { room: RoutingRoom::start(parts), exit: answered, _died: died }
}

pub(super) fn send(house: &House, turn: Turn<Funded>) {
    house.room.try_send(turn).unwrap();
}

fn said(text: &str) -> Said {
    let content = DraftContent::Grounded { text: text.into(), spans: Vec::new() };
    Said { content, prompt_tokens: Some(11), completion_tokens: Some(7), relayed_chars: 0, cut_short: false }
}

/// A provider that says these words one by one, then ends as told.
fn speaking(words: &'static [&'static str], end: Result<(), ProviderError>) -> Arc<Scripted> {
    Scripted::new(move |sink: FrameSink| {
        let end = end.clone();
        Box::pin(async move {
            for word in words {
                if sink.send(Frame::Delta((*word).into())).await.is_err() {
                    return Ok(Said { cut_short: true, completion_tokens: None, ..said(&words.concat()) });
                }
            }
            end.map(|()| Said { completion_tokens: None, ..said(&words.concat()) })
        })
    })
}

fn failing(error: ProviderError) -> (Arc<Scripted>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let provider = Scripted::new(move |_sink| {
        counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Err(error.clone())))
    });
    (provider, calls)
}

pub(super) fn scripted(name: &str) -> ProviderEntry {
    entry(name, "scripted", "http://127.0.0.1:9")
}

pub(super) async fn shown(asker: &mut Awaiting) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(frame) = asker.frames.recv().await {
        frames.push(frame);
    }
    frames
}

pub(super) fn deltas(frames: &[Frame]) -> String {
    frames
        .iter()
        .filter_map(|frame| if let Frame::Delta(words) = frame { Some(words.as_str()) } else { None })
        .collect()
}

pub(super) fn text(content: &DraftContent) -> &str {
    let DraftContent::Grounded { text, .. } = content else { panic!("{content:?}") };
    text
}

#[actix::test]
async fn a_failing_primary_is_followed_by_the_fallback() {
    let broken = Upstream::playing(vec![Wire::Close(http("500 Oops", "", ""))]).await;
    let sound = Upstream::playing(vec![Wire::Close(http_json("200 OK", &openai_answer("It does [1][9].")))]).await;
    let mut catalog = Catalog::default();
    for (name, upstream) in [("primary", &broken), ("second", &sound)] {
        catalog.providers.insert(name.into(), Arc::new(entry(name, "openai", &upstream.url)));
    }
    let mut house = house(Clients::open(&catalog, &Region::named("eu-west-1").unwrap()).unwrap());
    let Funding { turn, asker: _asker, .. } =
        funded(ask(), false, policy(&[]), vec![candidate("primary", false), candidate("second", true)]);
    send(&house, turn);
    let draft = house.exit.recv().await.unwrap().stage.draft;
    assert_eq!(text(&draft.content), "It does [1].", "a marker without passage is gone");
    assert_eq!(
        (draft.model.provider.as_str(), draft.model.fallback, draft.model.region.as_str()),
        ("second", true, "eu-central-1")
    );
    assert_eq!((draft.prompt_tokens, draft.completion_tokens, draft.cut_short, draft.rejection), (11, 7, false, None));
    assert_eq!((broken.requests().len(), sound.requests().len()), (1, 1));
}

#[actix::test]
async fn a_provider_that_asks_for_patience_is_asked_again() {
    let busy = Upstream::playing(vec![
        Wire::Close(http("429 Slow", "retry-after-ms: 1\r\n", "")),
        Wire::Close(http_json("200 OK", &openai_answer("Yes [1]."))),
    ])
    .await;
    let mut catalog = Catalog::default();
    catalog
        .providers
        .insert("primary".into(), Arc::new(ProviderEntry { retries: 1, ..entry("primary", "openai", &busy.url) }));
    let mut house = house(Clients::open(&catalog, &Region::named("eu-west-1").unwrap()).unwrap());
    let Funding { turn, asker: _asker, .. } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    assert_eq!(text(&house.exit.recv().await.unwrap().stage.draft.content), "Yes [1].");
    assert_eq!(busy.requests().len(), 2);
}

#[actix::test]
async fn a_call_beyond_a_providers_pace_goes_to_the_next_candidate_or_is_told_when_to_come_back() {
    let paced = |name: &str| ProviderEntry { requests_per_minute: Some(1), ..scripted(name) };
    let clients = Clients::default()
        .with(paced("primary"), speaking(&["first [1]."], Ok(())))
        .with(paced("second"), speaking(&["second [1]."], Ok(())));
    let mut house = house(clients);
    let both = || vec![candidate("primary", false), candidate("second", true)];
    // a cell comes back after a minute, and a turn has a second
    let short = || {
        let mut funding = funded(ask(), false, policy(&[]), both());
        funding.turn.case.deadline_unix_ms = NOW + 1_000;
        funding
    };
    for words in ["first [1].", "second [1]."] {
        let Funding { turn, asker: _asker, .. } = short();
        send(&house, turn);
        assert_eq!(text(&house.exit.recv().await.unwrap().stage.draft.content), words);
    }
    let Funding { turn, asker, .. } = short();
    send(&house, turn);
    let refused = asker.reply().await.unwrap_err();
    assert_eq!(refused.code, Code::Overloaded);
    assert!(refused.detail.contains("provider second is called as often as this node may call it"), "{refused}");
    assert!(refused.retry_after_ms.is_some_and(|wait_ms| wait_ms > 1_000 && wait_ms <= 60_000), "{refused:?}");
}

#[actix::test]
async fn citations_come_before_the_first_word_and_markers_resolve() {
    let mut house = house(
        Clients::default().with(scripted("primary"), speaking(&["Salt ", "dissolves [", "1", "] [9", "]."], Ok(()))),
    );
    let Funding { turn, mut asker, .. } = funded(ask(), true, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    let turn = house.exit.recv().await.unwrap();
    let draft = turn.stage.draft.clone();
    drop(turn);
    let frames = shown(&mut asker).await;
    let Frame::Citations(citations) = &frames[0] else { panic!("{frames:?}") };
    assert_eq!(
        (citations.len(), citations[1].marker.as_str(), citations[1].snippet.as_str()),
        (2, "[2]", "Oil does not.")
    );
    assert_eq!(deltas(&frames), "Salt dissolves [1].");
    assert_eq!(text(&draft.content), "Salt dissolves [1].");
    assert!(draft.completion_tokens > 3, "nobody reported, so they are counted");
}

#[actix::test]
async fn forbidden_words_stop_the_stream_before_the_asker_sees_a_part_of_them() {
    let words: &[&str] = &["The number is ", "123-4", "5-67", "89", " and so on"];
    let mut house = house(Clients::default().with(scripted("primary"), speaking(words, Ok(()))));
    let Funding { turn, mut asker, .. } =
        funded(ask(), true, policy(&[r"\d{3}-\d{2}-\d{4}"]), vec![candidate("primary", false)]);
    send(&house, turn);
    let turn = house.exit.recv().await.unwrap();
    let draft = turn.stage.draft.clone();
    drop(turn);
    assert_eq!(draft.rejection.unwrap().code, Code::PolicyDenied);
    assert!(draft.completion_tokens > 0, "what was said is charged");
    assert!(shown(&mut asker).await.is_empty());
}

#[actix::test]
async fn forbidden_words_stop_a_passed_through_stream() {
    let provider = Scripted::new(|sink: FrameSink| {
        Box::pin(async move {
            for words in ["top", " sec", "ret", " and more"] {
                let chunk = json!({"choices": [{"index": 0, "delta": {"content": words}}]});
                if sink.send(Frame::Chunk(chunk)).await.is_err() {
                    break;
                }
            }
            Ok(said(""))
        })
    });
    let mut house = house(Clients::default().with(scripted("primary"), provider));
    let Funding { turn, mut asker, .. } =
        funded(chat(json!({"messages": []}), None), true, policy(&["top secret"]), vec![candidate("primary", false)]);
    send(&house, turn);
    let turn = house.exit.recv().await.unwrap();
    assert_eq!(turn.stage.draft.rejection.as_ref().unwrap().code, Code::PolicyDenied);
    drop(turn);
    assert!(shown(&mut asker).await.is_empty());
}

#[actix::test]
async fn a_stream_that_breaks_off_is_settled_and_nobody_goes_on_with_it() {
    let cut = ProviderError::Cut { detail: "provider primary broke off its stream".into(), relayed_chars: 5 };
    let (fallback, calls) = failing(ProviderError::Lasting("never asked".into()));
    let mut house = house(
        Clients::default()
            .with(scripted("primary"), speaking(&["Salt dissolves"], Err(cut)))
            .with(scripted("second"), fallback),
    );
    let Funding { turn, mut asker, .. } =
        funded(ask(), true, policy(&[]), vec![candidate("primary", false), candidate("second", true)]);
    send(&house, turn);
    let turn = house.exit.recv().await.unwrap();
    let draft = turn.stage.draft.clone();
    drop(turn);
    assert_eq!(draft.rejection.unwrap().code, Code::UpstreamFailed);
    assert_eq!((draft.prompt_tokens, draft.cut_short), (42, false), "the prompt as the hold counted it");
    assert!(draft.completion_tokens > 0);
    assert_eq!(deltas(&shown(&mut asker).await), "Salt dissolves");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn a_failure_before_the_first_word_of_a_stream_falls_back() {
    let (primary, calls) = failing(ProviderError::Passing("down".into()));
    let mut house = house(
        Clients::default().with(scripted("primary"), primary).with(scripted("second"), speaking(&["Yes [1]."], Ok(()))),
    );
    let Funding { turn, mut asker, .. } =
        funded(ask(), true, policy(&[]), vec![candidate("primary", false), candidate("second", true)]);
    send(&house, turn);
    let turn = house.exit.recv().await.unwrap();
    assert!(turn.stage.draft.model.fallback && turn.stage.draft.rejection.is_none());
    drop(turn);
    assert_eq!(deltas(&shown(&mut asker).await), "Yes [1].");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[actix::test]
async fn an_asker_who_hangs_up_is_charged_for_what_came() {
    let provider = Scripted::new(|sink: FrameSink| {
        Box::pin(async move {
            let _taken = sink.send(Frame::Delta("Salt dissolves in water".into())).await;
            // an upstream that has more to say, but not yet
            std::future::pending().await
        })
    });
    let mut house = house(Clients::default().with(scripted("primary"), provider));
    let Funding { turn, mut asker, .. } = funded(ask(), true, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    let _citations = asker.frames.recv().await.unwrap();
    assert_eq!(asker.frames.recv().await.unwrap(), Frame::Delta("Salt dissolves in water".into()));
    drop(asker);
    let draft = house.exit.recv().await.unwrap().stage.draft.clone();
    assert!(draft.cut_short && draft.completion_tokens > 0 && draft.rejection.is_none(), "{draft:?}");
}

#[actix::test]
async fn a_provider_elsewhere_is_never_called_and_the_hold_returns() {
    let (provider, calls) = failing(ProviderError::Lasting("never asked".into()));
    let elsewhere = ProviderEntry { region: "us-east-1".into(), ..scripted("primary") };
    let house = house(Clients::default().with(elsewhere, provider));
    let Funding { turn, asker, mut returned } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    assert_eq!(asker.reply().await.unwrap_err().code, Code::SovereigntyViolation);
    assert_eq!(returned.recv().await.unwrap().ended, Ended::Unused);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn a_model_nobody_allowed_is_refused_and_an_absent_provider_said() {
    let (provider, calls) = failing(ProviderError::Lasting("never asked".into()));
    let house = house(Clients::default().with(scripted("primary"), provider));
    let mut unlisted = candidate("primary", false);
    unlisted.route.model = "unlisted".into();
    for (candidate, code) in [(unlisted, Code::PolicyDenied), (candidate("absent", false), Code::UpstreamFailed)] {
        let Funding { turn, asker, .. } =
            funded(chat(json!({"messages": []}), None), false, policy(&[]), vec![candidate]);
        send(&house, turn);
        assert_eq!(asker.reply().await.unwrap_err().code, code);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn when_every_provider_failed_the_asker_is_told_why() {
    let (primary, _) = failing(ProviderError::Passing("provider primary could not be reached".into()));
    let (second, _) = failing(ProviderError::Lasting("provider second answered with status 400".into()));
    let house = house(Clients::default().with(scripted("primary"), primary).with(scripted("second"), second));
    let Funding { turn, asker, mut returned } =
        funded(ask(), false, policy(&[]), vec![candidate("primary", false), candidate("second", true)]);
    send(&house, turn);
    let refusal = asker.reply().await.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.detail.as_str()),
        (Code::UpstreamFailed, "calling a model: provider second answered with status 400")
    );
    assert_eq!(returned.recv().await.unwrap().ended, Ended::Unused);
}

fn chat(body: Value, max_tokens: Option<u32>) -> Matter {
    Matter::Chat(Box::new(Chat { model: "asked".into(), body, max_tokens }))
}

#[actix::test]
async fn a_passed_body_carries_the_candidates_model_and_no_more_tokens_than_held() {
    for (body, asked, sent_limits) in [
        (json!({"model": "asked", "messages": [], "x": 1}), None, json!({"max_tokens": 100})),
        (json!({"messages": [], "x": 1, "max_tokens": 7}), Some(7), json!({"max_tokens": 7})),
        (json!({"messages": [], "x": 1, "max_tokens": 5_000}), Some(5_000), json!({"max_tokens": 100})),
        (
            json!({"messages": [], "x": 1, "max_completion_tokens": 5_000, "max_tokens": 9_000}),
            Some(5_000),
            json!({"max_completion_tokens": 100}),
        ),
    ] {
        let upstream = Upstream::playing(vec![Wire::Close(http_json("200 OK", &openai_answer("hi")))]).await;
        let mut catalog = Catalog::default();
        catalog.providers.insert("primary".into(), Arc::new(entry("primary", "openai", &upstream.url)));
        let mut house = house(Clients::open(&catalog, &Region::named("eu-west-1").unwrap()).unwrap());
        let Funding { turn, asker: _asker, .. } =
            funded(chat(body, asked), false, policy(&[]), vec![candidate("primary", false)]);
        send(&house, turn);
        let _turn = house.exit.recv().await.unwrap();
        let request = upstream.requests().remove(0);
        let (_, sent) = request.split_once("\r\n\r\n").unwrap();
        let mut expected = json!({"model": "model", "messages": [], "x": 1});
        expected.as_object_mut().unwrap().extend(sent_limits.as_object().unwrap().clone());
        assert_eq!(serde_json::from_str::<Value>(sent).unwrap(), expected);
    }
}

#[actix::test]
async fn a_tenant_has_no_more_calls_under_way_than_its_quota() {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let provider = Scripted::new(move |_sink| {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            gate.notified().await;
            Ok(said("Yes [1]."))
        })
    });
    let mut house = house(Clients::default().with(scripted("primary"), provider));
    let mut askers = Vec::new();
    for _ in 0..3 {
        let Funding { turn, asker, .. } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
        send(&house, turn);
        askers.push(asker);
    }
    let refused = askers.pop().unwrap().reply().await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_ms), (Code::Overloaded, Some(250)));
    for _ in 0..2 {
        release.notify_one();
        let _answered = house.exit.recv().await.unwrap();
    }
    let Funding { turn, asker: _asker, .. } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    release.notify_one();
    assert!(house.exit.recv().await.is_some(), "places come back");
}

#[actix::test]
async fn a_full_provider_is_waited_for_until_the_deadline_only() {
    let clients = Clients::default().with(scripted("primary"), Scripted::new(|_sink| Box::pin(std::future::pending())));
    let neighbour = clients.lanes(tenant(2));
    let neighbour = neighbour.get("primary", Plan::Free).unwrap();
    let _all = join_all((0..4).map(|_| neighbour.enter(Duration::from_secs(60)))).await;
    let house = house(clients);
    // a call is expected to take a second: the first cannot come to its turn, the other one waits for it in vain
    for (patience_ms, retry_after_ms) in [(20, 240), (600, 600)] {
        let Funding { mut turn, asker, .. } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
        turn.case.deadline_unix_ms = NOW + patience_ms;
        send(&house, turn);
        let refused = asker.reply().await.unwrap_err();
        assert_eq!((refused.code, refused.retry_after_ms), (Code::Overloaded, Some(retry_after_ms)));
    }
}

#[actix::test]
async fn a_place_at_a_provider_goes_to_the_tenant_that_has_had_the_least_of_it() {
    let clients = Clients::default().with(scripted("primary"), Scripted::new(|_sink| Box::pin(std::future::pending())));
    let (neighbour, quiet) = (clients.lanes(tenant(2)), clients.lanes(tenant(3)));
    let (neighbour, quiet) = (neighbour.get("primary", Plan::Free).unwrap(), quiet.get("primary", Plan::Free).unwrap());
    let patience = Duration::from_secs(60);
    let mut all = join_all((0..4).map(|_| neighbour.enter(patience))).await;
    let mut waiting: Vec<_> = (0..10).map(|_| Box::pin(neighbour.enter(patience))).collect();
    assert!(waiting.iter_mut().all(|entering| entering.as_mut().now_or_never().is_none()));
    let mut first = Box::pin(quiet.enter(patience));
    assert!(first.as_mut().now_or_never().is_none());
    drop(all.pop());
    assert!(first.now_or_never().is_some_and(|place| place.is_ok()), "before ten that came earlier");
    assert!(waiting.iter_mut().any(|entering| entering.as_mut().now_or_never().is_some()), "and then one of them");
}

#[actix::test]
async fn a_provider_that_never_answers_is_given_up_and_left() {
    let silent = Scripted::new(|_sink| Box::pin(std::future::pending()));
    let mut house = house(
        Clients::default()
            .with(ProviderEntry { timeout_ms: 20, ..scripted("primary") }, silent)
            .with(scripted("second"), speaking(&["Yes [1]."], Ok(()))),
    );
    let Funding { turn, asker: _asker, .. } =
        funded(ask(), false, policy(&[]), vec![candidate("primary", false), candidate("second", true)]);
    send(&house, turn);
    assert!(house.exit.recv().await.unwrap().stage.draft.model.fallback);
}

#[actix::test]
async fn a_panicking_provider_loses_its_own_turn_only() {
    let calls = AtomicUsize::new(0);
    let provider = Scripted::new(move |_sink| {
        let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
        Box::pin(async move {
            assert!(!first, "a bug in a provider");
            Ok(said("Yes [1]."))
        })
    });
    let mut house = house(Clients::default().with(scripted("primary"), provider));
    let Funding { turn, asker, mut returned } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    assert_eq!(asker.reply().await.unwrap_err().code, Code::Lost);
    assert_eq!(returned.recv().await.unwrap().ended, Ended::Unknown, "it may have been billed");
    let Funding { turn, asker: _asker, .. } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
    send(&house, turn);
    assert!(house.exit.recv().await.is_some());
}

/// A candidate whose answers cost money.
fn paid(provider: &str, fallback: bool) -> Candidate {
    let price = Price { input_nano_usd_per_token: 1, output_nano_usd_per_token: 1 };
    Candidate { price, ..candidate(provider, fallback) }
}

#[actix::test]
async fn a_call_that_broke_off_is_held_for_beside_the_next_one() {
    let broken = || ProviderError::Unsure { detail: "broke off".into(), passing: true };
    for (amount, may_call_the_fallback) in [(10_000_000, true), (0, false)] {
        let (primary, calls) = failing(broken());
        let mut house = house(
            Clients::default()
                .with(ProviderEntry { retries: 0, ..scripted("primary") }, primary)
                .with(scripted("second"), speaking(&["Yes [1]."], Ok(()))),
        );
        let candidates = vec![paid("primary", false), paid("second", true)];
        let lost = worst_case(&candidates[0], PROMPT_TOKENS);
        let amount = if amount == 0 { lost } else { NanoUsd(amount) };
        let Funding { turn, asker, mut returned } = funded_with(amount, ask(), false, policy(&[]), candidates);
        send(&house, turn);
        if may_call_the_fallback {
            let answered = house.exit.recv().await.unwrap();
            assert!(answered.stage.draft.model.fallback);
            assert_eq!(answered.stage.hold.unsure(), lost);
        } else {
            assert_eq!(asker.reply().await.unwrap_err().code, Code::UpstreamFailed);
            let home = returned.recv().await.unwrap();
            assert_eq!((home.ended, home.unsure), (Ended::Unused, lost));
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}

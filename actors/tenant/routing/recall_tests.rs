//! Calls and the borders: what is ended when a region is withdrawn, what does not begin, what travels under which TLS.
use super::RoutingRoom;
use super::clients::Clients;
use super::fixtures::*;
use super::messages::RoutingParts;
use super::providers::{ALL, PassedCall, ProviderError, Said};
use crate::budget::candidates::worst_case;
use crate::catalog::{Catalog, EXTRACTIVE, ProviderEntry};
use crate::egress::Egress;
use crate::egress::fixtures::{borders, sovereignty};
use crate::question::Frame;
use crate::turn::{Answered, DraftContent, FrameSink, Turn};
use actix::prelude::*;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_kernel::obituary::{Died, Obituary};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::sovereignty::{InTransit, Region};
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

struct House {
    room: Addr<RoutingRoom>,
    egress: Arc<Egress>,
    exit: mpsc::UnboundedReceiver<Turn<Answered>>,
    _died: mpsc::UnboundedReceiver<Died>,
}

#[expect(clippy::disallowed_methods, reason = "test")]
fn house(clients: Clients) -> House {
    let (exit, answered) = collector();
    let (to, died) = collector::<Died>();
    let egress = borders(&policy(&[]));
    let parts = RoutingParts {
        lanes: clients.lanes(TenantKey::mint(uuid::Uuid::from_u128(1))),
        clients: Arc::new(clients),
        egress: Arc::clone(&egress),
        exit,
        clock: ManualClock::at(NOW),
        obituary: Obituary::new("routing", 1, to),
    };
    House { room: RoutingRoom::start(parts), egress, exit: answered, _died: died }
}

/// Calls of a provider: how many began, how many are over.
#[derive(Clone, Default)]
struct Calls(Arc<watch::Sender<(usize, usize)>>);

struct Over(Calls);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.0.send_modify(|(_, over)| *over += 1);
    }
}

impl Calls {
    /// A provider that says these words and then nothing, for ever.
    fn endless(&self, words: &'static str) -> Arc<Scripted> {
        let calls = self.clone();
        Scripted::new(move |sink: FrameSink| {
            let calls = calls.clone();
            Box::pin(async move {
                let _over = Over(calls.clone());
                if !words.is_empty() {
                    sink.send(Frame::Delta(words.into())).await.unwrap();
                }
                calls.0.send_modify(|(begun, _)| *begun += 1);
                std::future::pending().await
            })
        })
    }

    async fn begun(&self, times: usize) {
        self.0.subscribe().wait_for(|(begun, _)| *begun >= times).await.unwrap();
    }

    fn over(&self) -> usize {
        self.0.borrow().1
    }
}

fn entry_at(name: &str, region: &str) -> ProviderEntry {
    ProviderEntry { region: region.into(), ..entry(name, "scripted", "https://provider.example") }
}

fn answering(text: &'static str) -> Arc<Scripted> {
    Scripted::new(move |_sink| {
        let content = DraftContent::Grounded { text: text.into(), spans: Vec::new() };
        let said =
            Said { content, prompt_tokens: Some(1), completion_tokens: Some(1), relayed_chars: 0, cut_short: false };
        Box::pin(std::future::ready(Ok(said)))
    })
}

#[actix::test]
async fn a_call_to_a_region_that_is_withdrawn_ends_before_that_is_acknowledged() {
    let calls = Calls::default();
    let clients = Clients::default()
        .with(entry_at("primary", "eu-central-1"), calls.endless(""))
        .with(entry_at("second", "eu-west-1"), answering("Yes [1]."));
    let mut house = house(clients);
    let candidates = vec![candidate("primary", false), candidate("second", true)];
    let lost = worst_case(&candidates[0], PROMPT_TOKENS);
    let Funding { turn, asker: _asker, .. } = funded_with(NanoUsd(10_000_000), ask(), false, policy(&[]), candidates);
    house.room.try_send(turn).unwrap();
    calls.begun(1).await;
    house.egress.adopt(&sovereignty(&["eu-west-1"], &[]));
    house.egress.settled().await;
    assert_eq!(calls.over(), 1, "its connection is gone when the lists are in force");
    let answered = house.exit.recv().await.unwrap();
    let draft = &answered.stage.draft;
    assert!(draft.model.fallback && draft.model.region == "eu-west-1" && draft.rejection.is_none(), "{draft:?}");
    assert_eq!(answered.stage.hold.unsure(), lost, "what was sent may be billed");
}

#[actix::test]
async fn words_that_had_come_are_settled_and_the_asker_told_why() {
    let calls = Calls::default();
    let clients = Clients::default()
        .with(entry_at("primary", "eu-central-1"), calls.endless("Salt dissolves in water. "))
        .with(entry_at("second", "eu-west-1"), answering("never asked"));
    let mut house = house(clients);
    let candidates = vec![candidate("primary", false), candidate("second", true)];
    let Funding { turn, mut asker, .. } = funded(ask(), true, policy(&[]), candidates);
    house.room.try_send(turn).unwrap();
    calls.begun(1).await;
    while !matches!(asker.frames.recv().await.unwrap(), Frame::Delta(_)) {}
    house.egress.adopt(&sovereignty(&["eu-west-1"], &[]));
    house.egress.settled().await;
    let draft = house.exit.recv().await.unwrap().stage.draft.clone();
    let why = draft.rejection.unwrap();
    assert!(why.code == Code::SovereigntyViolation && why.detail.contains("eu-central-1"), "{why}");
    assert!(draft.completion_tokens > 0 && !draft.model.fallback, "nobody goes on with it");
}

#[actix::test]
async fn a_call_that_waits_for_its_place_is_decided_about_anew() {
    let calls = Calls::default();
    let crowded = ProviderEntry { concurrency: 1, ..entry_at("primary", "eu-central-1") };
    let house = house(Clients::default().with(crowded, calls.endless("")));
    let fund = || funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
    let (first, second) = (fund(), fund());
    house.room.try_send(first.turn).unwrap();
    calls.begun(1).await;
    house.room.try_send(second.turn).unwrap();
    house.egress.adopt(&sovereignty(&["eu-west-1"], &[]));
    for asker in [first.asker, second.asker] {
        assert_eq!(asker.reply().await.unwrap_err().code, Code::SovereigntyViolation);
    }
    assert_eq!(*calls.0.borrow(), (1, 1), "the second one never began");
}

#[actix::test]
async fn nothing_travels_without_tls_beyond_this_machine() {
    for (url, may) in [
        ("http://127.0.0.1:9/v1", true),
        ("http://[::1]:9/v1", true),
        ("http://localhost:9/v1", true),
        ("https://10.0.0.1/v1", true),
        ("http://10.0.0.1/v1", false),
        ("http://localhost.example/v1", false),
        ("http://127.0.0.1.example/v1", false),
        ("http://provider.example/v1", false),
        ("no url", false),
    ] {
        let entry = ProviderEntry { region: "eu-central-1".into(), ..entry("primary", "scripted", url) };
        let mut house = house(Clients::default().with(entry, answering("Yes [1].")));
        let Funding { turn, asker, .. } = funded(ask(), false, policy(&[]), vec![candidate("primary", false)]);
        house.room.try_send(turn).unwrap();
        if may {
            assert!(house.exit.recv().await.unwrap().stage.draft.rejection.is_none(), "{url}");
        } else {
            let refusal = asker.reply().await.unwrap_err();
            assert!(refusal.code == Code::SovereigntyViolation && refusal.detail.contains("TLS"), "{url}: {refusal}");
        }
    }
}

#[test]
fn the_embedded_provider_is_where_its_node_is() {
    let node = Region::named("us-west-2").unwrap();
    let clients = Clients::open(&Catalog::default(), &node).unwrap();
    assert_eq!(clients.get(EXTRACTIVE).unwrap().entry.region, "us-west-2");
    let policy = policy(&[]);
    let refusal = clients.get(EXTRACTIVE).unwrap().may_take(&borders(&policy), &policy.sovereignty).unwrap_err();
    assert!(refusal.detail.contains("us-west-2"), "whatever home the tenant's file names: {refusal}");
}

/// The versions of TLS a client offers in the first thing it says.
fn offered(hello: &[u8]) -> Vec<u16> {
    let number = |at: usize| usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
    // record header, handshake header, version, random; then session id, suites and compressions, each with its length
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(hello[at]);
    at += 2 + number(at);
    at += 1 + usize::from(hello[at]);
    let end = at + 2 + number(at);
    at += 2;
    while at < end {
        let (kind, length) = (number(at), number(at + 2));
        if kind == 43 {
            let versions = hello[at + 5..at + 4 + length].chunks(2);
            return versions.map(|version| u16::from_be_bytes([version[0], version[1]])).collect();
        }
        at += 4 + length;
    }
    Vec::new()
}

#[actix::test]
async fn an_older_tls_than_asked_for_is_not_even_offered() {
    const TLS12: u16 = 0x0303;
    const TLS13: u16 = 0x0304;
    for kind in ["openai", "anthropic"] {
        for (asked, versions) in [(InTransit::Tls13, vec![TLS13]), (InTransit::Tls12, vec![TLS13, TLS12])] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("https://{}", listener.local_addr().unwrap());
            let (_, open) = ALL.iter().find(|(known, _)| *known == kind).unwrap();
            let provider = open(&entry("upstream", kind, &url), asked).unwrap();
            let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
            let calling = actix_rt::spawn(provider.chat(PassedCall { body, sink: FrameSink::whole(), calling: None }));
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 5];
            socket.read_exact(&mut head).await.unwrap();
            let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
            socket.read_exact(&mut hello).await.unwrap();
            drop((socket, listener));
            let mut seen = offered(&[&head[..], &hello].concat());
            seen.sort_unstable_by(|one, other| other.cmp(one));
            assert_eq!(seen, versions, "{kind} {asked:?}");
            assert!(matches!(calling.await.unwrap(), Err(ProviderError::Passing(_) | ProviderError::Unsure { .. })));
        }
    }
}

/// A provider is there for whoever was cleared for its own region, and for nobody else.
#[test]
fn a_transfer_to_one_region_reaches_no_other() {
    let clients = Clients::default()
        .with(entry_at("near", "eu-west-1"), answering("near"))
        .with(entry_at("far", "eu-central-1"), answering("far"));
    let policy = policy(&[]);
    let egress = borders(&policy);
    let (near, far) = (clients.get("near").unwrap(), clients.get("far").unwrap());
    let transfer = near.depart(&egress, &policy.sovereignty).unwrap();
    assert!(near.reach(&transfer).is_some() && far.reach(&transfer).is_none());
}

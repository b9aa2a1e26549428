//! Answers remembered outside: two nodes that share them, whoever else could read or write there, and nobody there at all.
use super::messages::CacheState;
use super::shared::{Pending, SharedService, SharedStore};
use super::shell_tests::{QUESTION, answered, library, state_of};
use crate::question::{CacheControl, Matter};
use crate::supervisor::fixtures::*;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::sovereignty::Region;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Default)]
struct Memory {
    values: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    asked: AtomicUsize,
    is_mute: Mutex<bool>,
    is_unreached: Mutex<bool>,
}

impl Memory {
    async fn speak(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if *self.is_mute.lock().unwrap() {
            std::future::pending::<()>().await;
        }
    }

    fn names(&self) -> Vec<Vec<u8>> {
        self.values.lock().unwrap().keys().cloned().collect()
    }
}

impl SharedStore for Memory {
    fn is_ready(&self) -> bool {
        !*self.is_unreached.lock().unwrap()
    }

    fn ping(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.speak().await;
            Ok(())
        })
    }

    fn get<'a>(&'a self, key: &'a [u8], bytes_max: usize) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            self.speak().await;
            let found = self.values.lock().unwrap().get(key).cloned();
            Ok(found.map(|value| value.into_iter().take(bytes_max).collect()))
        })
    }

    fn put<'a>(&'a self, key: &'a [u8], value: &'a [u8], _ttl_ms: u64) -> Pending<'a, ()> {
        Box::pin(async move {
            self.speak().await;
            self.values.lock().unwrap().insert(key.to_vec(), value.to_vec());
            Ok(())
        })
    }
}

fn service(region: &str, memory: &Arc<Memory>) -> Arc<SharedService> {
    let region = Region::named(region).unwrap();
    Arc::new(SharedService::new(region, Duration::from_millis(20), memory.clone(), memory.clone()))
}

fn node(service: &Arc<SharedService>) -> Stage {
    let mut stage = Stage::new();
    stage.meter.release(100);
    stage.shared_cache = Some(Arc::clone(service));
    stage
}

fn sharing(change: impl FnOnce(&mut FileTexts)) -> Arc<PolicySnapshot> {
    policy("default", |texts| {
        caching(texts);
        let storage = "\nstorage:\n  cache_prefix: \"redis:tenant-default:\"\n";
        texts.get_mut("tenant.yaml").unwrap().push_str(storage);
        change(texts);
    })
}

async fn stored(service: &SharedService, times: u64) {
    eventually("the answer is put there", async || service.tally.stored.load(Ordering::SeqCst) >= times).await;
}

fn counts(service: &SharedService) -> BTreeMap<&'static str, u64> {
    service.tally.counts().into_iter().collect()
}

#[actix_rt::test]
async fn what_one_node_has_answered_another_answers_again_without_a_model() {
    let memory = Arc::new(Memory::default());
    let service = service("eu-west-1", &memory);
    let (one, two) = (node(&service), node(&service));
    let here = one.start(1, &sharing(|_| ())).with_documents(library()).await;
    let there = two.start(1, &sharing(|_| ())).with_documents(library()).await;
    let (first, _) = answered(here.knock(question(QUESTION))).await;
    stored(&service, 1).await;
    let (again, state) = answered(there.knock(question(QUESTION))).await;
    assert_eq!((state, two.meter.calls()), (Some(CacheState::Hit), 0));
    assert_eq!((&again.answer, &again.citations), (&first.answer, &first.citations));
    assert_eq!((again.model.provider.as_str(), again.usage.prompt_tokens), ("cache", 0));
    let name = memory.names().pop().unwrap();
    assert!(name.starts_with(b"redis:tenant-default:") && name.len() == "redis:tenant-default:".len() + 64);
    let text = String::from_utf8_lossy(&memory.values.lock().unwrap()[&name]).into_owned();
    assert!(!text.contains("amber") && !text.contains("metered"), "what lies there is sealed");
    // what the asker does not want is neither looked up nor put there
    let asked = memory.asked.load(Ordering::SeqCst);
    assert_eq!(state_of(&there, question("Which codeword has the cellar?")).await, Some(CacheState::Miss));
    super::shell_tests::wishing(&there, CacheControl::NoStore, question(QUESTION)).reply().await.unwrap();
    stored(&service, 2).await;
    assert_eq!(memory.asked.load(Ordering::SeqCst), asked + 2);
}

#[actix_rt::test]
async fn what_is_not_the_tenants_own_under_this_name_is_not_taken() {
    let memory = Arc::new(Memory::default());
    let service = service("eu-west-1", &memory);
    let one = node(&service);
    let mine = one.start(1, &sharing(|_| ()));
    let other = one.start(2, &sharing(|_| ()));
    let ask = || chat("What is the codeword?");
    mine.knock(ask()).reply().await.unwrap();
    stored(&service, 1).await;
    let my_name = memory.names().pop().unwrap();
    other.knock(ask()).reply().await.unwrap();
    stored(&service, 2).await;
    assert_eq!(one.meter.calls(), 2, "the same words of another tenant have another name");
    let its_name = memory.names().into_iter().find(|name| *name != my_name).unwrap();
    let spoils: [fn(Vec<u8>) -> Vec<u8>; 3] =
        [|its| its, |its| its.into_iter().map(|byte| byte ^ 1).collect(), |_| vec![7; 4 << 20]];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let its = memory.values.lock().unwrap()[&its_name].clone();
        memory.values.lock().unwrap().insert(my_name.clone(), spoil(its));
        let before = counts(&service)["stored"];
        // another node has nothing in its own memory
        let elsewhere = node(&service);
        assert_eq!(state_of(&elsewhere.start(1, &sharing(|_| ())), ask()).await, Some(CacheState::Miss), "{number}");
        stored(&service, before + 1).await;
    }
    assert_eq!(counts(&service)["refused"], 3);
    let elsewhere = node(&service);
    assert_eq!(state_of(&elsewhere.start(1, &sharing(|_| ())), ask()).await, Some(CacheState::Hit), "its own again");
}

#[actix_rt::test]
async fn a_cache_that_is_silent_delays_one_question_and_refuses_none() {
    let memory = Arc::new(Memory::default());
    let service = service("eu-west-1", &memory);
    let stage = node(&service);
    let tenant = stage.start(1, &sharing(|_| ()));
    *memory.is_mute.lock().unwrap() = true;
    for number in 0..5 {
        tenant.knock(chat(&format!("Question {number}"))).reply().await.unwrap();
    }
    assert_eq!((memory.asked.load(Ordering::SeqCst), stage.meter.calls()), (1, 5), "nobody else asks it for a second");
    *memory.is_mute.lock().unwrap() = false;
    tenant.clock.advance(1_001);
    tenant.knock(chat("Question 5")).reply().await.unwrap();
    stored(&service, 1).await;
}

#[actix_rt::test]
async fn while_a_cache_is_being_reached_nobody_looks_there_and_what_is_answered_is_put_there() {
    let memory = Arc::new(Memory::default());
    let service = service("eu-west-1", &memory);
    let stage = node(&service);
    let tenant = stage.start(1, &sharing(|_| ()));
    *memory.is_unreached.lock().unwrap() = true;
    for number in 1..=3 {
        let ask = chat(&format!("Question {number}"));
        assert_eq!(state_of(&tenant, ask).await, Some(CacheState::Miss));
        stored(&service, number).await;
    }
    let asked = memory.asked.load(Ordering::SeqCst);
    assert_eq!((asked, counts(&service)["failed"]), (3, 3), "asked to keep three answers, and for none");
    *memory.is_unreached.lock().unwrap() = false;
    let elsewhere = node(&service);
    let there = elsewhere.start(1, &sharing(|_| ()));
    assert_eq!(state_of(&there, chat("Question 3")).await, Some(CacheState::Hit));
}

#[actix_rt::test]
async fn nothing_goes_to_a_region_nobody_allowed_and_another_policy_has_other_names() {
    let memory = Arc::new(Memory::default());
    let abroad = service("us-east-1", &memory);
    let stage = node(&abroad);
    let tenant = stage.start(1, &sharing(|_| ()));
    let ask = || -> Matter { chat("What is the codeword?") };
    tenant.knock(ask()).reply().await.unwrap();
    eventually("it is given up", async || counts(&abroad)["failed"] >= 2).await;
    assert_eq!(memory.asked.load(Ordering::SeqCst), 0);
    let allowing = |texts: &mut FileTexts| edit(texts, "data-sovereignty.yaml", "- eu-central-1", "- us-east-1");
    tenant.adopt(&sharing(allowing)).await.unwrap();
    tenant.knock(ask()).reply().await.unwrap();
    stored(&abroad, 1).await;
    let longer = |texts: &mut FileTexts| {
        allowing(texts);
        edit(texts, "router.yaml", "ttl_s: 60", "ttl_s: 61");
    };
    tenant.adopt(&sharing(longer)).await.unwrap();
    assert_eq!(state_of(&tenant, ask()).await, Some(CacheState::Miss));
    stored(&abroad, 2).await;
    assert_eq!(memory.names().len(), 2);
}

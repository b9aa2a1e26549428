//! A model that embeds, for tests of the room: a number for each of a few matters, so that different words can mean the same.
use crate::question::{Completion, Matter, Reply};
use crate::supervisor::messages::AdmitAside;
use crate::turn::ReplyLine;
use actix::prelude::*;
use bailiwick_kernel::outcome::{Code, Rejection};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Semaphore;

/// Words of one line mean the same.
const MATTERS: [&[&str]; 5] = [
    &["car", "automobile", "vehicle"],
    &["heron", "egret", "wader"],
    &["money", "cash", "funds"],
    &["doctor", "physician"],
    &["house", "dwelling"],
];

/// What it has been asked, and how it answers.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The texts of each call, with the key it was made under.
    pub(super) calls: Vec<(String, Vec<String>)>,
    /// It refuses every call so.
    pub(super) refuses: Option<Rejection>,
    /// It answers with so many numbers more.
    pub(super) longer_by: usize,
    /// It answers a call for every permit.
    pub(super) gate: Option<Arc<Semaphore>>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Embedder {
    heard: Arc<Mutex<Heard>>,
}

impl Embedder {
    pub(super) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    /// Texts embedded so far under a key.
    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        self.heard().calls.iter().filter(|(by, _)| by == key).flat_map(|(_, texts)| texts.clone()).collect()
    }
}

fn vector(text: &str, longer_by: usize) -> Vec<f64> {
    let words: Vec<String> = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect();
    let count = |matter: &[&str]| words.iter().filter(|word| matter.contains(&word.as_str())).count() as f64;
    // whatever has no matter means a little of everything
    MATTERS.iter().map(|matter| count(matter) + 0.01).chain(std::iter::repeat_n(0.0, longer_by)).collect()
}

impl Actor for Embedder {
    type Context = Context<Self>;
}

impl Handler<AdmitAside> for Embedder {
    type Result = ();

    fn handle(&mut self, aside: AdmitAside, _: &mut Self::Context) {
        let Matter::Embed(body) = &aside.matter else { panic!("not to be embedded: {:?}", aside.matter) };
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        let mut heard = self.heard();
        let data: Vec<_> = (0..)
            .zip(&texts)
            .map(|(index, text): (u64, _)| json!({"index": index, "embedding": vector(text, heard.longer_by)}))
            .collect();
        heard.calls.push((aside.principal.key_id.clone(), texts));
        let (refused, gate) = (heard.refuses.clone(), heard.gate.clone());
        drop(heard);
        actix::spawn(async move {
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            answer(aside.line, refused, &data);
        });
    }
}

fn answer(line: ReplyLine, refused: Option<Rejection>, data: &[Value]) {
    match refused {
        Some(rejection) => line.reject(rejection),
        None => line.answer(Reply::Completion(Box::new(Completion {
            query_id: String::new(),
            body: json!({"data": data}),
            model: Default::default(),
            usage: Default::default(),
            policy_version: String::new(),
            receipt: String::new(),
        }))),
    }
}

/// The refusal of a provider that is not there.
pub(super) fn down() -> Rejection {
    Rejection::retry_after(Code::UpstreamFailed, "the provider is down", 1)
}

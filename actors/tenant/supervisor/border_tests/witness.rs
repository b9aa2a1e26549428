//! What the worlds are watched by: providers that note every piece they are sent, when and where, and a judge who knows
//! nothing of the house's own rules.
use crate::question::Frame;
use crate::routing::providers::{GroundedCall, PassedCall, Provider, ProviderError, ProviderFuture, Said};
use crate::supervisor::meter::bag_of_words;
use crate::turn::{DraftContent, FrameSink};
use bailiwick_kernel::clock::{Clock, ManualClock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// A beat at which every call ends.
pub(super) const LAST_BEAT: u64 = u64::MAX;

/// Both lists of a tenant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Lists {
    pub(super) allowed: Vec<String>,
    pub(super) forbidden: Vec<String>,
}

impl Lists {
    /// Whether bytes may be in a region: written from the words of the specification, letter by letter.
    pub(super) fn allow(&self, region: &str) -> bool {
        let stands_for = |pattern: &String| {
            let mut rest = region.chars();
            for letter in pattern.chars() {
                if letter == '*' {
                    return true;
                }
                if rest.next() != Some(letter) {
                    return false;
                }
            }
            rest.next().is_none()
        };
        let is_name = !region.is_empty()
            && !region.contains(|letter: char| !"abcdefghijklmnopqrstuvwxyz0123456789-".contains(letter));
        is_name && self.allowed.iter().any(stands_for) && !self.forbidden.iter().any(stands_for)
    }
}

/// Something that happened in one world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// These lists are on their way into force.
    Pushed(Lists),
    /// They are in force: the tenant has acknowledged them.
    Acknowledged,
    /// They are not: the ones before stay.
    Refused,
    /// A piece of a call was sent.
    Sent {
        at_unix_ms: u64,
        region: String,
        bytes: usize,
        /// How many lists had come into force when it was asked, where that is certain.
        asked_under: Option<usize>,
    },
    /// A room was made to panic.
    Panicked,
    /// A call is over, or was ended.
    Left(&'static str),
    /// A document was kept.
    Kept { at_unix_ms: u64, region: String, bytes: usize },
}

/// What a world is driven and watched by.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) clock: Arc<ManualClock>,
    pub(super) beat: watch::Sender<u64>,
    pub(super) events: Arc<Mutex<Vec<Event>>>,
}

impl Scene {
    pub(super) fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

/// All worlds of a stage, by number.
pub(super) type Scenes = Arc<Mutex<BTreeMap<u64, Scene>>>;

/// A provider that notes what it is sent.
pub(super) struct Witness {
    pub(super) region: &'static str,
    pub(super) scenes: Scenes,
    calls: Mutex<u64>,
}

/// How a call ends.
#[derive(Clone, Copy)]
enum End {
    Answered,
    Passing,
    BrokenOff,
    Lasting,
    Never,
}

impl Witness {
    pub(super) fn new(region: &'static str, scenes: &Scenes) -> Arc<Self> {
        Arc::new(Self { region, scenes: Arc::clone(scenes), calls: Mutex::new(0) })
    }

    /// How the next call goes: pieces, and its end. The same for the same calls in the same order.
    fn fate(&self, world: u64) -> (u64, End) {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        let mixed = (world.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ *calls).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
        let end = match mixed % 10 {
            0..5 => End::Answered,
            5 => End::Passing,
            6 => End::BrokenOff,
            7 => End::Lasting,
            _ => End::Never,
        };
        (1 + mixed / 10 % 4, end)
    }

    /// Is sent a text, a piece a beat, the first one at once.
    fn carry(&self, text: &str, sink: FrameSink, content: DraftContent) -> ProviderFuture<Said> {
        let (world, asked_under) = tags(text);
        let scene = self.scenes.lock().unwrap()[&world].clone();
        let (region, bytes, (mut pieces, end)) = (self.region, text.len(), self.fate(world));
        Box::pin(async move {
            let _leaves = Leaving(scene.clone(), region);
            let mut beat = scene.beat.subscribe();
            loop {
                let (at_unix_ms, region) = (scene.clock.now_unix_ms(), region.to_owned());
                scene.note(Event::Sent { at_unix_ms, region, bytes, asked_under });
                if *beat.borrow_and_update() == LAST_BEAT {
                    return Err(ProviderError::Lasting("the world ends".into()));
                }
                if sink.is_streaming() && sink.send(Frame::Delta("word ".into())).await.is_err() {
                    return Ok(said(content, true));
                }
                pieces -= u64::from(!matches!(end, End::Never));
                if pieces == 0 {
                    break;
                }
                beat.changed().await.unwrap();
            }
            match end {
                End::Answered | End::Never => Ok(said(content, false)),
                End::Passing => Err(ProviderError::Passing("down".into())),
                End::BrokenOff => Err(ProviderError::Unsure { detail: "broke off".into(), passing: true }),
                End::Lasting => Err(ProviderError::Lasting("no".into())),
            }
        })
    }
}

/// Notes the end of a call by its own `Drop`.
struct Leaving(Scene, &'static str);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.note(Event::Left(self.1));
    }
}

fn said(content: DraftContent, cut_short: bool) -> Said {
    Said { content, prompt_tokens: Some(10), completion_tokens: Some(2), relayed_chars: 0, cut_short }
}

/// A question names its world and, where that is certain, the lists it was asked under.
pub(super) fn tagged(world: u64, asked_under: Option<usize>, words: &str) -> String {
    format!("{words} w{world} u{}", asked_under.map_or("-".into(), |number| number.to_string()))
}

fn tags(text: &str) -> (u64, Option<usize>) {
    let mut words = text.split_whitespace().rev();
    let (under, world) = (words.next().unwrap(), words.next().unwrap());
    (world[1..].parse().unwrap(), under[1..].parse().ok())
}

impl Provider for Witness {
    fn answer(&self, call: GroundedCall) -> ProviderFuture<Said> {
        let content = match call.passages.first() {
            Some(passage) => DraftContent::Grounded { text: format!("{} [1]", passage.text), spans: Vec::new() },
            None => DraftContent::Abstained { reason: "there are no passages".into() },
        };
        self.carry(&call.question, call.sink, content)
    }

    fn chat(&self, call: PassedCall) -> ProviderFuture<Said> {
        let words = call.body["messages"][0]["content"].as_str().unwrap().to_owned();
        let content = DraftContent::Completion(serde_json::json!({"choices": [{"message": {"content": words}}]}));
        self.carry(&words, call.sink, content)
    }

    fn embed(&self, call: PassedCall) -> ProviderFuture<Said> {
        let text = call.body["input"].as_str().unwrap().to_owned();
        let embedding = serde_json::json!({"data": [{"index": 0, "embedding": bag_of_words(&text)}]});
        self.carry(&text, call.sink, DraftContent::Completion(embedding))
    }
}

/// What was found in a world.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Found {
    pub(super) pieces: u64,
    pub(super) bytes_sent: usize,
    pub(super) bytes_kept: usize,
    pub(super) bytes_outside: usize,
    pub(super) changes: u64,
    /// Calls that ended while lists were on their way that forbid them.
    pub(super) recalled: u64,
    pub(super) panics: u64,
}

/// Judges every byte of a world at its instant: by the lists in force then (while others are on their way, by either), and
/// by those its turn was asked under.
pub(super) fn judge(first: &Lists, events: &[Event]) -> Found {
    let (mut found, mut in_force, mut coming) = (Found::default(), vec![first.clone()], None::<Lists>);
    for event in events {
        let now = in_force.last().unwrap();
        let may_be = |region: &str| now.allow(region) || coming.as_ref().is_some_and(|lists| lists.allow(region));
        match event {
            Event::Pushed(lists) => coming = Some(lists.clone()),
            Event::Refused => coming = None,
            Event::Acknowledged => {
                in_force.push(coming.take().unwrap());
                found.changes += 1;
            }
            Event::Sent { region, bytes, asked_under, .. } => {
                let by_its_own = asked_under.is_none_or(|number| in_force[number].allow(region));
                found.pieces += 1;
                found.bytes_sent += bytes;
                found.bytes_outside += if may_be(region) && by_its_own { 0 } else { *bytes };
            }
            Event::Panicked => found.panics += 1,
            Event::Left(region) => {
                found.recalled += u64::from(coming.as_ref().is_some_and(|lists| !lists.allow(region)));
            }
            Event::Kept { region, bytes, .. } => {
                found.bytes_kept += bytes;
                found.bytes_outside += if may_be(region) { 0 } else { *bytes };
            }
        }
    }
    found
}

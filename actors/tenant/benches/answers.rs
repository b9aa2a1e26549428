//! Reads questions with their passages, one JSON object a line, and prints what the embedded provider makes of each: the
//! sentences it cites or why it refuses, its doubt and what that follows from. `benches/answers.py` and
//! `benches/support_fit.py` run it.
//!
//! `cargo bench -p bailiwick-tenant --bench answers -- FILE`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_tenant::routing::providers::extractive::doubts::doubt;
use bailiwick_tenant::routing::providers::extractive::reading::{Source, read};
use bailiwick_tenant::routing::providers::extractive::rules::{Finding, Shape, find};
use bailiwick_tenant::routing::providers::extractive::signals::{NAMES, signals};
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// Characters of an answer at most: those of the 1,000 tokens a call asks for unless it says otherwise.
const SHAPE: Shape = Shape { chars_max: 2_000, origins_min: 0 };

#[derive(Deserialize)]
struct Asked {
    question: String,
    passages: Vec<Given>,
}

#[derive(Deserialize)]
struct Given {
    title: String,
    text: String,
    score: f32,
}

fn main() {
    let path = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let Some(path) = path else { return };
    println!("{}", json!({ "signals": NAMES.as_slice() }));
    for line in BufReader::new(File::open(path).expect("the file of questions")).lines() {
        let asked: Asked = serde_json::from_str(&line.expect("a line")).expect("a question with passages");
        let given = asked.passages.iter();
        let sources: Vec<Source<'_>> = given
            .enumerate()
            .map(|(origin, given)| Source { title: &given.title, text: &given.text, score: given.score, origin })
            .collect();
        let signals = signals(&read(&asked.question, &sources));
        let (cited, reason) = match find(&asked.question, &sources, SHAPE) {
            Finding::Answer(cited) => (cited, None),
            Finding::Nothing { reason } => (Vec::new(), Some(reason)),
        };
        let cited: Vec<_> = cited.iter().map(|c| json!([c.marker, c.chars.start, c.chars.end, c.words])).collect();
        let doubt = doubt(&signals);
        let signals = signals.values();
        println!("{}", json!({ "cited": cited, "reason": reason, "doubt": doubt, "signals": signals.as_slice() }));
    }
}

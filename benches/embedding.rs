//! The local embedding model by itself, told what to embed on standard input, a line of JSON each: `{"texts": […],
//! "together": true}` cuts texts into tokens and batches and embeds them once, `{"round": 1}` embeds them again and says what
//! processor time that took. `benches/embedding.py` asks it and a reference in Python by turns.
//!
//! `cargo bench --bench embedding -- MODEL_FOLDER`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_tenant::embedding::batches::batches;
use bailiwick_tenant::embedding::workers::Workers;
use bailiwick_tenant::embedding::{Embedder, LocalModel};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use tikv_jemallocator::Jemalloc;
use zeroizing_alloc::ZeroAlloc;

/// As in the binary, which writes over what is freed; without jemalloc large buffers are given back to the system and cleared
/// again for each product.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<Jemalloc> = ZeroAlloc(Jemalloc);

/// Processor time of all threads of this process, in seconds (proc(5), schedstat).
fn processor_s() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of_one = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).unwrap_or(0.0)
    };
    tasks.map(|task| of_one(task.unwrap())).sum::<f64>() / 1e9
}

fn embed(model: &LocalModel, tokens: &[Vec<u32>], batches: &[Vec<usize>]) -> Vec<Vec<f32>> {
    let mut vectors = vec![Vec::new(); tokens.len()];
    for batch in batches {
        let texts: Vec<&[u32]> = batch.iter().map(|text| tokens[*text].as_slice()).collect();
        for (text, vector) in batch.iter().zip(model.encode(&texts).unwrap()) {
            vectors[*text] = vector;
        }
    }
    vectors
}

fn main() {
    let Some(folder) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')) else {
        return println!("embedding: name the folder of a model, or run benches/embedding.py");
    };
    let model = Arc::new(LocalModel::try_out(Path::new(&folder)).unwrap());
    let worker = Workers::start(1, "embedding", None).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut tokens, mut together) = (Arc::new(Vec::new()), Arc::new(Vec::new()));
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = if let Some(texts) = asked["texts"].as_array() {
            tokens =
                Arc::new(texts.iter().map(|text| model.tokens(text.as_str().unwrap()).unwrap()).collect::<Vec<_>>());
            let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
            let is_together = asked["together"].as_bool().unwrap();
            let cut = if is_together { batches(&lengths) } else { (0..lengths.len()).map(|text| vec![text]).collect() };
            together = Arc::new(cut);
            let work = (Arc::clone(&model), Arc::clone(&tokens), Arc::clone(&together));
            let vectors = runtime.block_on(worker.run(move || embed(&work.0, &work.1, &work.2))).unwrap();
            json!({"tokens": *tokens, "batches": *together, "vectors": vectors})
        } else {
            let work = (Arc::clone(&model), Arc::clone(&tokens), Arc::clone(&together));
            let began_s = processor_s();
            runtime.block_on(worker.run(move || drop(embed(&work.0, &work.1, &work.2)))).unwrap();
            json!({"cpu_s": processor_s() - began_s})
        };
        println!("{answer}");
        std::io::stdout().flush().unwrap();
    }
}

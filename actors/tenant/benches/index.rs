//! What it costs to search a sealed index beside a plain one: the same chunks, the same questions, one right after the other,
//! in turns; and that both find the same.
//!
//! `cargo bench -p bailiwick-tenant --bench index`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_policy::visibility::Visible;
use bailiwick_tenant::retrieval::{Chunk, FirstOfDocument, SearchIndex, Stamp, View, Wanted};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tantivy::directory::MmapDirectory;

const DOCUMENTS: usize = 20_000;
const WORDS_PER_CHUNK: usize = 120;
const VOCABULARY: usize = 30_000;
const QUESTIONS: usize = 500;
const ROUNDS: usize = 9;
const TOP_K: usize = 8;

/// A word of a language in which the n-th word is about 1/n as frequent as the first.
fn word(dice: &mut StdRng) -> String {
    let rank = (VOCABULARY as f64).powf(dice.random::<f64>()) as usize;
    format!("w{rank:x}z")
}

fn words(dice: &mut StdRng, count: usize) -> String {
    (0..count).map(|_| word(dice)).collect::<Vec<_>>().join(" ")
}

fn fill(index: &SearchIndex, texts: &[String]) {
    let mut writer = index.writer().unwrap();
    for (number, text) in texts.iter().enumerate() {
        let id = format!("d{number:06}");
        let chunk = Chunk {
            document_id: id.as_str(),
            title: "Measured",
            source: "upload.local/measured",
            domain: "general",
            usecase: "qa",
            text: text.as_str(),
            number: 0,
            start: 0,
            end: text.len(),
            page: None,
            trust_score: 1.0,
            version: number as u64,
            document_sha256: "",
            language: Default::default(),
        };
        writer.add(&chunk, FirstOfDocument::Yes).unwrap();
    }
    writer.commit(&Stamp { next: 1, guard: String::new() }).unwrap();
    writer.compact().unwrap();
    writer.finish().unwrap();
}

fn at(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6
}

fn main() {
    let (sealed_folder, plain_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cipher = Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(7))).unwrap();
    let mut dice = StdRng::seed_from_u64(7);
    let texts: Vec<String> = (0..DOCUMENTS).map(|_| words(&mut dice, WORDS_PER_CHUNK)).collect();
    let sealed = SearchIndex::open(sealed_folder.path(), &cipher).unwrap();
    let plain = SearchIndex::open_in(MmapDirectory::open(plain_folder.path()).unwrap()).unwrap();
    fill(&sealed, &texts);
    fill(&plain, &texts);
    let (sealed, plain) = (sealed.view().unwrap(), plain.view().unwrap());
    println!("{DOCUMENTS} chunks of {WORDS_PER_CHUNK} words; {} and {} segments", sealed.segments(), plain.segments());
    let wanted: Vec<Wanted> = (0..QUESTIONS)
        .map(|number| Wanted {
            text: words(&mut dice, 3 + number % 6),
            top_k: TOP_K,
            domain: (number % 3 == 0).then(|| "general".to_owned()),
            usecase: None,
            visible: Visible::everything(),
        })
        .collect();
    let mut found = 0;
    for wanted in &wanted {
        let (one, other) = (sealed.search(wanted).unwrap(), plain.search(wanted).unwrap());
        assert_eq!(one, other, "{}", wanted.text);
        found += one.len();
    }
    println!("{QUESTIONS} questions find the same {found} passages, scores and order included");
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let (mut in_sealed, mut in_plain) = (Vec::new(), Vec::new());
        for (number, wanted) in wanted.iter().enumerate() {
            let one = |view: &View, times: &mut Vec<Duration>| {
                let began = Instant::now();
                black_box(view.search(black_box(wanted)).unwrap());
                times.push(began.elapsed());
            };
            // each is the first one as often as the other
            if (number + round) % 2 == 0 {
                one(&sealed, &mut in_sealed);
                one(&plain, &mut in_plain);
            } else {
                one(&plain, &mut in_plain);
                one(&sealed, &mut in_sealed);
            }
        }
        let [p50, p95] = [50, 95].map(|percent| (at(&mut in_sealed, percent), at(&mut in_plain, percent)));
        println!(
            "round {round}: sealed p50 {:>6.1} us p95 {:>6.1} us   plain p50 {:>6.1} us p95 {:>6.1} us   ratio p50 {:.3} p95 {:.3}",
            p50.0,
            p95.0,
            p50.1,
            p95.1,
            p50.0 / p50.1,
            p95.0 / p95.1
        );
        ratios.push((p50.0 / p50.1, p95.0 / p95.1));
    }
    let median = |of: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = ratios.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    println!("median of {ROUNDS} rounds: sealed to plain p50 {:.3}, p95 {:.3}", median(|r| r.0), median(|r| r.1));
}

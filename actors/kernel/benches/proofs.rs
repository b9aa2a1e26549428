//! How many entries a second a journal makes durable, what a record of its own key costs beside sealing alone, and how long a
//! proof takes in a tree of ten million leaves, whose tiles lie sealed on a shelf as those of a tenant do.
//!
//! `cargo bench -p bailiwick-kernel --bench proofs`; `BAILIWICK_LEAVES` says how many leaves.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use bailiwick_kernel::cipher::{Cipher, Purpose};
use bailiwick_kernel::disclosure;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::shelf::{Key, Shelf, Vault};
use bailiwick_kernel::transparency::Hash;
use bailiwick_kernel::transparency::tree::{TileId, Tiles, check_inclusion, extend, leaf, prove_inclusion, root};
use futures_util::StreamExt;
use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

const LEAVES: u64 = 10_000_000;
const PORTION: u64 = 100_000;
const PROOFS: usize = 10_000;
const ENTRIES_FOR: Duration = Duration::from_secs(3);
const IN_FLIGHT: usize = 256;
const ENTRY: [u8; 400] = [7; 400];
const SEALED: usize = 200_000;

/// Tiles where the product has them: each is found under its key, opened and decoded whenever a proof needs it.
struct Kept(Shelf);

fn key(id: TileId) -> Key {
    Key::of("tile").number(u64::from(id.level)).number(id.number)
}

impl Tiles for Kept {
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, String> {
        self.0.get(&key(id)).map_err(|error| error.to_string())
    }
}

#[expect(clippy::disallowed_methods, reason = "bench")]
fn cipher() -> Cipher {
    Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(1))).unwrap()
}

fn durable_entries_per_second() -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let journal = Vault::open(folder.path()).unwrap().belongings(cipher()).unwrap().journal;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let appends = futures_util::stream::iter(0_u64..)
            .take_while(|_| std::future::ready(began.elapsed() < ENTRIES_FOR))
            .map(|_| journal.append(&[ENTRY.to_vec()]))
            .buffer_unordered(IN_FLIGHT);
        let count = appends.fold(0_u64, async |count, appended| count + u64::from(appended.is_ok())).await;
        count as f64 / began.elapsed().as_secs_f64()
    })
}

fn micros(mut round: impl FnMut()) -> f64 {
    let began = Instant::now();
    (0..SEALED).for_each(|_| round());
    began.elapsed().as_secs_f64() * 1e6 / SEALED as f64
}

fn main() {
    let cipher = cipher();
    let alone = micros(|| drop(black_box(cipher.seal(Purpose::Record, b"", &ENTRY).unwrap())));
    let own = micros(|| drop(black_box(disclosure::seal(&cipher, &ENTRY).unwrap())));
    println!(
        "seal {} bytes: under the tenant's key alone {alone:.2} us, under a key of its own {own:.2} us",
        ENTRY.len()
    );
    let (sealed, secrets) = (disclosure::seal(&cipher, &ENTRY).unwrap(), HashMap::new());
    println!("open it: {:.2} us", micros(|| drop(black_box(disclosure::open(&cipher, &sealed, &secrets).unwrap()))));
    println!(
        "durable entries of {} bytes: {:.0} a second, {IN_FLIGHT} in flight",
        ENTRY.len(),
        durable_entries_per_second()
    );

    let count: u64 = std::env::var("BAILIWICK_LEAVES").map_or(LEAVES, |leaves| leaves.parse().unwrap());
    let hash_of = |number: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        leaf(&bytes)
    };
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let kept = Kept(vault.shelf(cipher, "tiles").unwrap());
    let (began, mut size) = (Instant::now(), 0);
    while size < count {
        let leaves: Vec<Hash> = (size..(size + PORTION).min(count)).map(hash_of).collect();
        let changed = extend(&kept, size, &leaves).unwrap();
        let puts: Vec<(Key, Vec<u8>)> = changed.into_iter().map(|(id, hashes)| (key(id), hashes)).collect();
        kept.0.apply(&puts, &[]).unwrap();
        size += leaves.len() as u64;
    }
    vault.sync().unwrap();
    println!(
        "a tree of {size} leaves grown on a shelf in {:.1} s, {:.2} us a leaf",
        began.elapsed().as_secs_f64(),
        began.elapsed().as_secs_f64() * 1e6 / size as f64
    );
    let head = (size, root(&kept, size).unwrap());
    let mut took: Vec<Duration> = (0..PROOFS as u64)
        .map(|number| {
            let position = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
            let began = Instant::now();
            let proof = prove_inclusion(&kept, size, position).unwrap();
            let took = began.elapsed();
            check_inclusion(&proof, head, position, hash_of(position)).unwrap();
            took
        })
        .collect();
    took.sort();
    let at = |share: usize| took[(took.len() - 1) * share / 100].as_secs_f64() * 1e6;
    println!("inclusion proofs: p50 {:.0} us, p99 {:.0} us, all {PROOFS} verified", at(50), at(99));
}

//! What sealing and opening 1 KB costs, with and without a head that commits to the key, and what the first opening of a
//! data key costs beside the next ones.
//!
//! `cargo bench -p bailiwick-kernel --bench seal`
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measuring program: it stops at the first surprise"
)]
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bailiwick_kernel::cipher::{Cipher, OVERHEAD_BYTES, Purpose};
use bailiwick_kernel::ids::TenantKey;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 200_000;
const SAMPLES: usize = 9;
const PLAIN: [u8; 1_024] = [7; 1_024];
const NAME: &[u8] = b"";

/// The median of several samples, in microseconds a round.
fn micros(mut round: impl FnMut()) -> f64 {
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let began = Instant::now();
            (0..ROUNDS).for_each(|_| round());
            began.elapsed().as_secs_f64() * 1e6 / ROUNDS as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}

/// AES-256-GCM with a random nonce and nothing in front: the layout before this one.
struct Plain(LessSafeKey, SystemRandom);

impl Plain {
    fn associated(tenant: TenantKey) -> Vec<u8> {
        [tenant.as_bytes().as_slice(), &[1], NAME].concat()
    }

    fn seal(&self, tenant: TenantKey) -> Vec<u8> {
        let mut nonce = [0; 12];
        self.1.fill(&mut nonce).unwrap();
        let mut sealed = Vec::with_capacity(PLAIN.len() + 28);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&PLAIN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag =
            self.0.seal_in_place_separate_tag(nonce, Aad::from(Self::associated(tenant)), &mut sealed[12..]).unwrap();
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    fn open(&self, tenant: TenantKey, sealed: &[u8]) -> Vec<u8> {
        let nonce = Nonce::try_assume_unique_for_key(&sealed[..12]).unwrap();
        let mut body = sealed[12..].to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(Self::associated(tenant)), &mut body).unwrap().len();
        body.truncate(length);
        body
    }
}

#[expect(clippy::disallowed_methods, reason = "bench")]
fn main() {
    let tenant = TenantKey::mint(uuid::Uuid::from_u128(1));
    let cipher = || Cipher::derive(&[7; 32], tenant).unwrap();
    let plain = Plain(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap()), SystemRandom::new());
    let own = cipher();
    let (bare, sealed) = (plain.seal(tenant), own.seal(Purpose::Record, NAME, &PLAIN).unwrap());
    let earlier = cipher().seal(Purpose::Record, NAME, &PLAIN).unwrap();
    println!("{} bytes in front and behind, {} before", OVERHEAD_BYTES, bare.len() - PLAIN.len());

    let open = |sealed: &[u8]| black_box(own.open(Purpose::Record, NAME, sealed).unwrap());
    let seals = (
        micros(|| drop(black_box(plain.seal(tenant)))),
        micros(|| drop(black_box(own.seal(Purpose::Record, NAME, &PLAIN).unwrap()))),
    );
    let opens = (
        micros(|| drop(black_box(plain.open(tenant, &bare)))),
        micros(|| drop(open(&sealed))),
        micros(|| drop(open(&earlier))),
    );
    println!("seal 1 KB: without a head {:.3} us, with {:.3} us", seals.0, seals.1);
    println!(
        "open 1 KB: without a head {:.3} us, of this opening's data key {:.3} us, of an earlier one {:.3} us",
        opens.0, opens.1, opens.2
    );
    let fresh: Vec<Cipher> = (0..2_000).map(|_| cipher()).collect();
    let began = Instant::now();
    fresh.iter().for_each(|cipher| drop(black_box(cipher.open(Purpose::Record, NAME, &earlier).unwrap())));
    println!("first open of a data key: {:.3} us", began.elapsed().as_secs_f64() * 1e6 / fresh.len() as f64);
}

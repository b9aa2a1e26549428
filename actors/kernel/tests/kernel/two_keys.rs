//! AES-GCM commits to no key: whoever knows two keys makes bytes that open under both. Such bytes are made here, plain GCM
//! is shown to take them twice, and a cipher of the house to take them once at most.
//!
//! The construction: with everything but one block of ciphertext chosen, both tags are linear in that block over GF(2^128);
//! asking them to be equal is one equation in one unknown.
use super::{keys, tenant};
use aes::Aes256;
use aes::cipher::{BlockEncrypt, KeyInit};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use bailiwick_kernel::cipher::{Cipher, CipherError, Purpose};
use ghash::GHash;
use ghash::universal_hash::UniversalHash;

type Block = [u8; 16];

const NAME: &[u8] = b"handbook";
const NONCE: [u8; 12] = [3; 12];
const SALT: [u8; 16] = [4; 16];

/// A key of AES-GCM, what is authenticated beside the text, and the commitment the house derives with the key.
struct Side {
    key: [u8; 32],
    commitment: Block,
    associated: Vec<u8>,
}

struct FortyEight;
impl hkdf::KeyType for FortyEight {
    fn len(&self) -> usize {
        48
    }
}

/// The data key of version 1 of a tenant's key in `local`, as the layout has it.
fn side(number: u128, tenant_key: u8) -> Side {
    let (tenant, mut derived) = (tenant(number), [0; 48]);
    let context = [b"bailiwick data key v1".as_slice(), tenant.as_bytes(), &[0, 0, 0, 1], b"local"];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, &SALT).extract(&[tenant_key; 32]);
    prk.expand(&context, FortyEight).unwrap().fill(&mut derived).unwrap();
    Side {
        key: *derived.first_chunk().unwrap(),
        commitment: *derived.last_chunk().unwrap(),
        associated: [tenant.as_bytes().as_slice(), &[2], NAME].concat(),
    }
}

fn xor(a: Block, b: Block) -> Block {
    std::array::from_fn(|at| a[at] ^ b[at])
}

/// The product in the field as GCM writes it: the hash of one block is the block times the key.
fn times(a: Block, b: Block) -> Block {
    let mut hash = GHash::new(&b.into());
    hash.update(&[a.into()]);
    hash.finalize().into()
}

/// One, in GCM's order of bits.
const ONE: Block = (1_u128 << 127).to_be_bytes();

/// By Fermat: x^(2^128 - 2), the product of the squares of squares.
fn inverse(x: Block) -> Block {
    let (mut power, mut product) = (x, ONE);
    for _ in 1..128 {
        power = times(power, power);
        product = times(product, power);
    }
    assert_eq!(times(product, x), ONE);
    product
}

fn encrypt(key: &[u8; 32], block: Block) -> Block {
    let mut block = block.into();
    Aes256::new(key.into()).encrypt_block(&mut block);
    block.into()
}

/// The tag of two blocks of ciphertext, and by what the second one is multiplied in it.
fn tag(side: &Side, body: &[Block; 2]) -> (Block, Block) {
    let hash_key = encrypt(&side.key, [0; 16]);
    let mut hash = GHash::new(&hash_key.into());
    hash.update_padded(&side.associated);
    hash.update_padded(body.as_flattened());
    let bits = |bytes: usize| (bytes as u64 * 8).to_be_bytes();
    let lengths = [bits(side.associated.len()), bits(32)].concat();
    hash.update_padded(&lengths);
    let mut counter = [0; 16];
    counter[..12].copy_from_slice(&NONCE);
    counter[15] = 1;
    (xor(hash.finalize().into(), encrypt(&side.key, counter)), times(hash_key, hash_key))
}

/// Nonce, two blocks of ciphertext and the tag that both sides take.
fn ambiguous(first: &Side, second: &Side) -> Vec<u8> {
    let mut body = [*b"whatever it says", [0; 16]];
    let ((tag_a, factor_a), (tag_b, factor_b)) = (tag(first, &body), tag(second, &body));
    body[1] = times(xor(tag_a, tag_b), inverse(xor(factor_a, factor_b)));
    let (tag_a, tag_b) = (tag(first, &body).0, tag(second, &body).0);
    assert_eq!(tag_a, tag_b, "one tag for both");
    [NONCE.as_slice(), body.as_flattened(), &tag_a].concat()
}

fn opens_plainly(side: &Side, bytes: &[u8]) -> bool {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &side.key).unwrap());
    let mut body = bytes[12..].to_vec();
    key.open_in_place(Nonce::assume_unique_for_key(NONCE), Aad::from(&side.associated), &mut body).is_ok()
}

/// As the house lays it out, with the commitment of one side.
fn sealed(commitment: &Block, bytes: &[u8]) -> Vec<u8> {
    [[2].as_slice(), &[0, 0, 0, 1], &SALT, commitment, bytes].concat()
}

#[test]
fn bytes_made_for_two_keys_open_under_one_at_most() {
    // two keys of one tenant, as where a key is brought and exchanged, and the keys of two tenants
    for (other_tenant, other_key) in [(1, 6), (2, 6)] {
        let (first, second) = (side(1, 5), side(other_tenant, other_key));
        let bytes = ambiguous(&first, &second);
        assert!(opens_plainly(&first, &bytes) && opens_plainly(&second, &bytes), "plain AES-GCM takes it twice");
        let ciphers =
            [keys(1, &[5], "local"), keys(other_tenant, &[other_key], "local")].map(|k| Cipher::new(k).unwrap());
        let opened = |commitment: &Block| {
            ciphers.each_ref().map(|cipher| cipher.open(Purpose::Blob, NAME, &sealed(commitment, &bytes)))
        };
        let [by_first, by_second] = opened(&first.commitment);
        assert!(by_first.is_ok(), "the bytes are sound, but for whom they are committed to");
        assert_eq!(by_second, Err(CipherError::Refused));
        let [by_first, by_second] = opened(&second.commitment);
        assert!(by_second.is_ok());
        assert_eq!(by_first, Err(CipherError::Refused));
        assert_eq!(opened(&[0; 16]), [Err(CipherError::Refused), Err(CipherError::Refused)]);
    }
}

#[test]
fn the_field_is_that_of_gcm() {
    // test case 2 of the GCM specification: hash key and product are given there
    let hash_key = 0x66e9_4bd4_ef8a_2c3b_884c_fa59_ca34_2b2e_u128.to_be_bytes();
    let block = 0x0388_dace_60b6_a392_f328_c2b9_71b2_fe78_u128.to_be_bytes();
    assert_eq!(times(block, hash_key), 0x5e2e_c746_9170_6288_2c85_b068_5353_deb7_u128.to_be_bytes());
}

use super::checkpoint::{CheckpointError, Head, HeadSigner, read};
use super::tree::*;
use super::*;
use crate::ids::TenantKey;
use std::cell::RefCell;
use std::collections::HashMap;
use zeroize::Zeroizing;

#[derive(Default)]
struct Kept {
    tiles: HashMap<TileId, Vec<u8>>,
    reads: RefCell<usize>,
}

impl Tiles for Kept {
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, String> {
        *self.reads.borrow_mut() += 1;
        Ok(self.tiles.get(&id).cloned())
    }
}

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf(&[u8::try_from(number % 251).unwrap(); 32])).collect()
}

/// A tree grown in portions of these sizes.
fn grown(portions: impl IntoIterator<Item = usize>) -> (Kept, u64) {
    let (mut kept, mut size) = (Kept::default(), 0_u64);
    let all = leaves(5_000);
    for portion in portions {
        let from = usize::try_from(size).unwrap();
        kept.tiles.extend(extend(&kept, size, &all[from..from + portion]).unwrap());
        size += u64::try_from(portion).unwrap();
    }
    (kept, size)
}

/// The root as RFC 9162, section 2.1.1 defines it, by recursion.
fn defined(leaves: &[Hash]) -> Hash {
    match leaves {
        [only] => *only,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            tlog_tiles::node_hash(defined(&leaves[..split]), defined(&leaves[split..]))
        }
    }
}

#[test]
fn a_tree_grown_in_any_portions_has_the_root_the_rfc_defines() {
    for portions in [vec![1; 300], vec![700, 1, 255, 256, 257], vec![3; 100], vec![2_048, 2_048], vec![5_000]] {
        let (kept, size) = grown(portions.clone());
        assert_eq!(root(&kept, size).unwrap(), defined(&leaves(size)), "{portions:?}");
        for earlier in [1, 2, 255, 256, 257].into_iter().filter(|earlier| *earlier < size) {
            assert_eq!(root(&kept, earlier).unwrap(), defined(&leaves(earlier)));
        }
    }
    let (empty, _) = grown([]);
    assert_eq!(root(&empty, 0).unwrap(), tlog_tiles::EMPTY_HASH);
}

#[test]
fn every_leaf_is_proved_and_no_other_place_or_leaf_is() {
    let (kept, size) = grown([300, 411]);
    let (all, head) = (leaves(size), (size, root(&kept, size).unwrap()));
    for position in 0..size {
        let proof = prove_inclusion(&kept, size, position).unwrap();
        let own = all[usize::try_from(position).unwrap()];
        check_inclusion(&proof, head, position, own).unwrap();
        let elsewhere = (position + 1) % size;
        assert!(check_inclusion(&proof, head, elsewhere, own).is_err());
        assert!(check_inclusion(&proof, head, position, leaf(&[252; 32])).is_err());
        assert!(check_inclusion(&proof[1..], head, position, own).is_err());
        assert!(check_inclusion(&proof, (size - 1, head.1), position, own).is_err() || position + 1 < size);
    }
    assert!(prove_inclusion(&kept, size, size).is_err());
}

#[test]
fn a_tree_proves_that_it_begins_with_what_it_was_and_with_nothing_else() {
    let (kept, size) = grown([300, 411]);
    let at = |size: u64| (size, root(&kept, size).unwrap());
    for earlier in 1..=size {
        let proof = prove_consistency(&kept, size, earlier).unwrap();
        check_consistency(&proof, at(size), at(earlier)).unwrap();
        let forked = (earlier, leaf(&[252; 32]));
        assert!(check_consistency(&proof, at(size), forked).is_err());
    }
    assert!(prove_consistency(&kept, size, size + 1).is_err());
}

#[test]
fn a_large_tree_is_extended_and_proved_by_few_tiles() {
    let (kept, size) = grown([4_999]);
    *kept.reads.borrow_mut() = 0;
    prove_inclusion(&kept, size, 1_234).unwrap();
    extend(&kept, size, &leaves(1)).unwrap();
    assert!(*kept.reads.borrow() < 12, "{} tiles", kept.reads.borrow());
}

#[test]
fn a_missing_tile_is_said() {
    let (mut kept, size) = grown([600]);
    kept.tiles.remove(&TileId { level: 0, number: 1 });
    let told = prove_inclusion(&kept, size, 300).unwrap_err().to_string();
    assert!(told.contains("tile 0/1 is missing"), "{told}");
}

fn name(signer: &HeadSigner) -> String {
    signer.verifier_key().split('+').next().unwrap().to_owned()
}

fn head(signer: &HeadSigner) -> Head {
    Head {
        tenant: name(signer).rsplit('/').next().unwrap().to_owned(),
        size: 7,
        root: leaf(&[1; 32]),
        chain: "ab".repeat(32),
        answers: 2,
        charged_nano_usd: 350,
        at_unix_ms: 1_760_000_000_000,
    }
}

#[expect(clippy::disallowed_methods, reason = "test")]
fn signer(number: u8) -> HeadSigner {
    HeadSigner::new(TenantKey::mint(uuid::Uuid::from_u128(number.into())), &Zeroizing::new([number; 32]))
}

#[test]
fn a_head_is_read_by_whom_it_was_signed_for() {
    let signer = signer(1);
    let head = head(&signer);
    let note = signer.sign_head(&head).unwrap();
    assert_eq!(read(&note, &signer.verifier_key()).unwrap(), head);
}

#[test]
fn no_altered_head_is_accepted() {
    let signer = signer(1);
    let note = signer.sign_head(&head(&signer)).unwrap();
    let key = signer.verifier_key();
    for at in 0..note.len() {
        for bit in 0..8 {
            let mut altered = note.clone().into_bytes();
            altered[at] ^= 1 << bit;
            let Ok(altered) = String::from_utf8(altered) else { continue };
            assert!(read(&altered, &key).is_err(), "bit {bit} of byte {at}:\n{altered}");
        }
    }
}

#[test]
fn nobody_speaks_for_another_tenant() {
    let (one, other) = (signer(1), signer(2));
    let note = one.sign_head(&head(&one)).unwrap();
    assert!(matches!(read(&note, &other.verifier_key()), Err(CheckpointError::Unverified(_))));
    // signed by the other's key, about the first one's journal
    let forged = other.sign_head(&head(&one)).unwrap().replace(name(&other).as_str(), &name(&one));
    assert!(read(&forged, &one.verifier_key()).is_err());
    assert!(read(&forged, &other.verifier_key()).is_err());
    for key in ["", "a+b", "name+00000000+AAAA", &one.verifier_key().replace('+', "-")] {
        assert!(matches!(read(&note, key), Err(CheckpointError::Malformed(_))), "{key}");
    }
}

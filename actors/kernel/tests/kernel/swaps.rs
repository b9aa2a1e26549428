//! A hundred thousand times something sealed is put where it does not belong: nothing is taken.
use super::keys;
use super::vault::keep;
use bailiwick_kernel::cipher::{Cipher, CipherError, OVERHEAD_BYTES, Purpose};
use bailiwick_kernel::journal::JournalError;
use bailiwick_kernel::shelf::Vault;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

const SWAPS: u32 = 100_000;
const SEED: u64 = 0x5EA1;
const PURPOSES: [Purpose; 4] = [Purpose::Record, Purpose::Blob, Purpose::Shelf, Purpose::Index];
const NAMES: [&[u8]; 4] = [b"", b"leave", b"leave2", b"meta.json"];
const HEAD_BYTES: usize = 37;

/// Something sealed, and where it belongs.
struct Sealed {
    holder: usize,
    version: u8,
    purpose: Purpose,
    name: &'static [u8],
    bytes: Vec<u8>,
}

/// Who opens: tenant and region. The bytes of all keys are the same, of every tenant, region and version: what keeps them
/// apart is what the keys are bound to.
fn holders() -> Vec<(u128, &'static str)> {
    vec![(1, "local"), (2, "local"), (3, "local"), (1, "eu-west-1"), (2, "eu-west-1")]
}

fn cipher(holder: (u128, &'static str), versions: u8) -> Cipher {
    Cipher::new(keys(holder.0, &vec![9; usize::from(versions)], holder.1)).unwrap()
}

fn everything() -> Vec<Sealed> {
    let mut all = Vec::new();
    for (holder, who) in holders().into_iter().enumerate() {
        for (version, purpose) in [1, 2, 3].into_iter().flat_map(|version| PURPOSES.map(|purpose| (version, purpose))) {
            let cipher = cipher(who, version);
            // of equal length, so that parts of one fit another
            all.extend(NAMES.iter().map(|name| Sealed {
                holder,
                version,
                purpose,
                name,
                bytes: cipher.seal(purpose, name, b"what it says here").unwrap(),
            }));
        }
    }
    all
}

/// Bytes at the place of `to` that were not sealed for it.
fn misplaced(from: &Sealed, to: &Sealed, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = from.bytes.clone();
    let graft = |bytes: &mut Vec<u8>, places: std::ops::Range<usize>| {
        bytes[places.clone()].copy_from_slice(&to.bytes[places]);
    };
    let length = bytes.len();
    match random.random_range(0..6) {
        // as it is
        0 | 1 => {}
        // the head of what belongs here, the version it names, or the salt and commitment alone
        2 => graft(&mut bytes, 0..HEAD_BYTES),
        3 => graft(&mut bytes, 1..5),
        4 => graft(&mut bytes, 5..HEAD_BYTES),
        // the tag of what belongs here
        _ => graft(&mut bytes, length - 16..length),
    }
    bytes
}

#[test]
fn nothing_opens_at_another_place() {
    let mut random = StdRng::seed_from_u64(SEED);
    let readers: Vec<Cipher> = holders().into_iter().map(|who| cipher(who, 3)).collect();
    let all = everything();
    for sealed in &all {
        assert!(
            readers[sealed.holder].open(sealed.purpose, sealed.name, &sealed.bytes).is_ok(),
            "each at its own place"
        );
    }
    let (mut tried, mut accepted) = (0, 0);
    while tried < SWAPS {
        let (from, to) = (all.choose(&mut random).unwrap(), all.choose(&mut random).unwrap());
        let bytes = misplaced(from, to, &mut random);
        let place = |sealed: &Sealed| (sealed.holder, sealed.purpose as u8, sealed.name);
        // an older version at its own place belongs there; what another version is grafted onto does not
        let belongs = (place(from) == place(to) && bytes == from.bytes) || bytes == to.bytes;
        if belongs {
            continue;
        }
        tried += 1;
        let mut plain = vec![0; bytes.len() - OVERHEAD_BYTES];
        let opened = readers[to.holder].open(to.purpose, to.name, &bytes);
        let opened_into = readers[to.holder].open_into(to.purpose, to.name, &bytes, &mut plain);
        if opened != Err(CipherError::Refused) || opened_into != Err(CipherError::Refused) {
            accepted += 1;
        }
    }
    assert_eq!(accepted, 0);
    println!("{tried} swaps across tenant, region, version, purpose and object: {accepted} accepted");
    assert!(all.iter().any(|sealed| sealed.version == 2));
}

/// What stood under a name before, put back under it: the same tenant, purpose and name, and still it opens no more once what it
/// is of was replaced.
#[actix_rt::test]
async fn an_earlier_value_under_the_same_name_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path()).unwrap();
    let own = vault.belongings(cipher((1, "local"), 1)).unwrap();
    let tenant = own.journal.tenant();
    let stands = || {
        let digests = vault.store().blob_digests(tenant).unwrap();
        let digest = *digests.first().unwrap();
        (digest, vault.store().blob_under(tenant, &digest).unwrap().unwrap())
    };
    let first = keep(&own, "leave", "thirty days").await;
    let (digest, before) = stands();
    own.journal.shred(&[first], &["leave".to_owned()]).unwrap();
    let second = keep(&own, "leave", "twenty days").await;
    let (_, now) = stands();
    assert_ne!(before, now);
    vault.store().put_under(tenant, digest, before).unwrap();
    assert_eq!(own.journal.blob_get("leave").unwrap(), None);
    vault.store().put_under(tenant, digest, now).unwrap();
    assert_eq!(own.journal.blob_get("leave").unwrap().as_deref(), Some(b"twenty days".as_slice()));
    assert_eq!(own.journal.entry::<String>(second).unwrap().unwrap().1, "accepted leave");
    assert_eq!(own.journal.entry::<String>(first).unwrap_err(), JournalError::Shredded(first));
}

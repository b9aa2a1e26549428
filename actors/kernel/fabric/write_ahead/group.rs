//! What the log ahead of the store says, in bytes: changes, groups of them, and what the slots of the log begin with. Pure.
//!
//! A group is what one sync makes durable. It begins at a page of its own, so that no write touches a page that was
//! acknowledged, and has a header of 64 bytes: mark, segment and number (u64 each), bytes of its changes (u64), and SHA-256
//! of these four and the changes; numbers big-endian. The rest of its last page is zeros. A slot's first page is a header alone,
//! which says whose segment follows and whether it is still needed.
use crate::fabric::store::Pairs;
use aws_lc_rs::digest::{Context, SHA256};
use bincode::config;

/// Bytes of a page: the most that a disk is taken to write as a whole, and the least it is asked to write.
pub const PAGE_BYTES: usize = 4 << 10;
/// Bytes before a group's changes.
pub const HEADER_BYTES: usize = 64;
const DIGEST_AT: usize = 32;
/// Bytes of a decoded group's parts: what a digest vouches for is never that large.
const DECODED_BYTES_MAX: usize = 1 << 30;

/// One change of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A tree is there from now on, if it was not before.
    Create,
    /// A tree is gone with everything in it.
    Drop,
    /// A tree is empty.
    Clear,
    /// Writes, then removals, all of one unit.
    Apply(Pairs, Vec<Vec<u8>>),
}

type Parts = (u8, String, Pairs, Vec<Vec<u8>>);

const CREATE: u8 = 1;
const DROP: u8 = 2;
const CLEAR: u8 = 3;
const APPLY: u8 = 4;

/// Why bytes of the log are not what was written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Illegible(pub String);

/// Adds a change of a tree to the changes of a group.
///
/// # Errors
/// [`Illegible`] where it cannot be encoded; then nothing was added.
pub fn encode(tree: &str, change: &Change, into: &mut Vec<u8>) -> Result<(), Illegible> {
    let none = (Vec::new(), Vec::new());
    let (tag, puts, removals) = match change {
        Change::Create => (CREATE, &none.0, &none.1),
        Change::Drop => (DROP, &none.0, &none.1),
        Change::Clear => (CLEAR, &none.0, &none.1),
        Change::Apply(puts, removals) => (APPLY, puts, removals),
    };
    let before = into.len();
    bincode::encode_into_std_write((tag, tree, puts, removals), into, config::standard()).map(drop).map_err(|error| {
        into.truncate(before);
        Illegible(format!("a change cannot be noted: {error}"))
    })
}

/// The changes of a group, in their order.
///
/// # Errors
/// [`Illegible`] for anything [`encode`] did not write.
pub fn decode(mut changes: &[u8]) -> Result<Vec<(String, Change)>, Illegible> {
    let limited = config::standard().with_limit::<DECODED_BYTES_MAX>();
    let mut decoded = Vec::new();
    while !changes.is_empty() {
        let ((tag, tree, puts, removals), read): (Parts, usize) = bincode::decode_from_slice(changes, limited)
            .map_err(|error| Illegible(format!("a change cannot be read: {error}")))?;
        let change = match tag {
            CREATE => Change::Create,
            DROP => Change::Drop,
            CLEAR => Change::Clear,
            APPLY => Change::Apply(puts, removals),
            unknown => return Err(Illegible(format!("a change of the unknown kind {unknown}; use a newer build"))),
        };
        decoded.push((tree, change));
        changes = changes.get(read..).unwrap_or_default();
    }
    Ok(decoded)
}

/// What a header is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A slot whose segment is needed until the store has what it says.
    Live,
    /// A slot that may be written over.
    Retired,
    /// A group of changes.
    Group,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Live, Self::Retired, Self::Group];

    const fn mark(self) -> &'static [u8; 8] {
        match self {
            Self::Live => b"ahead1-L",
            Self::Retired => b"ahead1-R",
            Self::Group => b"ahead1-G",
        }
    }
}

/// A header that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What it is of.
    pub kind: Kind,
    /// The segment it belongs to.
    pub segment: u64,
    /// Counts the groups of all segments.
    pub number: u64,
    /// Bytes of changes that follow it.
    pub bytes: usize,
}

/// Bytes from a header to the next page that can begin with one.
#[must_use]
pub const fn span(changes: usize) -> usize {
    HEADER_BYTES.saturating_add(changes).div_ceil(PAGE_BYTES).saturating_mul(PAGE_BYTES)
}

fn digest(covered: &[u8], changes: &[u8]) -> [u8; HEADER_BYTES - DIGEST_AT] {
    let mut context = Context::new(&SHA256);
    context.update(covered);
    context.update(changes);
    let mut digest = [0; HEADER_BYTES - DIGEST_AT];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Completes a group whose changes stand in `whole` after [`HEADER_BYTES`] of room: writes the header, fills the last page.
pub fn seal(kind: Kind, segment: u64, number: u64, whole: &mut Vec<u8>) {
    let bytes = whole.len().saturating_sub(HEADER_BYTES);
    whole.resize(span(bytes), 0);
    let Some((header, rest)) = whole.split_first_chunk_mut::<HEADER_BYTES>() else { return };
    let (covered, sum) = header.split_at_mut(DIGEST_AT);
    let numbers = [segment, number, u64::try_from(bytes).unwrap_or(u64::MAX)].map(u64::to_be_bytes);
    covered.copy_from_slice(&[kind.mark().as_slice(), numbers.as_flattened()].concat());
    sum.copy_from_slice(&digest(covered, rest.get(..bytes).unwrap_or_default()));
}

/// The header at the start of these bytes, and its changes; nothing where no whole one begins there.
#[must_use]
pub fn open(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let (covered, sum) = header.split_at(DIGEST_AT);
    let (mark, numbers) = covered.split_first_chunk::<8>()?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.mark() == mark)?;
    let (numbers, _none) = numbers.as_chunks::<8>();
    let [segment, number, bytes] = <[[u8; 8]; 3]>::try_from(numbers).ok()?.map(u64::from_be_bytes);
    let bytes = usize::try_from(bytes).ok()?;
    let changes = rest.get(..bytes)?;
    (digest(covered, changes) == sum).then_some((Header { kind, segment, number, bytes }, changes))
}

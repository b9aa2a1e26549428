//! What the node remembers of a tenant's ownership: the newest epoch, and how far the journal was once verified. Pure.
//!
//! Layout: version byte, epoch, next position, head hash, check of these; numbers big-endian.
use super::chain::Head;
use super::record::{HASH_BYTES, check};
use crate::ids::{Epoch, Position};

const VERSION: u8 = 1;
const COVERED_BYTES: usize = 1 + 8 + 8 + HASH_BYTES;

/// The tree the entries stand in, one per tenant, under the tenant's sixteen bytes.
pub const TREE: &str = "ledger";

/// One tenant's entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The newest epoch given out.
    pub epoch: Epoch,
    /// The head the journal had when that epoch was given out.
    pub mark: Head,
}

/// The bytes of an entry.
#[must_use]
pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(COVERED_BYTES + 4);
    bytes.push(VERSION);
    bytes.extend_from_slice(&entry.epoch.0.to_be_bytes());
    bytes.extend_from_slice(&entry.mark.next.0.to_be_bytes());
    bytes.extend_from_slice(&entry.mark.hash);
    let check = check(&bytes);
    bytes.extend_from_slice(&check.to_be_bytes());
    bytes
}

/// Reads what [`encode`] wrote; nothing where it was altered.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Entry> {
    let (covered, stated) = bytes.split_first_chunk::<COVERED_BYTES>()?;
    if check(covered) != u32::from_be_bytes(stated.try_into().ok()?) {
        return None;
    }
    let ([version], fields) = covered.split_first_chunk::<1>()?;
    let (epoch, fields) = fields.split_first_chunk::<8>()?;
    let (next, hash) = fields.split_first_chunk::<8>()?;
    let mark = Head { next: Position(u64::from_be_bytes(*next)), hash: hash.try_into().ok()? };
    (*version == VERSION).then_some(Entry { epoch: Epoch(u64::from_be_bytes(*epoch)), mark })
}

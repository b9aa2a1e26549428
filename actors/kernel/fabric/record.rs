//! Record framing: the bytes of one journal record, and how a torn one is told from an altered one. Pure.
//!
//! Layout: version byte, which also says whether an append ends with the record, payload length (u32), epoch (u64), hash of the
//! previous record (32 bytes), check of these
//! (u32), payload, hash of this record (32 bytes); numbers big-endian. The check exists so that an altered length is
//! never mistaken for a torn write: only a record whose header is whole, or not even that long, can be torn.
use crate::ids::{Epoch, Position};

/// The version this build writes and reads, of a record that ends its unit …
pub const VERSION: u8 = 0xB1;
/// … and of one that is followed by more of it.
const VERSION_GOES_ON: u8 = 0xB2;
/// Bytes of a chain hash (SHA-256).
pub const HASH_BYTES: usize = 32;
const COVERED_BYTES: usize = 1 + 4 + 8 + HASH_BYTES;
const HEADER_BYTES: usize = COVERED_BYTES + 4;
/// What a frame adds to its payload.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + HASH_BYTES;

/// Whether more records of its append follow a record: an append counts as a whole or not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// More records of it follow.
    GoesOn,
    /// It ends here.
    Ends,
}

/// One record as framed; its hash is not verified yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Whether its append ends with it.
    pub unit: Unit,
    /// Epoch of the owner that wrote it.
    pub epoch: Epoch,
    /// Hash of the record before it.
    pub previous: [u8; HASH_BYTES],
    /// The sealed payload.
    pub payload: &'a [u8],
    /// Its own chain hash.
    pub hash: [u8; HASH_BYTES],
}

/// Why bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameFault {
    /// The bytes end before the frame does: a write was cut off.
    #[error("the record is torn: {have} of {need} bytes")]
    Torn {
        /// Bytes present.
        have: usize,
        /// Bytes a whole frame, or at least its header, needs.
        need: usize,
    },
    /// Written by a build this one does not know, or altered.
    #[error("its version byte {0:#04x} is unknown to this build")]
    Version(u8),
    /// The header was altered.
    #[error("its header does not match its check")]
    Header,
    /// More bytes than the header says.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
}

/// The key a record stands under: its position, big-endian, so that key order is journal order.
#[must_use]
pub fn key(position: Position) -> [u8; 8] {
    position.0.to_be_bytes()
}

/// The position a key stands for; nothing for a key that is none.
#[must_use]
pub fn position(key: &[u8]) -> Option<Position> {
    Some(Position(u64::from_be_bytes(key.try_into().ok()?)))
}

/// A 32-bit FNV-1a check: any altered byte changes it. Against accidents only; the chain hash is against hands.
#[must_use]
pub fn check(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Frames one record. `None` where the payload is longer than a frame can say.
#[must_use]
pub fn encode(frame: &Frame<'_>) -> Option<Vec<u8>> {
    let length = u32::try_from(frame.payload.len()).ok()?;
    let mut bytes = Vec::with_capacity(frame.payload.len() + OVERHEAD_BYTES);
    bytes.push(match frame.unit {
        Unit::Ends => VERSION,
        Unit::GoesOn => VERSION_GOES_ON,
    });
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&frame.epoch.0.to_be_bytes());
    bytes.extend_from_slice(&frame.previous);
    let check = check(&bytes);
    bytes.extend_from_slice(&check.to_be_bytes());
    bytes.extend_from_slice(frame.payload);
    bytes.extend_from_slice(&frame.hash);
    Some(bytes)
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// [`FrameFault::Torn`] for any proper prefix of a frame; another fault for everything else that is no frame.
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, FrameFault> {
    let header_torn = FrameFault::Torn { have: bytes.len(), need: HEADER_BYTES };
    let (covered, rest) = bytes.split_first_chunk::<COVERED_BYTES>().ok_or(header_torn)?;
    let (stated, body) = rest.split_first_chunk::<4>().ok_or(header_torn)?;
    let ([version], fields) = covered.split_first_chunk::<1>().ok_or(header_torn)?;
    let (length, fields) = fields.split_first_chunk::<4>().ok_or(header_torn)?;
    let (epoch, previous) = fields.split_first_chunk::<8>().ok_or(header_torn)?;
    let previous = <[u8; HASH_BYTES]>::try_from(previous).map_err(|_length| FrameFault::Header)?;
    let unit = match *version {
        VERSION => Unit::Ends,
        VERSION_GOES_ON => Unit::GoesOn,
        unknown => return Err(FrameFault::Version(unknown)),
    };
    if check(covered) != u32::from_be_bytes(*stated) {
        return Err(FrameFault::Header);
    }
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_width| FrameFault::Header)?;
    let torn = FrameFault::Torn { have: bytes.len(), need: length.saturating_add(OVERHEAD_BYTES) };
    let (payload, rest) = body.split_at_checked(length).ok_or(torn)?;
    let (hash, trailing) = rest.split_first_chunk::<HASH_BYTES>().ok_or(torn)?;
    if !trailing.is_empty() {
        return Err(FrameFault::Trailing(trailing.len()));
    }
    Ok(Frame { unit, epoch: Epoch(u64::from_be_bytes(*epoch)), previous, payload, hash: *hash })
}

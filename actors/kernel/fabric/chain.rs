//! The hash chain: each record's hash commits to its tenant, its place, its owner's epoch, its payload and, through
//! the previous hash, to everything before it. Pure.
use super::record::{self, Frame, FrameFault, HASH_BYTES, Unit};
use crate::ids::{Epoch, Position, TenantKey};
use aws_lc_rs::digest::{Context, SHA256, digest};

const GENESIS_DOMAIN: &[u8] = b"bailiwick journal genesis v1\0";
const RECORD_DOMAIN: &[u8] = b"bailiwick journal record v1\0";

/// Where a journal ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Where the next record will stand.
    pub next: Position,
    /// The hash the next record must carry as its previous one.
    pub hash: [u8; HASH_BYTES],
}

impl Head {
    /// The head of an empty journal: derived from the tenant, so that no journal can be passed for another's.
    #[must_use]
    pub fn genesis(tenant: TenantKey) -> Self {
        Self::genesis_of(tenant.as_bytes())
    }

    /// As [`Head::genesis`], for a verifier, who knows which journal it is told of and holds no tenant's key.
    #[must_use]
    pub fn genesis_of(journal: &[u8; 16]) -> Self {
        let mut bytes = GENESIS_DOMAIN.to_vec();
        bytes.extend_from_slice(journal);
        Self { next: Position(0), hash: fixed(digest(&SHA256, &bytes).as_ref()) }
    }

    /// The head after one more record, with the record's frame; `None` where the payload does not fit a frame.
    #[must_use]
    pub fn extend(&self, tenant: TenantKey, epoch: Epoch, payload: &[u8], unit: Unit) -> Option<(Self, Vec<u8>)> {
        let hash = link(tenant.as_bytes(), self.next, epoch, &self.hash, payload);
        let bytes = record::encode(&Frame { unit, epoch, previous: self.hash, payload, hash })?;
        Some((Self { next: self.next.next(), hash }, bytes))
    }
}

/// The chain hash of a record: every field but the last has a fixed width, so no two records hash alike.
#[must_use]
pub fn link(
    journal: &[u8; 16],
    at: Position,
    epoch: Epoch,
    previous: &[u8; HASH_BYTES],
    payload: &[u8],
) -> [u8; HASH_BYTES] {
    let mut context = Context::new(&SHA256);
    context.update(RECORD_DOMAIN);
    context.update(journal);
    context.update(&at.0.to_be_bytes());
    context.update(&epoch.0.to_be_bytes());
    context.update(previous);
    context.update(payload);
    fixed(context.finish().as_ref())
}

fn fixed(digest: &[u8]) -> [u8; HASH_BYTES] {
    let mut bytes = [0; HASH_BYTES];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    bytes
}

/// A place where a journal is not what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Which record.
    pub position: Position,
    /// What does not fit.
    pub reason: String,
}

/// One pass over a journal in key order, checking that it is dense, chained and whole.
#[derive(Clone, Debug)]
pub struct Walk {
    tenant: TenantKey,
    next: Position,
    /// The hash the next record must name; absent for a first record taken up in the middle.
    previous: Option<[u8; HASH_BYTES]>,
    /// A head this journal is known to have had.
    mark: Option<Head>,
    torn: Option<Position>,
    /// Where the unit began whose end has not come yet.
    unit: Option<Head>,
}

/// What a pass found at the end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    /// Where the whole units end; absent where the pass was taken up in the middle and met no record.
    pub head: Option<Head>,
    /// Records of a unit that was not written to its end, to be cut: the last of them may be torn.
    pub unfinished: Vec<Position>,
}

impl Walk {
    /// A pass over the whole journal.
    #[must_use]
    pub fn from_genesis(tenant: TenantKey) -> Self {
        let Head { next, hash } = Head::genesis(tenant);
        Self { tenant, next, previous: Some(hash), mark: None, torn: None, unit: None }
    }

    /// A pass that starts with the record at `first`: its own link to the one before is taken as it stands.
    #[must_use]
    pub fn starting_at(tenant: TenantKey, first: Position) -> Self {
        if first == Position(0) {
            Self::from_genesis(tenant)
        } else {
            Self { next: first, previous: None, ..Self::from_genesis(tenant) }
        }
    }

    /// Also checks that the journal still has a head it once had: its tail must not have been lost since.
    #[must_use]
    pub fn passing(mut self, mark: Head) -> Self {
        self.mark = Some(mark);
        self
    }

    /// Where the next record must stand.
    #[must_use]
    pub fn next(&self) -> Position {
        self.next
    }

    /// Takes the next record in key order. `Ok(None)` is a torn record, which is harmless only as the last one.
    ///
    /// # Errors
    /// [`Damage`] for a gap or an altered record.
    pub fn step<'a>(&mut self, key: &[u8], value: &'a [u8]) -> Result<Option<Frame<'a>>, Damage> {
        let at = record::position(key)
            .ok_or_else(|| self.damage(format!("a key of {} bytes stands where it should be", key.len())))?;
        if let Some(position) = self.torn {
            return Err(Damage { position, reason: String::from("it is torn, and records follow it") });
        }
        if at != self.next {
            return Err(self.damage(format!("it is missing, and record {} follows", at.0)));
        }
        let frame = match record::decode(value) {
            Ok(frame) => frame,
            Err(FrameFault::Torn { .. }) => {
                self.torn = Some(at);
                return Ok(None);
            }
            Err(fault) => return Err(self.damage(fault.to_string())),
        };
        if self.previous.is_some_and(|previous| previous != frame.previous) {
            return Err(self.damage(String::from("it does not name the hash of the record before it")));
        }
        if link(self.tenant.as_bytes(), at, frame.epoch, &frame.previous, frame.payload) != frame.hash {
            return Err(self.damage(String::from("its content does not match its hash")));
        }
        if self.mark.is_some_and(|mark| mark.next == at.next() && mark.hash != frame.hash) {
            return Err(self.damage(String::from("it is not the record that once stood here")));
        }
        self.unit = match frame.unit {
            Unit::Ends => None,
            Unit::GoesOn => self.unit.or(Some(Head { next: at, hash: frame.previous })),
        };
        self.next = at.next();
        self.previous = Some(frame.hash);
        Ok(Some(frame))
    }

    /// Ends the pass after the last record.
    ///
    /// # Errors
    /// [`Damage`] where the journal ends before a head it once had.
    pub fn finish(self) -> Result<End, Damage> {
        let head = self.unit.or(self.previous.map(|hash| Head { next: self.next, hash }));
        let whole = head.map_or(self.next, |head| head.next);
        match self.mark {
            Some(mark) if mark.next > whole => {
                let fate = if self.torn.is_some() { "torn" } else { "missing" };
                Err(self.damage(format!("it is {fate}, although the journal once had {} whole records", mark.next.0)))
            }
            _ => Ok(End { head, unfinished: (whole.0..self.next.0).map(Position).chain(self.torn).collect() }),
        }
    }

    fn damage(&self, reason: String) -> Damage {
        Damage { position: self.next, reason }
    }
}

//! The Merkle tree of a journal, kept in tiles (C2SP tlog-tiles): appending and proving read and write a few of them,
//! however large the tree is.
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tlog_tiles::{Error, Hash, HashReader, Tile};

/// Levels of the tree in one tile: 256 hashes, 8 KiB.
pub const TILE_LEVELS: u8 = 8;

/// Why the tree could not be extended, proved or verified.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A tile is missing or could not be read.
    #[error("reading the tree of the journal: {0}")]
    Storage(String),
    /// A proof does not prove it.
    #[error("checking a proof: {0}")]
    Proof(String),
}

impl From<Error> for TreeError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidInput(what) => Self::Storage(what),
            other => Self::Proof(other.to_string()),
        }
    }
}

/// Which tile: its level and its number there, from the left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TileId {
    /// Level, in units of [`TILE_LEVELS`].
    pub level: u8,
    /// Number from the left.
    pub number: u64,
}

/// Where tiles are kept: each the widest it has been so far.
pub trait Tiles {
    /// The hashes of a tile, 32 bytes each.
    ///
    /// # Errors
    /// The storage's own words.
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, String>;
}

/// The leaf of a record.
#[must_use]
pub fn leaf(chain_hash: &[u8; 32]) -> Hash {
    tlog_tiles::record_hash(chain_hash)
}

/// Hashes that are kept, and those that are to be.
struct Reader<'a, T> {
    tiles: &'a T,
    fresh: HashMap<u64, Hash>,
}

impl<T: Tiles> Reader<'_, T> {
    fn hash(&self, index: u64, read: &mut HashMap<TileId, Vec<u8>>) -> Result<Hash, Error> {
        if let Some(hash) = self.fresh.get(&index) {
            return Ok(*hash);
        }
        let tile = Tile::from_index(TILE_LEVELS, index);
        let id = TileId { level: tile.level(), number: tile.level_index() };
        let data = match read.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let data = self.tiles.tile(id).map_err(Error::InvalidInput)?;
                let missing = || Error::InvalidInput(format!("tile {}/{} is missing", id.level, id.number));
                place.insert(data.ok_or_else(missing)?)
            }
        };
        tile.hash_at_index(data, index)
    }
}

impl<T: Tiles> HashReader for Reader<'_, T> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let mut read = HashMap::new();
        indexes.iter().map(|index| self.hash(*index, &mut read)).collect()
    }
}

/// The tiles that change when leaves are appended to a tree of this size.
///
/// # Errors
/// [`TreeError::Storage`] where a tile the tree should have cannot be read.
pub fn extend(tiles: &impl Tiles, size: u64, leaves: &[Hash]) -> Result<Vec<(TileId, Vec<u8>)>, TreeError> {
    let mut reader = Reader { tiles, fresh: HashMap::with_capacity(leaves.len().saturating_mul(2)) };
    let mut next = size;
    for leaf in leaves {
        let hashes = tlog_tiles::stored_hashes_for_record_hash(next, *leaf, &reader)?;
        let first = tlog_tiles::stored_hash_index(0, next);
        reader.fresh.extend((first..).zip(hashes));
        next = next.saturating_add(1);
    }
    let changed = Tile::new_tiles(TILE_LEVELS, size, next).into_iter().map(|tile| {
        let id = TileId { level: tile.level(), number: tile.level_index() };
        Ok((id, tile.read_data(&reader)?))
    });
    changed.collect()
}

fn reader<T: Tiles>(tiles: &T) -> Reader<'_, T> {
    Reader { tiles, fresh: HashMap::new() }
}

/// The root of the tree of the first `size` leaves.
///
/// # Errors
/// [`TreeError::Storage`].
pub fn root(tiles: &impl Tiles, size: u64) -> Result<Hash, TreeError> {
    Ok(tlog_tiles::tree_hash(size, &reader(tiles))?)
}

/// The proof that a leaf is in the tree of the first `size` leaves.
///
/// # Errors
/// [`TreeError::Storage`], also where it is not.
pub fn prove_inclusion(tiles: &impl Tiles, size: u64, position: u64) -> Result<Vec<Hash>, TreeError> {
    Ok(tlog_tiles::prove_record(size, position, &reader(tiles))?)
}

/// The proof that the tree of the first `size` leaves begins with that of the first `earlier` ones.
///
/// # Errors
/// [`TreeError::Storage`], also where `earlier` is 0 or beyond `size`.
pub fn prove_consistency(tiles: &impl Tiles, size: u64, earlier: u64) -> Result<Vec<Hash>, TreeError> {
    Ok(tlog_tiles::prove_tree(size, earlier, &reader(tiles))?)
}

/// Whether a leaf is in the tree with this root.
///
/// # Errors
/// [`TreeError::Proof`].
pub fn check_inclusion(proof: &[Hash], (size, root): (u64, Hash), position: u64, leaf: Hash) -> Result<(), TreeError> {
    tlog_tiles::check_record(&proof.to_vec(), size, root, position, leaf)
        .map_err(|error| TreeError::Proof(error.to_string()))
}

/// Whether one tree begins with the other.
///
/// # Errors
/// [`TreeError::Proof`].
pub fn check_consistency(
    proof: &[Hash],
    (size, root): (u64, Hash),
    (earlier, earlier_root): (u64, Hash),
) -> Result<(), TreeError> {
    tlog_tiles::check_tree(&proof.to_vec(), size, root, earlier, earlier_root)
        .map_err(|error| TreeError::Proof(error.to_string()))
}

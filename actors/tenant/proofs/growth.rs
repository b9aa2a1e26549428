//! A journal reckoned anew from its sealed records, and held against the head that was signed. Pure; knows nothing of what its
//! records say.
use super::forms::{Header, ShownRecord};
use super::verifier::{Unverified, signed};
use bailiwick_kernel::disclosure::Shown;
use bailiwick_kernel::fabric::chain;
use bailiwick_kernel::transparency::Hash;
use bailiwick_kernel::transparency::checkpoint::{self, Head};
use bailiwick_kernel::transparency::tree::{self, TileId, Tiles, TreeError};
use std::collections::HashMap;

/// Leaves that are put into the tree at once.
const LEAVES_AT_ONCE: usize = 4_096;

/// A tree that is reckoned anew, leaf by leaf.
#[derive(Default)]
pub struct Reckoned {
    tiles: Reckoning,
    leaves: Vec<Hash>,
    grown: u64,
}

#[derive(Default)]
struct Reckoning(HashMap<TileId, Vec<u8>>);

impl Tiles for Reckoning {
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(&id).cloned())
    }
}

impl Reckoned {
    /// The next record, by its chain hash.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn push(&mut self, chain_hash: &[u8; 32]) -> Result<(), TreeError> {
        self.leaves.push(tree::leaf(chain_hash));
        if self.leaves.len() >= LEAVES_AT_ONCE { self.grow() } else { Ok(()) }
    }

    fn grow(&mut self) -> Result<(), TreeError> {
        let leaves = std::mem::take(&mut self.leaves);
        let changed = tree::extend(&self.tiles, self.grown, &leaves)?;
        self.tiles.0.extend(changed);
        self.grown = self.grown.saturating_add(u64::try_from(leaves.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// How many records there were, and the root of their tree.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn root(&mut self) -> Result<(u64, Hash), TreeError> {
        if !self.leaves.is_empty() {
            self.grow()?;
        }
        Ok((self.grown, tree::root(&self.tiles, self.grown)?))
    }
}

/// A record that follows those before it.
pub struct Grown {
    /// Itself.
    pub shown: Shown,
    /// Its chain hash.
    pub hash: [u8; 32],
}

/// A journal that is being held against a signed head, record by record.
pub struct Growth {
    journal: [u8; 16],
    head: Head,
    earlier: Option<Head>,
    chain: chain::Head,
    tree: Reckoned,
}

impl Growth {
    /// Begins with the head that was signed, and an earlier one it must have grown from, where there is one.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn begin(header: &Header, verifier_key: Option<&str>, earlier: Option<&str>) -> Result<Self, Unverified> {
        let (journal, head) = signed(header, verifier_key)?;
        let key = verifier_key.unwrap_or(&header.verifier_key);
        let earlier = earlier.map(|note| checkpoint::read(note, key)).transpose()?;
        Ok(Self { chain: chain::Head::genesis_of(&journal), journal, head, earlier, tree: Reckoned::default() })
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// [`Unverified::NotInJournal`] where it does not follow the one before it; [`Unverified::NotTheSigned`] where the journal
    /// was another one when the earlier head was signed.
    pub fn record(&mut self, record: &ShownRecord) -> Result<Grown, Unverified> {
        let shown = record.shown()?;
        let position = shown.position.0;
        if shown.position != self.chain.next || shown.previous != self.chain.hash {
            let reason = format!("it should stand at {} behind the record before it", self.chain.next.0);
            return Err(Unverified::NotInJournal { position, reason });
        }
        let hash = shown.chain_hash(&self.journal);
        self.chain = chain::Head { next: shown.position.next(), hash };
        self.tree.push(&hash).map_err(|error| self.not_reckoned(&error))?;
        if let Some(earlier) = self.earlier.as_ref().filter(|earlier| earlier.size == self.chain.next.0) {
            let signed = earlier.root;
            let meaning = "the journal was written anew since the earlier head was signed";
            compare("the root", self.root()?.1, signed, meaning)?;
        }
        Ok(Grown { shown, hash })
    }

    fn root(&mut self) -> Result<(u64, Hash), Unverified> {
        let root = self.tree.root();
        root.map_err(|error| self.not_reckoned(&error))
    }

    fn not_reckoned(&self, error: &TreeError) -> Unverified {
        Unverified::NotInJournal { position: self.chain.next.0, reason: error.to_string() }
    }

    /// Ends it: everything that was signed must have come. Gives what was signed.
    ///
    /// # Errors
    /// [`Unverified::NotTheSigned`].
    pub fn end(mut self) -> Result<Head, Unverified> {
        let (grown, root) = self.root()?;
        compare("a number of records", grown, self.head.size, "records are missing or were added")?;
        compare("the root", root, self.head.root, "records were changed")?;
        compare("the last chain hash", hex::encode(self.chain.hash), self.head.chain.clone(), "records were changed")?;
        if let Some(earlier) = &self.earlier
            && earlier.size > self.head.size
        {
            let meaning = "records that were signed for before are gone";
            compare("a number of records", self.head.size, earlier.size, meaning)?;
        }
        Ok(self.head)
    }
}

/// Refuses what is not what was signed.
///
/// # Errors
/// [`Unverified::NotTheSigned`].
pub(super) fn compare<T: PartialEq + ToString>(
    what: &'static str,
    found: T,
    signed: T,
    meaning: &'static str,
) -> Result<(), Unverified> {
    if found == signed {
        return Ok(());
    }
    Err(Unverified::NotTheSigned { what, found: found.to_string(), signed: signed.to_string(), meaning })
}

//! A lineage file held against the journal it was told from: line by line, in the order of the records. Pure. The journal is
//! verified beside it, so that a line that equals what its record says is what was signed.
use super::verifier::{Said, Unverified};
use crate::entry::Entry;
use crate::imports::records::LineageImport;
use crate::imports::rules::Imports;
use crate::supervisor::lineage_forms::{imported_of, lineage_of};
use crate::supervisor::messages::LineageLine;
use bailiwick_kernel::ids::Position;
use std::collections::{BTreeMap, VecDeque};

/// What comes next in the file.
enum Next {
    /// This line.
    Line(Box<LineageLine>),
    /// Any number of lines about a record whose words are not shown.
    Unshown {
        /// Which.
        seq: u64,
        /// Its chain hash.
        hash: String,
    },
}

/// What another system wrote, of one record: told whole, or not at all where its import was taken back.
struct Brought {
    file_sha256: [u8; 32],
    is_begun: bool,
    lines: VecDeque<LineageLine>,
}

/// A lineage file that is being verified.
pub struct Lineage {
    tenant: String,
    imports: Imports,
    /// By position of their record.
    brought: BTreeMap<u64, Brought>,
    /// The record the last line was about.
    last_seq: u64,
    expected: VecDeque<Next>,
    waiting: usize,
    number: u64,
    unproved: u64,
}

/// What a lineage file comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traced {
    /// Lines.
    pub lines: u64,
    /// Lines about records whose words are not shown: that they stand there is proved, what they say is not.
    pub unproved: u64,
}

impl Lineage {
    /// Begins, with the name of the tenant as the journal's export has it.
    #[must_use]
    pub fn of(tenant: &str) -> Self {
        let (imports, brought, last_seq) = (Imports::default(), BTreeMap::new(), 0);
        Self {
            tenant: tenant.to_owned(),
            imports,
            brought,
            last_seq,
            expected: VecDeque::new(),
            waiting: 0,
            number: 0,
            unproved: 0,
        }
    }

    /// Takes the next record of the verified journal.
    pub fn record(&mut self, said: Said) {
        let Some(entry) = said.entry else {
            self.expected.push_back(Next::Unshown { seq: said.position, hash: hex::encode(said.hash) });
            return;
        };
        if let Entry::LineageImported(import) = &entry {
            self.imports.apply(Position(said.position), import);
            if let LineageImport::Lines(record) = import.as_ref() {
                let lines = imported_of(&self.tenant, Position(said.position), &said.hash, record).into();
                let brought = Brought { file_sha256: record.file_sha256, is_begun: false, lines };
                self.brought.insert(said.position, brought);
            }
        }
        let lineage = lineage_of(&self.tenant, Position(said.position), &said.hash, entry);
        for line in lineage.into_iter().flat_map(|record| record.lines) {
            self.expected.push_back(Next::Line(Box::new(line)));
            self.waiting = self.waiting.saturating_add(1);
        }
    }

    /// True while the records taken so far have lines that have not come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Takes the next line of the file.
    ///
    /// # Errors
    /// [`Unverified::NotInLineage`].
    pub fn line(&mut self, text: &str) -> Result<(), Unverified> {
        self.number = self.number.saturating_add(1);
        let found: LineageLine =
            serde_json::from_str(text).map_err(|error| self.differs(format!("it is no line of lineage: {error}")))?;
        if found.seq < self.last_seq {
            return Err(self.differs("it was moved: it is of an earlier record than the line before it".to_owned()));
        }
        self.last_seq = found.seq;
        if let Some(brought) = self.brought.get_mut(&found.seq) {
            brought.is_begun = true;
            if brought.lines.pop_front().is_some_and(|expected| expected == found) {
                return Ok(());
            }
            let reason = format!("record {} brought other lines in: it was edited, moved or put in", found.seq);
            return Err(self.differs(reason));
        }
        while let Some(next) = self.expected.front() {
            match next {
                Next::Unshown { seq, hash } if *seq == found.seq => {
                    if *hash != found.hash {
                        return Err(self.differs(format!("record {seq} has another chain hash")));
                    }
                    self.unproved = self.unproved.saturating_add(1);
                    return Ok(());
                }
                Next::Unshown { .. } => {}
                Next::Line(expected) if **expected == found => {
                    self.expected.pop_front();
                    self.waiting = self.waiting.saturating_sub(1);
                    return Ok(());
                }
                Next::Line(expected) => {
                    let told = format!("the journal has {} of record {} here", expected.query_id, expected.seq);
                    return Err(
                        self.differs(format!("it was edited, moved or put in, or lines before it are missing: {told}"))
                    );
                }
            }
            self.expected.pop_front();
        }
        Err(self.differs("the journal has no record it could tell of: it was put in".to_owned()))
    }

    fn differs(&self, reason: String) -> Unverified {
        Unverified::NotInLineage { line: self.number, reason }
    }

    /// Ends it: every line must have come.
    ///
    /// # Errors
    /// [`Unverified::NotInLineage`].
    pub fn end(self) -> Result<Traced, Unverified> {
        for (position, brought) in &self.brought {
            let is_shown = self.imports.shows_of(Position(*position), &brought.file_sha256);
            if !brought.lines.is_empty() && (brought.is_begun || is_shown) {
                let reason = format!("lines that record {position} brought in are missing");
                return Err(Unverified::NotInLineage { line: self.number.saturating_add(1), reason });
            }
        }
        let missing = self.expected.iter().find_map(|next| match next {
            Next::Line(line) => Some(line),
            Next::Unshown { .. } => None,
        });
        match missing {
            Some(line) => {
                let reason =
                    format!("the file ends before {} of record {}: lines were cut off", line.query_id, line.seq);
                Err(Unverified::NotInLineage { line: self.number.saturating_add(1), reason })
            }
            None => Ok(Traced { lines: self.number, unproved: self.unproved }),
        }
    }
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;

//! What follows from what is written down of a migration. Pure.
use bailiwick_policy::digest::sha256_hex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Characters of the digest in a document's id.
const ID_DIGITS: usize = 32;

/// The id of a document: the same for the same content at the same place of the corpus, and for nothing else.
#[must_use]
pub fn document_id(path: &str, content_sha256: &str) -> String {
    let digest = sha256_hex(format!("{path}\0{content_sha256}").as_bytes());
    format!("migrated-{}", digest.get(..ID_DIGITS).unwrap_or(&digest))
}

/// How a migration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is written down what is to be done; nothing is.
    #[default]
    Planned,
    /// It is under way.
    Moving,
    /// Everything was tried.
    Complete,
    /// It stays.
    Confirmed,
    /// It is being taken back.
    Leaving,
    /// It was taken back.
    Left,
}

impl Stage {
    /// The stage as it is told.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Moving => "moving",
            Self::Complete => "complete",
            Self::Confirmed => "confirmed",
            Self::Leaving => "being rolled back",
            Self::Left => "rolled back",
        }
    }
}

/// A file of the tenant's folder that changes hands. Digests are SHA-256 in hexadecimal; none where there is no such file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Swap {
    /// As it stands before.
    pub from: Option<String>,
    /// As it stands afterwards.
    pub to: Option<String>,
}

/// One thing written down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// These files of the tenant's folder are exchanged from now on.
    Placing {
        /// File to its digests.
        files: BTreeMap<String, Swap>,
    },
    /// They are, and are in force.
    Placed,
    /// These documents may be in the tenant from now on, and were not before.
    Sending {
        /// Id to the file's path in the corpus.
        documents: BTreeMap<String, String>,
    },
    /// They are.
    Taken {
        /// Ids.
        ids: BTreeSet<String>,
    },
    /// A file of the corpus was not taken.
    Failed {
        /// Its path in the corpus.
        path: String,
        /// Why.
        problem: String,
    },
    /// These documents are out again.
    Removed {
        /// Ids.
        ids: BTreeSet<String>,
    },
    /// The file of lineage that is imported.
    Lineage {
        /// SHA-256 of it as it was then, in hexadecimal: its name on the server.
        file_sha256: String,
        /// Bytes it had then.
        bytes: u64,
    },
    /// Lines of it that were looked at, and those that were kept.
    Imported {
        /// The last line's number.
        to: u64,
        /// How many are kept.
        lines: u64,
    },
    /// Everything was tried once.
    Complete,
    /// It stays.
    Confirmed,
    /// It goes back from now on.
    Leaving,
    /// It is gone.
    Left,
}

/// The file of lineage that is imported.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Lineage {
    /// SHA-256 of it as it was when the import began, in hexadecimal.
    pub file_sha256: String,
    /// Bytes it had then.
    pub bytes: u64,
    /// The last line that was looked at.
    pub to: u64,
    /// Lines that are kept.
    pub lines: u64,
}

/// What the events come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// How it stands.
    pub stage: Stage,
    /// Files that are exchanged, once that has begun; and whether they are.
    pub files: Option<(BTreeMap<String, Swap>, bool)>,
    /// Documents that may be in the tenant, by id, with their path in the corpus.
    pub sent: BTreeMap<String, String>,
    /// Those of them that are.
    pub taken: BTreeSet<String>,
    /// Files of the corpus that were not taken when they were tried last, with the reason.
    pub failed: BTreeMap<String, String>,
    /// The file of lineage.
    pub lineage: Option<Lineage>,
}

impl Progress {
    /// What these events come to.
    #[must_use]
    pub fn of(events: impl IntoIterator<Item = Event>) -> Self {
        let mut progress = Self::default();
        events.into_iter().for_each(|event| progress.apply(event));
        progress
    }

    /// Takes one event in.
    pub fn apply(&mut self, event: Event) {
        let moving = |stage: Stage| if stage == Stage::Leaving { stage } else { Stage::Moving };
        match event {
            Event::Placing { files } => {
                self.stage = moving(self.stage);
                self.files = Some((files, false));
            }
            Event::Placed => self.files.iter_mut().for_each(|(_, placed)| *placed = true),
            Event::Sending { documents } => {
                self.stage = moving(self.stage);
                for path in documents.values() {
                    self.failed.remove(path);
                }
                self.sent.extend(documents);
            }
            Event::Taken { ids } => self.taken.extend(ids),
            Event::Failed { path, problem } => {
                self.failed.insert(path, problem);
            }
            Event::Removed { ids } => {
                for id in ids {
                    self.taken.remove(&id);
                    if let Some(path) = self.sent.remove(&id) {
                        self.failed.remove(&path);
                    }
                }
            }
            Event::Lineage { file_sha256, bytes } => {
                self.stage = moving(self.stage);
                self.lineage = Some(Lineage { file_sha256, bytes, to: 0, lines: 0 });
            }
            Event::Imported { to, lines } => {
                if let Some(lineage) = &mut self.lineage {
                    (lineage.to, lineage.lines) = (to, lines);
                }
            }
            Event::Complete => self.stage = Stage::Complete,
            Event::Confirmed => self.stage = Stage::Confirmed,
            Event::Leaving => self.stage = Stage::Leaving,
            Event::Left => self.stage = Stage::Left,
        }
    }

    /// Documents that are to be sent of those in the corpus, by id: what is there is not sent again, and what was there before
    /// is nobody's to claim.
    #[must_use]
    pub fn to_send<'a>(
        &self,
        corpus: &'a BTreeMap<String, String>,
        there: &BTreeSet<String>,
    ) -> Vec<(&'a String, &'a String)> {
        let wanted = |id: &String| !self.taken.contains(id) && (self.sent.contains_key(id) || !there.contains(id));
        corpus.iter().filter(|(id, _)| wanted(id)).collect()
    }

    /// Documents that are in the tenant and no longer in the corpus: their file was changed or taken away meanwhile.
    #[must_use]
    pub fn to_remove(&self, corpus: &BTreeMap<String, String>) -> BTreeSet<String> {
        self.sent.keys().filter(|id| !corpus.contains_key(*id)).cloned().collect()
    }

    /// Whether more may be brought in.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn may_go_on(&self) -> Result<(), String> {
        match self.stage {
            Stage::Planned | Stage::Moving | Stage::Complete => Ok(()),
            Stage::Confirmed => {
                Err("it was confirmed; what has changed since is brought in by `bailiwick ingest`".into())
            }
            Stage::Leaving => Err("it is being rolled back; finish that with --rollback".into()),
            Stage::Left => Err("it was rolled back".into()),
        }
    }

    /// Whether it may go back.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn may_go_back(&self) -> Result<(), String> {
        match self.stage {
            Stage::Confirmed => {
                Err("it was confirmed, and what has been answered since rests on it; remove documents and \
                                     change files as usual"
                    .into())
            }
            Stage::Left => Err("it was rolled back already".into()),
            Stage::Planned | Stage::Moving | Stage::Complete | Stage::Leaving => Ok(()),
        }
    }

    /// Whether it may be confirmed.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn may_be_confirmed(&self) -> Result<(), String> {
        match self.stage {
            Stage::Complete | Stage::Confirmed => Ok(()),
            stage => Err(format!("it is {}; only a complete one is confirmed", stage.as_str())),
        }
    }
}

/// What is to be done about one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placing {
    /// It is done.
    Done,
    /// It is exchanged.
    Exchange,
    /// Somebody else has changed it meanwhile.
    Changed,
}

impl Swap {
    /// What is to be done where the file has this digest now.
    #[must_use]
    pub fn placing(&self, now: Option<&str>) -> Placing {
        if now == self.to.as_deref() {
            Placing::Done
        } else if now == self.from.as_deref() {
            Placing::Exchange
        } else {
            Placing::Changed
        }
    }
}

//! What the GitOps room takes and gives.
use actix::Message;
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::golden::Golden;
use bailiwick_policy::parse::FileTexts;
use std::collections::BTreeSet;
use std::sync::Arc;

/// To the registry: folders that were read. Answered when what they mean is durable and on its way to the tenants,
/// with the names of those that changed nothing because the house has written to them since: they are read again.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct FoldersSeen {
    /// The folders.
    pub folders: Vec<FolderSeen>,
    /// Where the answer goes.
    pub reply: ReplySlot<Vec<String>>,
}

/// One folder that was read.
#[derive(Clone, Debug)]
pub struct FolderSeen {
    /// The folder's name.
    pub name: String,
    /// What was found.
    pub found: Found,
    /// How many writes of the house had ended when its reading began: an earlier reading than the last write to the
    /// folder speaks of a folder that is no more.
    pub read_after: u64,
}

/// A folder whose files compile.
#[derive(Clone, Debug)]
pub struct Sound {
    /// What they come to.
    pub policy: Arc<PolicySnapshot>,
    /// The files.
    pub texts: Arc<FileTexts>,
    /// Questions the tenant knows the answers to, or what is wrong with them.
    pub golden: Result<Arc<Vec<Golden>>, String>,
}

/// What a folder gives.
#[derive(Clone, Debug)]
pub enum Found {
    /// Its files compile.
    Compiled(Sound),
    /// They do not: every problem, with file and line.
    Broken(String),
    /// There is no such folder.
    Gone,
}

/// From the watcher: something changed below the tenants folder.
#[derive(Clone, PartialEq, Eq, Debug, Message)]
#[rtype(result = "()")]
pub struct Changed(pub Scope);

/// What is to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// These folders.
    Some(BTreeSet<String>),
    /// All of them: too much changed to tell, or it is the start.
    All,
}

/// What the first reading found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FirstReading {
    /// Folders that compiled.
    pub compiled: usize,
    /// Folders that did not.
    pub broken: usize,
}

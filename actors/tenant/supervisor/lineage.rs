//! Where answers stand in the journal: a derived shelf, advanced only by replaying the journal itself, so that it
//! cannot disagree with it. Everything here blocks and runs off the arbiter.
use super::fold::{Fold, query_of};
use super::messages::{Lineage, LineageLine, LineagePortion};
use crate::budget::accounts::{self, Account, Accounts, History};
use crate::entry::{AnswerCited, AnswerRecorded, Entry, FeedbackGiven, LineageChunk};
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::{Position, QueryId};
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::shelf::{Belongings, Shelf, ShelfError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const FOLD_KEY: &[u8] = b"fold";
const QUERY_PREFIX: u8 = b'q';
const ACCOUNT_PREFIX: u8 = b'a';
/// Accounts read from the shelf at once.
const ACCOUNTS_PER_READ: usize = 256;

/// Why derived state could not be read or advanced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum DerivedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
}

/// What stands on the shelf.
#[derive(Serialize, Deserialize)]
enum Saved {
    /// The fold itself.
    Fold(Box<Fold>),
    /// A record of a question stands at the position in the key.
    Stands,
    /// What one account spent.
    Account(Account, History),
}

/// The supervisor's derived state of one tenant.
#[derive(Debug)]
pub(super) struct Derived {
    journal: Journal,
    shelf: Shelf,
    fold: Fold,
    accounts: Accounts,
}

impl Derived {
    /// Opens the saved state and replays what is missing.
    pub(super) fn open(belongings: &Belongings) -> Result<Self, DerivedError> {
        let shelf = belongings.shelf("derived")?;
        // unreadable derived state is no loss: the journal is the truth
        let (fold, accounts) = match saved(&shelf) {
            Ok(Some(saved)) => saved,
            Ok(None) | Err(_) => {
                shelf.clear()?;
                (Fold::default(), Accounts::default())
            }
        };
        let mut derived = Self { journal: belongings.journal.clone(), shelf, fold, accounts };
        derived.catch_up()?;
        Ok(derived)
    }

    /// Folds the journal's tail in and saves the result, as one.
    pub(super) fn catch_up(&mut self) -> Result<&Fold, DerivedError> {
        let before = self.fold.next;
        let mut puts = Vec::new();
        // copies, so that a failure on the way leaves nothing folded that was not written
        let mut fold = self.fold.clone();
        let mut spending = Vec::new();
        self.journal.replay(before, |position, _hash, entry: Entry| {
            fold.apply(position, &entry);
            if let Some(query) = query_of(&entry) {
                puts.push((key_of(query, Some(position)), Saved::Stands));
            }
            if accounts::concerns(&entry) {
                spending.push(entry);
            }
        })?;
        if fold.next == before {
            return Ok(&self.fold);
        }
        let mut accounts = if spending.is_empty() { None } else { Some(self.accounts.clone()) };
        if let Some(accounts) = &mut accounts {
            let touched: BTreeSet<Account> = spending.iter().flat_map(|entry| accounts.apply(entry)).collect();
            let histories = touched.into_iter().filter_map(|account| {
                let history = accounts.history(&account)?.clone();
                Some((account_key(&account), Saved::Account(account, history)))
            });
            puts.extend(histories);
        }
        puts.push((FOLD_KEY.to_vec(), Saved::Fold(Box::new(fold.clone()))));
        self.shelf.apply(&puts, &[])?;
        self.fold = fold;
        if let Some(accounts) = accounts {
            self.accounts = accounts;
        }
        Ok(&self.fold)
    }

    /// Who spent what, as far as folded.
    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Everything the journal holds about one question.
    pub(super) fn lineage(&mut self, tenant_name: &str, query: QueryId) -> Result<Option<Lineage>, DerivedError> {
        self.catch_up()?;
        let stands = self.shelf.scan::<Saved>(&key_of(query, None), None, 1_024)?;
        let mut answered: Option<(Position, [u8; 32], AnswerRecorded)> = None;
        let mut feedback = Vec::new();
        for (key, _) in stands {
            let Some(position) = position_of(&key) else { continue };
            match self.journal.entry::<Entry>(position)? {
                Some((hash, Entry::AnswerRecorded(record))) => answered = Some((position, hash, *record)),
                Some((_, Entry::AnswerContinued { text, .. })) => {
                    if let Some((_, _, record)) = &mut answered {
                        record.answer.push_str(&text);
                    }
                }
                Some((_, Entry::AnswerCited(further))) => {
                    if let Some((_, _, record)) = &mut answered {
                        record.cited.extend(further.cited);
                    }
                }
                Some((_, Entry::FeedbackGiven(given))) => feedback.push(given),
                _ => {}
            }
        }
        Ok(answered.map(|(position, hash, record)| assemble(tenant_name, position, &hash, record, feedback)))
    }

    /// Lineage lines of a stretch of the journal.
    pub(super) fn export(&self, tenant_name: &str, from: u64, max: usize) -> Result<LineagePortion, DerivedError> {
        let records = self.journal.portion::<Entry>(Position(from), max)?;
        let next = records.last().map(|(position, _, _)| position.next().0);
        let lines = records
            .into_iter()
            .filter_map(|(position, hash, entry)| match entry {
                Entry::AnswerRecorded(record) => Some(lines_of(tenant_name, position, &hash, &cited_by(*record))),
                Entry::AnswerCited(further) => Some(lines_of(tenant_name, position, &hash, &further)),
                _ => None,
            })
            .flatten()
            .collect();
        Ok(LineagePortion { lines, next })
    }
}

fn assemble(
    tenant_name: &str,
    position: Position,
    hash: &[u8; 32],
    record: AnswerRecorded,
    feedback: Vec<FeedbackGiven>,
) -> Lineage {
    let lines = lines_of(tenant_name, position, hash, &cited_by(record.clone()));
    Lineage { record, seq: position.0, hash: hex::encode(hash), lines, feedback }
}

fn cited_by(record: AnswerRecorded) -> AnswerCited {
    let AnswerRecorded { query_id, cited, model, policy_version, cleared_unix_ms, .. } = record;
    AnswerCited { query_id, cited, model, policy_version, cleared_unix_ms }
}

/// The lines of one answer, in the specification's field names (2.6): one per cited chunk, and one without a chunk for
/// an answer that cites none, so that no answer and no charge is missing from an export.
fn lines_of(tenant_name: &str, position: Position, hash: &[u8; 32], record: &AnswerCited) -> Vec<LineageLine> {
    let line = |chunk: &LineageChunk| LineageLine {
        tenant_id: tenant_name.to_owned(),
        domain: chunk.domain.clone(),
        usecase: chunk.usecase.clone(),
        source_id: chunk.source_id.clone(),
        query_id: record.query_id.clone(),
        chunk_id: chunk.chunk_id.clone(),
        trust_score: chunk.trust_score,
        agent_id: format!("{}/{}", record.model.provider, record.model.name),
        policy_version: record.policy_version.clone(),
        timestamp: rfc3339(record.cleared_unix_ms),
        seq: position.0,
        hash: hex::encode(hash),
    };
    if record.cited.is_empty() {
        return vec![line(&LineageChunk::default())];
    }
    record.cited.iter().map(line).collect()
}

fn saved(shelf: &Shelf) -> Result<Option<(Fold, Accounts)>, ShelfError> {
    let Some(Saved::Fold(fold)) = shelf.get::<Saved>(FOLD_KEY)? else { return Ok(None) };
    let mut histories = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let read = shelf.scan::<Saved>(&[ACCOUNT_PREFIX], after.as_deref(), ACCOUNTS_PER_READ)?;
        let Some((last, _)) = read.last() else { break };
        after = Some(last.clone());
        histories.extend(read.into_iter().filter_map(|(_, saved)| match saved {
            Saved::Account(account, history) => Some((account, history)),
            Saved::Fold(_) | Saved::Stands => None,
        }));
    }
    Ok(Some((*fold, Accounts::of(histories))))
}

fn account_key(account: &Account) -> Vec<u8> {
    let (level, name) = match account {
        Account::Tenant => (b't', ""),
        Account::Domain(name) => (b'd', name.as_str()),
        Account::Usecase(name) => (b'c', name.as_str()),
        Account::User(name) => (b'u', name.as_str()),
        Account::Key(name) => (b'k', name.as_str()),
    };
    [&[ACCOUNT_PREFIX, level], name.as_bytes()].concat()
}

fn key_of(query: QueryId, position: Option<Position>) -> Vec<u8> {
    let mut key = vec![QUERY_PREFIX];
    key.extend_from_slice(query.0.as_bytes());
    key.extend(position.into_iter().flat_map(|position| position.0.to_be_bytes()));
    key
}

fn position_of(key: &[u8]) -> Option<Position> {
    let (_, last) = key.split_last_chunk::<8>()?;
    Some(Position(u64::from_be_bytes(*last)))
}

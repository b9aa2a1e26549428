//! Where answers stand in the journal: a derived shelf, advanced only by replaying the journal itself, so that it
//! cannot disagree with it. Everything here blocks and runs off the arbiter.
use super::derived_keys::{
    ACCOUNTS, DISTRUSTED, End, FOLD, OPEN, SPEND, key_of, key_of_account, key_of_carried_out, key_of_day,
    key_of_distrusted, key_of_erased, key_of_erasure, key_of_open, key_of_tile,
};
use super::exit;
use super::fold::{Fold, query_of};
use super::importing;
use super::lineage_forms::{cited_by, lineage_of, lines_of};
use super::messages::{Lineage, LineagePortion};
use super::proving::ShelfTiles;
use super::repeats::index::{Index, Place};
use super::repeats::judging::KeptReply;
use super::repeats::keeping;
use super::repeats::name::Name;
use super::withholding::withhold;
use crate::budget::accounts::{Account, Accounts, Quarters};
use crate::budget::ledger::Open;
use crate::digest::MatterDigest;
use crate::entry::{AnswerRecorded, Entry, FeedbackGiven};
use crate::erasures::rules::request_of;
use crate::feedback::rules::{Distrust, Distrusted};
use crate::question::{ModelUsed, Reply};
use crate::spend::rows::{Spend, SpendDay};
use bailiwick_kernel::ids::{Position, QueryId, TenantKey};
use bailiwick_kernel::journal::{Journal, JournalError};
use bailiwick_kernel::limits::{COST_DAYS_MAX, REPEATS_KEPT_MAX};
use bailiwick_kernel::outcome::Outcome;
use bailiwick_kernel::shelf::{Belongings, Key, Shelf, ShelfError, Stored};
use bailiwick_kernel::transparency::tree::{self, TreeError};
use bailiwick_policy::language::{Action, Facts};
use bailiwick_policy::rehearsal::{Recorded, RecordedModel};
use bailiwick_policy::schema::CACHE_PROVIDER;
use bailiwick_policy::sovereignty::Cleared;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::Arc;

/// Holds and lumps in one value, with the longest names.
const OPEN_PER_VALUE: usize = 8;
/// Documents that have lost trust in one value.
const DISTRUSTED_PER_VALUE: usize = 16;
/// Values read from the shelf at once.
const VALUES_PER_READ: usize = 512;

/// Why derived state could not be read or advanced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum DerivedError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("reading a kept reply: the records at position {} are not those of one; restore the journal from a backup", .0.0)]
    NotKept(Position),
    #[error("{0}; the tree is reckoned anew from the journal where the node's derived state is removed")]
    Tree(String),
}

impl From<TreeError> for DerivedError {
    fn from(error: TreeError) -> Self {
        Self::Tree(error.to_string())
    }
}

/// What the journal keeps under the name of a call.
#[derive(Debug)]
pub(super) enum Search {
    /// Nothing: the call runs.
    Nothing,
    /// What a call for this matter ended with.
    Kept(MatterDigest, Outcome<KeptReply>),
    /// Nothing, and nothing more can be kept for a while.
    Full {
        /// Until the oldest kept reply is forgotten.
        for_ms: u64,
    },
}

/// A value of the derived shelf, written as what it holds.
#[derive(Serialize)]
#[serde(untagged)]
enum Put<'a> {
    Stand(()),
    Day(&'a SpendDay),
    Account((&'a Account, u32, &'a Quarters)),
    Open(&'a [Open]),
    Distrusted(&'a [Distrusted]),
    Tile(&'a Vec<u8>),
    Position(Position),
    Query(QueryId),
    Fold(&'a Fold),
}

/// What was saved, rows of spend included.
fn saved(shelf: &Shelf) -> Result<Option<Fold>, ShelfError> {
    let Some(mut fold) = shelf.get::<Fold>(&FOLD)? else { return Ok(None) };
    let days = shelf.scan::<SpendDay>(&SPEND, None, COST_DAYS_MAX)?;
    let days = days.into_iter().filter_map(|(key, rows)| Some((key.last_number()?, Arc::new(rows))));
    fold.spend = Spend::of(days.collect());
    let accounts = every::<(Account, u32, Quarters)>(shelf, &ACCOUNTS)?;
    fold.accounts = Accounts::of(accounts);
    fold.ledger.restore(every::<Vec<Open>>(shelf, &OPEN)?.into_iter().flatten());
    fold.distrust = Distrust::of(every::<Vec<Distrusted>>(shelf, &DISTRUSTED)?.into_iter().flatten());
    Ok(Some(fold))
}

/// Every value of a kind.
fn every<T: DeserializeOwned>(shelf: &Shelf, kind: &Key) -> Result<Vec<T>, ShelfError> {
    let (mut values, mut after) = (Vec::new(), None::<Stored>);
    loop {
        let read = shelf.scan::<T>(kind, after.as_ref(), VALUES_PER_READ)?;
        let Some((last, _)) = read.last() else { return Ok(values) };
        after = Some(last.clone());
        values.extend(read.into_iter().map(|(_key, value)| value));
    }
}

/// The supervisor's derived state of one tenant.
#[derive(Debug)]
pub(super) struct Derived {
    journal: Journal,
    shelf: Shelf,
    kept: Index,
    fold: Fold,
    /// The head that was signed last, with the records it is of.
    head: Option<(u64, String)>,
}

impl Derived {
    /// Whose state it is.
    pub(super) fn tenant(&self) -> TenantKey {
        self.journal.tenant()
    }

    /// Opens the saved state and replays what is missing.
    pub(super) fn open(belongings: &Belongings) -> Result<Self, DerivedError> {
        let shelf = belongings.shelf("derived")?;
        let fold = match saved(&shelf) {
            Ok(Some(fold)) => fold,
            // unreadable derived state is no loss: the journal is the truth
            Ok(None) | Err(_) => {
                shelf.clear()?;
                Fold::default()
            }
        };
        // on the same tree: each one costs memory for every tenant that is awake
        let kept = Index::new(shelf.clone(), REPEATS_KEPT_MAX);
        let mut derived = Self { journal: belongings.journal.clone(), shelf, kept, fold, head: None };
        derived.catch_up()?;
        Ok(derived)
    }

    /// The shelf all of it stands on.
    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The tenant's journal.
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What is folded so far.
    pub(super) fn fold(&self) -> &Fold {
        &self.fold
    }

    /// The head that was signed last, with the records it is of.
    pub(super) fn last_head(&self) -> Option<&(u64, String)> {
        self.head.as_ref()
    }

    /// Remembers the head that was signed.
    pub(super) fn keep_head(&mut self, size: u64, note: String) {
        self.head = Some((size, note));
    }

    /// The tiles of the journal's tree.
    pub(super) fn tiles(&self) -> ShelfTiles<'_> {
        ShelfTiles(&self.shelf)
    }

    /// Where the record of an answer stands.
    pub(super) fn answer_of(&self, query: QueryId) -> Result<Option<Position>, DerivedError> {
        for (key, ()) in self.shelf.scan::<()>(&key_of(query, None), None, 1_024)? {
            let Some(position) = key.last_number().map(Position) else { continue };
            if let Some((_, Entry::AnswerRecorded(_))) = self.journal.entry::<Entry>(position)? {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// Where a request for erasure and its end stand; nothing where it has none.
    pub(super) fn erasure_of(&self, id: &str) -> Result<Option<(Position, Position)>, DerivedError> {
        let stands = |end| self.shelf.get::<Position>(&key_of_erasure(id, end));
        Ok(stands(End::Asked)?.zip(stands(End::Ended)?))
    }

    /// Reads the journal of another incarnation from now on.
    pub(super) fn follow(&mut self, journal: Journal) {
        self.journal = journal;
    }

    /// Folds the journal's tail in and saves the result.
    pub(super) fn catch_up(&mut self) -> Result<&Fold, DerivedError> {
        let before = self.fold.next;
        let (mut puts, mut kept, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        // a copy, so that a failure on the way leaves nothing folded whose places were not written
        let mut fold = self.fold.clone();
        let mut leaves = Vec::new();
        let mut answered_before: Option<QueryId> = None;
        self.journal.replay(before, |position, hash, entry: Entry| {
            leaves.push(tree::leaf(&hash));
            fold.chain = hash;
            match &entry {
                Entry::ReplyKept(reply) => {
                    let place = Place { number: fold.kept, position, at_unix_ms: reply.at_unix_ms };
                    kept.push((Name::of(&reply.key_id, &reply.idempotency_key), place));
                }
                Entry::DocumentRemoved { id, by, .. } => {
                    removed.push((id.clone(), position));
                    if request_of(by).is_some() {
                        puts.push((key_of_erased(id), Put::Position(position)));
                    }
                }
                Entry::ErasureAsked(asked) => {
                    puts.push((key_of_erasure(&asked.id, End::Asked), Put::Position(position)))
                }
                Entry::ErasureEnded(ended) => {
                    puts.push((key_of_erasure(&ended.id, End::Ended), Put::Position(position)))
                }
                // behind the last record of the answer it let through, in the same append
                Entry::ApprovalUsed(used) => {
                    let key = key_of_carried_out(&used.id, Some(position));
                    puts.extend(answered_before.map(|query| (key, Put::Query(query))));
                }
                _ => {}
            }
            answered_before = entry.answers().and_then(QueryId::parse);
            fold.apply(position, &entry);
            if let Some(query) = query_of(&entry) {
                puts.push((key_of(query, Some(position)), Put::Stand(())));
            }
            puts.extend(importing::stands(position, &entry).map(|key| (key, Put::Stand(()))));
        })?;
        if fold.next != before {
            kept.into_iter().try_for_each(|(name, place)| self.kept.keep(name, place))?;
            removed.iter().try_for_each(|(id, position)| self.kept.removed(id, *position))?;
            let (was, is) = (self.fold.spend.days(), fold.spend.days());
            let is_changed =
                |day: &u64, rows: &Arc<SpendDay>| !was.get(day).is_some_and(|before| Arc::ptr_eq(before, rows));
            let changed = is.iter().filter(|(day, rows)| is_changed(day, rows));
            puts.extend(changed.map(|(day, rows)| (key_of_day(*day), Put::Day(rows))));
            let (accounts, accounts_before) = (&fold.accounts, &self.fold.accounts);
            let moved = accounts.changed_since(accounts_before).into_iter();
            puts.extend(moved.map(|of_day| (key_of_account(of_day.0, of_day.1), Put::Account(of_day))));
            let (open, open_before) = (fold.ledger.open(), self.fold.ledger.open());
            let portions = open.len().div_ceil(OPEN_PER_VALUE);
            if open != open_before {
                let values = (0_u64..).zip(open.chunks(OPEN_PER_VALUE));
                puts.extend(values.map(|(number, portion)| (key_of_open(number), Put::Open(portion))));
            }
            let distrusted: Vec<Distrusted> = fold.distrust.documents().cloned().collect();
            let distrusted_before = self.fold.distrust.documents().count().div_ceil(DISTRUSTED_PER_VALUE);
            if fold.distrust != self.fold.distrust {
                let values = (0_u64..).zip(distrusted.chunks(DISTRUSTED_PER_VALUE));
                puts.extend(values.map(|(number, portion)| (key_of_distrusted(number), Put::Distrusted(portion))));
            }
            let trusted = (0_u64..).take(distrusted_before).skip(distrusted.len().div_ceil(DISTRUSTED_PER_VALUE));
            let tiles = tree::extend(&ShelfTiles(&self.shelf), before.0, &leaves)?;
            puts.extend(tiles.iter().map(|(id, hashes)| (key_of_tile(*id), Put::Tile(hashes))));
            puts.push((FOLD, Put::Fold(&fold)));
            let days = was.keys().filter(|day| !is.contains_key(day)).map(|day| key_of_day(*day));
            let quiet = accounts.forgotten_since(accounts_before).into_iter();
            let ended = (0_u64..).take(open_before.len().div_ceil(OPEN_PER_VALUE)).skip(portions);
            let forgotten: Vec<_> = days
                .chain(quiet.map(|(account, day)| key_of_account(account, day)))
                .chain(ended.map(key_of_open))
                .chain(trusted.map(key_of_distrusted))
                .collect();
            // one unit: a fold that is saved without its days, or the other way round, would count twice or not at all
            self.shelf.apply(&puts, &forgotten)?;
            self.fold = fold;
        }
        Ok(&self.fold)
    }

    /// What is kept under the name of a call. `ahead` calls in flight, this one included, may be kept before it.
    pub(super) fn kept(&mut self, name: &Name, ahead: u64, now_unix_ms: u64) -> Result<Search, DerivedError> {
        let next = self.catch_up()?.kept.saturating_add(ahead.saturating_sub(1));
        let Some(place) = self.kept.find(name, now_unix_ms)? else {
            let full = self.kept.full_for_ms(next, now_unix_ms)?;
            return Ok(full.map_or(Search::Nothing, |for_ms| Search::Full { for_ms }));
        };
        let not_kept = || DerivedError::NotKept(place.position);
        let Some((_, Entry::ReplyKept(first))) = self.journal.entry::<Entry>(place.position)? else {
            return Err(not_kept());
        };
        let answer = Position(place.position.0.saturating_sub(u64::from(first.answer_records)));
        let first_records = usize::try_from(first.answer_records).unwrap_or(usize::MAX);
        let further = usize::try_from(first.parts).unwrap_or(usize::MAX).saturating_sub(1);
        let continued = if further == 0 { Vec::new() } else { self.journal.portion(place.position.next(), further)? };
        let kept = keeping::read(*first, continued.into_iter().map(|(_, _, entry)| entry)).ok_or_else(not_kept)?;
        let outcome = match kept.outcome {
            Ok(reply) => self.kept_at(answer, first_records, reply)?,
            Err(rejection) => Err(rejection),
        };
        Ok(Search::Kept(kept.matter, outcome))
    }

    /// A kept reply with its receipt and what it cites, unless it quotes what is gone.
    fn kept_at(&self, answer: Position, records: usize, mut reply: Reply) -> Result<Outcome<KeptReply>, DerivedError> {
        for document_id in keeping::quoted(&reply) {
            if self.kept.is_removed_since(document_id, answer)? {
                return Ok(Err(keeping::quotes_removed()));
            }
        }
        let mut entries = self.journal.portion::<Entry>(answer, records)?.into_iter();
        let Some((_, head, Entry::AnswerRecorded(record))) = entries.next() else {
            return Err(DerivedError::NotKept(answer));
        };
        exit::stamp(&mut reply, answer.0, &head);
        let further = entries.filter_map(|(_, _, entry)| match entry {
            Entry::AnswerCited(further) => Some(further.cited),
            _ => None,
        });
        let cited = record.cited.into_iter().chain(further.flatten()).collect();
        Ok(Ok(KeptReply { reply, cited }))
    }

    /// Everything the journal holds about one question, without words of what was erased.
    pub(super) fn lineage(&mut self, tenant_name: &str, query: QueryId) -> Result<Option<Lineage>, DerivedError> {
        Ok(self.told(tenant_name, query)?.map(|(lineage, _withheld)| lineage))
    }

    /// As [`Derived::lineage`]; nothing either where its words are withheld.
    pub(super) fn lineage_in_words(
        &mut self,
        tenant_name: &str,
        query: QueryId,
    ) -> Result<Option<Lineage>, DerivedError> {
        let told = self.told(tenant_name, query)?;
        Ok(told.filter(|(_lineage, withheld)| !withheld).map(|(lineage, _withheld)| lineage))
    }

    /// What is told of a question, and whether its words are withheld.
    fn told(&mut self, tenant_name: &str, query: QueryId) -> Result<Option<(Lineage, bool)>, DerivedError> {
        self.catch_up()?;
        let stands = self.shelf.scan::<()>(&key_of(query, None), None, 1_024)?;
        let mut answered: Option<(Position, [u8; 32], AnswerRecorded)> = None;
        let (mut feedback, mut found, mut ranked, mut conversation) = (Vec::new(), None, None, None);
        for (key, ()) in stands {
            let Some(position) = key.last_number().map(Position) else { continue };
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
                Some((_, Entry::PassagesFound(of_answer))) => found = Some(*of_answer),
                Some((_, Entry::PassagesRanked(of_answer))) => ranked = Some(*of_answer),
                Some((_, Entry::ConversationTold(of_answer))) => conversation = Some(*of_answer),
                _ => {}
            }
        }
        let Some((position, hash, mut record)) = answered else { return Ok(None) };
        let is_withheld = self.quotes_what_is_erased(position, &record)?;
        if is_withheld {
            withhold(&mut record, &mut feedback);
        }
        let lineage =
            Lineage { found, ranked, conversation, ..assemble(tenant_name, position, &hash, record, feedback) };
        Ok(Some((lineage, is_withheld)))
    }

    /// The requests that were answered or logged from a position on, oldest first.
    pub(super) fn recorded(&self, from: Position) -> Result<Vec<Recorded>, DerivedError> {
        let mut answers = HashMap::new();
        let mut recorded = Vec::new();
        self.journal.replay(from, |_position, _hash, entry: Entry| match entry {
            Entry::AnswerRecorded(answer) => {
                answers.insert(answer.query_id.clone(), answer);
            }
            Entry::AnswerContinued { query_id, text } => {
                if let Some(answer) = answers.get_mut(&query_id) {
                    answer.answer.push_str(&text);
                }
            }
            Entry::RequestJudged(judged) => {
                // a record from before the stretch is missing: nothing can be said of its request
                let Some(answer) = answers.remove(&judged.query_id) else { return };
                recorded.push(recorded_of(*answer, judged.action, Facts::of_recorded(judged.facts)));
            }
            Entry::RequestLogged(logged) => recorded.push(Recorded {
                action: logged.action,
                facts: Facts::of_recorded(logged.facts),
                model: None,
                answer: String::new(),
                is_grounded: true,
                admitted_unix_ms: logged.at_unix_ms,
            }),
            _ => {}
        })?;
        Ok(recorded)
    }

    /// The next record to fold.
    pub(super) fn next(&self) -> Position {
        self.fold.next
    }

    /// Lineage lines of a stretch of the journal, for an export that was cleared.
    pub(super) fn export(
        &mut self,
        tenant_name: &str,
        from: u64,
        max: usize,
        _cleared: &Cleared,
    ) -> Result<LineagePortion, DerivedError> {
        self.catch_up()?;
        let records = self.journal.portion::<Entry>(Position(from), max)?;
        let next = records.last().map(|(position, _, _)| position.next().0);
        let of_record = |(position, hash, entry): (Position, [u8; 32], Entry)| match entry {
            Entry::LineageImported(import) => {
                importing::told(tenant_name, &self.fold.imports, position, &hash, &import)
            }
            entry => lineage_of(tenant_name, position, &hash, entry).into_iter().collect(),
        };
        Ok(LineagePortion { records: records.into_iter().flat_map(of_record).collect(), next })
    }
}

fn recorded_of(answer: AnswerRecorded, action: Action, facts: Facts) -> Recorded {
    let is_grounded = answer.abstained || !answer.cited.is_empty() || answer.answer.is_empty();
    let ModelUsed { provider, name, region, fallback } = answer.model;
    let model = (provider != CACHE_PROVIDER).then_some(RecordedModel { provider, name, region, fallback });
    Recorded { action, facts, model, answer: answer.answer, is_grounded, admitted_unix_ms: answer.admitted_unix_ms }
}

fn assemble(
    tenant_name: &str,
    position: Position,
    hash: &[u8; 32],
    record: AnswerRecorded,
    feedback: Vec<FeedbackGiven>,
) -> Lineage {
    let lines = lines_of(tenant_name, position, hash, &cited_by(record.clone()));
    Lineage {
        record: Some(record),
        seq: position.0,
        hash: hex::encode(hash),
        lines,
        feedback,
        found: None,
        ranked: None,
        conversation: None,
    }
}

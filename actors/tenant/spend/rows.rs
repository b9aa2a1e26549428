//! Rows of spend by UTC day and account, folded from the journal beside the ledger. Σ rows of a day is the ledger's
//! day, to the nano-dollar; bounded, and what does not fit is still counted, in a row that says so.
use crate::budget::ledger::day_of;
use crate::entry::{AnswerRecorded, ChargeAttributed, EmbeddingCharged, Entry, Lump};
use crate::question::Usage;
use bailiwick_kernel::limits::{COST_DAY_BYTES_MAX, COST_DAYS_MAX};
use bailiwick_kernel::money::NanoUsd;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes a row takes beside its names, at most: its numbers and the lengths of the names.
const ROW_BYTES: usize = 96;

/// Who asked what of which model.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Payer {
    /// Domain the question named.
    pub domain: Option<String>,
    /// Use case the question named.
    pub usecase: Option<String>,
    /// User the key belongs to, where it names one.
    pub user_id: Option<String>,
    /// Key that asked.
    pub key_id: String,
    /// Provider's name in the catalogue.
    pub provider: String,
    /// Model's name.
    pub model: String,
}

/// What a row is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum RowKind {
    /// Calls of one payer.
    Of(Payer),
    /// Calls of payers for whom the day had no room left.
    Other,
    /// What crashes may have spent unrecorded, until reconciled.
    Unreconciled,
    /// What providers' statements showed beyond the recorded answers.
    Reconciled,
}

/// Calls, tokens and money.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Spent {
    /// Answers, abstentions and completions.
    pub turns: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub completion_tokens: u64,
    /// Money.
    pub cost_usd: NanoUsd,
}

impl Spent {
    fn turn(usage: Usage) -> Self {
        let Usage { prompt_tokens, completion_tokens, cost } = usage;
        Self { turns: 1, prompt_tokens, completion_tokens, cost_usd: cost }
    }

    /// Adds.
    pub fn add(&mut self, other: Self) {
        self.turns = self.turns.saturating_add(other.turns);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.cost_usd = self.cost_usd.saturating_add(other.cost_usd);
    }

    /// Takes out as much of the other as is there, and gives what was taken.
    fn take(&mut self, other: Self) -> Self {
        let taken = Self {
            turns: self.turns.min(other.turns),
            prompt_tokens: self.prompt_tokens.min(other.prompt_tokens),
            completion_tokens: self.completion_tokens.min(other.completion_tokens),
            cost_usd: self.cost_usd.min(other.cost_usd),
        };
        self.turns = self.turns.saturating_sub(taken.turns);
        self.prompt_tokens = self.prompt_tokens.saturating_sub(taken.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_sub(taken.completion_tokens);
        self.cost_usd = self.cost_usd.saturating_sub(taken.cost_usd);
        taken
    }
}

/// The rows of one day. Always fits one value of the store.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SpendDay {
    rows: BTreeMap<RowKind, Spent>,
    bytes: usize,
}

impl SpendDay {
    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &BTreeMap<RowKind, Spent> {
        &self.rows
    }

    /// Everything of the day.
    #[must_use]
    pub fn total(&self) -> Spent {
        let mut total = Spent::default();
        self.rows.values().for_each(|spent| total.add(*spent));
        total
    }

    /// Where an account's figures stand or would stand: in a row of their own, or with the others.
    fn place(&self, account: RowKind) -> RowKind {
        let fits = self.bytes.saturating_add(bytes_of(&account)) <= COST_DAY_BYTES_MAX;
        if fits || self.rows.contains_key(&account) { account } else { RowKind::Other }
    }

    fn book(&mut self, account: RowKind, spent: Spent) {
        let account = self.place(account);
        if !self.rows.contains_key(&account) {
            self.bytes = self.bytes.saturating_add(bytes_of(&account));
        }
        self.rows.entry(account).or_default().add(spent);
    }

    /// Takes out what turned out not to have been spent.
    fn forgo(&mut self, kind: RowKind, spent: Spent) {
        if let Some(row) = self.rows.get_mut(&kind) {
            row.take(spent);
            if *row == Spent::default() {
                self.rows.remove(&kind);
            }
        }
    }

    /// Moves what a payer without domain and use case was just charged to the payer that has them.
    fn attribute(&mut self, from: RowKind, to: RowKind, spent: Spent) {
        let from = if self.rows.contains_key(&from) { from } else { RowKind::Other };
        let Some(row) = self.rows.get_mut(&from) else { return };
        let moved = row.take(spent);
        if *row == Spent::default() {
            self.bytes = self.bytes.saturating_sub(bytes_of(&from));
            self.rows.remove(&from);
        }
        if moved != Spent::default() {
            self.book(to, moved);
        }
    }
}

/// Bytes a row takes, at most. The rows every day may need are not counted: they always fit.
fn bytes_of(account: &RowKind) -> usize {
    let RowKind::Of(Payer { domain, usecase, user_id, key_id, provider, model }) = account else { return 0 };
    let named: usize = [domain, usecase, user_id].into_iter().flatten().map(String::len).sum();
    [named, key_id.len(), provider.len(), model.len()].iter().sum::<usize>().saturating_add(ROW_BYTES)
}

/// Rows of the days that are kept.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Spend {
    days: BTreeMap<u64, Arc<SpendDay>>,
}

impl Spend {
    /// Rows as they were kept.
    #[must_use]
    pub fn of(days: BTreeMap<u64, Arc<SpendDay>>) -> Self {
        Self { days }
    }

    /// The days, by days since the epoch.
    #[must_use]
    pub fn days(&self) -> &BTreeMap<u64, Arc<SpendDay>> {
        &self.days
    }

    /// Folds one entry in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::AnswerRecorded(answer) => {
                self.book(answer.cleared_unix_ms, RowKind::Of(payer(answer)), Spent::turn(answer.usage));
            }
            Entry::ChargeAttributed(attribution) => self.attribute(attribution),
            Entry::EmbeddingCharged(embedding) => self.set_apart(embedding),
            Entry::Unreconciled { amount, at_unix_ms } => {
                self.book(*at_unix_ms, RowKind::Unreconciled, money(*amount));
            }
            Entry::HoldClosed(closed) => {
                self.book(closed.admitted_unix_ms, RowKind::Unreconciled, money(closed.unreconciled));
            }
            Entry::Reconciled(reconciled) => {
                for (lump, released) in reconciled.releases() {
                    self.reconcile(lump, released);
                }
                self.book(reconciled.at_unix_ms, RowKind::Reconciled, money(reconciled.beyond()));
            }
            _ => {}
        }
    }

    fn book(&mut self, at_unix_ms: u64, account: RowKind, spent: Spent) {
        if spent == Spent::default() {
            return;
        }
        Arc::make_mut(self.days.entry(day_of(at_unix_ms)).or_default()).book(account, spent);
        while self.days.len() > COST_DAYS_MAX {
            self.days.pop_first();
        }
    }

    /// Takes a lump out of what is unreconciled; what was not released was spent.
    fn reconcile(&mut self, lump: &Lump, released: NanoUsd) {
        let Some(day) = self.days.get_mut(&day_of(lump.at_unix_ms)) else { return };
        let kept = money(lump.amount.saturating_sub(released));
        let day = Arc::make_mut(day);
        day.attribute(RowKind::Unreconciled, RowKind::Reconciled, kept);
        day.forgo(RowKind::Unreconciled, money(released));
    }

    fn attribute(&mut self, attribution: &ChargeAttributed) {
        // a day that has been forgotten since is not begun anew
        let Some(day) = self.days.get_mut(&day_of(attribution.cleared_unix_ms)) else { return };
        let to = Payer {
            domain: attribution.domain.clone(),
            usecase: attribution.usecase.clone(),
            user_id: attribution.user_id.clone(),
            key_id: attribution.key_id.clone(),
            provider: attribution.provider.clone(),
            model: attribution.model.clone(),
        };
        let from = Payer { domain: None, usecase: None, ..to.clone() };
        let spent = Spent {
            turns: 1,
            prompt_tokens: attribution.prompt_tokens,
            completion_tokens: attribution.completion_tokens,
            cost_usd: attribution.charged,
        };
        Arc::make_mut(day).attribute(RowKind::Of(from), RowKind::Of(to), spent);
    }

    /// Moves what an embedding took from the model that answered to the one that embedded.
    fn set_apart(&mut self, embedding: &EmbeddingCharged) {
        let Some(day) = self.days.get_mut(&day_of(embedding.cleared_unix_ms)) else { return };
        let payer = |provider: &str, model: &str| {
            RowKind::Of(Payer {
                domain: embedding.domain.clone(),
                usecase: embedding.usecase.clone(),
                user_id: embedding.user_id.clone(),
                key_id: embedding.key_id.clone(),
                provider: provider.to_owned(),
                model: model.to_owned(),
            })
        };
        let from = payer(&embedding.answered_by.provider, &embedding.answered_by.name);
        let spent = Spent { prompt_tokens: embedding.prompt_tokens, ..money(embedding.charged) };
        Arc::make_mut(day).attribute(from, payer(&embedding.provider, &embedding.model), spent);
    }
}

fn money(cost_usd: NanoUsd) -> Spent {
    Spent { cost_usd, ..Spent::default() }
}

fn payer(answer: &AnswerRecorded) -> Payer {
    Payer {
        domain: None,
        usecase: None,
        user_id: answer.user_id.clone(),
        key_id: answer.key_id.clone(),
        provider: answer.model.provider.clone(),
        model: answer.model.name.clone(),
    }
}

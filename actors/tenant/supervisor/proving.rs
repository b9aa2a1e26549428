//! What the journal proves: its tree, kept beside the fold and grown with it, and what is shown of it.
use super::actor::Supervisor;
use super::audit::{unknown_query, unreadable};
use super::derived_keys::key_of_tile;
use super::lineage::{Derived, DerivedError};
use super::opening::on_derived;
use crate::entry::Entry;
use crate::proofs::forms::{Header, RECEIPT, Receipt, ShownRecord, SignedHead, written};
use crate::proofs::messages::{ReadHead, ReadReceipt, ShowRecords};
use actix::prelude::*;
use bailiwick_kernel::ids::{Position, QueryId};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_kernel::shelf::Shelf;
use bailiwick_kernel::transparency::checkpoint::{Head, HeadSigner};
use bailiwick_kernel::transparency::tree::{self, TileId, Tiles};
use bailiwick_policy::language::Action;
use bailiwick_policy::sovereignty::Flow;
use std::sync::Arc;

/// Records of one answer that are shown, at most: an answer's words and citations fill fewer.
const RECORDS_OF_ANSWER_MAX: usize = 512;
/// Records of one portion of an export, at most.
const RECORDS_SHOWN_MAX: usize = 256;

/// The tiles of a tenant's derived shelf.
pub(super) struct ShelfTiles<'a>(pub(super) &'a Shelf);

impl Tiles for ShelfTiles<'_> {
    fn tile(&self, id: TileId) -> Result<Option<Vec<u8>>, String> {
        self.0.get(&key_of_tile(id)).map_err(|error| error.to_string())
    }
}

/// Who shows, and signs for it.
#[derive(Clone)]
pub(super) struct Shower {
    name: String,
    signer: HeadSigner,
    at_unix_ms: u64,
}

impl Derived {
    /// The head of the journal as it is now: of one size there is one.
    fn signed_head(&mut self, shower: &Shower) -> Result<(u64, String), DerivedError> {
        let size = self.catch_up()?.next.0;
        if let Some((_, note)) = self.last_head().filter(|(of, _)| *of == size) {
            return Ok((size, note.clone()));
        }
        let note = self.sign_head(size, shower)?;
        self.keep_head(size, note.clone());
        Ok((size, note))
    }

    fn sign_head(&self, size: u64, shower: &Shower) -> Result<String, DerivedError> {
        let fold = self.fold();
        let chain = hex::encode(fold.chain);
        let answers = fold.counts.answered.saturating_add(fold.counts.abstained);
        let charged_nano_usd = fold.charged.0;
        let root = tree::root(&self.tiles(), size)?;
        let tenant = self.journal().tenant().to_hex();
        let head = Head { tenant, size, root, chain, answers, charged_nano_usd, at_unix_ms: shower.at_unix_ms };
        shower.signer.sign_head(&head).map_err(|error| DerivedError::Tree(error.to_string()))
    }

    /// What proves an answer; nothing where there is no such answer.
    fn receipt(&mut self, query: QueryId, shower: &Shower) -> Result<Option<Receipt>, DerivedError> {
        self.catch_up()?;
        let Some(answer) = self.answer_of(query)? else { return Ok(None) };
        let entries = self.journal().portion::<Entry>(answer, RECORDS_OF_ANSWER_MAX)?;
        let own =
            entries.iter().take_while(|(_, _, entry)| entry.answers().and_then(QueryId::parse) == Some(query)).count();
        self.proved(answer, own, RECEIPT, shower).map(Some)
    }

    /// Records from a place on, with the proofs that they stand there.
    pub(super) fn proved(
        &mut self,
        from: Position,
        count: usize,
        format: &str,
        shower: &Shower,
    ) -> Result<Receipt, DerivedError> {
        let (size, checkpoint) = self.signed_head(shower)?;
        let (journal, tiles) = (self.journal(), self.tiles());
        let proved = journal.shown(from, count)?.into_iter().map(|shown| {
            let proof = tree::prove_inclusion(&tiles, size, shown.position.0)?;
            Ok(ShownRecord::of(&shown, &proof))
        });
        let records = proved.collect::<Result<_, DerivedError>>()?;
        let header = Header {
            format: format.to_owned(),
            tenant: shower.name.clone(),
            tenant_key: journal.tenant().to_hex(),
            checkpoint,
            verifier_key: shower.signer.verifier_key(),
        };
        Ok(Receipt { header, records })
    }

    pub(super) fn head_since(
        &mut self,
        since: Option<u64>,
        shower: &Shower,
    ) -> Result<Outcome<SignedHead>, DerivedError> {
        let (size, checkpoint) = self.signed_head(shower)?;
        let consistency = match since {
            None => None,
            Some(earlier) if (1..=size).contains(&earlier) => {
                Some(written(&tree::prove_consistency(&self.tiles(), size, earlier)?))
            }
            Some(earlier) => {
                let detail = format!("reading since: the journal has {size} records, and no head of it had {earlier}");
                return Ok(Err(Rejection::new(Code::InvalidRequest, detail)));
            }
        };
        let (tenant, tenant_key) = (shower.name.clone(), self.journal().tenant().to_hex());
        let verifier_key = shower.signer.verifier_key();
        Ok(Ok(SignedHead { tenant, tenant_key, checkpoint, verifier_key, size, consistency }))
    }
}

impl Supervisor {
    pub(super) fn shower(&self) -> Shower {
        let (name, signer) = (self.parts.name.clone(), self.parts.signer.clone());
        Shower { name, signer, at_unix_ms: self.parts.clock.now_unix_ms() }
    }
}

impl Handler<ReadReceipt> for Supervisor {
    type Result = ();

    fn handle(&mut self, read: ReadReceipt, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &read.principal, &format!("receipt of {}", read.query_id));
        let exported = self.egress.clear_here(Flow::Export);
        let asked = self.opened.as_ref().map(|opened| Arc::clone(&opened.derived)).zip(QueryId::parse(&read.query_id));
        let shower = self.shower();
        actix::spawn(async move {
            let outcome: Outcome<Receipt> = async {
                permitted.await?;
                exported?;
                let (derived, query) = asked.ok_or_else(unknown_query)?;
                let quoting = on_derived(Arc::clone(&derived), move |derived| {
                    derived.catch_up()?;
                    derived.answer_quotes_what_is_erased(query)
                });
                if quoting.await.map_err(|reason| unreadable(&reason))? {
                    let detail = "showing a receipt: the answer cites a document that was erased, and its words are shown to nobody; \
                                  its place is proved by the export";
                    return Err(Rejection::new(Code::Conflict, detail));
                }
                let receipt = on_derived(derived, move |derived| derived.receipt(query, &shower)).await;
                receipt.map_err(|reason| unreadable(&reason))?.ok_or_else(unknown_query)
            }
            .await;
            read.reply.answer(outcome);
        });
    }
}

impl Handler<ReadHead> for Supervisor {
    type Result = ();

    fn handle(&mut self, ReadHead { since, reply }: ReadHead, _: &mut Self::Context) {
        let Some(opened) = &self.opened else { return reply.answer(Err(Rejection::lost())) };
        let (derived, shower) = (Arc::clone(&opened.derived), self.shower());
        actix::spawn(async move {
            let head = on_derived(derived, move |derived| derived.head_since(since, &shower)).await;
            reply.answer(head.map_err(|reason| unreadable(&reason)).flatten());
        });
    }
}

impl Handler<ShowRecords> for Supervisor {
    type Result = ();

    fn handle(&mut self, show: ShowRecords, _: &mut Self::Context) {
        let permitted = self.permitted(Action::Read, &show.principal, &format!("journal from {}", show.from));
        let exported = self.egress.clear_here(Flow::Export);
        let derived = self.opened.as_ref().map(|opened| Arc::clone(&opened.derived));
        actix::spawn(async move {
            let outcome: Outcome<Vec<ShownRecord>> = async {
                permitted.await?;
                exported?;
                let (from, max) = (Position(show.from), show.max.min(RECORDS_SHOWN_MAX));
                let shown = on_derived(derived.ok_or_else(Rejection::lost)?, move |derived| {
                    let shown = derived.shown(from, max)?;
                    Ok(shown.iter().map(|shown| ShownRecord::of(shown, &[])).collect())
                });
                shown.await.map_err(|reason| unreadable(&reason))
            }
            .await;
            show.reply.answer(outcome);
        });
    }
}

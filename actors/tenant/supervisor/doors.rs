//! The doors of one tenant's supervisor: one recipient per message kind. The registry keeps them and hands single
//! ones out inside handles of one right.
use super::messages::{Admit, AdoptPolicy, Close, ExportLineage, GiveFeedback, Inspect, ReadFigures, ReadLineage, ReadPolicy};
use crate::retrieval::messages::{IngestDocuments, ListDocuments, RemoveDocument, ShowDocument};
use actix::Recipient;

/// Every door of one incarnation of a tenant.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Questions, searches, completions, embeddings.
    pub admit: Recipient<Admit>,
    /// Documents in.
    pub ingest: Recipient<IngestDocuments>,
    /// Documents out.
    pub remove: Recipient<RemoveDocument>,
    /// Documents listed.
    pub list: Recipient<ListDocuments>,
    /// One document shown.
    pub show: Recipient<ShowDocument>,
    /// Judgements of answers.
    pub feedback: Recipient<GiveFeedback>,
    /// Records of one answer.
    pub lineage: Recipient<ReadLineage>,
    /// Lineage in portions.
    pub export: Recipient<ExportLineage>,
    /// Usage.
    pub figures: Recipient<ReadFigures>,
    /// The policy in force.
    pub policy: Recipient<ReadPolicy>,
    /// A policy to adopt.
    pub adopt: Recipient<AdoptPolicy>,
    /// The live tree.
    pub inspect: Recipient<Inspect>,
    /// The end in order.
    pub close: Recipient<Close>,
}

//! The search index of one tenant. With its analyser and the sealed directory the only file that names tantivy.
//!
//! Derived state: whatever stands here can be rebuilt from the journal and the blobs. A commit carries its
//! [`Stamp`]: how far in the journal it has come and under which guard its chunks were admitted (invariant IDX1).
use super::analyser::{LANGUAGES_MAX, OfQuestions, Progress, analyser_of_index, marked};
use super::compaction::{SegmentSize, to_merge};
use super::language::Language;
use super::rules::Wanted;
use super::sealed_directory::SealedDirectory;
use crate::question::Passage;
use bailiwick_kernel::cipher::Cipher;
use bailiwick_kernel::codec;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tantivy::collector::Count;
use tantivy::directory::Directory;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::query::TermQuery;
use tantivy::schema::{FAST, Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions};
use tantivy::store::Compressor;
use tantivy::{
    DocAddress, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, SegmentMeta, TantivyDocument,
    Term,
};

mod filter;
mod hybrid;
mod query;
mod stored;

pub use hybrid::{Rows, Spot, of_place, place};
use stored::Stored;

const ANALYSER: &str = "words";
const OPENING: &str = "opening the index";
/// Distinct words of one query that are looked up; the rest of a very long question adds cost, not quality.
const QUERY_WORDS_MAX: usize = 256;
/// Hits looked at beyond those wanted, so that ties at the end are broken by name and not by place in the index.
const TIES_MAX: usize = 4;
/// Texts that are analysed for one chunk: title and text.
const TEXTS_PER_CHUNK: u64 = 2;
/// Chunks given to the engine and not analysed yet, when more are taken.
const CHUNKS_AHEAD_MAX: u64 = 4_096;
/// A segment is written out between two texts; longer than this nobody waits for one.
const PACE_KEPT_WITHIN: Duration = Duration::from_secs(2);
const WRITER_BYTES: usize = 30_000_000;
const STORE_BLOCK_BYTES: usize = 1_024;
/// Unpacked blocks kept per segment: with smaller blocks than the engine's own as many bytes.
const STORE_BLOCKS_KEPT: usize = 1_600;

/// Why the index failed. It is derived: the cure is always to rebuild it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{doing}: the search index failed: {reason}")]
pub struct IndexError {
    /// What was being done.
    pub doing: &'static str,
    /// What the engine said.
    pub reason: String,
}

fn failed<E: std::fmt::Display>(doing: &'static str) -> impl FnOnce(E) -> IndexError {
    move |error| IndexError { doing, reason: error.to_string() }
}

/// How far an index has come, and under which guard. Stands in every commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// The journal position after the last entry the index reflects.
    pub next: u64,
    /// Fingerprint of the guard its chunks were admitted by.
    pub guard: String,
}

/// A chunk as it stands in the index, with everything a passage needs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Chunk<Text> {
    /// The document.
    pub document_id: Text,
    /// Its title; searched together with the text.
    pub title: Text,
    /// Where it came from.
    pub source: Text,
    /// Domain.
    pub domain: Text,
    /// Use case.
    pub usecase: Text,
    /// The chunk's text; stored as text beside the rest, because the engine reads stored bytes one at a time.
    #[serde(skip)]
    pub text: Text,
    /// Number of the chunk within the document, from 0.
    pub number: u32,
    /// First character.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// Page, from 1.
    pub page: Option<u32>,
    /// Trust score the guard gave.
    pub trust_score: f64,
    /// Journal position its document's version was accepted at.
    pub version: u64,
    /// SHA-256 of its document's text, in hexadecimal.
    pub document_sha256: Text,
    /// The language its document is in; its terms are told by it, and nothing else.
    #[serde(skip)]
    pub language: Language,
}

impl Chunk<String> {
    fn into_passage(self, score: f32) -> Passage {
        Passage {
            chunk_id: format!("{}#{}", self.document_id, self.number),
            document_id: self.document_id,
            title: self.title,
            source: self.source,
            text: self.text,
            start: self.start,
            end: self.end,
            page: self.page,
            score,
            trust_score: self.trust_score,
            domain: self.domain,
            usecase: self.usecase,
            version: self.version,
            document_sha256: self.document_sha256,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Fields {
    text: Field,
    document_id: Field,
    domain: Field,
    usecase: Field,
    first: Field,
    stored: Field,
    words: Field,
    place: Field,
    language: Field,
}

/// An open index.
pub struct SearchIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    progress: Arc<Progress>,
}

impl SearchIndex {
    /// Opens the index of a folder, or creates an empty one. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where it is damaged or was made by a build with other fields: wipe and rebuild.
    pub fn open(folder: &Path, cipher: &Cipher) -> Result<Self, IndexError> {
        std::fs::create_dir_all(folder).map_err(failed(OPENING))?;
        Self::open_in(SealedDirectory::open(folder, cipher.clone()).map_err(failed(OPENING))?)
    }

    /// As [`SearchIndex::open`], in a directory of any kind: what sealing costs is measured beside a plain one. Blocking.
    ///
    /// # Errors
    /// As [`SearchIndex::open`].
    pub fn open_in(directory: impl Directory) -> Result<Self, IndexError> {
        let doing = OPENING;
        let (schema, fields) = schema();
        let mut index = if Index::exists(&directory).map_err(failed(doing))? {
            Index::open(directory).map_err(failed(doing))?
        } else {
            let settings = IndexSettings {
                docstore_blocksize: STORE_BLOCK_BYTES,
                docstore_compress_dedicated_thread: false,
                // an open index lies in memory: what a search unpacks for every passage costs more than the room it saves
                docstore_compression: Compressor::None,
                ..IndexSettings::default()
            };
            Index::create(directory, schema.clone(), settings).map_err(failed(doing))?
        };
        if index.schema() != schema {
            return Err(IndexError { doing, reason: String::from("its fields are those of another build") });
        }
        let progress = Arc::new(Progress::default());
        index.tokenizers().register(ANALYSER, analyser_of_index(Arc::clone(&progress)));
        index.settings_mut().docstore_compress_dedicated_thread = false;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(STORE_BLOCKS_KEPT)
            .try_into()
            .map_err(failed(doing))?;
        Ok(Self { index, reader, fields, progress })
    }

    /// Removes the index of a folder, so that it can be rebuilt. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the folder cannot be removed.
    pub fn wipe(folder: &Path) -> Result<(), IndexError> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("removing the index")(error)),
            _ => Ok(()),
        }
    }

    /// The stamp of the last commit; `None` for an index that was never committed.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn stamp(&self) -> Result<Option<Stamp>, IndexError> {
        let doing = "reading the index's stamp";
        let metas = self.index.load_metas().map_err(failed(doing))?;
        metas.payload.map(|payload| serde_json::from_str(&payload).map_err(failed(doing))).transpose()
    }

    /// A view of what is committed now. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where a segment cannot be opened.
    pub fn view(&self) -> Result<View, IndexError> {
        self.reader.reload().map_err(failed("reloading the index"))?;
        let searcher = self.reader.searcher();
        let first = TermQuery::new(Term::from_field_text(self.fields.first, "1"), IndexRecordOption::Basic);
        let documents = searcher.search(&first, &Count).map_err(failed("counting documents"))?;
        let languages = languages(&searcher, self.fields.language)?;
        Ok(View {
            searcher,
            of_questions: OfQuestions::of(&languages),
            fields: self.fields,
            documents: u64::try_from(documents).unwrap_or(u64::MAX),
        })
    }

    /// Opens the one writer. Blocking; costs threads and memory until it is finished.
    ///
    /// # Errors
    /// [`IndexError`] where another writer is open or the index is damaged.
    pub fn writer(&self) -> Result<Writer, IndexError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_BYTES)
            .build();
        let writer: IndexWriter =
            self.index.writer_with_options(options).map_err(failed("opening the index's writer"))?;
        writer.set_merge_policy(Box::new(LogMergePolicy::default()));
        let (progress, given) = (Arc::clone(&self.progress), AtomicU64::new(self.progress.texts()));
        Ok(Writer { writer, fields: self.fields, progress, given })
    }
}

/// What was committed at one moment; searched without a lock.
pub struct View {
    searcher: Searcher,
    of_questions: OfQuestions,
    fields: Fields,
    documents: u64,
}

/// The languages most chunks are in, that of the most first.
fn languages(searcher: &Searcher, field: Field) -> Result<Vec<Language>, IndexError> {
    let mut found = Vec::new();
    for language in Language::ALL {
        let chunks = searcher.doc_freq(&Term::from_field_text(field, language.name()));
        found.push((chunks.map_err(failed("counting languages"))?, language));
    }
    found.retain(|(chunks, _)| *chunks > 0);
    found.sort_by(|(one, a), (other, b)| other.cmp(one).then(a.cmp(b)));
    Ok(found.into_iter().take(LANGUAGES_MAX).map(|(_, language)| language).collect())
}

impl View {
    /// Documents with at least one searchable chunk.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Segments it is made of.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.searcher.segment_readers().len()
    }

    /// The best passages, best first; equal scores in the order of document and chunk. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn search(&self, wanted: &Wanted) -> Result<Vec<Passage>, IndexError> {
        self.passages(&self.by_words(wanted, wanted.top_k.saturating_add(TIES_MAX))?, wanted.top_k)
    }

    fn chunk(&self, at: DocAddress) -> Result<Chunk<String>, IndexError> {
        let Stored { words, rest } = self.searcher.doc(at).map_err(failed("reading a chunk"))?;
        let mut chunk: Chunk<String> = codec::decode(&rest).map_err(failed("reading a chunk"))?;
        chunk.text = words;
        Ok(chunk)
    }
}

/// The one writer of an index. Nothing it does is visible before a commit and the next view.
pub struct Writer {
    writer: IndexWriter,
    fields: Fields,
    progress: Arc<Progress>,
    /// What [`Progress::texts`] comes to once everything given to the engine is analysed.
    given: AtomicU64,
}

impl Writer {
    /// Takes out every chunk of a document.
    pub fn remove(&self, document_id: &str) {
        self.writer.delete_term(Term::from_field_text(self.fields.document_id, document_id));
    }

    /// Adds one admitted chunk; `first` marks the document's first one.
    ///
    /// # Errors
    /// [`IndexError`] where the engine gave up.
    pub fn add(&self, chunk: &Chunk<&str>, first_of_document: FirstOfDocument) -> Result<(), IndexError> {
        let fields = self.fields;
        let mut document = TantivyDocument::default();
        document.add_text(fields.text, marked(chunk.title, chunk.language));
        document.add_text(fields.text, marked(chunk.text, chunk.language));
        document.add_text(fields.language, chunk.language.name());
        document.add_text(fields.document_id, chunk.document_id);
        document.add_text(fields.domain, chunk.domain);
        document.add_text(fields.usecase, chunk.usecase);
        if first_of_document == FirstOfDocument::Yes {
            document.add_text(fields.first, "1");
        }
        document.add_bytes(fields.stored, &codec::encode(chunk).map_err(failed("adding a chunk"))?);
        document.add_text(fields.words, chunk.text);
        document.add_u64(fields.place, place(chunk.version, chunk.number));
        self.writer.add_document(document).map_err(failed("adding a chunk"))?;
        self.given.fetch_add(TEXTS_PER_CHUNK, Ordering::Relaxed);
        Ok(())
    }

    /// Waits while the engine's own queue is long, so that whoever sends documents is held up by the index and not by
    /// memory, and a commit has little left to do. Blocking.
    pub fn keep_pace(&self) {
        let far_enough = self.given.load(Ordering::Relaxed).saturating_sub(CHUNKS_AHEAD_MAX * TEXTS_PER_CHUNK);
        self.progress.wait_for(far_enough, PACE_KEPT_WITHIN);
    }

    /// Makes everything since the last commit durable under a stamp, as one unit. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the engine gave up.
    pub fn commit(&mut self, stamp: &Stamp) -> Result<(), IndexError> {
        let doing = "committing to the index";
        let payload = serde_json::to_string(stamp).map_err(failed(doing))?;
        let mut prepared = self.writer.prepare_commit().map_err(failed(doing))?;
        prepared.set_payload(&payload);
        prepared.commit().map_err(failed(doing))?;
        Ok(())
    }

    /// Rewrites segments that still hold removed text, and small ones into one. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the engine gave up.
    pub fn compact(&mut self) -> Result<(), IndexError> {
        let doing = "compacting the index";
        let segments = self.writer.index().searchable_segment_metas().map_err(failed(doing))?;
        let sizes: Vec<_> = segments
            .iter()
            .map(|segment| SegmentSize { chunks: segment.num_docs(), is_stale: segment.has_deletes() })
            .collect();
        let merged: Vec<_> =
            to_merge(&sizes).into_iter().filter_map(|at| segments.get(at)).map(SegmentMeta::id).collect();
        if !merged.is_empty() {
            self.writer.merge(&merged).wait().map_err(failed(doing))?;
        }
        Ok(())
    }

    /// Closes the writer, whatever it was doing, and waits for its threads: one that merges in the background would
    /// otherwise go on writing into a folder that has the next owner. What was not committed is lost. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the engine had given up before.
    pub fn close(self) -> Result<(), IndexError> {
        self.writer.wait_merging_threads().map_err(failed("closing the index's writer"))
    }

    /// Removes files no view needs any more and closes the writer. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the engine gave up.
    pub fn finish(self) -> Result<(), IndexError> {
        self.writer.garbage_collect_files().wait().map_err(failed("removing old segments"))?;
        self.close()
    }
}

/// Whether a chunk is the first of its document in the index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstOfDocument {
    /// The first one.
    Yes,
    /// A further one.
    No,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexed = |tokenizer: &str, option, norms| {
        TextOptions::default().set_indexing_options(
            TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option).set_fieldnorms(norms),
        )
    };
    let name = || indexed("raw", IndexRecordOption::Basic, false);
    let fields = Fields {
        text: schema.add_text_field("text", indexed(ANALYSER, IndexRecordOption::WithFreqs, true)),
        document_id: schema.add_text_field("document_id", name()),
        domain: schema.add_text_field("domain", name()),
        usecase: schema.add_text_field("usecase", name()),
        first: schema.add_text_field("first", name()),
        // its name is that of its layout: an index of another one is rebuilt
        stored: schema.add_bytes_field("stored3", STORED),
        words: schema.add_text_field("words", STORED),
        place: schema.add_u64_field(hybrid::PLACE, FAST),
        language: schema.add_text_field("language", name()),
    };
    (schema.build(), fields)
}

#[cfg(test)]
mod tests {
    use super::{Chunk, FirstOfDocument, Language, SearchIndex, Stamp};
    use bailiwick_kernel::cipher::Cipher;
    use bailiwick_kernel::ids::TenantKey;

    #[expect(clippy::disallowed_methods, reason = "test")]
    fn cipher() -> Cipher {
        Cipher::derive(&[7; 32], TenantKey::mint(uuid::Uuid::from_u128(7))).unwrap()
    }

    /// Whoever keeps pace would otherwise wait in vain, or not at all.
    #[test]
    fn everything_given_to_the_engine_is_counted_when_it_is_analysed() {
        let folder = tempfile::tempdir().unwrap();
        let index = SearchIndex::open(folder.path(), &cipher()).unwrap();
        for _round in 0..2 {
            let mut writer = index.writer().unwrap();
            for number in 0..10 {
                let (document_id, title, text) = ("d1", "Heron", "It eats fish.");
                let [source, domain, usecase] = ["upload.local", "general", "general"];
                let (start, end, page, trust_score, version) = (0, text.len(), None, 1.0, 0);
                let chunk = Chunk {
                    document_id,
                    title,
                    source,
                    domain,
                    usecase,
                    text,
                    number,
                    start,
                    end,
                    page,
                    trust_score,
                    version,
                    document_sha256: "",
                    language: Language::English,
                };
                writer.add(&chunk, FirstOfDocument::No).unwrap();
            }
            writer.keep_pace();
            writer.commit(&Stamp { next: 1, guard: String::new() }).unwrap();
            assert_eq!(index.progress.texts(), *writer.given.get_mut());
            writer.close().unwrap();
        }
        assert_eq!(index.view().unwrap().segments(), 2);
    }
}

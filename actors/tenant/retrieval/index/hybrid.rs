//! What the search by meaning needs of a view: which rows of the vectors stand for chunks in it, and which of those somebody
//! may find. The view alone says so: a chunk the guard kept out, or of a document that was removed or replaced, is not in it.
use super::{IndexError, TIES_MAX, View, failed};
use crate::question::Passage;
use crate::retrieval::fusion::Scored;
use crate::retrieval::rules::Wanted;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use tantivy::collector::{Collector, SegmentCollector, TopDocs};
use tantivy::query::AllQuery;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

/// The field of a chunk's [`place`].
pub(super) const PLACE: &str = "place";
/// Bits of a chunk's number: as many as the longest document has characters.
const NUMBER_BITS: u32 = 23;
/// No row.
const NONE: u32 = u32::MAX;

/// Names one chunk of one version of a document among all there ever were: the journal position the version was accepted at,
/// and the number of the chunk.
#[must_use]
pub fn place(version: u64, number: u32) -> u64 {
    (version << NUMBER_BITS) | u64::from(number)
}

/// The version and the number a place stands for.
#[must_use]
pub fn of_place(place: u64) -> (u64, u32) {
    (place >> NUMBER_BITS, u32::try_from(place & ((1 << NUMBER_BITS) - 1)).unwrap_or(NONE))
}

/// A chunk in a view.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Spot(DocAddress);

/// Which rows of the vectors stand for which chunks of a view.
#[derive(Debug)]
pub struct Rows {
    /// Of each segment: chunk → row.
    of_chunks: Vec<Vec<u32>>,
    /// Row → chunk.
    at: Vec<Option<Spot>>,
    /// Row → it stands for a chunk of the view.
    found: Vec<bool>,
}

impl Rows {
    /// The chunk of a row.
    #[must_use]
    pub fn spot(&self, row: u32) -> Option<Spot> {
        self.at.get(usize::try_from(row).ok()?).copied().flatten()
    }

    /// Rows that stand for chunks of the view, by row.
    #[must_use]
    pub fn found(&self) -> &[bool] {
        &self.found
    }
}

impl View {
    /// Which rows stand for its chunks. Blocking; looks at every chunk.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn rows(&self, count: usize, row_of: impl Fn(u64) -> Option<u32>) -> Result<Rows, IndexError> {
        let doing = "looking for the chunks of vectors";
        let (mut of_chunks, mut at, mut found) = (Vec::new(), vec![None; count], vec![false; count]);
        for (segment_ord, segment) in (0_u32..).zip(self.searcher.segment_readers()) {
            let places = segment.fast_fields().u64(PLACE).map_err(failed(doing))?;
            let mut rows = vec![NONE; usize::try_from(segment.max_doc()).unwrap_or(0)];
            for doc_id in segment.doc_ids_alive() {
                let Some(row) = places.first(doc_id).and_then(&row_of) else { continue };
                let (Ok(chunk), Ok(index)) = (usize::try_from(doc_id), usize::try_from(row)) else { continue };
                if let (Some(known), Some(spot), Some(found)) =
                    (rows.get_mut(chunk), at.get_mut(index), found.get_mut(index))
                {
                    *known = row;
                    *spot = Some(Spot(DocAddress { segment_ord, doc_id }));
                    *found = true;
                }
            }
            of_chunks.push(rows);
        }
        Ok(Rows { of_chunks, at, found })
    }

    /// The rows that may be found, by row; nothing where every row of the view may. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn admitted(&self, wanted: &Wanted, rows: &Rows) -> Result<Option<Vec<bool>>, IndexError> {
        let Some(query) = self.findable(wanted) else { return Ok(None) };
        let matched = self.searcher.search(&*query, &Matching).map_err(failed("asking which passages may be found"))?;
        let mut admitted = vec![false; rows.found.len()];
        for (segment, chunks) in matched {
            let rows = usize::try_from(segment).ok().and_then(|at| rows.of_chunks.get(at));
            for row in chunks.iter().filter_map(|chunk| rows?.get(usize::try_from(*chunk).ok()?)) {
                if let Some(admitted) = usize::try_from(*row).ok().and_then(|at| admitted.get_mut(at)) {
                    *admitted = true;
                }
            }
        }
        Ok(Some(admitted))
    }

    /// The chunks that may be found, by place, in order. Blocking; looks at every one of them.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn places(&self, wanted: &Wanted) -> Result<Vec<(u64, Spot)>, IndexError> {
        let doing = "looking which passages may be found";
        let query = self.findable(wanted).unwrap_or_else(|| Box::new(AllQuery));
        let matched = self.searcher.search(&*query, &Matching).map_err(failed(doing))?;
        let mut found = Vec::new();
        for (segment_ord, chunks) in matched {
            let places = self.searcher.segment_reader(segment_ord).fast_fields().u64(PLACE).map_err(failed(doing))?;
            let spot = |doc_id| Some((places.first(doc_id)?, Spot(DocAddress { segment_ord, doc_id })));
            found.extend(chunks.into_iter().filter_map(spot));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The chunks that rank best by their words. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn by_words(&self, wanted: &Wanted, most: usize) -> Result<Vec<Scored<Spot>>, IndexError> {
        let Some(query) = self.query(wanted) else { return Ok(Vec::new()) };
        let collector = TopDocs::with_limit(most).order_by_score();
        let hits = self.searcher.search(&*query, &collector).map_err(failed("searching"))?;
        Ok(hits.into_iter().map(|(score, at)| Scored { key: Spot(at), score }).collect())
    }

    /// The passages of chunks ranked best first; of those that rank alike at the end, the first by document and number.
    /// Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn passages(&self, ranked: &[Scored<Spot>], most: usize) -> Result<Vec<Passage>, IndexError> {
        let Some(last) = most.checked_sub(1) else { return Ok(Vec::new()) };
        let last_score = ranked.get(last).map_or(f32::MIN, |last| last.score);
        let within = ranked.iter().take(most.saturating_add(TIES_MAX)).take_while(|one| one.score >= last_score);
        let mut found = Vec::with_capacity(most);
        for Scored { key: Spot(at), score } in within {
            found.push((*score, self.chunk(*at)?));
        }
        found.sort_by(|(one, a), (other, b)| {
            other.total_cmp(one).then_with(|| a.document_id.cmp(&b.document_id)).then_with(|| a.number.cmp(&b.number))
        });
        found.truncate(most);
        Ok(found.into_iter().map(|(score, chunk)| chunk.into_passage(score)).collect())
    }

    /// The passages that stand at these places. Blocking.
    ///
    /// # Errors
    /// [`IndexError`] where the index is damaged.
    pub fn standing_at(&self, spots: impl Iterator<Item = Spot>) -> Result<BTreeMap<Spot, Passage>, IndexError> {
        let mut passages = BTreeMap::new();
        for Spot(at) in spots {
            if let Entry::Vacant(place) = passages.entry(Spot(at)) {
                place.insert(self.chunk(at)?.into_passage(0.0));
            }
        }
        Ok(passages)
    }
}

/// Collects the chunks a query matches, segment by segment.
struct Matching;

struct MatchingSegment {
    segment: SegmentOrdinal,
    chunks: Vec<DocId>,
}

impl Collector for Matching {
    type Fruit = Vec<(SegmentOrdinal, Vec<DocId>)>;
    type Child = MatchingSegment;

    fn for_segment(&self, segment: SegmentOrdinal, _reader: &SegmentReader) -> tantivy::Result<MatchingSegment> {
        Ok(MatchingSegment { segment, chunks: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<(SegmentOrdinal, Vec<DocId>)>) -> tantivy::Result<Self::Fruit> {
        Ok(fruits)
    }
}

impl SegmentCollector for MatchingSegment {
    type Fruit = (SegmentOrdinal, Vec<DocId>);

    fn collect(&mut self, chunk: DocId, _score: Score) {
        self.chunks.push(chunk);
    }

    fn harvest(self) -> Self::Fruit {
        (self.segment, self.chunks)
    }
}

//! How good a ranking of documents is where it is known which of them are right: binary relevance, a document counted once,
//! at its best place. Figures lie between 0 and 1; there is none where nothing is relevant. Pure.
//!
//! nDCG as Järvelin and Kekäläinen define it (ACM TOIS 20(4), 2002), with the discount of `trec_eval`; reciprocal rank as
//! Voorhees does (TREC-8, 1999).
use std::collections::BTreeSet;

/// The places a ranking's first page has.
pub const FIRST_PAGE: usize = 10;

/// Documents in the order of their best passages, each once.
pub fn documents<'a>(passages: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    passages.into_iter().filter(|document| seen.insert(*document)).collect()
}

/// nDCG over the first `depth` places.
#[must_use]
pub fn ndcg(found: &[&str], relevant: &[String], depth: usize) -> Option<f64> {
    let relevant = distinct(relevant)?;
    let places = (0..).zip(found.iter().take(depth)).filter(|(_, id)| relevant.contains(*id));
    let gained = places.fold(0.0, |sum, (at, _)| sum + discount(at));
    let ideal = (0..relevant.len().min(depth)).fold(0.0, |sum, at| sum + discount(at));
    Some(gained / ideal)
}

/// Share of the relevant documents among the first `depth` places.
#[must_use]
pub fn recall(found: &[&str], relevant: &[String], depth: usize) -> Option<f64> {
    let relevant = distinct(relevant)?;
    let hits = found.iter().take(depth).filter(|id| relevant.contains(*id)).count();
    Some(share(hits, relevant.len()))
}

/// One over the place of the first relevant document, from 1; 0 where none is found.
#[must_use]
pub fn reciprocal_rank(found: &[&str], relevant: &[String]) -> Option<f64> {
    let relevant = distinct(relevant)?;
    Some(found.iter().position(|id| relevant.contains(id)).map_or(0.0, |at| share(1, at + 1)))
}

/// Share of the documents found that are relevant, over the first `depth` places; nothing where none is found.
#[must_use]
pub fn precision(found: &[&str], relevant: &[String], depth: usize) -> Option<f64> {
    let relevant = distinct(relevant)?;
    let within = found.len().min(depth);
    let hits = found.iter().take(depth).filter(|id| relevant.contains(*id)).count();
    (within > 0).then(|| share(hits, within))
}

fn distinct(relevant: &[String]) -> Option<BTreeSet<&str>> {
    Some(relevant.iter().map(String::as_str).collect::<BTreeSet<_>>()).filter(|distinct| !distinct.is_empty())
}

/// What a place counts, from 0.
#[expect(clippy::cast_precision_loss, reason = "places of one ranking")]
fn discount(at: usize) -> f64 {
    1.0 / (at as f64 + 2.0).log2()
}

#[expect(clippy::cast_precision_loss, reason = "documents of one ranking")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
mod tests;

//! What a search becomes in the engine: words that add to a score, filters that do not.
use super::{QUERY_WORDS_MAX, View, filter};
use crate::retrieval::rules::Wanted;
use bailiwick_policy::visibility::Visible;
use std::collections::BTreeMap;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, BoostQuery, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

impl View {
    /// Any of the words, a repeated word counting as often as it stands there; the filters inside the query.
    pub(super) fn query(&self, wanted: &Wanted) -> Option<Box<dyn Query>> {
        let mut analyser = self.analyser.clone();
        let mut counts: BTreeMap<String, f32> = BTreeMap::new();
        analyser.token_stream(&wanted.text).process(&mut |token| {
            if let Some(count) = counts.get_mut(&token.text) {
                *count += 1.0;
            } else if counts.len() < QUERY_WORDS_MAX {
                counts.insert(token.text.clone(), 1.0);
            }
        });
        if counts.is_empty() || wanted.top_k == 0 {
            return None;
        }
        let any: Vec<(Occur, Box<dyn Query>)> =
            counts.into_iter().map(|(word, count)| (Occur::Should, self.word(&word, count))).collect();
        let any: Box<dyn Query> = Box::new(BooleanQuery::new(any));
        let mut all = self.filters(wanted);
        if all.is_empty() {
            return Some(any);
        }
        all.push((Occur::Must, any));
        Some(Box::new(BooleanQuery::new(all)))
    }

    /// Every chunk that may be found, whatever its words; nothing where every chunk of the view may.
    pub(super) fn findable(&self, wanted: &Wanted) -> Option<Box<dyn Query>> {
        let mut all = self.filters(wanted);
        if all.is_empty() {
            return None;
        }
        all.push((Occur::Must, Box::new(AllQuery)));
        Some(Box::new(BooleanQuery::new(all)))
    }

    fn filters(&self, wanted: &Wanted) -> Vec<(Occur, Box<dyn Query>)> {
        let filters = [(self.fields.domain, &wanted.domain), (self.fields.usecase, &wanted.usecase)];
        let mut all: Vec<(Occur, Box<dyn Query>)> = filters
            .into_iter()
            .filter_map(|(field, only)| only.as_ref().map(|only| (Occur::Must, filter::exactly(field, only))))
            .collect();
        if wanted.visible != Visible::everything() {
            all.push((Occur::Must, filter::visible(&self.fields, &wanted.visible)));
        }
        all
    }

    fn word(&self, word: &str, count: f32) -> Box<dyn Query> {
        let term =
            Box::new(TermQuery::new(Term::from_field_text(self.fields.text, word), IndexRecordOption::WithFreqs));
        if count > 1.0 { Box::new(BoostQuery::new(term, count)) } else { term }
    }
}

//! What a search becomes in the engine: words that add to a score, filters that do not.
use super::{QUERY_WORDS_MAX, View, filter};
use crate::retrieval::analyser::Asked;
use crate::retrieval::language::Language;
use crate::retrieval::rules::Wanted;
use bailiwick_policy::visibility::Visible;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, Occur, Query, TermQuery,
};
use tantivy::schema::IndexRecordOption;

/// What a passage in the question's own language is ahead of its translations, for each word of the question: a word of some
/// weight counts two to five. Names are the same in all of them, and would decide alone.
const OWN_LANGUAGE_A_WORD: f32 = 0.25;

impl View {
    /// Any of the words, a repeated word counting as often as it stands there; the filters inside the query.
    pub(super) fn query(&self, wanted: &Wanted) -> Option<Box<dyn Query>> {
        let Asked { words, language } = self.of_questions.asked(&wanted.text, QUERY_WORDS_MAX);
        if words.is_empty() || wanted.top_k == 0 {
            return None;
        }
        let any: Vec<(Occur, Box<dyn Query>)> =
            words.iter().map(|(terms, count)| (Occur::Should, self.word(terms, *count))).collect();
        let any: Box<dyn Query> = Box::new(BooleanQuery::new(any));
        let mut all = self.filters(wanted);
        if all.is_empty() && language.is_none() {
            return Some(any);
        }
        all.push((Occur::Must, any));
        if let Some(language) = language {
            let words: f32 = words.values().sum();
            all.push((Occur::Should, self.preferred(language, words * OWN_LANGUAGE_A_WORD)));
        }
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

    /// Adds so much to the score of what is in this language.
    fn preferred(&self, language: Language, score: f32) -> Box<dyn Query> {
        let term = Term::from_field_text(self.fields.language, language.name());
        Box::new(ConstScoreQuery::new(Box::new(TermQuery::new(term, IndexRecordOption::Basic)), score))
    }

    /// A word under whichever of its terms: where a text has several of them, the best counts.
    fn word(&self, terms: &[String], count: f32) -> Box<dyn Query> {
        let of_term = |term: &String| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(self.fields.text, term), IndexRecordOption::WithFreqs))
        };
        let word = match terms {
            [term] => of_term(term),
            terms => Box::new(DisjunctionMaxQuery::new(terms.iter().map(of_term).collect())),
        };
        if count > 1.0 { Box::new(BoostQuery::new(word, count)) } else { word }
    }
}

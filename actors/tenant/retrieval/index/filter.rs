//! What is asked of a document beside its words: filters inside the query, which add nothing to a score.
use super::Fields;
use bailiwick_policy::language::condition::Pattern;
use bailiwick_policy::regions::axis::end_of_prefix;
use bailiwick_policy::visibility::{DocumentField, Visible};
use std::ops::Bound;
use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, ConstScoreQuery, EmptyQuery, Occur, Query, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};

/// The documents somebody may find, as a query that adds nothing to a score.
pub(super) fn visible(fields: &Fields, visible: &Visible) -> Box<dyn Query> {
    let joined = |occur: Occur, parts: &[Visible]| -> Vec<(Occur, Box<dyn Query>)> {
        parts.iter().map(|part| (occur, self::visible(fields, part))).collect()
    };
    let query: Box<dyn Query> = match visible {
        Visible::All(parts) if parts.is_empty() => Box::new(AllQuery),
        Visible::Any(parts) if parts.is_empty() => Box::new(EmptyQuery),
        Visible::All(parts) => Box::new(BooleanQuery::new(joined(Occur::Must, parts))),
        Visible::Any(parts) => Box::new(BooleanQuery::new(joined(Occur::Should, parts))),
        Visible::Not(part) => Box::new(BooleanQuery::new(vec![
            (Occur::Must, Box::new(AllQuery)),
            (Occur::MustNot, self::visible(fields, part)),
        ])),
        Visible::Is { field, texts } => {
            let field = match field {
                DocumentField::Id => fields.document_id,
                DocumentField::Domain => fields.domain,
                DocumentField::Usecase => fields.usecase,
            };
            let any = texts.iter().map(|text| (Occur::Should, written(field, text)));
            Box::new(BooleanQuery::new(any.collect()))
        }
        Visible::Named(ids) => {
            let any = ids.iter().map(|id| (Occur::Should, exactly(fields.document_id, id)));
            Box::new(BooleanQuery::new(any.collect()))
        }
    };
    Box::new(ConstScoreQuery::new(query, 0.0))
}

/// A text of a rule: itself, or everything that begins like it.
fn written(field: Field, text: &str) -> Box<dyn Query> {
    let from = |text: &str| Term::from_field_text(field, text);
    match Pattern::of(text) {
        Pattern::Exactly(text) => exactly(field, text),
        Pattern::Prefix("") => Box::new(AllQuery),
        Pattern::Prefix(prefix) => {
            let end = end_of_prefix(prefix).map_or(Bound::Unbounded, |end| Bound::Excluded(from(&end)));
            Box::new(RangeQuery::new(Bound::Included(from(prefix)), end))
        }
    }
}

/// A text, exactly.
pub(super) fn exactly(field: Field, text: &str) -> Box<dyn Query> {
    let term = TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic);
    Box::new(ConstScoreQuery::new(Box::new(term), 0.0))
}

//! Which documents somebody may find: the rules of `retrieve`, judged as far as the asker is known, with what is left asked
//! of each document. It becomes part of the query itself, so that filtering can neither starve an answer nor be forgotten.
use crate::evaluate::{Engine, Refusal};
use crate::language::attributes::{DOCUMENT_DOMAIN, DOCUMENT_ID, DOCUMENT_USECASE};
use crate::language::checks::Enacted;
use crate::language::condition::{Pattern, Scalar};
use crate::language::{Action, Condition, Effect, Facts, Test};

/// What is asked of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Visible {
    /// All of these; everything where there are none.
    All(Vec<Self>),
    /// One of these; nothing where there are none.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A field is one of these texts; one that ends in `*` stands for every text that begins like it.
    Is {
        /// Which field.
        field: DocumentField,
        /// The texts.
        texts: Vec<String>,
    },
    /// One of these documents, by their ids, which are no patterns.
    Named(Vec<String>),
}

/// A field of a document that rules of `retrieve` may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DocumentField {
    /// Its id.
    Id,
    /// Its domain.
    Domain,
    /// Its use case.
    Usecase,
}

impl DocumentField {
    fn of(attribute: &str) -> Option<Self> {
        match attribute {
            DOCUMENT_ID => Some(Self::Id),
            DOCUMENT_DOMAIN => Some(Self::Domain),
            DOCUMENT_USECASE => Some(Self::Usecase),
            _ => None,
        }
    }
}

/// The fields of one document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Document<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its domain.
    pub domain: &'a str,
    /// Its use case.
    pub usecase: &'a str,
}

impl Visible {
    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Any(Vec::new())
    }

    fn constant(holds: bool) -> Self {
        if holds { Self::everything() } else { Self::nothing() }
    }

    fn is_everything(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Any(parts) if parts.is_empty())
    }

    fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<_> = parts.into_iter().filter(|part| !part.is_everything()).collect();
        match kept.pop() {
            None => Self::everything(),
            Some(only) if kept.is_empty() => only,
            Some(last) if last.is_nothing() || kept.iter().any(Self::is_nothing) => Self::nothing(),
            Some(last) => {
                kept.push(last);
                Self::All(kept)
            }
        }
    }

    fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept: Vec<_> = parts.into_iter().filter(|part| !part.is_nothing()).collect();
        match kept.pop() {
            None => Self::nothing(),
            Some(only) if kept.is_empty() => only,
            Some(last) if last.is_everything() || kept.iter().any(Self::is_everything) => Self::everything(),
            Some(last) => {
                kept.push(last);
                Self::Any(kept)
            }
        }
    }

    /// The same, without these documents.
    #[must_use]
    pub fn without(self, ids: Vec<String>) -> Self {
        if ids.is_empty() { self } else { Self::all([self, Self::not(Self::Named(ids))]) }
    }

    fn not(part: Self) -> Self {
        match part {
            Self::Not(inner) => *inner,
            part if part.is_everything() => Self::nothing(),
            part if part.is_nothing() => Self::everything(),
            part => Self::Not(Box::new(part)),
        }
    }

    /// Whether a document may be found.
    #[must_use]
    pub fn admits(&self, document: &Document<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.admits(document)),
            Self::Any(parts) => parts.iter().any(|part| part.admits(document)),
            Self::Not(part) => !part.admits(document),
            Self::Is { field, texts } => {
                let value = match field {
                    DocumentField::Id => document.id,
                    DocumentField::Domain => document.domain,
                    DocumentField::Usecase => document.usecase,
                };
                texts.iter().any(|text| Pattern::of(text).matches(value))
            }
            Self::Named(ids) => ids.iter().any(|id| id == document.id),
        }
    }
}

/// Which documents may be found by whom these facts are about.
///
/// # Errors
/// [`Refusal::Unjudged`] where a rule asks for what the asker does not say.
pub fn visible<'a>(engine: &'a Engine, facts: &Facts) -> Result<Visible, Refusal<'a>> {
    let concerned = |effect: Effect| {
        let rules = engine.rules().iter();
        rules.filter(move |enacted| enacted.rule.effect == effect && enacted.rule.actions.contains(&Action::Retrieve))
    };
    let of = |enacted: &'a Enacted| {
        let left =
            enacted.rule.when.as_ref().map_or(Some(Visible::everything()), |condition| residual(condition, facts));
        left.ok_or_else(|| Refusal::Unjudged(vec![enacted]))
    };
    let permitted = concerned(Effect::Permit).map(|permit| Ok((permit, of(permit)?)));
    let permitted: Vec<(&Enacted, Visible)> = permitted.collect::<Result<_, Refusal<'a>>>()?;
    let mut forbidden = Vec::new();
    for forbid in concerned(Effect::Forbid) {
        let lifting = permitted.iter().filter(|(permit, _)| permit.lifts(forbid, Action::Retrieve));
        let lifted = Visible::any(lifting.map(|(_, left)| left.clone()));
        forbidden.push(Visible::all([of(forbid)?, Visible::not(lifted)]));
    }
    let permitted = Visible::any(permitted.into_iter().map(|(_, left)| left));
    Ok(Visible::all([permitted, Visible::not(Visible::any(forbidden))]))
}

/// What of a condition is left to be asked of the document; `None` where it cannot be judged.
fn residual(condition: &Condition, facts: &Facts) -> Option<Visible> {
    match condition {
        Condition::Not(part) => residual(part, facts).map(Visible::not),
        Condition::All(parts) => {
            let mut left = Vec::with_capacity(parts.len());
            for part in parts {
                let next = residual(part, facts)?;
                if next.is_nothing() && left.iter().all(Visible::is_everything) {
                    return Some(next);
                }
                left.push(next);
            }
            Some(Visible::all(left))
        }
        Condition::Any(parts) => {
            let mut left = Vec::with_capacity(parts.len());
            for part in parts {
                let next = residual(part, facts)?;
                if next.is_everything() && left.iter().all(Visible::is_nothing) {
                    return Some(next);
                }
                left.push(next);
            }
            Some(Visible::any(left))
        }
        Condition::Is { attribute, test } => match (DocumentField::of(attribute), test) {
            (Some(field), Test::AnyOf(scalars)) => {
                let texts = scalars.iter().filter_map(|scalar| match scalar {
                    Scalar::Text(text) => Some(text.clone()),
                    Scalar::Number(_) | Scalar::Flag(_) => None,
                });
                Some(Visible::Is { field, texts: texts.collect() })
            }
            (Some(_), _) => None,
            (None, test) => test.passes(facts.get(attribute)).map(Visible::constant),
        },
    }
}

#[cfg(test)]
#[path = "visibility_tests.rs"]
mod tests;

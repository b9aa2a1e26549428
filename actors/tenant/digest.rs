//! What makes two calls the same: a digest over everything of a matter that decides its answer. Pure.
use crate::question::{Exchange, Matter, Question, Ranking, Search};
use crate::supervisor::sideways::kind_of;
use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;
use std::fmt;

/// Fields of OpenAI's bodies that say how an answer is told, not what it says.
const TELLING: [&str; 2] = ["stream", "stream_options"];

/// SHA-256 over everything of a matter that decides its answer, in a canonical form: kind, text, filters, and for
/// passed-through calls every field of the body, whatever its order, but `stream` and `stream_options`. A client whose
/// stream broke off may ask for the whole answer, and the other way round.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatterDigest(pub [u8; 32]);

impl MatterDigest {
    /// The digest of a matter.
    #[must_use]
    pub fn of(matter: &Matter) -> Self {
        let mut canon = Canon::new(kind_of(matter));
        match matter {
            Matter::Ask(Question { text, domain, usecase, top_k, earlier }) => {
                canon.scoped(text, domain.as_deref(), usecase.as_deref(), *top_k);
                canon.told(earlier);
            }
            Matter::Search(Search { query, domain, usecase, top_k }) => {
                canon.scoped(query, domain.as_deref(), usecase.as_deref(), *top_k);
            }
            Matter::Chat(chat) => canon.body(&chat.body),
            Matter::Embed(body) => canon.body(body),
            Matter::Rank(ranking) => {
                let Ranking { model, query, documents } = &**ranking;
                [model, query].into_iter().chain(documents).for_each(|text| canon.text(text));
            }
        }
        Self(canon.finish())
    }
}

impl fmt::Debug for MatterDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MatterDigest({})", short(&self.0))
    }
}

/// SHA-256 of bytes as they are.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    fixed(context)
}

fn fixed(context: Context) -> [u8; 32] {
    let digest = context.finish();
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// The first bytes in hexadecimal, for logs.
pub(crate) fn short(bytes: &[u8; 32]) -> String {
    bytes.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes in one order and with their lengths before them, so that no two values run together to the same bytes.
pub(crate) struct Canon(Context);

impl Canon {
    pub(crate) fn new(kind: &str) -> Self {
        let mut canon = Self(Context::new(&SHA256));
        canon.text(kind);
        canon
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn count(&mut self, count: usize) {
        self.0.update(&u64::try_from(count).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn tag(&mut self, tag: u8) {
        self.0.update(&[tag]);
    }

    fn option(&mut self, text: Option<&str>) {
        self.tag(u8::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    pub(crate) fn scoped(&mut self, text: &str, domain: Option<&str>, usecase: Option<&str>, top_k: Option<usize>) {
        self.text(text);
        self.option(domain);
        self.option(usecase);
        self.tag(u8::from(top_k.is_some()));
        self.count(top_k.unwrap_or_default());
    }

    /// What a model is told beside a question. Nothing adds nothing: digests that are kept stay what they are.
    pub(crate) fn told(&mut self, earlier: &[Exchange]) {
        if earlier.is_empty() {
            return;
        }
        self.count(earlier.len());
        for Exchange { question, answer, query_id: _, rests_on: _ } in earlier {
            self.text(question);
            self.text(answer);
        }
    }

    fn body(&mut self, body: &Value) {
        let Value::Object(fields) = body else { return self.value(body) };
        let mut told: Vec<_> = fields.iter().filter(|(name, _)| !TELLING.contains(&name.as_str())).collect();
        told.sort_unstable_by_key(|(name, _)| name.as_str());
        self.fields(&told);
    }

    /// Every kind of value with its own tag, fields in the order of their names. As deep as a body may be: the parser
    /// that read it stops at 128.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(0),
            Value::Bool(is_so) => self.tag(1 + u8::from(*is_so)),
            Value::Number(number) => {
                self.tag(3);
                self.text(&number.to_string());
            }
            Value::String(text) => {
                self.tag(4);
                self.text(text);
            }
            Value::Array(items) => {
                self.tag(5);
                self.count(items.len());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(fields) => {
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| name.as_str());
                self.fields(&sorted);
            }
        }
    }

    fn fields(&mut self, fields: &[(&String, &Value)]) {
        self.tag(6);
        self.count(fields.len());
        for (name, value) in fields {
            self.text(name);
            self.value(value);
        }
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        fixed(self.0)
    }
}

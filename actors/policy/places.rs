//! Where each value of a file stands, so that a value that is well-formed and still wrong is reported with its line.
use crate::parse::{FileError, options};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{NonFiniteFloatPolicy, Spanned};
use std::collections::BTreeMap;
use std::fmt;

/// Key path, such as `settings.security.allowlist[2]`, to line and column.
#[derive(Clone, Default, Debug)]
pub struct Places(BTreeMap<String, (u64, u64)>);

impl Places {
    /// Finds the place of every value. A text that is no YAML has none.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut options = options();
        options.non_finite_float_policy = NonFiniteFloatPolicy::AsString;
        let mut places = Self::default();
        if let Ok(root) = serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options) {
            places.note("", &root);
        }
        places
    }

    /// Something wrong with the value at a key path, or with the nearest value above it that is in the file.
    #[must_use]
    pub fn error(&self, file: &str, path: &str, problem: &str) -> FileError {
        let (line, column) = self.nearest(path);
        FileError { file: file.to_owned(), line, column, problem: format!("{path}: {problem}") }
    }

    fn nearest(&self, path: &str) -> (u64, u64) {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or(""),
                None => return (0, 0),
            }
        }
    }

    fn note(&mut self, path: &str, node: &Spanned<Node>) {
        self.0.insert(path.to_owned(), (node.referenced.line(), node.referenced.column()));
        match &node.value {
            Node::Leaf => {}
            Node::Map(entries) => entries.iter().for_each(|(key, value)| {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                self.note(&below, value);
            }),
            Node::List(items) => {
                items.iter().enumerate().for_each(|(index, value)| self.note(&format!("{path}[{index}]"), value));
            }
        }
    }
}

enum Node {
    Leaf,
    Map(Vec<(String, Spanned<Node>)>),
    List(Vec<Spanned<Node>>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_i128<E: Error>(self, _: i128) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_u128<E: Error>(self, _: u128) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Node::Leaf)
    }
}

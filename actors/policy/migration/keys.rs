//! Which keys today's files know, and values that are put at a path.
use crate::compile::FILES;
use crate::parse::{advice, parse};
use crate::schemas::schema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What is said of a file that no tenant has.
pub(super) fn unknown_file(file: &str) -> String {
    if FILES.contains(&file) {
        return "left behind: a system without tenants has none that means the same; write the tenant's own".to_owned();
    }
    format!("no tenant has such a file: {}", advice(file, &FILES))
}

/// What is said of a key that no file has.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> String {
    format!("unknown key {key:?}, left behind: {}", advice(key, known))
}

/// Takes the keys out of a value that the JSON Schema of a file does not know. Gives their paths, with what is known there.
pub(super) fn take_out_unknown(name: &str, value: &mut Value) -> Vec<(String, String)> {
    let Some(root) = schema(name) else { return Vec::new() };
    let mut found = Vec::new();
    walk(&root, &root, value, "", &mut found);
    found
}

/// A key below a path.
pub(super) fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn walk(root: &Value, schema: &Value, value: &mut Value, path: &str, found: &mut Vec<(String, String)>) {
    let schema = resolved(root, schema);
    match value {
        Value::Object(entries) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else {
                let Some(every) = schema.get("additionalProperties").filter(|every| every.is_object()) else { return };
                for (key, value) in entries {
                    walk(root, every, value, &below(path, key), found);
                }
                return;
            };
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            entries.retain(|key, _| {
                let is_known = known.contains_key(key);
                if !is_known {
                    found.push((below(path, key), unknown_key(key, &names)));
                }
                is_known
            });
            for (key, value) in entries {
                if let Some(schema) = known.get(key) {
                    walk(root, schema, value, &below(path, key), found);
                }
            }
        }
        Value::Array(items) => {
            let Some(every) = schema.get("items") else { return };
            for (index, item) in items.iter_mut().enumerate() {
                walk(root, every, item, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// The schema behind a reference, or behind a value that may be absent.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let found = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return found.map_or(schema, |found| resolved(root, found));
    }
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let present = choices.and_then(|choices| choices.iter().find(|choice| choice.get("type") != Some(&"null".into())));
    present.map_or(schema, |present| resolved(root, present))
}

/// Puts a value at a path of keys with dots between.
pub(super) fn put(value: &mut Value, path: &str, new: Value) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Some(entries) = value.as_object_mut() else { return };
    let slot = entries.entry(key.to_owned()).or_insert(Value::Null);
    match rest {
        Some(rest) => put(slot, rest, new),
        None => *slot = new,
    }
}

/// A value as the type of its file, or what keeps it from being one. Read as files are: some types take a number's digits.
pub(super) fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    parse("", &written(value)?).map_err(|error| error.problem)
}

/// A file as YAML.
pub(super) fn written<T: Serialize>(file: &T) -> Result<String, String> {
    serde_saphyr::to_string(file).map_err(|error| error.to_string())
}

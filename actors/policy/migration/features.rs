//! The feature matrix: one flat table of names and values becomes the tenant's flags, which say the same to everybody.
use super::keys::{below, take_out_unknown, typed, written};
use super::{Asked, Fate, Ledger};
use crate::compile::FEATURES;
use crate::features::name_problem;
use crate::parse::parse;
use crate::schema::{Feature, FeaturesFile};
use serde_json::{Map, Value, json};

/// What the whole table may stand under.
const TABLES: [&str; 3] = ["features", "flags", "matrix"];
/// The one variant of a flag that says a text, a number or an object.
const VALUE: &str = "value";

/// The old matrix as flags, beside those the tenant has; nothing where that changes nothing.
pub(super) fn features(asked: &Asked<'_>, ledger: &mut Ledger<'_>) -> Option<String> {
    let none = || FeaturesFile { tenant_id: asked.tenant.to_owned(), features: Default::default() };
    let before = match asked.target.get(FEATURES).map(|text| parse::<FeaturesFile>(FEATURES, text)) {
        Some(Ok(before)) => before,
        None => none(),
        Some(Err(_)) => {
            ledger.whole(Fate::Lost, "the tenant's own features.yaml is not valid: mend it first");
            return None;
        }
    };
    let mut file = before.clone();
    for (path, name, value) in entries(ledger) {
        if let Some(problem) = name_problem("flag", &name) {
            ledger.note(Fate::Lost, &path, &format!("left behind: {problem}"));
            continue;
        }
        let Some(mut flag) = flag(&path, value, ledger) else { continue };
        if let Some(former) = before.features.get(&name).filter(|_| flag.description.is_empty()) {
            flag.description.clone_from(&former.description);
        }
        file.features.insert(name, flag);
    }
    if file == before {
        return None;
    }
    written(&file).map_err(|problem| ledger.whole(Fate::Lost, &problem)).ok()
}

/// Path, name and value of every entry of the matrix.
fn entries(ledger: &mut Ledger<'_>) -> Vec<(String, String, Value)> {
    let root = ledger.source.value.as_object().cloned().unwrap_or_default();
    let table = TABLES.iter().find_map(|name| Some((*name, root.get(*name)?.as_object()?.clone())));
    let under = |path: &str, table: Map<String, Value>| -> Vec<_> {
        table.into_iter().map(|(name, value)| (below(path, &name), name, value)).collect()
    };
    let Some((name, table)) = table else {
        return under("", root.into_iter().filter(|(key, _)| key != "tenant_id").collect());
    };
    for key in root.keys().filter(|key| *key != name && *key != "tenant_id") {
        ledger.note(Fate::Lost, key, &format!("left behind: flags stand under {name:?} in this file"));
    }
    under(name, table)
}

/// A flag that says what the matrix says.
fn flag(path: &str, value: Value, ledger: &mut Ledger<'_>) -> Option<Feature> {
    let says = |value: Value| json!({"enabled": true, "variants": {VALUE: value}, "default_variant": VALUE});
    let written = match value {
        Value::Bool(enabled) => json!({ "enabled": enabled }),
        Value::Object(entries) if entries.contains_key("enabled") => {
            let mut whole = json!({"features": {VALUE: entries}});
            for (inside, problem) in take_out_unknown("features", &mut whole) {
                let key = inside.strip_prefix("features.value.").unwrap_or(&inside).to_owned();
                ledger.note(Fate::Lost, &below(path, &key), &problem);
            }
            whole.pointer_mut("/features/value").map(Value::take).unwrap_or_default()
        }
        Value::Null | Value::Array(_) => {
            let problem = "left behind: no flag has such a value; it is true or false, a number, a text or an object";
            ledger.note(Fate::Lost, path, problem);
            return None;
        }
        other => says(other),
    };
    match typed::<Feature>(&written) {
        Ok(flag) => Some(flag),
        Err(problem) => {
            ledger.note(Fate::Lost, path, &format!("left behind: {problem}"));
            None
        }
    }
}

//! `router.yaml`: the old one had no tenant; its sections are today's.
use super::keys::{put, take_out_unknown, typed, written};
use super::{Asked, Fate, Ledger};
use crate::compile::ROUTER;
use crate::parse::parse;
use crate::schema::{Route, RouterFile};
use serde_json::Value;

/// The provider every node has.
const EMBEDDED: &str = "extractive";
/// Sections of the file; each is carried whole or not at all.
const SECTIONS: [&str; 4] = ["routing", "sla", "budget", "cache"];

/// An old router's rules as today's; nothing where they change nothing.
pub(super) fn router(asked: &Asked<'_>, ledger: &mut Ledger<'_>) -> Option<String> {
    let mut old = ledger.source.value.clone();
    for (path, problem) in take_out_unknown("router", &mut old) {
        ledger.note(Fate::Lost, &path, &problem);
    }
    let Some(before) = asked.target.get(ROUTER).and_then(|text| parse::<RouterFile>(ROUTER, text).ok()) else {
        ledger.whole(Fate::Lost, "the tenant has no router.yaml that can be read: give it one first");
        return None;
    };
    let mut now = serde_json::to_value(&before).ok()?;
    for section in SECTIONS {
        let Some(said) = old.get(section) else { continue };
        let mut tried = now.clone();
        // a fallback the old system did not have stays away
        let merged = if section == "routing" { said.clone() } else { merged(now.get(section), said) };
        put(&mut tried, section, merged);
        match typed::<RouterFile>(&tried) {
            Err(problem) => ledger.note(Fate::Lost, section, &format!("left behind: {problem}")),
            Ok(file) if section == "routing" => match stranger(&file, &before, asked.providers) {
                Some(provider) => {
                    let problem = format!(
                        "left behind: {provider:?} is no provider this tenant's router names today, and without one no \
                         question is answered; where config.toml of the server has it, say --provider {provider}"
                    );
                    ledger.note(Fate::Lost, section, &problem);
                }
                None => now = tried,
            },
            Ok(_) => now = tried,
        }
    }
    let file: RouterFile = typed(&now).ok()?;
    if file == before {
        return None;
    }
    written(&file).map_err(|problem| ledger.whole(Fate::Lost, &problem)).ok()
}

/// What a section says, over what it said before.
fn merged(before: Option<&Value>, said: &Value) -> Value {
    match (before, said) {
        (Some(Value::Object(before)), Value::Object(said)) => {
            let mut merged = before.clone();
            for (key, value) in said {
                let value = self::merged(before.get(key), value);
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (_, said) => said.clone(),
    }
}

/// A provider nobody said the server has.
fn stranger(file: &RouterFile, before: &RouterFile, providers: &[String]) -> Option<String> {
    let routes = |file: &RouterFile| -> Vec<Route> {
        [Some(file.routing.primary.clone()), file.routing.fallback.clone()].into_iter().flatten().collect()
    };
    let known: Vec<String> = routes(before).into_iter().map(|route| route.provider).collect();
    let named = routes(file).into_iter().map(|route| route.provider);
    named.into_iter().find(|name| name != EMBEDDED && !known.contains(name) && !providers.contains(name))
}

//! The rules of the house, as tests: arrows between packages, what pure files may name, sizes, door plates, where
//! tenant names may appear. A rule that cannot be checked by reading files is no rule here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files() -> Vec<(String, String)> {
    let skip = ["target", ".git", "data", ".data", "node_modules"];
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(root())
        .into_iter()
        .filter_entry(|entry| entry.depth() != 1 || !skip.contains(&entry.file_name().to_string_lossy().as_ref()))
    {
        let entry = entry.unwrap();
        if entry.path().extension().is_some_and(|ending| ending == "rs") {
            let name = entry.path().strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(entry.path()).unwrap()));
        }
    }
    assert!(files.len() > 40, "the walk found only {} files", files.len());
    files
}

/// Source without comments, so that prose may say what code may not.
fn code_of(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn complain(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}

#[test]
fn files_stay_readable() {
    let long: Vec<_> = rust_files()
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(name, lines)| format!("{name} has {lines} lines"))
        .collect();
    complain("a file stops at 500 lines; move a wall", &long);
}

#[test]
fn arrows_between_packages_point_down() {
    // package folder → packages it may depend on
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("actors/kernel", &[][..]),
        ("actors/policy", &["bailiwick-kernel"][..]),
        ("actors/tenant", &["bailiwick-kernel", "bailiwick-policy"][..]),
        ("actors/control", &["bailiwick-kernel", "bailiwick-policy", "bailiwick-tenant"][..]),
    ]);
    let mut findings = Vec::new();
    for (package, may) in allowed {
        let manifest = std::fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        for line in manifest.lines().filter(|line| line.starts_with("bailiwick-")) {
            let named = line.split(['.', ' ', '=']).next().unwrap();
            if !may.contains(&named) {
                findings.push(format!("{package} depends on {named}"));
            }
        }
    }
    complain("arrows point src → control → tenant → policy → kernel", &findings);
}

#[test]
fn pure_files_name_no_effects() {
    let forbidden = [
        "actix",
        "tokio",
        "sled",
        "tantivy",
        "reqwest",
        "actix_web",
        "std::fs",
        "std::net",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "rand::",
        "async fn",
        "std::thread",
        "std::env",
    ];
    let mut findings = Vec::new();
    let mut checked = 0;
    for (name, text) in rust_files() {
        let is_pure = name.ends_with("/rules.rs")
            || (name.starts_with("actors/policy/") && !name.contains("tests") && !name.contains("/benches/"))
            || (name.starts_with("actors/tenant/limits/") && !name.contains("tests"))
            || [
                "budget/ledger.rs",
                "cache/meaning.rs",
                "spend/calendar.rs",
                "spend/forecast.rs",
                "spend/rows.rs",
                "spend/view.rs",
                "cost/focus.rs",
                "evaluation/judge.rs",
                "evaluation/prediction.rs",
                "evaluation/schedule.rs",
                "retrieval/weights.rs",
                "supervisor/exit.rs",
                "supervisor/fold.rs",
                "slo/alarms.rs",
                "slo/budget.rs",
                "slo/gate.rs",
                "slo/latencies.rs",
                "slo/windows.rs",
                "routing/markers.rs",
                "routing/prompt.rs",
                "retrieval/chunk.rs",
                "dense/outline.rs",
                "fabric/chain.rs",
                "fabric/record.rs",
            ]
            .iter()
            .any(|pure| name.ends_with(pure));
        if !is_pure {
            continue;
        }
        checked += 1;
        let code = code_of(text.split("#[cfg(test)]").next().unwrap());
        findings
            .extend(forbidden.iter().filter(|word| code.contains(*word)).map(|word| format!("{name} names {word}")));
    }
    assert!(checked >= 12, "only {checked} pure files were found");
    complain("rules are pure: no runtime, no clock, no I/O, no random", &findings);
}

#[test]
fn rooms_carry_door_plates() {
    let rooms: Vec<_> = rust_files()
        .into_iter()
        .filter(|(name, _)| name.ends_with("/mod.rs"))
        .filter(|(name, _)| Path::new(name).parent().is_some_and(|room| root().join(room).join("actor.rs").exists()))
        .collect();
    assert!(rooms.len() >= 6, "only {} rooms were found", rooms.len());
    let mut findings = Vec::new();
    for (name, text) in rooms {
        for word in ["//! Purpose:", "//! Owns:", "//! Sends to:", "//! Never:", "//! Invariants:"] {
            if !text.contains(word) {
                findings.push(format!("{name} lacks {word:?}"));
            }
        }
    }
    complain("every room's mod.rs carries its door plate", &findings);
}

#[test]
fn one_file_names_each_engine() {
    let owners = [
        ("sled::", &["actors/kernel/fabric/store.rs"][..]),
        (
            "tantivy::",
            &[
                "actors/tenant/retrieval/index",
                "actors/tenant/retrieval/sealed_directory",
                "actors/tenant/retrieval/analyser.rs",
                "benches/",
            ][..],
        ),
        ("moka::", &["actors/tenant/cache/store.rs"][..]),
        ("redis::", &["actors/tenant/cache/redis.rs", "actors/tenant/cache/mod.rs"][..]),
        ("qdrant::", &["actors/tenant/vector_store/", "actors/policy/stores.rs"][..]),
        ("object_store::", &["actors/tenant/bucket/s3.rs"][..]),
        ("candle_core::", &["actors/tenant/embedding/encoder.rs", "actors/tenant/embedding/kernels.rs"][..]),
        ("tokenizers::", &["actors/tenant/embedding/vocabulary.rs"][..]),
        ("krilla::", &["actors/control/compliance/pdf/press.rs"][..]),
        ("opentelemetry", &["actors/control/observability/traces"][..]),
        ("TenantKey::mint", &["actors/control/registry/directory.rs", "actors/kernel/ids.rs"][..]),
        (".do_send(", &["actors/kernel/mail.rs"][..]),
    ];
    let mut findings = Vec::new();
    for (name, text) in rust_files() {
        let for_tests = ["tests", "benches/", "conformance.rs", "fixtures.rs", "test_house.rs"];
        if for_tests.iter().any(|part| name.contains(part)) {
            continue;
        }
        let code = code_of(text.split("#[cfg(test)]").next().unwrap());
        for (word, homes) in owners {
            if code.contains(word) && !homes.iter().any(|home| name.starts_with(home)) {
                findings.push(format!("{name} names {word}"));
            }
        }
    }
    complain("an engine is named in one place only", &findings);
}

#[test]
fn a_provider_is_named_in_its_own_file_and_the_table() {
    let mut findings = Vec::new();
    for (name, text) in rust_files() {
        // the OpenAI dialect of the gateway is a protocol of the edge, not a provider
        let free = name.starts_with("actors/tenant/routing/providers")
            || name.contains("tests")
            || name == "src/gateway/openapi.rs";
        let code = code_of(text.split("#[cfg(test)]").next().unwrap());
        for word in ["\"anthropic\"", "\"openai\""] {
            if !free && code.contains(word) {
                findings.push(format!("{name} names {word}"));
            }
        }
    }
    complain("a provider is one file and one line of the table", &findings);
}

#[test]
fn tenant_names_stay_at_the_edge_and_in_the_registry() {
    let mut findings = Vec::new();
    for (name, text) in rust_files() {
        let code = code_of(text.split("#[cfg(test)]").next().unwrap());
        let inside = name.starts_with("actors/kernel/")
            || name.starts_with("actors/tenant/retrieval")
            || name.starts_with("actors/tenant/routing")
            || name.starts_with("actors/tenant/budget");
        for word in ["acme-corp", "beta-inc", "tenant_name"] {
            if inside && !name.contains("tests") && code.contains(word) {
                findings.push(format!("{name} names {word}"));
            }
        }
    }
    complain("rooms receive things, not names", &findings);
}

#[test]
fn lines_of_a_tenants_room_say_whose_they_are() {
    // threads of the node, which compute for every tenant in turn
    const OF_THE_NODE: &str = "actors/tenant/embedding/workers.rs";
    let mut findings = Vec::new();
    for (name, text) in rust_files() {
        let code = code_of(text.split("#[cfg(test)]").next().unwrap());
        if !name.starts_with("actors/tenant/") || name.contains("tests") || name == OF_THE_NODE {
            continue;
        }
        for level in ["error!(", "warn!(", "info!(", "debug!(", "trace!("] {
            for (at, _) in code.match_indices(&format!("tracing::{level}")) {
                let line = code[at..].split(");").next().unwrap();
                if !line.contains("tenant") {
                    findings.push(format!("{name}: {line}"));
                }
            }
        }
    }
    complain("a line of the log says whose room it comes from", &findings);
}

#[test]
fn what_is_counted_is_in_the_catalogue_of_metrics() {
    let catalogue = "actors/control/observability/catalogue.rs";
    let files = rust_files();
    let literals = |text: &str| -> Vec<String> {
        let words = text.split('"').filter(|word| word.starts_with("bailiwick_"));
        let is_name = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        words.filter(is_name).map(str::to_owned).collect()
    };
    let declares = |name: &str| name == catalogue || name.ends_with("observability/traces/mod.rs");
    let known: Vec<String> =
        files.iter().filter(|(name, _)| declares(name)).flat_map(|(_, text)| literals(text)).collect();
    assert!(known.len() > 20, "{known:?}");
    let mut findings = Vec::new();
    for (name, text) in &files {
        let is_code = ["actors/control/", "actors/tenant/", "src/"].iter().any(|place| name.starts_with(place));
        if !is_code || declares(name) || name.contains("tests") {
            continue;
        }
        for counted in ["metrics::counter!(", "metrics::gauge!(", "metrics::histogram!("] {
            for (at, _) in text.match_indices(counted) {
                let call = text[at..].split(')').next().unwrap();
                let unknown = literals(call).into_iter().filter(|literal| !known.contains(literal));
                findings.extend(unknown.map(|literal| format!("{name}: {literal}")));
            }
        }
    }
    complain("a metric is counted under a name of the catalogue", &findings);
}

#[test]
fn nothing_is_left_undone_or_ambient() {
    let mut findings = Vec::new();
    for (name, text) in rust_files() {
        if name == "tests/tidy.rs" {
            continue;
        }
        let code = code_of(&text);
        for word in [
            "todo!(",
            "unimplemented!(",
            "#[ignore",
            "dbg!(",
            "SystemRegistry",
            "SystemService",
            "SyncArbiter",
            "mod utils",
            "thread::sleep(",
        ] {
            if code.contains(word) {
                findings.push(format!("{name} has {word}"));
            }
        }
    }
    complain("no stubs, no ambient registries, no sleeping", &findings);
}

#[test]
fn money_is_never_a_float() {
    let mut findings = Vec::new();
    for (name, text) in rust_files() {
        for (number, line) in code_of(&text).lines().enumerate() {
            let field = line.trim_start().trim_start_matches("pub ");
            let money = ["usd", "cost", "price", "budget", "amount"]
                .iter()
                .any(|word| field.split(':').next().unwrap_or_default().contains(word));
            if money && (field.contains(": f64") || field.contains(": f32")) {
                findings.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    complain("money is an integer of nano-dollars", &findings);
}

#[test]
fn the_code_map_is_true() {
    let map = std::fs::read_to_string(root().join("src/ARCHITECTURE.md")).unwrap();
    let named: Vec<_> = map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|path| {
            (path.starts_with("actors/")
                || path.starts_with("src/")
                || path.starts_with("tests/")
                || path.starts_with("benches/"))
                && !path.contains('*')
        })
        .collect();
    assert!(named.len() > 15, "the code map names only {} places", named.len());
    let missing: Vec<_> = named.into_iter().filter(|path| !root().join(path).exists()).map(str::to_owned).collect();
    complain("every place the code map names exists", &missing);
}

/// What a mutant of `tests/mutants` says of itself, and what it changes: file, and the lines it finds there.
struct Mutant {
    killers: Vec<String>,
    hunks: Vec<(String, String)>,
}

fn mutant(text: &str) -> Mutant {
    let (mut killers, mut hunks, mut file) = (Vec::new(), Vec::<(String, String)>::new(), String::new());
    let mut is_hunk = false;
    for line in text.lines() {
        if let Some(test) = line.strip_prefix("Killed by: ") {
            killers.push(test.to_owned());
        } else if let Some(name) = line.strip_prefix("--- a/") {
            (file, is_hunk) = (name.to_owned(), false);
        } else if line.starts_with("@@ ") {
            hunks.push((file.clone(), String::new()));
            is_hunk = true;
        } else if line.starts_with("diff ") {
            is_hunk = false;
        } else if let Some((_, found)) = hunks.last_mut().filter(|_| is_hunk)
            && !line.starts_with('+')
        {
            found.push_str(line.get(1..).unwrap_or_default());
            found.push('\n');
        }
    }
    Mutant { killers, hunks }
}

#[test]
fn the_mutants_of_the_budget_still_apply() {
    let sources = rust_files();
    let mut findings = Vec::new();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(root().join("tests/mutants")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".patch") else { continue };
        names.push(name.to_owned());
        let Mutant { killers, hunks } = mutant(&std::fs::read_to_string(&path).unwrap());
        assert!(!killers.is_empty() && !hunks.is_empty(), "{name} names no test, or changes nothing");
        for (file, found) in hunks {
            let text = std::fs::read_to_string(root().join(&file)).unwrap_or_default();
            if text.matches(&found).count() != 1 {
                findings.push(format!("{name}: {file} has not, or not once:\n{found}"));
            }
        }
        for test in killers {
            let (module, function) = test.rsplit_once("::").unwrap();
            let folder = format!("actors/tenant/{}", module.replace("::", "/"));
            let is_there = sources.iter().any(|(name, text)| {
                (*name == format!("{folder}.rs") || name.starts_with(&format!("{folder}/")))
                    && text.contains(&format!("fn {function}()"))
            });
            if !is_there {
                findings.push(format!("{name}: there is no test {test}"));
            }
        }
    }
    for asked_for in ["check_then_act", "release_twice", "float_money", "local_time_window", "reset_by_job"] {
        if !names.iter().any(|name| name == asked_for) {
            findings.push(format!("{asked_for} is gone"));
        }
    }
    complain("a mutant applies to the sources as they stand, and names tests there are", &findings);
}

//! The command line as people use it: real processes, what they print, and how they end. 0 is done, 1 refused or failed, 2 wrong
//! use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
mod support;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{House, copy_tenants, house, repository};

const QUESTION: &str = "For how many weeks can I borrow a musical instrument?";

/// How a process ended, and what it printed.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn ran(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn bailiwick(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    // nothing of whoever runs the tests
    command.env_clear().args(words);
    command
}

/// A client verb on the server's own machine: the operator key is found in the data folder.
fn client(house: &House, words: &[&str]) -> Ran {
    ran(bailiwick(words).args(["--server", &house.url]).arg("--data").arg(&house.data))
}

/// The same with somebody's key.
fn with_key(house: &House, key: &str, words: &[&str]) -> Ran {
    ran(bailiwick(words).args(["--server", &house.url, "--key", key]))
}

fn done(ran: Ran) -> String {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out
}

fn json(ran: Ran) -> Value {
    let out = done(ran);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// Ended with 1, saying why on standard error and nothing on standard output.
fn refused(ran: Ran, why: &str) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.starts_with("bailiwick: ") && ran.err.contains(why) && ran.out.is_empty(), "{ran:?}");
}

#[tokio::test]
async fn a_question_is_answered_in_the_terminal_with_what_it_rests_on() {
    let (_folder, house) = house();
    let corpus = repository().join("tenants/default/corpus");
    let taken = done(client(&house, &["ingest", "--tenant", "default", corpus.to_str().unwrap()]));
    let files = std::fs::read_dir(&corpus).unwrap().count();
    assert_eq!(taken.trim(), format!("{files} of {files} files taken"));
    let key = house.key("default", "owner").await;
    support::until("the corpus is searchable", async || {
        let listed = house.call(reqwest::Method::GET, "/v1/documents?limit=1000", &key, None).await.1;
        let documents = listed["documents"].as_array().unwrap().clone();
        (documents.len() == files && documents.iter().all(|document| document["state"] != "accepted")).then_some(())
    })
    .await;

    let told = done(client(&house, &["ask", "--tenant", "default", QUESTION]));
    let mut lines = told.lines();
    let answer = lines.next().unwrap();
    assert!(answer.contains("[1]") && answer.contains("six weeks"), "{told}");
    assert!(lines.any(|line| line.starts_with("  [1] ") && line.contains("characters")), "{told}");
    for part in ["  model extractive/", "cost 0 USD", "  receipt bwr1."] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // for programs: the same answer, as one object
    let object = json(with_key(&house, &key, &["ask", QUESTION, "--output", "json"]));
    assert_eq!((object["answer"].as_str().unwrap(), &object["abstained"]), (answer, &Value::Bool(false)));

    refused(with_key(&house, "bwk_nobody_nothing", &["ask", QUESTION]), "(unauthenticated, 401");
    refused(client(&house, &["ask", "--tenant", "nobody", QUESTION]), "(not_found, 404");
}

#[tokio::test]
async fn keys_are_issued_listed_rotated_and_revoked() {
    let (_folder, house) = house();
    let of_default = |words: &[&str]| client(&house, &[words, &["--tenant", "default"]].concat());
    let listed = || json(of_default(&["key", "list", "--output", "json"]))["keys"].as_array().unwrap().clone();
    let before = listed().len();

    let secret = done(of_default(&["key", "issue", "--role", "auditor", "--user", "chiara", "--expires", "30d"]));
    let secret = secret.trim();
    assert!(secret.starts_with("bwk_") && !secret.contains(char::is_whitespace), "the secret alone: {secret}");
    let usable = |secret: &str| with_key(&house, secret, &["key", "list", "--tenant", "default"]).code;
    let public_id = secret.split('_').nth(1).unwrap();
    let issued: Vec<Value> = listed().into_iter().filter(|key| key["key_id"] == public_id).collect();
    assert_eq!((listed().len(), issued.len()), (before + 1, 1));
    assert_eq!((&issued[0]["role"], &issued[0]["user_id"]), (&Value::from("auditor"), &Value::from("chiara")));
    assert!(issued[0]["expires_at"].is_string() && issued[0].get("key").is_none(), "{issued:?}");
    let shown = done(of_default(&["key", "list"]));
    assert!(shown.lines().any(|line| line.starts_with(public_id) && line.contains("auditor")), "{shown}");
    assert!(!shown.contains(secret), "a secret is printed once");

    let owner = done(of_default(&["key", "issue", "--role", "owner"]));
    let owner = owner.trim();
    assert_eq!(usable(owner), Some(0));
    let successor = done(of_default(&["key", "rotate", owner.split('_').nth(1).unwrap()]));
    let successor = successor.trim();
    assert!(successor.starts_with("bwk_") && successor != owner, "{successor}");
    assert_eq!((usable(owner), usable(successor)), (Some(1), Some(0)), "the predecessor is over at once");
    done(of_default(&["key", "revoke", successor.split('_').nth(1).unwrap()]));
    assert_eq!(usable(successor), Some(1));

    refused(of_default(&["key", "issue", "--expires", "soon"]), "reading --expires soon");
    refused(of_default(&["key", "issue", "--role", "emperor"]), "(invalid_request, 400");
    refused(of_default(&["key", "revoke", "nobody"]), "(not_found, 404");
}

#[tokio::test]
async fn a_tenant_lives_from_create_to_delete() {
    let (_folder, house) = house();
    let status = |name: &str| json(client(&house, &["tenant", "show", name, "--output", "json"]))["status"].clone();
    let created = done(client(&house, &["tenant", "create", "newcomer", "--plan", "pro", "--region", "eu-central-1"]));
    assert!(created.contains("newcomer") && created.contains("pro"), "{created}");
    refused(client(&house, &["tenant", "create", "newcomer"]), "(conflict, 409");
    let key = done(client(&house, &["key", "issue", "--tenant", "newcomer", "--role", "owner"]));
    let asks = |key: &str| with_key(&house, key.trim(), &["ask", "Is anybody there?"]);
    let answered = done(asks(&key));
    assert!(answered.contains("abstained"), "a new tenant has no documents: {answered}");

    for (verb, becomes) in
        [("suspend", "suspended"), ("resume", "active"), ("archive", "archived"), ("resume", "active")]
    {
        let told = done(client(&house, &["tenant", verb, "newcomer"]));
        assert!(told.starts_with("newcomer "), "{verb}: {told}");
        assert_eq!(status("newcomer"), becomes);
        assert_eq!(asks(&key).code, Some(i32::from(becomes != "active")), "{verb}");
    }
    let listed = done(client(&house, &["tenant", "list", "--region", "eu-central-1"]));
    assert!(listed.contains("newcomer") && !listed.contains("acme-corp"), "{listed}");

    done(client(&house, &["tenant", "delete", "newcomer"]));
    assert_eq!(asks(&key).code, Some(1), "what is deleted serves nobody");
    done(client(&house, &["tenant", "delete", "newcomer", "--shred"]));
    refused(client(&house, &["tenant", "show", "newcomer"]), "(not_found, 404");
    refused(client(&house, &["tenant", "delete", "newcomer"]), "(not_found, 404");
}

#[test]
fn schemas_are_printed_without_a_server() {
    let names = done(ran(&mut bailiwick(&["schema"])));
    let names: Vec<&str> = names.lines().collect();
    assert!(names.len() > 8 && names.contains(&"config") && names.contains(&"router"), "{names:?}");
    for name in names {
        let schema = json(ran(&mut bailiwick(&["schema", name])));
        assert!(
            schema["$schema"].is_string() && schema["properties"].is_object() || schema.get("items").is_some(),
            "{name}"
        );
    }
    refused(ran(&mut bailiwick(&["schema", "nothing"])), "there is no schema \"nothing\"");
}

#[tokio::test]
async fn a_file_that_failed_is_named_and_the_others_are_taken() {
    let (folder, house) = house();
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    std::fs::write(files.join("good.txt"), "Every office closes at six in the evening.").unwrap();
    std::fs::write(files.join("broken.pdf"), "%PDF-1.7 and nothing of a document").unwrap();
    let ran = client(&house, &["ingest", "--tenant", "default", files.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.trim()), (Some(1), "1 of 2 files taken"), "{ran:?}");
    let failed: Vec<&str> = ran.err.lines().filter(|line| line.contains("broken.pdf")).collect();
    assert_eq!(failed.len(), 1, "one line for each file that failed: {ran:?}");
    assert!(ran.err.contains("bailiwick: 1 of 2 files failed") && !ran.err.contains("good.txt"), "{ran:?}");
    let missing = client(&house, &["ingest", "--tenant", "default", "/nowhere/at/all"]);
    refused(missing, "/nowhere/at/all: there is no such file or folder");
}

#[test]
fn wrong_use_ends_with_two_and_says_what_is_right() {
    for (words, hint) in [
        (&["ask", "--colour", "red", "why?"][..], "--colour"),
        (&["asq"], "asq"),
        (&["key", "issue"], "--tenant"),
        (&["ingest"], "<PATHS>"),
        (&["tenant", "create", "a", "--retention-days", "many"], "--retention-days"),
        (&[], "Usage"),
    ] {
        let ran = ran(&mut bailiwick(words));
        assert!(ran.code == Some(2) && ran.err.contains(hint) && ran.out.is_empty(), "{words:?}: {ran:?}");
    }
    assert!(done(ran(&mut bailiwick(&["--help"]))).contains("Usage"));
    assert!(done(ran(&mut bailiwick(&["--version"]))).starts_with("bailiwick "));
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    // a port nobody listens at: bound, and never accepted from
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let words = ["ask", "why?", "--key", "bwk_a_b", "--server", &format!("http://127.0.0.1:{port}")];
    refused(ran(&mut bailiwick(&words)), "is the server running there?");
}

fn demo(tenants: &Path) -> Ran {
    ran(bailiwick(&["demo", "--once", "--tenants"]).arg(tenants))
}

#[test]
fn the_demo_shows_every_tenant_answered_and_the_trespasser_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    let told = done(demo(&tenants));
    let names = ["acme-corp", "beta-inc", "default"];
    for name in names {
        let asked = told.find(&format!("\n{name} asks: ")).unwrap_or_else(|| panic!("{name} asks nothing: {told}"));
        let answer = told[asked + 1..].split("\n\n").next().unwrap();
        for part in ["  [1] ", "  model ", "cost ", "policy ", "  receipt bwr1."] {
            assert!(answer.contains(part), "{name}: {part}: {answer}");
        }
        assert!(!answer.contains("abstained:"), "{answer}");
        let key = told.lines().find(|line| line.starts_with(&format!("{name:<14} bwk_")));
        assert!(key.is_some(), "{name} has no sample key: {told}");
    }
    let knocks: Vec<&str> = told.lines().filter(|line| line.contains("'s door with its own key: ")).collect();
    assert!(knocks.len() == 1 && knocks[0].ends_with("(not_found, 404 Not Found)"), "{knocks:?}");
    assert!(told.contains("\nconsole        http://") && told.contains("\noperator key   bwk_"), "{told}");

    // with nobody to knock at there is nothing to show, and it says so
    for name in &names[1..] {
        std::fs::remove_dir_all(tenants.join(name)).unwrap();
    }
    let alone = demo(&tenants);
    assert!(alone.code == Some(1) && alone.err.contains("holds 1 of the two tenants"), "{alone:?}");
    assert!(!alone.out.contains("asks: "), "{alone:?}");
}

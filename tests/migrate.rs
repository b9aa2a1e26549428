//! A single-tenant system moves into the default tenant of a running server: nobody who asks meanwhile is failed, whoever is
//! killed goes on, and whoever does not want it has everything as it was. The bar is ten thousand records;
//! `BAILIWICK_MIGRATION_DOCUMENTS` and `BAILIWICK_MIGRATION_LINES` say how large the system is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

#[path = "migrate/scene.rs"]
mod scene;
mod support;

use scene::{
    ASKED_MIN, ASKERS, CHUNKS_PER_QUERY, MATRIX, MIXED, Scene, TENANT, ask, line, signer, size, without_versions, write,
};
use support::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_moves_while_it_is_asked_and_stays_once_it_is_confirmed() {
    let (documents, lines) = (size("BAILIWICK_MIGRATION_DOCUMENTS", 240), size("BAILIWICK_MIGRATION_LINES", 10_000));
    let scene = Scene::new(documents, lines).await;
    let before = scene.documents().await;
    let (counts, over) = (Arc::new([AtomicU64::new(0), AtomicU64::new(0)]), Arc::new(AtomicBool::new(false)));
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..ASKERS {
        let house = (scene.house.http.clone(), scene.house.url.clone(), scene.key.clone());
        askers.spawn(ask(house, Arc::clone(&counts), Arc::clone(&over)));
    }
    let started = Instant::now();
    scene.brought().await;
    let elapsed = started.elapsed();
    over.store(true, Ordering::SeqCst);
    askers.join_all().await;
    let (asked, failed) = (counts[0].load(Ordering::SeqCst), counts[1].load(Ordering::SeqCst));
    println!(
        "{documents} documents and {lines} records of lineage moved in {:.1} s while {asked} questions were asked: {failed} failed",
        elapsed.as_secs_f64()
    );
    assert!(failed == 0 && asked >= ASKED_MIN, "{failed} of {asked} asks failed");

    let after = scene.documents().await;
    assert_eq!(after.len(), before.len() + documents + MIXED);
    assert!(after.values().filter(|document| !before.contains_key(document["id"].as_str().unwrap())).all(|document| {
        document["domain"] == "general" && document["usecase"] == "general" && document["state"] != "quarantined"
    }));
    assert_eq!(scene.imported().await, (1..=lines as u64).collect::<Vec<_>>(), "each line once, in order");
    let old = scene.get("/v1/lineage?query_id=q-7").await;
    assert_eq!((old["lines"].as_array().unwrap().len(), &old["record"]), (CHUNKS_PER_QUERY, &Value::Null));
    let first = &old["lines"][0];
    let names = ["tenant_id", "domain", "usecase", "query_id", "chunk_id"].map(|name| first[name].as_str().unwrap());
    assert_eq!(names, [TENANT, "general", "general", "q-7", "old-chunk-21"]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, line(21).as_bytes());
    assert_eq!(first["imported"]["line_sha256"], hex::encode(digest));
    let (flags, matrix) = (scene.flags().await, serde_json::from_str::<BTreeMap<String, Value>>(MATRIX).unwrap());
    for (name, value) in &matrix {
        assert_eq!(flags.get(name), Some(value), "{name}");
    }
    until("what came last can be found", async || {
        (!scene.search(&format!("lantern L{}", documents - 1)).await.is_empty()).then_some(())
    })
    .await;
    let journal = scene.house.raw(Method::GET, "/v1/receipts/export", &scene.key, &[], None).await;
    let file = scene.folder.path().join("journal.jsonl");
    std::fs::write(&file, journal.bytes().await.unwrap()).unwrap();
    let verified =
        tokio::process::Command::new(env!("CARGO_BIN_EXE_bailiwick")).arg("verify").arg(&file).output().await;
    let verified = verified.unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

    let events = scene.events();
    scene.brought().await;
    assert_eq!((scene.events(), scene.documents().await), (events, after), "again: nothing twice");
    // the old system was asked meanwhile: it has another line and another document
    let log = scene.old().join("reports/lineage.jsonl");
    let (first, rest) = (std::fs::read_to_string(&log).unwrap() + &line(lines) + "\n", line(lines + 1));
    std::fs::write(&log, first.clone() + &rest[..40]).unwrap();
    std::fs::remove_file(scene.old().join("corpus/shelf-0/note-0.txt")).unwrap();
    write(scene.old().join("corpus/shelf-0/late.txt"), "The inventory number of the late lantern is LX.");
    scene.brought().await;
    assert_eq!(scene.imported().await.len(), lines + 1, "half a line waits");
    std::fs::write(&log, first + &rest + "\n").unwrap();
    scene.brought().await;
    assert_eq!(scene.imported().await, (1..=lines as u64 + 2).collect::<Vec<_>>());
    let late = scene.documents().await;
    assert_eq!(late.len(), before.len() + documents + MIXED);
    assert!(late.values().any(|document| document["source"] == "upload.local/late.txt"));

    let (done, said) = scene.migrate(&["--status"]).await;
    assert!(done && said.contains("complete from"), "{said}");
    assert!(scene.migrate(&["--confirm"]).await.0);
    let (done, said) = scene.migrate(&["--rollback", "--signer", &signer()]).await;
    assert!(!done && said.contains("rolling back: it was confirmed"), "{said}");
    let from = scene.old().display().to_string();
    let (done, said) = scene.migrate(&["--from", &from]).await;
    assert!(!done && said.contains("migrating: it was confirmed"), "{said}");
    let digest = old["lines"][0]["imported"]["file_sha256"].as_str().unwrap();
    let (status, problem) = scene
        .house
        .call(
            Method::POST,
            &format!("/admin/v1/tenants/{TENANT}/lineage/import/withdraw"),
            &scene.key,
            Some(json!({"file_sha256": digest})),
        )
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    assert_eq!(scene.documents().await, late);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_killed_goes_on_and_nothing_is_twice_or_lost() {
    let (documents, lines) = (160, 3_000);
    let mut scene = Scene::new(documents, lines).await;
    let before = scene.documents().await;
    let from = scene.old().display().to_string();
    let mut cuts = 0;
    loop {
        let seen = scene.events();
        let mut child = scene.command(&["--from", &from, "--signer", &signer()]).stderr(Stdio::null()).spawn().unwrap();
        // after each third thing it has written down, and sometimes before the first
        let due = seen + cuts % 4;
        let ended = until("it has written down so much, or is done", async || {
            let ended = child.try_wait().unwrap();
            (ended.is_some() || scene.events() > due).then_some(ended)
        })
        .await;
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
            break;
        }
        if cuts % 3 == 2 {
            scene = scene.restarted().await;
            // it was talking to a server that is gone
            let status = child.wait().await.unwrap();
            assert!(!status.success() || scene.migrate(&["--status"]).await.1.contains("complete"));
        } else {
            child.kill().await.unwrap();
        }
        cuts += 1;
    }
    println!("{cuts} cuts");
    assert!(cuts >= 6, "hardly anything was cut");
    let after = scene.documents().await;
    let new: BTreeSet<_> = after.keys().filter(|id| !before.contains_key(*id)).collect();
    assert_eq!((after.len(), new.len()), (before.len() + documents + MIXED, documents + MIXED));
    assert_eq!(scene.imported().await, (1..=lines as u64).collect::<Vec<_>>());
    let journal = scene.get("/v1/receipts/checkpoint").await["size"].as_u64().unwrap();
    scene.brought().await;
    assert_eq!(
        scene.get("/v1/receipts/checkpoint").await["size"].as_u64().unwrap(),
        journal,
        "again: nothing is recorded"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_back_has_everything_as_it_was() {
    let scene = Scene::new(60, 500).await;
    let (files, before) = (scene.files(), scene.state().await);
    let from = scene.old().display().to_string();
    // nobody signs: the files wait, and nothing is changed
    let (done, said) = scene.migrate(&["--from", &from]).await;
    assert!(!done && said.contains("sign them with `bailiwick policy sign"), "{said}");
    assert_eq!((scene.files(), scene.state().await), (files.clone(), before.clone()));
    support::sign_policies(&scene.house.tenants.join(".migrate-default/after"), TENANT);
    // somebody changes what the new file was made of, while it waits
    let features = scene.house.tenants.join(TENANT).join("features.yaml");
    write(features.clone(), [&files[Path::new("features.yaml")], &b"# ours\n"[..]].concat());
    let (done, said) = scene.migrate(&["--from", &from]).await;
    assert!(!done && said.contains("default/features.yaml: it was changed since the new one was made of it"), "{said}");
    write(features, &files[Path::new("features.yaml")]);
    let (done, said) = scene.migrate(&["--from", &from]).await;
    assert!(done, "{said}");
    assert_ne!(scene.state().await, before);
    let (done, said) = scene.migrate(&["--confirm", "--tenant", "acme-corp"]).await;
    assert!(!done && said.contains("no migration into acme-corp was begun"), "{said}");

    // cut while it goes back
    let mut child = scene.command(&["--rollback", "--signer", &signer()]).stderr(Stdio::null()).spawn().unwrap();
    let events = scene.events();
    until("it has begun to go back", async || {
        (scene.events() > events + 1 || child.try_wait().unwrap().is_some()).then_some(())
    })
    .await;
    child.kill().await.unwrap();
    let (done, said) = scene.migrate(&["--rollback", "--signer", &signer()]).await;
    assert!(done || said.contains("it was rolled back already"), "{said}");

    let now = scene.files();
    assert_eq!(without_versions(&now), without_versions(&files));
    let untouched = |name: &&PathBuf| !name.starts_with("policies") || name.ends_with("evaluation.yaml.sig");
    assert!(files.keys().filter(untouched).all(|name| now[name] == files[name]), "to the byte");
    let after = scene.state().await;
    assert_eq!(after.0, before.0, "documents");
    assert_eq!(after.1, before.1, "what is found");
    assert_eq!(after.2, before.2, "flags");
    assert_eq!(after.3, before.3, "lineage");
    assert_eq!(after.4, before.4, "the policy in force");
    let scene = scene.restarted().await;
    assert_eq!(scene.state().await, before, "and after a restart");

    // and once more from the beginning
    scene.brought().await;
    assert_eq!(scene.imported().await.len(), 500);
}

#[tokio::test]
async fn a_rehearsal_says_what_cannot_be_carried_and_changes_nothing() {
    let scene = Scene::new(3, 4).await;
    let old = scene.old();
    write(old.join("policies/evaluation.yaml"), "version: 2.0.0\nsample_rat: 0.2\nmin_groundedness: 0.95\n");
    write(old.join("policies/safety.yaml"), "block: all\n");
    write(old.join("policies/notes.txt"), "remember\n");
    write(old.join("corpus/mixed/broken.pdf"), "%PDF-1.4 and nothing more");
    write(old.join("corpus/mixed/picture.png"), "no document");
    write(old.join("scripts/run.sh"), "true\n");
    let log = old.join("reports/lineage.jsonl");
    let more = line(9).replacen('{', r#"{"latency_ms": 3, "#, 1);
    std::fs::write(&log, std::fs::read_to_string(&log).unwrap() + "{\"query_id\": 7}\n" + &more + "\n").unwrap();
    let (files, before) = (scene.files(), scene.state().await);
    let from = old.display().to_string();
    let (done, said) = scene.migrate(&["--from", &from, "--dry-run"]).await;
    assert!(done, "{said}");
    for wanted in [
        "would change default/policies/retrieval.yaml",
        "would change default/features.yaml",
        "would take in 7 documents of 8",
        "would import 5 lines of lineage",
        "not carried: policies/evaluation.yaml:2:13: sample_rat: unknown key \"sample_rat\", left behind: did you mean \"sample_rate\"?",
        "not carried: policies/governance.yaml:2:19: origin_signature",
        "not carried: policies/safety.yaml: no tenant has such a file",
        "not carried: policies/notes.txt: no part of a tenant",
        "not carried: scripts: no part of a tenant",
        "not carried: corpus/mixed/picture.png: no document",
        "not carried: corpus/mixed/broken.pdf: reading a file",
        "not carried: reports/lineage.jsonl:5: ",
        "not carried: reports/lineage.jsonl:6: unknown key \"latency_ms\"",
        "carried otherwise: policies/retrieval.yaml:4:4: k: it is called \"top_k\" today",
        "nothing was changed",
    ] {
        assert!(said.contains(wanted), "{wanted}:\n{said}");
    }
    assert_eq!((scene.files(), scene.state().await), (files.clone(), before.clone()));
    assert!(!scene.house.tenants.join(".migrate-default").exists());

    // what does not serve is refused before anything is changed
    write(old.join("policies/retrieval.yaml"), "version: 1.4\nforbidden_patterns: ['(']\n");
    for more in [&["--dry-run"][..], &[]] {
        let (done, said) = scene.migrate(&[&["--from", &from, "--signer", &signer()], more].concat()).await;
        assert!(!done && said.contains("forbidden_patterns[0]"), "{said}");
    }
    assert_eq!((scene.files(), scene.state().await), (files, before));
}

#[tokio::test]
async fn one_file_that_fails_is_named_and_tried_again() {
    let scene = Scene::new(3, 0).await;
    let broken = scene.old().join("corpus/mixed/broken.pdf");
    write(broken.clone(), "%PDF-1.4 and nothing more");
    let from = scene.old().display().to_string();
    // an owner of the tenant may do it
    let (done, said) = scene.migrate(&["--from", &from, "--signer", &signer(), "--key", &scene.key]).await;
    assert!(!done && said.contains("corpus/mixed/broken.pdf: ") && said.contains("1 of 8 files failed"), "{said}");
    std::fs::remove_file(broken).unwrap();
    scene.brought().await;
    let (_, said) = scene.migrate(&["--status", "--output", "json"]).await;
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&status["stage"], &status["documents"], &status["failed"]),
        (&json!("complete"), &json!(7), &json!({}))
    );
}

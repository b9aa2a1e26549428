use super::folder::{FolderError, Folders};
use super::messages::{FirstReading, FolderSeen, FoldersSeen, Found, Scope};
use super::rules::{add, folder_of, is_file_name, to_read};
use crate::registry::fixtures::{ACME, policy_of, record, signed_folder};
use actix::prelude::*;
use bailiwick_kernel::limits::{FOLDER_EVENTS_MAX, TENANT_FILE_BYTES_MAX, TENANT_FILES_MAX};
use bailiwick_policy::compile::TENANT;
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::schema::{Encryption, Plan, Status};
use std::collections::BTreeSet;
use std::path::Path;
use tokio::sync::mpsc;

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn only_what_decides_something_wakes_the_reader() {
    let root = Path::new("/srv/tenants");
    for (path, folder) in [
        ("/srv/tenants/acme", Some("acme")),
        ("/srv/tenants/acme/tenant.yaml", Some("acme")),
        ("/srv/tenants/acme/allowed_signers", Some("acme")),
        ("/srv/tenants/acme/policies", Some("acme")),
        ("/srv/tenants/acme/policies/retrieval.yaml", Some("acme")),
        ("/srv/tenants/acme/policies/retrieval.yaml.sig", Some("acme")),
        ("/srv/tenants/acme/corpus/a.yaml", None),
        ("/srv/tenants/acme/corpus", None),
        ("/srv/tenants/acme/eval/golden.jsonl", None),
        ("/srv/tenants/acme/README.md", None),
        ("/srv/tenants/acme/.tenant.yaml.new", None),
        ("/srv/tenants/.new-acme/tenant.yaml", None),
        ("/srv/tenants", None),
        ("/elsewhere/acme/tenant.yaml", None),
    ] {
        assert_eq!(folder_of(root, Path::new(path)).as_deref(), folder, "{path}");
    }
    assert!(is_file_name("router.yaml") && !is_file_name(".router.yaml") && !is_file_name("golden.jsonl"));
}

#[test]
fn bursts_add_up_and_collapse() {
    let some = |list: &[&str]| Scope::Some(list.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(add(None, some(&["a"])), some(&["a"]));
    assert_eq!(add(Some(some(&["a"])), some(&["b", "a"])), some(&["a", "b"]));
    assert_eq!(add(Some(Scope::All), some(&["b"])), Scope::All);
    assert_eq!(add(Some(some(&["b"])), Scope::All), Scope::All);
    let many = Scope::Some((0..=FOLDER_EVENTS_MAX).map(|number| number.to_string()).collect());
    assert_eq!(add(Some(some(&["a"])), many), Scope::All);
    assert_eq!(to_read(Scope::All, names(["a"]), &names(["b"])), names(["a", "b"]), "who vanished is looked for");
    assert_eq!(to_read(some(&["c"]), names(["a"]), &names(["b"])), names(["c"]));
}

#[test]
fn a_created_tenant_compiles_and_says_what_was_asked_for() {
    for (plan, encryption, status) in [
        (Plan::Free, Encryption::Standard, Status::Active),
        (Plan::Pro, Encryption::Enhanced, Status::Suspended),
        (Plan::Enterprise, Encryption::Standard, Status::Archived),
    ] {
        let mut file = record("acme", ACME);
        (file.plan, file.config.encryption, file.status) = (plan, encryption, status);
        let policy = policy_of(&file);
        assert_eq!(policy.tenant, file);
        assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
        assert_eq!(policy.router.routing.primary.provider, "extractive");
        assert!(policy.router.routing.fallback.is_none());
        assert_eq!(policy.sovereignty.allowed_regions, ["eu-west-1", "local"], "and this node, which names no region");
        let uploads = policy.guard.judge_document("upload.local", false);
        let web = policy.guard.judge_document("https://example.org/a", false);
        assert_ne!(uploads, web, "uploads pass, everything else is denied");
    }
}

fn folders() -> (tempfile::TempDir, Folders) {
    let root = tempfile::tempdir().unwrap();
    let folders = Folders::open(&root.path().join("tenants"), Guardrails::none()).unwrap();
    (root, folders)
}

fn create(folders: &Folders, name: &str) {
    folders.create(name, &signed_folder(&record(name, ACME))).unwrap();
}

#[test]
fn folders_are_created_whole_read_back_and_removed() {
    let (_root, folders) = folders();
    create(&folders, "acme");
    assert_eq!(folders.names().unwrap(), names(["acme"]));
    assert!(matches!(folders.load("acme"), Found::Compiled(sound) if sound.policy.tenant.id == ACME));
    assert!(matches!(folders.create("acme", &Default::default()), Err(FolderError::Exists(_))));
    folders.replace_record("acme", "id: [").unwrap();
    assert!(matches!(folders.load("acme"), Found::Broken(problem) if problem.contains("tenant.yaml:1:")));
    let of_migration = crate::migration::state::folder_of(folders.root(), "acme");
    std::fs::create_dir_all(of_migration.join("before")).unwrap();
    folders.remove("acme").unwrap();
    folders.remove("acme").unwrap();
    assert!(!of_migration.exists());
    assert!(matches!(folders.load("acme"), Found::Gone));
}

#[test]
fn reading_is_bounded() {
    let (_root, folders) = folders();
    create(&folders, "acme");
    let acme = folders.root().join("acme");
    std::fs::write(acme.join("users.yaml"), vec![b' '; TENANT_FILE_BYTES_MAX as usize + 1]).unwrap();
    assert!(matches!(folders.texts("acme"), Err(FolderError::TooLarge(name)) if name == "acme/users.yaml"));
    std::fs::write(acme.join("users.yaml"), [0xff, 0xfe]).unwrap();
    assert!(matches!(folders.texts("acme"), Err(FolderError::NotText(_))));
    std::fs::remove_file(acme.join("users.yaml")).unwrap();
    for number in 0..TENANT_FILES_MAX {
        std::fs::write(acme.join(format!("{number}.yaml")), "").unwrap();
    }
    assert!(matches!(folders.texts("acme"), Err(FolderError::TooMany(_))));
}

#[cfg(unix)]
#[test]
fn no_link_leads_out_of_the_own_folder() {
    use std::os::unix::fs::symlink;
    let (root, folders) = folders();
    create(&folders, "acme");
    create(&folders, "beta");
    let acme = folders.root().join("acme");
    std::fs::write(root.path().join("secret.yaml"), "secret: 1").unwrap();
    for target in [root.path().join("secret.yaml"), folders.root().join("beta/users.yaml"), "../beta/users.yaml".into()]
    {
        let _absent = std::fs::remove_file(acme.join("users.yaml"));
        symlink(&target, acme.join("users.yaml")).unwrap();
        assert!(matches!(folders.texts("acme"), Err(FolderError::Escapes(_))), "{target:?}");
    }
    std::fs::remove_file(acme.join("users.yaml")).unwrap();
    std::fs::rename(acme.join("router.yaml"), acme.join("router-1")).unwrap();
    symlink("router-1", acme.join("router.yaml")).unwrap();
    assert!(matches!(folders.load("acme"), Found::Compiled(_)), "a link within the folder is fine");
    symlink(folders.root().join("beta"), folders.root().join("gamma")).unwrap();
    assert!(!folders.names().unwrap().contains("gamma"));
    assert!(matches!(folders.texts("gamma"), Err(FolderError::Escapes(_))));
}

#[test]
fn a_record_with_every_quota_reads_back_as_it_was() {
    let mut file = record("acme", ACME);
    file.quotas = serde_json::from_value(serde_json::json!({
        "max_requests_per_hour": 1_000, "max_requests_per_minute": 60, "max_tokens_per_minute": 90_000,
        "max_concurrent_requests": 8, "max_cost_per_month": "310", "max_storage_gb": 0.5,
        "limits": [
            {"level": "domain", "name": "h\"r: #1", "max_storage_gb": 0.25, "max_requests_per_hour": 10},
            {"level": "key", "name": "*", "max_tokens_per_minute": 5_000, "max_concurrent_requests": 2},
        ],
    }))
    .unwrap();
    let storage = serde_json::json!({"corpus_bucket": "s3://tenant-acme/a: b", "cache_prefix": "redis:tenant-acme:", "index_namespace": "qdrant::tenant-acme"});
    file.storage = serde_json::from_value(storage).unwrap();
    let policy = policy_of(&file);
    assert_eq!(policy.tenant, file);
}

#[test]
fn problems_name_file_and_line() {
    let mut texts = signed_folder(&record("acme", ACME));
    texts.insert(TENANT.to_owned(), texts[TENANT].replace("quotas:", "quotaz:"));
    let root = tempfile::tempdir().unwrap();
    let problem = Folders::open(root.path(), Guardrails::none()).unwrap().compiled("acme", &texts).unwrap_err();
    assert!(problem.contains("tenant.yaml:") && problem.contains("quotas"), "{problem}");
}

/// Takes readings as the registry does; of the folder `late` the first one is outdated.
struct Listener {
    seen: mpsc::UnboundedSender<FolderSeen>,
    late: Option<&'static str>,
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<FoldersSeen> for Listener {
    type Result = ();

    fn handle(&mut self, seen: FoldersSeen, _ctx: &mut Self::Context) {
        let outdated = self.late.take().map(str::to_owned).into_iter().collect();
        for folder in seen.folders {
            self.seen.send(folder).unwrap();
        }
        seen.reply.answer(Ok(outdated));
    }
}

#[actix::test]
async fn changes_are_seen_without_a_restart() {
    let (_root, folders) = folders();
    create(&folders, "acme");
    let (sender, mut seen) = mpsc::unbounded_channel();
    let listener = Listener { seen: sender, late: None }.start();
    let first = super::start(folders.clone(), names(["vanished"]), listener.recipient()).outcome().await.unwrap();
    assert_eq!((first.compiled, first.broken), (1, 0));
    let mut found = std::collections::BTreeMap::new();
    for _ in 0..2 {
        let folder = seen.recv().await.unwrap();
        found.insert(folder.name, folder.found);
    }
    assert!(matches!(found["acme"], Found::Compiled(_)) && matches!(found["vanished"], Found::Gone));

    // another folder under test would have another id; here only what is seen matters
    create(&folders, "beta");
    wait_for(&mut seen, |folder| folder.name == "beta" && matches!(folder.found, Found::Compiled(_))).await;
    std::fs::write(folders.root().join("acme/router.yaml"), "tenant_id: acme\nrouting: 7\n").unwrap();
    wait_for(&mut seen, |folder| matches!(&folder.found, Found::Broken(problem) if folder.name == "acme" && problem.contains("router.yaml:"))).await;
    folders.remove("beta").unwrap();
    wait_for(&mut seen, |folder| folder.name == "beta" && matches!(folder.found, Found::Gone)).await;
}

#[actix::test]
async fn outdated_readings_are_read_again_and_counted_once() {
    let (_root, folders) = folders();
    create(&folders, "acme");
    create(&folders, "beta");
    let (sender, mut seen) = mpsc::unbounded_channel();
    let listener = Listener { seen: sender, late: Some("acme") }.start();
    let first = super::start(folders.clone(), names([]), listener.recipient()).outcome().await.unwrap();
    assert_eq!(first, FirstReading { compiled: 2, broken: 0 });
    for name in ["acme", "beta", "acme"] {
        assert_eq!(seen.recv().await.unwrap().name, name);
    }
}

#[test]
fn a_reading_says_how_many_writes_had_ended_when_it_began() {
    let (_root, folders) = folders();
    let before = folders.observe("acme".to_owned());
    assert!(matches!(before.found, Found::Gone));
    let template = signed_folder(&record("acme", ACME));
    let created = folders.create("acme", &template).unwrap();
    let replaced = folders.clone().replace_record("acme", &template[TENANT]).unwrap();
    let removed = folders.remove("acme").unwrap();
    assert!(before.read_after < created && created < replaced && replaced < removed, "clones count together");
    assert_eq!(folders.observe("acme".to_owned()).read_after, removed);
}

/// A folder may be seen more than once on its way to the state that is waited for.
async fn wait_for(seen: &mut mpsc::UnboundedReceiver<FolderSeen>, wanted: impl Fn(&FolderSeen) -> bool) {
    while let Some(folder) = seen.recv().await {
        if wanted(&folder) {
            return;
        }
    }
    panic!("the room has ended");
}

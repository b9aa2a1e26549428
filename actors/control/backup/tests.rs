//! Backups of real stores: what a point holds, what is refused, what is gone and stays gone.
use super::rules::{Series, may_go};
use super::*;
use crate::kms::RootSource;
use crate::kms::rewrap::rewrap;
use crate::kms::tests::tenant;
use crate::registry::fixtures::here;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::ids::Position;
use bailiwick_kernel::shelf::Belongings;
use bailiwick_policy::guardrails::Guardrails;
use bailiwick_policy::retention::{DataType, Ground, GroundKind, Hold, Minimum, Selects};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

const DAY_MS: u64 = 86_400_000;
const BEGIN: u64 = 1_000 * DAY_MS;
/// Who writes while points are made, and how many points.
const WRITERS: u64 = 8;
const POINTS: u64 = 20;

struct Node {
    root: tempfile::TempDir,
    backups: Backups,
    clock: Arc<ManualClock>,
}

impl Node {
    fn new() -> Self {
        Self::over(tempfile::tempdir().unwrap())
    }

    /// The node of this folder.
    fn over(root: tempfile::TempDir) -> Self {
        let (data, clock) = (root.path().join("data"), ManualClock::at(BEGIN));
        let keys = KeyService::open(&data, &RootSource::File, &here()).unwrap();
        let ledger = Arc::new(Ledger::open(&data.join(erasures::FILE), keys.ledger_keys().unwrap()).unwrap());
        let folders = Folders::open(&root.path().join("tenants"), Guardrails::none()).unwrap();
        let vault = Vault::open(&data).unwrap();
        let backups = Backups::open(&data, vault, keys, folders, ledger, clock.clone()).unwrap();
        let node = Self { root, backups, clock };
        node.own(control_key());
        node
    }

    fn own(&self, tenant: TenantKey) -> Belongings {
        let vault = &self.backups.vault;
        vault.belongings(self.backups.keys.cipher_for(tenant, || vault.traces(tenant)).unwrap()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn make(&self, numbers: &[u128]) -> PointView {
        self.backups.make(&self.path("backup"), &backed(numbers, None)).unwrap()
    }

    fn restore(&self, from: &str, to: &str) -> Restore {
        Restore {
            from: self.path(from),
            point: None,
            data: self.path(to),
            tenants: Folders::open(&self.path("other-tenants"), Guardrails::none()).unwrap(),
            root: RootSource::File,
            root_file: Some(self.path("data/master.key")),
            region: here(),
            ledgers: Vec::new(),
            clock: self.clock.clone(),
        }
    }
}

fn backed(numbers: &[u128], rules: Option<&Rules>) -> Vec<Backed> {
    let of = |number: &u128| Backed {
        tenant: tenant(*number),
        name: format!("tenant-{number}"),
        rules: rules.cloned(),
        refused: None,
    };
    numbers.iter().map(of).collect()
}

/// What was put back, opened with its own keys.
struct Back(KeyService, Vault);

impl Back {
    fn at(data: &Path) -> Self {
        Self(KeyService::open(data, &RootSource::File, &here()).unwrap(), Vault::open(data).unwrap())
    }

    fn own(&self, tenant: TenantKey) -> Belongings {
        self.1.belongings(self.0.cipher_for(tenant, || self.1.traces(tenant)).unwrap()).unwrap()
    }
}

fn said(belongings: &Belongings) -> Vec<String> {
    let mut said = Vec::new();
    belongings.journal.replay(Position(0), |_, _, entry: String| said.push(entry)).unwrap();
    said
}

async fn keep(belongings: &Belongings, name: &str, bytes: usize) {
    let journal = &belongings.journal;
    let document = journal.of_document(&format!("put {name}"), name, &vec![7; bytes]).unwrap();
    let (records, bodies) = journal.place(vec![document]).unwrap();
    journal.blobs_put(bodies).unwrap();
    journal.secrets_sync().unwrap();
    journal.append_records(records).await.unwrap();
}

async fn drop_blob(belongings: &Belongings, name: &str) {
    belongings.journal.append(&[format!("del {name}")]).await.unwrap();
    belongings.journal.blob_delete(name).unwrap();
}

/// The blobs a journal says are there.
fn alive(belongings: &Belongings) -> BTreeSet<String> {
    let mut alive = BTreeSet::new();
    for entry in said(belongings) {
        match entry.split_once(' ') {
            Some(("put", name)) => drop(alive.insert(name.to_owned())),
            Some(("del", name)) => drop(alive.remove(name)),
            _ => {}
        }
    }
    alive
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
}

#[tokio::test]
async fn a_point_holds_everything_and_the_next_one_only_what_is_new() {
    let node = Node::new();
    let (one, two) = (node.own(tenant(1)), node.own(tenant(2)));
    keep(&one, "small", 100).await;
    keep(&one, "large", 3 << 20).await;
    keep(&two, "other", 100).await;
    std::fs::write(node.path("data/operator.key"), "bwk_operator").unwrap();
    node.backups.folders.create("tenant-1", &[("tenant.yaml".to_owned(), "name: tenant-1".to_owned())].into()).unwrap();
    let first = node.make(&[1, 2]);
    assert!(first.point == 1 && first.bytes > 3 << 20 && first.tenants.iter().all(|part| part.is_whole));
    let again = node.make(&[1, 2]);
    assert_eq!((again.point, again.bytes), (2, 0), "nothing is new");
    keep(&one, "late", 200).await;
    drop_blob(&one, "small").await;
    let third = node.make(&[1, 2]);
    let new: Vec<_> = third.tenants.iter().filter(|part| part.bytes > 0).map(|part| part.tenant.as_str()).collect();
    assert!(new == ["tenant-1"] && third.bytes < 4_096, "{third:?}");

    for (point, blobs) in [(1, vec!["large", "small"]), (2, vec!["large", "small"]), (3, vec!["large", "late"])] {
        let to = format!("back-{point}");
        let restored = Restore { point: Some(point), ..node.restore("backup", &to) }.run().await.unwrap();
        assert_eq!(restored.tenants, ["tenant-1", "tenant-2"]);
        let back = Back::at(&node.path(&to));
        let own = back.own(tenant(1));
        assert_eq!(alive(&own).iter().map(String::as_str).collect::<Vec<_>>(), blobs);
        for name in &blobs {
            assert!(own.journal.blob_get(name).unwrap().is_some(), "{name}");
        }
        assert_eq!(back.1.store().blob_digests(tenant(1)).unwrap().len(), blobs.len(), "and no other");
        assert_eq!(said(&back.own(tenant(2))), said(&two));
        assert_eq!(std::fs::read_to_string(node.path(&to).join("operator.key")).unwrap(), "bwk_operator");
        own.journal.append(&[String::from("it goes on")]).await.unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(node.path("other-tenants/tenant-1/tenant.yaml")).unwrap(),
        "name: tenant-1",
        "the tenant's folder is back"
    );
    let taken = node.restore("backup", "back-1").run().await.unwrap_err().to_string();
    assert!(taken.contains("it is not empty"), "{taken}");
    let keyless = Restore { root_file: None, ..node.restore("backup", "back-9") }.run().await.unwrap_err().to_string();
    assert!(keyless.contains("the root key is in no backup"), "{keyless}");
    std::fs::write(node.path("wrong.key"), [9; 32]).unwrap();
    let wrong = Restore { root_file: Some(node.path("wrong.key")), ..node.restore("backup", "back-9") };
    assert!(wrong.run().await.unwrap_err().to_string().contains("not under this root key"));
    assert!(!node.path("back-9").exists());
}

#[tokio::test]
async fn whatever_was_changed_cut_exchanged_or_is_missing_is_refused() {
    let node = Node::new();
    let own = node.own(tenant(1));
    keep(&own, "a", 50_000).await;
    node.make(&[1]);
    keep(&own, "b", 100).await;
    node.make(&[1]);
    let target = node.path("backup");
    let needed: Vec<_> = files(&target).into_iter().filter(|file| !file.ends_with(erasures::FILE)).collect();
    let (mut tried, mut number) = (0, 0);
    for file in &needed {
        // the first point is not asked for
        if file.ends_with("points/00000001.point") {
            continue;
        }
        let whole = std::fs::read(file).unwrap();
        let mut wrongs: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new()), Some(whole[..whole.len() - 1].to_vec())];
        for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            wrongs.push(Some(flipped));
        }
        wrongs.push(Some([whole.as_slice(), &[0]].concat()));
        for other in needed.iter().filter(|other| *other != file) {
            wrongs.push(Some(std::fs::read(other).unwrap()));
        }
        for wrong in wrongs {
            match wrong {
                Some(bytes) => std::fs::write(file, bytes).unwrap(),
                None => std::fs::remove_file(file).unwrap(),
            }
            number += 1;
            let to = format!("back-{number}");
            // without its newest point a backup is one of the point before
            let restore = Restore { point: Some(2), ..node.restore("backup", &to) };
            let outcome = restore.run().await;
            assert!(outcome.is_err() && !node.path(&to).exists(), "{} try {number}: {outcome:?}", file.display());
            tried += 1;
        }
        std::fs::write(file, whole).unwrap();
    }
    assert!(tried > 60, "{tried}");
    node.restore("backup", "whole").run().await.unwrap();
}

#[tokio::test]
async fn a_backup_that_was_cut_short_is_none_and_the_next_one_is_whole() {
    let node = Node::new();
    let own = node.own(tenant(1));
    keep(&own, "a", 100).await;
    node.make(&[1]);
    keep(&own, "b", 100).await;
    node.make(&[1]);
    // as if the power had failed before the point was written, and in the middle of a part
    std::fs::remove_file(node.path("backup/points/00000002.point")).unwrap();
    let older = node.backups.make(&node.path("backup"), &[]).unwrap_err().to_string();
    assert!(older.contains("point 2 was made there and its newest is 1"), "a whole point does not go missing: {older}");
    node.backups.known.note(&node.path("backup"), 2).unwrap();
    let part = files(&node.path("backup/parts")).into_iter().rfind(|file| file.ends_with("00000002.part")).unwrap();
    std::fs::write(part.with_extension("new"), b"half").unwrap();
    let unfinished = std::fs::read(&part).unwrap();
    let restored = node.restore("backup", "back").run().await.unwrap();
    assert_eq!(restored.point, 1);
    assert_eq!(said(&Back::at(&node.path("back")).own(tenant(1))), ["put a"]);
    keep(&own, "c", 100).await;
    assert_eq!(node.make(&[1]).point, 2);
    node.restore("backup", "again").run().await.unwrap();
    assert_eq!(said(&Back::at(&node.path("again")).own(tenant(1))), ["put a", "put b", "put c"]);
    // the part that was cut short, in the place of the whole one: sealed for the same place, and not what the point names
    let whole = std::fs::read(&part).unwrap();
    std::fs::write(&part, unfinished).unwrap();
    let exchanged = node.restore("backup", "exchanged").run().await.unwrap_err().to_string();
    assert!(exchanged.contains("is not the one its point names"), "{exchanged}");
    std::fs::write(&part, whole).unwrap();
    // a restore that was cut short is nobody's data
    std::fs::create_dir(node.path("third.restoring")).unwrap();
    std::fs::write(node.path("third.restoring/master.key"), "half").unwrap();
    node.restore("backup", "third").run().await.unwrap();
    assert!(!node.path("third.restoring").exists());
    std::fs::create_dir(node.path("other")).unwrap();
    std::fs::write(node.path("other/letter"), "mine").unwrap();
    let refused = node.backups.make(&node.path("other"), &[]).unwrap_err().to_string();
    assert!(refused.contains("it holds something else"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_point_is_of_one_moment_however_much_comes_and_goes() {
    let node = Node::new();
    let own = node.own(tenant(1));
    let done = Arc::new(AtomicBool::new(false));
    let writing: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (writer, ended) = (own.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut round = 0_u64;
                while !ended.load(Ordering::SeqCst) {
                    keep(&writer, &format!("{number}-{round}"), 100).await;
                    if let Some(old) = round.checked_sub(2) {
                        drop_blob(&writer, &format!("{number}-{old}")).await;
                    }
                    round += 1;
                }
            })
        })
        .collect();
    for point in 1..=POINTS {
        let (backups, to) = (node.backups.clone(), node.path("backup"));
        let made = bailiwick_kernel::residue::spawn_blocking(move || backups.make(&to, &backed(&[1], None)));
        assert_eq!(made.await.unwrap().unwrap().point, point);
    }
    done.store(true, Ordering::SeqCst);
    for writer in writing {
        writer.await.unwrap();
    }
    for point in 1..=POINTS {
        let to = format!("back-{point}");
        Restore { point: Some(point), ..node.restore("backup", &to) }.run().await.unwrap();
        let back = Back::at(&node.path(&to)).own(tenant(1));
        for name in alive(&back) {
            assert!(back.journal.blob_get(&name).unwrap().is_some(), "point {point}: {name}");
        }
    }
}

#[tokio::test]
async fn a_destroyed_tenant_opens_from_no_backup() {
    let node = Node::new();
    let (own, neighbour) = (node.own(tenant(1)), node.own(tenant(2)));
    keep(&own, "secret", 100).await;
    keep(&neighbour, "other", 100).await;
    node.make(&[1, 2]);
    copy(&node.path("backup"), &node.path("elsewhere"));
    let (vault, keys) = (node.backups.vault.clone(), node.backups.keys.clone());
    let shred = || {
        keys.destroy(tenant(1)).map_err(|error| Rejection::new(Code::Internal, error.to_string()))?;
        vault.shred(tenant(1)).map_err(|error| Rejection::new(Code::Internal, error.to_string()))
    };
    let hex = tenant(1).to_hex();
    let down = || Err(Rejection::new(Code::UpstreamFailed, "a store outside is down"));
    node.backups.destroying(tenant(1), "operator", shred, down).unwrap_err();
    assert!(node.backups.certificate(&hex).is_err(), "not certified while something may be left outside");
    node.backups.destroying(tenant(1), "operator", shred, || Ok(1)).unwrap();
    assert!(files(&node.path("backup")).iter().all(|file| !file.to_string_lossy().contains(&hex)));
    let restored = node.restore("backup", "back").run().await.unwrap();
    assert_eq!((restored.tenants.len(), restored.left_out), (1, vec!["tenant-1: it was destroyed".to_owned()]));
    // a copy that was taken elsewhere before has its key: the ledger keeps it from coming back
    let ledgers = vec![node.path("data").join(erasures::FILE)];
    let restored = Restore { ledgers, ..node.restore("elsewhere", "back-2") }.run().await.unwrap();
    assert_eq!(restored.left_out, ["tenant-1: it was destroyed"]);
    assert!(files(&node.path("back-2")).iter().all(|file| !file.to_string_lossy().contains(&hex)));
    // without its ledger a backup that knows of one is not put back
    node.make(&[2]);
    std::fs::remove_file(node.path("backup").join(erasures::FILE)).unwrap();
    let refused = node.restore("backup", "back-3").run().await.unwrap_err().to_string();
    assert!(refused.contains("name a newer copy of it with --ledger"), "{refused}");
    let certificate = node.backups.certificate(&hex).unwrap();
    let said = bailiwick_tenant::proofs::certificates::verified(&certificate, Some(&certificate.verifier_key)).unwrap();
    assert_eq!([said.said("what"), said.said("records_before")], [Some("tenant"), Some("1")]);
    assert_eq!([said.said("backups_not_reached"), said.said("collections_deleted")], [Some("0"), Some("1")]);
}

fn rules(days: u32) -> Rules {
    let ground = Ground { kind: GroundKind::Minimum, name: "backups_days".into(), basis: "a file".into() };
    Rules { minimums: vec![Minimum { data_type: DataType::Backups, days, ground }], ..Rules::default() }
}

#[test]
fn a_copy_stays_while_its_time_runs_or_anything_is_held() {
    let series = Series { number: 1, newest_unix_ms: BEGIN, is_current: false };
    let mut rules = rules(30);
    let end = BEGIN + 30 * DAY_MS;
    assert!(may_go(&series, Some(&rules), end - 1).unwrap_err().contains("backups_days"));
    assert_eq!(may_go(&series, Some(&rules), end), Ok(()));
    assert!(may_go(&Series { is_current: true, ..series.clone() }, Some(&rules), end).is_err());
    assert!(may_go(&series, None, end).is_err(), "without rules it stays");
    assert!(may_go(&series, Some(&Rules::default()), end).is_err(), "without a minimum it stays");
    let selects = Selects { subjects: vec!["user-1".into()], ..Selects::default() };
    let ground = Ground { kind: GroundKind::Hold, name: "case-7".into(), basis: "a court".into() };
    rules.holds.push(Hold { selects, since_unix_ms: 0, released_unix_ms: Some(end + 5), ground });
    assert!(may_go(&series, Some(&rules), end).unwrap_err().contains("case-7"));
    assert_eq!(may_go(&series, Some(&rules), end + 5), Ok(()));
}

#[tokio::test]
async fn old_copies_go_and_what_is_left_can_be_put_back() {
    let node = Node::new();
    let own = node.own(tenant(1));
    let (to, short) = (node.path("backup"), rules(10));
    keep(&own, "a", 100).await;
    let make = || node.backups.make(&to, &backed(&[1], Some(&short))).unwrap();
    make();
    node.clock.advance(31 * DAY_MS);
    keep(&own, "b", 100).await;
    let second = make();
    let part = second.tenants.iter().find(|part| part.tenant == "tenant-1").unwrap();
    assert!(part.is_whole, "a series begins anew after its time");
    assert!(second.pruned.iter().any(|line| line.contains("series 1 of tenant-1: its time is over")), "{second:?}");
    assert_eq!(node.restore("backup", "back").run().await.unwrap().tenants, ["tenant-1"]);
    assert_eq!(said(&Back::at(&node.path("back")).own(tenant(1))), ["put a", "put b"]);
    assert!(Restore { point: Some(1), ..node.restore("backup", "old") }.run().await.is_err(), "the point went with it");
    let kept = node.backups.prune(&to, &backed(&[1], Some(&rules(400)))).unwrap();
    assert_eq!(kept, PruneView::default());
}

#[tokio::test]
async fn a_journal_that_went_on_otherwise_begins_a_series_of_its_own() {
    let node = Node::new();
    let own = node.own(tenant(1));
    keep(&own, "a", 100).await;
    node.make(&[1]);
    keep(&own, "b", 100).await;
    node.make(&[1]);
    // the node goes on from the first point
    Restore { point: Some(1), ..node.restore("backup", "second-life") }.run().await.unwrap();
    let data = node.path("second-life");
    let keys = KeyService::open(&data, &RootSource::File, &here()).unwrap();
    let ledger = Arc::new(Ledger::open(&data.join(erasures::FILE), keys.ledger_keys().unwrap()).unwrap());
    let vault = Vault::open(&data).unwrap();
    let own = vault.belongings(keys.cipher_for(tenant(1), || vault.traces(tenant(1))).unwrap()).unwrap();
    keep(&own, "c", 100).await;
    let again = Backups::open(&data, vault, keys, node.backups.folders.clone(), ledger, node.clock.clone()).unwrap();
    let third = again.make(&node.path("backup"), &backed(&[1], None)).unwrap();
    assert!(third.tenants.iter().any(|part| part.tenant == "tenant-1" && part.is_whole), "{third:?}");
    node.restore("backup", "back").run().await.unwrap();
    assert_eq!(said(&Back::at(&node.path("back")).own(tenant(1))), ["put a", "put c"]);
}

#[tokio::test]
async fn a_backup_opens_under_the_root_key_that_took_the_place_of_another() {
    let node = Node::new();
    let own = node.own(tenant(1));
    keep(&own, "a", 100).await;
    node.make(&[1]);
    let before = said(&own);
    let old = std::fs::read(node.path("data/master.key")).unwrap();
    drop(own);
    let Node { root, backups, .. } = node;
    drop(backups);
    rewrap(&root.path().join("data"), &RootSource::File).unwrap();

    let node = Node::over(root);
    std::fs::write(node.path("old.key"), old).unwrap();
    let under_old = || Restore { root_file: Some(node.path("old.key")), ..node.restore("backup", "old") };
    under_old().run().await.unwrap();
    assert_eq!(said(&Back::at(&node.path("old")).own(tenant(1))), before, "as long as nothing newer stands there");
    node.make(&[1]);
    node.restore("backup", "new").run().await.unwrap();
    assert_eq!(said(&Back::at(&node.path("new")).own(tenant(1))), before);
    let refused = Restore { data: node.path("other"), ..under_old() }.run().await.unwrap_err().to_string();
    assert!(refused.contains("node.secret"), "{refused}");
    std::fs::remove_file(node.path("backup/node.secret")).unwrap();
    let cut = node.restore("backup", "cut").run().await.unwrap_err().to_string();
    assert!(cut.contains("not under this root key"), "{cut}");
}

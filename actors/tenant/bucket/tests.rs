//! Listings weighed against what is here, and a bucket in memory followed by a whole tenant.
use super::objects::*;
use super::rules::{KEY, Known, Wish, document, document_id, plan, taken};
use crate::entry::Entry;
use crate::erasures::messages::AskErasure;
use crate::erasures::rules::Wish as ErasureWish;
use crate::retrieval::messages::{AdmitUpload, DocumentView, ListDocuments, RemoveDocument, TakenIn};
use crate::supervisor::fixtures::*;
use bailiwick_kernel::erasures::Of;
use bailiwick_kernel::limits::{BUCKET_BATCH_BYTES, BUCKET_BATCH_MAX, DOCUMENT_BYTES_MAX};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::parse::FileTexts;
use bailiwick_policy::sovereignty::Region;
use bailiwick_policy::stores::BucketPlace;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;

fn place() -> BucketPlace {
    BucketPlace::parse("s3://tenant-default/corpus").unwrap()
}

fn object(key: &str, etag: &str, bytes: u64) -> Object {
    Object { key: key.into(), etag: etag.into(), bytes, modified_unix_ms: 10 }
}

fn listing(objects: impl Into<Vec<Object>>) -> Listing {
    Listing { objects: objects.into(), unreadable: Vec::new() }
}

fn id(key: &str) -> String {
    document_id("tenant-default", key)
}

#[test]
fn what_is_new_or_changed_is_read_and_what_is_gone_goes() {
    let known = Known {
        taken: BTreeMap::from([
            (id("corpus/a"), "1".into()),
            (id("corpus/b"), "1".into()),
            (id("corpus/c"), "1".into()),
        ]),
        refused: BTreeSet::from([("corpus/r".into(), "1".into())]),
        ..Known::default()
    };
    let listed = [
        object("corpus/a", "1", 5),
        object("corpus/b", "2", 5),
        object("corpus/n", "1", 5),
        object("corpus/r", "1", 5),
        object("corpus/empty", "1", 0),
        object("corpus/large", "1", u64::try_from(DOCUMENT_BYTES_MAX).unwrap() + 1),
        object("elsewhere/x", "1", 5),
    ];
    let listed = Listing { unreadable: vec!["corpus//x".into()], ..listing(listed) };
    let plan = plan(&place(), &listed, &known, |_id| None);
    assert_eq!(plan.fetch, [vec![object("corpus/b", "2", 5), object("corpus/n", "1", 5)]]);
    assert_eq!((plan.gone, plan.here, plan.skipped), (vec![id("corpus/c")], 1, 4));
}

#[test]
fn what_something_keeps_is_not_asked_for_the_same_again() {
    let known = |wishes: &[(&str, Wish)]| Known {
        taken: BTreeMap::from([(id("corpus/a"), "1".into()), (id("corpus/c"), "1".into())]),
        kept: wishes.iter().map(|(key, wish)| (id(key), wish.clone())).collect(),
        ..Known::default()
    };
    let listed = listing([object("corpus/a", "2", 5)]);
    let asked = |wishes: &[(&str, Wish)]| {
        let plan = plan(&place(), &listed, &known(wishes), |_| None);
        (plan.fetch.len(), plan.gone.len(), plan.kept.len())
    };
    assert_eq!(asked(&[]), (1, 1, 0));
    assert_eq!(asked(&[("corpus/a", Wish::Replace("2".into())), ("corpus/c", Wish::Remove)]), (0, 0, 2));
    // another version of the object, and one that is gone by now, are other wishes
    assert_eq!(asked(&[("corpus/a", Wish::Replace("1".into())), ("corpus/c", Wish::Replace("1".into()))]), (1, 1, 0));
}

#[test]
fn what_was_erased_returns_only_if_it_was_written_since() {
    let erased = |until: u64| move |of: &str| (of == id("corpus/a")).then_some(until);
    let listed = listing([object("corpus/a", "1", 5)]);
    assert_eq!(plan(&place(), &listed, &Known::default(), erased(10)).fetch.len(), 0);
    assert_eq!(plan(&place(), &listed, &Known::default(), erased(9)).fetch.len(), 1);
}

#[test]
fn portions_are_bounded_in_objects_and_bytes() {
    let many: Vec<_> = (0..100).map(|number| object(&format!("corpus/{number}"), "1", 1)).collect();
    let sizes: Vec<_> =
        plan(&place(), &listing(many), &Known::default(), |_| None).fetch.iter().map(Vec::len).collect();
    assert_eq!(sizes, [BUCKET_BATCH_MAX, BUCKET_BATCH_MAX, BUCKET_BATCH_MAX, 4]);
    let large: Vec<_> = (0..3).map(|number| object(&format!("corpus/{number}"), "1", BUCKET_BATCH_BYTES)).collect();
    assert_eq!(plan(&place(), &listing(large), &Known::default(), |_| None).fetch.len(), 3);
}

#[test]
fn a_document_is_known_again_by_what_it_says_and_by_its_name() {
    let address = Url::parse("https://tenant-default.s3.eu-west-1.amazonaws.com/").unwrap();
    let document = document(&place(), &address, &object("corpus/a b/ü?.txt", "\"7\"", 5), Bytes::from_static(b"words"));
    assert_eq!(
        document.source.as_deref(),
        Some("https://tenant-default.s3.eu-west-1.amazonaws.com/corpus/a%20b/%C3%BC%3F.txt")
    );
    let metadata_json = document.metadata.unwrap().to_string();
    let known = TakenIn { id: document.id.unwrap(), metadata_json };
    assert_eq!(taken(&place(), known.clone()), Some((id("corpus/a b/ü?.txt"), "\"7\"".into())));
    assert_eq!(taken(&place(), TakenIn { id: "other".into(), ..known.clone() }), None, "a document of somebody else's");
    let elsewhere = BucketPlace::parse("s3://tenant-default/other").unwrap();
    assert_eq!(taken(&elsewhere, known), None);
}

/// A bucket in memory.
#[derive(Debug, Default)]
struct Memory {
    objects: Mutex<BTreeMap<String, (Object, Bytes)>>,
    listed: AtomicUsize,
    fetched: AtomicUsize,
    is_down: Mutex<bool>,
    unreadable: Mutex<Vec<String>>,
}

impl Memory {
    fn put(&self, key: &str, words: &'static str) {
        let content = Bytes::from_static(words.as_bytes());
        let etag = format!("\"{}\"", hex::encode(crate::digest::sha256(&content)));
        let bytes = u64::try_from(content.len()).unwrap();
        let object = Object { key: key.into(), etag, bytes, modified_unix_ms: NOW };
        self.objects.lock().unwrap().insert(key.into(), (object, content));
    }

    fn remove(&self, key: &str) {
        self.objects.lock().unwrap().remove(key);
    }

    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    async fn looked_at(&self, times: usize) {
        let before = self.listed.load(Ordering::SeqCst);
        eventually("the bucket is looked at", async || self.listed.load(Ordering::SeqCst) >= before + times).await;
    }
}

impl Objects for Memory {
    fn list<'a>(&'a self, _prefix: &'a str) -> Pending<'a, Listing> {
        Box::pin(async {
            self.listed.fetch_add(1, Ordering::SeqCst);
            if *self.is_down.lock().unwrap() {
                return Err(BucketError::Failed("it is down".into()));
            }
            let objects = self.objects.lock().unwrap().values().map(|(object, _)| object.clone()).collect();
            Ok(Listing { objects, unreadable: self.unreadable.lock().unwrap().clone() })
        })
    }

    fn fetch<'a>(&'a self, object: &'a Object) -> Pending<'a, Bytes> {
        Box::pin(async move {
            self.fetched.fetch_add(1, Ordering::SeqCst);
            let objects = self.objects.lock().unwrap();
            let found = objects.get(&object.key).filter(|(found, _)| found == object);
            found.map(|(_, content)| content.clone()).ok_or(BucketError::Changed)
        })
    }
}

/// A tenant whose documents lie in a bucket in memory.
fn following(texts: &mut FileTexts) {
    texts.get_mut("tenant.yaml").unwrap().push_str("\nstorage:\n  corpus_bucket: s3://tenant-default/corpus\n");
}

fn stage(region: &str, tenant: &str) -> (Stage, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    let bucket = Bucket {
        name: "tenant-default".into(),
        region: Region::named(region).unwrap(),
        tenant: tenant.into(),
        every: Duration::from_millis(1),
        address: Url::parse("https://upload.local/").unwrap(),
        under_tls12: memory.clone(),
        under_tls13: memory.clone(),
    };
    let mut stage = Stage::new();
    stage.buckets = Buckets::new(vec![bucket]);
    (stage, memory)
}

impl Tenant {
    async fn documents(&self) -> Vec<DocumentView> {
        self.told(|reply| ListDocuments { after: None, limit: 100, principal: principal(), reply }).await.unwrap()
    }

    async fn has_documents(&self, titles: &[&str]) {
        eventually("the documents are those of the bucket", async || {
            let mut found: Vec<_> = self.documents().await.into_iter().map(|document| document.title).collect();
            found.sort();
            found == titles
        })
        .await;
    }

    async fn trouble(&self, word: &str) {
        eventually("the trouble is told", async || {
            let figures = self.figures().await.ok();
            let trouble = figures.and_then(|figures| figures.corpus.bucket?.trouble);
            trouble.is_some_and(|trouble| trouble.contains(word))
        })
        .await;
    }
}

fn policy_with(change: impl FnOnce(&mut FileTexts)) -> Arc<PolicySnapshot> {
    policy("default", |texts| {
        following(texts);
        change(texts);
    })
}

#[actix::test]
async fn a_bucket_is_followed_and_nothing_is_read_twice() {
    let (stage, memory) = stage("eu-west-1", "default");
    memory.put("corpus/one.txt", "The codeword is heron.");
    memory.put("corpus/two.txt", "Another text.");
    memory.put("other/three.txt", "Not of this folder.");
    let tenant = stage.start(1, &policy_with(|_| ()));
    tenant.has_documents(&["one.txt", "two.txt"]).await;
    memory.looked_at(3).await;
    assert_eq!(memory.fetched(), 2, "what is here as it is there is not read again");
    memory.put("corpus/two.txt", "Another text, changed.");
    memory.remove("corpus/one.txt");
    tenant.has_documents(&["two.txt"]).await;
    memory.looked_at(3).await;
    assert_eq!(memory.fetched(), 3);
    tenant.close().await;
    let tenant = stage.start(1, &policy_with(|_| ()));
    memory.looked_at(3).await;
    eventually("it stands as before", async || {
        let bucket = tenant.figures().await.ok().and_then(|figures| figures.corpus.bucket);
        bucket.is_some_and(|bucket| (bucket.objects, bucket.here, bucket.trouble) == (2, 1, None))
    })
    .await;
    assert_eq!(memory.fetched(), 3, "nor by the next incarnation");
}

#[actix::test]
async fn a_bucket_that_is_down_takes_nothing_away() {
    let (stage, memory) = stage("eu-west-1", "default");
    memory.put("corpus/one.txt", "The codeword is heron.");
    let tenant = stage.start(1, &policy_with(|_| ()));
    tenant.has_documents(&["one.txt"]).await;
    *memory.is_down.lock().unwrap() = true;
    tenant.trouble("it is down").await;
    assert_eq!(tenant.documents().await.len(), 1);
}

#[actix::test]
async fn a_bucket_in_a_region_nobody_allowed_is_not_asked() {
    let (stage, memory) = stage("us-east-1", "default");
    let tenant = stage.start(1, &policy_with(|_| ()));
    tenant.trouble("region us-east-1").await;
    assert_eq!(memory.listed.load(Ordering::SeqCst), 0);
    let allowing = policy_with(|texts| edit(texts, "data-sovereignty.yaml", "- eu-central-1", "- us-east-1"));
    tenant.adopt(&allowing).await.unwrap();
    memory.looked_at(1).await;
}

#[actix::test]
async fn a_bucket_of_another_tenant_is_not_asked() {
    let (stage, memory) = stage("eu-west-1", "neighbour");
    let tenant = stage.start(1, &policy_with(|_| ()));
    tenant.trouble("no bucket of this name").await;
    assert_eq!(memory.listed.load(Ordering::SeqCst), 0);
}

#[actix::test]
async fn what_something_keeps_stays_and_what_was_erased_does_not_return() {
    let (stage, memory) = stage("eu-west-1", "default");
    memory.put("corpus/one.txt", "The codeword is heron.");
    let kept = policy_with(|texts| edit(texts, "data-sovereignty.yaml", "data_days: 0", "data_days: 1"));
    let tenant = stage.start(1, &kept);
    tenant.has_documents(&["one.txt"]).await;
    memory.remove("corpus/one.txt");
    tenant.trouble("removing document").await;
    assert_eq!(tenant.documents().await.len(), 1);
    tenant.adopt(&policy_with(|_| ())).await.unwrap();
    tenant.has_documents(&[]).await;
    memory.put("corpus/two.txt", "About somebody.");
    tenant.has_documents(&["two.txt"]).await;
    let wish = ErasureWish { of: Of::Document, name: id("corpus/two.txt"), basis: "a letter".into(), within_days: 30 };
    tenant.told(|reply| AskErasure { wish, principal: principal(), reply }).await.unwrap();
    tenant.has_documents(&[]).await;
    // another listing, so that everything is weighed anew
    memory.put("corpus/three.txt", "Something else.");
    tenant.has_documents(&["three.txt"]).await;
    memory.looked_at(3).await;
    tenant.has_documents(&["three.txt"]).await;
    // what somebody merely removes comes back with the next change: the bucket is right
    let three = id("corpus/three.txt");
    tenant.told(|reply| RemoveDocument { id: three, principal: principal(), reply }).await.unwrap();
    memory.put("corpus/four.txt", "One more.");
    tenant.has_documents(&["four.txt", "three.txt"]).await;
}

/// What `corpus-bucket` was refused so far.
fn refusals(tenant: &Tenant) -> usize {
    let refused = |entry: &Entry| matches!(entry, Entry::Refused { by, .. } if by == KEY);
    tenant.entries().iter().filter(|entry| refused(entry)).count()
}

#[actix::test]
async fn a_removal_that_is_refused_is_asked_again_after_a_while_or_under_other_rules() {
    let (stage, memory) = stage("eu-west-1", "default");
    memory.put("corpus/one.txt", "The codeword is heron.");
    let tenant = stage.start(1, &policy_with(|_| ()));
    tenant.has_documents(&["one.txt"]).await;
    let forbids = "rules:\n  - id: nothing-goes\n    effect: forbid\n    actions: [remove]\n    when: { user.role: operator }\n    \
                   overrides: [members-work]\n";
    let forbidding = policy_with(|texts| edit(texts, "policies/governance.yaml", "rules:\n", forbids));
    tenant.adopt(&forbidding).await.unwrap();
    memory.remove("corpus/one.txt");
    tenant.trouble("nothing-goes").await;
    eventually("the refusal is written down", async || refusals(&tenant) == 1).await;
    memory.looked_at(5).await;
    assert_eq!(refusals(&tenant), 1, "asked once, however often it is looked");
    // also where the bucket is another one at every look
    for number in 0..3 {
        memory.put("corpus/two.txt", ["One.", "Two.", "Three."][number]);
        memory.looked_at(2).await;
    }
    assert_eq!(refusals(&tenant), 1);
    tenant.trouble("nothing-goes").await;
    let bucket = tenant.figures().await.unwrap().corpus.bucket.unwrap();
    assert_eq!((bucket.kept, bucket.objects), (1, 1), "{bucket:?}");
    tenant.clock.advance(600_000);
    eventually("it is asked again", async || refusals(&tenant) == 2).await;
    memory.looked_at(5).await;
    assert_eq!(refusals(&tenant), 2);
    tenant.adopt(&policy_with(|_| ())).await.unwrap();
    tenant.has_documents(&["two.txt"]).await;
}

#[actix::test]
async fn nothing_is_read_before_there_is_a_place_for_it() {
    let (stage, memory) = stage("eu-west-1", "default");
    let tenant = stage.start(1, &policy_with(|_| ()));
    memory.looked_at(1).await;
    let mut places = Vec::new();
    while let Ok(place) = tenant.told(|reply| AdmitUpload { reply }).await {
        places.push(place);
    }
    memory.put("corpus/one.txt", "The codeword is heron.");
    tenant.trouble("of this tenant are under way").await;
    memory.looked_at(3).await;
    assert_eq!(memory.fetched(), 0);
    drop(places);
    tenant.has_documents(&["one.txt"]).await;
}

#[actix::test]
async fn an_object_nobody_can_read_is_told_and_the_others_are_taken_in() {
    let (stage, memory) = stage("eu-west-1", "default");
    memory.put("corpus/one.txt", "The codeword is heron.");
    memory.unreadable.lock().unwrap().push("corpus//odd.txt".into());
    let tenant = stage.start(1, &policy_with(|_| ()));
    tenant.has_documents(&["one.txt"]).await;
    tenant.trouble("\"corpus//odd.txt\"").await;
    memory.looked_at(3).await;
    let bucket = tenant.figures().await.unwrap().corpus.bucket.unwrap();
    assert_eq!((bucket.objects, bucket.here, bucket.skipped, memory.fetched()), (2, 1, 1, 1));
    assert!(bucket.trouble.is_some(), "it is told as long as it lies there");
    memory.unreadable.lock().unwrap().clear();
    eventually("nothing is wrong any more", async || {
        let bucket = tenant.figures().await.unwrap().corpus.bucket.unwrap();
        (bucket.trouble, bucket.skipped) == (None, 0)
    })
    .await;
}

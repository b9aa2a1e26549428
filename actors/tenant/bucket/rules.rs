//! What follows from a listing and from what is here already: which objects are read, which documents go. Pure.
use super::objects::{Listing, Object};
use crate::digest::sha256;
use crate::retrieval::messages::{Content, NewDocument, TakenIn};
use bailiwick_kernel::limits::{BUCKET_BATCH_BYTES, BUCKET_BATCH_MAX, DOCUMENT_BYTES_MAX};
use bailiwick_policy::stores::BucketPlace;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// The key documents of a bucket are taken in and out under: rules of the policy and limits may name it.
pub const KEY: &str = "corpus-bucket";
/// Under this name a document's metadata says which object it is.
const METADATA: &str = "s3";

/// What is done after a look.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Objects to be read, in portions.
    pub fetch: Vec<Vec<Object>>,
    /// Documents whose object is gone.
    pub gone: Vec<String>,
    /// Objects whose document is here as it is.
    pub here: u64,
    /// Objects that are not read: empty, too large, erased here, refused before as they are, or with a key nobody can read.
    pub skipped: u64,
    /// Documents that something keeps as they are, and that are not asked about now.
    pub kept: BTreeSet<String>,
}

/// What was asked of a document that something keeps as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// That it goes: its object is gone.
    Remove,
    /// That the object with this tag takes its place.
    Replace(String),
}

/// What is known beside the listing.
#[derive(Debug, Default)]
pub struct Known {
    /// What the documents here say of their objects: the tag, by id of the document.
    pub taken: BTreeMap<String, String>,
    /// Objects that were refused for good, by key and tag.
    pub refused: BTreeSet<(String, String)>,
    /// What was refused for the document's sake a moment ago, by its id.
    pub kept: BTreeMap<String, Wish>,
}

impl Known {
    fn is_kept(&self, id: &str, wish: &Wish) -> bool {
        self.kept.get(id) == Some(wish)
    }
}

/// The document an object is, whatever is in it.
#[must_use]
pub fn document_id(bucket: &str, key: &str) -> String {
    let digest = hex::encode(sha256(&[bucket.as_bytes(), &[0], key.as_bytes()].concat()));
    format!("s3-{}", digest.get(..32).unwrap_or(&digest))
}

/// Decides after a look. `erased` gives up to when what was written under a document's id may not return.
#[must_use]
pub fn plan(place: &BucketPlace, listed: &Listing, known: &Known, erased: impl Fn(&str) -> Option<u64>) -> Plan {
    let (mut plan, mut listed_ids, mut wanted) = (Plan::default(), BTreeSet::new(), Vec::new());
    plan.skipped = u64::try_from(listed.unreadable.len()).unwrap_or(u64::MAX);
    for object in listed.objects.iter().filter(|object| place.holds(&object.key)) {
        let id = document_id(&place.bucket, &object.key);
        let is_here = known.taken.get(&id) == Some(&object.etag);
        let is_unfit = object.bytes == 0 || object.bytes > u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX);
        let is_erased = erased(&id).is_some_and(|until| object.modified_unix_ms <= until);
        if is_here {
            plan.here = plan.here.saturating_add(1);
        } else if is_unfit || is_erased || known.refused.contains(&(object.key.clone(), object.etag.clone())) {
            plan.skipped = plan.skipped.saturating_add(1);
        } else if known.is_kept(&id, &Wish::Replace(object.etag.clone())) {
            plan.skipped = plan.skipped.saturating_add(1);
            plan.kept.insert(id.clone());
        } else {
            wanted.push(object.clone());
        }
        listed_ids.insert(id);
    }
    for id in known.taken.keys().filter(|id| !listed_ids.contains(*id)) {
        if known.is_kept(id, &Wish::Remove) {
            plan.kept.insert(id.clone());
        } else {
            plan.gone.push(id.clone());
        }
    }
    plan.fetch = portions(wanted);
    plan
}

/// As many objects as one request takes in: a count and a size, the last one not counted.
fn portions(objects: Vec<Object>) -> Vec<Vec<Object>> {
    let mut portions: Vec<Vec<Object>> = Vec::new();
    let mut bytes = u64::MAX;
    for object in objects {
        if let Some(last) =
            portions.last_mut().filter(|last| last.len() < BUCKET_BATCH_MAX && bytes < BUCKET_BATCH_BYTES)
        {
            bytes = bytes.saturating_add(object.bytes);
            last.push(object);
        } else {
            bytes = object.bytes;
            portions.push(vec![object]);
        }
    }
    portions
}

/// What a document says of its object, where it is one of this place.
#[must_use]
pub fn taken(place: &BucketPlace, document: TakenIn) -> Option<(String, String)> {
    let metadata: Value = serde_json::from_str(&document.metadata_json).ok()?;
    let of = |name: &str| metadata.get(METADATA)?.get(name)?.as_str();
    let (bucket, key, etag) = (of("bucket")?, of("key")?, of("etag")?);
    let is_of_this_place = bucket == place.bucket && place.holds(key) && document.id == document_id(bucket, key);
    is_of_this_place.then(|| (document.id, etag.to_owned()))
}

/// An object as a document. Where it comes from is its address: the guard judges it by its host.
#[must_use]
pub fn document(place: &BucketPlace, address: &Url, object: &Object, content: Bytes) -> NewDocument {
    let name = object.key.rsplit('/').next().unwrap_or(&object.key).to_owned();
    let mut source = address.clone();
    if let Ok(mut path) = source.path_segments_mut() {
        path.pop_if_empty().extend(object.key.split('/'));
    }
    NewDocument {
        id: Some(document_id(&place.bucket, &object.key)),
        title: None,
        content: Content::File { name, bytes: content },
        source: Some(source.into()),
        domain: None,
        usecase: None,
        region: None,
        signature: None,
        metadata: Some(json!({METADATA: {"bucket": place.bucket, "key": object.key, "etag": object.etag}})),
    }
}

/// What a listing comes to: the same digest, the same objects.
#[must_use]
pub fn digest(place: &BucketPlace, listed: &Listing) -> [u8; 32] {
    let mut text = place.written();
    for object in &listed.objects {
        text.push_str(&format!("\n{}\0{}\0{}", object.key, object.etag, object.bytes));
    }
    listed.unreadable.iter().for_each(|key| text.push_str(&format!("\n\0{key}")));
    sha256(text.as_bytes())
}

/// What is told of objects that cannot be read.
#[must_use]
pub fn left_out(place: &BucketPlace, listed: &Listing) -> Option<String> {
    let first = listed.unreadable.first()?;
    Some(format!(
        "reading {}: {} objects are left out, such as {first:?}: a part of their key, between two slashes, is empty or cannot be \
         read; give them other names",
        place.written(),
        listed.unreadable.len()
    ))
}

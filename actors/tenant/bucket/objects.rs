//! Buckets as the operator declares them, and the seam to whatever holds their objects.
use crate::egress::Transfer;
use bailiwick_policy::sovereignty::{InTransit, Region};
use bytes::Bytes;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What a bucket is asked for, on its way.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, BucketError>> + Send + 'a>>;

/// One object as a listing shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Its name in the bucket.
    pub key: String,
    /// What its content is told apart by.
    pub etag: String,
    /// Bytes.
    pub bytes: u64,
    /// When it was written.
    pub modified_unix_ms: u64,
}

/// What lies in a bucket.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listing {
    /// Objects that can be read.
    pub objects: Vec<Object>,
    /// Keys of objects that cannot be: a part of them, between two slashes, is empty, `.` or `..`, or has control characters.
    pub unreadable: Vec<String>,
}

/// Why a bucket gave nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BucketError {
    /// The object is another one since it was listed, or gone.
    #[error("the object has changed since it was listed")]
    Changed,
    /// More objects than a bucket may have.
    #[error("the bucket has more than {0} objects below that folder; name a smaller one in tenant.yaml")]
    TooMany(usize),
    /// More objects that cannot be read than are left out.
    #[error(
        "the bucket has more than {most} objects whose key has an empty part, such as {key:?}; give them other names"
    )]
    Unreadable {
        /// As many are left out.
        most: usize,
        /// One of them.
        key: String,
    },
    /// Anything else, as whoever holds it says it.
    #[error("{0}")]
    Failed(String),
}

/// A bucket, reached.
pub trait Objects: Send + Sync + fmt::Debug {
    /// Every object below a folder, empty for all of them.
    fn list<'a>(&'a self, prefix: &'a str) -> Pending<'a, Listing>;
    /// The content of an object as it was listed.
    fn fetch<'a>(&'a self, object: &'a Object) -> Pending<'a, Bytes>;
}

/// One bucket of `config.toml`.
#[derive(Debug)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub region: Region,
    /// The one tenant that may name it.
    pub tenant: String,
    /// Time between two looks.
    pub every: Duration,
    /// Address of what lies in it, ending in a slash: documents say so where they come from.
    pub address: Url,
    /// It, over TLS 1.2 or newer …
    pub under_tls12: Arc<dyn Objects>,
    /// … and over TLS 1.3.
    pub under_tls13: Arc<dyn Objects>,
}

impl Bucket {
    /// Its objects, for a transfer from where it is; `None` for one from anywhere else.
    #[must_use]
    pub fn reach(&self, transfer: &Transfer) -> Option<Arc<dyn Objects>> {
        let objects = match transfer.cleared().in_transit() {
            InTransit::Tls12 => &self.under_tls12,
            InTransit::Tls13 => &self.under_tls13,
        };
        (*transfer.cleared().region() == self.region).then(|| Arc::clone(objects))
    }
}

/// All buckets of the node.
#[derive(Clone, Debug, Default)]
pub struct Buckets(Arc<Vec<Arc<Bucket>>>);

impl Buckets {
    /// These.
    #[must_use]
    pub fn new(buckets: Vec<Bucket>) -> Self {
        Self(Arc::new(buckets.into_iter().map(Arc::new).collect()))
    }

    /// Those one tenant may name.
    #[must_use]
    pub fn of(&self, tenant: &str) -> TenantBuckets {
        TenantBuckets(self.0.iter().filter(|bucket| bucket.tenant == tenant).cloned().collect())
    }
}

/// The buckets one tenant may name. There is no way from here to another's.
#[derive(Clone, Debug, Default)]
pub struct TenantBuckets(Vec<Arc<Bucket>>);

impl TenantBuckets {
    /// The bucket of this name; `None` where none is declared for the tenant.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Bucket>> {
        self.0.iter().find(|bucket| bucket.name == name)
    }
}

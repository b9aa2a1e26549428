//! What a tenant says about stores outside the node (specification 2.3): where its documents lie, where its answers are
//! remembered, where its passages' vectors are searched. Who holds the credentials and where such a store is, the operator says; here are names alone.
use crate::compile::TENANT;
use crate::findings::{Findings, Source};
use crate::parse::FileError;
use crate::places::Places;
use crate::schema::TenantFile;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bytes of the part of a bucket's name space a tenant may name.
const PREFIX_BYTES_MAX: usize = 512;
/// Lengths of the name in a cache's prefix.
const CACHE_NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=64;
/// Lengths of the name of an index's namespace.
const NAMESPACE_CHARS: std::ops::RangeInclusive<usize> = 1..=64;
/// How a namespace begins: which kind of store it is in.
const NAMESPACE_KIND: &str = "qdrant::";
/// Lengths of a bucket's name (S3's own rules).
const BUCKET_CHARS: std::ops::RangeInclusive<usize> = 3..=63;

/// `storage` of `tenant.yaml`: stores outside the node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrievalStorage {
    /// Where the tenant's documents lie: `s3://BUCKET` or `s3://BUCKET/PREFIX`. What lies there is taken in, and taken out when
    /// it is gone. The bucket stands in `config.toml` for this tenant, with its region and its credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corpus_bucket: Option<String>,
    /// Under which names its answers are remembered in the node's shared cache: `redis:NAME:`, this tenant's alone. The cache stands
    /// in `config.toml`; which answers, and how long, is said by `cache.exact` of `router.yaml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_prefix: Option<String>,
    /// In which collection its passages' vectors are searched: `qdrant::NAME`, this tenant's alone, where `retrieval.yaml` has
    /// passages found by their meaning (`settings.dense`). The store stands in `config.toml` for this tenant, with its region and
    /// its key; the collection is made, filled and deleted by the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_namespace: Option<String>,
}

/// A place in a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketPlace {
    /// The bucket's name.
    pub bucket: String,
    /// The folder in it, without a slash at its ends; empty for all of it.
    pub prefix: String,
}

impl BucketPlace {
    /// Reads `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest =
            text.strip_prefix("s3://").ok_or_else(|| format!("{text:?} is no bucket: write s3://BUCKET/PREFIX"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some(problem) = bucket_problem(bucket) {
            return Err(problem);
        }
        let prefix = prefix.trim_end_matches('/');
        let is_plain =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.chars().any(char::is_control);
        if prefix.len() > PREFIX_BYTES_MAX || (!prefix.is_empty() && !prefix.split('/').all(is_plain)) {
            return Err(format!(
                "{prefix:?} is no folder of a bucket: write names with single slashes between them, {PREFIX_BYTES_MAX} bytes at most"
            ));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// As it is written.
    #[must_use]
    pub fn written(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.bucket, self.prefix)
    }

    /// Whether an object of the bucket lies here.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        self.prefix.is_empty() || key.strip_prefix(self.prefix.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// What is wrong with a text as the name of a bucket; `None` where it is one. It becomes part of an address.
#[must_use]
pub fn bucket_problem(bucket: &str) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well =
        [bucket.bytes().next(), bucket.bytes().next_back()].into_iter().all(|end| end.is_some_and(is_letter));
    let fits = BUCKET_CHARS.contains(&bucket.len())
        && ends_well
        && bucket.bytes().all(|byte| is_letter(byte) || byte == b'-' || byte == b'.')
        && !bucket.contains("..");
    (!fits).then(|| {
        format!("{bucket:?} is no name of a bucket: write 3 to 63 lower-case letters, digits, hyphens and dots, a letter or digit at both ends")
    })
}

/// What is wrong with a text as the beginning of a tenant's names in a shared cache; `None` where it is one.
fn prefix_problem(prefix: &str) -> Option<String> {
    let name = prefix.strip_prefix("redis:").and_then(|rest| rest.strip_suffix(':'));
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = name.is_some_and(|name| CACHE_NAME_CHARS.contains(&name.len()) && name.bytes().all(is_letter));
    (!fits).then(|| {
        format!(
            "{prefix:?} is no prefix: write redis:NAME: with 1 to 64 lower-case letters, digits and hyphens as its name"
        )
    })
}

/// What is wrong with a text as the name of a namespace, without its kind; `None` where it is one. It becomes part of an address.
#[must_use]
pub fn namespace_problem(name: &str) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = NAMESPACE_CHARS.contains(&name.len()) && name.bytes().all(is_letter);
    (!fits).then(|| format!("{name:?} is no name of a namespace: write 1 to 64 lower-case letters, digits and hyphens"))
}

/// The name in a namespace as a tenant writes it.
fn namespace_name(written: &str) -> Result<&str, String> {
    let name = written.strip_prefix(NAMESPACE_KIND);
    let name = name.ok_or_else(|| format!("{written:?} is no namespace: write {NAMESPACE_KIND}NAME"))?;
    namespace_problem(name).map_or(Ok(name), Err)
}

/// A namespace as a tenant writes it.
#[must_use]
pub fn namespace_written(name: &str) -> String {
    format!("{NAMESPACE_KIND}{name}")
}

pub(crate) fn check(source: &Source<TenantFile>, findings: &mut Findings) {
    let Some(RetrievalStorage { corpus_bucket, cache_prefix, index_namespace }) = &source.value.storage else { return };
    if let Some(Err(problem)) = index_namespace.as_deref().map(namespace_name) {
        findings.refuse(source, "storage.index_namespace", problem);
    }
    if let Some(problem) = cache_prefix.as_deref().and_then(prefix_problem) {
        findings.refuse(source, "storage.cache_prefix", problem);
    }
    if let Some(Err(problem)) = corpus_bucket.as_deref().map(BucketPlace::parse) {
        findings.refuse(source, "storage.corpus_bucket", problem);
    }
}

/// What is wrong with a tenant whose prefix another one has, with the place in its file.
#[must_use]
pub fn prefix_taken(text: &str) -> FileError {
    let problem = "another tenant of this node has this prefix: write one of its own, such as redis:<tenant>:";
    Places::of(text).error(TENANT, "storage.cache_prefix", problem)
}

/// What is wrong with a tenant whose namespace another one has, with the place in its file.
#[must_use]
pub fn namespace_taken(text: &str) -> FileError {
    let problem = "another tenant of this node has this namespace: write one of its own, such as qdrant::<tenant>";
    Places::of(text).error(TENANT, "storage.index_namespace", problem)
}

impl TenantFile {
    /// The name of the namespace its vectors are searched in outside the node, where it says so.
    #[must_use]
    pub fn index_namespace(&self) -> Option<&str> {
        namespace_name(self.storage.as_ref()?.index_namespace.as_deref()?).ok()
    }

    /// Under which names its answers are remembered outside the node, where it says so.
    #[must_use]
    pub fn cache_prefix(&self) -> Option<&str> {
        self.storage.as_ref()?.cache_prefix.as_deref()
    }

    /// Where its documents lie outside the node, where it says so.
    #[must_use]
    pub fn corpus_bucket(&self) -> Option<BucketPlace> {
        let written = self.storage.as_ref()?.corpus_bucket.as_deref()?;
        BucketPlace::parse(written).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_bucket_is_read_and_written() {
        for (text, bucket, prefix) in [
            ("s3://tenant-acme", "tenant-acme", ""),
            ("s3://tenant-acme/", "tenant-acme", ""),
            ("s3://tenant-acme/corpus/", "tenant-acme", "corpus"),
            ("s3://tenant.acme/a/b c", "tenant.acme", "a/b c"),
        ] {
            let place = BucketPlace::parse(text).unwrap();
            assert_eq!((place.bucket.as_str(), place.prefix.as_str()), (bucket, prefix));
            assert_eq!(BucketPlace::parse(&place.written()), Ok(place));
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "tenant-acme",
            "https://tenant-acme",
            "s3://",
            "s3://ab",
            "s3://Acme",
            "s3://-acme",
            "s3://acme-",
            "s3://a..b",
            "s3://acme@evil.example/x",
            "s3://acme?x",
            "s3://acme/../other",
            "s3://acme/a//b",
            "s3://acme/./x",
            "s3://acme/a\nb",
        ] {
            assert!(BucketPlace::parse(text).is_err(), "{text}");
        }
        assert!(BucketPlace::parse(&format!("s3://acme/{}", "x".repeat(PREFIX_BYTES_MAX + 1))).is_err());
    }

    #[test]
    fn a_prefix_is_one_name_between_colons() {
        for sound in ["redis:tenant-acme:", "redis:1:"] {
            assert_eq!(prefix_problem(sound), None, "{sound}");
        }
        for text in
            ["", "redis:", "redis::", "tenant-acme:", "redis:tenant-acme", "redis:a:b:", "redis:Acme:", "redis:a*:"]
        {
            assert!(prefix_problem(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_namespace_is_one_name_behind_its_kind() {
        for (sound, name) in [("qdrant::tenant-acme", "tenant-acme"), ("qdrant::1", "1")] {
            assert_eq!(namespace_name(sound), Ok(name));
            assert_eq!(namespace_written(name), sound);
        }
        let long = format!("qdrant::{}", "a".repeat(65));
        for text in [
            "",
            "qdrant::",
            "tenant-acme",
            "qdrant:tenant-acme",
            "pinecone::tenant-acme",
            "qdrant::Acme",
            "qdrant::a/b",
            "qdrant::a b",
            "qdrant::..",
            "qdrant::a::b",
            long.as_str(),
        ] {
            assert!(namespace_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_folder_holds_what_is_below_it_and_no_namesake() {
        let place = BucketPlace::parse("s3://acme/corpus").unwrap();
        assert!(place.holds("corpus/a.md") && place.holds("corpus/b/c.md"));
        assert!(!place.holds("corpus2/a.md") && !place.holds("corpus") && !place.holds("a.md"));
        assert!(BucketPlace::parse("s3://acme").unwrap().holds("a.md"));
    }
}

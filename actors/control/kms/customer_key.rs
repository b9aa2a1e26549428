//! A key that belongs to a tenant's owner, as `kms_key_id` of `data-sovereignty.yaml` names it. Pure.
use bailiwick_kernel::limits::NAME_CHARS_MAX;

/// The kind of AWS KMS, in config.toml and in keyrings.
pub const AWS_KMS: &str = "aws-kms";
/// The kind of Vault's transit engine.
pub const VAULT_TRANSIT: &str = "vault-transit";

/// A key at a key service outside this node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CustomerKey {
    /// The kind of service.
    pub kind: &'static str,
    /// The region it is in.
    pub region: String,
    /// The whole name, as the tenant has written it.
    pub id: String,
    /// What the service itself calls the key.
    pub name: String,
}

impl CustomerKey {
    /// Reads `arn:aws:kms:REGION:ACCOUNT:key/ID` (any partition of AWS) or `vault:REGION:MOUNT/KEY`.
    ///
    /// # Errors
    /// What is wrong with it as one of these.
    pub fn parse(id: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "kms_key_id {id:?} names no key this build can ask for: write arn:aws:kms:REGION:ACCOUNT:key/ID or vault:REGION:MOUNT/KEY"
            )
        };
        if id.chars().count() > NAME_CHARS_MAX || !id.chars().all(|sign| sign.is_ascii_graphic()) {
            return Err(form());
        }
        let parts: Vec<&str> = id.splitn(6, ':').collect();
        let (kind, region, name) = match parts.as_slice() {
            ["arn", _partition, "kms", region, _account, resource]
                if resource.starts_with("key/") || resource.starts_with("alias/") =>
            {
                (AWS_KMS, *region, id)
            }
            ["vault", region, path] if is_path(path) => (VAULT_TRANSIT, *region, *path),
            _ => return Err(form()),
        };
        if region.is_empty() {
            return Err(form());
        }
        Ok(Self { kind, region: region.to_owned(), id: id.to_owned(), name: name.to_owned() })
    }
}

/// A mount and a key below it, in the letters Vault takes: nothing that would lead elsewhere in a URL.
fn is_path(path: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty() && part.chars().all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_'))
    };
    path.split_once('/').is_some_and(|(mount, key)| is_name(mount) && is_name(key))
}

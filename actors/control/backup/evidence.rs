//! What can be shown of a tenant's backups: the newest one, and the last that was put back. Blocks.
use super::Backups;
use super::errors::BackupError;
use super::target::Target;
use bailiwick_kernel::ids::TenantKey;

/// One of a tenant's backups, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Which.
    pub backup: String,
    /// When it was made, or put back.
    pub at_unix_ms: u64,
}

/// What can be shown of a tenant's backups.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
    /// The newest one that holds the tenant.
    pub made: Option<Shown>,
    /// The last one that was put back with the tenant in it.
    pub tried: Option<Shown>,
}

fn later(one: Option<Shown>, other: Shown) -> Option<Shown> {
    match one {
        Some(one) if one.at_unix_ms >= other.at_unix_ms => Some(one),
        _ => Some(other),
    }
}

impl Backups {
    /// What the targets this node has backed up to show of a tenant. One that cannot be reached shows nothing.
    ///
    /// # Errors
    /// [`BackupError`] where the list of targets cannot be read.
    pub fn evidence(&self, tenant: TenantKey) -> Result<Evidence, BackupError> {
        let tenant = tenant.to_hex();
        let mut evidence = Evidence::default();
        for folder in self.known.list()?.into_keys() {
            let target = Target::reading(&folder, self.keys.backup_cipher()?);
            let numbers = target.points().unwrap_or_default();
            let holds = |number: &u64| {
                let point = target.point(*number).ok()?;
                point.parts.iter().any(|part| part.tenant == tenant).then_some(point)
            };
            if let Some(point) = numbers.iter().rev().find_map(holds) {
                let backup = format!("point {}", point.number);
                evidence.made = later(evidence.made, Shown { backup, at_unix_ms: point.at_unix_ms });
            }
            let tried = target.tried().unwrap_or_default().filter(|tried| tried.tenants.contains(&tenant));
            if let Some(tried) = tried {
                let backup = format!("point {}", tried.point);
                evidence.tried = later(evidence.tried, Shown { backup, at_unix_ms: tried.at_unix_ms });
            }
        }
        Ok(evidence)
    }
}

//! Bytes of documents, kept and reserved, for a tenant and its domains and use cases.
//!
//! A document is counted before any work is done for it: its request reserves what it would add, at every level or at
//! none, and what is kept together with all that is reserved is never above a ceiling. A reservation becomes what is
//! kept when the document is durable; in every other case it is given back.
use crate::entry::DocumentAccepted;
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{LevelLimit, Quotas, bytes_of_gb, names};
use std::collections::BTreeMap;

/// Whose bytes are counted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Holder {
    Tenant,
    Domain(String),
    Usecase(String),
}

/// What a document counts for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Footprint {
    /// Bytes of the original.
    pub bytes: u64,
    /// Its domain.
    pub domain: String,
    /// Its use case.
    pub usecase: String,
}

impl From<&DocumentAccepted> for Footprint {
    fn from(accepted: &DocumentAccepted) -> Self {
        Self { bytes: accepted.bytes, domain: accepted.domain.clone(), usecase: accepted.usecase.clone() }
    }
}

impl Footprint {
    fn holders(&self) -> [Holder; 3] {
        [Holder::Tenant, Holder::Domain(self.domain.clone()), Holder::Usecase(self.usecase.clone())]
    }
}

/// The most bytes each may keep.
#[derive(Clone, PartialEq, Debug)]
pub struct Ceilings {
    tenant_bytes: u64,
    limits: Vec<LevelLimit>,
}

impl Ceilings {
    /// The ceilings of a tenant's quotas.
    #[must_use]
    pub fn of(quotas: &Quotas) -> Self {
        let limits = quotas.limits.iter().filter(|limit| limit.max_storage_gb.is_some()).cloned().collect();
        Self { tenant_bytes: bytes_of_gb(quotas.max_storage_gb), limits }
    }

    /// True where domains or use cases have ceilings of their own.
    #[must_use]
    pub fn reach_below_the_tenant(&self) -> bool {
        !self.limits.is_empty()
    }

    fn of_holder(&self, holder: &Holder) -> Option<u64> {
        let (level, name) = match holder {
            Holder::Tenant => return Some(self.tenant_bytes),
            Holder::Domain(name) => (Level::Domain, name),
            Holder::Usecase(name) => (Level::Usecase, name),
        };
        let here = self.limits.iter().filter(|limit| limit.level == level && names(&limit.name, name));
        here.filter_map(|limit| limit.max_storage_gb).map(bytes_of_gb).min()
    }
}

/// What one request has reserved, and what its documents come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[must_use = "what is claimed is given back with it"]
pub struct Claim {
    claimed: BTreeMap<Holder, u64>,
    /// Bytes added less bytes freed by the documents counted so far.
    net: BTreeMap<Holder, i128>,
}

impl Claim {
    /// Counts the documents anew, with everything reserved so far still in hand.
    pub fn recount(&mut self) {
        self.net.clear();
    }
}

/// Bytes kept and reserved.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Storage {
    kept: BTreeMap<Holder, u64>,
    reserved: BTreeMap<Holder, u64>,
    /// True once the levels' sums are counted; before that only the tenant's is kept.
    counts_levels: bool,
}

impl Storage {
    /// The storage of a tenant that keeps so many bytes, its levels not counted yet.
    #[must_use]
    pub fn of_tenant(bytes: u64) -> Self {
        Self { kept: [(Holder::Tenant, bytes)].into(), ..Self::default() }
    }

    /// True once the levels' sums are counted.
    #[must_use]
    pub fn counts_levels(&self) -> bool {
        self.counts_levels
    }

    /// Counts the levels' sums from every document there is.
    pub fn count_levels(&mut self, documents: impl Iterator<Item = Footprint>) {
        self.kept.clear();
        self.counts_levels = true;
        documents.for_each(|document| self.keep(&document));
    }

    /// A document is kept.
    pub fn keep(&mut self, document: &Footprint) {
        self.change(document, u64::saturating_add);
    }

    /// A document is gone.
    pub fn free(&mut self, document: &Footprint) {
        self.change(document, u64::saturating_sub);
    }

    fn change(&mut self, document: &Footprint, change: impl Fn(u64, u64) -> u64) {
        for holder in document.holders() {
            if self.counts_levels || holder == Holder::Tenant {
                let kept = self.kept.entry(holder).or_default();
                *kept = change(*kept, document.bytes);
            }
        }
        self.kept.retain(|_holder, bytes| *bytes > 0);
    }

    /// Reserves what a document adds, at every level or at none. A version that is not larger than the one whose place
    /// it takes always fits.
    ///
    /// # Errors
    /// `quota_exceeded`, with the numbers of the level that has no room.
    pub fn reserve(
        &mut self,
        claim: &mut Claim,
        former: Option<&Footprint>,
        document: &Footprint,
        ceilings: &Ceilings,
    ) -> Result<(), Rejection> {
        let mut net = claim.net.clone();
        let mut add = |footprint: &Footprint, sign: i128| {
            for holder in footprint.holders() {
                let sum = net.entry(holder).or_default();
                *sum = sum.saturating_add(sign.saturating_mul(footprint.bytes.into()));
            }
        };
        add(document, 1);
        if let Some(former) = former {
            add(former, -1);
        }
        for holder in document.holders() {
            let (before, after) = (sum_of(&claim.net, &holder), sum_of(&net, &holder));
            let Some(ceiling) = ceilings.of_holder(&holder).filter(|_| after > before && after > 0) else { continue };
            let others = sum(&self.reserved, &holder).saturating_sub(sum(&claim.claimed, &holder));
            let would_be = sum(&self.kept, &holder).saturating_add(others).saturating_add(positive(after));
            if would_be > ceiling {
                return Err(no_room(&holder, would_be, ceiling));
            }
        }
        claim.net = net;
        self.claim_at_least(claim);
        Ok(())
    }

    /// A part of a request counts as kept: what is reserved for the request shrinks by what that part added, so that both
    /// together stay what they were. To be called after [`Storage::keep`] and [`Storage::free`], in the same step.
    pub fn redeem(&mut self, claim: &mut Claim, added: &[Footprint], freed: &[Footprint]) {
        let mut net: BTreeMap<Holder, i128> = BTreeMap::new();
        for (footprint, sign) in added.iter().map(|one| (one, 1)).chain(freed.iter().map(|one| (one, -1))) {
            for holder in footprint.holders() {
                let sum = net.entry(holder).or_default();
                *sum = sum.saturating_add(i128::from(footprint.bytes).saturating_mul(sign));
            }
        }
        for (holder, claimed) in &mut claim.claimed {
            let left = positive(i128::from(*claimed).saturating_sub(sum_of(&net, holder)));
            let reserved = self.reserved.entry(holder.clone()).or_default();
            *reserved = reserved.saturating_sub(*claimed).saturating_add(left);
            *claimed = left;
        }
        self.reserved.retain(|_holder, bytes| *bytes > 0);
    }

    /// Gives back all that is reserved.
    pub fn release(&mut self, claim: &mut Claim) {
        for (holder, bytes) in std::mem::take(&mut claim.claimed) {
            let reserved = self.reserved.entry(holder).or_default();
            *reserved = reserved.saturating_sub(bytes);
        }
        self.reserved.retain(|_holder, bytes| *bytes > 0);
    }

    /// Bytes reserved for documents that are not kept yet.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        sum(&self.reserved, &Holder::Tenant)
    }

    fn claim_at_least(&mut self, claim: &mut Claim) {
        for (holder, net) in &claim.net {
            let (wanted, has) = (positive(*net), sum(&claim.claimed, holder));
            if wanted > has {
                let reserved = self.reserved.entry(holder.clone()).or_default();
                *reserved = reserved.saturating_add(wanted.saturating_sub(has));
                claim.claimed.insert(holder.clone(), wanted);
            }
        }
    }
}

fn sum(of: &BTreeMap<Holder, u64>, holder: &Holder) -> u64 {
    of.get(holder).copied().unwrap_or(0)
}

fn sum_of(of: &BTreeMap<Holder, i128>, holder: &Holder) -> i128 {
    of.get(holder).copied().unwrap_or(0)
}

fn positive(net: i128) -> u64 {
    u64::try_from(net.max(0)).unwrap_or(u64::MAX)
}

fn no_room(holder: &Holder, would_be: u64, ceiling: u64) -> Rejection {
    let whose = match holder {
        Holder::Tenant => "the storage quota".to_owned(),
        Holder::Domain(name) => format!("the storage quota of domain {name:?}"),
        Holder::Usecase(name) => format!("the storage quota of use case {name:?}"),
    };
    let detail = format!(
        "taking a document: {would_be} bytes, those of uploads under way included, would be more than the {ceiling} of {whose}; remove documents or raise the quota"
    );
    Rejection::new(Code::QuotaExceeded, detail)
}

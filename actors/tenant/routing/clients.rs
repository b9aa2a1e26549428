//! The clients of all providers: made once for the process from the catalogue, shared by every tenant's routing room.
use super::pace::Pace;
use super::providers::{ALL, Provider, ProviderError};
use crate::catalog::{Catalog, EXTRACTIVE, LOCAL_EMBEDDINGS, ProviderEntry};
use crate::egress::{Egress, Transfer};
use crate::tiers::{Tiers, weight};
use bailiwick_kernel::fair::{FairPool, Lane, Limits};
use bailiwick_kernel::ids::TenantKey;
use bailiwick_kernel::limits::{MAILBOX_MAX, TENANTS_MAX};
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::schema::{Plan, Sovereignty};
use bailiwick_policy::sovereignty::{Cleared, InTransit, Region};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// What a call is reckoned to take before anything is known about a tenant's, in nanoseconds: over the network, and on
/// this machine.
const CALL_NS: u64 = 1_000_000_000;
const EMBEDDED_CALL_NS: u64 = 5_000_000;

/// One provider, ready to be called.
pub struct Client {
    under_tls12: Arc<dyn Provider>,
    under_tls13: Arc<dyn Provider>,
    /// A place for each call in flight, shared by all tenants.
    pub places: FairPool,
    /// How fast it may be called, over all tenants.
    pub pace: Pace,
    /// Its entry in the catalogue.
    pub entry: Arc<ProviderEntry>,
}

impl Client {
    /// Whether a turn's text may be sent there, by the policy it was admitted under and by the one in force now.
    ///
    /// # Errors
    /// `sovereignty_violation`.
    pub fn may_take(&self, egress: &Egress, admitted_under: &Sovereignty) -> Outcome<Cleared> {
        let cleared = egress.may_send(admitted_under, &self.entry.region)?;
        self.encrypts()?;
        Ok(cleared)
    }

    /// Begins a transfer of a turn's text.
    ///
    /// # Errors
    /// As [`Client::may_take`].
    pub fn depart(&self, egress: &Arc<Egress>, admitted_under: &Sovereignty) -> Outcome<Transfer> {
        self.encrypts()?;
        egress.depart(admitted_under, &self.entry.region)
    }

    /// The provider itself, for a transfer to where it runs; `None` for one to anywhere else.
    #[must_use]
    pub fn reach(&self, transfer: &Transfer) -> Option<&dyn Provider> {
        let cleared = transfer.cleared();
        let provider = match cleared.in_transit() {
            InTransit::Tls12 => &self.under_tls12,
            InTransit::Tls13 => &self.under_tls13,
        };
        (cleared.region().as_str() == self.entry.region).then_some(provider.as_ref())
    }

    /// Every tenant asks for TLS on the way (`encryption.in_transit`).
    fn encrypts(&self) -> Outcome<()> {
        if !self.entry.is_in_the_clear() {
            return Ok(());
        }
        let detail = format!(
            "calling a model: provider {} is reached without TLS and not on this machine, and data-sovereignty.yaml asks for \
             encryption in transit; ask the operator to give it an https base_url in config.toml",
            self.entry.name
        );
        Err(Rejection::new(Code::SovereigntyViolation, detail))
    }
}

/// All providers by name.
#[derive(Default)]
pub struct Clients(BTreeMap<String, Client>);

impl Clients {
    /// Opens a client for every entry of the catalogue, and the embedded provider of this node where the catalogue leaves it
    /// out.
    ///
    /// # Errors
    /// The entry that cannot be opened and why: an unknown kind, a base URL that is none, an unusable key.
    pub fn open(catalog: &Catalog, node: &Region) -> Result<Self, ProviderError> {
        let mut clients = BTreeMap::new();
        for (name, entry) in &catalog.providers {
            clients.insert(name.clone(), open_one(entry)?);
        }
        if !clients.contains_key(EXTRACTIVE) && ALL.iter().any(|(kind, _)| *kind == EXTRACTIVE) {
            clients.insert(EXTRACTIVE.to_owned(), open_one(&Arc::new(ProviderEntry::embedded(node)))?);
        }
        Ok(Self(clients))
    }

    /// The client of a provider, or `None` where there is none of that name.
    #[must_use]
    pub fn get(&self, provider: &str) -> Option<&Client> {
        self.0.get(provider)
    }

    /// One tenant's ways to the places of all providers.
    #[must_use]
    pub fn lanes(&self, tenant: TenantKey) -> ProviderLanes {
        let lanes = |client: &Client| Tiers::each(|plan| client.places.lane(tenant, weight(plan)));
        ProviderLanes(self.0.iter().map(|(name, client)| (name.clone(), lanes(client))).collect())
    }

    /// The places of all providers.
    pub fn fair(&self) -> impl Iterator<Item = &FairPool> {
        self.0.values().map(|client| &client.places)
    }

    /// Adds a provider that stands in no table.
    #[cfg(test)]
    pub(crate) fn with(mut self, entry: ProviderEntry, provider: Arc<dyn Provider>) -> Self {
        let pace = Pace::per_minute(entry.requests_per_minute);
        let (under_tls12, places) = (Arc::clone(&provider), places(&entry));
        let client = Client { under_tls12, under_tls13: provider, places, pace, entry: Arc::new(entry) };
        self.0.insert(client.entry.name.clone(), client);
        self
    }
}

/// One tenant's ways to the places of all providers, by name.
#[derive(Clone, Debug)]
pub struct ProviderLanes(BTreeMap<String, Tiers<Lane>>);

impl ProviderLanes {
    /// The way to a provider, or `None` where there is none of that name.
    #[must_use]
    pub fn get(&self, provider: &str, plan: Plan) -> Option<&Lane> {
        self.0.get(provider).map(|lanes| lanes.of(plan))
    }
}

/// The provider decides how many calls it takes, so that all plans share its places, by weight. What is shared is time
/// at the provider: a call costs as long as it keeps its place.
fn places(entry: &ProviderEntry) -> FairPool {
    let slots = NonZeroUsize::new(entry.concurrency).unwrap_or(NonZeroUsize::MIN);
    let is_on_this_machine = [EXTRACTIVE, LOCAL_EMBEDDINGS].contains(&entry.kind.as_str());
    let slice_cost = if is_on_this_machine { EMBEDDED_CALL_NS } else { CALL_NS };
    let limits = Limits { slots, crowds_give_way: false, queue_max: MAILBOX_MAX, lanes_max: TENANTS_MAX, slice_cost };
    FairPool::new(format!("provider {}", entry.name), limits)
}

fn open_one(entry: &Arc<ProviderEntry>) -> Result<Client, ProviderError> {
    let Some((_, open)) = ALL.iter().find(|(kind, _)| *kind == entry.kind) else {
        let known: Vec<&str> = ALL.iter().map(|(kind, _)| *kind).collect();
        return Err(ProviderError::Lasting(format!(
            "opening provider {}: kind {} is not one of {}; correct it in config.toml",
            entry.name,
            entry.kind,
            known.join(", ")
        )));
    };
    let pace = Pace::per_minute(entry.requests_per_minute);
    Ok(Client {
        under_tls12: open(entry, InTransit::Tls12)?,
        under_tls13: open(entry, InTransit::Tls13)?,
        places: places(entry),
        pace,
        entry: Arc::clone(entry),
    })
}

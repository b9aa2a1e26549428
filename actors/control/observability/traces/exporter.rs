//! The thread that sends: gathers what is over, has the borders decide, makes spans, and waits for the collector so that nobody
//! else has to.
use super::spans::{Anchor, Maker};
use super::{EXPORTED, Item, Setting, dropped};
use bailiwick_kernel::clock::SharedClock;
use bailiwick_kernel::ids::TenantKey;
use bailiwick_tenant::egress::Transfer;
use futures_util::future::select_all;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use secrecy::ExposeSecret;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};

/// Requests and turns of one batch, at most: some thousand spans, a megabyte.
const BATCH_MAX: usize = 256;

pub(super) struct Exporter {
    collector: SpanExporter,
    maker: Maker,
    region: String,
    timeout: Duration,
    every: Duration,
    is_down: bool,
}

impl Exporter {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// What keeps it from sending at all.
    pub(super) fn new(setting: Setting, clock: &SharedClock) -> Result<Self, String> {
        let Setting { endpoint, headers, region, node, service, timeout, every, .. } = setting;
        let http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            // a redirect could lead what is of a tenant to another region
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.without_url().to_string())?;
        let headers: HashMap<String, String> =
            headers.into_iter().map(|(name, value)| (name, value.expose_secret().to_owned())).collect();
        let mut collector = SpanExporter::builder()
            .with_http()
            .with_http_client(http)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.as_str())
            .with_timeout(timeout)
            .with_headers(headers)
            .build()
            .map_err(|error| error.to_string())?;
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", service),
            KeyValue::new("service.version", version),
            KeyValue::new("cloud.region", node.as_str().to_owned()),
        ]);
        collector.set_resource(&resource.build());
        let system = UNIX_EPOCH.checked_add(Duration::from_millis(clock.now_unix_ms())).unwrap_or(UNIX_EPOCH);
        let anchor = Anchor { instant: Instant::now(), system };
        let scope = InstrumentationScope::builder("bailiwick").with_version(version).build();
        let region = region.as_str().to_owned();
        Ok(Self { collector, maker: Maker { anchor, scope }, region, timeout, every, is_down: false })
    }

    /// Sends what comes until it is told to end, and then what still waits, for as long as the collector has.
    pub(super) async fn run(mut self, mut items: mpsc::Receiver<Item>, mut closing: oneshot::Receiver<()>) {
        let mut batch = Vec::new();
        loop {
            let is_open = tokio::select! {
                came = gather(&mut items, &mut batch, self.every) => came,
                _asked = &mut closing => false,
            };
            if !is_open {
                break;
            }
            self.send(std::mem::take(&mut batch)).await;
        }
        items.close();
        let until = tokio::time::Instant::now() + self.timeout;
        loop {
            let missing = BATCH_MAX.saturating_sub(batch.len());
            if missing > 0 && items.recv_many(&mut batch, missing).await == 0 && batch.is_empty() {
                return;
            }
            if tokio::time::Instant::now() >= until {
                break;
            }
            self.send(std::mem::take(&mut batch)).await;
        }
        while !batch.is_empty() || items.recv_many(&mut batch, BATCH_MAX).await > 0 {
            dropped(batch.drain(..).map(|item| item.spans()).sum(), "shutdown");
        }
    }

    async fn send(&mut self, items: Vec<Item>) {
        let (mut transfers, mut spans) = (BTreeMap::<TenantKey, Option<Transfer>>::new(), Vec::new());
        for item in items {
            let begin = || item.told.egress.trace(&self.region).ok();
            if transfers.entry(item.tenant()).or_insert_with(begin).is_some() {
                spans.extend(self.maker.spans(item));
            } else {
                dropped(item.spans(), "withheld");
            }
        }
        if spans.is_empty() {
            return;
        }
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let mut transfers: Vec<Transfer> = transfers.into_values().flatten().collect();
        let withdrawn = select_all(transfers.iter_mut().map(|transfer| Box::pin(transfer.withdrawn())));
        let delivered = tokio::select! {
            biased;
            _rules = withdrawn => None,
            sent = tokio::time::timeout(self.timeout, self.collector.export(spans)) => Some(matches!(sent, Ok(Ok(())))),
        };
        match delivered {
            Some(true) => metrics::counter!(EXPORTED).increment(count),
            Some(false) => dropped(count, "not_delivered"),
            None => dropped(count, "withheld"),
        }
        self.say_how_it_is(delivered.unwrap_or(true));
    }

    /// Said once when it changes: a collector that is down for a day is not a line a second.
    fn say_how_it_is(&mut self, is_up: bool) {
        if is_up && self.is_down {
            tracing::info!("the collector takes traces again");
        } else if !is_up && !self.is_down {
            tracing::warn!("the collector takes no traces; they are dropped and counted until it does");
        }
        self.is_down = !is_up;
    }
}

/// Waits for what comes, and a while longer for more. False where nothing comes any more.
async fn gather(items: &mut mpsc::Receiver<Item>, batch: &mut Vec<Item>, every: Duration) -> bool {
    if batch.is_empty() && items.recv_many(batch, BATCH_MAX).await == 0 {
        return false;
    }
    let more = async {
        while batch.len() < BATCH_MAX {
            let missing = BATCH_MAX.saturating_sub(batch.len());
            if items.recv_many(batch, missing).await == 0 {
                break;
            }
        }
    };
    let _long_enough = tokio::time::timeout(every, more).await;
    true
}

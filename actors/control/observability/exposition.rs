//! Figures as Prometheus reads them. Each tenant's are kept apart, in a registry of their own: what one tenant is shown cannot
//! have another one's in it. Bounded: a new tenant takes the place of one that was silent for an hour, or is counted as `other`.
use super::catalogue::{self, Kind, Metric, Scope};
use super::rules::{Amount, Figure};
use bailiwick_kernel::ids::TenantKey;
use hashbrown::HashMap as FastMap;
use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The label of tenants that have none of their own.
pub const OTHER: &str = "other";
/// A tenant of which nothing was heard for so long gives its place up.
const SILENT: Duration = Duration::from_secs(3_600);
/// How often a place is looked for where there was none.
const LOOK: Duration = Duration::from_secs(10);

const METADATA: Metadata<'static> = Metadata::new("bailiwick", Level::INFO, None);

/// What is said instead of figures where a tenant's are counted among others'.
const COUNTED_AMONG_OTHERS: &str =
    "# This node counts more tenants than it keeps apart; this tenant's figures are among others'.\n";

/// One series, found again without its name being put together anew.
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// The figures of one tenant, or of all that have no place of their own.
struct Told {
    recorder: PrometheusRecorder,
    /// By metric and value of its label.
    series: FastMap<(&'static str, &'static str), Series>,
}

struct Kept {
    told: Told,
    heard: Instant,
}

struct Apart {
    tenants: HashMap<TenantKey, Kept>,
    other: Option<Told>,
    looked: Option<Instant>,
}

/// The figures of the node and of its tenants.
pub struct Exposition {
    node: PrometheusHandle,
    tenants_max: usize,
    apart: Mutex<Apart>,
}

impl std::fmt::Debug for Exposition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exposition")
    }
}

/// A recorder that knows which metrics are histograms.
fn builder() -> PrometheusBuilder {
    let buckets = |builder: PrometheusBuilder, name: &str, values: &[f64]| {
        // refused only where there are no buckets, and builders are not given back then
        match builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), values) {
            Ok(builder) => builder,
            Err(_none) => PrometheusBuilder::new(),
        }
    };
    let builder = buckets(PrometheusBuilder::new(), catalogue::ANSWER, &catalogue::ANSWER_BUCKETS);
    let builder = buckets(builder, catalogue::OVERHEAD, &catalogue::OVERHEAD_BUCKETS);
    buckets(builder, catalogue::OVERHEAD_WHOLE, &catalogue::OVERHEAD_BUCKETS)
}

/// The recorder of what is counted for the node as a whole; to be installed for the process.
#[must_use]
pub fn node_recorder() -> PrometheusRecorder {
    let recorder = builder().build_recorder();
    prepare(&recorder, Scope::Node);
    recorder
}

/// Says what metrics mean, and has those begin at nothing whose labels are known.
fn prepare(recorder: &PrometheusRecorder, scope: Scope) {
    for metric in catalogue::of(scope) {
        let (name, help) = (metric.name.into(), metric.help.into());
        match metric.kind {
            Kind::Counter => recorder.describe_counter(name, None, help),
            Kind::Gauge => recorder.describe_gauge(name, None, help),
            Kind::Histogram => recorder.describe_histogram(name, None, help),
        }
        match metric.label {
            None => begin(recorder, metric, Vec::new()),
            Some(label) => {
                for value in metric.values {
                    let labels = std::iter::once((label, *value)).chain(metric.beside);
                    begin(recorder, metric, labels.map(|(key, value)| Label::from_static_parts(key, value)).collect());
                }
            }
        }
    }
}

fn begin(recorder: &PrometheusRecorder, metric: &Metric, labels: Vec<Label>) {
    let key = Key::from_parts(metric.name, labels);
    match metric.kind {
        Kind::Counter => recorder.register_counter(&key, &METADATA).increment(0),
        // a switch is off until it is on; any other gauge shows itself when it is set, a histogram with its first observation
        Kind::Gauge if metric.label.is_some() => recorder.register_gauge(&key, &METADATA).set(0.0),
        Kind::Histogram | Kind::Gauge => {}
    }
}

impl Told {
    fn new(label: String) -> Self {
        let recorder = builder().add_global_label("tenant", label).build_recorder();
        prepare(&recorder, Scope::Tenant);
        Self { recorder, series: FastMap::new() }
    }

    fn count(&mut self, figure: &Figure) {
        let value = figure.label.map_or("", |(_label, value)| value);
        let series = self.series.entry((figure.metric, value)).or_insert_with(|| Series::begun(&self.recorder, figure));
        match (series, figure.amount) {
            (Series::Counter(counter), Amount::Count(by)) => counter.increment(by),
            (Series::Histogram(histogram), Amount::Observe(value)) => histogram.record(value),
            (Series::Gauge(gauge), Amount::Stands(value)) => gauge.set(value),
            // a metric is counted in one way: the catalogue says in which
            (Series::Counter(_) | Series::Histogram(_) | Series::Gauge(_), _) => {}
        }
    }
}

impl Series {
    fn begun(recorder: &PrometheusRecorder, figure: &Figure) -> Self {
        let labels = figure.label.map(|(key, value)| Label::from_static_parts(key, value));
        let key = Key::from_parts(figure.metric, labels.into_iter().collect::<Vec<_>>());
        match figure.amount {
            Amount::Count(_) => Self::Counter(recorder.register_counter(&key, &METADATA)),
            Amount::Observe(_) => Self::Histogram(recorder.register_histogram(&key, &METADATA)),
            Amount::Stands(_) => Self::Gauge(recorder.register_gauge(&key, &METADATA)),
        }
    }
}

impl Apart {
    /// What renders the figures of each.
    fn handles(&self) -> Vec<PrometheusHandle> {
        let told = self.tenants.values().map(|kept| &kept.told).chain(&self.other);
        told.map(|told| told.recorder.handle()).collect()
    }

    /// Where a tenant's figures are counted: in its own place, or in that of all that have none.
    fn told(&mut self, tenant: TenantKey, tenants_max: usize, now: Instant) -> &mut Told {
        if !self.tenants.contains_key(&tenant) && self.has_room(tenants_max, now) {
            self.tenants.insert(tenant, Kept { told: Told::new(tenant.to_string()), heard: now });
        }
        match self.tenants.get_mut(&tenant) {
            Some(kept) => {
                kept.heard = now;
                &mut kept.told
            }
            None => self.other.get_or_insert_with(|| Told::new(OTHER.to_owned())),
        }
    }

    fn has_room(&mut self, tenants_max: usize, now: Instant) -> bool {
        if self.tenants.len() < tenants_max {
            return true;
        }
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK) {
            return false;
        }
        self.looked = Some(now);
        let silent = |(_, kept): &(&TenantKey, &Kept)| now.saturating_duration_since(kept.heard) >= SILENT;
        let oldest = self.tenants.iter().filter(silent).min_by_key(|(_, kept)| kept.heard).map(|(tenant, _)| *tenant);
        oldest.is_some_and(|oldest| self.tenants.remove(&oldest).is_some())
    }
}

impl Exposition {
    /// Nothing is counted yet. `node` renders what is counted for the node.
    #[must_use]
    pub fn new(node: PrometheusHandle, tenants_max: usize) -> Self {
        let apart = Apart { tenants: HashMap::new(), other: None, looked: None };
        Self { node, tenants_max, apart: Mutex::new(apart) }
    }

    /// Of a node whose own figures go nowhere, for rooms tried alone.
    #[must_use]
    pub fn uninstalled() -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self::new(node_recorder().handle(), 16))
    }

    fn apart(&self) -> MutexGuard<'_, Apart> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts figures of a tenant.
    pub fn count(&self, tenant: TenantKey, figures: &[Figure], now: Instant) {
        let mut apart = self.apart();
        let told = apart.told(tenant, self.tenants_max, now);
        figures.iter().for_each(|figure| told.count(figure));
    }

    /// All figures.
    #[must_use]
    pub fn render(&self) -> String {
        let (handles, known) = {
            let apart = self.apart();
            (apart.handles(), apart.tenants.len())
        };
        #[expect(clippy::cast_precision_loss, reason = "a number of tenants")]
        metrics::gauge!("bailiwick_metrics_tenants").set(known as f64);
        metrics::gauge!("bailiwick_up").set(1.0);
        merged(std::iter::once(self.node.render()).chain(handles.iter().map(PrometheusHandle::render)))
    }

    /// The figures of one tenant.
    #[must_use]
    pub fn render_of(&self, tenant: TenantKey) -> String {
        let handle = self.apart().tenants.get(&tenant).map(|kept| kept.told.recorder.handle());
        handle.map_or_else(|| COUNTED_AMONG_OTHERS.to_owned(), |handle| merged(std::iter::once(handle.render())))
    }

    /// Takes in what was observed: observations nobody asks for must not pile up.
    pub fn tidy(&self) {
        let handles = self.apart().handles();
        self.node.run_upkeep();
        handles.iter().for_each(PrometheusHandle::run_upkeep);
    }
}

/// One exposition of several: all series of a metric stand together, behind what is said of it once.
pub(super) fn merged(texts: impl Iterator<Item = String>) -> String {
    let mut families: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    let mut length = 0_usize;
    for text in texts {
        length = length.saturating_add(text.len());
        let mut family = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# ") {
                let name = rest.split(' ').nth(1).unwrap_or_default();
                if name != family {
                    name.clone_into(&mut family);
                }
                let (said, series) = families.entry(family.clone()).or_default();
                if series.is_empty() && !said.contains(line) {
                    let _written = writeln!(said, "{line}");
                }
            } else if let Some((_said, series)) = families.get_mut(&family) {
                series.push(line.to_owned());
            }
        }
    }
    let mut whole = String::with_capacity(length);
    for (said, series) in families.into_values() {
        whole.push_str(&said);
        for line in series {
            whole.push_str(&line);
            whole.push('\n');
        }
    }
    whole
}

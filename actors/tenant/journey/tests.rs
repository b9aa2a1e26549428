use super::walk::{Ending, Requested, Told, Walk, Walks};
use super::*;
use crate::egress::Egress;
use bailiwick_kernel::trace::TraceContext;
use bailiwick_policy::sovereignty::Region;

/// Keeps what it is told.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<(Told, Walk)>>);

impl Walks for Kept {
    fn walked(&self, of: Told, walk: Walk) {
        self.0.lock().unwrap().push((of, walk));
    }
}

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant() -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(1))
}

fn egress() -> Arc<Egress> {
    let sovereignty = crate::egress::fixtures::sovereignty(&["local"], &[]);
    let kept = crate::egress::clear_to_keep(&sovereignty, &Region::default()).unwrap();
    Egress::new(&kept, &sovereignty)
}

fn requested(kept: &Arc<Kept>, is_sampled: bool) -> Arc<Requested> {
    let context = TraceContext {
        trace: bailiwick_kernel::trace::TraceId::fresh(),
        span: SpanId::fresh(),
        is_sampled,
        state: None,
    };
    Arc::new(Requested::new(context, None, Arc::clone(kept) as Arc<dyn Walks>))
}

fn traced(request: &Arc<Requested>) -> Journey {
    let opened = Instant::now();
    let mut journey = Journey::begin(opened, Duration::from_millis(3));
    journey.trace(Arc::clone(request), opened, Who { tenant: tenant(), kind: "ask", policy_version: "1".into() });
    journey
}

#[test]
fn the_houses_own_time_is_what_providers_did_not_take() {
    let times = Times { us: [1_000, 2_000, 3_000, 4_000, 5_000, 90_000, 6_000], upstream_us: 70_000 };
    let own: Vec<_> = times.own().map(|(stage, own)| (stage, own.as_millis())).collect();
    let expected =
        [("gateway", 1), ("admission", 2), ("retrieval", 3), ("cache", 4), ("budget", 5), ("routing", 20), ("exit", 6)];
    assert_eq!(own, expected);
    assert_eq!(times.overhead(), Duration::from_millis(41));
    // a call that several turns' notes overlap never makes time negative
    assert_eq!(Times { upstream_us: u64::MAX, ..times }.overhead(), Duration::from_millis(21));
}

#[test]
fn a_journey_has_the_times_of_the_stages_it_passed() {
    let mut journey = Journey::begin(Instant::now(), Duration::from_millis(3));
    journey.moved_to(3);
    journey.moved_to(4);
    let times = journey.times(0);
    assert_eq!(times.us[0], 3_000);
    assert_eq!((times.us[3], times.us[4]), (0, 0), "the rooms it did not pass took nothing");
}

#[test]
fn a_traced_turn_tells_its_walk_once() {
    let kept = Arc::<Kept>::default();
    let request = requested(&kept, true);
    request.belongs_to(tenant(), &egress());
    let mut journey = traced(&request);
    journey.note_passages(2);
    journey.moved_to(1);
    journey.note_held(NanoUsd(7));
    journey.end(Ending::Answered);
    drop(journey);
    let told = kept.0.lock().unwrap();
    let [(of, walk)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&of.context, walk.ending), (&request.context, Ending::Answered));
    let stages: Vec<_> = walk.stages.iter().map(|(stage, ..)| *stage).collect();
    assert_eq!(stages, ["admission", "retrieval", "cache"]);
    assert!(walk.stages.windows(2).all(|two| two[0].2 == two[1].1), "each begins where the one before it ends");
    assert_eq!((walk.passages, walk.held, walk.settled), (Some(2), Some(NanoUsd(7)), None));
}

#[test]
fn a_turn_that_is_dropped_is_told_as_lost_and_an_unsampled_one_not_at_all() {
    let kept = Arc::<Kept>::default();
    for is_sampled in [true, false] {
        let request = requested(&kept, is_sampled);
        request.belongs_to(tenant(), &egress());
        drop(traced(&request));
    }
    let told = kept.0.lock().unwrap();
    assert_eq!(told.iter().map(|(_, walk)| walk.ending).collect::<Vec<_>>(), [Ending::Refused(Code::Lost)]);
}

#[test]
fn nothing_is_told_of_a_request_no_tenant_was_asked_for() {
    let kept = Arc::<Kept>::default();
    let request = requested(&kept, true);
    drop(traced(&request));
    assert!(kept.0.lock().unwrap().is_empty() && request.told().is_none());
}

//! The queue and the sampling of traces, without a collector. What is sent is taken apart by `tests/traces.rs`.
use super::*;
use bailiwick_kernel::clock::{ManualClock, SharedClock};

fn setting(share: f64, queue: usize) -> Setting {
    Setting {
        endpoint: Url::parse("http://127.0.0.1:9/v1/traces").unwrap(),
        headers: vec![("authorization".to_owned(), SecretString::from("Bearer hidden"))],
        region: Region::default(),
        node: Region::default(),
        service: "bailiwick".to_owned(),
        share: Share::of(share),
        timeout: Duration::from_millis(10),
        queue,
        every: Duration::from_millis(10),
    }
}

fn tracer(share: f64) -> (Arc<Tracer>, Ending) {
    let clock: SharedClock = ManualClock::at(1);
    start(setting(share, 1), &clock).unwrap()
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0";

#[test]
fn a_callers_word_on_its_own_trace_is_heeded_and_the_share_decides_about_new_ones() {
    let (none, _ending) = tracer(0.0);
    let kept = none.begin(Some(&format!("{CALLER}1")), None).unwrap();
    assert!(kept.context.is_sampled && kept.parent.is_some(), "the caller keeps its trace");
    assert_ne!(Some(kept.context.span), kept.parent, "under a span of its own");
    let handed_on = none.begin(Some(&format!("{CALLER}0")), None).unwrap();
    assert!(!handed_on.context.is_sampled);
    assert!(none.begin(None, None).is_none() && none.begin(Some("nonsense"), None).is_none());
    let (all, _ending) = tracer(1.0);
    let begun = all.begin(Some("nonsense"), None).unwrap();
    assert!(begun.context.is_sampled && begun.parent.is_none());
    assert!(!all.begin(Some(&format!("{CALLER}0")), None).unwrap().context.is_sampled, "not even with a share of all");
}

#[test]
fn a_request_no_tenant_was_asked_for_is_not_told() {
    let (all, _ending) = tracer(1.0);
    let requested = all.begin(None, None).unwrap();
    assert!(requested.told().is_none());
    let now = Instant::now();
    all.served(&requested, Served { method: "GET", route: "/healthz", status: Some(200), began: now, until: now });
}

#[actix::test]
async fn the_thread_ends_when_it_is_told_to() {
    let (_tracer, ending) = tracer(1.0);
    ending.flush().await;
}

#[test]
fn no_secret_is_in_what_may_be_logged() {
    let said = format!("{:?}", setting(1.0, 1));
    assert!(!said.contains("hidden"), "{said}");
}

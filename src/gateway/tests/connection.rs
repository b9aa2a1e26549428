//! How long a client is waited for.
use crate::gateway::Settings;
use crate::gateway::connection::{Patience, Waiting};
use std::time::{Duration, Instant};

#[test]
fn a_client_has_its_time_and_no_more() {
    let settings = Settings { keep_alive_ms: 60, head_timeout_ms: 40, answer_timeout_ms: 30, ..Settings::default() };
    let (patience, since) = (Patience::of(&settings), Instant::now());
    let left = |waiting: Waiting, after_ms: u64| {
        patience.left(waiting, since + Duration::from_millis(after_ms)).map(|left| left.as_millis())
    };
    for (after_ms, request, reader) in [
        (0, Some(30), Some(30)),
        (29, Some(30), Some(1)),
        (30, Some(30), None),
        (99, Some(1), None),
        (100, None, None),
        (u64::from(u32::MAX), None, None),
    ] {
        assert_eq!(left(Waiting::Request(since), after_ms), request, "a request after {after_ms} ms");
        assert_eq!(left(Waiting::Reader(since), after_ms), reader, "a reader after {after_ms} ms");
        assert_eq!(left(Waiting::House, after_ms), Some(30), "the house is never at its end");
    }
    let later = since + Duration::from_millis(5);
    assert_eq!(patience.left(Waiting::Reader(later), since), Some(Duration::from_millis(30)));
}

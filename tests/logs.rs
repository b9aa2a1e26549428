//! Lines of the log of the real binary, as machines read them: whose room they come from, under which trace, and that nobody's
//! words and no secrets are in them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use reqwest::Method;
use serde_json::{Value, json};

mod support;
use support::collector::Keeper;
use support::{House, till};

const QUESTION: &str = "How many unicorns does an employee own?";
const WORDS: &str = "Every employee owns thirty unicorns in a year.";
const BUDGET: &str = "  daily_limit_usd: 100.0\n  monthly_limit_usd: 1000.0\n";
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn every_line_of_a_tenants_room_says_whose_it_is() {
    let collector = Keeper::collector().await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let folder = tempfile::tempdir().unwrap();
    let config = till::furnish(folder.path(), gone, BUDGET);
    let config = format!(
        "{config}[observability]\nlog = \"json\"\nfilter = \"debug\"\n\
         [otel]\nendpoint = \"http://127.0.0.1:{}\"\nregion = \"eu-west-1\"\nevery_ms = 20\n",
        collector.port
    );
    let house = House::start_on(folder.path(), Some(&config));
    let (key, operator) = (house.key("default", "owner").await, house.operator_key());
    house.teach(&key, "unicorns", "Unicorns", WORDS).await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        let headers = [("traceparent", CALLER)];
        let asked = house.raw(Method::POST, "/v1/ask", &key, &headers, Some(json!({"question": QUESTION}))).await;
        statuses.push(asked.status().as_u16());
    }
    assert!(statuses.contains(&502), "the model is gone: {statuses:?}");
    let ended = bailiwick_kernel::residue::spawn_blocking(move || house.terminate());
    let (code, log) = ended.await.unwrap();
    assert_eq!(code, Some(0));

    let lines: Vec<Value> = log.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.len() > 100 && lines.len() >= log.len() - 2, "all but what says where it listens are JSON");
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let of_rooms = |line: &&Value| line["target"].as_str().is_some_and(|target| target.starts_with("bailiwick_tenant"));
    let rooms: Vec<&Value> = lines.iter().filter(of_rooms).collect();
    assert!(rooms.len() > 3, "{rooms:?}");
    for line in &rooms {
        assert!(is_text(&line["fields"]["tenant"]), "{line}");
    }
    // what others say while a turn is under way stands in the turn's span
    let turns: Vec<&Value> = lines.iter().filter(|line| line["span"]["name"] == "turn").collect();
    assert!(turns.iter().any(|line| !of_rooms(line)), "the client of the model speaks as well");
    for line in &turns {
        assert!(is_text(&line["span"]["tenant"]), "{line}");
        assert_eq!(line["span"]["trace_id"], &CALLER[3..35], "{line}");
    }
    assert!(
        rooms.iter().any(|line| line["span"]["trace_id"] == CALLER[3..35]),
        "the line that the service level is breached stands under the request that breached it"
    );
    let secret = key.rsplit(['_', '.']).next().unwrap();
    let operators = operator.rsplit(['_', '.']).next().unwrap();
    for line in &log {
        for word in ["unicorn", secret, operators] {
            assert!(!line.to_lowercase().contains(&word.to_lowercase()), "{word}: {line}");
        }
    }
}

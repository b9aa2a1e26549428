//! A's day at the doors.
use super::neighbours::{Life, Neighbours};
use super::support::{Ended, House, copy_tenants, until};
use super::{Day, Drawn, compared};
use reqwest::Method;
use serde_json::{Value, json};

const TENANT: &str = "default";
const FOREIGN: &str = "beta-inc";
/// A tenant that is there in one world only, and one that is in none.
const MADE: &str = "the-seventh";
const ABSENT: &str = "no-such-tenant";

/// So few that none comes back while a test runs, and what is left can be compared.
pub(super) const REQUESTS_PER_HOUR: u64 = 20;

const DOCUMENTS: [(&str, &str); 4] = [
    ("leave", "Every employee has thirty days of paid leave in a year."),
    ("reading-room", "The codeword of the reading room is amber."),
    ("cellar", "The codeword of the cellar is cobalt. A heron stands in the water."),
    ("garden", "The heron in the garden eats fish. The codeword of the garden is jade."),
];

struct Walk<'a> {
    house: &'a House,
    neighbours: Neighbours<'a>,
    key: String,
    drawn: Drawn,
    day: Day,
}

impl Walk<'_> {
    /// One request of A's, beside whatever the neighbours do meanwhile.
    async fn send(&mut self, name: &str, method: Method, path: &str, body: Option<Value>) -> Value {
        let key = self.key.clone();
        self.send_as(name, method, path, &key, &[], body).await
    }

    async fn send_as(
        &mut self,
        name: &str,
        method: Method,
        path: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Value {
        let number = self.day.len();
        let request_id = format!("request-{number}");
        let headers = [headers, &[("x-request-id", request_id.as_str())]].concat();
        let asked = self.house.raw(method, path, key, &headers, body);
        let (response, ()) = tokio::join!(asked, self.neighbours.bustle(number));
        let (answer, whole) = compared(name, response, &mut self.drawn).await;
        self.day.push((answer, self.neighbours.street()));
        whole
    }

    async fn get(&mut self, path: &str) -> Value {
        self.send(&format!("GET {path}"), Method::GET, path, None).await
    }

    /// Waits until the refusals so far stand in A's journal: they are recorded beside the answers.
    async fn has_recorded(&self, refusals: u64) {
        until("the refusals are recorded", async || {
            let figures = self.house.usage(&self.key).await;
            (figures["counts"]["refused"].as_u64() >= Some(refusals)).then_some(())
        })
        .await;
    }

    async fn documents(&mut self) {
        let documents: Vec<Value> = DOCUMENTS
            .iter()
            .map(|(id, text)| json!({"id": id, "title": format!("About {id}"), "text": text}))
            .collect();
        let body = json!({"documents": documents});
        self.send("POST documents", Method::POST, "/v1/documents", Some(body.clone())).await;
        for (id, _) in DOCUMENTS {
            self.house.indexed(&self.key, id).await;
        }
        self.send("POST documents again", Method::POST, "/v1/documents", Some(body)).await;
        for path in ["/v1/documents", "/v1/documents?limit=100", "/v1/documents/leave", "/v1/documents/moat"] {
            self.get(path).await;
        }
        self.send("DELETE moat", Method::DELETE, "/v1/documents/moat", None).await;
    }

    async fn questions(&mut self) {
        let questions = [
            "How many days of paid leave does an employee have?",
            "What is the codeword of the cellar?",
            "What does the heron in the garden eat?",
            "What is the airspeed of an unladen swallow?",
            " ",
        ];
        for text in questions {
            self.send(&format!("ask {text}"), Method::POST, "/v1/ask", Some(json!({"question": text}))).await;
        }
        let streamed = json!({"question": questions[0], "stream": true});
        self.send("ask in a stream", Method::POST, "/v1/ask", Some(streamed)).await;
        for query in ["codeword", "heron", "paid leave", "the moat", "theirs"] {
            self.send(&format!("search {query}"), Method::POST, "/v1/search", Some(json!({"query": query}))).await;
        }
        let key = self.key.clone();
        for (number, text) in [questions[0], questions[0], questions[1]].into_iter().enumerate() {
            let headers = [("idempotency-key", "again")];
            let body = Some(json!({"question": text}));
            self.send_as(&format!("keyed {number}"), Method::POST, "/v1/ask", &key, &headers, body).await;
        }
        for model in ["bailiwick", "no-such-model"] {
            let body = json!({"model": model, "messages": [{"role": "user", "content": questions[0]}]});
            self.send(&format!("chat {model}"), Method::POST, "/v1/chat/completions", Some(body)).await;
        }
        self.has_recorded(1).await;
    }

    async fn record(&mut self) {
        let body = json!({"question": "What is the codeword of the reading room?"});
        let answer = self.send("ask for lineage", Method::POST, "/v1/ask", Some(body)).await;
        let own = answer["query_id"].as_str().unwrap().to_owned();
        for (name, query) in
            [("own", own.as_str()), ("unknown", "0199c82c-c000-7021-8f08-c403388b03b2"), ("no id", "x")]
        {
            let path = format!("/v1/lineage?query_id={query}");
            self.send(&format!("lineage of {name}"), Method::GET, &path, None).await;
            let body = json!({"query_id": query, "rating": "up"});
            self.send(&format!("feedback on {name}"), Method::POST, "/v1/feedback", Some(body)).await;
        }
        self.get("/v1/lineage/export").await;
    }

    async fn figures(&mut self) {
        for path in ["/v1/usage", "/v1/slo", "/v1/policy", "/v1/models", "/v1/models/bailiwick", "/v1/models/no-such"] {
            self.get(path).await;
        }
        let parts = [
            "documents",
            "policies",
            "router",
            "sovereignty",
            "flags",
            "users",
            "budget",
            "quota",
            "slo",
            "costs",
            "keys",
        ];
        for part in parts {
            self.get(&format!("/admin/v1/tenants/{TENANT}/{part}")).await;
        }
        for part in ["conflicts", "diff", "log"] {
            self.get(&format!("/admin/v1/policies/{TENANT}/{part}")).await;
        }
        for user in ["dana", "omar"] {
            let body = json!({"context": {"targetingKey": user}});
            self.send(&format!("flags of {user}"), Method::POST, "/ofrep/v1/evaluate/flags", Some(body)).await;
        }
    }

    /// More than A may ask in an hour.
    async fn too_much(&mut self) {
        for number in 0..12 {
            let body = json!({"query": "codeword"});
            self.send(&format!("too much {number}"), Method::POST, "/v1/search", Some(body)).await;
        }
        assert_eq!(self.day.last().unwrap().0.status, 429, "the hour's requests are used up");
    }

    /// What is not A's, by any name.
    async fn doors_of_others(&mut self) {
        for name in [FOREIGN, MADE, ABSENT] {
            for part in ["documents", "keys", "flags", "costs", "budget"] {
                self.get(&format!("/admin/v1/tenants/{name}/{part}")).await;
            }
            self.get(&format!("/admin/v1/tenants/{name}")).await;
            self.get(&format!("/admin/v1/policies/{name}/log")).await;
            let key = self.key.clone();
            let headers = [("x-bailiwick-tenant", name)];
            self.send_as(&format!("usage of {name}"), Method::GET, "/v1/usage", &key, &headers, None).await;
            self.send_as(&format!("nobody asks {name}"), Method::GET, "/v1/usage", "", &headers, None).await;
        }
        let fleet = [
            "/admin/v1/tenants",
            "/admin/v1/costs",
            "/admin/v1/costs/export",
            "/admin/v1/conflicts",
            "/admin/v1/actors",
            "/metrics",
        ];
        for path in fleet.into_iter().chain(["/healthz", "/readyz", "/openapi.json", "/docs", "/v1/nothing"]) {
            self.get(path).await;
        }
        self.send("a wrong method", Method::PATCH, "/v1/ask", None).await;
        self.send_as("a key nobody has", Method::GET, "/v1/usage", "bwk_nobody_knows", &[], None).await;
    }
}

/// Days that are lived again because a minute of the clock ended in them, at most.
const AGAIN_MAX: usize = 5;

fn minute() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() / 60
}

/// A's day within one minute of the clock: what turned out well is counted in the journal once a minute has ended, and
/// what comes behind stands one further.
pub(super) async fn day(life: Life) -> Day {
    for _ in 0..=AGAIN_MAX {
        let begun = minute();
        let day = any_day(life).await;
        if minute() == begun {
            return day;
        }
    }
    panic!("no day ended within the minute it began in");
}

/// A's day in a world of its own.
async fn any_day(life: Life) -> Day {
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    let record = tenants.join(TENANT).join("tenant.yaml");
    let text = std::fs::read_to_string(&record).unwrap();
    let fewer = text.replace("max_requests_per_hour: 100000", &format!("max_requests_per_hour: {REQUESTS_PER_HOUR}"));
    assert_ne!(text, fewer);
    std::fs::write(&record, fewer).unwrap();
    let house = Ended(Some(House::start_on(folder.path(), None)));
    let key = house.key(TENANT, "owner").await;
    let neighbours = Neighbours::of(&house, life).await;
    neighbours.move_in().await;
    let mut drawn = Drawn::default();
    drawn.note(key.split('_').nth(1).unwrap(), "key");
    let mut walk = Walk { house: &house, neighbours, key, drawn, day: Vec::new() };
    walk.documents().await;
    walk.record().await;
    walk.questions().await;
    walk.figures().await;
    walk.doors_of_others().await;
    walk.too_much().await;
    walk.day
}

//! What the neighbours of the sample tenant do through the doors while it works.
use super::Street;
use super::support::House;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// What the neighbours of a world are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    Quiet,
    Loud,
}

const B: &str = "beta-inc";
const C: &str = "acme-corp";

/// The neighbours at work.
pub(super) struct Neighbours<'a> {
    house: &'a House,
    life: Life,
    key: String,
    street: Arc<Mutex<Street>>,
}

impl<'a> Neighbours<'a> {
    pub(super) async fn of(house: &'a House, life: Life) -> Self {
        let key = if life == Life::Loud { house.key(B, "owner").await } else { String::new() };
        Self { house, life, key, street: Arc::default() }
    }

    pub(super) fn street(&self) -> Street {
        self.street.lock().unwrap().clone()
    }

    async fn call(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> u16 {
        self.street.lock().unwrap().requests += 1;
        self.house.call(method, path, key, body).await.0
    }

    /// They bring the documents they have before A comes: under A's ids, with A's words.
    pub(super) async fn move_in(&self) {
        if self.life == Life::Loud {
            self.bring("leave", "Nobody has any paid leave here; the codeword is number 7.").await;
            self.bring("moat", "The moat has a codeword of its own: heron, heron, heron.").await;
            self.found("the-seventh").await;
        }
    }

    async fn bring(&self, id: &str, text: &str) {
        let body = json!({"documents": [{"id": id, "title": "Theirs", "text": text}]});
        assert_eq!(self.call(Method::POST, "/v1/documents", &self.key, Some(body)).await, 201);
        self.street.lock().unwrap().document_ids.push(id.to_owned());
    }

    /// The operator makes a tenant that is nowhere else.
    async fn found(&self, name: &str) {
        let body = json!({
            "name": name,
            "config": {"region": "eu-west-1", "retention_days": 30},
            "quotas": {"max_requests_per_hour": 2, "max_concurrent_requests": 1, "max_cost_per_month": 1, "max_storage_gb": 1},
            "metadata": {"industry": "general", "contact_email": "a@b.example"},
        });
        assert_eq!(self.call(Method::POST, "/admin/v1/tenants", &self.house.operator_key(), Some(body)).await, 201);
        self.street.lock().unwrap().tenants.push(name.to_owned());
    }

    /// What they do while A makes its n-th request.
    pub(super) async fn bustle(&self, number: usize) {
        if self.life == Life::Quiet {
            return;
        }
        let (key, operator) = (self.key.as_str(), self.house.operator_key());
        let question = |text: &str| Some(json!({"question": text}));
        match number % 12 {
            0 => drop(self.call(Method::POST, "/v1/ask", key, question("How many days of paid leave?")).await),
            1 => self.bring(&format!("theirs-{number}"), "A codeword, a heron and thirty days.").await,
            2 => drop(self.call(Method::POST, "/v1/search", key, Some(json!({"query": "codeword heron"}))).await),
            3 => {
                self.house.key(C, "viewer").await;
                self.street.lock().unwrap().keys += 1;
            }
            4 => {
                let verb = |verb: &str| format!("/admin/v1/tenants/{C}/{verb}");
                self.call(Method::POST, &verb("suspend"), &operator, Some(json!({"reason": "unpaid"}))).await;
                self.call(Method::POST, "/v1/ask", key, question(" ")).await;
                self.call(Method::POST, &verb("resume"), &operator, None).await;
            }
            5 => {
                let name = format!("passing-{number}");
                self.found(&name).await;
                let path = format!("/admin/v1/tenants/{name}?shred=true");
                assert_eq!(self.call(Method::DELETE, &path, &operator, None).await, 200);
            }
            6 => {
                let key = self.house.key("the-seventh", "owner").await;
                for _ in 0..4 {
                    self.call(Method::POST, "/v1/search", &key, Some(json!({"query": "x"}))).await;
                }
            }
            7 => {
                let body = json!({"model": "no-such-model", "messages": [{"role": "user", "content": "x"}]});
                self.call(Method::POST, "/v1/chat/completions", key, Some(body)).await;
            }
            8 => drop(self.call(Method::DELETE, "/v1/documents/moat", key, None).await),
            9 => drop(self.call(Method::GET, "/v1/usage", "bwk_nobody_knows", None).await),
            10 => drop(self.call(Method::POST, &format!("/admin/v1/policies/{B}/commit"), &operator, None).await),
            _ => {
                let body = json!({"context": {"targetingKey": "user-1"}});
                self.call(Method::POST, "/ofrep/v1/evaluate/flags", key, Some(body)).await;
            }
        }
    }
}

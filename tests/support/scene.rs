//! One house, one document, one key: the scene of everything that must change nothing.
use super::wire::{head, talk};
use super::{Ended, House, copy_tenants, house, until};
use reqwest::Method;
use serde_json::{Value, json};

const TENANT: &str = "default";
/// The header of a JSON body.
pub const JSON: &str = "content-type: application/json";

/// A house with one document, and what must not change whatever is sent.
pub struct Scene {
    pub house: Ended,
    pub folder: tempfile::TempDir,
    pub key: String,
    pub before: Value,
}

impl Scene {
    pub async fn new() -> Self {
        Self::of(house()).await
    }

    /// With short times for slow clients.
    pub async fn impatient() -> Self {
        Self::configured("[limits]\nhead_timeout_ms = 1000\nbody_timeout_ms = 300\nupload_timeout_ms = 300\n").await
    }

    /// With a configuration of its own.
    pub async fn configured(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_tenants(folder.path());
        let house = House::start_on(folder.path(), Some(config));
        Self::of((folder, Ended(Some(house)))).await
    }

    pub async fn of((folder, house): (tempfile::TempDir, Ended)) -> Self {
        let key = house.key(TENANT, "owner").await;
        house.teach(&key, "leave", "Leave", "Every employee has thirty days of paid leave in a year.").await;
        let before = state(&house, &key).await;
        Self { house, folder, key, before }
    }

    /// Nothing was left half-done, and the house answers.
    pub async fn is_unharmed(&self, after: &str) {
        let now = state(&self.house, &self.key).await;
        assert_eq!(now, self.before, "after {after}");
        let question = json!({"question": "How many days of paid leave does an employee have?"});
        let (status, answer) = self.house.call(Method::POST, "/v1/ask", &self.key, Some(question)).await;
        assert_eq!((status, &answer["abstained"]), (200, &json!(false)), "after {after}: {answer}");
    }

    pub async fn send(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, String) {
        let length = format!("content-length: {}", body.len());
        let mut bytes = head(method, path, &self.key, &[JSON, &length]).into_bytes();
        bytes.extend_from_slice(body);
        let raw = talk(&self.house, &bytes).await.expect("an answer");
        let (status, code) = raw.problem();
        assert_eq!(raw.json()["status"], status);
        (status, code, raw.json()["detail"].as_str().unwrap().to_owned())
    }

    /// Uploads one file by the name and bytes a client claims.
    pub async fn upload(&self, name: &str, bytes: &[u8]) -> (u16, Value) {
        let mut body =
            format!("--cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n").into_bytes();
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n--cut--\r\n");
        let length = format!("content-length: {}", body.len());
        let mut request =
            head("POST", "/v1/documents", &self.key, &["content-type: multipart/form-data; boundary=cut", &length])
                .into_bytes();
        request.extend_from_slice(&body);
        let raw = talk(&self.house, &request).await.expect("an answer");
        (raw.status, raw.json())
    }
}

/// Documents by id, and money; the held amount is waited down to nothing, because settling follows the answer.
pub async fn state(house: &House, key: &str) -> Value {
    let figures = until("nothing is held any more", async || {
        let figures = house.usage(key).await;
        (figures["budget"]["held"] == "0").then_some(figures)
    })
    .await;
    let (_, list) = house.call(Method::GET, "/v1/documents", key, None).await;
    let ids: Vec<_> = list["documents"].as_array().unwrap().iter().map(|document| document["id"].clone()).collect();
    json!({"documents": ids, "count": figures["corpus"]["documents"], "spent": figures["budget"]["spent_month"], "overrun": figures["budget"]["overrun"], "unreconciled": figures["budget"]["unreconciled"]})
}

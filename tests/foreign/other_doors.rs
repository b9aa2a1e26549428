//! What is neither a path, nor a query, nor a field of a JSON body compared whole: documents that are taken in, forms, keys
//! for users, sessions.
use super::Asked;
use super::QUESTION;
use super::scene::{CANARY, OTHER, OWN, Scene, hears, offering, session};
use super::support::foreign::{Dice, Pair};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

/// What became of the one document of a request, apart from its name and position.
fn became(status: u16, body: &Value) -> (u16, Option<String>, Value, Value) {
    let document = &body["documents"][0];
    // a name that was drawn before is the asker's own by now
    let state = document["state"].as_str().map(|state| state.replace("unchanged", "accepted"));
    (status, state, document["code"].clone(), document["chunks"].clone())
}

impl Scene {
    /// A key of the own tenant for a user of the other's name: it opens the own tenant and no other.
    pub async fn key_for(&self, user: Pair) -> Option<String> {
        let path = format!("/admin/v1/tenants/{OWN}/keys");
        let (status, issued) = self
            .house
            .call(Method::POST, &path, &self.own_key, Some(json!({"role": "viewer", "user_id": user.theirs})))
            .await;
        let Some(key) = issued["key"].as_str() else {
            return (status != 400).then(|| format!("{:?}: {issued}", user.theirs));
        };
        let pair = Pair { theirs: OTHER.into(), nobodys: "no-such-tenant".into() };
        let ask = |tenant: &str| {
            Asked { key: key.to_owned(), ..Asked::new("GET", "/v1/usage") }.under("x-bailiwick-tenant", tenant)
        };
        let own = self.send(Asked { key: key.to_owned(), ..Asked::new("GET", "/v1/models") }).await.status();
        let hit = self.alike(&pair, ask).await;
        hit.or_else(|| (own != 200).then(|| format!("{:?}: the own tenant answers {own}", user.theirs)))
    }

    /// A document under names of the other's: taken in or refused as one under names nobody has.
    pub async fn takes_in(&self, number: usize, dice: &mut Dice) -> Option<String> {
        let (pool, field) = *dice.one_of(&[
            (&self.documents, "id"),
            (&self.sources, "source"),
            (&self.domains, "domain"),
            (&self.domains, "usecase"),
        ]);
        let pair = self.drawn(dice, pool, false);
        let mut told = Vec::new();
        for (id, side) in [(&pair.theirs, "theirs"), (&pair.nobodys, "nobodys")] {
            let mut document = json!({"id": format!("written-{number}-{side}"), "title": "Written", "text": "A note."});
            document[field] = json!(id);
            let asked = Asked::new("POST", "/v1/documents").with(json!({"documents": [document]}));
            let answer = self.send(asked).await;
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            told.push(became(status, &body));
        }
        (told[0] != told[1]).then(|| format!("{field} {:?}: {told:?}", pair.theirs))
    }

    /// A question over a WebSocket.
    pub async fn in_session(&self, number: usize, dice: &mut Dice) -> Option<String> {
        let (pool, field) = *dice.one_of(&[
            (&self.queries, "id"),
            (&self.idempotency_keys, "idempotency_key"),
            (&self.domains, "domain"),
            (&self.domains, "usecase"),
        ]);
        let pair = self.visible(dice, pool);
        let mut told = Vec::new();
        for id in [&pair.theirs, &pair.nobodys] {
            let mut frame = json!({"type": "ask", "id": "a", "question": QUESTION});
            frame[field] = json!(if field == "idempotency_key" { self.unused(id, number) } else { id.clone() });
            let mut session = session(&self.house, &self.own_key).await;
            let said = hears(&mut session, &frame).await;
            let replayed = said.get("idempotent_replay").cloned();
            told.push(["type", "code", "abstained", "answer", "citations"].map(|field| said[field].clone()));
            if replayed.is_some() || said.to_string().contains(CANARY) {
                return Some(format!("{field} {id:?}: {said}"));
            }
        }
        (told[0] != told[1]).then(|| format!("{field} {:?}: {told:?}", pair.theirs))
    }

    /// A file in a form, under names of the other's.
    pub async fn in_form(&self, number: usize, dice: &mut Dice) -> Option<String> {
        let (pool, field) = *dice.one_of(&[
            (&self.documents, "files"),
            (&self.documents, "id"),
            (&self.sources, "source"),
            (&self.domains, "domain"),
            (&self.domains, "usecase"),
        ]);
        let pair = self.visible(dice, pool);
        let mut told = Vec::new();
        for (id, side) in [(&pair.theirs, "theirs"), (&pair.nobodys, "nobodys")] {
            let is_name = field == "files";
            let name = if is_name { format!("{id}.txt") } else { format!("form-{number}-{side}.txt") };
            let file = Part::text(format!("A note of number {number}, {side}.")).file_name(name);
            let form = if is_name { Form::new() } else { Form::new().text(field, id.clone()) };
            let request = self.house.http.post(format!("{}/v1/documents", self.house.url)).bearer_auth(&self.own_key);
            let answer = request.multipart(form.part("files", file)).send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            if body.to_string().contains(CANARY) {
                return Some(format!("{field} {id:?}: {body}"));
            }
            told.push(became(status, &body));
        }
        (told[0] != told[1]).then(|| format!("{field} {:?}: {told:?}", pair.theirs))
    }

    /// A session opened with the other's public id and the own secret, as browsers offer keys.
    pub async fn in_subprotocol(&self, dice: &mut Dice) -> Option<String> {
        let pair = self.visible(dice, &self.key_ids);
        let secret = self.own_key.rsplit('_').next().unwrap();
        let mut told = Vec::new();
        for id in [&pair.theirs, &pair.nobodys] {
            told.push(offering(&self.house, &format!("bwk_{id}_{secret}")).await);
        }
        (told[0] != told[1] || told[0].0 != 401).then(|| format!("{:?}: {told:?}", pair.theirs))
    }
}

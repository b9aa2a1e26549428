//! What A sees, written down byte for byte. One thing is not written as it is: the chain hash in receipts and lineage,
//! which commits to bytes sealed under random nonces. It is held against the record of A's own journal it must name and
//! then written as that record's name, so that nothing else could hide in its place.
use super::world::Street;
use crate::limits::sheet::Figure;
use crate::question::{Frame, Reply};
use crate::turn::Awaiting;
use bailiwick_kernel::fabric::Fabric;
use bailiwick_kernel::ids::{Position, TenantKey};
use bailiwick_kernel::outcome::Outcome;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// One output.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) bytes: String,
}

/// Nobody compares any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped;

/// What a leak at the edge makes of an output by its name.
pub(super) type Edge = fn(&Street, &str, &mut Value);

/// A's notebook.
pub(super) struct Watcher {
    pub(super) to: mpsc::Sender<Seen>,
    pub(super) edge: Option<Edge>,
    pub(super) street: Arc<Street>,
    pub(super) fabric: Arc<dyn Fabric>,
    pub(super) tenant: TenantKey,
}

/// Written where a hash is not that of the record it must name.
pub(super) const FOREIGN_HASH: &str = "the hash of no record of this tenant";

impl Watcher {
    pub(super) async fn see(&self, name: impl Into<String>, mut value: Value) -> Result<(), Stopped> {
        let name = name.into();
        self.name_hashes(&mut value);
        if let Some(edge) = self.edge {
            edge(&self.street, &name, &mut value);
        }
        self.to.send(Seen { name, bytes: value.to_string() }).await.map_err(|_nobody| Stopped)
    }

    /// An outcome and nothing else.
    pub(super) async fn outcome<T: Serialize>(
        &self,
        name: impl Into<String>,
        outcome: &Outcome<T>,
    ) -> Result<(), Stopped> {
        self.see(name, told(outcome)).await
    }

    /// A reply, its frames and what is told beside it, each by itself.
    pub(super) async fn reply(&self, name: &str, mut awaiting: Awaiting) -> Result<Option<String>, Stopped> {
        let mut number = 0;
        while let Some(frame) = awaiting.frames.recv().await {
            let said = match frame {
                Frame::Citations(citations) => json!({"citations": citations}),
                Frame::Delta(words) => json!({"delta": words}),
                Frame::Chunk(chunk) => json!({"chunk": chunk}),
            };
            self.see(format!("{name}: frame {number}"), said).await?;
            number += 1;
        }
        let outcome = awaiting.reply_mut().await;
        let query_id = match &outcome {
            Ok(Reply::Answer(answer)) => Some(answer.query_id.clone()),
            Ok(Reply::Completion(completion)) => Some(completion.query_id.clone()),
            _ => None,
        };
        let said = outcome.map(|reply| match reply {
            Reply::Answer(answer) => json!(answer),
            Reply::Completion(completion) => json!(completion),
            Reply::Hits(hits) => json!(hits.to_vec()),
        });
        self.outcome(name, &said).await?;
        let rates = awaiting.rates().read();
        let figure =
            |figure: Option<Figure>| figure.map(|figure| json!([figure.limit, figure.remaining, figure.reset_ns]));
        let beside = json!({
            "requests": figure(rates.requests), "tokens": figure(rates.tokens), "repeat": awaiting.is_repeat(),
            "cache": awaiting.cache().map(|state| state.as_str()),
        });
        self.see(format!("{name}: headers"), beside).await?;
        Ok(query_id)
    }

    fn record_hash(&self, position: u64) -> Option<String> {
        let records = self.fabric.read(self.tenant, Position(position), 1).ok()?;
        let record = records.into_iter().find(|record| record.position.0 == position)?;
        Some(hex::encode(record.hash))
    }

    fn named(&self, position: u64, hash: &str) -> String {
        let is_own = self.record_hash(position).as_deref() == Some(hash);
        if is_own { format!("the hash of record {position}") } else { FOREIGN_HASH.to_owned() }
    }

    fn name_hashes(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let receipt = text.strip_prefix("bwr1.").and_then(|rest| rest.split_once('.'));
                if let Some((position, hash)) = receipt.and_then(|(at, hash)| Some((at.parse::<u64>().ok()?, hash))) {
                    *text = format!("bwr1.{position}.{}", self.named(position, hash));
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.name_hashes(item)),
            Value::Object(fields) => {
                if let (Some(seq), Some(Value::String(hash))) =
                    (fields.get("seq").and_then(Value::as_u64), fields.get("hash"))
                {
                    let named = self.named(seq, hash);
                    fields.insert("hash".to_owned(), json!(named));
                }
                fields.values_mut().for_each(|field| self.name_hashes(field));
            }
            _ => {}
        }
    }
}

/// An outcome as JSON.
pub(super) fn told<T: Serialize>(outcome: &Outcome<T>) -> Value {
    match outcome {
        Ok(value) => json!({"ok": value}),
        Err(rejection) => json!({"refused": rejection}),
    }
}

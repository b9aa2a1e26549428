//! Lineage in the forms of others: OpenLineage events (2-0-2) and W3C PROV documents (PROV-JSON), a JSON object a line. Pure.
use super::messages::{LineageLine, LineageOfRecord};
use crate::entry::{AnswerCited, AnswerRecorded, Entry, LineageChunk};
use crate::imports::messages::Origin;
use crate::imports::records::{ImportedLine, ImportedLines};
use crate::imports::rules::sha256;
use bailiwick_kernel::clock::rfc3339;
use bailiwick_kernel::ids::Position;
use serde_json::{Map, Value, json};

/// Who made these events and documents.
const PRODUCER: &str = "https://bailiwick.invalid/runtime";
const EVENT_SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
/// Where the facet is described that carries what the standard has no word for.
const FACET_SCHEMA: &str = "https://bailiwick.invalid/facets/answer-1.json";
const NAMESPACE: &str = "https://bailiwick.invalid/ns#";

/// A form of lineage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineageForm {
    /// The specification's lines.
    Jsonl,
    /// OpenLineage run events.
    OpenLineage,
    /// PROV-JSON documents.
    Prov,
}

impl LineageForm {
    /// Every form, as it is asked for.
    pub const ALL: [(&'static str, Self); 3] =
        [("jsonl", Self::Jsonl), ("openlineage", Self::OpenLineage), ("prov", Self::Prov)];

    /// The form of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, form)| *form)
    }

    /// The objects that tell of one record.
    #[must_use]
    pub fn tell(self, record: &LineageOfRecord) -> Vec<Value> {
        match self {
            Self::Jsonl => record.lines.iter().map(|line| json!(line)).collect(),
            Self::OpenLineage => open_lineage(record),
            Self::Prov => prov(record).into_iter().collect(),
        }
    }
}

/// The lineage a record of the journal has; nothing for a record of anything but an answer's chunks.
#[must_use]
pub fn lineage_of(tenant_name: &str, position: Position, hash: &[u8; 32], entry: Entry) -> Option<LineageOfRecord> {
    let (asked_unix_ms, cited) = match entry {
        Entry::AnswerRecorded(record) => (Some(record.admitted_unix_ms), cited_by(*record)),
        Entry::AnswerCited(further) => (None, *further),
        _ => return None,
    };
    Some(LineageOfRecord { asked_unix_ms, lines: lines_of(tenant_name, position, hash, &cited) })
}

pub(super) fn cited_by(record: AnswerRecorded) -> AnswerCited {
    let AnswerRecorded { query_id, cited, model, policy_version, cleared_unix_ms, .. } = record;
    AnswerCited { query_id, cited, model, policy_version, cleared_unix_ms }
}

/// The lines of one answer, in the specification's field names (2.6): one per cited chunk, and one without a chunk for
/// an answer that cites none, so that no answer and no charge is missing from an export.
pub(super) fn lines_of(
    tenant_name: &str,
    position: Position,
    hash: &[u8; 32],
    record: &AnswerCited,
) -> Vec<LineageLine> {
    let line = |chunk: &LineageChunk| LineageLine {
        tenant_id: tenant_name.to_owned(),
        domain: chunk.domain.clone(),
        usecase: chunk.usecase.clone(),
        source_id: chunk.source_id.clone(),
        query_id: record.query_id.clone(),
        chunk_id: chunk.chunk_id.clone(),
        trust_score: chunk.trust_score,
        agent_id: format!("{}/{}", record.model.provider, record.model.name),
        policy_version: record.policy_version.clone(),
        timestamp: rfc3339(record.cleared_unix_ms),
        seq: position.0,
        hash: hex::encode(hash),
        imported: None,
    };
    if record.cited.is_empty() {
        return vec![line(&LineageChunk::default())];
    }
    record.cited.iter().map(line).collect()
}

/// The lines a record of imported lineage has: what another system wrote, marked as such.
#[must_use]
pub fn imported_of(tenant_name: &str, position: Position, hash: &[u8; 32], record: &ImportedLines) -> Vec<LineageLine> {
    let line = |line: &ImportedLine| LineageLine {
        tenant_id: tenant_name.to_owned(),
        domain: line.said.domain.clone(),
        usecase: line.said.usecase.clone(),
        source_id: line.said.source_id.clone(),
        query_id: line.said.query_id.clone(),
        chunk_id: line.said.chunk_id.clone(),
        trust_score: line.said.trust_score,
        agent_id: line.said.agent_id.clone(),
        policy_version: line.said.policy_version.clone(),
        timestamp: line.said.timestamp.clone(),
        seq: position.0,
        hash: hex::encode(hash),
        imported: Some(Origin {
            file: record.file.clone(),
            file_sha256: hex::encode(record.file_sha256),
            line: line.number,
            line_sha256: hex::encode(line.sha256),
        }),
    };
    record.lines.iter().map(line).collect()
}

fn cited(record: &LineageOfRecord) -> impl Iterator<Item = &LineageLine> {
    record.lines.iter().filter(|line| !line.source_id.is_empty())
}

/// A run that starts when the question was admitted and completes when the answer was cleared; further records of a long
/// answer add to what it read while it runs.
fn open_lineage(record: &LineageOfRecord) -> Vec<Value> {
    let Some(first) = record.lines.first() else { return Vec::new() };
    let namespace = format!("bailiwick/{}", first.tenant_id);
    let inputs: Vec<Value> = cited(record)
        .map(|line| {
            let place = [line.domain.as_str(), &line.usecase].join("/");
            json!({ "namespace": format!("{namespace}/{place}"), "name": line.chunk_id })
        })
        .collect();
    let event = |kind: &str, time: &str, inputs: &[Value], outputs: &[Value]| {
        json!({
            "eventType": kind,
            "eventTime": time,
            "producer": PRODUCER,
            "schemaURL": EVENT_SCHEMA,
            "run": {
                "runId": run_id(&first.query_id),
                "facets": {
                    "bailiwick_answer": {
                        "_producer": PRODUCER,
                        "_schemaURL": FACET_SCHEMA,
                        "agentId": first.agent_id,
                        "policyVersion": first.policy_version,
                        "journalPosition": first.seq,
                        "chainHash": first.hash,
                    }
                }
            },
            "job": { "namespace": namespace, "name": "answer" },
            "inputs": inputs,
            "outputs": outputs,
        })
    };
    let answer = [json!({ "namespace": namespace, "name": format!("answer/{}", first.query_id) })];
    match record.asked_unix_ms {
        Some(asked) => {
            vec![event("START", &rfc3339(asked), &[], &[]), event("COMPLETE", &first.timestamp, &inputs, &answer)]
        }
        // nothing is known of when it was asked, and nothing more comes of it
        None if first.imported.is_some() => vec![event("COMPLETE", &first.timestamp, &inputs, &answer)],
        None => vec![event("RUNNING", &first.timestamp, &inputs, &[])],
    }
}

/// The standard wants a UUID. Another system's name of a question that is none becomes one that follows from it.
fn run_id(query_id: &str) -> String {
    if uuid::Uuid::parse_str(query_id).is_ok() {
        return query_id.to_owned();
    }
    let digest = sha256(query_id.as_bytes());
    let bytes = digest.first_chunk::<16>().copied().unwrap_or_default();
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// The answer as an entity, generated by an activity that used the passages, associated with the model as its agent.
fn prov(record: &LineageOfRecord) -> Option<Value> {
    let first = record.lines.first()?;
    let name = |kind: &str, id: &str| format!("bw:{kind}/{id}");
    let (answer, asking) = (name("answer", &first.query_id), name("asking", &first.query_id));
    let agent = name("agent", &first.agent_id);
    let (mut entities, mut used, mut derived) = (Map::new(), Map::new(), Map::new());
    entities.insert(
        answer.clone(),
        json!({ "bw:policyVersion": first.policy_version, "bw:journalPosition": first.seq, "bw:chainHash": first.hash }),
    );
    for (number, line) in cited(record).enumerate() {
        let passage = name("passage", &line.chunk_id);
        let about = json!({
            "bw:document": line.source_id, "bw:domain": line.domain, "bw:usecase": line.usecase,
            "bw:trustScore": { "$": line.trust_score.to_string(), "type": "xsd:double" },
        });
        entities.insert(passage.clone(), about);
        used.insert(format!("_:u{number}"), json!({ "prov:activity": asking, "prov:entity": passage }));
        let from = json!({ "prov:generatedEntity": answer, "prov:usedEntity": passage, "prov:activity": asking });
        derived.insert(format!("_:d{number}"), from);
    }
    let mut activity = Map::new();
    activity.extend(record.asked_unix_ms.map(|asked| ("prov:startTime".to_owned(), json!(rfc3339(asked)))));
    activity.insert("prov:endTime".to_owned(), json!(first.timestamp));
    let mut document = json!({
        "prefix": { "bw": NAMESPACE, "xsd": "http://www.w3.org/2001/XMLSchema#" },
        "entity": entities,
        "activity": { asking.as_str(): activity },
        "agent": { agent.as_str(): { "prov:type": { "$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME" } } },
        "wasGeneratedBy": { "_:g": { "prov:entity": answer, "prov:activity": asking, "prov:time": first.timestamp } },
        "wasAssociatedWith": { "_:a": { "prov:activity": asking, "prov:agent": agent } },
    });
    if let Some(fields) = document.as_object_mut().filter(|_| !used.is_empty()) {
        fields.insert("used".into(), Value::Object(used));
        fields.insert("wasDerivedFrom".into(), Value::Object(derived));
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source_id: &str) -> LineageLine {
        LineageLine {
            tenant_id: "acme-corp".into(),
            domain: "general".into(),
            usecase: "qa".into(),
            source_id: source_id.into(),
            query_id: "0199c8f2-7e1a-7c3b-9f00-000000000001".into(),
            chunk_id: if source_id.is_empty() { String::new() } else { format!("{source_id}#0") },
            trust_score: 0.5,
            agent_id: "extractive/sentences".into(),
            policy_version: "1.2.3".into(),
            timestamp: "2026-11-26T03:00:00Z".into(),
            seq: 7,
            hash: "ab".into(),
            imported: None,
        }
    }

    fn record(asked_unix_ms: Option<u64>, sources: &[&str]) -> LineageOfRecord {
        LineageOfRecord { asked_unix_ms, lines: sources.iter().map(|source| line(source)).collect() }
    }

    #[test]
    fn a_run_starts_and_ends_and_says_what_it_read() {
        let events = LineageForm::OpenLineage.tell(&record(Some(1_760_000_000_000), &["a", "b"]));
        assert_eq!(events.len(), 2);
        assert_eq!((&events[0]["eventType"], &events[1]["eventType"]), (&json!("START"), &json!("COMPLETE")));
        assert_eq!(events[0]["eventTime"], "2025-10-09T08:53:20.000Z");
        assert!(events[0]["inputs"] == json!([]) && events[0]["run"] == events[1]["run"]);
        let inputs = events[1]["inputs"].as_array().unwrap();
        assert_eq!(inputs[1], json!({ "namespace": "bailiwick/acme-corp/general/qa", "name": "b#0" }));
        let further = LineageForm::OpenLineage.tell(&record(None, &["c"]));
        assert_eq!((further.len(), &further[0]["eventType"]), (1, &json!("RUNNING")));
    }

    #[test]
    fn what_cites_nothing_has_no_inputs_and_used_nothing() {
        let nothing = record(Some(0), &[""]);
        assert_eq!(LineageForm::OpenLineage.tell(&nothing)[1]["inputs"], json!([]));
        let document = &LineageForm::Prov.tell(&nothing)[0];
        assert!(document.get("used").is_none() && document["entity"].as_object().unwrap().len() == 1, "{document}");
        assert_eq!(LineageForm::Jsonl.tell(&nothing), [json!(line(""))]);
    }

    #[test]
    fn an_answer_was_derived_from_its_passages_by_its_model() {
        let document = &LineageForm::Prov.tell(&record(Some(0), &["a", "b"]))[0];
        assert_eq!(document["wasDerivedFrom"]["_:d1"]["prov:usedEntity"], "bw:passage/b#0");
        assert_eq!(document["wasAssociatedWith"]["_:a"]["prov:agent"], "bw:agent/extractive/sentences");
        assert!(document["entity"].get("bw:passage/a#0").is_some());
    }
}

//! What is written down of an answer for those who will want proof: on which words, rules and flags it stands. Pure.
use crate::digest;
use crate::entry::{AnswerRecorded, LineageChunk};
use crate::proofs::records::{AnswerGrounded, ConversationTold, FlagSaid, PassageVersion};
use crate::question::{Matter, Passage};
use crate::turn::Case;
use bailiwick_kernel::money::NanoUsd;
use bailiwick_policy::features::FeaturesFile;
use bailiwick_policy::flags::{Context, ServiceLevel, evaluate_all};
use bailiwick_policy::obligations::Obligations;

/// Flags of one record, and bytes of their names and values.
const FLAGS_MAX: usize = 128;
const FLAG_BYTES_MAX: usize = 8 << 10;

/// What the exit knew when it cleared an answer.
#[derive(Clone, Copy, Debug)]
pub struct Knew<'a> {
    /// What the answer could rest on.
    pub passages: &'a [Passage],
    /// Whether the service level is kept: experimental flags follow it.
    pub level: ServiceLevel,
    /// What was held.
    pub held: NanoUsd,
}

/// What an answer stands on, to be put behind its records.
#[must_use]
pub fn grounds(case: &Case, record: &AnswerRecorded, knew: &Knew<'_>) -> AnswerGrounded {
    let (flags, flags_left_out) = flags(&case.policy.features, knew.level, case.principal.asker());
    AnswerGrounded {
        query_id: record.query_id.clone(),
        records: 1,
        passages: record.cited.iter().filter_map(|chunk| version(chunk, knew.passages)).collect(),
        policy_digest: case.policy.digest.clone(),
        permitted_by: case.ruled.by().to_vec(),
        obligations: obligations(case.ruled.obligations()),
        flags,
        flags_left_out,
        held: knew.held,
    }
}

/// What a model was told of the conversation before the question; nothing where it stood alone.
#[must_use]
pub fn conversation_told(case: &Case) -> Option<ConversationTold> {
    let Matter::Ask(question) = &case.matter else { return None };
    let (own, brought): (Vec<_>, Vec<_>) = question.earlier.iter().partition(|one| !one.query_id.is_empty());
    (!question.earlier.is_empty()).then(|| ConversationTold {
        query_id: case.query_id.to_string(),
        earlier: own.into_iter().map(|one| one.query_id.clone()).collect(),
        brought_along: u32::try_from(brought.len()).unwrap_or(u32::MAX),
    })
}

fn version(chunk: &LineageChunk, passages: &[Passage]) -> Option<PassageVersion> {
    let passage = passages.iter().find(|passage| passage.chunk_id == chunk.chunk_id)?;
    let sha256 = hex::encode(digest::sha256(passage.text.as_bytes()));
    Some(PassageVersion { sha256, version: passage.version })
}

/// What the flags say for whoever asks, and how many have no room.
fn flags(features: &FeaturesFile, level: ServiceLevel, asker: &str) -> (Vec<FlagSaid>, u32) {
    let (mut said, mut bytes, mut left_out) = (Vec::new(), 0_usize, 0_u32);
    for evaluation in evaluate_all(features, level, &Context::of_key(asker)) {
        let one = FlagSaid { flag: evaluation.key.to_owned(), value: evaluation.value.to_string() };
        let with_it = bytes.saturating_add(one.flag.len()).saturating_add(one.value.len());
        if said.len() >= FLAGS_MAX || with_it > FLAG_BYTES_MAX {
            left_out = left_out.saturating_add(1);
        } else {
            bytes = with_it;
            said.push(one);
        }
    }
    (said, left_out)
}

fn obligations(obligations: Obligations) -> Vec<String> {
    let Obligations { cite, cap_tokens, min_sources, max_answer_characters, redact, log, approve } = obligations;
    let redact = (!redact.is_empty()).then(|| format!("redact: {redact}"));
    let cap = cap_tokens.map(|cap| format!("cap_tokens: {cap}"));
    let sources = min_sources.map(|sources| format!("min_sources: {sources}"));
    let length = max_answer_characters.map(|most| format!("max_answer_characters: {most}"));
    let named = |holds: bool, name: &str| holds.then(|| name.to_owned());
    let all = [named(cite, "cite"), cap, sources, length, redact, named(log, "log"), named(approve, "approve")];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn features(count: usize, value: &str) -> FeaturesFile {
        let flag =
            json!({"enabled": true, "variants": {"a": value, "b": "other"}, "default_variant": "b", "split": {"a": 1}});
        let flags: serde_json::Map<_, _> = (0..count).map(|number| (format!("f{number:03}"), flag.clone())).collect();
        serde_json::from_value(json!({"tenant_id": "t", "features": flags})).unwrap()
    }

    #[test]
    fn flags_are_told_by_name_and_value_and_what_has_no_room_is_counted() {
        let (said, left_out) = flags(&features(2, "x"), ServiceLevel::Kept, "dana");
        let one = |flag: &str| FlagSaid { flag: flag.to_owned(), value: "\"x\"".to_owned() };
        assert_eq!((said, left_out), (vec![one("f000"), one("f001")], 0));
        let (said, left_out) = flags(&features(FLAGS_MAX + 7, "x"), ServiceLevel::Kept, "dana");
        assert_eq!((said.len(), left_out), (FLAGS_MAX, 7));
        let (said, left_out) = flags(&features(10, &"x".repeat(3_000)), ServiceLevel::Kept, "dana");
        assert_eq!((said.len(), left_out), (2, 8), "what is long takes the room of many");
    }

    #[test]
    fn obligations_are_told_as_rules_write_them() {
        let all = Obligations {
            cite: true,
            cap_tokens: Some(7),
            min_sources: Some(2),
            max_answer_characters: Some(400),
            log: true,
            approve: true,
            ..Obligations::default()
        };
        let told = ["cite", "cap_tokens: 7", "min_sources: 2", "max_answer_characters: 400", "log", "approve"];
        assert_eq!(obligations(all), told);
        assert!(obligations(Obligations::default()).is_empty());
    }
}

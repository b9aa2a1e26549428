//! What stands in the journal for those who will want proof, beside what rooms need.
use bailiwick_kernel::money::NanoUsd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an answer stands on beyond its own record: which words, which rules, which flags. The last of the answer's records,
/// in the same append; it says how many those are, so that none of them can be left out of a receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AnswerGrounded {
    /// Which question.
    pub query_id: String,
    /// Records of the answer, from its own to this one.
    pub records: u32,
    /// The chunks it cites, in the order of its chunks.
    pub passages: Vec<PassageVersion>,
    /// Digest of all files of the policy it was cleared under: rules, models, regions, flags.
    pub policy_digest: String,
    /// Ids of the rules that permitted it; the first of them, where there are very many.
    pub permitted_by: Vec<String>,
    /// What went with the permission, a text each.
    pub obligations: Vec<String>,
    /// What the tenant's flags said for whoever asked when it was cleared, in the order of their names.
    pub flags: Vec<FlagSaid>,
    /// Flags that had no room.
    pub flags_left_out: u32,
    /// Money that was held for it; what was charged stands in the answer's own record, and the difference went back.
    pub held: NanoUsd,
}

impl AnswerGrounded {
    /// The same, behind so many records of the answer.
    #[must_use]
    pub fn behind(self, records: usize) -> Self {
        Self { records: u32::try_from(records.saturating_add(1)).unwrap_or(u32::MAX), ..self }
    }
}

/// What a model was told of the conversation before a question; stands in the same append as the answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ConversationTold {
    /// Which question.
    pub query_id: String,
    /// The calls whose questions and answers it was told, oldest first.
    pub earlier: Vec<String>,
    /// Questions and answers it was told that came with the question: nobody here has answered them.
    pub brought_along: u32,
}

/// The head of another journal, as it was when this tenant took it in: it had grown from the one witnessed before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HeadWitnessed {
    /// The other journal: the name its heads are signed under ends with it.
    pub journal: String,
    /// The head, signed by the other tenant (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// What it is verified with.
    pub verifier_key: String,
    /// Records it is of.
    pub size: u64,
    /// When it was taken in.
    pub at_unix_ms: u64,
}

/// A chunk as it was when it was cited.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PassageVersion {
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
    /// The version of its document: the journal position that was accepted at.
    pub version: u64,
}

/// What a flag said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FlagSaid {
    /// Which flag.
    pub flag: String,
    /// Its value, as JSON.
    pub value: String,
}

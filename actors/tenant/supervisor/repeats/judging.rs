//! What of a kept reply may be said again: what the policy in force lets whoever asks be told now. Pure.
use super::keeping;
use crate::entry::LineageChunk;
use crate::question::Reply;
use crate::ruling::Ruled;
use crate::supervisor::exit;
use crate::turn::Given;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::compile::PolicySnapshot;
use bailiwick_policy::visibility::Document;

/// A reply as the journal keeps it, with what it rests on.
#[derive(Clone, PartialEq, Debug)]
pub struct KeptReply {
    /// The reply, with its receipt.
    pub reply: Reply,
    /// The passages it cites.
    pub cited: Vec<LineageChunk>,
}

impl KeptReply {
    /// The reply as it may be given under this policy to whom it has ruled on: what is withheld, hidden or redacted now is
    /// not said again because it was said before.
    ///
    /// # Errors
    /// `policy_denied` where its words are forbidden now, or must cite and do not; `conflict` where it quotes what may not
    /// be found any more.
    pub fn given(self, policy: &PolicySnapshot, ruled: &Ruled) -> Outcome<Given> {
        let Self { mut reply, cited } = self;
        let visible = ruled.visible(policy)?;
        let hidden = |chunk: &LineageChunk| {
            let LineageChunk { source_id: id, domain, usecase, .. } = chunk;
            !visible.admits(&Document { id, domain, usecase })
        };
        if cited.iter().any(hidden) {
            // whoever may not find a document is told what they are told of one that is gone
            return Err(keeping::quotes_removed());
        }
        if let Reply::Answer(answer) = &reply
            && !answer.abstained
            && answer.citations.is_empty()
            && (policy.governance.require_citations || ruled.obligations().must_cite())
        {
            let detail = "repeating a call: its answer cites nothing, and the policy asks for citations now; send another \
                          Idempotency-Key to ask again";
            return Err(Rejection::new(Code::PolicyDenied, detail));
        }
        exit::redact(&mut reply, ruled.obligations().redact);
        if policy.output_violation(&exit::words_of(&reply)).is_some() {
            return Err(exit::withheld());
        }
        Ok(Given::of_record(reply))
    }
}

//! The trust and poisoning guard of specification 2.3, compiled: which chunks may ever be retrieved.
use crate::hosts::{HostPattern, SourceHost, source_host};
use crate::patterns;
use crate::schema::{SecurityRules, SelectionRules};
use regex::RegexSet;

/// Changes whenever the same rules would judge a document differently than before: part of the fingerprint.
const JUDGEMENT: &str = "bailiwick guard 1";

const REPEATED: &str = "selection.question_repeated_min_trust";
const ALIKE: &str = "selection.alike_min_trust";
/// Beyond it the least difference of trust outweighs any difference of words.
const EXPONENT_MAX: f64 = 16.0;

/// Compiled [`crate::schema::SecurityRules`].
#[derive(Clone, Debug)]
pub struct Guard {
    /// SHA-256 over the canonical rules, in hexadecimal: an index carries the fingerprint it was judged under.
    pub fingerprint: String,
    /// Patterns no retrieved chunk may contain.
    pub forbidden: RegexSet,
    /// Lowest trust score (0 to 1) of a retrieved chunk.
    pub min_trust_score: f64,
    /// Documents need a valid detached signature.
    pub signature_required: bool,
    /// How answers choose among the passages found.
    pub selection: Option<SelectionRules>,
    allowlist: Vec<HostPattern>,
    trust_scores: Vec<(HostPattern, f64)>,
    default_trust_score: f64,
}

/// What the guard says about a document as a whole. Quarantined documents are kept and never retrieved.
#[derive(Clone, PartialEq, Debug)]
pub enum DocumentVerdict {
    /// Chunks of the document may be retrieved, unless a chunk's own text is forbidden.
    Admitted {
        /// 0 to 1.
        trust_score: f64,
    },
    /// No chunk of the document may be retrieved.
    Quarantined {
        /// Lower case: what is wrong.
        reason: String,
    },
}

/// One thing that keeps rules from being compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct GuardError {
    /// Key path below `security`, such as `allowlist[2]`.
    pub path: String,
    /// Lower case: what is wrong and what to do.
    pub problem: String,
}

impl Guard {
    /// Compiles the rules.
    ///
    /// # Errors
    /// Everything wrong with them: no guard is better than half a guard, since a tenant without one retrieves nothing.
    pub fn compile(rules: &SecurityRules) -> Result<Self, Vec<GuardError>> {
        let mut errors = Vec::new();
        let allowlist = allowlist(rules, &mut errors);
        let trust_scores = trust_scores(rules, &mut errors);
        for (path, score) in
            [("min_trust_score", rules.min_trust_score), ("default_trust_score", rules.default_trust_score)]
        {
            errors.extend(score_error(path, score));
        }
        if let Some(SelectionRules { trust_exponent, question_repeated_min_trust, alike_min_trust }) = rules.selection {
            errors.extend(question_repeated_min_trust.and_then(|score| score_error(REPEATED, score)));
            errors.extend(alike_min_trust.and_then(|score| score_error(ALIKE, score)));
            if !(0.0..=EXPONENT_MAX).contains(&trust_exponent) {
                let problem = format!("{trust_exponent} is no power of trust; write a number from 0 to {EXPONENT_MAX}");
                errors.push(GuardError { path: "selection.trust_exponent".into(), problem });
            }
        }
        let forbidden = patterns::compile(&rules.forbidden_patterns).map_err(|problems| {
            problems
                .into_iter()
                .map(|(index, problem)| GuardError { path: indexed("forbidden_patterns", index), problem })
        });
        match forbidden {
            Ok(forbidden) if errors.is_empty() => Ok(Self {
                fingerprint: fingerprint(rules, &allowlist),
                forbidden,
                min_trust_score: rules.min_trust_score,
                signature_required: rules.signature_required,
                selection: rules.selection,
                allowlist,
                trust_scores,
                default_trust_score: rules.default_trust_score,
            }),
            Ok(_) => Err(errors),
            Err(problems) => {
                errors.extend(problems);
                Err(errors)
            }
        }
    }

    /// Judges a document by where it says it comes from. `source` is an http or https URL, or `upload.local/…` for
    /// an upload without a source; `has_valid_signature` tells whether a detached signature was verified.
    #[must_use]
    pub fn judge_document(&self, source: &str, has_valid_signature: bool) -> DocumentVerdict {
        let quarantined = |reason: String| DocumentVerdict::Quarantined { reason };
        let host = match source_host(source) {
            Ok(host) => host,
            Err(reason) => return quarantined(reason),
        };
        if !self.allowlist.iter().any(|pattern| pattern.matches(&host)) {
            return quarantined(format!("host {} is not on the allowlist", host.as_str()));
        }
        if self.signature_required && !has_valid_signature {
            return quarantined("no valid signature, and the policy requires one".into());
        }
        let trust_score = self.trust_score(&host);
        if trust_score < self.min_trust_score {
            return quarantined(format!(
                "trust score {trust_score} of {} is below the minimum {}",
                host.as_str(),
                self.min_trust_score
            ));
        }
        DocumentVerdict::Admitted { trust_score }
    }

    /// Which line of the allowlist admits a source: the nearest one, none where it is not admitted.
    #[must_use]
    pub fn line_of(&self, source: &str) -> Option<usize> {
        let host = source_host(source).ok()?;
        nearest(self.allowlist.iter().enumerate().map(|(line, pattern)| (pattern, line)), &host)
    }

    /// Index of the first forbidden pattern the text contains, in time linear in the text. A chunk that contains one
    /// is never retrieved.
    #[must_use]
    pub fn judge_text(&self, text: &str) -> Option<usize> {
        patterns::first_match(&self.forbidden, text)
    }

    fn trust_score(&self, host: &SourceHost) -> f64 {
        let scores = self.trust_scores.iter().map(|(pattern, score)| (pattern, *score));
        nearest(scores, host).unwrap_or(self.default_trust_score)
    }
}

/// What is said of the nearest of the patterns that match a host.
fn nearest<'a, T>(said: impl Iterator<Item = (&'a HostPattern, T)>, host: &SourceHost) -> Option<T> {
    let matching = said.filter(|(pattern, _)| pattern.matches(host));
    matching.max_by_key(|(pattern, _)| pattern.nearness()).map(|(_, said)| said)
}

fn allowlist(rules: &SecurityRules, errors: &mut Vec<GuardError>) -> Vec<HostPattern> {
    let parsed = rules.allowlist.iter().enumerate().map(|(index, text)| {
        HostPattern::parse(text).map_err(|problem| GuardError { path: indexed("allowlist", Some(index)), problem })
    });
    keep(parsed, errors)
}

fn trust_scores(rules: &SecurityRules, errors: &mut Vec<GuardError>) -> Vec<(HostPattern, f64)> {
    let path = |text: &str| format!("trust_scores.{text}");
    errors.extend(rules.trust_scores.iter().filter_map(|(text, score)| score_error(&path(text), *score)));
    let parsed = rules.trust_scores.iter().map(|(text, score)| {
        HostPattern::parse(text)
            .map(|pattern| (pattern, *score))
            .map_err(|problem| GuardError { path: path(text), problem })
    });
    let scores: Vec<(HostPattern, f64)> = keep(parsed, errors);
    let mut seen = std::collections::BTreeSet::new();
    errors.extend(scores.iter().map(|(pattern, _)| pattern.canonical()).filter(|name| !seen.insert(name.clone())).map(
        |name| GuardError {
            path: "trust_scores".into(),
            problem: format!("{name} is scored twice in different spellings: keep one"),
        },
    ));
    scores
}

fn keep<T>(parsed: impl Iterator<Item = Result<T, GuardError>>, errors: &mut Vec<GuardError>) -> Vec<T> {
    parsed.filter_map(|result| result.map_err(|error| errors.push(error)).ok()).collect()
}

fn score_error(path: &str, score: f64) -> Option<GuardError> {
    // written so that a value that is no number is refused
    let fits = (0.0..=1.0).contains(&score);
    (!fits)
        .then(|| GuardError { path: path.into(), problem: format!("{score} is no share: write a number from 0 to 1") })
}

fn indexed(path: &str, index: Option<usize>) -> String {
    index.map_or_else(|| path.to_owned(), |index| format!("{path}[{index}]"))
}

fn fingerprint(rules: &SecurityRules, allowlist: &[HostPattern]) -> String {
    let mut hosts: Vec<String> = allowlist.iter().map(HostPattern::canonical).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let canonical = serde_json::json!({
        "judgement": JUDGEMENT,
        "allowlist": hosts,
        "forbidden_patterns": rules.forbidden_patterns,
        "signature_required": rules.signature_required,
        "min_trust_score": rules.min_trust_score,
        "trust_scores": rules.trust_scores,
        "default_trust_score": rules.default_trust_score,
    });
    crate::digest::sha256_hex(canonical.to_string().as_bytes())
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

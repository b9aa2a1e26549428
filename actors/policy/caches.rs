//! What must hold of the answer caches in `router.yaml`: one that could hold nothing, or more than one tenant may, or that
//! would take any question for any other, is a slip.
use crate::findings::{Findings, Source};
use crate::schema::*;
use bailiwick_kernel::limits::{CACHE_BYTES_MAX, CACHE_BYTES_MIN, CACHE_TTL_S_MAX, SEMANTIC_CACHE_BYTES_MAX};

/// The embedded provider's name in `router.yaml`: it picks sentences and embeds nothing.
const EMBEDDED: &str = "extractive";
/// Below this similarity common embedding models take questions of one subject for the same question.
const SIMILARITY_LOW: f64 = 0.8;

pub(crate) fn check(source: &Source<RouterFile>, findings: &mut Findings) {
    let Some(CacheRules { exact, semantic }) = &source.value.cache else { return };
    if exact.is_none() && semantic.is_none() {
        let problem = "it caches nothing: write cache.exact or cache.semantic, or leave cache out";
        return findings.refuse(source, "cache", problem);
    }
    if let Some(ExactCacheRules { ttl_s, max_bytes }) = exact {
        bounds(source, "cache.exact", *ttl_s, (*max_bytes, CACHE_BYTES_MAX), findings);
    }
    if let Some(rules) = semantic {
        bounds(source, "cache.semantic", rules.ttl_s, (rules.max_bytes, SEMANTIC_CACHE_BYTES_MAX), findings);
        meaning(source, rules, findings);
    }
}

fn bounds(
    source: &Source<RouterFile>,
    section: &str,
    ttl_s: u32,
    (max_bytes, bytes_max): (u64, u64),
    findings: &mut Findings,
) {
    let figures =
        [("ttl_s", u64::from(ttl_s), 1, CACHE_TTL_S_MAX), ("max_bytes", max_bytes, CACHE_BYTES_MIN, bytes_max)];
    for (key, value, least, most) in figures {
        if !(least..=most).contains(&value) {
            let problem = format!("{value} is out of range: write {least} to {most}");
            findings.refuse(source, &format!("{section}.{key}"), problem);
        }
    }
}

fn meaning(source: &Source<RouterFile>, rules: &SemanticCacheRules, findings: &mut Findings) {
    let SemanticCacheRules { min_similarity, embedding, .. } = rules;
    let path = "cache.semantic.min_similarity";
    if !(*min_similarity > 0.0 && *min_similarity <= 1.0) {
        findings.refuse(source, path, format!("{min_similarity} is out of range: write a number above 0, at most 1"));
    } else if *min_similarity < SIMILARITY_LOW {
        let problem = format!(
            "at {min_similarity} most embedding models take different questions for the same one: write {SIMILARITY_LOW} or more"
        );
        findings.warn(source, path, problem);
    }
    findings.written(source, "cache.semantic.embedding.model", &embedding.model);
    let path = "cache.semantic.embedding.provider";
    findings.written(source, path, &embedding.provider);
    if embedding.provider == EMBEDDED {
        findings.refuse(source, path, "the embedded provider embeds nothing: name one of config.toml that does");
    }
    if embedding.provider == CACHE_PROVIDER {
        let problem = "answers out of the cache are recorded under this name: call the provider otherwise";
        findings.refuse(source, path, problem);
    }
}

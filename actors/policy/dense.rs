//! What a tenant's `policies/retrieval.yaml` says about finding passages by their meaning, and when that is in force. Pure.
use crate::findings::{Findings, Source};
use crate::schema::RetrievalPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Chunks embedded in a minute unless the tenant says otherwise.
const CHUNKS_PER_MINUTE: u32 = 6_000;
/// The most a tenant may say.
const CHUNKS_PER_MINUTE_MAX: u32 = 600_000;

/// How the two rankings of a question become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// The scores of each, stretched to 0…1 and added by weight.
    #[default]
    MinMax,
    /// Their reciprocal ranks, added by weight (RRF, k = 60).
    Rrf,
}

/// `settings.dense` of `policies/retrieval.yaml`: passages are found by their meaning, beside their words. Absent: by their
/// words alone, and nothing is embedded.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenseSettings {
    /// The model that embeds passages and questions; `allowed_models` of governance.yaml must allow it, and `config.toml`
    /// name a provider that has a price for it.
    pub model: String,
    /// How the two rankings become one.
    #[serde(default)]
    pub fusion: Fusion,
    /// Weight of the ranking by meaning, 0 to 1.
    #[serde(default = "half")]
    pub weight: f64,
    /// Passages embedded in a minute, at most.
    #[serde(default = "pace")]
    pub chunks_per_minute: u32,
    /// True: it is used before golden questions have been asked with and without it. Once they have, what came of that
    /// decides.
    #[serde(default)]
    pub untested: bool,
    /// True: accepted answers and golden questions move the weight, between 0.2 and 0.8, where that ranks questions better
    /// that were not learnt from. Whoever may praise answers then has a part in how everybody's passages rank.
    #[serde(default)]
    pub learn: bool,
}

fn half() -> f64 {
    0.5
}

fn pace() -> u32 {
    CHUNKS_PER_MINUTE
}

/// What golden questions came to with and without the ranking by meaning: mean nDCG@10, in millionths.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// The settings it was judged under, as [`DenseSettings::name`] gives them.
    pub settings: String,
    /// Golden questions asked.
    pub questions: u32,
    /// By words alone.
    pub lexical_ppm: u32,
    /// By words and meaning.
    pub hybrid_ppm: u32,
    /// When.
    pub at_unix_ms: u64,
}

/// What accepted answers and golden questions came to for the weight. Figures are means over the questions that were not
/// learnt from, in millionths.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Learnt {
    /// The settings it was learnt under, as [`DenseSettings::name`] gives them.
    pub settings: String,
    /// The weight, in millionths; nothing where the policy's stays.
    pub weight_ppm: Option<u32>,
    /// Questions of which it is known what answers them.
    pub questions: u32,
    /// Those of them that are accepted answers.
    pub accepted: u32,
    /// nDCG@10 with weights learnt from the others.
    pub learnt_ppm: u32,
    /// With the policy's weight.
    pub policy_ppm: u32,
    /// By words alone.
    pub lexical_ppm: u32,
    /// Somebody took the weight back: nothing is learnt before somebody allows it again.
    pub is_stopped: bool,
    /// By whose key.
    pub by: String,
    /// When.
    pub at_unix_ms: u64,
}

impl DenseSettings {
    /// The weight rankings are added by: the learnt one where these settings want it, it was learnt under them, and nobody
    /// took it back; the policy's otherwise.
    #[must_use]
    pub fn weight_in_force(&self, learnt: Option<&Learnt>) -> f64 {
        let learnt = learnt.filter(|learnt| self.learn && !learnt.is_stopped && learnt.settings == self.name());
        learnt.and_then(|learnt| learnt.weight_ppm).map_or(self.weight, |ppm| f64::from(ppm) / 1e6)
    }

    /// What a judgement is about: other settings are judged anew.
    #[must_use]
    pub fn name(&self) -> String {
        let Self { model, fusion, weight, .. } = self;
        let fusion = match fusion {
            Fusion::MinMax => "min_max",
            Fusion::Rrf => "rrf",
        };
        format!("{model}/{fusion}/{weight}")
    }

    /// Whether passages are found by their meaning as well.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn in_force(&self, judged: Option<&Judged>) -> Result<(), String> {
        let judged = judged.filter(|judged| judged.settings == self.name());
        match judged {
            Some(Judged { questions, lexical_ppm, hybrid_ppm, .. }) if hybrid_ppm < lexical_ppm => Err(format!(
                "on {questions} golden questions words alone rank better (nDCG@10 {} against {})",
                millionths(*lexical_ppm),
                millionths(*hybrid_ppm)
            )),
            Some(_) => Ok(()),
            None if self.untested => Ok(()),
            None => {
                Err("golden questions have not been asked with and without it: run an evaluation, or write untested: \
                         true in policies/retrieval.yaml"
                    .to_owned())
            }
        }
    }
}

fn millionths(ppm: u32) -> String {
    format!("{:.4}", f64::from(ppm) / 1e6)
}

pub(crate) fn check(source: &Source<RetrievalPolicy>, findings: &mut Findings) {
    let Some(DenseSettings { model, weight, chunks_per_minute, .. }) = &source.value.settings.dense else { return };
    findings.written(source, "settings.dense.model", model);
    findings.share(source, "settings.dense.weight", *weight);
    if !(1..=CHUNKS_PER_MINUTE_MAX).contains(chunks_per_minute) {
        let problem = format!("{chunks_per_minute} is out of range: write 1 to {CHUNKS_PER_MINUTE_MAX}");
        findings.refuse(source, "settings.dense.chunks_per_minute", problem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(untested: bool) -> DenseSettings {
        DenseSettings {
            model: "m".into(),
            fusion: Fusion::MinMax,
            weight: 0.5,
            chunks_per_minute: 60,
            untested,
            learn: true,
        }
    }

    fn learnt() -> Learnt {
        Learnt {
            settings: settings(false).name(),
            weight_ppm: Some(640_000),
            questions: 40,
            accepted: 10,
            learnt_ppm: 2,
            policy_ppm: 1,
            lexical_ppm: 0,
            is_stopped: false,
            by: "k".into(),
            at_unix_ms: 0,
        }
    }

    fn judged(lexical_ppm: u32, hybrid_ppm: u32) -> Judged {
        Judged { settings: settings(false).name(), questions: 9, lexical_ppm, hybrid_ppm, at_unix_ms: 0 }
    }

    #[test]
    fn it_is_in_force_where_it_does_not_lose_or_the_tenant_says_so() {
        let in_force = |untested: bool, judged: Option<Judged>| settings(untested).in_force(judged.as_ref());
        assert!(in_force(false, None).unwrap_err().contains("run an evaluation"));
        assert_eq!(in_force(true, None), Ok(()));
        for untested in [false, true] {
            assert_eq!(in_force(untested, Some(judged(700_000, 700_000))), Ok(()));
            assert_eq!(in_force(untested, Some(judged(700_000, 700_001))), Ok(()));
            let refused = in_force(untested, Some(judged(700_000, 699_999))).unwrap_err();
            assert!(refused.contains("0.7000") && refused.contains("9 golden questions"), "{refused}");
        }
        let of_others = Judged { settings: "n/min_max/0.5".into(), ..judged(0, 1) };
        assert!(in_force(false, Some(of_others)).is_err(), "a judgement of other settings says nothing");
    }

    #[test]
    fn the_policys_weight_stands_wherever_anything_speaks_against_the_learnt_one() {
        let weight = |settings: &DenseSettings, learnt: &Learnt| settings.weight_in_force(Some(learnt));
        let wants = settings(false);
        assert_eq!(weight(&wants, &learnt()), 0.64);
        for (settings, learnt) in [
            (DenseSettings { learn: false, ..wants.clone() }, learnt()),
            (DenseSettings { model: "n".into(), ..wants.clone() }, learnt()),
            (wants.clone(), Learnt { is_stopped: true, ..learnt() }),
            (wants.clone(), Learnt { weight_ppm: None, ..learnt() }),
        ] {
            assert_eq!(weight(&settings, &learnt), 0.5);
        }
        assert_eq!(wants.weight_in_force(None), 0.5);
        let written: DenseSettings = serde_json::from_str(r#"{"model": "m"}"#).unwrap();
        assert!(!written.learn, "who says nothing keeps the weight that is written");
    }
}

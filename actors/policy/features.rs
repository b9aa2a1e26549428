//! `features.yaml`: the flags of one tenant, and what is wrong with them.
use crate::findings::{Findings, Source};
use crate::flags::{OFF, ON};
use crate::parse::advice;
use crate::percent::Percent;
use bailiwick_kernel::limits::{
    FLAG_NAME_CHARS_MAX, FLAG_SPLIT_WEIGHT_MAX, FLAG_TARGETS_MAX, FLAG_VARIANTS_MAX, FLAGS_MAX, NAME_CHARS_MAX,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `features.yaml`: flags of one tenant.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeaturesFile {
    /// The tenant's name.
    pub tenant_id: String,
    /// Flag name to its state.
    #[serde(default)]
    pub features: BTreeMap<String, Feature>,
}

/// One feature flag. Without `variants` it is a boolean one, whose variants are `on` and `off`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// On or off.
    pub enabled: bool,
    /// Turned off first when the tenant's service level suffers.
    #[serde(default)]
    pub experimental: bool,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// Off for everybody at once; wins over everything else.
    #[serde(default, skip_serializing_if = "is_false")]
    pub kill_switch: bool,
    /// Share of all targeting keys it is on for, in percent, with up to three digits after the point. Who is in at one
    /// percentage is in at every higher one.
    #[serde(default, skip_serializing_if = "is_everybody")]
    pub rollout_percent: Percent,
    /// Draws anew who is in: another text, other keys. Leave it as it is while a rollout is under way.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seed: String,
    /// Variant to its value, all of one type: boolean, number, text or object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Value>,
    /// The variant of everybody the flag is off for, and of everybody where there is no `split`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_variant: Option<String>,
    /// Variant to its weight among the keys the flag is on for. Another weight moves some keys to another variant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub split: BTreeMap<String, u32>,
    /// Who is given a variant by name, before any share is drawn; the first that matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
}

/// Some who are given one variant: by their targeting keys, or by an attribute of the context.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Targeting keys.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub keys: BTreeSet<String>,
    /// An attribute of the context …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// … and the texts of which it has to be one, to the letter.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub values: BTreeSet<String>,
    /// What they are given.
    pub variant: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape serde asks for")]
fn is_everybody(percent: &Percent) -> bool {
    *percent == Percent::ALL
}

/// What is wrong with a name; `None` where it is one. A flag's name is part of a path, and names are ordered in several
/// languages alike.
pub(crate) fn name_problem(kind: &str, name: &str) -> Option<String> {
    let fits = (1..=FLAG_NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':'));
    (!fits).then(|| {
        format!("{name:?} is no name of a {kind}: write 1 to {FLAG_NAME_CHARS_MAX} letters, digits and . _ - :")
    })
}

pub(crate) fn check(source: &Source<FeaturesFile>, findings: &mut Findings) {
    let flags = &source.value.features;
    if flags.len() > FLAGS_MAX {
        let problem = format!("{} flags are too many: write at most {FLAGS_MAX}", flags.len());
        return findings.refuse(source, "features", problem);
    }
    for (name, flag) in flags {
        let path = format!("features.{name}");
        if let Some(problem) = name_problem("flag", name) {
            findings.refuse(source, &path, problem);
        }
        Checked { source, path, flag }.all(findings);
    }
}

/// One flag and where it stands.
struct Checked<'a> {
    source: &'a Source<FeaturesFile>,
    path: String,
    flag: &'a Feature,
}

impl Checked<'_> {
    fn refuse(&self, below: &str, problem: impl AsRef<str>, findings: &mut Findings) {
        findings.refuse(self.source, &format!("{}.{below}", self.path), problem);
    }

    fn all(&self, findings: &mut Findings) {
        if self.flag.seed.chars().count() > NAME_CHARS_MAX {
            self.refuse("seed", format!("it is longer than {NAME_CHARS_MAX} characters: shorten it"), findings);
        }
        self.variants(findings);
        self.split(findings);
        if self.flag.targets.len() > FLAG_TARGETS_MAX {
            let problem = format!("{} are too many: write at most {FLAG_TARGETS_MAX}", self.flag.targets.len());
            return self.refuse("targets", problem, findings);
        }
        for (index, target) in self.flag.targets.iter().enumerate() {
            self.target(&format!("targets[{index}]"), target, findings);
        }
    }

    fn variants(&self, findings: &mut Findings) {
        let Feature { variants, default_variant, split, rollout_percent, .. } = self.flag;
        if variants.len() > FLAG_VARIANTS_MAX {
            let problem = format!("{} are too many: write at most {FLAG_VARIANTS_MAX}", variants.len());
            return self.refuse("variants", problem, findings);
        }
        let mut first: Option<(&str, Kind)> = None;
        for (name, value) in variants {
            let path = format!("variants.{name}");
            if let Some(problem) = name_problem("variant", name) {
                self.refuse(&path, problem, findings);
            }
            match (Kind::of(value), first) {
                (None, _) => {
                    self.refuse(
                        &path,
                        "no flag has such a value: write true or false, a number, a text or an object",
                        findings,
                    );
                }
                (Some(kind), None) => first = Some((name, kind)),
                (Some(kind), Some((other, first))) if kind != first => {
                    let problem = format!("{kind:?} here and {first:?} in {other:?}: write all values in one type");
                    self.refuse(&path, problem.to_lowercase(), findings);
                }
                _ => {}
            }
        }
        match default_variant {
            Some(name) if variants.is_empty() => {
                let problem = format!("{name:?} is none: a flag without variants is on or off, so leave this out");
                self.refuse("default_variant", problem, findings);
            }
            Some(name) => self.known("default_variant", name, findings),
            None if !variants.is_empty() => {
                self.refuse("default_variant", "it is missing: say what those get whom the flag is off for", findings);
            }
            None => {}
        }
        if !variants.is_empty() && split.is_empty() && *rollout_percent != Percent::ALL {
            let problem = "without a split everybody gets the default_variant, in or out: write a split";
            self.refuse("rollout_percent", problem, findings);
        }
    }

    fn split(&self, findings: &mut Findings) {
        let split = &self.flag.split;
        if split.is_empty() {
            return;
        }
        if self.flag.variants.is_empty() {
            let problem = "there are no variants to split between: write variants, or rollout_percent alone";
            return self.refuse("split", problem, findings);
        }
        for name in split.keys() {
            self.known(&format!("split.{name}"), name, findings);
        }
        let sum = split.values().fold(0_u64, |sum, weight| sum.saturating_add(u64::from(*weight)));
        if !(1..=u64::from(FLAG_SPLIT_WEIGHT_MAX)).contains(&sum) {
            let problem =
                format!("the weights add up to {sum}: write whole numbers that add up to 1 to {FLAG_SPLIT_WEIGHT_MAX}");
            self.refuse("split", problem, findings);
        }
    }

    fn target(&self, path: &str, target: &Target, findings: &mut Findings) {
        let Target { keys, attribute, values, variant } = target;
        match attribute {
            Some(attribute) if attribute.trim().is_empty() => {
                self.refuse(&format!("{path}.attribute"), "it is empty: name an attribute of the context", findings);
            }
            Some(_) if !keys.is_empty() => {
                self.refuse(path, "it has keys and an attribute: write two targets", findings);
            }
            Some(_) if values.is_empty() => {
                self.refuse(&format!("{path}.values"), "no value ever matches: write at least one", findings);
            }
            None if !values.is_empty() => {
                self.refuse(&format!("{path}.values"), "values of what: name the attribute", findings);
            }
            None if keys.is_empty() => {
                self.refuse(path, "it matches nobody: write keys, or an attribute and its values", findings);
            }
            _ => {}
        }
        self.known(&format!("{path}.variant"), variant, findings);
    }

    fn known(&self, path: &str, name: &str, findings: &mut Findings) {
        let variants = &self.flag.variants;
        let known: Vec<&str> =
            if variants.is_empty() { vec![ON, OFF] } else { variants.keys().map(String::as_str).collect() };
        if !known.contains(&name) {
            let problem = format!("the flag has no variant {name:?}: {}", advice(name, &known));
            self.refuse(path, problem, findings);
        }
    }
}

/// The types a flag may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Boolean,
    Number,
    Text,
    Object,
}

impl Kind {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_) => Some(Self::Boolean),
            Value::Number(_) => Some(Self::Number),
            Value::String(_) => Some(Self::Text),
            Value::Object(_) => Some(Self::Object),
            Value::Null | Value::Array(_) => None,
        }
    }
}

#[cfg(test)]
#[path = "features_tests.rs"]
mod tests;

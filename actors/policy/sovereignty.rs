//! Where data and calls may be, and how long data must be kept (specification 2.5).
use crate::language::condition::Pattern;
use crate::schema::Sovereignty;

const MS_PER_DAY: u64 = 86_400_000;

/// Decides whether data or a call may be in a region. A forbidden region wins over an allowed one; `*` at the end
/// stands for any rest; a region nobody allowed is refused.
///
/// # Errors
/// Why the region is refused, in words for the caller.
pub fn region_allowed(sovereignty: &Sovereignty, region: &str) -> Result<(), String> {
    if let Some(problem) = region_problem(region) {
        return Err(problem);
    }
    if let Some(forbidden) = sovereignty.forbidden_regions.iter().find(|pattern| Pattern::of(pattern).matches(region)) {
        return Err(format!("region {region} is forbidden by {forbidden:?}"));
    }
    if sovereignty.allowed_regions.iter().any(|pattern| Pattern::of(pattern).matches(region)) {
        return Ok(());
    }
    Err(format!("region {region} is not among the allowed regions ({})", sovereignty.allowed_regions.join(", ")))
}

/// Decides whether data of a kind (`logs`, `data` or `backups`) of this age may be deleted. A kind no rule speaks
/// of is refused: without a known minimum, any age would do.
///
/// # Errors
/// Why the data must stay, in words for the caller.
pub fn retention_allows_delete(sovereignty: &Sovereignty, data_type: &str, age_ms: u64) -> Result<(), String> {
    let retention = &sovereignty.retention;
    let days = match data_type {
        "logs" => retention.logs_days,
        "data" => retention.data_days,
        "backups" => retention.backups_days,
        _ => return Err(format!("no retention is set for data of type {data_type:?}: it stays")),
    };
    if age_ms >= u64::from(days).saturating_mul(MS_PER_DAY) {
        return Ok(());
    }
    Err(format!("{data_type} must be kept {days} days and is {} days old", age_ms / MS_PER_DAY))
}

/// What is wrong with a text as the name of one region; `None` where it is one.
#[must_use]
pub fn region_problem(region: &str) -> Option<String> {
    let fits = !region.is_empty()
        && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (!fits).then(|| format!("{region:?} is no region: write lower-case letters, digits and hyphens, such as eu-west-1"))
}

/// What is wrong with a text as a pattern of regions: a region, or the beginning of one and `*`.
#[must_use]
pub fn region_pattern_problem(pattern: &str) -> Option<String> {
    region_problem(pattern.strip_suffix('*').unwrap_or(pattern)).map(|_| {
        format!(
            "{pattern:?} is no region pattern: write a region such as eu-west-1, or its beginning and * such as cn-*"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Retention, SovereignEncryption};
    use proptest::prelude::*;

    fn rules(allowed: &[&str], forbidden: &[&str]) -> Sovereignty {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Sovereignty {
            region: "eu-west-1".into(),
            allowed_regions: owned(allowed),
            forbidden_regions: owned(forbidden),
            retention: Retention { logs_days: 90, data_days: 365, backups_days: 2555 },
            encryption: SovereignEncryption {
                at_rest: "AES-256".into(),
                in_transit: "TLS-1.3".into(),
                kms_key_id: None,
                key_rotation_days: None,
            },
            compliance: vec![],
        }
    }

    #[test]
    fn regions() {
        let rules = rules(&["eu-west-1", "us-*", "cn-north-1"], &["cn-*", "us-gov-west-1"]);
        for allowed in ["eu-west-1", "us-east-1", "us-west-2"] {
            assert_eq!(region_allowed(&rules, allowed), Ok(()), "{allowed}");
        }
        let refused = [
            "cn-north-1",
            "cn-",
            "us-gov-west-1",
            "eu-west-10",
            "eu-west",
            "EU-WEST-1",
            "ru-1",
            "",
            " eu-west-1",
            "*",
            "us-*",
            "eu-west-1\n",
            "ｅu-west-1",
        ];
        for refused in refused {
            assert!(region_allowed(&rules, refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn the_error_names_the_rule() {
        let rules = rules(&["cn-north-1"], &["cn-*"]);
        assert_eq!(region_allowed(&rules, "cn-north-1").unwrap_err(), "region cn-north-1 is forbidden by \"cn-*\"");
        assert!(region_allowed(&rules, "eu-west-1").unwrap_err().contains("not among the allowed regions"));
    }

    #[test]
    fn retention_by_kind() {
        let rules = rules(&[], &[]);
        for (kind, days) in [("logs", 90), ("data", 365), ("backups", 2555)] {
            assert!(retention_allows_delete(&rules, kind, days * MS_PER_DAY - 1).is_err(), "{kind}");
            assert_eq!(retention_allows_delete(&rules, kind, days * MS_PER_DAY), Ok(()), "{kind}");
        }
        let none = Sovereignty { retention: Retention { logs_days: 0, data_days: 0, backups_days: 0 }, ..rules };
        assert_eq!(retention_allows_delete(&none, "data", 0), Ok(()));
    }

    proptest! {
        #[test]
        fn an_unknown_kind_of_data_stays_for_ever(kind in ".*", age_ms: u64) {
            prop_assume!(!["logs", "data", "backups"].contains(&kind.as_str()));
            prop_assert!(retention_allows_delete(&rules(&[], &[]), &kind, age_ms).is_err());
        }

        #[test]
        fn a_forbidden_region_is_never_allowed(rest in "[a-z0-9-]{0,12}") {
            let region = format!("cn-{rest}");
            prop_assert!(region_allowed(&rules(&["cn-*", &region], &["cn-*"]), &region).is_err());
        }
    }
}

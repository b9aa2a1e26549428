//! The compliance regimes a tenant may say it is under, and the least each of them asks of `data-sovereignty.yaml`.
//!
//! Only what a text of the regime says in figures stands here: everything else about compliance is done by people.
use crate::findings::{Findings, Source};
use crate::parse::advice;
use crate::retention::DataType;
use crate::schema::*;

/// One regime.
struct Regime {
    name: &'static str,
    /// Days logs must be kept at least.
    logs_days_min: u32,
    /// Where that stands.
    because: &'static str,
}

const fn regime(name: &'static str) -> Regime {
    Regime { name, logs_days_min: 0, because: "" }
}

/// Every regime that is known (specification 2.2 and 2.5, and the one payments ask for).
const REGIMES: [Regime; 6] = [
    regime("GDPR"),
    Regime {
        logs_days_min: 1,
        because: "45 CFR 164.312(b) asks for records of what was done with health data",
        ..regime("HIPAA")
    },
    regime("ISO27001"),
    Regime {
        logs_days_min: 365,
        because: "requirement 10.5.1 asks for twelve months of audit logs",
        ..regime("PCI-DSS")
    },
    regime("SOC2"),
    regime("SOX"),
];

/// A regime nobody knows is refused: a slip in its name would switch off what it asks for in silence.
pub(crate) fn known<T>(source: &Source<T>, path: &str, regimes: &[String], findings: &mut Findings) {
    for (index, name) in regimes.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !REGIMES.iter().any(|regime| regime.name == name) {
            let names = REGIMES.map(|regime| regime.name);
            findings.refuse(source, &path, format!("{name:?} is no known regime: {}", advice(name, &names)));
        } else if regimes.iter().position(|other| other == name) != Some(index) {
            findings.refuse(source, &path, format!("{name} stands here twice: keep one"));
        }
    }
}

/// The least days each type of data is kept under these regimes, with the regime and where it says so.
pub(crate) fn minimums(regimes: &[String]) -> impl Iterator<Item = (DataType, u32, &'static str, &'static str)> {
    let named = REGIMES.iter().filter(|regime| regimes.iter().any(|name| name == regime.name));
    named
        .filter(|regime| regime.logs_days_min > 0)
        .map(|regime| (DataType::Logs, regime.logs_days_min, regime.name, regime.because))
}

/// What the regimes of the file ask of it.
pub(crate) fn demands(source: &Source<SovereigntyFile>, findings: &mut Findings) {
    let rules = &source.value.data_sovereignty;
    for regime in REGIMES.iter().filter(|regime| rules.compliance.iter().any(|name| name == regime.name)) {
        let (kept, least) = (rules.retention.logs_days, regime.logs_days_min);
        if kept < least {
            let problem = format!(
                "{kept} days of logs are too few for {}: {}; write at least {least}",
                regime.name, regime.because
            );
            findings.refuse(source, "data_sovereignty.retention.logs_days", problem);
        }
    }
}

/// What the registry's record says a tenant is under, its sovereignty must say as well: that is the file that is held to it.
pub(crate) fn agree(tenant: &Source<TenantFile>, sovereignty: &Source<SovereigntyFile>, findings: &mut Findings) {
    let there = &sovereignty.value.data_sovereignty.compliance;
    for (index, name) in tenant.value.metadata.compliance.iter().enumerate() {
        if !there.contains(name) {
            let problem = format!("{name} is not named in {}: add it there, or remove it here", sovereignty.file);
            findings.refuse(tenant, &format!("metadata.compliance[{index}]"), problem);
        }
    }
}

#[cfg(test)]
#[path = "regimes_tests.rs"]
mod tests;

//! Controls of who comes in, of where data is and how long, and of what keeps the service going.
use super::controls::{Control, Verdict};
use super::facts::*;
use super::frameworks::Framework::{Gdpr, Hipaa, Iso27001, Soc2, Sox};

fn hold(holds: bool, passed: impl Into<String>, failed: impl Into<String>) -> Verdict {
    Some(if holds { Ok(passed.into()) } else { Err(failed.into()) })
}

/// A number and what it counts, in the right form.
fn counted(count: impl TryInto<u64>, one: &str, many: &str) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

/// Every control of people and data.
pub const CONTROLS: &[Control] = &[
    Control {
        id: "ACC-1",
        title: "Separation of duties",
        checks: "Two active users may govern, so that nobody has to approve what they asked for themselves, and one audits",
        weight: 2,
        facts: &[&USERS_GOVERNING, &USERS_AUDITING],
        judge: |facts| {
            let (governing, auditing) = (facts.names(&USERS_GOVERNING)?, facts.names(&USERS_AUDITING)?);
            hold(
                governing.len() >= 2 && !auditing.is_empty(),
                format!("{} govern, {} audits", governing.join(", "), auditing.join(", ")),
                format!(
                    "{} and {}",
                    counted(governing.len(), "user governs", "users govern"),
                    counted(auditing.len(), "audits", "audit")
                ),
            )
        },
        to_do: "name two owners or admins and an auditor in users.yaml",
        supports: &[
            (Hipaa, "164.308(a)(3)(ii)(A)"),
            (Sox, "Section 404(a): access"),
            (Gdpr, "Art. 32(4)"),
            (Soc2, "CC6.3"),
            (Iso27001, "A.5.3"),
        ],
    },
    Control {
        id: "ACC-2",
        title: "Every key is somebody's",
        checks: "Each API key in use names the user it belongs to",
        weight: 2,
        facts: &[&KEYS_USABLE, &KEYS_WITHOUT_USER],
        judge: |facts| {
            let (usable, nameless) = (facts.count(&KEYS_USABLE)?, facts.count(&KEYS_WITHOUT_USER)?);
            hold(
                nameless == 0,
                format!("{} in use, each of a user", counted(usable, "key", "keys")),
                format!("{nameless} of {} in use name nobody", counted(usable, "key", "keys")),
            )
        },
        to_do: "issue keys with a user (bailiwick key issue --user) and revoke those without",
        supports: &[
            (Hipaa, "164.312(a)(2)(i)"),
            (Sox, "Section 404(a): access"),
            (Gdpr, "Art. 32(4)"),
            (Soc2, "CC6.1"),
            (Iso27001, "A.5.16"),
        ],
    },
    Control {
        id: "ACC-3",
        title: "Keys expire",
        checks: "No API key in use is valid for ever",
        weight: 1,
        facts: &[&KEYS_USABLE, &KEYS_WITHOUT_END],
        judge: |facts| {
            let (usable, endless) = (facts.count(&KEYS_USABLE)?, facts.count(&KEYS_WITHOUT_END)?);
            hold(
                endless == 0,
                format!("{} in use, each with an end", counted(usable, "key", "keys")),
                format!("{endless} of {} never expire", counted(usable, "key", "keys")),
            )
        },
        to_do: "issue keys with --expires and revoke those without an end",
        supports: &[(Hipaa, "164.312(d)"), (Sox, "Section 404(a): access"), (Soc2, "CC6.1"), (Iso27001, "A.5.17")],
    },
    Control {
        id: "ACC-4",
        title: "Nobody who has left comes in",
        checks: "No API key in use belongs to a user who is locked or no longer named",
        weight: 3,
        facts: &[&KEYS_OF_ABSENT],
        judge: |facts| {
            let absent = facts.names(&KEYS_OF_ABSENT)?;
            hold(absent.is_empty(), "no such key", format!("keys of {} are in use", absent.join(", ")))
        },
        to_do: "revoke the keys of users who have left (bailiwick key revoke)",
        supports: &[
            (Hipaa, "164.308(a)(3)(ii)(C)"),
            (Sox, "Section 404(a): access"),
            (Gdpr, "Art. 32(1)(b)"),
            (Soc2, "CC6.2"),
            (Iso27001, "A.5.18"),
        ],
    },
    Control {
        id: "DAT-1",
        title: "Data stays where it may be",
        checks: "The tenant's lists of regions allow the region of this node, in as many words",
        weight: 3,
        facts: &[&NODE_REGION, &PLACEMENT_PROBLEMS],
        judge: |facts| {
            let (region, problems) = (facts.text(&NODE_REGION)?, facts.names(&PLACEMENT_PROBLEMS)?);
            hold(problems.is_empty(), format!("kept in {region}"), problems.join("; "))
        },
        to_do: "serve the tenant from a node in a region it allows",
        supports: &[
            (Gdpr, "Art. 44"),
            (Gdpr, "Art. 28(3)(a)"),
            (Soc2, "CC6.1"),
            (Iso27001, "A.5.23"),
            (Iso27001, "A.5.34"),
        ],
    },
    Control {
        id: "DAT-2",
        title: "Least retention",
        checks: "It is written how long logs, data and backups are kept at least",
        weight: 2,
        facts: &[&LOGS_DAYS, &DATA_DAYS, &BACKUPS_DAYS],
        judge: |facts| {
            let [logs, data, backups] =
                [facts.count(&LOGS_DAYS)?, facts.count(&DATA_DAYS)?, facts.count(&BACKUPS_DAYS)?];
            let told = format!("logs {logs}, data {data}, backups {backups} days");
            hold(logs > 0 && data > 0 && backups > 0, told.clone(), format!("not written for all of them: {told}"))
        },
        to_do: "write logs_days, data_days and backups_days in data-sovereignty.yaml",
        supports: &[(Soc2, "C1.1"), (Iso27001, "A.5.33")],
    },
    Control {
        id: "DAT-3",
        title: "Most retention",
        checks: "It is written after how many days data is gone",
        weight: 2,
        facts: &[&DATA_DAYS_MAX],
        judge: |facts| {
            let most = facts.count(&DATA_DAYS_MAX)?;
            hold(most > 0, format!("gone after {most} days"), "no maximum is written: data is kept for ever")
        },
        to_do: "write data_days_max in data-sovereignty.yaml",
        supports: &[(Gdpr, "Art. 5(1)(e)"), (Soc2, "C1.2"), (Iso27001, "A.8.10")],
    },
    Control {
        id: "DAT-4",
        title: "Erased when due",
        checks: "Nothing is past its end that no minimum and no legal hold keeps",
        weight: 3,
        facts: &[&ERASURE_OVERDUE],
        judge: |facts| {
            let overdue = facts.count(&ERASURE_OVERDUE)?;
            hold(
                overdue == 0,
                "nothing is overdue",
                format!("{} overdue", counted(overdue, "object is", "objects are")),
            )
        },
        to_do: "see the node's log for what keeps the retrieval room from erasing",
        supports: &[
            (Hipaa, "164.310(d)(2)(i)"),
            (Gdpr, "Art. 17(1)"),
            (Gdpr, "Art. 5(1)(e)"),
            (Soc2, "CC6.5"),
            (Soc2, "C1.2"),
            (Iso27001, "A.8.10"),
        ],
    },
    Control {
        id: "DAT-5",
        title: "Only trusted sources",
        checks: "A document from a source nobody has listed is refused, or has to be signed, and there is a least trust",
        weight: 2,
        facts: &[&GUARD_REFUSES, &GUARD_SIGNATURES, &GUARD_TRUST],
        judge: |facts| {
            let (refuses, signed) = (facts.is(&GUARD_REFUSES)?, facts.is(&GUARD_SIGNATURES)?);
            let trust = facts.count(&GUARD_TRUST)?;
            let told = format!(
                "{}, {}, trust of {trust} in 100 at least",
                if refuses { "listed sources" } else { "any source" },
                if signed { "signed" } else { "not signed" }
            );
            hold((refuses || signed) && trust > 0, told.clone(), format!("anything is admitted: {told}"))
        },
        to_do: "list sources or ask for signatures, and set min_trust_score, in policies/retrieval.yaml",
        supports: &[(Hipaa, "164.312(c)(1)"), (Gdpr, "Art. 5(1)(d)"), (Soc2, "PI1.2"), (Iso27001, "A.5.14")],
    },
    Control {
        id: "DAT-6",
        title: "Answers rest on documents",
        checks: "An answer without a citation is not given",
        weight: 1,
        facts: &[&CITATIONS_REQUIRED],
        judge: |facts| hold(facts.is(&CITATIONS_REQUIRED)?, "citations are required", "citations are not required"),
        to_do: "set require_citations in policies/governance.yaml",
        supports: &[(Sox, "Section 302(a)(4)"), (Gdpr, "Art. 5(1)(d)"), (Soc2, "PI1.4")],
    },
    Control {
        id: "DAT-7",
        title: "Leaks held back",
        checks: "Answers that hold forbidden patterns are withheld",
        weight: 1,
        facts: &[&OUTPUT_PATTERNS],
        judge: |facts| {
            let patterns = facts.count(&OUTPUT_PATTERNS)?;
            hold(patterns > 0, counted(patterns, "pattern", "patterns"), "no pattern is forbidden")
        },
        to_do: "list output_forbidden_patterns in policies/governance.yaml",
        supports: &[(Gdpr, "Art. 25(2)"), (Soc2, "CC6.7"), (Iso27001, "A.8.12")],
    },
    Control {
        id: "OPS-1",
        title: "Backups",
        checks: "The last backup is not older than 36 hours",
        weight: 3,
        facts: &[&BACKUP_MADE],
        judge: |facts| Some(Ok(facts.get(&BACKUP_MADE)?.value.told())),
        to_do: "run bailiwick backup every day",
        supports: &[
            (Hipaa, "164.308(a)(7)(ii)(A)"),
            (Sox, "Section 404(a): IT operations"),
            (Gdpr, "Art. 32(1)(c)"),
            (Soc2, "A1.2"),
            (Iso27001, "A.8.13"),
        ],
    },
    Control {
        id: "OPS-2",
        title: "Restores tried",
        checks: "A restore was tried within the last quarter",
        weight: 2,
        facts: &[&RESTORE_TRIED],
        judge: |facts| Some(Ok(facts.get(&RESTORE_TRIED)?.value.told())),
        to_do: "restore a backup to another machine (bailiwick restore)",
        supports: &[
            (Hipaa, "164.308(a)(7)(ii)(D)"),
            (Gdpr, "Art. 32(1)(c)"),
            (Gdpr, "Art. 32(1)(d)"),
            (Soc2, "A1.3"),
            (Iso27001, "A.8.13"),
        ],
    },
    Control {
        id: "OPS-3",
        title: "Service level kept",
        checks: "Answers keep the latency and error rate the tenant has set",
        weight: 1,
        facts: &[&LEVEL_KEPT],
        judge: |facts| {
            hold(facts.is(&LEVEL_KEPT)?, "kept", "breached: experimental flags are off until it is kept again")
        },
        to_do: "see the tenant's service level and its providers",
        supports: &[(Gdpr, "Art. 32(1)(b)"), (Soc2, "A1.1"), (Iso27001, "A.8.6")],
    },
];

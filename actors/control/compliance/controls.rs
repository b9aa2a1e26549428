//! The controls: what each checks, the facts it rests on, how much it counts, and the clauses it supports.
//!
//! Weights: 3 where the tenant's data or its evidence stand open without the control, 2 where a safeguard that others rely on is
//! missing, 1 for good practice beside them. SOX names no technical measures: what stands under section 404(a) are the general
//! IT controls that auditors test for it (access, change, operations).
use super::facts::*;
use super::frameworks::Framework::{self, Gdpr, Hipaa, Iso27001, Soc2, Sox};

/// Why a control has passed, or why it has failed. Nothing where a fact is not of the kind it should be.
pub type Verdict = Option<Result<String, String>>;

/// A control.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What it checks.
    pub checks: &'static str,
    /// How much it counts, 1 to 3.
    pub weight: u32,
    /// The facts it rests on: all of them, each fresh.
    pub facts: &'static [&'static FactKind],
    /// Judges them.
    pub judge: fn(&Facts) -> Verdict,
    /// What to do where it has not passed.
    pub to_do: &'static str,
    /// The clauses it supports.
    pub supports: &'static [(Framework, &'static str)],
}

/// Passed where the first holds, with the words for both cases.
fn hold(holds: bool, passed: impl Into<String>, failed: impl Into<String>) -> Verdict {
    Some(if holds { Ok(passed.into()) } else { Err(failed.into()) })
}

/// Passed where there are no such problems.
fn none_of(problems: &[String], passed: &str) -> Verdict {
    hold(problems.is_empty(), passed, problems.join("; "))
}

/// What everything kept is to be sealed with.
const AES_256_GCM: &str = "AES-256-GCM";
/// Versions of TLS, older ones first, as the node names them.
const TLS: [&str; 2] = ["TLS-1.2", "TLS-1.3"];

/// Every control.
pub const CONTROLS: &[Control] = &[
    Control {
        id: "CRY-1",
        title: "Encryption at rest",
        checks: "Everything kept is sealed with AES-256-GCM under a key of the tenant's own, as its file asks",
        weight: 3,
        facts: &[&CIPHER_AT_REST, &KEY_VERSIONS, &KEY_IS_LEGACY, &AT_REST_ASKED],
        judge: |facts| {
            let (cipher, versions) = (facts.text(&CIPHER_AT_REST)?, facts.count(&KEY_VERSIONS)?);
            let (is_legacy, asked) = (facts.is(&KEY_IS_LEGACY)?, facts.text(&AT_REST_ASKED)?);
            match (cipher == AES_256_GCM && asked.starts_with("AES-256"), versions, is_legacy) {
                (false, ..) => Some(Err(format!("sealed with {cipher}, and the file asks for {asked}"))),
                (_, 0, _) => Some(Err("the tenant has no key of its own".to_owned())),
                (.., true) => Some(Err("what is older than the tenant's key follows from the master key".to_owned())),
                _ => Some(Ok(format!("{cipher} under version {versions} of the tenant's own key"))),
            }
        },
        to_do: "have the tenant written anew under its own key, and ask for AES-256 in data-sovereignty.yaml",
        supports: &[
            (Hipaa, "164.312(a)(2)(iv)"),
            (Gdpr, "Art. 32(1)(a)"),
            (Gdpr, "Art. 5(1)(f)"),
            (Soc2, "CC6.1"),
            (Iso27001, "A.8.24"),
        ],
    },
    Control {
        id: "CRY-2",
        title: "Key rotation",
        checks: "The newest key is not older than key_rotation_days",
        weight: 2,
        facts: &[&KEY_AGE_DAYS, &ROTATION_DAYS],
        judge: |facts| {
            let (age, most) = (facts.count(&KEY_AGE_DAYS)?, facts.count(&ROTATION_DAYS)?);
            if most == 0 {
                return Some(Err("no key_rotation_days is written".to_owned()));
            }
            hold(age <= most, format!("{age} of {most} days old"), format!("{age} days old, and {most} are allowed"))
        },
        to_do: "write key_rotation_days in data-sovereignty.yaml and rotate the tenant's key",
        supports: &[(Hipaa, "164.312(a)(2)(iv)"), (Gdpr, "Art. 32(1)(a)"), (Soc2, "CC6.1"), (Iso27001, "A.8.24")],
    },
    Control {
        id: "CRY-3",
        title: "Key custody",
        checks: "The root key is held where the tenant's file says",
        weight: 2,
        facts: &[&KEY_PROVIDER, &KMS_KEY_NAMED],
        judge: |facts| {
            let (provider, named) = (facts.text(&KEY_PROVIDER)?, facts.text(&KMS_KEY_NAMED)?);
            let holds = match named.split(':').collect::<Vec<_>>().as_slice() {
                [""] => true,
                ["arn", _, "kms", ..] => provider.contains("aws"),
                ["vault", ..] => provider.contains("vault"),
                _ => provider == named,
            };
            hold(holds, format!("held by {provider}"), format!("held by {provider}, and the file names {named}"))
        },
        to_do: "set the kms of config.toml to the holder the file names, or take kms_key_id out of the file",
        supports: &[(Hipaa, "164.312(a)(2)(iv)"), (Gdpr, "Art. 28(3)(c)"), (Soc2, "CC6.1"), (Iso27001, "A.8.24")],
    },
    Control {
        id: "CRY-4",
        title: "Encryption in transit",
        checks: "The gateway speaks the version of TLS the tenant's file asks for, or a newer one",
        weight: 3,
        facts: &[&NODE_TLS, &IN_TRANSIT_ASKED],
        judge: |facts| {
            let (spoken, asked) = (facts.text(&NODE_TLS)?, facts.text(&IN_TRANSIT_ASKED)?);
            let rank = |name: &str| TLS.iter().position(|version| *version == name);
            let holds = rank(spoken).zip(rank(asked)).is_some_and(|(spoken, asked)| spoken >= asked);
            let shown = if spoken.is_empty() { "plain HTTP" } else { spoken };
            hold(holds, shown, format!("{shown} is spoken, and {asked} is asked for"))
        },
        to_do: "give the node a certificate in config.toml, or let a proxy end TLS and say so there",
        supports: &[
            (Hipaa, "164.312(e)(1)"),
            (Hipaa, "164.312(e)(2)(ii)"),
            (Gdpr, "Art. 32(1)(a)"),
            (Soc2, "CC6.7"),
            (Iso27001, "A.8.20"),
            (Iso27001, "A.5.14"),
        ],
    },
    Control {
        id: "AUD-1",
        title: "Audit trail verified to its head",
        checks: "Every record was read again and follows the one before it, from the first to the head that is signed",
        weight: 3,
        facts: &[&JOURNAL_RECORDS, &JOURNAL_VERIFIED, &JOURNAL_PROBLEMS, &JOURNAL_WHOLE],
        judge: |facts| {
            let (records, verified) = (facts.count(&JOURNAL_RECORDS)?, facts.count(&JOURNAL_VERIFIED)?);
            let problems = facts.names(&JOURNAL_PROBLEMS)?;
            if !problems.is_empty() {
                return Some(Err(problems.join("; ")));
            }
            hold(
                verified == records,
                format!("{records} records, all in their chain"),
                format!("{verified} of {records} records were read"),
            )
        },
        to_do: "export the journal, verify it with bailiwick verify, and restore it from a backup where it does not hold",
        supports: &[
            (Hipaa, "164.312(b)"),
            (Hipaa, "164.312(c)(1)"),
            (Sox, "Section 404(a): IT operations"),
            (Sox, "Section 802"),
            (Gdpr, "Art. 5(2)"),
            (Soc2, "CC7.2"),
            (Iso27001, "A.8.15"),
            (Iso27001, "A.5.33"),
        ],
    },
    Control {
        id: "AUD-2",
        title: "Audit trail signed",
        checks: "The journal's head carries a signature that verifies, so that outsiders can hold receipts against it",
        weight: 2,
        facts: &[&HEAD_SIGNED],
        judge: |facts| hold(facts.is(&HEAD_SIGNED)?, "the signature verifies", "the signature does not verify"),
        to_do: "look for the reason in the node's log; the key that signs heads follows from the root key",
        supports: &[
            (Hipaa, "164.312(c)(2)"),
            (Sox, "Section 802"),
            (Gdpr, "Art. 5(2)"),
            (Soc2, "PI1.5"),
            (Iso27001, "A.5.28"),
        ],
    },
    Control {
        id: "AUD-3",
        title: "Enforcement watched",
        checks: "At the watchdog's last look the tenant enforced what was committed, and its answers were as the policy allows",
        weight: 3,
        facts: &[&WATCHDOG_FINDINGS],
        judge: |facts| none_of(facts.names(&WATCHDOG_FINDINGS)?, "nothing deviates"),
        to_do: "see what the watchdog says of the tenant in the node's log; it closes who deviates twice",
        supports: &[
            (Hipaa, "164.308(a)(1)(ii)(D)"),
            (Sox, "Section 404(a): IT operations"),
            (Gdpr, "Art. 32(1)(d)"),
            (Soc2, "CC7.2"),
            (Iso27001, "A.8.16"),
            (Iso27001, "A.5.36"),
        ],
    },
    Control {
        id: "AUD-4",
        title: "Regular evaluation",
        checks: "The last weekly report is not older than eight days",
        weight: 1,
        facts: &[&REPORT_MADE],
        judge: |facts| Some(Ok(format!("the report of {}", facts.text(&REPORT_MADE)?))),
        to_do: "nothing: the node writes one in every week it runs; the first comes soon after it has started",
        supports: &[
            (Hipaa, "164.308(a)(8)"),
            (Sox, "Section 302(a)(4)"),
            (Gdpr, "Art. 32(1)(d)"),
            (Soc2, "CC4.1"),
            (Iso27001, "A.5.36"),
        ],
    },
    Control {
        id: "CHG-1",
        title: "Policy signed",
        checks: "The policy that is enforced is the one that was signed by people the tenant trusts, and stands in the journal",
        weight: 3,
        facts: &[&POLICY_PROBLEMS, &POLICY_SIGNERS],
        judge: |facts| {
            let (problems, signers) = (facts.names(&POLICY_PROBLEMS)?, facts.names(&POLICY_SIGNERS)?);
            if signers.is_empty() {
                return Some(Err("nobody has signed it".to_owned()));
            }
            none_of(problems, &format!("signed by {}", signers.join(", ")))
        },
        to_do: "sign the policy files (bailiwick policy sign) and commit them",
        supports: &[
            (Hipaa, "164.312(c)(1)"),
            (Sox, "Section 404(a): change management"),
            (Gdpr, "Art. 24(2)"),
            (Soc2, "CC8.1"),
            (Iso27001, "A.8.32"),
            (Iso27001, "A.8.9"),
        ],
    },
    Control {
        id: "CHG-2",
        title: "No open drift",
        checks: "What is in force is what the tenant's folder says",
        weight: 2,
        facts: &[&POLICY_DRIFT],
        judge: |facts| none_of(facts.names(&POLICY_DRIFT)?, "folder and enforcement agree"),
        to_do: "mend what keeps the newest files from coming into force, or take them back",
        supports: &[(Sox, "Section 404(a): change management"), (Soc2, "CC7.1"), (Soc2, "CC8.1"), (Iso27001, "A.8.9")],
    },
    Control {
        id: "CHG-3",
        title: "Four eyes on changes",
        checks: "A change of policy needs the signatures of two people or more",
        weight: 2,
        facts: &[&POLICY_APPROVALS],
        judge: |facts| {
            let people = facts.count(&POLICY_APPROVALS)?;
            hold(people >= 2, format!("{people} people sign"), format!("{people} signs, and two are needed"))
        },
        to_do: "set approvals to 2 in policies/governance.yaml, with two signers in allowed_signers",
        supports: &[
            (Sox, "Section 404(a): change management"),
            (Soc2, "CC8.1"),
            (Iso27001, "A.5.3"),
            (Iso27001, "A.8.32"),
        ],
    },
    Control {
        id: "CHG-4",
        title: "No conflicting rules",
        checks: "No two rules in force contradict each other",
        weight: 1,
        facts: &[&POLICY_CONFLICTS],
        judge: |facts| {
            let found = facts.count(&POLICY_CONFLICTS)?;
            hold(found == 0, "no rule contradicts another", format!("{found} conflicts; see the conflict map"))
        },
        to_do: "mend the rules that the conflict map names (bailiwick policy conflicts)",
        supports: &[(Sox, "Section 404(a): change management"), (Soc2, "CC6.3"), (Iso27001, "A.5.15")],
    },
    Control {
        id: "CHG-5",
        title: "Changes tried before",
        checks: "A change is rehearsed on what was asked before, or reaches people in stages",
        weight: 1,
        facts: &[&POLICY_REHEARSED, &POLICY_STAGED],
        judge: |facts| match (facts.is(&POLICY_REHEARSED)?, facts.is(&POLICY_STAGED)?) {
            (true, true) => Some(Ok("rehearsed, then in stages".to_owned())),
            (true, false) => Some(Ok("rehearsed".to_owned())),
            (false, true) => Some(Ok("in stages".to_owned())),
            (false, false) => Some(Err("neither a sandbox nor a rollout is asked for".to_owned())),
        },
        to_do: "ask for sandbox or rollout in policies/governance.yaml",
        supports: &[(Sox, "Section 404(a): change management"), (Soc2, "CC8.1"), (Iso27001, "A.8.32")],
    },
];

//! Who would have to sign and approve, and whether there is somebody.
use super::tests::{changed, errors};
use super::*;

#[test]
fn approvals_nobody_could_give_are_found() {
    let asked = |approvals: &str, signers: &str| {
        let mut texts = changed(
            GOVERNANCE,
            "  require_citations: true",
            &format!("  approvals: {approvals}\n  require_citations: true"),
        );
        texts.insert(crate::commit::SIGNERS.to_owned(), signers.to_owned());
        errors(&texts)
    };
    let seed = |number: u8| crate::signature::private_key_from_seed([number; 32], "");
    let line = |number: u8| format!("p{number} {}\n", crate::signature::public_line(&seed(number)).unwrap());
    let two = format!("{}{}", line(1), line(2));
    assert_eq!(asked("2", &two), Vec::<String>::new());
    assert!(asked("3", &two)[0].contains("settings.approvals: 3 people have to sign and 2 may"));
    assert!(asked("0", &two)[0].contains("settings.approvals: 0 would refuse everything"));
    assert!(asked("1", "nobody")[0].starts_with("allowed_signers:1:"));
}

#[test]
fn requests_nobody_could_approve_are_found() {
    let asked = |users: &str| {
        let rule = "rules:\n  - id: two-people\n    effect: require\n    actions: [ask]\n    obligation: approve\n";
        let mut texts = changed(GOVERNANCE, "rules:\n", rule);
        texts.insert(USERS.to_owned(), format!("tenant_id: acme-corp\nusers:\n{users}"));
        let compiled = compile("acme-corp", &texts, &Guardrails::none());
        compiled.map(|policy| policy.warnings.clone()).unwrap_or_else(|errors| errors)
    };
    let user = |name: &str, rest: &str| format!("  - {{ user_id: {name}, {rest} }}\n");
    let (owner, admin) = (user("amara", "role: owner"), user("ben", "role: admin"));
    assert_eq!(asked(&format!("{owner}{admin}")), []);
    let locked = user("ben", "role: admin, status: locked");
    for (users, expected) in [
        (format!("{owner}{locked}"), "obligation: only \"amara\" of users.yaml may approve"),
        (format!("{locked}{}", user("elif", "role: viewer")), "obligation: no owner or admin stands in users.yaml"),
    ] {
        let found: Vec<_> = asked(&users).iter().map(ToString::to_string).collect();
        assert!(found.len() == 1 && found[0].contains(expected), "{users}: {found:?}");
    }
}

#[test]
fn more_sources_than_passages_are_found_before_every_answer_is_withheld() {
    let asked = |sources: u32| {
        let rule = format!(
            "rules:\n  - id: confirmed\n    effect: require\n    actions: [ask]\n    obligation: {{ min_sources: {sources} }}\n"
        );
        errors(&changed(GOVERNANCE, "rules:\n", &rule))
    };
    assert_eq!(asked(8), Vec::<String>::new(), "as many as the passages of an answer");
    let found = asked(9);
    let expected = "obligation: 9 sources are demanded and 8 passages go into an answer";
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    assert!(
        found[0].starts_with("policies/governance.yaml:") && found[0].contains("raise settings.top_k"),
        "{found:?}"
    );
}

#[test]
fn what_is_kept_of_a_conversation_is_bounded() {
    let slip = |line: &str| {
        errors(&changed(GOVERNANCE, "  require_citations: true", &format!("  {line}\n  require_citations: true")))
    };
    for fine in ["max_history_turns: 20", "max_history_characters: 16000", "max_history_characters: 0"] {
        assert_eq!(slip(fine), Vec::<String>::new(), "{fine}");
    }
    assert!(slip("max_history_turns: 21")[0].contains("settings.max_history_turns: at most 20"));
    assert!(slip("max_history_characters: 16001")[0].contains("settings.max_history_characters: at most 16000"));
}

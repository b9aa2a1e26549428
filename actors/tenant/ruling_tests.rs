//! Rulings on requests as the sample tenants' files have them.
use super::*;
use crate::question::{Chat, Question};
use crate::supervisor::fixtures::{edit, policy};
use serde_json::json;

/// Thursday, 9 October 2025, 08:53 UTC.
const NOW: u64 = 1_760_000_000_000;

fn somebody(user_id: Option<&str>, role: Option<Role>) -> Principal {
    Principal { key_id: "k".into(), user_id: user_id.map(str::to_owned), role, attributes: Default::default() }
}

fn ask(usecase: Option<&str>) -> Matter {
    Matter::Ask(Question { text: "When may I eat?".into(), usecase: usecase.map(str::to_owned), ..Question::default() })
}

#[test]
fn facts_say_who_asks_and_when() {
    let acme = policy("acme-corp", |_| {});
    let facts = asker(&acme, &somebody(Some("chiara"), Some(Role::Operator)), NOW);
    let told = serde_json::to_value(&facts).unwrap();
    let expected = json!({
        "request.hour_utc": 8,
        "request.weekday": "thursday",
        "user.attributes.department": "cardiology",
        "user.id": "chiara",
        "user.permissions": [],
        "user.role": "operator",
    });
    assert_eq!(told, expected);
    let stranger = serde_json::to_value(asker(&acme, &somebody(Some("nobody"), None), NOW + 3 * DAY_MS)).unwrap();
    assert_eq!(stranger["user.role"], "platform");
    assert_eq!(stranger["request.weekday"], "sunday");
    assert_eq!(stranger.get("user.attributes.department"), None, "attributes come from users.yaml alone");
}

#[test]
fn what_an_issuer_says_of_a_user_counts_where_users_yaml_says_nothing() {
    let acme = policy("acme-corp", |_| {});
    let mut chiara = somebody(Some("chiara"), Some(Role::Operator));
    chiara.attributes =
        [("department", "board"), ("site", "north")].map(|(name, value)| (name.into(), value.into())).into();
    let told = serde_json::to_value(asker(&acme, &chiara, NOW)).unwrap();
    assert_eq!(told["user.attributes.department"], "cardiology", "the tenant's own file has the last word");
    assert_eq!(told["user.attributes.site"], "north");
    chiara.user_id = Some("nobody".into());
    assert_eq!(serde_json::to_value(asker(&acme, &chiara, NOW)).unwrap()["user.attributes.department"], "board");
}

#[test]
fn a_locked_user_asks_nothing_whatever_handle_is_held() {
    let question = ask(Some("patient-qa"));
    let locked = policy("acme-corp", |texts| {
        edit(texts, "users.yaml", "user_id: chiara\n", "user_id: chiara\n    status: locked\n");
    });
    let chiara = somebody(Some("chiara"), Some(Role::Operator));
    assert_eq!(Ruled::on(&locked, &question, &chiara, NOW), Err(Rejection::unauthenticated()));
    assert!(Ruled::on(&policy("acme-corp", |_| {}), &question, &chiara, NOW).is_ok());
    for other in [somebody(Some("ben"), Some(Role::Operator)), somebody(None, Some(Role::Operator))] {
        assert!(Ruled::on(&locked, &question, &other, NOW).is_ok());
    }
}

#[test]
fn what_no_rule_permits_is_refused_and_so_is_what_one_forbids() {
    let acme = policy("acme-corp", |_| {});
    let anybody = somebody(None, Some(Role::Owner));
    let ruled = Ruled::on(&acme, &ask(Some("patient-qa")), &anybody, NOW).unwrap();
    assert!(ruled.obligations().cite, "answers-cite goes with every question");
    let call = |region: &'static str| ModelCall { provider: "p", model: "m", region, fallback: false };
    assert_eq!(ruled.may_call(&acme, &call("us-east-1")), Ok(()));
    let refused = ruled.may_call(&acme, &call("eu-west-1")).unwrap_err();
    assert_eq!(refused.code, Code::PolicyDenied);
    assert!(
        refused.detail.contains("\"health-data-stays-in-the-states\" forbids it: patient questions"),
        "{}",
        refused.detail
    );

    let closed = policy("default", |texts| {
        edit(texts, "policies/governance.yaml", "    actions: [ask, search,", "    actions: [search,");
    });
    let refused = Ruled::on(&closed, &ask(None), &anybody, NOW).unwrap_err();
    assert!(refused.detail.contains("asking to ask: no rule of the policy permits it"), "{}", refused.detail);
}

#[test]
fn a_cap_goes_with_the_role_it_is_for() {
    let beta = policy("beta-inc", |_| {});
    let chat = Matter::Chat(Box::new(Chat { model: "m".into(), body: json!({"messages": []}), max_tokens: None }));
    let cap = |role| Ruled::on(&beta, &chat, &somebody(None, Some(role)), NOW).unwrap().obligations().cap_tokens;
    assert_eq!((cap(Role::Operator), cap(Role::Owner)), (Some(384), None));
    let large = json!({"messages": [{"role": "user", "content": "x".repeat(262_145)}]});
    let large = Matter::Chat(Box::new(Chat { model: "m".into(), body: large, max_tokens: None }));
    let refused = Ruled::on(&beta, &large, &somebody(None, Some(Role::Owner)), NOW).unwrap_err();
    assert!(refused.detail.contains("large-texts-stay-out"), "{}", refused.detail);
}

#[test]
fn views_differ_where_answers_may() {
    let beta = policy("beta-inc", |texts| {
        let rule = "  - id: guests-call-nothing-large\n    effect: forbid\n    actions: [generate]\n    when:\n      - user.id: { present: true }\n      \
                    - user.id: guest\n      - model.name: large*\n    overrides: [models-of-the-router]\n\nmetadata:\n";
        edit(texts, "policies/governance.yaml", "metadata:\n", rule);
    });
    let view =
        |user: &str, role| Ruled::on(&beta, &ask(None), &somebody(Some(user), Some(role)), NOW).unwrap().view(&beta);
    assert_eq!(view("ann", Role::Owner), view("ann", Role::Admin), "nothing asks for these roles");
    assert_ne!(view("ann", Role::Owner), view("ann", Role::Operator), "one is capped");
    assert_ne!(view("ann", Role::Owner), view("guest", Role::Owner), "one may call less");
}

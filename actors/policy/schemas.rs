//! JSON Schemas of a tenant's files, generated from the types that read them.
use crate::schema::*;
use schemars::{JsonSchema, schema_for};
use serde_json::Value;

/// Every schema there is, in the order of contract §4.
pub const NAMES: [&str; 9] =
    ["tenant", "retrieval", "evaluation", "governance", "router", "features", "data-sovereignty", "slo", "users"];

/// The JSON Schema of one kind of file; `None` for a name not in [`NAMES`].
#[must_use]
pub fn schema(name: &str) -> Option<Value> {
    fn of<T: JsonSchema>() -> Value {
        schema_for!(T).to_value()
    }
    Some(match name {
        "tenant" => of::<TenantFile>(),
        "retrieval" => of::<RetrievalPolicy>(),
        "evaluation" => of::<EvaluationPolicy>(),
        "governance" => of::<GovernancePolicy>(),
        "router" => of::<RouterFile>(),
        "features" => of::<FeaturesFile>(),
        "data-sovereignty" => of::<SovereigntyFile>(),
        "slo" => of::<SloFile>(),
        "users" => of::<UsersFile>(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_closed_schema_and_no_other_name_has_one() {
        for name in NAMES {
            let schema = schema(name).unwrap();
            assert_eq!(schema["type"], "object", "{name}");
            assert_eq!(schema["additionalProperties"], false, "{name} must refuse unknown keys");
        }
        assert_eq!(schema("Router"), None);
        assert_eq!(schema(""), None);
    }

    #[test]
    fn keys_and_meanings_are_in_the_schema() {
        let router = schema("router").unwrap();
        let text = router.to_string();
        for key in ["cost_per_1k_qa_usd", "circuit_breaker", "downgrade_to_fallback", "max_tokens"] {
            assert!(text.contains(key), "{key}");
        }
        assert_eq!(router["required"], serde_json::json!(["tenant_id", "routing", "sla", "budget"]));
    }
}

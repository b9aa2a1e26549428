//! The roles' rights, as Cedar decides them from `roles.cedar`. Asked once for each of the few dozen pairs: a decision that
//! depends on nothing else need not be made again at every knock.
use crate::access::{Right, Role};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use std::str::FromStr;
use std::sync::LazyLock;

const RULES: &str = include_str!("roles.cedar");

/// One row a role, one column a right, in the order of their `ALL`.
type Matrix = [[bool; Right::ALL.len()]; Role::ALL.len()];

static MATRIX: LazyLock<Matrix> = LazyLock::new(|| matrix(RULES));

/// Whether a role has a right in its own tenant. A pair that cannot be decided is refused.
pub(crate) fn permits(role: Role, right: Right) -> bool {
    let row = Role::ALL.iter().position(|one| *one == role).and_then(|row| MATRIX.get(row));
    let column = Right::ALL.iter().position(|one| *one == right);
    row.zip(column).and_then(|(row, column)| row.get(column)).is_some_and(|permitted| *permitted)
}

/// Everything that these rules permit; nothing, where they cannot be read.
fn matrix(rules: &str) -> Matrix {
    let Ok(rules) = PolicySet::from_str(rules) else { return Matrix::default() };
    Role::ALL.map(|role| Right::ALL.map(|right| decide(&rules, role, right).unwrap_or(false)))
}

fn decide(rules: &PolicySet, role: Role, right: Right) -> Option<bool> {
    let entity = |kind: &str, name: &str| EntityUid::from_str(&format!("{kind}::\"{name}\"")).ok();
    let (who, what, whose) =
        (entity("Role", role.as_str())?, entity("Action", right.as_str())?, entity("Tenant", "own")?);
    let request = Request::new(who, what, whose, Context::empty(), None).ok()?;
    let response = Authorizer::new().is_authorized(&request, rules, &Entities::empty());
    let is_sound = response.diagnostics().errors().next().is_none();
    Some(is_sound && response.decision() == Decision::Allow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_errs_or_cannot_be_read_permits_nothing() {
        assert!(matrix("permit (principal").iter().flatten().all(|permitted| !permitted));
        let errs = "permit (principal, action, resource) when { context.absent };";
        assert!(matrix(&format!("{errs}{RULES}")).iter().flatten().all(|permitted| !permitted));
        assert!(matrix("permit (principal, action, resource);").iter().flatten().all(|permitted| *permitted));
        assert!(matrix("").iter().flatten().all(|permitted| !permitted));
    }
}

//@ compiles
//! What an honest caller does: knock, and use the handle it was given.
use bailiwick_control::registry::door::Door;
use bailiwick_control::registry::handles::AskHandle;
use bailiwick_control::registry::messages::Claim;
use bailiwick_kernel::outcome::Outcome;

pub async fn knock(door: &Door, claim: Claim) -> Outcome<AskHandle> {
    door.ask(claim).await
}

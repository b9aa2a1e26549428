use super::bench::{Bench, stranger};
use super::messages::Claim;
use bailiwick_kernel::limits::HANDLE_LEASE_MS;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Role;
use secrecy::{ExposeSecret, SecretString};

fn remembered(bench: &Bench) -> usize {
    bench.door.lobby.len()
}

async fn asked(bench: &Bench, claim: &Claim) -> Result<u64, Code> {
    bench.door.ask(claim.clone()).await.map(|handle| handle.generation().0).map_err(|rejection| rejection.code)
}

/// Asks until the answer is remembered: what the house still notes about a new tenant by itself empties the memory, too.
async fn remembered_after_asking(bench: &Bench, claim: &Claim, generation: u64) -> bool {
    for _try in 0..1_000 {
        assert_eq!(asked(bench, claim).await, Ok(generation));
        if remembered(bench) == 1 {
            return true;
        }
    }
    false
}

#[actix::test]
async fn a_granted_knock_is_granted_again_alike() {
    let bench = Bench::start().await;
    let view = bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Operator).await;
    assert_eq!(remembered(&bench), 0, "issuing a key was a change");
    assert!(remembered_after_asking(&bench, &claim, view.generation).await);
    let again = bench.door.ask(claim.clone()).await.unwrap();
    assert_eq!((again.generation().0, again.principal().role), (view.generation, Some(Role::Operator)));
    assert!(remembered_after_asking(&bench, &claim, view.generation).await, "once, not twice");
    assert_eq!(bench.door.govern(claim).await.unwrap_err().code, Code::Forbidden, "a right of its own");
}

#[actix::test]
async fn the_secret_is_proven_every_time() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Operator).await;
    asked(&bench, &claim).await.unwrap();
    let whole = claim.credential.as_ref().unwrap().expose_secret().to_owned();
    let stranger = stranger().credential.unwrap();
    let secret = stranger.expose_secret().rsplit('_').next().unwrap();
    let forged = format!("{}_{secret}", whole.rsplit_once('_').unwrap().0);
    let forged = Claim { credential: Some(SecretString::from(forged)), tenant: None };
    assert_eq!(asked(&bench, &forged).await, Err(Code::Unauthenticated));
}

#[actix::test]
async fn a_change_is_felt_by_the_next_knock() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let (key_id, claim) = bench.key("acme", Role::Operator).await;
    let (_, other) = bench.key("acme", Role::Operator).await;
    asked(&bench, &claim).await.unwrap();
    asked(&bench, &other).await.unwrap();

    let governing = bench.door.govern(bench.as_operator(Some("acme"))).await.unwrap();
    governing.revoke_key(key_id).await.unwrap();
    assert_eq!(remembered(&bench), 0);
    assert_eq!(asked(&bench, &claim).await, Err(Code::Unauthenticated));

    asked(&bench, &other).await.unwrap();
    bench.fleet().await.suspend("acme".into(), "unpaid".into()).await.unwrap();
    assert_eq!(asked(&bench, &other).await, Err(Code::TenantSuspended));

    let resumed = bench.fleet().await.resume("acme".into()).await.unwrap();
    assert_eq!(asked(&bench, &other).await, Ok(resumed.generation));
}

#[actix::test]
async fn what_was_granted_ends_with_its_lease() {
    let bench = Bench::start().await;
    let view = bench.create("acme").await;
    let (_, claim) = bench.key("acme", Role::Operator).await;
    assert!(remembered_after_asking(&bench, &claim, view.generation).await);
    let lease = |handle: &super::handles::AskHandle, at| handle.lease_is_over(at);
    let first = bench.door.ask(claim.clone()).await.unwrap();
    bench.clock.advance(HANDLE_LEASE_MS - 1);
    let kept = bench.door.ask(claim.clone()).await.unwrap();
    let over = super::fixtures::NOW + HANDLE_LEASE_MS;
    assert!(lease(&first, over) && lease(&kept, over), "a remembered knock has the lease of the first");
    bench.clock.advance(1);
    let renewed = bench.door.ask(claim).await.unwrap();
    assert!(!lease(&renewed, over) && lease(&renewed, over + HANDLE_LEASE_MS));
}

use super::bench::Bench;
use super::fixtures::NOW;
use super::messages::{Claim, NewKey};
use crate::gitops::messages::{FolderSeen, FoldersSeen};
use crate::identity::issuer::Issuer;
use crate::identity::tokens::{ISSUER, Signer, claims, issuer, key_set};
use bailiwick_kernel::limits::{HANDLE_LEASE_MS, KEY_SET_ASKED_MS};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::Role;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::Path;

const LOCKED: &str = "  - {user_id: chiara, role: operator, status: locked}\n";

/// A house that takes the tokens of one issuer, for one of its two tenants.
struct Scene {
    bench: Bench,
    signer: Signer,
    keys: tempfile::TempDir,
    /// How often `users.yaml` was written.
    files: Cell<u32>,
}

impl Scene {
    async fn new() -> Self {
        let (keys, signer) = (tempfile::tempdir().unwrap(), Signer::ed("first"));
        publish(keys.path(), &[&signer]);
        let bench = Bench::trusting(vec![trusted(keys.path())]).await;
        bench.create("acme").await;
        bench.create("beta").await;
        Self { bench, signer, keys, files: Cell::new(0) }
    }

    /// These users stand in `users.yaml` from now on; comes back when the file is in force: when the registry knows one more
    /// user of it, who is locked.
    async fn users(&self, users: &str) {
        let number = self.files.get() + 1;
        self.files.set(number);
        let marker = format!("marker-{number}");
        let text = format!("tenant_id: acme\nusers:\n{users}  - {{user_id: {marker}, role: viewer, status: locked}}\n");
        std::fs::write(self.bench.folders.root().join("acme/users.yaml"), text).unwrap();
        let found = self.bench.folders.load("acme");
        let folders = vec![FolderSeen { found, ..self.bench.folders.observe("acme".to_owned()) }];
        let (reply, awaited) = ReplySlot::pair();
        self.bench.registry.send(FoldersSeen { folders, reply }).await.unwrap();
        awaited.outcome().await.unwrap();
        let mut said = claims(NOW);
        said["sub"] = json!(marker);
        let marked = self.claim(&said);
        for _try in 0..10_000 {
            if self.asked(&marked).await == Err(Code::Unauthenticated) {
                return;
            }
        }
        panic!("users.yaml never came into force");
    }

    fn claim(&self, claims: &Value) -> Claim {
        shown(self.signer.sign(claims))
    }

    async fn asked(&self, claim: &Claim) -> Result<Option<Role>, Code> {
        let asked = self.bench.door.ask(claim.clone()).await;
        asked.map(|handle| handle.principal().role).map_err(|rejection| rejection.code)
    }
}

fn publish(folder: &Path, signers: &[&Signer]) {
    std::fs::write(folder.join("keys.json"), key_set(signers)).unwrap();
}

fn trusted(folder: &Path) -> Issuer {
    issuer(ISSUER, &["acme"], folder.join("keys.json"))
}

fn shown(token: String) -> Claim {
    Claim { credential: Some(SecretString::from(token)), tenant: None }
}

fn refused<T: std::fmt::Debug>(outcome: Outcome<T>) -> Rejection {
    outcome.unwrap_err()
}

#[actix::test]
async fn a_token_opens_its_own_tenant_with_its_own_role_and_nothing_else() {
    let scene = Scene::new().await;
    let door = &scene.bench.door;
    let claim = scene.claim(&claims(NOW));
    let asking = door.ask(claim.clone()).await.unwrap();
    let principal = asking.principal();
    assert_eq!((principal.user_id.as_deref(), principal.role), (Some("chiara"), Some(Role::Operator)));
    assert!(principal.key_id.starts_with("jwt:login.example:"), "{principal:?}");
    assert_eq!(refused(door.govern(claim.clone()).await).code, Code::Forbidden);
    assert_eq!(refused(door.fleet(claim.clone()).await).code, Code::Forbidden);
    let mut owner = claims(NOW);
    owner["role"] = json!("owner");
    let owner = scene.claim(&owner);
    assert_eq!(refused(door.fleet(owner.clone()).await).code, Code::Forbidden, "the platform is nobody's by token");
    door.govern(owner).await.unwrap().keys().await.unwrap();
    let naming = |tenant: &str| Claim { tenant: Some(tenant.to_owned()), ..claim.clone() };
    assert!(door.ask(naming("acme")).await.is_ok());
    let (other, nobodys) = (refused(door.ask(naming("beta")).await), refused(door.ask(naming("nobody")).await));
    assert_eq!((other.code, &other), (Code::NotFound, &nobodys), "another tenant is an absent one");
}

#[actix::test]
async fn every_refusal_has_the_same_words_as_that_of_a_wrong_key() {
    let scene = Scene::new().await;
    let door = &scene.bench.door;
    let same = refused(door.ask(super::bench::stranger()).await);
    let mut wrong =
        vec![shown("no token".into()), shown("a.b.c".into()), shown(Signer::ed("first").sign(&claims(NOW)))];
    for (name, value) in [("tenant", "beta"), ("iss", "x"), ("aud", "x"), ("role", "x"), ("exp", "x"), ("sub", "")] {
        let mut claims = claims(NOW);
        claims[name] = json!(value);
        wrong.push(scene.claim(&claims));
    }
    wrong.push(scene.claim(&claims(NOW - 400_000)));
    for claim in wrong {
        for tenant in [None, Some("acme".to_owned()), Some("beta".to_owned())] {
            assert_eq!(refused(door.ask(Claim { tenant, ..claim.clone() }).await), same);
        }
    }
    assert_eq!(scene.bench.door.lobby.len(), 0, "nobody who is refused is remembered");
}

#[actix::test]
async fn a_token_that_is_remembered_ends_with_its_time() {
    let scene = Scene::new().await;
    // nobody is remembered before the rooms are open, and whatever opens has everybody forgotten
    let (_, neighbour) = scene.bench.key("beta", Role::Viewer).await;
    scene.bench.door.observe(neighbour).await.unwrap();
    scene.asked(&scene.claim(&claims(NOW))).await.unwrap();
    let before = scene.bench.door.lobby.len();
    let mut short = claims(NOW);
    short["exp"] = json!(NOW / 1_000 + 5);
    let claim = scene.claim(&short);
    let first = scene.bench.door.ask(claim.clone()).await.unwrap();
    assert!(!first.lease_is_over(NOW + 4_999) && first.lease_is_over(NOW + 5_000), "no session outlives its token");
    let remembered = scene.bench.door.lobby.len();
    scene.asked(&claim).await.unwrap();
    assert_eq!(
        (remembered, scene.bench.door.lobby.len()),
        (before + 1, before + 1),
        "shown again, it is granted in the lobby"
    );
    scene.bench.clock.advance(65_000);
    assert_eq!(scene.asked(&claim).await, Err(Code::Unauthenticated));
    let lasting = scene.claim(&claims(NOW + 65_000));
    let kept = scene.bench.door.ask(lasting).await.unwrap();
    assert!(kept.lease_is_over(NOW + 65_000 + HANDLE_LEASE_MS), "nor longer than any other");
}

#[actix::test]
async fn users_yaml_lowers_a_role_and_never_raises_one() {
    let scene = Scene::new().await;
    let user = |role: &str| format!("  - {{user_id: chiara, role: {role}}}\n");
    let mut said = claims(NOW);
    for (listed, token, role) in [
        ("viewer", "owner", Err(Code::Forbidden)),
        ("operator", "owner", Ok(Some(Role::Operator))),
        ("owner", "operator", Ok(Some(Role::Operator))),
        ("admin", "owner", Ok(Some(Role::Admin))),
    ] {
        scene.users("").await;
        said["role"] = json!(token);
        scene.asked(&scene.claim(&said)).await.unwrap();
        scene.users(&user(listed)).await;
        assert_eq!(scene.asked(&scene.claim(&said)).await, role, "{listed} {token}");
    }
    said["sub"] = json!("dana");
    assert_eq!(
        scene.asked(&scene.claim(&said)).await,
        Ok(Some(Role::Owner)),
        "whom the file does not name, the issuer does"
    );
}

#[actix::test]
async fn a_locked_user_is_refused_with_keys_and_tokens_from_the_next_knock_on() {
    let scene = Scene::new().await;
    let governing = scene.bench.door.govern(scene.bench.as_operator(Some("acme"))).await.unwrap();
    let key = async |user: &str| {
        let new = NewKey { role: Role::Operator, user_id: Some(user.to_owned()), expires_in_ms: None };
        shown(governing.issue_key(new).await.unwrap().key)
    };
    let (own, other) = (key("chiara").await, key("dana").await);
    let token = scene.claim(&claims(NOW));
    for claim in [&own, &other, &token] {
        scene.asked(claim).await.unwrap();
        scene.asked(claim).await.unwrap();
    }
    scene.users(LOCKED).await;
    for claim in [&own, &token] {
        assert_eq!(scene.asked(claim).await, Err(Code::Unauthenticated));
        let words = [
            refused(scene.bench.door.govern(claim.clone()).await),
            refused(scene.bench.door.fleet(claim.clone()).await),
        ];
        assert!(words.iter().all(|rejection| *rejection == Rejection::unauthenticated()), "{words:?}");
    }
    assert_eq!(scene.asked(&other).await, Ok(Some(Role::Operator)), "nobody else is touched");
    scene.users("").await;
    assert_eq!(scene.asked(&token).await, Ok(Some(Role::Operator)));
}

#[actix::test]
async fn a_new_key_is_taken_when_it_is_shown_and_a_withdrawn_one_is_not_any_more() {
    let scene = Scene::new().await;
    let old = scene.claim(&claims(NOW));
    scene.asked(&old).await.unwrap();
    let (second, third) = (Signer::ec("second"), Signer::ed("third"));
    let new = shown(second.sign(&claims(NOW)));
    publish(scene.keys.path(), &[&second]);
    assert_eq!(scene.asked(&old).await, Ok(Some(Role::Operator)), "nobody has read the new set");
    assert_eq!(scene.asked(&new).await, Ok(Some(Role::Operator)), "read again because of this very token");
    assert_eq!(scene.asked(&old).await, Err(Code::Unauthenticated), "although it was remembered");
    let newest = shown(third.sign(&claims(NOW)));
    publish(scene.keys.path(), &[&second, &third]);
    scene.bench.clock.advance(KEY_SET_ASKED_MS - 1);
    assert_eq!(scene.asked(&newest).await, Err(Code::Unauthenticated), "such a token had it read a moment ago");
    scene.bench.clock.advance(1);
    assert_eq!(scene.asked(&newest).await, Ok(Some(Role::Operator)));
    std::fs::write(scene.keys.path().join("keys.json"), "half a fi").unwrap();
    scene.bench.clock.advance(KEY_SET_ASKED_MS);
    assert_eq!(scene.asked(&old).await, Err(Code::Unauthenticated));
    assert_eq!(scene.asked(&new).await, Ok(Some(Role::Operator)), "the last good set is kept");
    scene.bench.clock.advance(200_000_000);
    let later = shown(second.sign(&claims(NOW + 200_000_000)));
    assert_eq!(scene.asked(&later).await, Err(Code::Unauthenticated), "but not for ever");
}

#[actix::test]
async fn a_house_that_trusts_nobody_takes_no_token() {
    let bench = Bench::start().await;
    bench.create("acme").await;
    let token = shown(Signer::ed("first").sign(&claims(NOW)));
    assert_eq!(refused(bench.door.ask(token).await), Rejection::unauthenticated());
}

//! Every field of the registry and of identity that bears an id, with ids of another tenant and near misses of them: the
//! rows of level `Registry` in `tests/support/foreign.rs`.
use super::bench::Bench;
use super::credentials::{ShownKey, read};
use super::directory::{CommitView, Directory};
use super::entry::Entry;
use super::fixtures::*;
use super::handles::GovernHandle;
use super::keyring;
use super::messages::{Claim, KeyView, NewKey};
use super::releases::Release;
use super::rules::{judge, judge_token};
use crate::gitops::messages::FoldersSeen;
use crate::identity::rules::{Standing, verify};
use crate::identity::tokens::{ISSUER, Signer, claims, issuer, key_set, standing};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::{Code, Outcome, Rejection};
use bailiwick_policy::access::{Principal, Right, Role};
use bailiwick_policy::compile::{GOVERNANCE, USERS, compile};
use bailiwick_policy::guardrails::Guardrails;
use foreign::{Dice, Level, Names, Pair, demand_none, of_level};
use futures_util::{StreamExt, stream};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

#[path = "../../../tests/support/foreign.rs"]
mod foreign;

const NAMES: Names<'static> = Names { theirs: "beta", their_uuid: "be7a0000-0000-0000-0000-000000000000", own: "acme" };
const RIGHTS: [Right; 7] =
    [Right::Ask, Right::Ingest, Right::Feedback, Right::Audit, Right::Observe, Right::Govern, Right::Fleet];
const NOBODY: &str = "nobody-of-that-name";
const THEIR_ISSUER: &str = "https://login.example/realms/beta";
/// What their keys are made of; no key of the own ones has the same name.
const THEIR_SEEDS: std::ops::Range<u8> = 40..52;
const IN_FLIGHT: usize = 64;
/// The other tenant locks one of its users and lowers another.
const THEIR_USERS: &str = "tenant_id: beta\nusers:\n  - {user_id: farah, role: owner, status: locked}\n  - {user_id: goran, \
                           role: viewer}\n  - {user_id: chiara, role: viewer, status: locked}\n";

/// What is decided without rooms.
struct Law {
    directory: Directory,
    own_keys: Vec<(SecretString, ShownKey)>,
    own: Signer,
    theirs: Signer,
    standing: Standing,
    names: Vec<Pair>,
    key_ids: Vec<Pair>,
    digests: Vec<String>,
    users: Vec<Pair>,
}

fn owner() -> Principal {
    Principal { key_id: "own".into(), user_id: None, role: Some(Role::Owner), attributes: BTreeMap::new() }
}

impl Law {
    fn new() -> Self {
        let mut directory = two_tenants();
        let mut texts = signed_folder(&record("beta", BETA));
        texts.insert(USERS.to_owned(), THEIR_USERS.to_owned());
        let policy = Arc::new(compile("beta", &texts, &Guardrails::none()).unwrap());
        let beta = key_of(&directory, BETA);
        directory.tenant_mut(beta).unwrap().policy = Some(policy);
        let mut own_keys = Vec::new();
        for (seed, role) in (1..).zip(Role::ALL) {
            let fresh = fresh(seed);
            directory.apply(&Entry::KeyIssued(key_record(&fresh, Some(ACME), Some(role))));
            let shown = read(&fresh.whole).unwrap();
            own_keys.push((fresh.whole, shown));
        }
        let (mut key_ids, mut digests) = (Vec::new(), Vec::new());
        for (seed, role) in THEIR_SEEDS.zip(Role::ALL.into_iter().cycle()) {
            let fresh = fresh(seed);
            directory.apply(&Entry::KeyIssued(key_record(&fresh, Some(BETA), Some(role))));
            digests.push(hex::encode(fresh.digest));
            key_ids.push(Pair::of(fresh.key_id));
        }
        let (own, theirs) = (Signer::ed("first"), Signer::ed("second"));
        let issuers = [
            (issuer(ISSUER, &["acme"], "unread".into()), &[&own][..]),
            (issuer(THEIR_ISSUER, &["beta"], "unread".into()), &[&theirs][..]),
        ];
        let standing = standing(&issuers, NOW + 86_400_000);
        let names = vec![
            Pair::of("beta"),
            Pair::of_uuid(BETA.to_string()),
            Pair::of(BETA.simple().to_string()),
            Pair::of(beta.to_hex()),
        ];
        let users = ["farah", "goran", "chiara"].map(Pair::of).to_vec();
        Self { directory, own_keys, own, theirs, standing, names, key_ids, digests, users }
    }

    /// Tries one row so often; nothing where it is none of these.
    fn attempt(&self, row: &'static str, times: usize) -> Option<Vec<String>> {
        let tried = |one: &dyn Fn(&mut Dice) -> Option<String>| {
            let one = |number| one(&mut Dice::of(row, number)).map(|hit| format!("{row} {number} {hit}"));
            Some((0..times).filter_map(one).collect())
        };
        match row {
            "Claim.tenant, by key" => tried(&|dice| self.named_by_key(dice)),
            "Claim.tenant, by token" => {
                let passed: Vec<_> = ["operator", "owner", "viewer"].map(|role| self.passed(role)).into();
                tried(&|dice| {
                    let (token, right) = (dice.one_of(&passed), *dice.one_of(&RIGHTS));
                    let named = drawn(dice, &self.names);
                    let ask = |named: &str| judge_token(&self.directory, token, Some(named), right, NOW);
                    unless(&named, &ask(NOBODY), &ask(&named))
                })
            }
            "Claim.credential: public id" => tried(&|dice| self.credential(dice)),
            "token: sub" => tried(&|dice| self.subject(dice)),
            "keyring::revoke.key_id" => tried(&|dice| {
                let id = drawn(dice, &self.key_ids);
                let tenant = self.directory.find("acme").unwrap();
                let revoke = |id: &str| keyring::revoke(&self.directory, tenant, &owner(), id, NOW);
                unless(&id, &no_such_key(), &revoke(&id))
            }),
            "keyring::rotate.key_id" => {
                let new = fresh(30);
                tried(&|dice| {
                    let id = drawn(dice, &self.key_ids);
                    let tenant = self.directory.find("acme").unwrap();
                    let rotate = keyring::rotate(&self.directory, tenant, &owner(), &id, &new, NOW);
                    unless(&id, &no_such_key(), &rotate.map(|issue| issue.entries))
                })
            }
            _ => None,
        }
    }

    fn named_by_key(&self, dice: &mut Dice) -> Option<String> {
        let ((_, shown), right) = (dice.one_of(&self.own_keys), *dice.one_of(&RIGHTS));
        let named = drawn(dice, &self.names);
        let ask = |named: &str| judge(&self.directory, Some(shown), Some(named), right, NOW);
        let nobodys = ask(NOBODY);
        assert!(matches!(&nobodys, Err(refused) if matches!(refused.code, Code::NotFound | Code::Forbidden)));
        unless(&named, &nobodys, &ask(&named))
    }

    /// The other's public id with one's own secret, or with what is kept of the other's.
    fn credential(&self, dice: &mut Dice) -> Option<String> {
        let (whole, _) = dice.one_of(&self.own_keys);
        let own_secret = whole.expose_secret().rsplit('_').next().unwrap().to_owned();
        let secret = if dice.below(2) == 0 { &own_secret } else { dice.one_of(&self.digests) };
        let id = drawn(dice, &self.key_ids);
        let shown = read(&SecretString::from(format!("bwk_{id}_{secret}")));
        let named = *dice.one_of(&[None, Some("acme"), Some("beta")]);
        let told = judge(&self.directory, shown.as_ref(), named, *dice.one_of(&RIGHTS), NOW);
        unless(&id, &Err(Rejection::unauthenticated()), &told)
    }

    fn passed(&self, role: &str) -> crate::identity::rules::Passed {
        let mut said = claims(NOW);
        (said["role"], said["sub"]) = (json!(role), json!("dana"));
        verify(&self.standing, &self.own.sign(&said), NOW).unwrap()
    }

    /// A token of one's own issuer for a user of the other's name: it is one's own user.
    fn subject(&self, dice: &mut Dice) -> Option<String> {
        let pair = dice.one_of(&self.users).clone().spelled(dice, &NAMES);
        let ask = |user: &str| {
            let mut said = claims(NOW);
            said["sub"] = json!(user);
            let passed = verify(&self.standing, &self.own.sign(&said), NOW).map_err(|refused| refused.why)?;
            let judged = judge_token(&self.directory, &passed, None, Right::Ask, NOW);
            Ok(judged.map(|admission| (admission.into, admission.principal.role)))
        };
        unless::<Result<_, crate::identity::rules::Refusal>>(&pair.theirs, &ask(&pair.nobodys), &ask(&pair.theirs))
    }
}

fn no_such_key() -> Outcome<Vec<Entry>> {
    Err(Rejection::new(Code::NotFound, "there is no such key for this tenant"))
}

fn drawn(dice: &mut Dice, pool: &[Pair]) -> String {
    dice.one_of(pool).clone().spelled(dice, &NAMES).theirs
}

fn unless<T: PartialEq + Debug>(id: &str, expected: &T, told: &T) -> Option<String> {
    (told != expected).then(|| format!("{id:?}: {told:?} and not {expected:?}"))
}

/// What of the other tenant somebody could have changed.
#[derive(PartialEq, Debug)]
struct State {
    keys: Vec<KeyView>,
    releases: Vec<Release>,
    commits: Vec<CommitView>,
}

/// What is asked of rooms.
struct Rooms {
    bench: Bench,
    law: Law,
    claim: Claim,
    governing: GovernHandle,
    key_ids: Vec<Pair>,
    versions: Vec<Pair>,
    _keys: tempfile::TempDir,
}

impl Rooms {
    async fn new(law: Law) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let published = |name: &str, signer: &Signer| {
            let path = keys.path().join(name);
            std::fs::write(&path, key_set(&[signer])).unwrap();
            path
        };
        let own = issuer(ISSUER, &["acme"], published("own.json", &law.own));
        let theirs = issuer(THEIR_ISSUER, &["beta"], published("theirs.json", &law.theirs));
        let bench = Bench::trusting(vec![own, theirs]).await;
        bench.create("acme").await;
        bench.create("beta").await;
        newer_files(&bench).await;
        let mut key_ids = Vec::new();
        for role in Role::ALL {
            key_ids.push(Pair::of(bench.key("beta", role).await.0));
        }
        let (_, claim) = bench.key("acme", Role::Owner).await;
        let governing = bench.door.govern(claim.clone()).await.unwrap();
        let rooms = Self { bench, law, claim, governing, key_ids, versions: Vec::new(), _keys: keys };
        let theirs = rooms.state().await;
        let newest = theirs.releases.last().unwrap();
        assert_eq!((newest.version.as_str(), theirs.releases.len()), ("7.4.2", 2), "{theirs:?}");
        Self { versions: vec![Pair::of("7.4.2"), Pair::of(newest.release.clone())], ..rooms }
    }

    async fn state(&self) -> State {
        let theirs = self.bench.door.govern(self.bench.as_operator(Some("beta"))).await.unwrap();
        State {
            keys: theirs.keys().await.unwrap(),
            releases: theirs.releases().await.unwrap(),
            commits: theirs.commits().await.unwrap(),
        }
    }

    async fn attempt(&self, row: &'static str, times: usize) -> Vec<String> {
        let tried = stream::iter(0..times).map(async |number| {
            let hit = self.one(row, &mut Dice::of(row, number)).await;
            hit.map(|hit| format!("{row} {number} {hit}"))
        });
        tried.buffer_unordered(IN_FLIGHT).filter_map(std::future::ready).collect().await
    }

    async fn one(&self, row: &str, dice: &mut Dice) -> Option<String> {
        let naming = |tenant: &str| Claim { tenant: Some(tenant.to_owned()), ..self.claim.clone() };
        match row {
            "Claim.tenant, remembered" => {
                assert!(self.knocks(&self.claim, Right::Ask).await.is_ok(), "let in before, by the same key");
                let (named, right) = (drawn(dice, &self.law.names), *dice.one_of(&RIGHTS));
                let nobodys = self.knocks(&naming(NOBODY), right).await;
                unless(&named, &nobodys, &self.knocks(&naming(&named), right).await)
            }
            "token: tenant" => {
                let (named, mut said) = (drawn(dice, &self.law.names), claims(NOW));
                said["tenant"] = json!(named);
                self.with_token(dice, &named, self.law.own.sign(&said)).await
            }
            "token: iss, kid" => {
                let issuer = drawn(dice, &[Pair::of(THEIR_ISSUER)]);
                let (mut said, mut head) = (claims(NOW), self.law.own.head());
                (said["iss"], said["tenant"]) = (json!(issuer), json!(dice.one_of(&["acme", "beta"])));
                head["kid"] = json!(dice.one_of(&["first", "second", "third"]));
                self.with_token(dice, &issuer, self.law.own.sign_under(&head, &said)).await
            }
            "GovernRequest::Revoke" => {
                let id = drawn(dice, &self.key_ids);
                unless(&id, &no_such_key().map(|_| ()), &self.governing.revoke_key(id.clone()).await.map(|_| ()))
            }
            "GovernRequest::Rotate" => {
                let id = drawn(dice, &self.key_ids);
                unless(&id, &no_such_key().map(|_| ()), &self.governing.rotate_key(id.clone()).await.map(|_| ()))
            }
            "GovernRequest::ReadRelease" => {
                let version = drawn(dice, &self.versions);
                let detail = format!("reading a release: none of version {version:?} is kept; there are 1.0.0");
                let told = self.governing.release(version.clone()).await;
                unless(&version, &Err(Rejection::new(Code::NotFound, detail)), &told)
            }
            "NewKey.user_id" => self.key_for(drawn(dice, &self.law.users)).await,
            row => panic!("{row} is in the table and nowhere tried"),
        }
    }

    /// Whether somebody is let in; what a handle reaches is of no interest here.
    async fn knocks(&self, claim: &Claim, right: Right) -> Outcome<()> {
        let (door, claim) = (&self.bench.door, claim.clone());
        match right {
            Right::Ask => door.ask(claim).await.map(drop),
            Right::Ingest => door.ingest(claim).await.map(drop),
            Right::Feedback => door.feedback(claim).await.map(drop),
            Right::Audit => door.audit(claim).await.map(drop),
            Right::Observe => door.observe(claim).await.map(drop),
            Right::Govern => door.govern(claim).await.map(drop),
            Right::Fleet => door.fleet(claim).await.map(drop),
        }
    }

    async fn with_token(&self, dice: &mut Dice, id: &str, token: String) -> Option<String> {
        let tenant = dice.one_of(&[None, Some("acme"), Some("beta")]).map(str::to_owned);
        let claim = Claim { credential: Some(SecretString::from(token)), tenant };
        let told = self.knocks(&claim, *dice.one_of(&RIGHTS)).await;
        unless(id, &Err(Rejection::unauthenticated()), &told)
    }

    /// A key of one's own tenant for a user of the other's name: it opens one's own tenant and nothing else.
    async fn key_for(&self, user: String) -> Option<String> {
        let new = NewKey { role: Role::Operator, user_id: Some(user.clone()), expires_in_ms: None };
        let issued = match self.governing.issue_key(new).await {
            Ok(issued) => issued,
            Err(refused) => return unless(&user, &Code::InvalidRequest, &refused.code),
        };
        let own = Claim { credential: Some(SecretString::from(issued.key)), tenant: None };
        let other = Claim { tenant: Some("beta".into()), ..own.clone() };
        let told = (self.knocks(&own, Right::Ask).await, self.knocks(&other, Right::Ask).await);
        let nobodys = self.knocks(&Claim { tenant: Some(NOBODY.into()), ..own }, Right::Ask).await;
        unless(&user, &(Ok(()), nobodys), &told)
    }
}

/// The other tenant has a version of its own, and users.
async fn newer_files(bench: &Bench) {
    let mut texts = bench.folders.texts("beta").unwrap().unwrap();
    let governance = texts.get_mut(GOVERNANCE).unwrap();
    *governance = governance.replacen("policy_semver: 1.0.0", "policy_semver: 7.4.2", 1);
    texts.insert(USERS.to_owned(), THEIR_USERS.to_owned());
    signer().sign_folder("beta", &[], &mut texts).unwrap();
    for (file, text) in &texts {
        std::fs::write(bench.folders.root().join("beta").join(file), text).unwrap();
    }
    let (reply, awaited) = ReplySlot::pair();
    let folders = vec![bench.folders.observe("beta".to_owned())];
    bench.registry.send(FoldersSeen { folders, reply }).await.unwrap();
    assert!(awaited.outcome().await.unwrap().is_empty());
}

#[actix::test]
async fn no_id_of_another_tenant_opens_anything_in_any_field() {
    let rooms = Rooms::new(Law::new()).await;
    let before = rooms.state().await;
    let (mut tried, mut hits) = (Vec::new(), Vec::new());
    for field in of_level(Level::Registry) {
        let found = match rooms.law.attempt(field.name, field.attempts) {
            Some(found) => found,
            None => rooms.attempt(field.name, field.attempts).await,
        };
        hits.extend(found);
        tried.push((field.name, field.attempts));
    }
    demand_none(Level::Registry, &tried, &hits);
    assert_eq!(rooms.state().await, before, "the other tenant has changed");
}

#[test]
fn keys_recorded_under_the_wrong_tenant_are_found() {
    let mut law = Law::new();
    for seed in THEIR_SEEDS {
        law.directory.apply(&Entry::KeyIssued(key_record(&fresh(seed), Some(ACME), Some(Role::Viewer))));
    }
    for row in ["keyring::revoke.key_id", "keyring::rotate.key_id"] {
        assert!(!law.attempt(row, 400).unwrap().is_empty(), "{row}");
    }
    law.directory = two_tenants();
    law.names.push(Pair::of("acme"));
    for (seed, role) in (1..).zip(Role::ALL) {
        law.directory.apply(&Entry::KeyIssued(key_record(&fresh(seed), Some(ACME), Some(role))));
    }
    assert!(!law.attempt("Claim.tenant, by key", 400).unwrap().is_empty(), "a name that opens a door");
}

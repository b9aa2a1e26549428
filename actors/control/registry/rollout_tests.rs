//! Releases on their way, as the registry keeps them: over restarts, whatever else changes, and when they are gone.
use super::bench::{Bench, new_tenant};
use super::messages::{NewTenant, ReadEnforcing, RolloutOver};
use crate::gitops::messages::{FolderSeen, FoldersSeen};
use bailiwick_kernel::mail::ReplySlot;
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::Role;
use bailiwick_policy::commit::signature_of;
use bailiwick_policy::compile::{GOVERNANCE, ROUTER, SOVEREIGNTY};
use bailiwick_policy::release::RELEASED;
use bailiwick_policy::signature::{NAMESPACE, private_key_from_seed, public_line, sign};

pub(super) const TENANT: &str = "acme";

impl Bench {
    /// Edits a file of the tenant's folder, signs it all anew, and hands the folder over as the watcher would.
    pub(super) async fn edit(&self, file: &str, from: &str, to: &str) {
        let folder = self.folders.root().join(TENANT);
        let mut texts = self.folders.texts(TENANT).unwrap().unwrap();
        let text = texts.get_mut(file).unwrap();
        assert!(text.contains(from), "{file} has no {from:?}:\n{text}");
        *text = text.replacen(from, to, 1);
        super::fixtures::signer().sign_folder(TENANT, &[], &mut texts).unwrap();
        for (file, text) in &texts {
            std::fs::write(folder.join(file), text).unwrap();
        }
        self.look().await;
    }

    pub(super) async fn look(&self) {
        let seen: FolderSeen = self.folders.observe(TENANT.to_owned());
        let (reply, awaited) = ReplySlot::pair();
        self.registry.send(FoldersSeen { folders: vec![seen], reply }).await.unwrap();
        assert!(awaited.outcome().await.unwrap().is_empty());
    }

    /// The version that came through, the one that is on its way beside it, and what is said of the folder.
    pub(super) async fn stands(&self) -> (String, Option<String>, Option<String>) {
        let (reply, awaited) = ReplySlot::pair();
        self.registry.send(ReadEnforcing { reply }).await.unwrap();
        let enforcing = awaited.outcome().await.unwrap().pop().unwrap().expected;
        let newest = enforcing.control.is_some().then(|| enforcing.version.clone());
        let view = self.fleet().await.get(TENANT.into()).await.unwrap();
        assert_eq!(view.policy_version, enforcing.settled().version);
        (view.policy_version, newest, view.reason)
    }

    async fn ends(&self, reached_everybody: bool) {
        let (reply, awaited) = ReplySlot::pair();
        self.registry.send(ReadEnforcing { reply }).await.unwrap();
        let enforcing = awaited.outcome().await.unwrap().pop().unwrap();
        let release = enforcing.expected.release.clone();
        self.registry.send(RolloutOver { tenant: enforcing.tenant, release, reached_everybody }).await.unwrap();
        // changes wait for one another: what is answered after it has seen it
        self.look().await;
    }
}

/// A tenant whose releases go in stages, and a second release on its way.
async fn on_its_way() -> Bench {
    let bench = Bench::start().await;
    bench.create(TENANT).await;
    let (_, claim) = bench.key(TENANT, Role::Auditor).await;
    bench.door.audit(claim).await.unwrap();
    bench.edit(GOVERNANCE, "settings:\n", "settings:\n  rollout: { stage_minutes: 1 }\n").await;
    bench.edit(GOVERNANCE, "policy_semver: 1.0.0", "policy_semver: 1.1.0").await;
    assert_eq!(bench.stands().await, ("1.1.0".to_owned(), None, None), "nobody notices another version alone");
    bench.edit(GOVERNANCE, "require_citations: true", "require_citations: false\n  # loose").await;
    bench
}

fn semver(version: &str) -> (String, String) {
    (format!("policy_semver: {version}"), version.to_owned())
}

async fn second(bench: &Bench) {
    let texts = bench.folders.texts(TENANT).unwrap().unwrap();
    assert!(texts[GOVERNANCE].contains("loose"));
    bench.edit(GOVERNANCE, &semver("1.1.0").0, &semver("2.0.0").0).await;
    assert_eq!(bench.stands().await, ("1.1.0".to_owned(), Some("2.0.0".to_owned()), None));
}

#[actix::test]
async fn a_release_on_its_way_survives_a_restart_and_reaches_everybody_once() {
    let bench = on_its_way().await;
    assert!(bench.stands().await.2.unwrap().contains("policy_semver"), "changed words want a newer version");
    second(&bench).await;
    let again = bench.restart().await;
    again.look().await;
    let (_, claim) = again.key(TENANT, Role::Auditor).await;
    again.door.audit(claim).await.unwrap();
    assert_eq!(again.stands().await, ("1.1.0".to_owned(), Some("2.0.0".to_owned()), None), "the texts before are kept");
    again.edit(SOVEREIGNTY, "logs_days: 30", "logs_days: 31").await;
    assert_eq!(again.stands().await.1, Some("2.0.0".to_owned()), "what holds for everybody does not end it");
    again.ends(true).await;
    assert_eq!(again.stands().await, ("2.0.0".to_owned(), None, None));
    let third = again.restart().await;
    third.look().await;
    let (_, claim) = third.key(TENANT, Role::Auditor).await;
    third.door.audit(claim).await.unwrap();
    assert_eq!(third.stands().await, ("2.0.0".to_owned(), None, None));
}

#[actix::test]
async fn what_was_sent_back_serves_nobody_until_something_newer_comes() {
    let bench = on_its_way().await;
    second(&bench).await;
    bench.ends(false).await;
    let (version, newest, reason) = bench.stands().await;
    assert_eq!((version.as_str(), newest.as_deref()), ("1.1.0", Some("2.0.0")), "the one before goes on beside it");
    assert!(reason.unwrap().contains("version 2.0.0 was sent back"));
    let again = bench.restart().await;
    again.look().await;
    let (_, claim) = again.key(TENANT, Role::Auditor).await;
    again.door.audit(claim).await.unwrap();
    let (version, _, reason) = again.stands().await;
    assert_eq!(version, "1.1.0", "the folder still holds it, and it still serves nobody");
    assert!(reason.unwrap().contains("was sent back"));
    again.ends(true).await;
    assert_eq!(again.stands().await.0, "1.1.0", "a late word does not bring it to everybody");
    again.edit(GOVERNANCE, "require_citations: false\n  # loose", "require_citations: true").await;
    again.edit(GOVERNANCE, &semver("2.0.0").0, &semver("2.0.1").0).await;
    assert_eq!(
        again.stands().await,
        ("2.0.1".to_owned(), None, None),
        "what people had before is for everybody at once"
    );
}

#[actix::test]
async fn texts_of_releases_are_given_by_version_and_go_with_the_tenant() {
    let bench = on_its_way().await;
    second(&bench).await;
    let governing = bench.door.govern(bench.as_operator(Some(TENANT))).await.unwrap();
    let texts = governing.release("1.1.0".to_owned()).await.unwrap();
    assert!(texts[GOVERNANCE].contains("require_citations: true") && texts.contains_key(ROUTER));
    assert!(RELEASED.iter().all(|file| texts.contains_key(*file)));
    let rejection = governing.release("7.0.0".to_owned()).await.unwrap_err();
    assert_eq!(rejection.code, Code::NotFound);
    assert!(rejection.detail.contains("1.1.0, 2.0.0"), "{}", rejection.detail);
    let (reply, awaited) = ReplySlot::pair();
    bench.registry.send(ReadEnforcing { reply }).await.unwrap();
    let staged = awaited.outcome().await.unwrap().pop().unwrap().expected;
    let releases = [staged.release.clone(), staged.settled().release.clone()];
    let kept = || releases.iter().map(|release| bench.history().texts(staged.tenant.id, release).is_ok());
    assert!(kept().all(|is_kept| is_kept));
    bench.fleet().await.delete(TENANT.into(), true).await.unwrap();
    assert!(kept().all(|is_kept| !is_kept), "deleted means gone");
}

#[actix::test]
async fn a_person_named_when_a_tenant_is_made_signs_its_next_policy() {
    let bench = Bench::start().await;
    let key = private_key_from_seed([5; 32], "anna@example.org");
    let line = format!("anna@example.org namespaces=\"{NAMESPACE}\" {}", public_line(&key).unwrap());
    let with = |signers: &[&str]| NewTenant {
        signers: signers.iter().map(ToString::to_string).collect(),
        ..new_tenant(TENANT)
    };
    for wrong in ["no signer", "# bailiwick: tenant=acme serial=9", "a\nb"] {
        let rejection = bench.fleet().await.create(with(&[wrong])).await.unwrap_err();
        assert_eq!(rejection.code, Code::InvalidRequest, "{wrong:?}: {}", rejection.detail);
    }
    bench.fleet().await.create(with(&[&line])).await.unwrap();
    let folder = bench.folders.root().join(TENANT);
    let text = bench.folders.texts(TENANT).unwrap().unwrap()[GOVERNANCE].replacen(
        "policy_semver: 1.0.0",
        "policy_semver: 1.1.0",
        1,
    );
    std::fs::write(folder.join(GOVERNANCE), &text).unwrap();
    bench.look().await;
    let reason = bench.fleet().await.get(TENANT.into()).await.unwrap().reason.unwrap();
    assert!(reason.contains("governance.yaml.sig"), "{reason}");
    std::fs::write(folder.join(signature_of(GOVERNANCE)), sign(&key, text.as_bytes()).unwrap()).unwrap();
    bench.look().await;
    let (_, claim) = bench.key(TENANT, Role::Auditor).await;
    bench.door.audit(claim).await.unwrap();
    assert_eq!(bench.stands().await, ("1.1.0".to_owned(), None, None));
}

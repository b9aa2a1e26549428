use super::credentials::{RANDOM_BYTES, forge, read};
use super::directory::{CONTROL_ID, Directory, Folder};
use super::entry::{Entry, Standing};
use super::fixtures::*;
use super::keyring;
use super::lifecycle::{self, Arrival, Wish};
use super::messages::{NewKey, NewTenant, TenantChanges, TenantFilters};
use super::rules::{Place, RestartVerdict, judge, restart};
use super::views;
use bailiwick_kernel::codec;
use bailiwick_kernel::limits::{
    HANDLE_LEASE_MS, KEYS_PER_TENANT_MAX, RESTART_WINDOW_MS, RESTARTS_MAX, REVOKED_KEYS_LISTED_MAX,
};
use bailiwick_kernel::outcome::{Code, Rejection};
use bailiwick_policy::access::{Principal, Right, Role};
use bailiwick_policy::schema::{Plan, Status};
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

const RIGHTS: [Right; 7] =
    [Right::Ask, Right::Ingest, Right::Feedback, Right::Audit, Right::Observe, Right::Govern, Right::Fleet];

fn principal(role: Option<Role>) -> Principal {
    Principal { key_id: "somebody".to_owned(), user_id: None, role, attributes: Default::default() }
}

/// Judges a knock with a key of the given owner and role.
fn knock(
    directory: &Directory,
    owner: Option<Uuid>,
    role: Option<Role>,
    named: Option<&str>,
    right: Right,
) -> Result<Place, Rejection> {
    let mut directory = directory.clone();
    let fresh = fresh(9);
    directory.apply(&Entry::KeyIssued(key_record(&fresh, owner, role)));
    judge(&directory, read(&fresh.whole).as_ref(), named, right, NOW).map(|admission| admission.into)
}

#[test]
fn every_unusable_credential_gets_the_same_answer() {
    let mut directory = two_tenants();
    let (good, revoked, expired, unknown) = (fresh(1), fresh(2), fresh(3), fresh(4));
    directory.apply(&Entry::KeyIssued(key_record(&good, Some(ACME), Some(Role::Owner))));
    directory.apply(&Entry::KeyIssued(key_record(&revoked, Some(ACME), Some(Role::Owner))));
    directory.apply(&Entry::KeyRevoked { key_id: revoked.key_id.clone(), at_unix_ms: NOW, by: "x".into() });
    let mut late = key_record(&expired, Some(ACME), Some(Role::Owner));
    late.expires_unix_ms = Some(NOW);
    directory.apply(&Entry::KeyIssued(late));

    let whole = good.whole.expose_secret();
    let other_end = if whole.ends_with('0') { "1" } else { "0" };
    let wrong_secret = format!("{}{other_end}", &whole[..whole.len() - 1]);
    let tokens = [
        None,
        Some(String::new()),
        Some("bwk_".into()),
        Some(whole[..whole.len() - 1].to_owned()),
        Some(format!("{whole}0")),
        Some(whole.to_uppercase()),
        Some(wrong_secret),
        Some(unknown.whole.expose_secret().to_owned()),
        Some(revoked.whole.expose_secret().to_owned()),
        Some(expired.whole.expose_secret().to_owned()),
    ];
    let mut answers = std::collections::BTreeSet::new();
    for token in tokens {
        for right in RIGHTS {
            for named in [None, Some("acme"), Some("beta"), Some("nobody")] {
                let shown = token.clone().map(SecretString::from).and_then(|token| read(&token));
                let rejection = judge(&directory, shown.as_ref(), named, right, NOW).unwrap_err();
                assert_eq!(rejection.code, Code::Unauthenticated, "{token:?}");
                answers.insert(format!("{rejection:?}"));
            }
        }
    }
    assert_eq!(answers.len(), 1);
    assert!(judge(&directory, read(&good.whole).as_ref(), None, Right::Ask, NOW).is_ok());
}

#[test]
fn roles_decide_rights_and_other_tenants_are_absent_tenants() {
    let directory = two_tenants();
    let acme = key_of(&directory, ACME);
    for role in Role::ALL {
        for right in RIGHTS {
            for named in [None, Some("acme"), Some(&*ACME.to_string())] {
                let place = knock(&directory, Some(ACME), Some(role), named, right);
                if role.may(right) {
                    assert_eq!(place, Ok(Place::Tenant(acme)), "{role:?} {right:?} {named:?}");
                } else {
                    assert_eq!(place.unwrap_err().code, Code::Forbidden, "{role:?} {right:?} {named:?}");
                }
            }
            let answer = |named| knock(&directory, Some(ACME), Some(role), Some(named), right).unwrap_err();
            let strangers = [
                answer("beta"),
                answer(&BETA.to_string()),
                answer("nobody"),
                answer(&Uuid::from_u128(77).to_string()),
                answer(""),
            ];
            assert!(strangers.iter().all(|one| *one == strangers[0]), "{strangers:?}");
            let expected = if right == Right::Fleet { Code::Forbidden } else { Code::NotFound };
            assert_eq!(strangers[0].code, expected);
        }
    }
}

#[test]
fn the_operator_may_everything_but_must_name_a_tenant() {
    let directory = two_tenants();
    for right in RIGHTS {
        let named = knock(&directory, None, None, Some("beta"), right);
        let unnamed = knock(&directory, None, None, None, right);
        if right == Right::Fleet {
            assert_eq!((named, unnamed), (Ok(Place::Fleet), Ok(Place::Fleet)));
        } else {
            assert_eq!(named, Ok(Place::Tenant(key_of(&directory, BETA))));
            let rejection = unnamed.unwrap_err();
            assert_eq!(rejection.code, Code::InvalidRequest);
            assert!(rejection.detail.contains("x-bailiwick-tenant"));
            assert_eq!(knock(&directory, None, None, Some("nobody"), right).unwrap_err().code, Code::NotFound);
        }
    }
}

#[test]
fn who_does_not_serve_lets_nobody_in_but_the_operator_to_its_keys() {
    type Break = fn(&mut Directory);
    let breaks: [(&str, Break); 7] = [
        ("suspended", |directory| stand(directory, Standing::Suspended)),
        ("archived", |directory| stand(directory, Standing::Archived)),
        ("deleted", |directory| stand(directory, Standing::Deleted)),
        ("quarantined", |directory| acme(directory).quarantine = Some("died".into())),
        ("suspended", |directory| acme(directory).folder = Folder::Gone),
        ("refused", |directory| acme(directory).policy = None),
        ("suspended", |directory| {
            let mut file = record("acme", ACME);
            file.status = Status::Suspended;
            acme(directory).policy = Some(policy_of(&file));
        }),
    ];
    for (state, apply) in breaks {
        let mut directory = two_tenants();
        apply(&mut directory);
        assert_eq!(views::tenant_view(directory.find("acme").unwrap()).state, state);
        for right in RIGHTS.into_iter().filter(|right| *right != Right::Fleet) {
            assert_eq!(
                knock(&directory, Some(ACME), Some(Role::Owner), None, right).unwrap_err().code,
                Code::TenantSuspended,
                "{state} {right:?}"
            );
            let operator = knock(&directory, None, None, Some("acme"), right).map_err(|rejection| rejection.code);
            let expected = if right == Right::Govern {
                Ok(Place::Tenant(key_of(&directory, ACME)))
            } else {
                Err(Code::TenantSuspended)
            };
            assert_eq!(operator, expected, "{state} {right:?}");
        }
        assert!(
            knock(&directory, Some(BETA), Some(Role::Owner), None, Right::Ask).is_ok(),
            "a neighbour is not touched"
        );
    }
}

fn acme(directory: &mut Directory) -> &mut super::directory::Tenant {
    let key = key_of(directory, ACME);
    directory.tenant_mut(key).unwrap()
}

fn stand(directory: &mut Directory, standing: Standing) {
    directory.apply(&Entry::StandingChanged {
        id: ACME,
        standing,
        reason: None,
        file_status: Status::Active,
        at_unix_ms: NOW,
        by: "x".into(),
    });
}

#[test]
fn a_lease_ends_with_the_key() {
    let mut directory = two_tenants();
    let key = fresh(1);
    let mut kept = key_record(&key, Some(ACME), Some(Role::Owner));
    kept.expires_unix_ms = Some(NOW + 5);
    directory.apply(&Entry::KeyIssued(kept));
    let admission = judge(&directory, read(&key.whole).as_ref(), None, Right::Ask, NOW).unwrap();
    assert_eq!(admission.lease_until_unix_ms, NOW + 5);
    let lasting = fresh(2);
    directory.apply(&Entry::KeyIssued(key_record(&lasting, Some(ACME), Some(Role::Owner))));
    let admission = judge(&directory, read(&lasting.whole).as_ref(), None, Right::Ask, NOW).unwrap();
    assert_eq!(admission.lease_until_unix_ms, NOW + HANDLE_LEASE_MS);
}

#[test]
fn keys_are_issued_revoked_and_rotated_below_the_own_role_only() {
    for by in Role::ALL {
        for role in Role::ALL {
            let mut directory = two_tenants();
            let old = fresh(1);
            let mut kept = key_record(&old, Some(ACME), Some(role));
            kept.user_id = Some("dana".into());
            kept.expires_unix_ms = Some(NOW + 99);
            directory.apply(&Entry::KeyIssued(kept));
            let tenant = directory.find("acme").unwrap();
            let (who, new) = (principal(Some(by)), NewKey { role, user_id: None, expires_in_ms: Some(10) });
            let issued = keyring::issue(&directory, tenant, &who, &new, &fresh(2), NOW);
            let rotated = keyring::rotate(&directory, tenant, &who, &old.key_id, &fresh(2), NOW);
            let revoked = keyring::revoke(&directory, tenant, &who, &old.key_id, NOW);
            if by.may_issue(role) {
                assert_eq!(issued.unwrap().record.expires_unix_ms, Some(NOW + 10));
                let successor = rotated.unwrap();
                assert_eq!(
                    (successor.record.role, successor.record.user_id, successor.record.expires_unix_ms),
                    (Some(role), Some("dana".into()), Some(NOW + 99))
                );
                assert_eq!(successor.entries.len(), 2, "issued and revoked in one append");
                assert_eq!(revoked.unwrap().len(), 1);
            } else {
                let codes = [issued.unwrap_err().code, rotated.unwrap_err().code, revoked.unwrap_err().code];
                assert_eq!(codes, [Code::Forbidden; 3], "{by:?} {role:?}");
            }
        }
    }
}

#[test]
fn keys_of_others_are_absent_and_their_number_is_bounded() {
    let mut directory = two_tenants();
    let foreign = fresh(1);
    directory.apply(&Entry::KeyIssued(key_record(&foreign, Some(BETA), Some(Role::Viewer))));
    let owner = principal(Some(Role::Owner));
    let revoke = |directory: &Directory, id: &str| {
        keyring::revoke(directory, directory.find("acme").unwrap(), &owner, id, NOW).unwrap_err()
    };
    assert_eq!(revoke(&directory, &foreign.key_id), revoke(&directory, "nothing"));

    for number in 0..KEYS_PER_TENANT_MAX {
        let mut kept = key_record(&fresh(2), Some(ACME), Some(Role::Viewer));
        kept.key_id = format!("key{number}");
        directory.apply(&Entry::KeyIssued(kept));
    }
    let new = NewKey { role: Role::Viewer, user_id: None, expires_in_ms: None };
    let full = keyring::issue(&directory, directory.find("acme").unwrap(), &owner, &new, &fresh(3), NOW);
    assert_eq!(full.unwrap_err().code, Code::QuotaExceeded);
    directory.apply(&Entry::KeyRevoked { key_id: "key0".into(), at_unix_ms: NOW, by: "x".into() });
    assert!(keyring::issue(&directory, directory.find("acme").unwrap(), &owner, &new, &fresh(3), NOW).is_ok());
}

#[test]
fn the_list_of_revoked_keys_is_bounded() {
    let mut directory = two_tenants();
    for number in 0..REVOKED_KEYS_LISTED_MAX + 3 {
        let mut kept = key_record(&fresh(2), Some(ACME), Some(Role::Viewer));
        kept.key_id = format!("key{number}");
        directory.apply(&Entry::KeyIssued(kept));
        directory.apply(&Entry::KeyRevoked {
            key_id: format!("key{number}"),
            at_unix_ms: NOW + number as u64,
            by: "x".into(),
        });
    }
    assert_eq!(directory.keys_of(Some(ACME)).len(), REVOKED_KEYS_LISTED_MAX);
    assert!(directory.key("key0").is_none() && directory.key("key3").is_some(), "the oldest are forgotten");
}

#[test]
fn standings_change_as_the_table_says() {
    use Standing::{Active, Archived, Deleted, Suspended};
    let suspend = || Wish::Suspend("unpaid".into());
    let table = [
        (Active, suspend(), Ok(Some(Suspended))),
        (Active, Wish::Resume, Ok(None)),
        (Active, Wish::Archive, Ok(Some(Archived))),
        (Active, Wish::Delete, Ok(Some(Deleted))),
        (Suspended, suspend(), Ok(None)),
        (Suspended, Wish::Resume, Ok(Some(Active))),
        (Suspended, Wish::Archive, Ok(Some(Archived))),
        (Suspended, Wish::Delete, Ok(Some(Deleted))),
        (Archived, suspend(), Err(Code::Conflict)),
        (Archived, Wish::Resume, Ok(Some(Active))),
        (Archived, Wish::Archive, Ok(None)),
        (Archived, Wish::Delete, Ok(Some(Deleted))),
        (Deleted, suspend(), Err(Code::Conflict)),
        (Deleted, Wish::Resume, Err(Code::Conflict)),
        (Deleted, Wish::Archive, Err(Code::Conflict)),
        (Deleted, Wish::Delete, Ok(None)),
    ];
    for (from, wish, expected) in table {
        let mut directory = two_tenants();
        stand(&mut directory, from);
        let entries = lifecycle::change_standing(directory.find("acme").unwrap(), &wish, "me", NOW)
            .map_err(|rejection| rejection.code);
        let to = entries.map(|entries| {
            entries.first().map(|entry| match entry {
                Entry::StandingChanged { standing, .. } => *standing,
                other => panic!("{other:?}"),
            })
        });
        assert_eq!(to, expected, "{from:?} {wish:?}");
    }
}

#[test]
fn whoever_spoke_last_about_the_standing_is_right() {
    let mut directory = two_tenants();
    stand(&mut directory, Standing::Suspended);
    assert_eq!(acme(&mut directory).standing(), Standing::Suspended, "the decision wins over an unchanged file");
    let mut file = record("acme", ACME);
    file.status = Status::Archived;
    let changed = policy_of(&file);
    let Arrival::Known(id, Some(entry)) = lifecycle::arrive(&directory, "acme", &changed, NOW).unwrap() else {
        panic!("must speak anew")
    };
    assert_eq!(id, ACME);
    directory.apply(&entry);
    acme(&mut directory).policy = Some(changed);
    assert_eq!(acme(&mut directory).standing(), Standing::Archived, "the file was changed later");
    // back to `active`: changed once more, so the old suspension does not come back
    let active = policy_of(&record("acme", ACME));
    let Arrival::Known(_, Some(entry)) = lifecycle::arrive(&directory, "acme", &active, NOW).unwrap() else {
        panic!("must speak anew")
    };
    directory.apply(&entry);
    acme(&mut directory).policy = Some(active.clone());
    assert_eq!(acme(&mut directory).standing(), Standing::Active);
    assert_eq!(lifecycle::arrive(&directory, "acme", &active, NOW), Ok(Arrival::Known(ACME, None)));
}

#[test]
fn folders_arrive_once_and_never_in_somebody_elses_name() {
    let directory = two_tenants();
    let arrive = |folder: &str, name: &str, id: Uuid| {
        let mut policy = (*policy_of(&record("gamma", Uuid::from_u128(5)))).clone();
        (policy.tenant.name, policy.tenant.id) = (name.to_owned(), id);
        lifecycle::arrive(&directory, folder, &policy, NOW).map_err(|rejection| rejection.code)
    };
    assert!(matches!(arrive("gamma", "gamma", Uuid::from_u128(3)), Ok(Arrival::New(_))));
    assert_eq!(arrive("acme", "acme", ACME), Ok(Arrival::Known(ACME, None)));
    assert_eq!(arrive("gamma", "gamma", ACME), Err(Code::Conflict), "an id of another tenant");
    assert_eq!(arrive("acme", "acme", Uuid::from_u128(3)), Err(Code::Conflict), "another id");
    assert_eq!(arrive("acme", "beta", BETA), Err(Code::Conflict), "a folder of another name");
    assert_eq!(arrive("gamma", "gamma", CONTROL_ID), Err(Code::InvalidRequest), "the control plane's own id");
    assert_eq!(arrive("Gamma!", "Gamma!", Uuid::from_u128(3)), Err(Code::InvalidRequest));
}

fn new_tenant(name: &str, id: Option<Uuid>) -> NewTenant {
    let file = record(name, Uuid::nil());
    NewTenant {
        id,
        name: name.to_owned(),
        plan: Plan::Free,
        config: file.config,
        quotas: file.quotas,
        metadata: file.metadata,
        signers: Vec::new(),
    }
}

#[test]
fn tenants_are_created_with_free_names_and_ids() {
    let mut directory = two_tenants();
    directory.note_stray("broken", Some("tenant.yaml:1:1: no".into()));
    let create = |directory: &Directory, name: &str, id| {
        lifecycle::create(directory, &new_tenant(name, id), Uuid::from_u128(8), NOW).map_err(|rejection| rejection.code)
    };
    assert_eq!(create(&directory, "gamma", None).unwrap().id, Uuid::from_u128(8));
    for (name, id, code) in [
        ("acme", None, Code::Conflict),
        ("broken", None, Code::Conflict),
        ("gamma", Some(ACME), Code::Conflict),
        ("gamma", Some(CONTROL_ID), Code::InvalidRequest),
        ("gamma", Some(Uuid::nil()), Code::InvalidRequest),
        ("../etc", None, Code::InvalidRequest),
        ("a/b", None, Code::InvalidRequest),
        (".hidden", None, Code::InvalidRequest),
        ("", None, Code::InvalidRequest),
        ("UPPER", None, Code::InvalidRequest),
        ("0000000000000000000000000000beef", None, Code::InvalidRequest),
    ] {
        assert_eq!(create(&directory, name, id).unwrap_err(), code, "{name}");
    }
    directory.apply(&Entry::DestructionBegun { id: ACME, at_unix_ms: NOW, by: "x".into() });
    directory.apply(&Entry::DestructionDone { id: ACME, at_unix_ms: NOW });
    assert!(create(&directory, "acme", None).is_ok(), "the name is free again");
    assert_eq!(create(&directory, "acme", Some(ACME)).unwrap_err(), Code::Conflict, "the id is never used again");
}

#[test]
fn changes_keep_what_they_do_not_name() {
    let directory = two_tenants();
    let tenant = directory.find("acme").unwrap();
    let changes = TenantChanges { plan: Some(Plan::Enterprise), ..TenantChanges::default() };
    let changed = lifecycle::update(tenant, &changes, NOW).unwrap();
    let before = record("acme", ACME);
    assert_eq!(changed.plan, Plan::Enterprise);
    assert_eq!(
        (changed.id, changed.config, changed.quotas, changed.metadata),
        (before.id, before.config, before.quotas, before.metadata)
    );
    assert!(changed.updated_at.is_some());
}

#[test]
fn lists_are_filtered_and_sorted() {
    let mut directory = two_tenants();
    directory.note_stray("aaa", Some("tenant.yaml:1:1: no".into()));
    let names = |filters: TenantFilters| {
        views::list(&directory, &filters).into_iter().map(|view| view.record.name).collect::<Vec<_>>()
    };
    assert_eq!(names(TenantFilters::default()), ["aaa", "acme", "beta"]);
    assert_eq!(names(TenantFilters { compliance: Some("SOX".into()), ..Default::default() }), ["acme", "beta"]);
    assert_eq!(
        names(TenantFilters { plan: Some(Plan::Pro), region: Some("eu-west-1".into()), ..Default::default() }),
        ["acme", "beta"]
    );
    assert!(names(TenantFilters { industry: Some("healthcare".into()), ..Default::default() }).is_empty());
    assert_eq!(names(TenantFilters { status: Some(Status::Suspended), ..Default::default() }), ["aaa"]);
}

#[test]
fn a_supervisor_may_die_so_often_and_no_more() {
    let mut deaths = Vec::new();
    for _ in 0..RESTARTS_MAX {
        assert_eq!(restart(&mut deaths, NOW), RestartVerdict::Rebuild);
    }
    assert_eq!(restart(&mut deaths, NOW), RestartVerdict::Quarantine);
    assert_eq!(restart(&mut deaths, NOW + RESTART_WINDOW_MS), RestartVerdict::Rebuild, "the window has passed");
}

proptest! {
    #[test]
    fn forged_keys_read_back_and_prove_themselves_only(random: [u8; RANDOM_BYTES], other: [u8; RANDOM_BYTES]) {
        let (key, stranger) = (forge(random), forge(other));
        let shown = read(&key.whole).unwrap();
        prop_assert_eq!(&shown.key_id, &key.key_id);
        prop_assert!(shown.proves(&key.digest));
        prop_assert_eq!(shown.proves(&stranger.digest), random[12..] == other[12..]);
    }

    #[test]
    fn no_text_makes_reading_a_key_fail_loudly(token in ".{0,120}") {
        let _any = read(&SecretString::from(token));
    }

    #[test]
    fn entries_keep_their_meaning_in_the_journal(steps in proptest::collection::vec((0_u8..6, 0_u8..4), 0..40)) {
        let mut live = Directory::default();
        let mut replayed = Directory::default();
        for (step, number) in steps {
            let id = Uuid::from_u128(u128::from(number) + 1);
            let entry = match step {
                0 => Entry::TenantRegistered { id, name: format!("t{number}"), at_unix_ms: NOW },
                1 => Entry::StandingChanged { id, standing: Standing::Suspended, reason: Some("r".into()), file_status: Status::Active, at_unix_ms: NOW, by: "x".into() },
                2 => Entry::KeyIssued(key_record(&fresh(number), Some(id), Some(Role::Auditor))),
                3 => Entry::KeyRevoked { key_id: fresh(number).key_id, at_unix_ms: NOW, by: "x".into() },
                4 => Entry::DestructionBegun { id, at_unix_ms: NOW, by: "x".into() },
                _ => Entry::DestructionDone { id, at_unix_ms: NOW },
            };
            let stored: Entry = codec::decode(&codec::encode(&entry).unwrap()).unwrap();
            prop_assert_eq!(&stored, &entry);
            live.apply(&entry);
            replayed.apply(&stored);
        }
        prop_assert_eq!(format!("{:?}", live.tenants().collect::<Vec<_>>()), format!("{:?}", replayed.tenants().collect::<Vec<_>>()));
        let keys = |directory: &Directory| (1..=4).flat_map(|id| directory.keys_of(Some(Uuid::from_u128(id))).into_iter().cloned().collect::<Vec<_>>()).collect::<Vec<_>>();
        prop_assert_eq!(keys(&live), keys(&replayed));
        for id in (1..=4).map(Uuid::from_u128).filter(|id| live.was_destroyed(*id) && live.find_id(*id).is_none()) {
            let place = knock(&live, Some(id), Some(Role::Owner), None, Right::Ask);
            prop_assert_eq!(place.map_err(|rejection| rejection.code), Err(Code::Unauthenticated));
        }
    }
}

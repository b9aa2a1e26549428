//! The storage account: what is kept and reserved together is never above a ceiling, and nothing stays reserved.
use super::oracle::Dice;
use super::storage::{Ceilings, Claim, Footprint, Storage};
use bailiwick_kernel::outcome::{Code, Outcome};
use bailiwick_policy::levels::Level;
use bailiwick_policy::quotas::{LevelLimit, Quotas};
use std::collections::BTreeMap;

fn document(bytes: u64, domain: &str, usecase: &str) -> Footprint {
    Footprint { bytes, domain: domain.into(), usecase: usecase.into() }
}

/// Ceilings in bytes: of the tenant, and of levels.
fn ceilings(tenant: u64, levels: &[(Level, &str, u64)]) -> Ceilings {
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let limit = |(level, name, bytes): &(Level, &str, u64)| LevelLimit {
        level: *level,
        name: (*name).into(),
        max_requests_per_hour: None,
        max_requests_per_minute: None,
        max_tokens_per_minute: None,
        max_concurrent_requests: None,
        max_storage_gb: Some(gigabytes(*bytes)),
    };
    let limits = levels.iter().map(limit).collect();
    Ceilings::of(&Quotas { max_storage_gb: gigabytes(tenant), limits, ..Quotas::default() })
}

fn code(outcome: Outcome<()>) -> Option<Code> {
    outcome.err().map(|rejection| rejection.code)
}

#[test]
fn the_quota_counts_what_would_be_kept() {
    let fits = |kept: u64, freed: u64, added: u64, tenant: &Ceilings| {
        let mut claim = Claim::default();
        let former = document(freed, "general", "general");
        let former = Some(&former).filter(|former| former.bytes > 0);
        code(Storage::of_tenant(kept).reserve(&mut claim, former, &document(added, "general", "general"), tenant))
    };
    let thousand = ceilings(1_000, &[]);
    assert_eq!(fits(0, 0, 1_000, &thousand), None);
    assert_eq!(fits(0, 0, 1_001, &thousand), Some(Code::QuotaExceeded));
    assert_eq!(fits(1_000, 600, 600, &thousand), None);
    assert_eq!(fits(1_000, 600, 601, &thousand), Some(Code::QuotaExceeded));
    assert_eq!(fits(9_000, 600, 500, &thousand), None, "a smaller version may always take its place");
    for nonsense in [f64::NAN, -1.0, 0.0] {
        let none = Ceilings::of(&Quotas { max_storage_gb: nonsense, ..Quotas::default() });
        assert_eq!(fits(0, 0, 1, &none), Some(Code::QuotaExceeded));
    }
}

#[test]
fn every_level_has_room_or_nothing_is_reserved() {
    let limits = ceilings(1_000, &[(Level::Domain, "hr", 300), (Level::Usecase, "*", 200)]);
    let (mut storage, mut claim) = (Storage::of_tenant(0), Claim::default());
    storage.count_levels([document(150, "hr", "onboarding")].into_iter());
    let refusal = storage.reserve(&mut claim, None, &document(51, "hr", "onboarding"), &limits).unwrap_err();
    assert!(
        refusal.detail.contains("201 bytes")
            && refusal.detail.contains("200 of the storage quota of use case \"onboarding\""),
        "{refusal}"
    );
    let refusal = storage.reserve(&mut claim, None, &document(151, "hr", "leave"), &limits).unwrap_err();
    assert!(refusal.detail.contains("301 bytes") && refusal.detail.contains("domain \"hr\""), "{refusal}");
    assert_eq!(storage.reserved_bytes(), 0, "a refusal reserves at no level");
    // one document leaves the domain as the other comes: what counts is the sum
    let (old, moved) = (document(150, "hr", "onboarding"), document(150, "legal", "onboarding"));
    assert_eq!(code(storage.reserve(&mut claim, Some(&old), &moved, &limits)), None);
    assert_eq!(code(storage.reserve(&mut claim, None, &document(50, "hr", "onboarding"), &limits)), None);
    assert_eq!(
        code(storage.reserve(&mut claim, None, &document(1, "hr", "onboarding"), &limits)),
        Some(Code::QuotaExceeded)
    );
    storage.release(&mut claim);
    assert_eq!(storage.reserved_bytes(), 0);
}

#[test]
fn a_reservation_keeps_others_out_until_it_is_given_back() {
    let limits = ceilings(100, &[]);
    let mut storage = Storage::of_tenant(40);
    let (mut one, mut other) = (Claim::default(), Claim::default());
    let sixty = document(60, "general", "general");
    assert_eq!(code(storage.reserve(&mut one, None, &sixty, &limits)), None);
    assert_eq!(
        code(storage.reserve(&mut other, None, &document(1, "general", "general"), &limits)),
        Some(Code::QuotaExceeded)
    );
    // counted again it is the same sixty, and one document of it turns out to be there already
    one.recount();
    assert_eq!(code(storage.reserve(&mut one, None, &document(20, "general", "general"), &limits)), None);
    assert_eq!(storage.reserved_bytes(), 60, "what comes after it in the request may need the rest");
    storage.release(&mut one);
    assert_eq!(code(storage.reserve(&mut other, None, &document(40, "general", "general"), &limits)), None);
    storage.release(&mut other);
    assert_eq!(storage, Storage::of_tenant(40));
}

#[test]
fn random_requests_never_pass_a_ceiling_and_leave_nothing_reserved() {
    let (domains, usecases) = (["hr", "legal", "it"], ["a", "b"]);
    let most = [("tenant", 1_000), ("hr", 300), ("a", 500), ("b", 500)];
    let limits = ceilings(1_000, &[(Level::Domain, "hr", 300), (Level::Usecase, "*", 500)]);
    let mut dice = Dice::new(11);
    let (mut storage, mut documents) = (Storage::of_tenant(0), BTreeMap::<u64, Footprint>::new());
    storage.count_levels(std::iter::empty());
    let mut open: Vec<(Claim, BTreeMap<u64, Footprint>)> = Vec::new();
    let (mut kept, mut refused) = (0_u32, 0_u32);
    for _ in 0..60_000 {
        match dice.below(8) {
            0..4 => {
                let (id, bytes) = (dice.below(12), dice.below(200));
                let new = document(bytes, domains[dice.below(3) as usize], usecases[dice.below(2) as usize]);
                if open.len() < 6 || dice.below(2) == 0 {
                    open.push(Default::default());
                }
                let at = dice.below(open.len() as u64) as usize;
                // one document is in one request at a time here; the room's gate sees to the rest
                if open.iter().enumerate().any(|(other, (_, taken))| other != at && taken.contains_key(&id)) {
                    continue;
                }
                let (claim, taken) = &mut open[at];
                let former = taken.get(&id).or(documents.get(&id)).cloned();
                match storage.reserve(claim, former.as_ref(), &new, &limits) {
                    Ok(()) => drop(taken.insert(id, new)),
                    Err(_full) => refused += 1,
                }
            }
            4 if !documents.is_empty() => {
                let id = *documents.keys().next().unwrap();
                if open.iter().all(|(_, taken)| !taken.contains_key(&id)) {
                    storage.free(&documents.remove(&id).unwrap());
                }
            }
            _ if !open.is_empty() => {
                let at = dice.below(open.len() as u64) as usize;
                let (mut claim, taken) = open.swap_remove(at);
                if dice.below(3) > 0 {
                    for (id, new) in taken {
                        if let Some(former) = documents.insert(id, new.clone()) {
                            storage.free(&former);
                        }
                        storage.keep(&new);
                        kept += 1;
                    }
                }
                storage.release(&mut claim);
            }
            _ => {}
        }
        let sum = |of: &str| -> u64 {
            let counts = |one: &&Footprint| of == "tenant" || one.domain == of || one.usecase == of;
            documents.values().filter(counts).map(|one| one.bytes).sum()
        };
        assert!(most.iter().all(|(of, ceiling)| sum(of) <= *ceiling), "{documents:?}");
    }
    assert!(kept > 5_000 && refused > 5_000, "{kept} kept, {refused} refused");
    open.into_iter().for_each(|(mut claim, _)| storage.release(&mut claim));
    let mut anew = Storage::of_tenant(0);
    anew.count_levels(documents.into_values());
    assert_eq!(storage, anew, "what is kept is what the documents come to, and nothing is reserved");
}

#[test]
fn a_request_kept_in_parts_is_never_counted_twice_and_never_less() {
    let limits = ceilings(1_000, &[(Level::Domain, "*", 800)]);
    let (mut storage, mut claim) = (Storage::of_tenant(0), Claim::default());
    let former = document(300, "hr", "general");
    storage.count_levels([former.clone()].into_iter());
    let parts = [document(200, "hr", "general"), document(100, "hr", "general"), document(400, "it", "general")];
    for (part, former) in parts.iter().zip([Some(&former), None, None]) {
        storage.reserve(&mut claim, former, part, &limits).unwrap();
    }
    let room_for = |storage: &Storage, bytes: u64, domain: &str| {
        code(storage.clone().reserve(&mut Claim::default(), None, &document(bytes, domain, "general"), &limits))
    };
    for (part, freed) in parts.iter().zip([vec![former.clone()], vec![], vec![]]) {
        storage.keep(part);
        freed.iter().for_each(|former| storage.free(former));
        storage.redeem(&mut claim, std::slice::from_ref(part), &freed);
        assert_eq!(room_for(&storage, 300, "law"), None, "what is kept is not reserved any more");
        assert_eq!(room_for(&storage, 301, "law"), Some(Code::QuotaExceeded), "what is not kept yet is");
    }
    storage.release(&mut claim);
    assert_eq!(storage.reserved_bytes(), 0);
    assert_eq!((room_for(&storage, 300, "it"), room_for(&storage, 301, "it")), (None, Some(Code::QuotaExceeded)));
}

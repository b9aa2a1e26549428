use super::audits::AuditTenant;
use super::bench::Bench;
use super::handles::FleetHandle;
use crate::audit::rules::AuditLine;
use crate::audit::verification::Audit;
use bailiwick_kernel::limits::EXPORT_PORTION_MAX;
use bailiwick_kernel::outcome::Code;
use bailiwick_kernel::transparency::checkpoint::Head;
use bailiwick_policy::access::Role;
use bailiwick_tenant::proofs::forms::{AUDIT, Header, ShownRecord};
use bailiwick_tenant::proofs::verifier::Unverified;
use base64ct::{Base64, Encoding};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::ExposeSecret;

async fn page(fleet: &FleetHandle, from: u64, limit: usize, tenant: Option<&str>) -> (Vec<AuditLine>, Option<u64>) {
    let page = fleet.audit(AuditTenant { from, limit, tenant: tenant.map(str::to_owned) }).await.unwrap();
    (page.entries, page.next)
}

fn actions(lines: &[AuditLine]) -> Vec<&str> {
    lines.iter().map(|line| line.action).collect()
}

#[actix::test]
async fn the_trail_tells_who_did_what_page_by_page_and_of_one_tenant() {
    let bench = Bench::start().await;
    let (acme, beta) = (bench.create("acme").await, bench.create("beta").await);
    let (key_id, _) = bench.key("acme", Role::Viewer).await;
    let governing = bench.door.govern(bench.as_operator(Some("acme"))).await.unwrap();
    governing.revoke_key(key_id.clone()).await.unwrap();
    let fleet = bench.fleet().await;
    fleet.suspend("beta".to_owned(), "unpaid".to_owned()).await.unwrap();

    let (all, next) = page(&fleet, 0, 1_000, None).await;
    assert_eq!(next, None);
    assert!(all.iter().zip(0..).all(|(line, position)| line.position == position), "none is left out");
    let mut walked = Vec::new();
    let mut from = Some(0);
    while let Some(start) = from {
        let (lines, next) = page(&fleet, start, 2, None).await;
        assert!((1..=2).contains(&lines.len()));
        walked.extend(lines);
        from = next;
    }
    assert_eq!(walked, all);

    let (of_acme, _) = page(&fleet, 0, 1_000, Some("acme")).await;
    assert!(of_acme.iter().all(|line| line.tenant_id.is_none_or(|id| id == acme.record.id)));
    let said = actions(&of_acme);
    assert!(said.ends_with(&["key_issued", "key_revoked"]) && said.first() == Some(&"tenant_registered"), "{said:?}");
    let revoked = of_acme.last().unwrap();
    assert_eq!((revoked.details["key_id"].as_str(), revoked.tenant_id), (Some(key_id.as_str()), None));
    let operator = bench.operator.expose_secret().split('_').nth(1).unwrap().to_owned();
    assert_eq!(revoked.by.as_deref(), Some(operator.as_str()), "who did it");
    let by_id = beta.record.id.to_string();
    let (of_beta, _) = page(&fleet, 0, 1_000, Some(&by_id)).await;
    let suspended = of_beta.last().unwrap();
    assert_eq!((suspended.action, &suspended.details["reason"]), ("standing_changed", &"unpaid".into()));
    let unknown = AuditTenant { from: 0, limit: 1, tenant: Some("nobody".to_owned()) };
    assert_eq!(fleet.audit(unknown).await.unwrap_err().code, Code::NotFound);
    let told = serde_json::to_string(&all).unwrap();
    assert!(!told.contains("digest"), "no digest of a secret is told");
}

struct File {
    header: Header,
    records: Vec<ShownRecord>,
}

async fn exported(fleet: &FleetHandle) -> File {
    let head = fleet.audit_head().await.unwrap();
    let mut records = Vec::new();
    while u64::try_from(records.len()).unwrap() < head.size {
        let from = u64::try_from(records.len()).unwrap();
        records.extend(fleet.audit_records(from, EXPORT_PORTION_MAX).await.unwrap());
    }
    File { header: head.header(AUDIT), records }
}

fn verified(file: &File, earlier: Option<&str>) -> Result<(Head, Vec<AuditLine>), Unverified> {
    let mut audit = Audit::begin(&file.header, None, earlier)?;
    let lines = file.records.iter().map(|record| audit.record(record)).collect::<Result<_, _>>()?;
    Ok((audit.end()?, lines))
}

#[actix::test]
async fn an_export_says_what_the_trail_says_and_of_ten_thousand_ways_to_change_it_none_verifies() {
    let bench = Bench::start().await;
    let fleet = bench.fleet().await;
    bench.create("acme").await;
    let earlier = exported(&fleet).await;
    for _ in 0..4 {
        bench.key("acme", Role::Viewer).await;
    }
    let file = exported(&fleet).await;
    let (head, lines) = verified(&file, Some(&earlier.header.checkpoint)).unwrap();
    assert_eq!(lines, page(&fleet, 0, 1_000, None).await.0);
    assert_eq!(head.size, u64::try_from(lines.len()).unwrap());

    let mut random = StdRng::seed_from_u64(0xA0D1);
    for _ in 0..10_000 {
        let mut records = file.records.clone();
        let at = random.random_range(0..records.len());
        match random.random_range(0..5) {
            0 => drop(records.remove(at)),
            1 => records.insert(at, records[random.random_range(0..records.len())].clone()),
            2 => {
                let other = (at + random.random_range(1..records.len())) % records.len();
                records.swap(at, other);
            }
            3 => records.truncate(at),
            _ => {
                let mut bytes = Base64::decode_vec(&records[at].payload).unwrap();
                let byte = random.random_range(0..bytes.len());
                bytes[byte] ^= 1 << random.random_range(0..8);
                records[at].payload = Base64::encode_string(&bytes);
            }
        }
        let changed = File { header: file.header.clone(), records };
        assert!(verified(&changed, None).is_err());
    }
    let older = File { header: earlier.header.clone(), records: earlier.records };
    assert!(verified(&older, Some(&file.header.checkpoint)).is_err(), "what was signed for later is gone");
    let relabelled = Header { tenant_key: "00".repeat(16), ..file.header.clone() };
    assert!(verified(&File { header: relabelled, records: file.records }, None).is_err());
}

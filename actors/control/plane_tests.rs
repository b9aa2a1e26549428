use crate::gitops::folder::Folders;
use crate::house::{Furnish, House};
use crate::kms::{KeyService, RootSource};
use crate::plane::{ControlPlane, Parts, start};
use crate::registry::bench::probe_doors;
use crate::registry::fixtures::{ACME, BETA, NOW, here, record, signed_folder};
use crate::registry::housing::Housing;
use crate::registry::messages::Claim;
use actix::prelude::*;
use bailiwick_kernel::clock::ManualClock;
use bailiwick_kernel::erasures::{FILE, Ledger};
use bailiwick_kernel::outcome::Code;
use bailiwick_kernel::shelf::{Traces, Vault};
use bailiwick_policy::guardrails::Guardrails;
use secrecy::SecretString;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

/// Journals of the tenants that were opened, and the threads they were opened on.
type Opened = Arc<Mutex<Vec<(String, ThreadId)>>>;

fn ledger(data: &Path, keys: &KeyService) -> Arc<Ledger> {
    Arc::new(Ledger::open(&data.join(FILE), keys.ledger_keys().unwrap()).unwrap())
}

async fn plane(data: &Path, arbiters: Vec<ArbiterHandle>, opened: Opened) -> ControlPlane {
    let keys = KeyService::open(data, &RootSource::File, &here()).unwrap();
    let vault = Vault::open(data).unwrap();
    let furnish: Furnish = Arc::new(move |residence| {
        let journal = format!("{} {:?}", residence.name, residence.belongings.journal);
        opened.lock().unwrap().push((journal, std::thread::current().id()));
        probe_doors(residence.name, residence.policy, Arc::default())
    });
    let (house_vault, house_keys) = (vault.clone(), keys.clone());
    let ledger = ledger(data, &keys);
    let house_ledger = Arc::clone(&ledger);
    let parts = Parts {
        exposition: crate::observability::exposition::Exposition::uninstalled(),
        alerts: Vec::new(),
        tenants: data.join("folders"),
        guardrails: Guardrails::none(),
        node: here(),
        tls: None,
        issuers: Vec::new(),
        operator_key: data.join("operator.key"),
        vault,
        keys,
        data: data.to_path_buf(),
        ledger,
        published: Vec::new(),
        clock: ManualClock::at(NOW),
        housing: Box::new(move |_happened| {
            Arc::new(House::new(house_vault, house_keys, arbiters, here(), house_ledger, Default::default(), furnish))
        }),
    };
    start(parts).await.unwrap()
}

fn operator(data: &Path, tenant: &str) -> Claim {
    let key = std::fs::read_to_string(data.join("operator.key")).unwrap();
    Claim { credential: Some(SecretString::from(key.trim().to_owned())), tenant: Some(tenant.to_owned()) }
}

#[actix::test]
async fn the_control_plane_starts_reads_opens_and_ends() {
    let data = tempfile::tempdir().unwrap();
    let folders = Folders::open(&data.path().join("folders"), Guardrails::none()).unwrap();
    for (name, id) in [("acme", ACME), ("beta", BETA)] {
        folders.create(name, &signed_folder(&record(name, id))).unwrap();
    }
    let mut elsewhere = record("elsewhere", uuid::Uuid::from_u128(7));
    elsewhere.config.region = "us-east-1".to_owned();
    folders.create("elsewhere", &signed_folder(&elsewhere)).unwrap();
    std::fs::create_dir(folders.root().join("broken")).unwrap();
    let elsewhere = Arbiter::new();
    let opened = Opened::default();
    let plane = plane(data.path(), vec![Arbiter::current(), elsewhere.handle()], Arc::clone(&opened)).await;
    let first = plane.first_reading.outcome().await.unwrap();
    assert_eq!((first.compiled, first.broken), (3, 1));
    for name in ["acme", "beta"] {
        let reading = plane.door.audit(operator(data.path(), name)).await.unwrap();
        assert_eq!(reading.policy().await.unwrap().tenant.name, name);
    }
    let absent = plane.door.audit(operator(data.path(), "broken")).await.unwrap_err();
    assert_eq!(absent.code, Code::NotFound);
    let elsewhere_too = plane.door.audit(operator(data.path(), "elsewhere")).await.unwrap_err();
    assert_eq!(elsewhere_too.code, Code::NotFound);
    let journals = opened.lock().unwrap().clone();
    assert_eq!(journals.len(), 2, "a tenant that may not be here has no journal: {journals:?}");
    assert_ne!(journals[0].0.split(' ').nth(1), journals[1].0.split(' ').nth(1), "each has its own journal");
    assert_ne!(journals[0].1, journals[1].1, "no two on one arbiter while another is free");
    plane.closing.close_all().await;
    assert_eq!(plane.door.audit(operator(data.path(), "acme")).await.unwrap_err().code, Code::Lost);
    elsewhere.stop();
}

#[test]
fn a_tenants_folder_of_the_repository_can_be_loaded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tenants");
    let folders = Folders::open(&root, Guardrails::none()).unwrap();
    let names = folders.names().unwrap();
    assert!(!names.is_empty());
    for name in names {
        let found = folders.load(&name);
        assert!(matches!(found, crate::gitops::messages::Found::Compiled(_)), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn the_keys_of_a_tenant_are_destroyed_before_anything_else_of_it() {
    let data = tempfile::tempdir().unwrap();
    let (keys, vault) =
        (KeyService::open(data.path(), &RootSource::File, &here()).unwrap(), Vault::open(data.path()).unwrap());
    let key = crate::kms::tests::tenant(1);
    let own = vault.belongings(keys.cipher_for(key, || vault.traces(key)).unwrap()).unwrap();
    own.journal.append(&[String::from("first")]).await.unwrap();
    let furnish: Furnish = Arc::new(|_residence| panic!("nothing is opened"));
    let ledger = ledger(data.path(), &keys);
    let house = House::new(vault.clone(), keys, Vec::new(), here(), ledger, Default::default(), furnish);

    // keys that cannot be destroyed: nothing else is, and the destruction is tried again
    let file = data.path().join(crate::kms::shown(key));
    let aside = data.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    let refusal = house.shred(key).unwrap_err();
    assert!(refusal.detail.contains("destroying the keys of the tenant"), "{}", refusal.detail);
    assert!(matches!(vault.traces(key).unwrap(), Traces::Newest(_)), "everything is there");

    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    house.shred(key).unwrap();
    assert!(!file.exists());
    assert_eq!(vault.traces(key).unwrap(), Traces::None);
}

//! A million knocks that name somebody else: none is let in, and none learns whether there is anybody of that name.
use super::credentials::{RANDOM_BYTES, ShownKey, forge, read};
use super::directory::Directory;
use super::entry::Entry;
use super::fixtures::*;
use super::rules::{Place, judge};
use bailiwick_kernel::outcome::Code;
use bailiwick_policy::access::{Right, Role};
use uuid::Uuid;

const TENANTS: usize = 40;
const ATTEMPTS: usize = 1_000_000;
const RIGHTS: [Right; 6] = [Right::Ask, Right::Ingest, Right::Feedback, Right::Audit, Right::Observe, Right::Govern];

fn name_of(index: usize) -> String {
    format!("tenant-{index:02}")
}

fn id_of(index: usize) -> Uuid {
    Uuid::from_u128((index as u128 + 1) << 64)
}

/// Many tenants, each with a key of every role.
fn fleet() -> (Directory, Vec<Vec<ShownKey>>) {
    let mut directory = Directory::default();
    let mut keys = Vec::new();
    for index in 0..TENANTS {
        let (name, id) = (name_of(index), id_of(index));
        directory.apply(&Entry::TenantRegistered { id, name: name.clone(), at_unix_ms: NOW });
        let key = key_of(&directory, id);
        directory.tenant_mut(key).unwrap().policy = Some(policy_of(&record(&name, id)));
        let of_role = |(number, role): (usize, Role)| {
            let mut random = [index as u8 + 1; RANDOM_BYTES];
            (random[1], random[2]) = (number as u8 + 1, (index / 16) as u8 + 1);
            let fresh = forge(random);
            directory.apply(&Entry::KeyIssued(key_record(&fresh, Some(id), Some(role))));
            read(&fresh.whole).unwrap()
        };
        keys.push(Role::ALL.into_iter().enumerate().map(of_role).collect());
    }
    (directory, keys)
}

/// Ways to write the name or id of a tenant, right and nearly right.
fn spelled(index: usize, way: u64) -> String {
    let (name, id) = (name_of(index), id_of(index));
    match way % 10 {
        0..=2 => name,
        3 => id.to_string(),
        4 => id.simple().to_string().to_uppercase(),
        5 => id.braced().to_string(),
        6 => format!("{name} "),
        7 => format!("../{name}"),
        8 => name.to_uppercase(),
        _ => format!("{name}\0"),
    }
}

#[test]
fn a_million_knocks_at_a_foreign_door_open_none() {
    let (directory, keys) = fleet();
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut roll = || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        dice
    };
    let (mut own, mut refused) = (0, 0);
    for _ in 0..ATTEMPTS {
        let (mine, theirs) = ((roll() % TENANTS as u64) as usize, (roll() % TENANTS as u64) as usize);
        let shown = &keys[mine][(roll() % 5) as usize];
        let right = RIGHTS[(roll() % 6) as usize];
        let named = spelled(theirs, roll());
        match judge(&directory, Some(shown), Some(&named), right, NOW) {
            Ok(admission) => {
                assert_eq!(admission.into, Place::Tenant(key_of(&directory, id_of(mine))), "{named} for {mine}");
                assert_eq!(mine, theirs, "{named} for {mine}");
                own += 1;
            }
            Err(rejection) if mine != theirs => {
                let unknown = judge(&directory, Some(shown), Some("nobody-of-that-name"), right, NOW).unwrap_err();
                assert_eq!(rejection, unknown, "{named}");
                assert_eq!(rejection.code, Code::NotFound);
                refused += 1;
            }
            Err(_) => {}
        }
    }
    println!("{ATTEMPTS} knocks: {refused} at foreign doors refused alike, {own} at the own door let in, 0 hits");
    assert!(own > 1_000 && refused > 900_000);
}

//! Kill -9 at random points: what was acknowledged is there after reopening, once, where it was acknowledged.
//!
//! The test starts its own binary as the process that dies: with the folder in its environment, the same test appends
//! until it is killed and prints what was acknowledged.
#![expect(clippy::unwrap_used, reason = "test")]
use bailiwick_kernel::fabric::embedded::Embedded;
use bailiwick_kernel::fabric::{Blob, Fabric, Tenure};
use bailiwick_kernel::ids::{Position, TenantKey};
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const FOLDER: &str = "BAILIWICK_CRASH_FOLDER";
const CYCLES: u32 = 20;
const TENANTS: u128 = 3;
const CALLERS_PER_TENANT: u32 = 2;
/// Above the size up to which a blob stands in the store.
const LARGE_BLOB_BYTES: usize = 40_000;

#[expect(clippy::disallowed_methods, reason = "test")]
fn tenant(number: u128) -> TenantKey {
    TenantKey::mint(uuid::Uuid::from_u128(number))
}

/// One acknowledged record.
type Records = BTreeMap<(u128, u64), String>;

#[test]
fn killing_the_process_loses_nothing_that_was_acknowledged() {
    if let Ok(folder) = std::env::var(FOLDER) {
        append_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Records::new();
    for _ in 0..CYCLES {
        let mut child = start(folder.path());
        read_then_kill(&mut child, rand::rng().random_range(0..120), &mut acknowledged);
        verify(folder.path(), &acknowledged);
    }
    assert!(acknowledged.len() > 100, "the process got to work: {} records", acknowledged.len());
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killing_the_process_loses_nothing_that_was_acknowledged", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the process after so many lines; every whole line it got out before it died counts.
fn read_then_kill(child: &mut Child, lines: usize, acknowledged: &mut Records) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut read = 0;
    let mut line = String::new();
    loop {
        if read == lines {
            child.kill().unwrap();
        }
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            break;
        }
        let Some(record) = line.strip_suffix('\n').and_then(|line| line.strip_prefix("acknowledged ")) else {
            continue;
        };
        read += 1;
        let mut parts = record.split(' ');
        let (tenant, at) = (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap());
        let twice = acknowledged.insert((tenant, at), parts.next().unwrap().to_owned());
        assert_eq!(twice, None, "position {at} of tenant {tenant} was given out twice");
    }
    assert!(!child.wait().unwrap().success(), "the process was killed, it did not end by itself");
}

fn verify(folder: &Path, acknowledged: &Records) {
    let fabric = Embedded::open(folder).unwrap();
    for number in 0..TENANTS {
        let Tenure { next, .. } = fabric.acquire(tenant(number)).unwrap();
        let records = fabric.read(tenant(number), Position(0), usize::MAX).unwrap();
        assert_eq!(records.len() as u64, next.0);
        let payloads: Vec<&str> = records.iter().map(|record| std::str::from_utf8(&record.payload).unwrap()).collect();
        assert_eq!(payloads.iter().collect::<BTreeSet<_>>().len(), payloads.len(), "no record stands there twice");
        for ((_, at), payload) in acknowledged.range((number, 0)..=(number, u64::MAX)) {
            let stored = usize::try_from(*at).ok().and_then(|at| payloads.get(at));
            assert_eq!(stored, Some(&payload.as_str()), "record {at} of tenant {number}");
            let blob = fabric.blob_get(tenant(number), payload).unwrap();
            assert_eq!(blob, Some(blob_of(payload)), "the blob stored before record {at} of tenant {number}");
        }
    }
}

/// Every eighth is large, so that both kinds of blob are under way when the process dies.
fn blob_of(payload: &str) -> Vec<u8> {
    let large = payload.ends_with('7');
    payload.bytes().cycle().take(if large { LARGE_BLOB_BYTES } else { payload.len() }).collect()
}

fn append_until_killed(folder: &Path) -> ! {
    let fabric = Arc::new(Embedded::open(folder).unwrap());
    let callers: Vec<_> = (0..TENANTS)
        .flat_map(|number| {
            let epoch = fabric.acquire(tenant(number)).unwrap().epoch;
            (0..CALLERS_PER_TENANT).map(move |caller| (number, epoch, caller))
        })
        .map(|(number, epoch, caller)| {
            let fabric = Arc::clone(&fabric);
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for count in 0_u64.. {
                    let payload = format!("{}-{caller}-{count:o}", epoch.0);
                    let blob = Blob { name: payload.clone(), sealed: blob_of(&payload) };
                    fabric.blobs_put(tenant(number), vec![blob]).unwrap();
                    let appended = runtime
                        .block_on(fabric.append(tenant(number), epoch, vec![payload.clone().into_bytes()]))
                        .unwrap();
                    let line = format!("acknowledged {number} {} {payload}\n", appended.first.0);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| drop(caller.join()));
    std::process::exit(1)
}

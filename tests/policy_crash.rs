//! The power is cut while policies come into force: afterwards the old one is in force or the new one, never some of each,
//! and what came into force never gives way to what it followed.
//!
//! `BAILIWICK_CRASH_CYCLES` for shorter or longer runs; the moments of the cuts are drawn from a fixed seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod support;
use support::{Ended, House, copy_tenants, sign_policies, until};

const CYCLES: u32 = 24;
const SEED: u64 = 0xBA11;
const TENANT: &str = "default";
/// Longest time between the last signature and the cut: a change is in force after about half of it.
const CUT_MS_MAX: u64 = 400;
/// Cuts on one side alone after which the machine is taken to be faster, or slower, than that.
const ONE_SIDED: u32 = 6;
const NOBODY_ASKS: &str = "rules:\n  - id: nobody-asks\n    effect: forbid\n    actions: [ask]\n    when: { request.bytes: { \
                           at_least: 1 } }\n    overrides: [members-work]\n";

/// How late the next cut may come, so that some fall before a policy is written down and some after it on any machine.
fn cut_ms_max(cycle: u32, kept: u32, gone: u32) -> u64 {
    let steps = cycle / ONE_SIDED;
    match (kept, gone) {
        (_, 0) => CUT_MS_MAX << steps,
        (0, _) => (CUT_MS_MAX >> steps).max(1),
        _ => CUT_MS_MAX,
    }
}

/// The policy files of the tenant and their signatures, as bytes.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Version `n` of both files that change: odd ones let nobody ask, and each has another number of passages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Edition(u32);

impl Edition {
    fn version(self) -> String {
        format!("1.0.{}", self.0)
    }

    fn lets_ask(self) -> bool {
        self.0.is_multiple_of(2)
    }

    fn top_k(self) -> u32 {
        1 + self.0 % 7
    }

    /// Writes and signs the files of this edition, from those of the first one.
    fn write(self, first: &Files, tenants: &Path) {
        for (path, bytes) in first {
            let mut text = String::from_utf8(bytes.clone()).unwrap();
            let is = |name: &str| path.ends_with(name);
            if is("governance.yaml") || is("retrieval.yaml") {
                text = text.replacen("policy_semver: 1.0.0", &format!("policy_semver: {}", self.version()), 1);
            }
            if is("governance.yaml") && !self.lets_ask() {
                text = text.replacen("rules:\n", NOBODY_ASKS, 1);
            }
            if is("retrieval.yaml") {
                text = text.lines().map(|line| self.passages(line)).collect();
            }
            if !is("sig") {
                std::fs::write(path, text).unwrap();
            }
        }
        sign_policies(tenants, TENANT);
    }

    fn passages(self, line: &str) -> String {
        match line.trim_start().strip_prefix("top_k:") {
            Some(_) => format!("{}top_k: {}\n", &line[..line.len() - line.trim_start().len()], self.top_k()),
            None => format!("{line}\n"),
        }
    }
}

fn files(tenants: &Path) -> Files {
    let folder = tenants.join(TENANT).join("policies");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn put_back(files: &Files) {
    for (path, bytes) in files {
        std::fs::write(path, bytes).unwrap();
    }
}

struct Node {
    house: Ended,
    key: String,
}

impl Node {
    async fn get(&self, path: &str) -> Value {
        self.house.call(Method::GET, path, &self.house.operator_key(), None).await.1
    }

    async fn view(&self) -> Value {
        self.get(&format!("/admin/v1/tenants/{TENANT}")).await
    }

    /// Versions that came into force, in their order.
    async fn log(&self) -> Vec<String> {
        let log = self.get(&format!("/admin/v1/policies/{TENANT}/log")).await;
        let commits = log["commits"].as_array().unwrap();
        commits.iter().map(|commit| commit["version"].as_str().unwrap().to_owned()).collect()
    }

    async fn in_force(&self, edition: Edition) {
        until(&format!("{edition:?}"), async || {
            let view = self.view().await;
            (view["policy_version"] == edition.version() && view["reason"].is_null()).then_some(())
        })
        .await;
        let question = json!({"question": "How many days of paid leave does an employee have?"});
        let (status, _) = self.house.call(Method::POST, "/v1/ask", &self.key, Some(question)).await;
        let (_, policy) = self.house.call(Method::GET, "/v1/policy", &self.key, None).await;
        let seen = (status == 200, policy["policy_version"].clone(), policy["retrieval"]["top_k"].clone());
        assert_eq!(seen, (edition.lets_ask(), json!(edition.version()), json!(edition.top_k())), "{policy}");
    }
}

#[tokio::test]
async fn a_cut_leaves_the_old_policy_or_the_new_one() {
    let cycles = std::env::var("BAILIWICK_CRASH_CYCLES").map_or(CYCLES, |text| text.parse().unwrap());
    let mut draw = StdRng::seed_from_u64(SEED);
    let folder = tempfile::tempdir().unwrap();
    let tenants = copy_tenants(folder.path());
    let first = files(&tenants);
    Edition(0).write(&first, &tenants);
    let house = House::start_on(folder.path(), None);
    let key = house.key(TENANT, "owner").await;
    let mut node = Node { house: Ended(Some(house)), key };
    node.in_force(Edition(0)).await;
    let (mut kept, mut gone) = (0_u32, 0_u32);
    for cycle in 1..=cycles {
        let (old, new) = (Edition(cycle - 1), Edition(cycle));
        let before = files(&tenants);
        new.write(&first, &tenants);
        let after = files(&tenants);
        tokio::time::sleep(Duration::from_millis(draw.random_range(0..cut_ms_max(cycle, kept, gone)))).await;
        node.house.0.take().unwrap().kill();
        put_back(&before);
        node.house.0 = Some(House::start_on(folder.path(), None));
        let log = node.log().await;
        assert!(
            log.iter().zip(log.iter().skip(1)).all(|(one, next)| one != next),
            "none comes into force twice: {log:?}"
        );
        if log.last() == Some(&new.version()) {
            gone += 1;
            // it came into force before the cut: the files it followed do not serve any more
            let reason = until("the old folder is refused", async || {
                node.view().await["reason"]
                    .as_str()
                    .filter(|reason| reason.contains("is not newer than"))
                    .map(str::to_owned)
            })
            .await;
            assert!(reason.contains(&new.version()), "{reason}");
            let question = json!({"question": "anything"});
            let (status, _) = node.house.call(Method::POST, "/v1/ask", &node.key, Some(question)).await;
            assert_ne!(status, 200, "an old policy serves nobody");
        } else {
            kept += 1;
            assert_eq!(log.last(), Some(&old.version()), "{log:?}");
            node.in_force(old).await;
        }
        put_back(&after);
        node.in_force(new).await;
    }
    println!("{cycles} cuts: {kept} before the new policy was written down, {gone} after it");
    assert!(cycles < CYCLES || (kept > 0 && gone > 0), "the cuts fall on both sides: {kept} and {gone}");
}

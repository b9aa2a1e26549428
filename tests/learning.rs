//! What is learnt and judged by itself, through the real binary against a model server: the weight of the search by meaning,
//! golden questions on schedule, a judge that reads a sample, and a release whose answers are worth less.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
use bailiwick_tenant::evaluation::judge::is_sampled;
use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

mod support;
use support::upstream::{EMBEDDER, JUDGE, POOR, Upstream, house_prepared};
use support::{Ended, House, sign_policies, until};

const TENANT: &str = "default";
const LEAVE: &str = "Every employee has thirty days of paid leave in a year.";
const MODEL_MS: u64 = 60_000;

struct Scene {
    folder: tempfile::TempDir,
    house: Ended,
    _upstream: Upstream,
    owner: String,
}

/// Adds lines to the settings of a policy file.
fn settings(tenants: &Path, file: &str, lines: &str) {
    let file = tenants.join(TENANT).join("policies").join(file);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("settings:\n", &format!("settings:\n{lines}"), 1)).unwrap();
}

fn allow_models(tenants: &Path, models: &str) {
    let file = tenants.join(TENANT).join("policies/governance.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("allowed_models: []", &format!("allowed_models: [{models}]"))).unwrap();
}

impl Scene {
    async fn new(prepare: impl FnOnce(&Path)) -> Self {
        let upstream = Upstream::start().await;
        let (folder, house) = house_prepared(upstream.port, MODEL_MS, "", |tenants| {
            prepare(tenants);
            sign_policies(tenants, TENANT);
        });
        let owner = house.key(TENANT, "owner").await;
        house.teach(&owner, "leave", "Leave", LEAVE).await;
        Self { folder, house, _upstream: upstream, owner }
    }

    async fn evals(&self) -> Value {
        self.house.call(Method::GET, &format!("/admin/v1/tenants/{TENANT}/evals"), &self.owner, None).await.1
    }

    async fn ask(&self, question: &str, conversation: &str) -> Value {
        let headers = [("x-bailiwick-conversation", conversation)];
        let body = Some(json!({"question": question}));
        let answer = self.house.raw(Method::POST, "/v1/ask", &self.owner, &headers, body).await;
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    fn eval(&self, verb: &str) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_bailiwick"))
            .args(["eval", verb, "--tenant", TENANT, "--server", &self.house.url, "--key", &self.owner])
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// As after a power cut.
    async fn killed(mut self) -> Self {
        let config = std::fs::read_to_string(self.folder.path().join("config.toml")).unwrap();
        self.house.0.take().unwrap().kill();
        let house = Ended(Some(House::start_on(self.folder.path(), Some(&config))));
        let scene = Self { house, ..self };
        until("the tenant serves again", async || scene.evals().await["online"].is_object().then_some(())).await;
        scene
    }
}

// the model server has to answer while the command is waited for
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_weight_is_learnt_from_golden_questions_and_accepted_answers_shown_and_taken_back() {
    let scene = Scene::new(|tenants| {
        let dense =
            format!("  dense: {{ model: {EMBEDDER}, untested: true, learn: true, chunks_per_minute: 600000 }}\n");
        settings(tenants, "retrieval.yaml", &dense);
        allow_models(tenants, EMBEDDER);
        let line = |number| json!({"question": format!("How many days of leave, {number}?"), "relevant": ["leave"]});
        let golden: String = (0..30).map(|number| format!("{}\n", line(number))).collect();
        std::fs::write(tenants.join(TENANT).join("eval/golden.jsonl"), golden).unwrap();
    })
    .await;
    let accepted = scene.ask("Who has thirty days of paid leave?", "one").await;
    let praise = json!({"query_id": accepted["query_id"], "rating": "up"});
    assert_eq!(scene.house.call(Method::POST, "/v1/feedback", &scene.owner, Some(praise)).await.0, 201);
    until("the passages have their vectors", async || {
        // a tenant nobody asks sleeps
        scene.ask("Who has leave?", "awake").await;
        scene.eval("weight").contains("1 passages, 0 wait  in force").then_some(())
    })
    .await;
    assert!(scene.eval("weight").contains("nothing has been learnt"), "{}", scene.eval("weight"));
    scene.eval("run");
    let shown = scene.eval("weight");
    assert!(
        shown.contains("weight 0.500") && shown.contains("learnt from 31 questions (1 accepted answers)"),
        "{shown}"
    );
    let scene = scene.killed().await;
    until("it outlives the process", async || (scene.eval("weight").contains("from 31")).then_some(())).await;

    assert!(scene.eval("unlearn").contains("\"is_stopped\":true"));
    let scene = scene.killed().await;
    scene.eval("run");
    until("it stays taken back", async || (scene.eval("weight").contains("taken back by")).then_some(())).await;
    assert!(scene.eval("relearn").contains("\"is_stopped\":false"));
    let path = format!("/admin/v1/tenants/{TENANT}/weight");
    let auditor = scene.house.key(TENANT, "auditor").await;
    for method in [Method::POST, Method::DELETE] {
        assert_eq!(scene.house.call(method, &path, &auditor, None).await.0, 403, "it changes what everybody finds");
    }
}

#[tokio::test]
async fn golden_questions_are_asked_on_schedule_once_for_each_due_time() {
    let scene = Scene::new(|tenants| settings(tenants, "evaluation.yaml", "  every_hours: 1\n")).await;
    let by_schedule = |evals: &Value| {
        let all = evals["evaluations"].as_array().unwrap().clone();
        all.iter().filter(|one| one["by"] == "evaluation-schedule").count()
    };
    let evals = until("they are asked", async || {
        let evals = scene.evals().await;
        (by_schedule(&evals) == 1).then_some(evals)
    })
    .await;
    assert_eq!(evals["evaluations"][0]["policy_version"], "1.0.0");
    assert_eq!(evals["schedule"]["every_hours"], 1);
    let last = evals["schedule"]["last_due_at"].as_str().unwrap().to_owned();
    assert!(evals["schedule"]["next_due_at"].as_str().unwrap() > last.as_str(), "{evals}");
    assert!(evals["judging"].is_null(), "no judge, no judging: {evals}");
    let listed = scene.eval("list");
    assert!(listed.contains("every 1 hours") && listed.contains("by evaluation-schedule"), "{listed}");
    let scene = scene.killed().await;
    let again = scene.evals().await;
    assert_eq!(again["schedule"], evals["schedule"], "what was asked for is not due again");
    assert_eq!(again["evaluations"], evals["evaluations"]);
}

#[tokio::test]
async fn a_judge_reads_the_sample_behind_the_answers_and_its_mean_is_that_of_all() {
    let scene = Scene::new(|tenants| {
        settings(tenants, "evaluation.yaml", &format!("  judge: {{ model: {JUDGE} }}\n"));
        let file = tenants.join(TENANT).join("policies/evaluation.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("sample_rate: 0.05", "sample_rate: 0.5")).unwrap();
        allow_models(tenants, JUDGE);
    })
    .await;
    let (mut sampled, mut asked) = (0, 0);
    while sampled < 22 {
        asked += 1;
        let answer = scene.ask("How many days of paid leave does an employee have?", &format!("{asked}")).await;
        assert_eq!(answer["abstained"], false, "{answer}");
        sampled += u64::from(is_sampled(answer["query_id"].as_str().unwrap(), 0.5));
        // the queue holds 64: no answer waits for a verdict, and here none is dropped
    }
    let evals = until("the sample is judged", async || {
        let evals = scene.evals().await;
        (evals["judging"]["judged"] == sampled).then_some(evals)
    })
    .await;
    assert_eq!(evals["judging"], json!({"model": JUDGE, "judged": sampled, "failed": 0, "dropped": 0}));
    let judged = &evals["online"]["releases"][0]["judged"];
    assert_eq!((&judged["estimate"]["count"], &judged["answers"]), (&json!(sampled), &json!(asked)), "{evals}");
    assert_eq!(judged["estimate"]["mean"], 1.0);
    let printed = scene.eval("online");
    assert!(printed.contains(&format!("{sampled} verdicts on {asked} answers")), "{printed}");
    // it is paid for, under a key of its own
    let by_key = format!("/admin/v1/tenants/{TENANT}/costs?group_by=key");
    let (status, costs) = scene.house.call(Method::GET, &by_key, &scene.owner, None).await;
    assert!(status == 200 && costs.to_string().contains("answer-judge"), "{status} {costs}");
    let scene = scene.killed().await;
    let again = scene.evals().await;
    assert_eq!(again["online"], evals["online"], "verdicts stand in the journal");
}

#[tokio::test]
async fn a_release_whose_answers_are_worth_less_goes_back_by_itself() {
    let scene = Scene::new(|tenants| {
        settings(tenants, "governance.yaml", "  rollout: { stage_minutes: 0, stage_requests: 1000000 }\n");
    })
    .await;
    let router = scene.house.tenants.join(TENANT).join("router.yaml");
    let text = std::fs::read_to_string(&router).unwrap();
    std::fs::write(&router, text.replace("model: fake-model", &format!("model: {POOR}"))).unwrap();
    let path = format!("/admin/v1/policies/{TENANT}/rollout");
    let rollout = async || scene.house.call(Method::GET, &path, &scene.owner, None).await.1["rollout"].clone();
    until("the release is on its way", async || (!rollout().await.is_null()).then_some(())).await;
    let mut sent = 0;
    let went_back = loop {
        let ask = async |number: usize| {
            scene.ask("How many days of paid leave does an employee have?", &format!("talk-{number}")).await
        };
        let _answers: Vec<Value> = stream::iter((sent..sent + 20).map(ask)).buffer_unordered(8).collect().await;
        sent += 20;
        let now = rollout().await;
        if now["next"] == json!({"roll_back": "poorer"}) {
            break now;
        }
        assert!(sent < 5_000, "{now}");
    };
    let (canary, control) = (&went_back["canary"], &went_back["control"]);
    assert!(canary["poor"].as_u64().unwrap() > 0 && control["poor"] == 0, "{went_back}");
    assert_eq!((&canary["failures"], &control["failures"]), (&json!(0), &json!(0)), "nothing failed: {went_back}");
    let scene = scene.killed().await;
    let answer = scene.ask("How many days of paid leave does an employee have?", "afterwards").await;
    assert_eq!(answer["model"]["name"], "fake-model", "{answer}");
}

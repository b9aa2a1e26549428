use super::*;
use crate::gateway::Settings;
use bailiwick_tenant::catalog::EXTRACTIVE;
use bailiwick_tenant::catalog::Price;

const ONE: &str = "[[providers]]\nname = \"main\"\nkind = \"openai\"\nregion = \"eu-west-1\"\n";

fn problem(text: &str) -> FileError {
    Config::parse("config.toml", text).expect_err("must be refused")
}

#[test]
fn the_file_of_the_repository_works_without_key_and_network() {
    let text = include_str!("../../config.toml");
    let config = Config::parse(FILE, text).expect("the default file is valid");
    assert_eq!(config, Config::default(), "the default file says what the defaults are");
    let catalog = config.catalog_with(|_| None).expect("it needs no secret");
    assert_eq!(catalog.providers.keys().collect::<Vec<_>>(), [EXTRACTIVE]);
}

/// Puts a model on a node's list, as if it had been checked.
fn register(data: &std::path::Path, name: &str) {
    let card = r#"{"folder": "/models/small", "card": {"dimension": 3, "tokens_max": 8, "digest": "d", "files": {}}}"#;
    std::fs::create_dir(data.join("models")).unwrap();
    std::fs::write(data.join("models").join(format!("{name}.json")), card).unwrap();
}

#[test]
fn the_examples_of_the_repository_file_are_valid() {
    // a commented example is a line that begins with `#` directly followed by TOML
    let uncommented: String = include_str!("../../config.toml")
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#'])).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let mut config = Config::parse(FILE, &uncommented).expect("the examples are valid");
    let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_ref().as_str()).collect();
    assert_eq!(names, ["openai", "anthropic", "local", "local-embeddings"]);
    let data = tempfile::tempdir().unwrap();
    register(data.path(), "all-MiniLM-L6-v2");
    config.data = data.path().to_owned();
    let catalog = config.catalog_with(|_| Some("k".into())).unwrap();
    assert_eq!(
        catalog.price_at("openai", "gpt-4o-mini", 0),
        Some(Price { input_nano_usd_per_token: 150, output_nano_usd_per_token: 600 })
    );
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_known_one() {
    let error = problem("listen = \"127.0.0.1:1\"\n[limits]\nask_deadlin_ms = 5\n");
    assert_eq!((error.line, error.column), (3, 1), "{error}");
    assert!(
        error.problem.contains("`ask_deadlin_ms`") && error.problem.ends_with("did you mean `ask_deadline_ms`?"),
        "{error}"
    );
    let nested = problem(&format!("{ONE}reties = 3\n"));
    assert_eq!(nested.line, 5, "{nested}");
    assert!(nested.problem.ends_with("did you mean `retries`?"), "{nested}");
}

#[test]
fn wrong_values_are_refused_where_they_stand() {
    let table: &[(&str, u64, &str)] = &[
        ("listen = \"nowhere\"\n", 1, "socket address"),
        ("region = \"\"\n", 1, "is no region"),
        ("region = \"eu-*\"\n", 1, "is no region"),
        ("region = \"EU-West-1\"\n", 1, "is no region"),
        ("[[providers]]\nname = \"a\"\nkind = \"openai\"\nregion = \"eu west\"\n", 2, "is no region"),
        ("[limits]\nask_deadline_ms = 5\n", 1, "ask_deadline_ms"),
        ("[limits]\nworkers = 0\n", 1, "workers"),
        ("[limits]\ngrace_ms = 0\n", 1, "a time"),
        ("[limits]\nconnections = 0\n", 1, "connections"),
        ("[[providers]]\nname = \"extractive\"\nkind = \"openai\"\nregion = \"x\"\n", 2, "embedded"),
        ("[[providers]]\nname = \"a b\"\nkind = \"openai\"\nregion = \"x\"\n", 2, "letters"),
        ("[[providers]]\nname = \"a\"\nkind = \"opnai\"\nregion = \"x\"\n", 3, "did you mean `openai`?"),
        ("[[providers]]\nname = \"a\"\nkind = \"openai\"\nregion = \"\"\n", 2, "region"),
        (
            "[[providers]]\nname = \"a\"\nkind = \"openai\"\nregion = \"x\"\nrequests_per_minute = 0\n",
            2,
            "requests_per_minute may not be 0",
        ),
        ("[[providers]]\nname = \"a\"\nkind = \"openai\"\nregion = \"x\"\nbase_url = \"ftp://x\"\n", 2, "base_url"),
        (
            "[[providers]]\nname = \"a\"\nkind = \"openai\"\nregion = \"x\"\napi_key_env = \"A\"\napi_key_file = \"b\"\n",
            2,
            "exclude",
        ),
        ("[[providers]]\nname = \"a\"\nkind = \"openai\"\nregion = \"x\"\napi_key = \"sk\"\n", 5, "api_key_"),
    ];
    for (text, line, words) in table {
        let error = problem(text);
        assert_eq!(error.line, *line, "{error}");
        assert!(error.problem.contains(words), "{error}");
    }
    assert!(problem(&format!("{ONE}{ONE}")).problem.contains("stands twice"));
}

#[test]
fn prices_become_whole_nano_dollars_per_token_or_are_refused() {
    let priced = |price: &str| format!("{ONE}[providers.prices.\"m\"]\ninput_usd_per_1m_tokens = {price}\n");
    for (price, nano) in [("0.15", 150), ("\"0.15\"", 150), ("2", 2_000), ("0.001", 1), ("0", 0), ("75.0", 75_000)] {
        let catalog = Config::parse(FILE, &priced(price)).unwrap().catalog_with(|_| None).unwrap();
        let expected = Price { input_nano_usd_per_token: nano, output_nano_usd_per_token: 0 };
        assert_eq!(catalog.price_at("main", "m", 0), Some(expected), "{price}");
    }
    for price in ["0.0015", "0.0001", "-1", "\"free\""] {
        assert!(Config::parse(FILE, &priced(price)).is_err(), "{price}");
    }
    assert!(problem(&priced("0.0015")).problem.contains("finer than a nano-dollar per token"));
}

#[test]
fn a_price_list_gives_the_price_in_force() {
    const DAY_MS: u64 = 86_400_000;
    let listed = |list: &str| format!("{ONE}[providers.prices]\nm = {list}\n");
    let price = |input: u64| Some(Price { input_nano_usd_per_token: input, output_nano_usd_per_token: 0 });
    let text = listed(
        "[{valid_from = \"1970-01-03\", input_usd_per_1m_tokens = 2}, {valid_from = \"1970-01-02\", input_usd_per_1m_tokens = 1}]",
    );
    let catalog = Config::parse(FILE, &text).unwrap().catalog_with(|_| None).unwrap();
    let table = [
        (DAY_MS - 1, None),
        (DAY_MS, price(1_000)),
        (2 * DAY_MS - 1, price(1_000)),
        (2 * DAY_MS, price(2_000)),
        (u64::MAX, price(2_000)),
    ];
    for (at, expected) in table {
        assert_eq!(catalog.price_at("main", "m", at), expected, "{at}");
    }
    assert_eq!(catalog.price_at("main", "n", 2 * DAY_MS), None);
    for (list, words) in [
        ("[]", "empty"),
        ("[{input_usd_per_1m_tokens = 1}, {input_usd_per_1m_tokens = 2}]", "same day"),
        ("[{valid_from = \"2026-02-30\", input_usd_per_1m_tokens = 1}]", "no day"),
        ("[{valid_from = \"soon\", input_usd_per_1m_tokens = 1}]", "no day"),
        ("[{valid_form = \"2026-01-01\", input_usd_per_1m_tokens = 1}]", "did you mean `valid_from`?"),
        ("[{valid_from = \"2026-01-01\", input_usd_per_1m_tokens = 0.0001}]", "finer than a nano-dollar"),
        ("\"free\"", "a list of prices"),
    ] {
        let error = problem(&listed(list));
        assert!(error.problem.contains(words), "{error}");
    }
}

#[test]
fn secrets_are_read_by_reference_and_missing_ones_are_named() {
    let by_variable = Config::parse(FILE, &format!("{ONE}api_key_env = \"MAIN_KEY\"\n")).unwrap();
    assert!(by_variable.catalog_with(|_| None).unwrap_err().to_string().contains("MAIN_KEY is not set"));
    assert!(by_variable.catalog_with(|_| Some(" ".into())).unwrap_err().to_string().contains("empty"));
    let catalog = by_variable.catalog_with(|name| (name == "MAIN_KEY").then(|| "s3cret\n".into())).unwrap();
    let entry = catalog.providers.get("main").unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(entry.api_key.as_ref().unwrap()), "s3cret");
    assert!(!format!("{entry:?}").contains("s3cret"), "a secret is never printed");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let by_file = Config::parse(FILE, &format!("{ONE}api_key_file = {:?}\n", file.display().to_string())).unwrap();
    assert!(by_file.catalog_with(|_| None).is_err());
    std::fs::write(&file, "from-file\n").unwrap();
    let catalog = by_file.catalog_with(|_| None).unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(catalog.providers["main"].api_key.as_ref().unwrap()), "from-file");
}

#[test]
fn limits_reach_the_gateway() {
    let config = Config::parse(FILE, "[limits]\nask_deadline_ms = 5000\nworkers = 3\ngrace_ms = 2500\n").unwrap();
    assert_eq!((config.settings().ask_deadline_ms, config.settings().grace_ms, config.workers()), (5_000, 2_500, 3));
    assert_eq!(config.arbiters(), 12);
    assert_eq!(Config::parse(FILE, "[limits]\nworkers = 100\n").unwrap().arbiters(), 256, "and no more");
    assert_eq!(config.settings().keep_alive_ms, Settings::default().keep_alive_ms);
    let config = Config::parse(FILE, "[limits]\nkeep_alive_ms = 1000\nanswer_timeout_ms = 300\n").unwrap();
    assert_eq!((config.settings().keep_alive_ms, config.settings().answer_timeout_ms), (1_000, 300));
    for (line, words) in [("keep_alive_ms = 999", "keep_alive_ms"), ("answer_timeout_ms = 0", "outside 1 to")] {
        assert!(problem(&format!("[limits]\n{line}\n")).problem.contains(words), "{line}");
    }
}

const ISSUER: &str =
    "[[issuers]]\nissuer = \"https://login.example\"\naudience = \"bailiwick\"\ntenants = [\"acme-corp\"]\n";

#[test]
fn an_issuer_has_safe_defaults() {
    let config = Config::parse(FILE, &format!("{ISSUER}jwks_url = \"https://login.example/keys\"\n")).unwrap();
    let issuers = config.issuers().unwrap();
    let [issuer] = issuers.as_slice() else { panic!("{issuers:?}") };
    assert_eq!(issuer.algorithms, bailiwick_control::identity::issuer::ALGORITHMS);
    let claims = [&issuer.tenant_claim, &issuer.role_claim, &issuer.user_claim];
    assert_eq!((claims, issuer.leeway_s), ([&"tenant".to_owned(), &"role".to_owned(), &"sub".to_owned()], 60));
    assert!(Config::default().issuers().unwrap().is_empty(), "nobody is trusted unless the file says so");
}

#[test]
fn an_issuer_that_could_be_misused_is_refused_where_it_stands() {
    let url = "jwks_url = \"https://login.example/keys\"\n";
    let table: &[(String, &str)] = &[
        (ISSUER.to_owned(), "its keys are nowhere"),
        (format!("{ISSUER}{url}jwks_file = \"keys.json\"\n"), "exclude each other"),
        (format!("{ISSUER}jwks_url = \"http://login.example/keys\"\n"), "write an https address"),
        (format!("{ISSUER}jwks_url = \"http://127.0.0.1.evil.example/keys\"\n"), "write an https address"),
        (format!("{ISSUER}jwks_url = \"file:///etc/passwd\"\n"), "write an https address"),
        (format!("{ISSUER}jwks_url = \"keys\"\n"), "is no address"),
        (format!("{ISSUER}{url}algorithms = [\"HS256\"]\n"), "\"HS256\" is not one of RS256"),
        (format!("{ISSUER}{url}algorithms = [\"none\"]\n"), "\"none\" is not one of RS256"),
        (format!("{ISSUER}{url}algorithms = []\n"), "the list is empty"),
        (format!("{ISSUER}{url}leeway_s = 301\n"), "write 0 to 300"),
        (format!("{ISSUER}{url}tenant_claim = \"\"\n"), "may not be empty"),
        (format!("{}{url}", ISSUER.replace("\"acme-corp\"", "")), "name the tenants"),
        (format!("{}{url}", ISSUER.replace("acme-corp", "*")), "is no tenant"),
        (format!("{ISSUER}{url}{ISSUER}{url}"), "stands twice"),
    ];
    for (text, words) in table {
        let error = problem(text);
        assert!(error.problem.contains(words) && error.problem.contains("https://login.example"), "{error}");
        assert_eq!(error.line % 5, 2, "{error}");
    }
    for (line, words) in [
        ("attributes = { dept = \"Department\" }\n", "is no attribute of a user"),
        ("jwks_ulr = \"x\"\n", "did you mean `jwks_url`?"),
        ("roles = { admins = \"root\" }\n", "unknown variant `root`"),
    ] {
        let error = problem(&format!("{ISSUER}{url}{line}"));
        assert!(error.problem.contains(words), "{error}");
    }
    let without = |key: &str| ISSUER.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
    for key in ["issuer", "audience", "tenants"] {
        assert!(problem(&format!("{}\n{url}", without(key))).problem.contains(&format!("`{key}`")), "{key}");
    }
    for loopback in ["http://127.0.0.1:1/keys", "http://[::1]:1/keys", "http://localhost:1/keys"] {
        assert!(Config::parse(FILE, &format!("{ISSUER}jwks_url = \"{loopback}\"\n")).is_ok(), "{loopback}");
    }
}

#[test]
fn the_schema_names_every_section() {
    let schema = schema();
    let properties = schema.get("properties").and_then(|properties| properties.as_object()).unwrap();
    for section in ["listen", "data", "tenants", "limits", "providers", "issuers", "console", "observability"] {
        assert!(properties.contains_key(section), "{section}");
    }
}

#[test]
fn a_node_is_where_it_says_and_so_is_the_embedded_provider() {
    let region_of = |text: &str| {
        let config = Config::parse(FILE, text).unwrap();
        let embedded = config.catalog().unwrap().providers["extractive"].region.clone();
        (config.region.to_string(), embedded)
    };
    assert_eq!(region_of("region = \"eu-west-1\"\n"), ("eu-west-1".into(), "eu-west-1".into()));
    assert_eq!(region_of(""), ("local".into(), "local".into()));
}

#[test]
fn the_root_key_is_read_where_the_file_says_and_never_told() {
    use bailiwick_control::kms::RootSource;
    let config = |lines: &str| Config::parse(FILE, &format!("[kms]\n{lines}")).unwrap();
    let variable = |value: &'static str| move |name: &str| (name == "SECRET").then(|| value.to_owned());
    let read = |lines: &str, value| config(lines).root_key_with(variable(value));
    assert!(matches!(read("", ""), Ok(RootSource::File)));
    assert!(matches!(read("passphrase_env = \"SECRET\"", "a long way to the quay\n"), Ok(RootSource::SealedFile(_))));
    let digits = "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a";
    let given = read("root_key_env = \"SECRET\"", digits).unwrap();
    assert!(matches!(given, RootSource::Given(_)) && !format!("{given:?}").contains("5a"), "{given:?}");
    for (lines, value, expected) in [
        ("passphrase_env = \"ABSENT\"", "", "the environment variable ABSENT is not set"),
        ("passphrase_env = \"SECRET\"", "short", "fewer than 12 characters"),
        ("root_key_env = \"SECRET\"", "5a5a", "64 hexadecimal digits"),
    ] {
        let problem = read(lines, value).unwrap_err().to_string();
        assert!(problem.contains(expected) && !problem.contains("5a5a"), "{problem}");
    }
    let both = problem("[kms]\npassphrase_env = \"A\"\nroot_key_env = \"B\"\n");
    assert!(both.line == 1 && both.problem.contains("exclude each other"), "{both}");
    assert!(problem("[kms]\npassphrase = \"A\"\n").problem.contains("passphrase_env"));
}

#[test]
fn what_clients_without_a_certificate_are_told_follows_from_the_file() {
    use crate::gateway::tls::Clients;
    let tls = |more: &str| {
        Config::parse(FILE, &format!("[tls]\ncertificate = \"c\"\nkey = \"k\"\n{more}")).map(|config| config.tls)
    };
    let clients = |more: &str| tls(more).unwrap().unwrap().clients();
    let file = std::path::PathBuf::from("ca");
    assert_eq!(clients(""), Clients::Unasked);
    assert_eq!(clients("client_ca = \"ca\"\n"), Clients::Required(file.clone()), "the stricter one");
    assert_eq!(clients("client_ca = \"ca\"\nclient_certificates = \"optional\"\n"), Clients::Optional(file));
    let told = tls("client_certificates = \"required\"\n").unwrap_err().to_string();
    assert!(told.contains("says nothing without client_ca"), "{told}");
    assert!(tls("client_certificates = \"maybe\"\nclient_ca = \"ca\"\n").is_err());
    assert_eq!(Config::parse(FILE, "").unwrap().tls, None);
}

#[test]
fn key_services_are_read_with_their_secrets_by_reference() {
    use bailiwick_kernel::clock::{SharedClock, SystemClock};
    let clock: SharedClock = std::sync::Arc::new(SystemClock);
    let aws = "[[kms.providers]]\nkind = \"aws-kms\"\nregion = \"us-east-1\"\n";
    let vault =
        "[[kms.providers]]\nkind = \"vault-transit\"\nregion = \"local\"\nendpoint = \"http://127.0.0.1:8200\"\n";
    let holders = |text: &str, set: &[&str]| {
        let variable = |name: &str| set.contains(&name).then(|| "hush".to_owned());
        Config::parse(FILE, text).unwrap().key_holders_with(&clock, &variable).map_err(|error| error.to_string())
    };
    let both =
        holders(&format!("{aws}{vault}token_file = \"token\"\n"), &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
            .unwrap();
    let told: Vec<_> = both.iter().map(|holder| (holder.kind(), holder.region(), format!("{holder:?}"))).collect();
    assert_eq!(told[0], ("aws-kms", "us-east-1", "AWS KMS in us-east-1".to_owned()));
    assert_eq!(told[1], ("vault-transit", "local", "Vault in local".to_owned()));
    for (text, set, expected) in [
        (aws, &["AWS_ACCESS_KEY_ID"][..], "variable AWS_SECRET_ACCESS_KEY is not set"),
        (vault, &[][..], "variable VAULT_TOKEN is not set"),
    ] {
        let problem = holders(text, set).unwrap_err();
        assert!(problem.contains(expected) && !problem.contains("hush"), "{problem}");
    }
    for (text, expected) in [
        (format!("{aws}token_env = \"T\"\n"), "are Vault's"),
        (format!("{vault}access_key_id_env = \"T\"\n"), "are AWS's"),
        (format!("{vault}token_env = \"T\"\ntoken_file = \"t\"\n"), "exclude each other"),
        (format!("{aws}{aws}"), "stands twice"),
        (format!("{aws}timeout_ms = 5000\n"), "write 50 to 1000"),
        (format!("{aws}endpoint = \"http://kms.example\"\n"), "in the clear"),
        (aws.replace("endpoint", "x").replace("us-east-1", ""), "region"),
        (vault.replace("endpoint = \"http://127.0.0.1:8200\"\n", ""), "write the address of the Vault"),
        ("[kms]\nformer_root_key_env = \"A\"\n".to_owned(), "goes with root_key_env"),
    ] {
        let problem = problem(&text).to_string();
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
}

#[test]
fn a_model_of_this_node_is_named_and_registered_and_where_the_node_is() {
    let data = tempfile::tempdir().unwrap();
    let config = |lines: &str| {
        let text =
            format!("data = {:?}\n[[providers]]\nname = \"mine\"\nkind = \"local-embeddings\"\n{lines}", data.path());
        Config::parse(FILE, &text).map_err(|error| error.to_string())
    };
    let catalog = |lines: &str| config(lines)?.catalog().map_err(|error| error.to_string());
    for (lines, words) in [
        ("region = \"local\"", "name the model"),
        ("region = \"local\"\nmodel = \"small\"\nbase_url = \"http://127.0.0.1:1\"", "reached over no network"),
        ("region = \"local\"\nmodel = \"small\"", "add it with `bailiwick model add`"),
        ("region = \"us-east-1\"\nmodel = \"small\"", "write region = \"local\""),
    ] {
        let problem = catalog(lines).map(|_catalog| ()).unwrap_err();
        assert!(problem.contains(words), "{lines}: {problem}");
    }
    let other = "[[providers]]\nname = \"x\"\nkind = \"openai\"\nregion = \"local\"\nmodel = \"small\"";
    let problem = Config::parse(FILE, other).unwrap_err().to_string();
    assert!(problem.contains("leave it out"), "{problem}");
    register(data.path(), "small");
    let free = catalog("region = \"local\"\nmodel = \"small\"").unwrap();
    let entry = &free.providers["mine"];
    assert_eq!(entry.local.as_ref().map(|model| model.card().dimension), Some(3));
    assert_eq!(free.price_at("mine", "small", 1), Some(bailiwick_tenant::catalog::Price::default()));
    let priced =
        "region = \"local\"\nmodel = \"small\"\n[providers.prices.\"small\"]\ninput_usd_per_1m_tokens = \"0.001\"";
    let priced = catalog(priced).unwrap().price_at("mine", "small", 1).unwrap();
    assert_eq!(priced.input_nano_usd_per_token, 1);
}

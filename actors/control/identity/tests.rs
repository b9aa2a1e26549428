use super::issuer::{Issuer, algorithm, key_source};
use super::keys::KeySet;
use super::rules::{Refusal, Standing, fresh_for_ms, good_until_unix_ms, may_ask, verify};
use super::tokens::{AUDIENCE, ISSUER, Signer, claims, hmac, issuer, key_set, message, standing, text};
use bailiwick_kernel::limits::{KEY_SET_BYTES_MAX, KEY_SET_KEYS_MAX, KEY_SET_STALE_MS, TOKEN_BYTES_MAX};
use bailiwick_policy::access::Role;
use jsonwebtoken::Algorithm;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

const NOW: u64 = 1_760_000_000_000;
const OTHER: &str = "https://login.example/realms/beta";
const MUTANTS: usize = 100_000;

struct Scene {
    ed: Signer,
    ec: Signer,
    rsa: Signer,
    beta: Signer,
    standing: Standing,
}

impl Scene {
    /// Two issuers, each for its own tenant; the first signs with three kinds of keys.
    fn new() -> Self {
        let (ed, ec, rsa, beta) = (Signer::ed("ed"), Signer::ec("ec"), Signer::rsa("rsa"), Signer::ed("beta"));
        let acme = issuer(ISSUER, &["acme"], PathBuf::new());
        let other = issuer(OTHER, &["beta"], PathBuf::new());
        let standing = standing(&[(acme, &[&ed, &ec, &rsa]), (other, &[&beta])], u64::MAX);
        Self { ed, ec, rsa, beta, standing }
    }

    fn signers(&self) -> [&Signer; 3] {
        [&self.ed, &self.ec, &self.rsa]
    }

    fn why(&self, token: &str) -> Option<Refusal> {
        verify(&self.standing, token, NOW).err().map(|refused| refused.why)
    }
}

/// Good claims with one of them replaced, or left out.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims(NOW);
    let members = claims.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    claims
}

#[test]
fn true_tokens_of_every_kind_of_key_pass_and_say_who_comes() {
    let scene = Scene::new();
    for signer in scene.signers() {
        let passed = verify(&scene.standing, &signer.sign(&claims(NOW)), NOW).unwrap();
        assert_eq!((passed.tenant(), passed.role(), passed.user_id()), ("acme", Role::Operator, "chiara"));
        assert_eq!(passed.expires_unix_ms(), NOW + 300_000);
        assert!(passed.is_accepted(NOW + 359_999) && !passed.is_accepted(NOW + 360_000), "leeway");
        assert!(passed.key_id().starts_with("jwt:login.example:") && passed.key_id().len() == 18 + 16);
    }
    let id = |claims: &Value| verify(&scene.standing, &scene.ed.sign(claims), NOW).unwrap().key_id().to_owned();
    assert_eq!(
        id(&claims(NOW)),
        id(&with("exp", json!(NOW / 1_000 + 9))),
        "every token of a user counts as the same key"
    );
    assert_ne!(id(&claims(NOW)), id(&with("sub", json!("ben"))));
    let head = json!({"alg": "EdDSA"});
    assert_eq!(scene.why(&scene.ed.sign_under(&head, &claims(NOW))), None, "no kid, and one key fits");
    for typ in ["at+jwt", "JWT", "application/at+jwt"] {
        assert_eq!(
            scene.why(&scene.ed.sign_under(&json!({"alg": "EdDSA", "typ": typ, "kid": "ed"}), &claims(NOW))),
            None
        );
    }
    for aud in [json!([AUDIENCE]), json!(["account", AUDIENCE])] {
        assert_eq!(scene.why(&scene.ed.sign(&with("aud", aud))), None);
    }
    assert_eq!(scene.why(&scene.ed.sign(&with("exp", json!(1_760_000_300.5)))), None, "seconds with a fraction");
}

/// What is signed and all the same not to be believed.
fn signed_lies() -> Vec<(Value, Refusal)> {
    let now = NOW / 1_000;
    let mut lies = vec![
        (with("exp", json!(now - 60)), Refusal::Expired),
        (with("exp", json!(0)), Refusal::Expired),
        (with("exp", json!(-1)), Refusal::Expired),
        (with("exp", json!("never")), Refusal::Expired),
        (with("exp", Value::Null), Refusal::Expired),
        (with("nbf", json!(now + 61)), Refusal::NotYetValid),
        (with("nbf", json!("tomorrow")), Refusal::NotYetValid),
        (with("nbf", json!(u64::MAX)), Refusal::NotYetValid),
        (with("iss", json!("https://elsewhere.example")), Refusal::Issuer),
        (with("iss", json!([ISSUER])), Refusal::Issuer),
        (with("iss", json!(format!("{ISSUER}/"))), Refusal::Issuer),
        (with("iss", Value::Null), Refusal::Issuer),
        (with("sub", Value::Null), Refusal::User),
        (with("sub", json!("")), Refusal::User),
        (with("sub", json!(7)), Refusal::User),
        (with("sub", json!("a\nb")), Refusal::User),
        (with("sub", json!("x".repeat(257))), Refusal::User),
    ];
    for aud in
        [json!("account"), json!([]), json!(["account"]), json!({"a": AUDIENCE}), json!("Bailiwick"), Value::Null]
    {
        lies.push((with("aud", aud), Refusal::Audience));
    }
    for tenant in [json!("beta"), json!("ACME"), json!("acme "), json!(["acme"]), json!("*"), json!(""), Value::Null] {
        lies.push((with("tenant", tenant), Refusal::Tenant));
    }
    for role in [json!("root"), json!("Owner"), json!("fleet"), json!([]), json!([["owner"]]), json!(1), Value::Null] {
        lies.push((with("role", role), Refusal::Role));
    }
    lies
}

#[test]
fn what_an_issuer_signs_is_still_held_against_the_configuration() {
    let scene = Scene::new();
    for signer in scene.signers() {
        for (lie, why) in signed_lies() {
            assert_eq!(scene.why(&signer.sign(&lie)), Some(why), "{lie}");
        }
    }
    let mut beta = claims(NOW);
    beta["iss"] = json!(OTHER);
    assert_eq!(
        scene.why(&scene.beta.sign(&beta)),
        Some(Refusal::Tenant),
        "one client's issuer, another client's tenant"
    );
    beta["tenant"] = json!("beta");
    assert_eq!(scene.why(&scene.beta.sign(&beta)), None);
    assert_eq!(scene.why(&scene.ed.sign(&beta)), Some(Refusal::UnknownKey), "signed by another issuer's key");
    for head in [
        json!({"alg": "EdDSA", "kid": "ed", "typ": "logout+jwt"}),
        json!({"alg": "EdDSA", "kid": "ed", "crit": ["b64"]}),
        json!({"alg": "EdDSA", "kid": "ed", "zip": "DEF"}),
        json!({"alg": "ES512", "kid": "ed"}),
        json!({"kid": "ed"}),
    ] {
        assert_eq!(scene.why(&scene.ed.sign_under(&head, &claims(NOW))), Some(Refusal::Malformed), "{head}");
    }
    let foreign = Signer::ed("ed");
    assert_eq!(scene.why(&foreign.sign(&claims(NOW))), Some(Refusal::Signature), "the right name of the wrong key");
    let own_key = json!({"alg": "EdDSA", "kid": "ed", "jwk": foreign.jwk, "jku": "https://evil.example/keys"});
    assert_eq!(
        scene.why(&foreign.sign_under(&own_key, &claims(NOW))),
        Some(Refusal::Signature),
        "keys a token brings along"
    );
    let stranger = json!({"alg": "EdDSA", "kid": "nobody's"});
    assert_eq!(scene.why(&scene.ed.sign_under(&stranger, &claims(NOW))), Some(Refusal::UnknownKey));
    let long = with("padding", json!("x".repeat(TOKEN_BYTES_MAX)));
    assert_eq!(scene.why(&scene.ed.sign(&long)), Some(Refusal::TooLong));
}

#[test]
fn only_the_issuers_own_algorithms_and_a_set_that_is_not_too_old() {
    let (ed, ec) = (Signer::ed("ed"), Signer::ec("ec"));
    let mut narrow = issuer(ISSUER, &["acme"], PathBuf::new());
    narrow.algorithms = vec![Algorithm::EdDSA];
    let until = standing(&[(narrow.clone(), &[&ed, &ec])], NOW + 60_000);
    let why = |signer: &Signer, at| verify(&until, &signer.sign(&claims(NOW)), at).err().map(|refused| refused.why);
    assert_eq!((why(&ed, NOW), why(&ec, NOW)), (None, Some(Refusal::Algorithm)));
    assert_eq!((why(&ed, NOW + 59_999), why(&ed, NOW + 60_000)), (None, Some(Refusal::NoKeys)));
    let passed = verify(&until, &ed.sign(&claims(NOW)), NOW).unwrap();
    assert_eq!(passed.expires_unix_ms(), NOW + 60_000, "nothing outlives the keys it stands on");
    let mut unread = until.clone();
    unread.issuers[0].held = None;
    assert_eq!(verify(&unread, &ed.sign(&claims(NOW)), NOW).unwrap_err().why, Refusal::NoKeys);
    assert_eq!(verify(&Standing::default(), &ed.sign(&claims(NOW)), NOW).unwrap_err().why, Refusal::Issuer);
}

#[test]
fn claims_are_found_by_name_or_by_pointer_and_mean_what_the_configuration_says() {
    let ed = Signer::ed("ed");
    let mut keycloak = issuer(ISSUER, &["acme"], PathBuf::new());
    keycloak.role_claim = "/realm_access/roles".to_owned();
    keycloak.tenant_claim = "https://bailiwick.example/tenant".to_owned();
    keycloak.user_claim = "preferred_username".to_owned();
    keycloak.roles = BTreeMap::from([("staff".to_owned(), Role::Viewer), ("it".to_owned(), Role::Admin)]);
    let attributes = [("/org/unit", "department"), ("site", "site"), ("floor", "floor"), ("note", "note")];
    keycloak.attributes = attributes.map(|(claim, name)| (claim.to_owned(), name.to_owned())).into();
    let standing = standing(&[(keycloak, &[&ed])], u64::MAX);
    let mut said = claims(NOW);
    said["https://bailiwick.example/tenant"] = json!("acme");
    said["preferred_username"] = json!("ben");
    said["org"] = json!({"unit": "cardiology"});
    said["floor"] = json!(3);
    said["note"] = json!("x".repeat(257));
    for (roles, role) in [
        (json!(["staff", "offline_access"]), Some(Role::Viewer)),
        (json!(["staff", "it"]), Some(Role::Admin)),
        (json!("it"), Some(Role::Admin)),
        (json!(["owner"]), None),
        (json!("owner"), None),
    ] {
        said["realm_access"] = json!({"roles": roles});
        let passed = verify(&standing, &ed.sign(&said), NOW);
        assert_eq!(
            passed.as_ref().ok().map(|passed| (passed.role(), passed.user_id())),
            role.map(|role| (role, "ben"))
        );
        let attributes = passed.map(|passed| passed.attributes().clone()).unwrap_or_default();
        let expected = role.map(|_| ("department".to_owned(), "cardiology".to_owned()));
        assert_eq!(attributes, expected.into_iter().collect(), "what is no short text says nothing");
    }
}

/// One way to make a false token out of true ones.
fn mutant(scene: &Scene, pool: &[String], lies: &[(Value, Refusal)], random: &mut StdRng) -> String {
    let token = pool.choose(random).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let body = claims(NOW);
    match random.random_range(0..100) {
        0..40 => flipped(token, random),
        40..46 => token[..random.random_range(0..token.len())].to_owned(),
        46..52 => {
            let (mut longer, at) = (token.clone(), random.random_range(0..=token.len()));
            longer.insert(at, char::from(random.random_range(0x20_u8..0x7f)));
            longer
        }
        52..58 => {
            let other: Vec<&str> = pool.choose(random).unwrap().split('.').collect();
            let swapped = format!("{}.{}.{}", parts[0], parts[1], other[2]);
            if pool.contains(&swapped) { format!("{}..", parts[0]) } else { swapped }
        }
        58..64 => {
            let kind = ["none", "None", "NONE", "nOnE", ""].choose(random).unwrap();
            let endings = ["", parts[2]];
            let ending = endings.choose(random).unwrap();
            format!("{}.{ending}", message(&json!({"alg": kind, "typ": "JWT", "kid": "ed"}), &body))
        }
        64..74 => {
            let signer = scene.signers()[random.random_range(0..3)];
            let algorithm = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512][random.random_range(0..3)];
            let published = signer.jwk.to_string();
            let member = signer.jwk.get("n").or(signer.jwk.get("x")).and_then(Value::as_str).unwrap();
            let set = key_set(&[signer]);
            let secrets = [published.as_bytes(), member.as_bytes(), &set, b""];
            hmac(algorithm, &signer.kid, secrets.choose(random).unwrap(), &body)
        }
        74..82 => {
            let (own, other) = (random.random_range(0..3), random.random_range(1..3));
            let (own, other) = (scene.signers()[own], scene.signers()[(own + other) % 3]);
            if own.algorithm == Algorithm::RS256 {
                return format!("{}.{}", message(&other.head(), &body), parts[2]);
            }
            own.sign_under(&json!({"alg": other.algorithm, "kid": own.kid}), &body)
        }
        82..86 => scene.ed.sign_under(&json!({"alg": "EdDSA", "kid": format!("ed{}", random.random::<u32>())}), &body),
        86..90 => {
            let mut foreign = body;
            foreign["iss"] = json!(OTHER);
            foreign["tenant"] = json!("beta");
            let kid = *["ed", "beta"].choose(random).unwrap();
            scene.ed.sign_under(&json!({"alg": "EdDSA", "kid": kid}), &foreign)
        }
        _ => [&scene.ed, &scene.ec].choose(random).unwrap().sign(&lies.choose(random).unwrap().0),
    }
}

/// One bit of one byte, as far as the result is text at all.
fn flipped(token: &str, random: &mut StdRng) -> String {
    let mut bytes = token.as_bytes().to_vec();
    let at = random.random_range(0..bytes.len());
    bytes[at] ^= 1 << random.random_range(0..7);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn of_a_hundred_thousand_mutated_tokens_none_passes() {
    let scene = Scene::new();
    let mut random = StdRng::seed_from_u64(20_261_125);
    let pool: Vec<String> = (0..48_u64)
        .map(|number| {
            let claims = with("jti", json!(number));
            scene.signers()[usize::try_from(number).unwrap() % 3].sign(&claims)
        })
        .collect();
    assert!(pool.iter().all(|token| scene.why(token).is_none()), "what is mutated is true");
    let lies = signed_lies();
    let mut refusals: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..MUTANTS {
        let token = mutant(&scene, &pool, &lies, &mut random);
        let why = scene.why(&token).unwrap_or_else(|| panic!("mutant {number} passes: {token}"));
        *refusals.entry(why.as_str()).or_default() += 1;
    }
    println!("{MUTANTS} mutated tokens, 0 passed: {refusals:?}");
    for why in Refusal::ALL.into_iter().filter(|why| !matches!(why, Refusal::TooLong | Refusal::NoKeys)) {
        assert!(refusals.contains_key(why.as_str()), "no mutant was refused for {}", why.as_str());
    }
}

#[test]
fn a_key_set_is_bounded_and_what_is_no_public_key_is_left_out() {
    let signers = [Signer::ed("a"), Signer::ec("b")];
    let mut keys: Vec<Value> = signers.iter().map(|signer| signer.jwk.clone()).collect();
    let mut for_secrets = signers[0].jwk.clone();
    for_secrets["use"] = json!("enc");
    let mut for_signing = signers[0].jwk.clone();
    for_signing["key_ops"] = json!(["sign"]);
    keys.extend([for_secrets, for_signing, json!({"kty": "oct", "kid": "s", "k": text(b"secret")})]);
    keys.extend([json!({"kty": "new", "kid": "n"}), json!({}), json!(7), json!({"kty": "RSA", "n": "!", "e": "AQAB"})]);
    assert_eq!(KeySet::read(json!({"keys": keys}).to_string().as_bytes()).unwrap().len(), 2);
    assert!(KeySet::read(br#"{"keys": []}"#).unwrap().is_empty());
    for wrong in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
        assert!(KeySet::read(wrong.as_bytes()).unwrap_err().contains("no JSON Web Key Set"), "{wrong}");
    }
    let many = vec![signers[0].jwk.clone(); KEY_SET_KEYS_MAX + 1];
    assert!(KeySet::read(json!({"keys": many}).to_string().as_bytes()).unwrap_err().contains("65 keys"));
    let long = " ".repeat(KEY_SET_BYTES_MAX + 1);
    assert!(KeySet::read(long.as_bytes()).unwrap_err().contains("bytes"));
}

#[test]
fn a_secret_in_a_key_set_signs_nothing_even_where_the_algorithm_were_allowed() {
    let mut reckless: Issuer = issuer(ISSUER, &["acme"], PathBuf::new());
    reckless.algorithms.push(Algorithm::HS256);
    let mut standing = standing(&[(reckless, &[])], u64::MAX);
    let set = json!({"keys": [{"kty": "oct", "kid": "s", "alg": "HS256", "k": text(b"secret")}]}).to_string();
    let held = super::rules::Held { keys: KeySet::read(set.as_bytes()).unwrap(), good_until_unix_ms: u64::MAX };
    standing.issuers[0].held = Some(std::sync::Arc::new(held));
    let token = hmac(Algorithm::HS256, "s", b"secret", &claims(NOW));
    assert_eq!(verify(&standing, &token, NOW).unwrap_err().why, Refusal::UnknownKey);
}

#[test]
fn a_key_set_is_read_again_within_bounds_and_ends_by_itself() {
    let (minute, hour, day) = (60_000, 3_600_000, 86_400_000);
    for (said, fresh) in [
        (None, hour),
        (Some("public"), hour),
        (Some("max-age=7200"), 2 * hour),
        (Some("public, Max-Age=600, must-revalidate"), 10 * minute),
        (Some("max-age=1"), 5 * minute),
        (Some("no-store"), 5 * minute),
        (Some("max-age=99999999999999999999"), 5 * minute),
        (Some("max-age=18446744073709551615"), day),
        (Some("max-age=31536000"), day),
    ] {
        assert_eq!(fresh_for_ms(said), fresh, "{said:?}");
    }
    assert_eq!(good_until_unix_ms(NOW, hour), NOW + hour + KEY_SET_STALE_MS);
    assert_eq!(good_until_unix_ms(u64::MAX, hour), u64::MAX);
    assert!(may_ask(None, NOW) && may_ask(Some(NOW - 30_000), NOW));
    assert!(!may_ask(Some(NOW - 29_999), NOW) && !may_ask(Some(NOW + 9), NOW), "nor where the clock went back");
}

#[test]
fn an_algorithm_or_a_source_that_could_be_misused_is_refused() {
    for name in ["none", "HS256", "HS384", "HS512", "rs256", ""] {
        assert!(algorithm(name).unwrap_err().contains("is not one of RS256"), "{name}");
    }
    assert_eq!(algorithm("PS384"), Ok(Algorithm::PS384));
    for url in ["http://login.example/keys", "http://10.0.0.1/keys", "ftp://localhost/keys", "data:,{}", "keys"] {
        assert!(key_source(Some(url), None).is_err(), "{url}");
    }
    assert_eq!(issuer("urn:acme idp", &[], PathBuf::new()).host(), "urnacmeidp");
}

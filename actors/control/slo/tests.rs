use super::delivery::{Clients, Outbox};
use super::messages::{Notify, ServiceChange};
use super::rules::{Told, alert, leave, mail, pause_ms, slack_body, webhook_body};
use super::targets::{MailSecurity, MailWay, Target, Way};
use crate::registry::fixtures::{policy_of, record};
use bailiwick_policy::schema::Sovereignty;
use bailiwick_policy::sovereignty::Region;
use bailiwick_tenant::slo::alarms::{Change, PAIRS};
use bailiwick_tenant::slo::messages::Alarmed;
use bailiwick_tenant::slo::rules::Frozen;
use bailiwick_tenant::slo::windows::Tally;
use secrecy::SecretString;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const NOW: u64 = 1_760_000_000_000;

/// Lists that allow eu-west-1 alone.
fn lists() -> Sovereignty {
    policy_of(&record("acme", crate::registry::fixtures::ACME)).sovereignty.clone()
}

fn notify(change: ServiceChange) -> Notify {
    Notify { tenant: "acme".to_owned(), sovereignty: Some(lists()), change, at_unix_ms: NOW }
}

fn alarmed(is_raised: bool, since_unix_ms: u64) -> ServiceChange {
    let (long, short) = (Tally { good: 3_000, bad: 52 }, Tally { good: 250, bad: 50 });
    let change = Change { pair: &PAIRS[0], is_raised, since_unix_ms, long, short };
    ServiceChange::Alarmed(Alarmed { change, allowed_ppm: 1_000, at_unix_ms: NOW })
}

fn target(region: &str, tenants: &[&str], way: Way) -> Target {
    let tenants = tenants.iter().map(|name| (*name).to_owned()).collect();
    Target { name: "ops".to_owned(), tenants, region: Region::named(region).unwrap(), way }
}

fn hook(url: &str) -> Way {
    Way::Webhook { url: SecretString::from(url) }
}

#[test]
fn an_alert_says_figures_and_the_tenants_name() {
    let raised = alert(&notify(alarmed(true, NOW - 60_000)));
    let body = webhook_body(&raised);
    assert_eq!((body["tenant"].as_str(), body["alert"].as_str()), (Some("acme"), Some("burn_14x")));
    assert_eq!((body["severity"].as_str(), body["raised"].as_bool()), (Some("page"), Some(true)));
    assert_eq!((body["long"]["minutes"].as_u64(), body["short"]["bad"].as_u64()), (Some(60), Some(50)));
    assert!(raised.text.contains("14.4 times what 99.900 % allows: 52 of 3052 turns"), "{}", raised.text);
    let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["tenant", "alert", "severity", "raised", "since", "at", "text", "long", "short"],
        "and nothing else"
    );
    assert!(slack_body(&raised)["text"].as_str().unwrap().starts_with(":rotating_light: acme:"));
    let (subject, text) = mail(&raised);
    assert!(subject == "[bailiwick] acme: burn_14x raised" && text.contains("52 of 3052"));
    let frozen = Frozen { since_unix_ms: NOW, overridden_until_unix_ms: Some(NOW + 60_000) };
    let texts: Vec<_> = [Some(frozen), Some(Frozen { overridden_until_unix_ms: None, ..frozen }), None]
        .into_iter()
        .map(|frozen| alert(&notify(ServiceChange::ReleasesStand(frozen))).text)
        .collect();
    assert!(texts[0].contains("overridden") && texts[1].contains("used up") && texts[2].contains("free"), "{texts:?}");
}

#[test]
fn the_same_is_told_once_and_what_follows_is_told() {
    let mut told = Told::default();
    let mut is_news = |change| told.is_news(&alert(&notify(change)));
    let frozen = Some(Frozen { since_unix_ms: NOW, overridden_until_unix_ms: None });
    for (change, expected) in [
        (ServiceChange::ReleasesStand(None), false),
        (alarmed(true, NOW), true),
        (alarmed(true, NOW), false),
        (alarmed(false, NOW), true),
        (alarmed(false, NOW), false),
        (alarmed(true, NOW + 1), true),
        (ServiceChange::ReleasesStand(frozen), true),
        (ServiceChange::ReleasesStand(frozen), false),
        (
            ServiceChange::ReleasesStand(
                frozen.map(|frozen| Frozen { overridden_until_unix_ms: Some(NOW + 9), ..frozen }),
            ),
            true,
        ),
        (ServiceChange::ReleasesStand(None), true),
        (ServiceChange::ReleasesStand(None), false),
    ] {
        assert_eq!(is_news(change), expected, "{change:?}");
    }
}

#[test]
fn an_alert_goes_only_where_operator_and_tenant_let_it() {
    let change = alarmed(true, NOW);
    for (region, tenants, sovereignty, expected) in [
        ("eu-west-1", &[][..], Some(lists()), Ok(())),
        ("eu-west-1", &["acme"], Some(lists()), Ok(())),
        ("eu-west-1", &["beta"], Some(lists()), Err(false)),
        ("us-east-1", &[], Some(lists()), Err(true)),
        ("eu-west-1", &[], None, Err(true)),
    ] {
        let told = Notify { sovereignty, ..notify(change) };
        let given = leave(&target(region, tenants, hook("http://127.0.0.1:1/")), &told);
        assert_eq!(given.map(|_| ()).map_err(|why| why.is_some()), expected, "{region} {tenants:?}");
    }
}

#[test]
fn tries_come_further_and_further_apart() {
    assert_eq!((2..=5).map(pause_ms).collect::<Vec<_>>(), [1_000, 4_000, 16_000, 64_000]);
}

/// Takes one request, gives an answer of this status, and what it was sent.
async fn one_request(line: TcpStream, status: &str) -> (String, Value) {
    let mut line = BufReader::new(line);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut text = String::new();
        line.read_line(&mut text).await.unwrap();
        if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if text == "\r\n" {
            break;
        }
        head.push_str(&text);
    }
    let mut body = vec![0; length];
    line.read_exact(&mut body).await.unwrap();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    line.get_mut().write_all(answer.as_bytes()).await.unwrap();
    line.get_mut().shutdown().await.unwrap();
    (head, serde_json::from_slice(&body).unwrap())
}

#[actix::test]
async fn a_webhook_is_tried_again_and_a_redirect_is_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let outbox =
        Outbox::open(target("eu-west-1", &[], Way::Slack { url: SecretString::from(url) }), Clients::open().unwrap());
    let told = notify(alarmed(true, NOW));
    outbox.send(alert(&told), leave(&outbox.target, &told).unwrap());
    let mut seen = Vec::new();
    for status in ["307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/", "204 No Content"] {
        let (line, _) = listener.accept().await.unwrap();
        seen.push(one_request(line, status).await);
    }
    assert_eq!(seen[0].1, seen[1].1, "the same again");
    assert!(seen[1].0.starts_with("POST /hook ") && seen[1].1["text"].as_str().unwrap().contains("acme"));
}

/// A mail server that takes one message and says what it was told.
async fn one_mail(listener: TcpListener, told: mpsc::Sender<String>) {
    let (line, _) = listener.accept().await.unwrap();
    let mut line = BufReader::new(line);
    let mut is_data = false;
    line.get_mut().write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
    loop {
        let mut text = String::new();
        if line.read_line(&mut text).await.unwrap() == 0 {
            return;
        }
        told.send(text.clone()).await.unwrap();
        let answer = match text.trim_end() {
            "." if is_data => "250 taken\r\n",
            "DATA" => "354 go on\r\n",
            "QUIT" => "221 bye\r\n",
            _ if is_data => continue,
            _ => "250 fine\r\n",
        };
        is_data = text.starts_with("DATA");
        line.get_mut().write_all(answer.as_bytes()).await.unwrap();
    }
}

#[actix::test]
async fn a_mail_reaches_its_receivers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let way = MailWay {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        security: MailSecurity::None,
        from: "bailiwick@node.example".to_owned(),
        to: vec!["ops@acme.example".to_owned(), "duty@acme.example".to_owned()],
        login: None,
    };
    let (sender, mut told) = mpsc::channel(256);
    actix::spawn(one_mail(listener, sender));
    let outbox = Outbox::open(target("eu-west-1", &[], Way::Mail(way)), Clients::open().unwrap());
    let notify = notify(alarmed(true, NOW));
    outbox.send(alert(&notify), leave(&outbox.target, &notify).unwrap());
    let mut lines = String::new();
    while !lines.ends_with("\r\n.\r\n") {
        lines.push_str(&told.recv().await.expect("the mail is sent"));
    }
    for expected in [
        "MAIL FROM:<bailiwick@node.example>",
        "RCPT TO:<ops@acme.example>",
        "RCPT TO:<duty@acme.example>",
        "Subject: [bailiwick] acme: burn_14x raised",
        "52 of 3052 turns",
    ] {
        assert!(lines.replace("=\r\n", "").contains(expected), "{expected} is not in\n{lines}");
    }
}

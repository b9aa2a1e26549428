//! Alerts on their way: one task and one bounded queue a target, so that a slow one delays itself alone.
use super::rules::{Alert, TRIES_MAX, mail, pause_ms, slack_body, webhook_body};
use super::targets::{MailSecurity, MailWay, Target, Way};
use bailiwick_policy::sovereignty::{Cleared, InTransit};
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters, TlsVersion};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::sync::mpsc;

/// Alerts that wait for one target; more are dropped and counted.
const WAITING_MAX: usize = 64;
/// How long one try may take.
const TRY: Duration = Duration::from_secs(10);

/// The way to one target.
#[derive(Debug)]
pub struct Outbox {
    /// The target.
    pub target: Target,
    waiting: mpsc::Sender<(Alert, Cleared)>,
}

/// What sends over HTTP: one for each oldest version of TLS a tenant may ask for.
#[derive(Clone, Debug)]
pub struct Clients {
    tls12: reqwest::Client,
    tls13: reqwest::Client,
}

impl Clients {
    /// Opens both.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn open() -> Result<Self, String> {
        let client = |oldest| {
            reqwest::Client::builder()
                .user_agent(concat!("bailiwick/", env!("CARGO_PKG_VERSION")))
                .timeout(TRY)
                .min_tls_version(oldest)
                // a redirect could lead into another region
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .build()
                .map_err(|error| format!("opening the client that sends alerts: {error}"))
        };
        Ok(Self { tls12: client(reqwest::tls::Version::TLS_1_2)?, tls13: client(reqwest::tls::Version::TLS_1_3)? })
    }

    fn of(&self, cleared: &Cleared) -> &reqwest::Client {
        match cleared.in_transit() {
            InTransit::Tls12 => &self.tls12,
            InTransit::Tls13 => &self.tls13,
        }
    }
}

impl Outbox {
    /// Starts the task of one target on the current thread's runtime. It ends with the outbox.
    #[must_use]
    pub fn open(target: Target, clients: Clients) -> Self {
        let (waiting, mut queue) = mpsc::channel::<(Alert, Cleared)>(WAITING_MAX);
        let to = target.clone();
        actix::spawn(async move {
            while let Some((alert, cleared)) = queue.recv().await {
                deliver(&to, &clients, &alert, &cleared).await;
            }
        });
        Self { target, waiting }
    }

    /// Puts an alert in. One that finds no room is dropped: the line before it is down, and what is newest is shown by the
    /// server itself.
    pub fn send(&self, alert: Alert, cleared: Cleared) {
        if self.waiting.try_send((alert, cleared)).is_err() {
            count(&self.target, "dropped");
        }
    }
}

fn count(target: &Target, outcome: &'static str) {
    metrics::counter!("bailiwick_alerts_total", "target" => target.name.clone(), "outcome" => outcome).increment(1);
}

async fn deliver(target: &Target, clients: &Clients, alert: &Alert, cleared: &Cleared) {
    for attempt in 1..=TRIES_MAX {
        if attempt > 1 {
            tokio::time::sleep(Duration::from_millis(pause_ms(attempt))).await;
        }
        let tried = tokio::time::timeout(TRY, send(&target.way, clients, alert, cleared));
        match tried.await.unwrap_or_else(|_late| Err("it took too long".to_owned())) {
            Ok(()) => return count(target, "sent"),
            Err(problem) => {
                let (tenant, name) = (alert.tenant.as_str(), target.name.as_str());
                tracing::warn!(tenant, target = name, attempt, problem, "an alert could not be sent");
            }
        }
    }
    count(target, "failed");
}

async fn send(way: &Way, clients: &Clients, alert: &Alert, cleared: &Cleared) -> Result<(), String> {
    match way {
        Way::Webhook { url } => post(clients.of(cleared), url.expose_secret(), &webhook_body(alert)).await,
        Way::Slack { url } => post(clients.of(cleared), url.expose_secret(), &slack_body(alert)).await,
        Way::Mail(way) => post_mail(way, alert, cleared.in_transit()).await,
    }
}

async fn post(client: &reqwest::Client, url: &str, body: &serde_json::Value) -> Result<(), String> {
    let answer = client.post(url).json(body).send().await.map_err(|error| error.without_url().to_string())?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
}

async fn post_mail(way: &MailWay, alert: &Alert, oldest: InTransit) -> Result<(), String> {
    let (subject, text) = mail(alert);
    let sender = way.from.parse().map_err(|error| format!("the sender {:?}: {error}", way.from))?;
    let mut message = Message::builder().from(sender).subject(subject).header(ContentType::TEXT_PLAIN);
    for receiver in &way.to {
        message = message.to(receiver.parse().map_err(|error| format!("the receiver {receiver:?}: {error}"))?);
    }
    let message = message.body(text).map_err(|error| error.to_string())?;
    let parameters = || {
        let oldest = if oldest == InTransit::Tls13 { TlsVersion::Tlsv13 } else { TlsVersion::Tlsv12 };
        TlsParameters::builder(way.host.clone())
            .set_min_tls_version(oldest)
            .build_rustls()
            .map_err(|error| error.to_string())
    };
    let tls = match way.security {
        MailSecurity::Tls => Tls::Wrapper(parameters()?),
        MailSecurity::StartTls => Tls::Required(parameters()?),
        MailSecurity::None => Tls::None,
    };
    let mut line =
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&way.host).port(way.port).tls(tls).timeout(Some(TRY));
    if let Some((name, password)) = &way.login {
        line = line.credentials(Credentials::new(name.clone(), password.expose_secret().to_owned()));
    }
    line.build().send(message).await.map(|_taken| ()).map_err(|error| error.to_string())
}

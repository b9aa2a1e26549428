//! A cache outside that speaks Redis' protocol: the one file that names the crate. One connection for the node and its pace of
//! commands; TLS, and how old it may be, is decided here. It is made in a task of its own, one at a time: whoever looks for an
//! answer meanwhile has none. A connection that fails is thrown away, and whoever comes next has another one made.
use super::shared::{Pending, SharedStore};
use bailiwick_policy::sovereignty::InTransit;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisConnectionInfo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

/// How long a connection may take, until the server knows who asks.
const CONNECTING: Duration = Duration::from_secs(5);
/// After an attempt that failed nobody makes another one for this long.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a server is, and who asks.
#[derive(Clone)]
pub struct RedisAccess {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// By TLS; in the clear to this machine alone.
    pub is_encrypted: bool,
    /// The number of the database.
    pub database: i64,
    /// Who asks.
    pub username: Option<String>,
    /// Their password.
    pub password: Option<SecretString>,
}

/// A server to be asked under this TLS or a newer one; nobody is asked yet.
///
/// # Errors
/// What is wrong with it.
pub fn open(access: RedisAccess, in_transit: InTransit) -> Result<Arc<dyn SharedStore>, String> {
    let tls = access.is_encrypted.then(|| encrypted(&access.host, in_transit)).transpose()?;
    let (link, made) = (watch::Sender::new(Link::Idle), AtomicU64::new(0));
    Ok(Arc::new(Line(Arc::new(Redis { access, tls, link, made }))))
}

struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

fn encrypted(host: &str, in_transit: InTransit) -> Result<Tls, String> {
    let versions: &[&rustls::SupportedProtocolVersion] = match in_transit {
        InTransit::Tls12 => rustls::ALL_VERSIONS,
        InTransit::Tls13 => &[&rustls::version::TLS13],
    };
    let failed = |error: rustls::Error| format!("reaching {host} by TLS: {error}");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(failed)?
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host:?} is no host: {error}"))?;
    Ok(Tls { config: Arc::new(config), name })
}

/// How the connection stands.
#[derive(Clone)]
enum Link {
    /// There is none, and nobody makes one.
    Idle,
    /// It is being made.
    Connecting,
    /// It is there.
    Up(Connection),
    /// None could be made a moment ago, for this reason.
    Down(Arc<str>),
}

/// A connection, told from those before and after it.
#[derive(Clone)]
struct Connection {
    number: u64,
    commands: MultiplexedConnection,
}

struct Redis {
    access: RedisAccess,
    tls: Option<Tls>,
    link: watch::Sender<Link>,
    /// Connections made so far.
    made: AtomicU64,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({}:{})", self.access.host, self.access.port)
    }
}

impl Redis {
    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let RedisAccess { host, port, database, username, password, .. } = &self.access;
        let broken = |error: &dyn fmt::Display| format!("reaching {host}:{port}: {error}");
        let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| broken(&error))?;
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        let mut info = RedisConnectionInfo::default().set_db(*database);
        if let Some(username) = username {
            info = info.set_username(username);
        }
        if let Some(password) = password {
            info = info.set_password(password.expose_secret());
        }
        let connection = match &self.tls {
            None => over(&info, stream).await,
            Some(Tls { config, name }) => {
                let encrypting = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream);
                over(&info, encrypting.await.map_err(|error| broken(&error))?).await
            }
        };
        connection.map_err(|error| broken(&error))
    }

    /// The link becomes idle where it stands so.
    fn idle_where(&self, is_over: impl Fn(&Link) -> bool) {
        self.link.send_if_modified(|link| {
            let over = is_over(link);
            if over {
                *link = Link::Idle;
            }
            over
        });
    }
}

/// The connection being made. Dropped, by its end or with the thread it ran on, it lets somebody else make one.
struct Attempt(Arc<Redis>);

impl Attempt {
    async fn run(self) {
        let Self(redis) = &self;
        let connected = tokio::time::timeout(CONNECTING, redis.connect()).await;
        let connected = connected.unwrap_or_else(|_elapsed| {
            Err(format!("reaching {redis:?}: it took longer than {} s", CONNECTING.as_secs()))
        });
        match connected {
            Ok(commands) => {
                let number = redis.made.fetch_add(1, Ordering::Relaxed);
                redis.link.send_replace(Link::Up(Connection { number, commands }));
            }
            Err(problem) => {
                redis.link.send_replace(Link::Down(problem.into()));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.idle_where(|link| matches!(link, Link::Connecting | Link::Down(_)));
    }
}

/// The server, as rooms ask it.
#[derive(Debug)]
struct Line(Arc<Redis>);

impl Line {
    /// How the connection stands; where there is none it is made from now on.
    fn link(&self) -> Link {
        let Self(redis) = self;
        let begins = redis.link.send_if_modified(|link| {
            let begins = matches!(link, Link::Idle);
            if begins {
                *link = Link::Connecting;
            }
            begins
        });
        if begins {
            actix::spawn(Attempt(Arc::clone(redis)).run());
        }
        redis.link.borrow().clone()
    }

    /// The connection, once it is made.
    async fn connected(&self) -> Result<Connection, String> {
        let mut link = self.0.link.subscribe();
        self.link();
        let link = link.wait_for(|link| !matches!(link, Link::Connecting)).await.map_err(|gone| gone.to_string())?;
        match &*link {
            Link::Up(connection) => Ok(connection.clone()),
            Link::Down(problem) => Err(problem.to_string()),
            Link::Idle | Link::Connecting => Err(self.not_reached()),
        }
    }

    fn not_reached(&self) -> String {
        format!("{:?} is being reached", self.0)
    }

    async fn ask<T: FromRedisValue>(&self, connection: Connection, command: &redis::Cmd) -> Result<T, String> {
        let Connection { number, mut commands } = connection;
        let asked = Asked { redis: &self.0, number, is_answered: false };
        let answer = command.query_async(&mut commands).await.map_err(|error| error.to_string());
        asked.answered(answer.is_ok());
        answer
    }
}

/// A connection over a stream; what drives it ends with it.
async fn over<C>(info: &RedisConnectionInfo, stream: C) -> redis::RedisResult<MultiplexedConnection>
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // how long an answer is waited for is decided by whoever asks
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(info, stream, config).await?;
    actix::spawn(driver);
    Ok(connection)
}

/// A command under way. Dropped before its answer, it throws the connection away.
struct Asked<'a> {
    redis: &'a Redis,
    number: u64,
    is_answered: bool,
}

impl Asked<'_> {
    fn answered(mut self, well: bool) {
        self.is_answered = well;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            // another one may have been made since
            self.redis.idle_where(|link| matches!(link, Link::Up(connection) if connection.number == self.number));
        }
    }
}

impl SharedStore for Line {
    fn is_ready(&self) -> bool {
        matches!(self.link(), Link::Up(_))
    }

    fn get<'a>(&'a self, key: &'a [u8], bytes_max: usize) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let Link::Up(connection) = self.link() else { return Err(self.not_reached()) };
            let last = bytes_max.saturating_sub(1);
            let found: Vec<u8> = self.ask(connection, redis::cmd("GETRANGE").arg(key).arg(0).arg(last)).await?;
            Ok((!found.is_empty()).then_some(found))
        })
    }

    fn put<'a>(&'a self, key: &'a [u8], value: &'a [u8], ttl_ms: u64) -> Pending<'a, ()> {
        Box::pin(async move {
            let connection = self.connected().await?;
            self.ask(connection, redis::cmd("SET").arg(key).arg(value).arg("PX").arg(ttl_ms)).await
        })
    }

    fn ping(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let connection = self.connected().await?;
            let said: String = self.ask(connection, &redis::cmd("PING")).await?;
            if said == "PONG" { Ok(()) } else { Err(format!("{:?} answers PING with {said:?}", self.0)) }
        })
    }
}

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;

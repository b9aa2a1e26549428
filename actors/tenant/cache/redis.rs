//! A cache outside that speaks Redis' protocol: the one file that names the crate. One connection for the node and its pace of
//! commands; TLS, and how old it may be, is decided here. A connection that fails is thrown away, and the next one asks anew.
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

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
    Ok(Arc::new(Redis { access, tls, connection: Mutex::new(None) }))
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

struct Redis {
    access: RedisAccess,
    tls: Option<Tls>,
    connection: Mutex<Option<MultiplexedConnection>>,
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

    async fn ask<T: FromRedisValue>(&self, command: &redis::Cmd) -> Result<T, String> {
        let mut connection = {
            // whoever comes while somebody connects waits for that, within their own time
            let mut place = self.connection.lock().await;
            match place.as_ref() {
                Some(connection) => connection.clone(),
                None => place.insert(self.connect().await?).clone(),
            }
        };
        let asked = Asked { redis: self, is_answered: false };
        let answer = command.query_async(&mut connection).await.map_err(|error| error.to_string());
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
    is_answered: bool,
}

impl Asked<'_> {
    fn answered(mut self, well: bool) {
        self.is_answered = well;
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.is_answered
            && let Ok(mut place) = self.redis.connection.try_lock()
        {
            *place = None;
        }
    }
}

impl SharedStore for Redis {
    fn get<'a>(&'a self, key: &'a [u8], bytes_max: usize) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let last = bytes_max.saturating_sub(1);
            let found: Vec<u8> = self.ask(redis::cmd("GETRANGE").arg(key).arg(0).arg(last)).await?;
            Ok((!found.is_empty()).then_some(found))
        })
    }

    fn put<'a>(&'a self, key: &'a [u8], value: &'a [u8], ttl_ms: u64) -> Pending<'a, ()> {
        Box::pin(async move { self.ask(redis::cmd("SET").arg(key).arg(value).arg("PX").arg(ttl_ms)).await })
    }
}

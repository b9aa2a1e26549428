//! `bailiwick serve`: the gateway.
use crate::boot::{self, Running};
use crate::config::{Config, FILE, LogFormat};
use crate::gateway::tls::{LOOK, Listening, Looked, Renewal};
use crate::{console, gateway, shutdown};
use actix_web::dev::ServerHandle;
use anyhow::Context;
use clap::Args;
use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Run the gateway.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file; the defaults where there is none.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Tenants folder.
    #[arg(long)]
    tenants: Option<PathBuf>,
    /// Data folder.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Address and port; port 0 picks a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
}

/// A house with its sockets open.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    running: Running,
    server: ServerHandle,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    /// Takes the certificate anew when its files change; nothing where plain HTTP is spoken.
    renewing: Option<tokio::task::JoinHandle<()>>,
}

impl Serve {
    /// Serves until asked to end.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut config = load(self.config)?;
        config.tenants = self.tenants.unwrap_or(config.tenants);
        config.data = self.data.unwrap_or(config.data);
        config.listen = self.listen.unwrap_or(config.listen);
        start_log(&config);
        let served = open(&config).await?;
        eprintln!("listening on {}", served.url());
        shutdown::requested().await.context("listening for signals")?;
        tracing::info!("ending: requests in flight are answered first");
        served.close().await
    }
}

/// The named configuration, else `config.toml` where there is one, else the defaults.
fn load(named: Option<PathBuf>) -> anyhow::Result<Config> {
    match named {
        Some(path) => Ok(Config::load(&path)?),
        None if std::path::Path::new(FILE).exists() => Ok(Config::load(std::path::Path::new(FILE))?),
        None => Ok(Config::default()),
    }
}

/// What others say too loudly: the HTTP server's start, and a client that would log a stream's content.
const QUIET: [&str; 2] = ["actix_server=warn", "async_openai=off"];

/// Logs go to standard error, in the configured form.
pub(crate) fn start_log(config: &Config) {
    let filter = EnvFilter::try_from_default_env().or_else(|_unset| EnvFilter::try_new(&config.observability.filter));
    let filter = filter.unwrap_or_else(|_wrong| EnvFilter::new("info"));
    let filter = QUIET.iter().filter_map(|quiet| quiet.parse().ok()).fold(filter, EnvFilter::add_directive);
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).with_env_filter(filter);
    let started = match config.observability.log {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.with_target(false).try_init(),
    };
    if let Err(error) = started {
        eprintln!("bailiwick: the log was started already: {error}");
    }
}

/// Boots and opens the sockets.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Served> {
    let listener = TcpListener::bind(config.listen)
        .with_context(|| format!("listening on {}: choose another address with --listen", config.listen))?;
    let address = listener.local_addr().context("reading the address that is listened on")?;
    // before anything is opened: a node that cannot be reached does not start
    let tls = config.tls.as_ref().map(|tls| Listening::of(tls.pair(), &tls.clients())).transpose()?;
    let (tls, renewal) = tls.map(|Listening { config, renewal }| (config, renewal)).unzip();
    let running = boot::start(config).await?;
    let with_console = config.console.enabled;
    let extra = move |service: &mut actix_web::web::ServiceConfig| {
        if with_console {
            console::configure(service);
        }
    };
    let server =
        gateway::serve(running.edge.clone(), listener, tls, config.workers(), extra).context("starting the gateway")?;
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let renewing = renewal.map(|renewal| actix_web::rt::spawn(renew(renewal)));
    Ok(Served { address, running, server: handle, serving, renewing })
}

/// Looks at the files of the certificate until it is dropped. What is wrong with them is said once.
async fn renew(mut renewal: Renewal) {
    let mut said = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let looking = bailiwick_kernel::residue::spawn_blocking(move || (renewal.look(), renewal));
        let Ok((looked, same)) = looking.await else { return };
        renewal = same;
        let problem = match looked {
            Looked::Unchanged => continue,
            Looked::Renewed => {
                tracing::info!("new connections are shown the certificate the files hold now");
                None
            }
            Looked::Kept(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem.as_ref().filter(|problem| said.as_ref() != Some(*problem)) {
            tracing::error!(%problem, "the certificate before stays in use");
        }
        said = problem;
    }
}

impl Served {
    /// Where it is reached.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.renewing.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Ends everything in order.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if let Some(renewing) = self.renewing {
            renewing.abort();
        }
        shutdown::end(self.running, self.server).await?;
        self.serving.await.context("ending the gateway")?.context("ending the gateway")
    }
}

//! The command line: one file per verb. Client verbs speak HTTP to a running server, like everybody else.
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

mod approval;
mod archive;
mod ask;
mod backup;
mod client;
mod demo;
mod doctor;
mod erasure;
mod eval;
mod ingest;
mod key;
mod kms;
mod migrate;
mod model;
mod observability;
mod parse_child;
mod patience;
mod policy;
mod report;
mod rollout;
mod schema;
mod serve;
mod slo;
mod tenant;
mod verify;

/// Multi-tenant governance runtime for question answering over documents.
#[derive(Debug, Parser)]
#[command(name = "bailiwick", version, propagate_version = true)]
pub struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

/// What can be done. Exit codes: 0 done, 1 refused or failed, 2 wrong use.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Boot, load the sample tenants, ask each a question, show a refused cross-tenant attempt, then serve.
    Demo(demo::Demo),
    /// Run the gateway.
    Serve(serve::Serve),
    /// Create, list, show, suspend, resume, archive and delete tenants.
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// Issue, list, revoke and rotate API keys.
    #[command(subcommand)]
    Key(key::Key),
    /// Wrap the tenants' keys under a new root key.
    #[command(subcommand)]
    Kms(kms::Kms),
    /// Bring files or folders in: txt, md, html, pdf, docx.
    Ingest(ingest::Ingest),
    /// Bring a single-tenant system into a tenant while both are being asked; take it back, or confirm it.
    Migrate(migrate::Migrate),
    /// Check, register and list embedding models of this node.
    #[command(subcommand)]
    Model(model::Model),
    /// Ask a tenant's documents a question.
    Ask(ask::Ask),
    /// Check, compare, sign and list policies.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Ask golden questions and show how they went.
    #[command(subcommand)]
    Eval(eval::Eval),
    /// List, approve and refuse requests that need somebody's word.
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Ask for erasures, see how they stand, take the certificate and the ledger.
    #[command(subcommand)]
    Erasure(erasure::Erasure),
    /// Back the node up while it serves, and let old copies go.
    #[command(subcommand)]
    Backup(backup::Backup),
    /// Put a backup back onto an empty data folder.
    Restore(backup::PutBack),
    /// Write reports: costs, compliance, drift.
    #[command(subcommand)]
    Report(report::Report),
    /// Show service levels, override a release freeze, convert objectives to OpenSLO and back.
    #[command(subcommand)]
    Slo(slo::Slo),
    /// Write a Grafana dashboard and alert rules for Prometheus.
    #[command(subcommand)]
    Observability(observability::Observability),
    /// Verify a receipt, an export, lineage, published heads, a report or a certificate of erasure, offline.
    Verify(verify::Verify),
    /// Print the JSON Schema of a file.
    Schema(schema::Schema),
    /// Check config, keys, disks, limits and clocks, and say what to do.
    Doctor(doctor::Doctor),
    /// Parse one hostile document from standard input; started by the server itself.
    #[command(hide = true)]
    ParseChild(parse_child::ParseChild),
}

/// Where the server is and who is calling.
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// Address of the running server.
    #[arg(long, env = "BAILIWICK_SERVER", default_value = "http://127.0.0.1:8080", global = true)]
    pub server: String,
    /// API key; on the server's own machine the operator key of the data folder is found without it.
    #[arg(long, env = "BAILIWICK_KEY", hide_env_values = true, global = true)]
    pub key: Option<String>,
    /// File with the certificates (PEM) that sign the server's, where the system does not trust them; nobody else is trusted then.
    #[arg(long, env = "BAILIWICK_CA", global = true)]
    pub ca: Option<PathBuf>,
    /// File with this client's certificate (PEM), for servers that ask for one.
    #[arg(long, env = "BAILIWICK_CLIENT_CERT", requires = "client_key", global = true)]
    pub client_cert: Option<PathBuf>,
    /// File with the certificate's private key (PEM).
    #[arg(long, env = "BAILIWICK_CLIENT_KEY", requires = "client_cert", global = true)]
    pub client_key: Option<PathBuf>,
    /// The server's data folder, where the operator key is looked for.
    #[arg(long, default_value = "data", global = true)]
    pub data: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    pub output: Output,
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Runs the command line and gives the exit code.
#[must_use]
pub fn run() -> ExitCode {
    let line = CommandLine::parse();
    let outcome = match line.verb {
        Verb::ParseChild(verb) => return verb.run(),
        Verb::Schema(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
        Verb::Doctor(verb) => verb.run(),
        Verb::Kms(verb) => verb.run(),
        Verb::Model(verb) => verb.run(),
        Verb::Observability(verb) => verb.run(),
        Verb::Serve(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Demo(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Tenant(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Key(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Ingest(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Migrate(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Policy(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Eval(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Approval(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Erasure(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Backup(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Restore(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Slo(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Report(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Ask(verb) => actix_web::rt::System::new().block_on(verb.run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bailiwick: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line to standard output. A closed pipe ends the program quietly, as users of pipes expect.
pub(crate) fn say(line: impl AsRef<str>) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{}", line.as_ref()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

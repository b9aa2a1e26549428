//! The command line: one file per verb. Client verbs speak HTTP to a running server, like everybody else.
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

mod approval;
mod ask;
mod client;
mod demo;
mod doctor;
mod ingest;
mod key;
mod parse_child;
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
    /// Bring files or folders in: txt, md, html, pdf, docx.
    Ingest(ingest::Ingest),
    /// Ask a tenant's documents a question.
    Ask(ask::Ask),
    /// Check, compare, sign and list policies.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// List, approve and refuse requests that need somebody's word.
    #[command(subcommand)]
    Approval(approval::Approval),
    /// Write reports: costs.
    #[command(subcommand)]
    Report(report::Report),
    /// Show service levels, override a release freeze, convert objectives to OpenSLO and back.
    #[command(subcommand)]
    Slo(slo::Slo),
    /// Verify a receipt or an export, offline.
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
        Verb::Serve(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Demo(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Tenant(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Key(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Ingest(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Policy(verb) => actix_web::rt::System::new().block_on(verb.run()),
        Verb::Approval(verb) => actix_web::rt::System::new().block_on(verb.run()),
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

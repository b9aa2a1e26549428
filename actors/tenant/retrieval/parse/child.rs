//! Reading hostile formats in a process of their own: it may panic, overflow its stack or run out of memory and time
//! without anybody noticing but the document's owner.
//!
//! The bytes go in on standard input; the answer comes back on standard output as JSON, followed by its length and a
//! mark. The frame stands at the end because libraries may print before it.
use super::{Format, ParseError, Parsed, read};
use bailiwick_kernel::background::Yielding;
use bailiwick_kernel::fair::Slot;
use bailiwick_kernel::limits;
use bytes::Bytes;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

const MARK: [u8; 8] = *b"bwparse1";
/// `SIGXCPU` on every Linux architecture but MIPS and SPARC: the processor limit was reached.
const SIGNAL_CPU_LIMIT: i32 = 24;

/// Reads documents, hostile formats in child processes; each in a slot the caller has waited for.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The program to start: the running binary itself.
    pub(super) program: PathBuf,
    /// Its arguments; the format's label follows as the last.
    pub(super) arguments: Vec<String>,
    pub(super) timeout: Duration,
}

impl Sandbox {
    /// A sandbox that starts `program arguments… LABEL`, which must call [`run_child`].
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<String>) -> Self {
        Self { program, arguments, timeout: Duration::from_millis(limits::PARSE_MS_MAX) }
    }

    /// The same sandbox with another wall-clock limit per document.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Reads one document. The slot is given back when nothing of the reading is left, whatever became of the caller.
    ///
    /// # Errors
    /// [`ParseError`], always about this document alone.
    pub async fn parse(&self, slot: Slot, format: Format, bytes: Bytes) -> Result<Parsed, ParseError> {
        self.parse_within(Some(slot), format, bytes).await
    }

    /// As [`Sandbox::parse`] where no node is and nobody waits for a slot: one document at a time.
    ///
    /// # Errors
    /// [`ParseError`].
    pub async fn parse_alone(&mut self, format: Format, bytes: Bytes) -> Result<Parsed, ParseError> {
        self.parse_within(None, format, bytes).await
    }

    async fn parse_within(&self, slot: Option<Slot>, format: Format, bytes: Bytes) -> Result<Parsed, ParseError> {
        if bytes.len() > limits::DOCUMENT_BYTES_MAX {
            return Err(too_many_bytes());
        }
        if format.is_sandboxed() {
            let _until_done = slot;
            return self.parse_in_child(format, bytes).await;
        }
        // The slot goes along: a caller that gives up must not let one more in while this one still runs. A panic
        // ends in the join error.
        let reading = bailiwick_kernel::residue::spawn_blocking(move || {
            let _until_done = slot;
            read(format, &bytes)
        });
        reading.await.unwrap_or(Err(ParseError::Crashed))
    }

    async fn parse_in_child(&self, format: Format, bytes: Bytes) -> Result<Parsed, ParseError> {
        // The environment holds the node's secrets, which a parser has no business with.
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(format.label())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(unavailable)?;
        let timed_out = ParseError::TimedOut { limit_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX) };
        match tokio::time::timeout(self.timeout, exchange(&mut child, &bytes)).await {
            Ok(Ok((status, _reply))) if status.signal() == Some(SIGNAL_CPU_LIMIT) => Err(timed_out),
            Ok(Ok((status, reply))) if status.success() => unframe(&reply).unwrap_or(Err(ParseError::Crashed)),
            Ok(Ok(_died)) => Err(ParseError::Crashed),
            Ok(Err(error)) => Err(unavailable(error)),
            Err(_elapsed) => {
                // Reaped here, before the slot is given back; an error means it is gone already.
                drop(child.kill().await);
                Err(timed_out)
            }
        }
    }
}

/// Gives a child its input, takes its output and waits for its end. Writing and reading go on together: either alone
/// could fill a pipe and wait for ever.
async fn exchange(child: &mut Child, bytes: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async move {
        if let Some(mut stdin) = stdin {
            // A child that dies early closes the pipe; its exit status tells the story better than this error.
            drop(stdin.write_all(bytes).await);
        }
    };
    let read = async move {
        let mut reply = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(limits::PARSE_REPLY_BYTES_MAX as u64).read_to_end(&mut reply).await?;
        }
        Ok::<_, std::io::Error>(reply)
    };
    let ((), reply) = tokio::join!(write, read);
    let reply = reply?;
    Ok((child.wait().await?, reply))
}

/// The child's side: sets limits on this very process, reads the document from `stdin` and answers on `stdout`. The
/// binary calls it for the hidden command that [`Sandbox`] starts, before it starts anything else.
pub fn run_child(format: Format, stdin: impl Read, stdout: impl Write) -> ExitCode {
    run_confined(&Confinement::default(), format, stdin, stdout)
}

/// Limits a parser process sets on itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Confinement {
    /// Address space.
    pub(super) memory_bytes: u64,
    /// Processor time.
    pub(super) cpu_seconds: u64,
}

impl Default for Confinement {
    fn default() -> Self {
        Self { memory_bytes: limits::PARSE_MEMORY_BYTES_MAX, cpu_seconds: limits::PARSE_CPU_SECONDS_MAX }
    }
}

impl Confinement {
    /// Sets the limits. No files are written, no core is dumped: it would hold the document.
    pub(super) fn apply(&self) -> std::io::Result<()> {
        use rlimit::Resource;
        for (resource, soft, hard) in [
            (Resource::AS, self.memory_bytes, self.memory_bytes),
            // The soft limit ends the process by a signal that names the reason, the hard one a second later anyway.
            (Resource::CPU, self.cpu_seconds, self.cpu_seconds.saturating_add(1)),
            (Resource::FSIZE, 0, 0),
            (Resource::CORE, 0, 0),
            (Resource::NOFILE, limits::PARSE_FILES_MAX, limits::PARSE_FILES_MAX),
        ] {
            rlimit::setrlimit(resource, soft, hard)?;
        }
        Ok(())
    }
}

pub(super) fn run_confined(
    confinement: &Confinement,
    format: Format,
    stdin: impl Read,
    mut stdout: impl Write,
) -> ExitCode {
    Yielding::Some.lower_this_thread();
    let outcome = match confinement.apply() {
        Ok(()) => read_all(stdin).and_then(|bytes| read(format, &bytes)),
        Err(error) => Err(unavailable(format!("its limits cannot be set: {error}"))),
    };
    match frame(&outcome).and_then(|reply| stdout.write_all(&reply)).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_nobody_listens) => ExitCode::FAILURE,
    }
}

fn read_all(stdin: impl Read) -> Result<Vec<u8>, ParseError> {
    let mut bytes = Vec::new();
    stdin.take(limits::DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unavailable)?;
    if bytes.len() > limits::DOCUMENT_BYTES_MAX { Err(too_many_bytes()) } else { Ok(bytes) }
}

fn frame(outcome: &Result<Parsed, ParseError>) -> std::io::Result<Vec<u8>> {
    let mut reply = serde_json::to_vec(outcome)?;
    let length = reply.len() as u64;
    reply.extend_from_slice(&length.to_le_bytes());
    reply.extend_from_slice(&MARK);
    Ok(reply)
}

/// Reads the frame at the end of a child's output; `None` where there is no whole one.
fn unframe(reply: &[u8]) -> Option<Result<Parsed, ParseError>> {
    let rest = reply.strip_suffix(&MARK)?;
    let (rest, length) = rest.split_last_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let body = rest.get(rest.len().checked_sub(length)?..)?;
    serde_json::from_slice(body).ok()
}

fn too_many_bytes() -> ParseError {
    ParseError::TooLarge { what: "size, in bytes".to_owned(), max: limits::DOCUMENT_BYTES_MAX as u64 }
}

fn unavailable(detail: impl std::fmt::Display) -> ParseError {
    ParseError::Unavailable { detail: detail.to_string() }
}

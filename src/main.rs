//! The binary: allocator, command line, exit code. Everything else is in the library.
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bailiwick::cli::run()
}

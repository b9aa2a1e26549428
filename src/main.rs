//! The binary: allocator, command line, exit code. Everything else is in the library.
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;
use zeroizing_alloc::ZeroAlloc;

#[global_allocator]
static ALLOCATOR: ZeroAlloc<Jemalloc> = ZeroAlloc(Jemalloc);

fn main() -> ExitCode {
    bailiwick::cli::run()
}

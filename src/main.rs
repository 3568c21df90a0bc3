//! The harrier program: see [`cli`].

mod cli;

use std::process::ExitCode;

/// Rules and what is made of them are hundreds of thousands of small pieces, put together by all
/// threads: the system's allocator takes twice as long for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(cli::run().code())
}

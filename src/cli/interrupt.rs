//! Ctrl-C, and a polite request to end (SIGTERM).
//!
//! The first sets a flag that the hunt looks at between pieces of work: what is begun is finished and
//! written, the ledger says that the rest was not looked at. The second ends the program at once.
//! SIGHUP is left alone, so that `nohup` does what it says.

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

/// The exit code of a run that was interrupted: 128 and the number of SIGINT, as shells have it.
pub const CODE: u8 = 130;

/// Gives the flag that is set when the run is to end.
///
/// # Errors
/// If the system does not let signals be handled.
pub fn watch() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Handlers run in this order: the first signal finds the flag not yet set.
        flag::register_conditional_shutdown(signal, i32::from(CODE), Arc::clone(&flag))?;
        flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

//! Ctrl-C and SIGTERM: the run that trains ends behind its step and keeps its state.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static IS_ASKED: AtomicBool = AtomicBool::new(false);
static INSTALL: Once = Once::new();

/// Exit code of a process that a second Ctrl-C ends at once.
const INTERRUPTED: i32 = 130;

/// From here on the first Ctrl-C or SIGTERM is only noted ([`is_asked`]); the second ends the process.
pub fn listen() {
    INSTALL.call_once(|| {
        let installed = ctrlc::set_handler(|| {
            if IS_ASKED.swap(true, Ordering::Relaxed) {
                std::process::exit(INTERRUPTED);
            }
            eprintln!(
                "\nstopping behind this step of training, or this stage; once more to stop at once"
            );
        });
        // Without a handler Ctrl-C ends the process as ever; states are kept all the same.
        if let Err(error) = installed {
            eprintln!("warning: Ctrl-C cannot be caught: {error}");
        }
    });
}

/// Whether the run should end.
pub fn is_asked() -> bool {
    IS_ASKED.load(Ordering::Relaxed)
}

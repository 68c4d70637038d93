//! What Bitcoin Core has to say against a block.

use bitcoinkernel::{BlockValidationResult, Log};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Enough to see why a block is refused; more than that is noise.
const MOST_LINES: usize = 20;

/// Collects what is said while one block is at hand. Copies share one collection.
#[derive(Clone, Default)]
pub struct Complaints(Arc<Mutex<Collected>>);

/// What was said of a block.
#[derive(Default)]
pub struct Collected {
    /// The block, or one of those it is built on, broke a rule when it was to be connected.
    pub is_invalid: bool,
    /// Lines of Bitcoin Core's log.
    pub lines: Vec<String>,
}

impl Complaints {
    /// Notes that a block could not be connected, and of what kind the broken rule is.
    pub fn refuse(&self, result: BlockValidationResult) {
        self.log(&format!("{result:?}"));
        self.locked().is_invalid = true;
    }

    /// What was said since the last call.
    pub fn take(&self) -> Collected {
        std::mem::take(&mut *self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Complaints {
    fn log(&self, message: &str) {
        let lines = &mut self.locked().lines;
        if lines.len() < MOST_LINES {
            lines.push(message.trim_end().to_owned());
        }
    }
}

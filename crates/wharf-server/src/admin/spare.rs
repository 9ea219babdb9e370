//! [`Spares`]: descriptors held back for when there are no others.

use std::fs::File;
use std::sync::{Mutex, PoisonError};

/// How many are held.
const HELD: usize = 4;

/// A few descriptors that mean nothing, given up one by one when an accept finds none left.
#[derive(Debug)]
pub(super) struct Spares {
    held: Mutex<Vec<File>>,
}

impl Spares {
    /// Takes the descriptors.
    pub(super) fn new() -> Self {
        let spares = Self {
            held: Mutex::default(),
        };
        spares.refill();
        spares
    }

    /// Gives one up; whether there was one.
    pub(super) fn give_up(&self) -> bool {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .is_some()
    }

    /// Takes back what was given up, as far as there are descriptors.
    pub(super) fn refill(&self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.len() < HELD {
            match File::open("/dev/null") {
                Ok(spare) => held.push(spare),
                Err(_) => return,
            }
        }
    }
}

//! Each kind of fault by itself, against the program as a process: it says what is wrong, the others go
//! on, all is back when it is over, and what is missing is declared.
//!
//! `FAULT_SECONDS` makes faults longer, `FAULT_ROUNDS` repeats them; with `--nocapture` each test says
//! what it has measured.

mod churn;
mod clock;
mod disk;
mod fairness;
mod names;
mod status;
mod tls;
mod trickle;
mod wire;

use std::time::Instant;

use super::support::world::eventually;

/// Waits for some milliseconds while a fault holds, and no longer.
fn hold(millis: u64) {
    let start = Instant::now();
    eventually("the fault has held", || u128::from(millis) <= start.elapsed().as_millis());
}

//! The time.

use std::time::SystemTime;

use crate::market::Nanos;

/// The time by the system's clock.
pub(super) fn now() -> Nanos {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

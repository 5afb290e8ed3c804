//! What the parts do, seen from outside.

mod store;
mod support;

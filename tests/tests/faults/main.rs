//! What happens when a server, a wire or a disk fails: nothing half done, a clear error in a bounded time, and recovery
//! without a restart.

mod cache;
mod files;
mod orders;
mod wires;

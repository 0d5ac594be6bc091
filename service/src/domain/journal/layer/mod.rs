//! From `tracing` into the journal: a layer that turns events into log entries, and a task that writes them.
//!
//! The layer never waits: an entry goes into a bounded queue, or, when that is full, is counted as dropped. The task takes
//! entries out in batches, tries again while the database is not there, and says itself how many were dropped. What the
//! writing causes is not logged, or a log entry would cause the next one for ever.

mod capture;
mod fields;
mod options;
mod writer;

pub use capture::JournalLayer;
pub use options::LayerOptions;
pub use writer::JournalHandle;

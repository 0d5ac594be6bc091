//! What the benchmarks share: entrants that take turns, and the table of how they compare.
//!
//! Absolute times say little on a machine that others use too, so that a benchmark never reports ours alone: it runs ours
//! and each peer in the same process, in turns, and what it reports is the ratio within a turn. It knows nothing of what
//! is measured; the benchmarks are in `tests/benches`.

mod arguments;
mod report;
mod trades;
mod turns;

pub use arguments::Arguments;
pub use report::{Goal, Report};
pub use trades::{RowFormat, first_trade_at, new_trade, new_trades, trade_rows};
pub use turns::{Entrant, Samples, take_turns};

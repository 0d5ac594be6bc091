//! Orders on an exchange: placing them once, following what becomes of them, and finding them.
//!
//! What the exchange says of an order (accepted, filled, cancelled) is a fact that may be told late, twice or by two
//! instances: each is one conditional update, and telling it again changes nothing.

mod level;
mod life;
mod place;
mod query;

pub use level::{live_at_level, place_at_level, price_level};
pub use life::{Ending, Fill, acknowledge, end, fill};
pub use place::{NewOrder, Placed, place};
pub use query::{OrderFilter, order, order_by_client_id, orders};

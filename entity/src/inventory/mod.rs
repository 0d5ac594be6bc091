//! Inventory: how much of a product is where, and every change of it.

pub mod inventory_log;
pub mod reservation;
pub mod stock;
pub mod warehouse;

use crate::words;

words! {
    /// What changed a stock.
    pub enum MovementKind {
        /// Goods came in.
        Inbound = "inbound",
        /// Goods went out, other than by an order.
        Outbound = "outbound",
        /// Goods were put aside for an order.
        Reserve = "reserve",
        /// Goods put aside became free again.
        Release = "release",
        /// Goods put aside left with their order.
        Commit = "commit",
        /// A count found more or fewer.
        Adjust = "adjust",
    }
}

words! {
    /// Where an order's hold on the stock is in its life.
    pub enum ReservationStatus {
        /// It holds what it reserved.
        Reserved = "reserved",
        /// It holds nothing, and never will again.
        Released = "released",
        /// What it held left with it.
        Committed = "committed",
        /// What left with it came back.
        Restocked = "restocked",
    }
}

//! Trading: trades, exchange orders, statistics, reconciliation, risk, and who trades which symbol.

pub mod instance;
pub mod reconciliation;
pub mod risk_check;
pub mod symbol_assignment;
pub mod trade;
pub mod trade_order;
pub mod trade_statistic;

use crate::words;

words! {
    /// The side of a trade or an order. Of a trade, the taker's.
    pub enum Side {
        /// Bought.
        Buy = "buy",
        /// Sold.
        Sell = "sell",
    }
}

words! {
    /// How an order is priced.
    pub enum OrderType {
        /// At a price or better.
        Limit = "limit",
        /// At the market's price.
        Market = "market",
        /// A limit order that a price triggers.
        StopLimit = "stop_limit",
    }
}

words! {
    /// Where an exchange order is in its life.
    pub enum OrderStatus {
        /// Written here, not sent yet.
        New = "new",
        /// Accepted by the exchange.
        Submitted = "submitted",
        /// A part is filled.
        PartiallyFilled = "partially_filled",
        /// All of it is filled.
        Filled = "filled",
        /// Cancelled before it was filled.
        Cancelled = "cancelled",
        /// Refused by the exchange.
        Rejected = "rejected",
        /// Ended by its time in force.
        Expired = "expired",
    }
}

words! {
    /// How a reconciliation ended.
    pub enum ReconciliationStatus {
        /// It runs.
        Running = "running",
        /// Both sides hold the same.
        Matched = "matched",
        /// They differ.
        Mismatched = "mismatched",
        /// It could not be finished.
        Failed = "failed",
    }
}

words! {
    /// What an instance does.
    pub enum InstanceRole {
        /// Trades its share of the symbols.
        Active = "active",
        /// Waits to take over.
        Standby = "standby",
    }
}

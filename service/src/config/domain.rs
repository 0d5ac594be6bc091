//! The domains data belongs to.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A part of the business that owns its tables.
///
/// Every domain lives in exactly one database, by default all in the same one; no foreign key, join or transaction
/// crosses a domain. The configuration gives a domain a database of its own under `databases.<name>`, where the name
/// is the lower-case one that [`Display`](fmt::Display) prints and [`FromStr`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Domain {
    /// Users, profiles, addresses and levels.
    Identity,
    /// Alert rules, alerts and their delivery.
    Alerting,
    /// Trades, orders, statistics, reconciliation and the assignment of symbols to instances.
    Trading,
    /// Ticks, candles and metrics: time series.
    Market,
    /// Categories, products, images and reviews.
    Catalog,
    /// Orders, their items, payments and history, and the checkout.
    Ordering,
    /// Warehouses, stock, reservations and their log.
    Inventory,
    /// Campaigns and coupons.
    Marketing,
    /// Shops, their purchase orders and points accounts.
    Mall,
    /// Structured logs and the audit trail.
    Journal,
    /// Business figures and the health score, computed over the other domains.
    Insights,
}

impl Domain {
    /// All domains, in the order they are declared.
    pub const ALL: [Self; 11] = [
        Self::Identity,
        Self::Alerting,
        Self::Trading,
        Self::Market,
        Self::Catalog,
        Self::Ordering,
        Self::Inventory,
        Self::Marketing,
        Self::Mall,
        Self::Journal,
        Self::Insights,
    ];

    /// The lower-case name, as in the configuration and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Alerting => "alerting",
            Self::Trading => "trading",
            Self::Market => "market",
            Self::Catalog => "catalog",
            Self::Ordering => "ordering",
            Self::Inventory => "inventory",
            Self::Marketing => "marketing",
            Self::Mall => "mall",
            Self::Journal => "journal",
            Self::Insights => "insights",
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for Domain {
    type Err = UnknownDomain;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|domain| domain.name() == name).ok_or(UnknownDomain)
    }
}

/// The text names no [`Domain`]; the message lists those there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownDomain;

impl fmt::Display for UnknownDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a domain; the domains are {}", Domain::ALL.map(Domain::name).join(", "))
    }
}

impl std::error::Error for UnknownDomain {}

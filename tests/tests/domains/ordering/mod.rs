//! Ordering: a checkout is all or nothing, whatever interrupts it; what is paid is paid once; nothing is lost.

mod checkouts;
mod kills;
mod lifecycle;
mod outbox;
mod payments;
mod queries;
mod shop;
mod split;
mod upkeep;

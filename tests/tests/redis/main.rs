//! The Redis room: the same surface over one server, sentinels and a cluster; what happens when servers die, stop, refuse
//! and come back; what is measured of it.

mod cluster;
mod conformance;
mod faults;
mod metrics;
mod places;
mod refusals;
mod runtimes;
mod sentinel;
mod tls;

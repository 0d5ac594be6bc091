//! The testbed itself: servers live and die as told, wires break and heal, every test has a database of its own, and
//! nothing is left behind.

mod client;
mod command;
mod databases;
mod proxies;
mod servers;
mod topologies;

//! The cache, alone and over Redis: what is loaded once, what is never served again, and what holds when Redis fails.

mod backplane;
mod bad_input;
mod domains;
mod failsafe;
mod flights;
mod functions;
mod generations;
mod interleavings;
mod l2;
mod lives;
mod nodes;
mod owed;
mod runtimes;
mod statistics;
mod topologies;
mod transactions;

//! The cache, alone and over Redis: what is loaded once, what is never served again, and what holds when Redis fails.

mod announcements;
mod backplane;
mod bad_input;
mod closing;
mod cluster_faults;
mod domains;
mod failsafe;
mod flights;
mod functions;
mod generations;
mod interleavings;
mod l2;
mod lives;
mod losses;
mod nodes;
mod owed;
mod runtimes;
mod shared_work;
mod split;
mod statistics;
mod topologies;
mod transactions;
mod work;

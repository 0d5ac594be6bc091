//! Locks: who works on what, and for how long.
//!
//! A lock saves work; the database decides. [`Locks`] acquires, and a [`LockGuard`] is what the holder has: it renews the
//! lease, tells when the lock is lost, and gives it back. [`LockStore`] is where locks are kept: [`InProcess`],
//! [`RedisLocks`], the sessions of a database ([`SessionStore`]), or rows of one ([`TableStore`]). Time is the monotonic clock's alone, from before a request.
//! The room touches its stores and the metrics, and names no table of a domain; the composition root makes one `Locks`,
//! domains and services call it.

mod error;
mod fence;
mod guard;
mod held;
mod in_process;
mod keeper;
mod leader;
mod locks;
mod meter;
mod name;
mod options;
mod pending;
mod redis;
mod sql;
mod store;
mod tables;
mod time;

pub use error::LockError;
pub use fence::{Fence, Fenced, mint};
pub use guard::LockGuard;
pub use in_process::InProcess;
pub use leader::{Leader, Term};
pub use locks::Locks;
pub use name::{InvalidName, LockName, Owner};
pub use options::LockOptions;
pub use redis::RedisLocks;
pub use sql::{SessionStore, TableStore};
pub use store::{Attempt, HeldLock, Holding, LockStore};
pub use tables::tables;

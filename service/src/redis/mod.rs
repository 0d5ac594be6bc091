//! Redis: one connection room for the cache and the locks, over a single server, sentinels or a cluster.
//!
//! [`Redis`] is a handle with a small typed surface: get, set, delete, exists, scripts, publish, and [`Subscription`]s. It
//! connects when it is first used and again whenever it has to. Redis is expected to fail: the first timeout or lost
//! connection opens the circuit, and until a probe in the background finds it well every call fails at once; in a cluster
//! that goes for the keys of the shard that failed. Commands, connection, circuit and memory are measured through the
//! facade `metrics`: install the recorder before the first command. The room knows nothing of what is stored; the cache
//! and the locks call it, and the composition root makes a handle for each, so that a large value holds up no lock.

mod circuit;
mod client;
mod connection;
mod error;
mod link;
mod memory;
mod meter;
mod script;
mod slots;
mod subscription;

pub use circuit::CircuitState;
pub use client::{Options, Redis};
pub use error::{RedisError, RedisErrorKind};
pub use memory::Memory;
pub use script::{Script, ScriptAnswer};
pub use subscription::{Event, Subscription};

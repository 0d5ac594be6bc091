//! The testbed: real servers for tests, thrown away afterwards.
//!
//! It may touch the machine's server binaries, loopback ports and one directory under the system's temporary directory;
//! it knows nothing of the domains. The binary `testbed` starts the servers that a whole test run shares and names them
//! in `STANCHION_TEST_POSTGRES_URL`, `STANCHION_TEST_MYSQL_URL` and `STANCHION_TEST_REDIS_URL`; the tests call the rest:
//!
//! - [`on_every_backend!`](crate::on_every_backend) and [`TestDatabase`]: one claim, one fresh database, every back end;
//! - [`Postgres`], [`MariaDb`], [`Redis`]: a server of a test's own, to stop, kill, pause and restart;
//! - [`RedisCluster`], [`RedisSentinel`]: several Redis servers that know one another, each to be treated like that;
//! - [`Proxy`]: a wire that can be cut, stalled and delayed.
//!
//! Whatever way a process that uses it ends, `kill -9` included, its servers end and its directory is removed: see
//! `watchdog.sh`.

mod account;
mod admin;
mod backend;
mod binaries;
mod claim;
mod database;
mod error;
mod mariadb;
mod migrated;
mod names;
mod port;
mod postgres;
mod process;
mod proxy;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod report;
mod scratch;
mod server;
mod tls;
mod wait;

pub use backend::{Backend, redis_url};
pub use claim::{Outcome, Preparation, run};
pub use database::TestDatabase;
pub use error::Error;
pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use process::is_running;
pub use proxy::Proxy;
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use redis_sentinel::RedisSentinel;
pub use report::available;
pub use scratch::clean_up;
pub use server::{Kind, Server};
pub use tls::Tls;
pub use wait::eventually;

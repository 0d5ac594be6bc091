use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::{self, Connection as _, Database as Driver};

use crate::config::Database;
use crate::db::doubt::Doubt;

/// How long a connection may have been idle and still be lent without a ping. A ping is a round trip, and a connection
/// that was in use a moment ago is very likely alive; a network that drops idle connections takes longer than this.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);

/// The options that the pools of all drivers share: sizes, waits, lifetimes, and the ping of connections long idle or in
/// doubt.
///
/// The pool itself is put into the cell that comes back, for the limit of idle connections.
pub(super) fn pool_options<D: Driver>(
    config: &Database,
    doubt: &Arc<Doubt>,
) -> (PoolOptions<D>, Arc<OnceLock<sqlx::Pool<D>>>) {
    let doubt = Arc::clone(doubt);
    let cell: Arc<OnceLock<sqlx::Pool<D>>> = Arc::default();
    let pool = Arc::clone(&cell);
    let max_idle = usize::try_from(config.max_idle_conns).unwrap_or(usize::MAX);
    let options = PoolOptions::<D>::new()
        .max_connections(config.max_open_conns)
        .acquire_timeout(config.acquire_timeout)
        .max_lifetime(config.conn_max_lifetime)
        .test_before_acquire(false)
        .before_acquire(move |connection: &mut D::Connection, meta| {
            let ping = meta.idle_for >= PING_AFTER_IDLE || doubt.covers(meta.idle_for);
            Box::pin(async move {
                if ping {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(move |_, _| {
            // The connection in hand is not among the idle ones yet.
            let keep = pool.get().is_none_or(|pool| pool.num_idle() < max_idle);
            Box::pin(async move { Ok(keep) })
        });
    (options, cell)
}

/// How many connections may rest between two statements in a pool of so many: no more than may be idle, and never all.
pub(super) fn most_resting(config: &Database, connections: u32) -> usize {
    usize::try_from(config.max_idle_conns.min(connections.saturating_sub(1))).unwrap_or(usize::MAX)
}

use std::sync::{Arc, OnceLock, Weak};
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
/// The pool itself is put into the [`Cell`] that comes back, for the limit of idle connections.
pub(super) fn pool_options<D: Driver>(config: &Database, doubt: &Arc<Doubt>) -> (PoolOptions<D>, Cell<D>) {
    let doubt = Arc::clone(doubt);
    let cell: Cell<D> = Cell(Arc::default());
    let pool = Arc::clone(&cell.0);
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
            let keep = pool.get().and_then(Weak::upgrade).is_none_or(|pool| pool.num_idle() < max_idle);
            Box::pin(async move { Ok(keep) })
        });
    (options, cell)
}

/// Where the options of a pool find the pool: without keeping it, or it would never be dropped.
pub(super) struct Cell<D: Driver>(Arc<OnceLock<Weak<sqlx::Pool<D>>>>);

impl<D: Driver> Cell<D> {
    /// Puts the pool in; it is found as long as what comes back lives.
    pub(super) fn hold(self, pool: &sqlx::Pool<D>) -> Arc<sqlx::Pool<D>> {
        let held = Arc::new(pool.clone());
        // The cell is new, so it is empty.
        let _set = self.0.set(Arc::downgrade(&held));
        held
    }
}

/// How many connections may rest between two statements in a pool of so many: no more than may be idle, and never all.
pub(super) fn most_resting(config: &Database, connections: u32) -> usize {
    usize::try_from(config.max_idle_conns.min(connections.saturating_sub(1))).unwrap_or(usize::MAX)
}

//! Invalidations tied to transactions: they happen after the commit, or not at all.
//!
//! What is invalidated before the commit can be loaded again, old, before it. So the two ways here hook on to the commit;
//! the durable one also survives the process, by a row in the table `cache_invalidations` that the transaction writes and
//! the publication deletes. [`Cache::relay`] publishes what a crash left.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, DbBackend};
use uuid::Uuid;

use super::handle::Cache;
use super::target::{Target, Told};
use crate::Error;
use crate::clock::{Clock, SystemClock};
use crate::db::{Pool, Tx};
use crate::types::new_id;

const TABLE: &str = "cache_invalidations";
const ID: &str = "id";
const TARGETS: &str = "targets";
const CREATED_AT: &str = "created_at";

/// Rows that one call of [`Cache::relay`] takes at most.
const RELAYED: u64 = 500;

impl Cache {
    /// Invalidates after the transaction's commit, and only then: not when it, or the savepoint that this was said in, is
    /// rolled back or dropped, or when its commit is refused. The commit returns when it is done. No round trip to the
    /// database.
    ///
    /// A commit whose answer was lost ([`Error::CommitUnknown`]) invalidates too, for it may have happened. If it has not
    /// happened yet by then and still does, or if the process dies between the commit and this, what is cached lives out its
    /// TTL: [`invalidate_durably`](Self::invalidate_durably) is for what must not.
    pub fn invalidate_after(&self, tx: &Tx, targets: impl IntoIterator<Item = Target>) {
        let targets: Vec<_> = targets.into_iter().collect();
        self.invalidate_if_unknown(tx, targets.clone());
        let cache = self.clone();
        tx.after_commit(async move {
            cache.invalidate(targets).await;
        });
    }

    fn invalidate_if_unknown(&self, tx: &Tx, targets: Vec<Target>) {
        let cache = self.clone();
        tx.after_unknown_commit(async move {
            cache.invalidate(targets).await;
        });
    }

    /// Runs a change to its end, whoever waits for it, and then invalidates what it changes: also when it fails or panics,
    /// unless the error says that nothing was changed, for a change whose answer was lost may have been made. For a change of
    /// one statement, and for whole transactions.
    ///
    /// # Errors
    /// Those of `work`; its panic.
    ///
    /// # Cancellation
    /// Once polled, it is carried out.
    pub async fn change<T, F>(&self, targets: impl IntoIterator<Item = Target>, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (cache, targets) = (self.clone(), targets.into_iter().collect::<Vec<_>>());
        let changed = tokio::spawn(async move {
            let done = AssertUnwindSafe(work).catch_unwind().await;
            let nothing = |error: &Error| error.is_not_found() || error.is_conflict() || error.is_invalid();
            if !matches!(&done, Ok(Err(error)) if nothing(error)) {
                cache.invalidate(targets).await;
            }
            done.unwrap_or_else(|_| Err(Error::other("a change of what is cached panicked")))
        });
        changed.await.map_err(Error::other)?
    }

    /// As [`invalidate_after`](Self::invalidate_after), and even if the process dies after the commit: the transaction
    /// writes it down as well, and [`relay`](Self::relay), of any process, brings it to its end. Two round trips to the
    /// database: one in the transaction, and one after it.
    ///
    /// # Errors
    /// Those of the database, which has the table `cache_invalidations`: of Stanchion's migrations, or made by
    /// [`outbox_table`].
    pub async fn invalidate_durably(&self, tx: &Tx, targets: impl IntoIterator<Item = Target>) -> Result<(), Error> {
        let targets: Vec<_> = targets.into_iter().collect();
        if targets.is_empty() {
            return Ok(());
        }
        let id = new_id();
        let text = serde_json::to_string(&targets).map_err(Error::other)?;
        let insert = Query::insert()
            .into_table(TABLE)
            .columns([ID, TARGETS, CREATED_AT])
            .values_panic([Expr::val(id), Expr::val(text), Expr::val(SystemClock.now())])
            .to_owned();
        tx.execute(&insert).await?;
        // Where the commit is unknown, what is written down stays: if it was committed, it is published again.
        self.invalidate_if_unknown(tx, targets.clone());
        let (cache, pool) = (self.clone(), tx.pool().clone());
        tx.after_commit(async move {
            // What Redis could not be told yet stays written down.
            if cache.invalidate(targets).await == Told::Everywhere
                && let Err(error) = delete(&pool, vec![id]).await
            {
                tracing::warn!(%error, "an invalidation that was published could not be deleted; it is published again");
            }
        });
        Ok(())
    }

    /// Publishes the invalidations that processes which died have written down and not published, the oldest 500 at most,
    /// and says how many they were. Call it now and then for each database: `App::upkeep` does.
    ///
    /// Those younger than `older_than` are left to the process that wrote them, for as long as it may take from the commit
    /// to the publication; what is published twice does no harm, and neither does a clock that is wrong: what was written
    /// later than now is published too. While Redis cannot be told, they stay. Two round trips; one if there are none.
    ///
    /// A table is for caches of one prefix and one Redis: whoever relays publishes to its own.
    ///
    /// # Errors
    /// Those of the database.
    ///
    /// # Cancellation
    /// What was published and not deleted is published again.
    pub async fn relay(&self, db: &Pool, older_than: Duration) -> Result<u64, Error> {
        let now = SystemClock.now();
        let Ok(before) = now.minus(older_than) else { return Ok(0) };
        let select = Query::select()
            .columns([ID, TARGETS])
            .from(TABLE)
            .and_where(Expr::col(CREATED_AT).lte(before).or(Expr::col(CREATED_AT).gt(now)))
            .order_by(ID, Order::Asc)
            .limit(RELAYED)
            .to_owned();
        let (mut ids, mut targets) = (Vec::new(), Vec::new());
        for row in db.query_all(&select).await? {
            ids.push(row.try_get_by::<Uuid, _>(ID)?);
            let text: String = row.try_get_by(TARGETS)?;
            // What a newer version wrote may name what this one does not know: then everything is.
            targets.extend(serde_json::from_str::<Vec<Target>>(&text).unwrap_or_else(|_| vec![Target::All]));
        }
        if ids.is_empty() || self.invalidate(targets).await != Told::Everywhere {
            return Ok(0);
        }
        let published = ids.len() as u64;
        delete(db, ids).await?;
        Ok(published)
    }
}

async fn delete(db: &Pool, ids: Vec<Uuid>) -> Result<(), Error> {
    let delete = Query::delete().from_table(TABLE).and_where(Expr::col(ID).is_in(ids)).to_owned();
    db.execute(&delete).await?;
    Ok(())
}

/// The statement that creates the table `cache_invalidations`, which [`Cache::invalidate_durably`] needs, for a service that
/// does not run Stanchion's migrations. It makes what they make, and does nothing where the table is there.
///
/// ```
/// use stanchion::cache;
/// use stanchion::sea_orm::DbBackend;
///
/// println!("{};", cache::outbox_table(DbBackend::Postgres));
/// ```
#[must_use]
pub fn outbox_table(backend: DbBackend) -> String {
    let (id, targets, time, options) = match backend {
        DbBackend::Postgres => ("uuid", "text COLLATE \"C\"", "timestamptz", ""),
        DbBackend::Sqlite => ("blob", "text", "text", " WITHOUT ROWID"),
        _ => ("binary(16)", "longtext", "datetime(6)", " ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4"),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (\n  {ID} {id} NOT NULL,\n  {TARGETS} {targets} NOT NULL,\n  \
         {CREATED_AT} {time} NOT NULL,\n  CONSTRAINT pk_{TABLE} PRIMARY KEY ({ID})\n){options}"
    )
}

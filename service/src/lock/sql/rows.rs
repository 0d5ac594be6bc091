use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use crate::db::{DatabaseError, Db, Kind, Pool};
use crate::lock::tables::now;
use crate::lock::time::millis;
use crate::lock::{HeldLock, LockName, Owner};

/// How often a statement is sent that the database ended to resolve a conflict.
const ATTEMPTS: usize = 5;

/// The table `locks`, a statement a function, each of them one round trip and atomic.
pub(super) struct Rows {
    db: Db,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) owner: String,
    pub(super) version: i64,
    pub(super) ttl: Duration,
}

impl Rows {
    pub(super) const fn new(db: Db) -> Self {
        Self { db }
    }

    /// Takes a lock that nobody holds. Its first version is like no other: an owner that comes back to a name is not taken for
    /// itself as it was seen before, without a renewal since.
    pub(super) async fn insert(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, DatabaseError> {
        let now = now(self.db.backend());
        let insert = format!(
            "INSERT INTO locks (name, owner, version, ttl_ms, acquired_at, renewed_at) VALUES (?, ?, ?, ?, {now}, {now})"
        );
        let version = fastrand::i64(1..i64::MAX / 2);
        let values = || vec![name.as_str().into(), owner.to_string().into(), version.into(), lease(ttl).into()];
        if self.db.backend() == DbBackend::MySql {
            // A row that is there stays as it is, and its version comes with the answer: an insert has none to tell. It
            // takes one lock at once, where a plain insert takes two and meets others between them.
            let sql = format!("{insert} ON DUPLICATE KEY UPDATE version = LAST_INSERT_ID(version)");
            return Ok(self.execute(&sql, values).await?.last_insert_id() == 0);
        }
        let sql = format!("{insert} ON CONFLICT (name) DO NOTHING");
        Ok(self.execute(&sql, values).await?.rows_affected() == 1)
    }

    /// Takes a lock from a holder that has not been heard of.
    pub(super) async fn take_over(
        &self,
        name: &LockName,
        from: &Row,
        owner: &Owner,
        ttl: Duration,
    ) -> Result<bool, DatabaseError> {
        let now = now(self.db.backend());
        let sql = format!(
            "UPDATE locks SET owner = ?, version = version + 1, ttl_ms = ?, acquired_at = {now}, renewed_at = {now} \
             WHERE name = ? AND owner = ? AND version = ?"
        );
        let values = || {
            vec![
                owner.to_string().into(),
                lease(ttl).into(),
                name.as_str().into(),
                from.owner.as_str().into(),
                from.version.into(),
            ]
        };
        Ok(self.execute(&sql, values).await?.rows_affected() == 1)
    }

    /// Lets those who watch the holder see that it lives.
    pub(super) async fn extend(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, DatabaseError> {
        let now = now(self.db.backend());
        let sql = format!(
            "UPDATE locks SET version = version + 1, ttl_ms = ?, renewed_at = {now} WHERE name = ? AND owner = ?"
        );
        let values = || vec![lease(ttl).into(), name.as_str().into(), owner.to_string().into()];
        Ok(self.execute(&sql, values).await?.rows_affected() == 1)
    }

    /// Gives a lock back.
    pub(super) async fn delete(&self, name: &LockName, owner: &Owner) -> Result<bool, DatabaseError> {
        let values = || vec![name.as_str().into(), owner.to_string().into()];
        let done = self.execute("DELETE FROM locks WHERE name = ? AND owner = ?", values).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Who holds a lock now.
    pub(super) async fn find(&self, name: &LockName) -> Result<Option<Row>, DatabaseError> {
        let sql = "SELECT owner, version, ttl_ms FROM locks WHERE name = ?";
        let row = self.looking().query_one_raw(self.statement(sql, vec![name.as_str().into()])).await?;
        let row = row.map(|row| -> Result<Row, sea_orm::DbErr> {
            Ok(Row {
                owner: row.try_get_by_index(0)?,
                version: row.try_get_by_index(1)?,
                ttl: duration(row.try_get_by_index(2)?),
            })
        });
        Ok(row.transpose()?)
    }

    /// What is held, by name.
    pub(super) async fn list(&self, limit: usize) -> Result<Vec<HeldLock>, DatabaseError> {
        let left = match self.db.backend() {
            DbBackend::Postgres => {
                "ttl_ms - CAST(floor(extract(epoch FROM clock_timestamp() - renewed_at) * 1000) AS bigint)"
            }
            DbBackend::Sqlite => "ttl_ms - CAST((julianday('now') - julianday(renewed_at)) * 86400000 AS integer)",
            _ => "ttl_ms - TIMESTAMPDIFF(MICROSECOND, renewed_at, UTC_TIMESTAMP(6)) DIV 1000",
        };
        let sql = format!("SELECT name, owner, ttl_ms, {left} FROM locks ORDER BY name LIMIT ?");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.looking().query_all_raw(self.statement(&sql, vec![limit.into()])).await?;
        let held = |row: QueryResult| -> Result<HeldLock, DatabaseError> {
            let owner: String = row.try_get_by_index(1)?;
            let (ttl, left): (i64, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            let remaining = Some(duration(left.min(ttl)));
            Ok(HeldLock::new(row.try_get_by_index(0)?, Owner::instance_of(&owner).to_owned(), remaining))
        };
        rows.into_iter().map(held).collect()
    }

    async fn execute(
        &self,
        sql: &str,
        values: impl Fn() -> Vec<Value> + Send,
    ) -> Result<sea_orm::ExecResult, DatabaseError> {
        let mut left = ATTEMPTS;
        loop {
            left -= 1;
            let statement = self.statement(sql, values());
            match self.db.writer().execute_raw(statement).await.map_err(DatabaseError::from) {
                // It had no effect.
                Err(error) if left > 0 && matches!(error.kind(), Kind::Deadlock | Kind::SerializationFailure) => {}
                done => return done,
            }
        }
    }

    /// A statement whose parameters are written `?` here.
    fn statement(&self, sql: &str, values: Vec<Value>) -> Statement {
        let backend = self.db.backend();
        if backend != DbBackend::Postgres {
            return Statement::from_sql_and_values(backend, sql, values);
        }
        let mut numbered = String::with_capacity(sql.len() + values.len());
        for (number, part) in sql.split('?').enumerate() {
            if number > 0 {
                numbered.push_str(&format!("${number}"));
            }
            numbered.push_str(part);
        }
        Statement::from_sql_and_values(backend, numbered, values)
    }

    /// Where to look without changing anything: SQLite's one writer may be busy for long, and its readers see what it has
    /// committed; a server's reader may be one that lags.
    fn looking(&self) -> &Pool {
        match self.db.backend() {
            DbBackend::Sqlite => self.db.reader(),
            _ => self.db.writer(),
        }
    }
}

/// A lease as the table holds it.
fn lease(ttl: Duration) -> i64 {
    i64::try_from(millis(ttl)).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

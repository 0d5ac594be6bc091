use std::fmt;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::LockError;
use super::name::LockName;
use super::tables::now;
use crate::Error;
use crate::db::{DatabaseError, Db, Kind, Origin, Tx};

/// How often a token is asked for when the database ended the statement to resolve a conflict.
const ATTEMPTS: usize = 5;

/// A fencing token: each holder of a lock has a higher one than every holder before it.
///
/// It is minted in the database that is written to, and checked there in the transaction that writes
/// ([`Tx::check_fence`]): so a holder that was paused past the end of its lease, or whose lock its store lost, cannot write
/// over the one that came after it. A database whose failover loses transactions may lose a token with them, and mint it
/// again; it has lost what was written under it, too. It can be handed to another process (it serializes as `{name, token}`); there it is
/// known by its name only, and must be checked in the database that it was minted in.
#[derive(Clone)]
pub struct Fence {
    name: LockName,
    token: i64,
    /// The database that it was minted in; `None` for one that came from elsewhere.
    origin: Option<Origin>,
}

/// What a transaction can be fenced by: a [`Fence`], or a guard that has one.
pub trait Fenced {
    /// The fence, as long as its holder does not know that it has lost the lock.
    ///
    /// # Errors
    /// [`LockError::Lost`] when it does, [`LockError::Unfenced`] when there is no fence.
    fn current_fence(&self) -> Result<&Fence, LockError>;
}

impl Fence {
    /// The lock's name.
    #[must_use]
    pub const fn name(&self) -> &LockName {
        &self.name
    }

    /// The number: 1 for the first holder of the name.
    #[must_use]
    pub const fn token(&self) -> i64 {
        self.token
    }
}

impl Fenced for Fence {
    fn current_fence(&self) -> Result<&Self, LockError> {
        Ok(self)
    }
}

/// Two fences are equal when their names and tokens are.
impl PartialEq for Fence {
    fn eq(&self, other: &Self) -> bool {
        (self.token, &self.name) == (other.token, &other.name)
    }
}

impl Eq for Fence {}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("name", &self.name.as_str()).field("token", &self.token).finish()
    }
}

/// `{name, token}`.
#[derive(Serialize, Deserialize)]
#[serde(rename = "Fence", deny_unknown_fields)]
struct Shape<'a> {
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    token: i64,
}

impl Serialize for Fence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shape { name: self.name.as_str().into(), token: self.token }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Shape { name, token } = Shape::deserialize(deserializer)?;
        let name = LockName::try_from(name.as_ref()).map_err(serde::de::Error::custom)?;
        Ok(Self { name, token, origin: None })
    }
}

/// The next fence of a lock's name: its token is higher than every one minted before in this database, whoever asked.
///
/// One round trip on the writer, a transaction of its own: what is minted stays so. It waits for transactions that have
/// checked an older fence of the name, so that none of them commits after it. Who mints has to hold the lock.
///
/// # Errors
/// The database's. Repeating it is harmless: a token that nobody learned of is skipped.
///
/// # Cancellation
/// As after an error: it is carried to its end in the background.
pub async fn mint(db: &Db, name: &LockName) -> Result<Fence, Error> {
    let (db, name) = (db.clone(), name.clone());
    // Detached: who gives up after a short lease would else, on a pool that is still cold, give up the connection that was
    // being opened, and the next one would not come any further.
    let minted = tokio::spawn(async move { mint_here(&db, &name).await });
    Ok(minted.await.unwrap_or_else(|ended| Err(ended_early(&ended)))?)
}

/// As [`mint`], as long as somebody waits for it.
pub(super) async fn mint_here(db: &Db, name: &LockName) -> Result<Fence, DatabaseError> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match raise(db, name).await {
            Ok(token) => return Ok(Fence { name: name.clone(), token, origin: Some(db.writer().origin()) }),
            // The first holders of a name may meet; the statement had no effect then.
            Err(error) if left > 0 && matches!(error.kind(), Kind::Deadlock | Kind::SerializationFailure) => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn ended_early(ended: &tokio::task::JoinError) -> DatabaseError {
    sea_orm::DbErr::Custom(format!("minting a fence: {ended}")).into()
}

async fn raise(db: &Db, name: &LockName) -> Result<i64, DatabaseError> {
    let backend = db.backend();
    let now = now(backend);
    let values = [name.as_str().into()];
    if backend == DbBackend::MySql {
        // MySQL returns no rows from an insert; the number given to LAST_INSERT_ID comes with its answer.
        let sql = format!(
            "INSERT INTO fences (name, token, updated_at) VALUES (?, LAST_INSERT_ID(1), {now}) \
             ON DUPLICATE KEY UPDATE token = LAST_INSERT_ID(token + 1), updated_at = {now}"
        );
        let done = db.writer().execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
        return i64::try_from(done.last_insert_id()).map_err(|_| no_token());
    }
    let sql = format!(
        "INSERT INTO fences (name, token, updated_at) VALUES ($1, 1, {now}) \
         ON CONFLICT (name) DO UPDATE SET token = fences.token + 1, updated_at = {now} RETURNING token"
    );
    // All rows of the one: SQLite ends the statement only when it is asked for the next.
    let rows = db.writer().query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    let row = rows.first().ok_or_else(no_token)?;
    Ok(row.try_get_by_index(0)?)
}

fn no_token() -> DatabaseError {
    sea_orm::DbErr::RecordNotFound("the token of a fence".to_owned()).into()
}

impl Tx {
    /// Refuses to go on when a newer holder of the lock has been there, and keeps newer ones from coming before this
    /// transaction ends: the next [`mint`] waits for it.
    ///
    /// Call it before the transaction reads what it decides by. One round trip; it takes a shared lock on the fence's row,
    /// so that one holder can write in several transactions at once. A guard that knows that it has lost its lock is
    /// refused without asking.
    ///
    /// It holds on every isolation level: READ COMMITTED sees the newest token; where a transaction reads as of its
    /// beginning, MariaDB's and MySQL's locking read sees the newest nevertheless, and PostgreSQL ends the transaction with
    /// a serialization failure, and the next attempt sees it. On SQLite a transaction of the writer holds the lock of the
    /// whole file.
    ///
    /// What is checked inside a [`savepoint`](Self::savepoint) holds as long as that is not rolled back: PostgreSQL gives up
    /// its locks then, so check again before going on. The nodes of a Galera cluster do not know each other's locks: let all
    /// fenced writes go to one of them.
    ///
    /// # Errors
    /// [`LockError::Stale`], [`LockError::Lost`], or [`LockError::Unfenced`] when it was minted in another database: none
    /// of them is worth running the transaction again, nor is it. The database's.
    pub async fn check_fence<F: Fenced + Sync + ?Sized>(&self, holder: &F) -> Result<(), Error> {
        let Fence { name, token, origin } = holder.current_fence()?;
        let unfenced = || LockError::Unfenced { name: name.clone() };
        if origin.as_ref().is_some_and(|origin| *origin != self.origin()) {
            return Err(unfenced().into());
        }
        let backend = self.get_database_backend();
        let sql = match backend {
            DbBackend::Postgres => "SELECT token FROM fences WHERE name = $1 FOR SHARE",
            DbBackend::Sqlite => "SELECT token FROM fences WHERE name = ?",
            // MariaDB has no FOR SHARE.
            _ => "SELECT token FROM fences WHERE name = ? LOCK IN SHARE MODE",
        };
        let statement = Statement::from_sql_and_values(backend, sql, [name.as_str().into()]);
        let row = self.query_one_raw(statement).await?;
        let newest: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
        // A token that was never minted here is one of another database.
        match newest.cmp(token) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(LockError::Stale { name: name.clone(), fence: *token }.into()),
            std::cmp::Ordering::Less => Err(unfenced().into()),
        }
    }
}

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait};

use crate::Error;
use crate::db::Kind;

/// Inserts a row unless one of its unique keys is taken; whether it did. One round trip, and the caller's transaction goes on
/// either way.
pub(super) async fn insert_new<A: ActiveModelTrait>(db: &impl ConnectionTrait, row: A) -> Result<bool, Error> {
    let insert = A::Entity::insert(row);
    if db.get_database_backend() != DbBackend::MySql {
        let insert = insert.on_conflict(OnConflict::new().do_nothing().to_owned());
        return Ok(insert.exec_without_returning(db).await? == 1);
    }
    // MySQL's ways to pass over a duplicate hide other faults; a statement that fails leaves its transaction alone there.
    match insert.exec_without_returning(db).await.map_err(Error::from) {
        Ok(_) => Ok(true),
        Err(error) if error.database_kind() == Some(Kind::UniqueViolation) => Ok(false),
        Err(error) => Err(error),
    }
}

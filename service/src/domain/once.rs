use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbBackend, EntityTrait, Insert, IntoActiveModel};

use crate::Error;
use crate::db::{DatabaseError, Kind};

/// Inserts a row unless one of its unique keys is taken, and says whether it did. It waits for whoever is inserting the
/// same key. One round trip; the transaction that it runs in stays usable.
///
/// # Errors
/// Those of the database.
pub(crate) async fn insert_once<E>(db: &impl ConnectionTrait, row: E::Model) -> Result<bool, Error>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E>,
{
    let insert = Insert::one(row.into_active_model());
    if db.get_database_backend() != DbBackend::MySql {
        // Without naming a key: whichever of them is taken.
        let inserted = insert.on_conflict(OnConflict::new().do_nothing().to_owned()).exec_without_returning(db).await?;
        return Ok(inserted == 1);
    }
    // INSERT IGNORE would hide other faults, and ON DUPLICATE KEY UPDATE counts a row that was there. A statement that
    // fails does not end a transaction of MySQL's.
    match insert.exec_without_returning(db).await.map_err(DatabaseError::from) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == Kind::UniqueViolation => Ok(false),
        Err(error) => Err(error.into()),
    }
}

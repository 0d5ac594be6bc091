use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::Error;
use crate::entity::journal::log_entry::{Column, Entity};
use crate::types::Timestamp;

/// Entries that one statement deletes.
pub const PURGED_AT_ONCE: u64 = 1_000;

/// Deletes at most [`PURGED_AT_ONCE`] entries that have expired, and says how many. Two round trips, or one when there are none.
///
/// # Errors
/// Those of the database.
pub async fn purge_some(db: &impl ConnectionTrait, now: Timestamp) -> Result<u64, Error> {
    let ids: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::ExpiresAt.lte(now))
        .order_by_asc(Column::ExpiresAt)
        .limit(PURGED_AT_ONCE)
        .into_tuple()
        .all(db)
        .await?;
    if ids.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(ids)).exec(db).await?.rows_affected)
}

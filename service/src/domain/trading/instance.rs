use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};

use super::Trading;
use crate::Error;
use crate::db::page::MAX_LIMIT;
use crate::entity::trading::InstanceRole;
use crate::entity::trading::instance::{Column, Entity, Model as Instance};
use crate::types::{AtColumn, Text, Timestamp};

/// An instance of a trading service, as it makes itself known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInstance {
    /// Its configured id.
    pub id: Text<64>,
    /// The exchange that it trades on.
    pub exchange: Text<32>,
    /// Its place among the slots, from 0.
    pub slot: u16,
    /// How many slots there are.
    pub slots: u16,
    /// Whether it trades or waits.
    pub role: InstanceRole,
    /// Where it can be reached.
    pub address: Text<255>,
}

/// Makes an instance known as started at `now`; one that was known begins a new life under its id. One round trip.
///
/// # Errors
/// [`Error::Value`] for a blank id or exchange; [`Error::Invalid`] for a slot that there is not; those of the database.
pub async fn register(db: &impl ConnectionTrait, instance: NewInstance, now: Timestamp) -> Result<(), Error> {
    let NewInstance { id, exchange, slot, slots, role, address } = instance;
    if slot >= slots {
        return Err(Error::Invalid(format!("there is no slot {slot} among {slots}, which are numbered from 0")));
    }
    let row = Instance {
        id: id.non_blank().at("instances.id")?,
        exchange: Some(exchange.non_blank().at("instances.exchange")?),
        slot: i32::from(slot),
        slots: i32::from(slots),
        role,
        started_at: now,
        heartbeat_at: now,
        address,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let mut replace = OnConflict::column(Column::Id);
    replace.update_columns([
        Column::Exchange,
        Column::Slot,
        Column::Slots,
        Column::Role,
        Column::StartedAt,
        Column::HeartbeatAt,
        Column::Address,
        Column::UpdatedAt,
    ]);
    replace.value(Column::Version, Expr::col((Entity, Column::Version)).add(1));
    Entity::insert(row.into_active_model()).on_conflict(replace).exec_without_returning(db).await?;
    Ok(())
}

/// Notes that an instance lives at `now`, and what it does. A heartbeat that comes late does not put the last one back. One
/// round trip, two where nothing changes.
///
/// # Errors
/// [`Error::NotFound`] for one that has not registered, and those of the database.
pub async fn heartbeat(db: &impl ConnectionTrait, id: &str, role: InstanceRole, now: Timestamp) -> Result<(), Error> {
    let update = Entity::update_many()
        .col_expr(Column::HeartbeatAt, Expr::val(now))
        .col_expr(Column::Role, Expr::val(role))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .filter(Column::HeartbeatAt.lte(now));
    if update.exec(db).await?.rows_affected == 1 {
        return Ok(());
    }
    instance(db, id).await.map(drop)
}

/// One instance. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn instance(db: &impl ConnectionTrait, id: &str) -> Result<Instance, Error> {
    let select = Entity::find().filter(Column::Id.eq(id));
    select.one(db).await?.ok_or_else(|| Error::not_found("instance", id))
}

/// The instances that have said at `alive_since` or later that they live, by slot and id; 1,000 at most. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn instances(db: &impl ConnectionTrait, alive_since: Option<Timestamp>) -> Result<Vec<Instance>, Error> {
    let select = Entity::find()
        .apply_if(alive_since, |select, since| select.filter(Column::HeartbeatAt.gte(since)))
        .order_by_asc(Column::Slot)
        .order_by_asc(Column::Id)
        .limit(u64::from(MAX_LIMIT));
    Ok(select.all(db).await?)
}

/// The active instances of an exchange among so many slots, those first that were heard of last; 1,000 at most: who died long
/// ago, under ids that nobody has any more, does not hide who lives. Those whose exchange is not known, since a version that
/// did not say it has registered them, are among them. One round trip.
///
/// # Errors
/// Those of the database.
pub(super) async fn actives(
    db: &impl ConnectionTrait,
    exchange: &Text<32>,
    slots: u16,
) -> Result<Vec<Instance>, Error> {
    let select = Entity::find()
        .filter(Column::Role.eq(InstanceRole::Active))
        .filter(Column::Slots.eq(i32::from(slots)))
        .filter(Column::Exchange.eq(exchange.clone()).or(Column::Exchange.is_null()))
        .order_by_desc(Column::HeartbeatAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(MAX_LIMIT));
    Ok(select.all(db).await?)
}

impl Trading<'_> {
    /// Makes an instance known: see [`register`]. One round trip.
    ///
    /// # Errors
    /// As [`register`].
    pub async fn register_instance(&self, instance: NewInstance) -> Result<(), Error> {
        register(self.db.writer(), instance, self.clock.now()).await
    }

    /// Notes that an instance lives: see [`heartbeat`]. One round trip, two where nothing changes.
    ///
    /// # Errors
    /// As [`heartbeat`].
    pub async fn heartbeat(&self, id: &str, role: InstanceRole) -> Result<(), Error> {
        heartbeat(self.db.writer(), id, role, self.clock.now()).await
    }

    /// One instance. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn instance(&self, id: &str) -> Result<Instance, Error> {
        instance(self.db.reader(), id).await
    }

    /// The instances that have said at `alive_since` or later that they live: see [`instances`]. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn instances(&self, alive_since: Option<Timestamp>) -> Result<Vec<Instance>, Error> {
        instances(self.db.reader(), alive_since).await
    }
}

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};
use uuid::Uuid;

use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::entity::inventory::warehouse::{Column, Entity, Model};
use crate::types::{AtColumn, LongText, Text, Timestamp, id_at};

/// A warehouse to be opened. It is active.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewWarehouse {
    /// Its short name, which no other has.
    pub code: Text<50>,
    /// Its name.
    pub name: Text<100>,
    /// Where it is.
    pub address: LongText,
}

/// What is to change of a warehouse; `None` for what is to stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarehouseChange {
    /// Its name.
    pub name: Option<Text<100>>,
    /// Where it is.
    pub address: Option<LongText>,
    /// Whether goods come and go. What is in one that is not active stays there, is not sold, and can be moved out.
    pub is_active: Option<bool>,
}

/// Which warehouses, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarehouseFilter {
    is_active: Option<bool>,
    page: PageRequest,
}

crate::domain::paged!(WarehouseFilter);

impl WarehouseFilter {
    /// All warehouses.
    pub fn new() -> Self {
        Self::default()
    }

    /// Active ones, or those that are not.
    #[must_use]
    pub const fn active(mut self, is_active: bool) -> Self {
        self.is_active = Some(is_active);
        self
    }
}

/// Opens a warehouse. One round trip.
///
/// # Errors
/// [`Error::is_conflict`] when the code is taken; [`Error::Value`] for a blank code or name.
pub async fn open_warehouse(db: &impl ConnectionTrait, new: NewWarehouse, now: Timestamp) -> Result<Model, Error> {
    let model = Model {
        id: id_at(now).at("warehouses.id")?,
        code: new.code.non_blank().at("warehouses.code")?,
        name: new.name.non_blank().at("warehouses.name")?,
        address: new.address,
        is_active: true,
        created_at: now,
        updated_at: now,
    };
    Entity::insert(model.clone().into_active_model()).exec_without_returning(db).await?;
    Ok(model)
}

/// Changes a warehouse. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Value`] for a blank name.
pub async fn change_warehouse(
    db: &impl ConnectionTrait,
    id: Uuid,
    change: WarehouseChange,
    now: Timestamp,
) -> Result<(), Error> {
    let WarehouseChange { name, address, is_active } = change;
    let name = name.map(|name| name.non_blank().at("warehouses.name")).transpose()?;
    let mut update = Entity::update_many().col_expr(Column::UpdatedAt, Expr::val(now)).filter(Column::Id.eq(id));
    if let Some(name) = name {
        update = update.col_expr(Column::Name, Expr::val(name));
    }
    if let Some(address) = address {
        update = update.col_expr(Column::Address, Expr::val(address));
    }
    if let Some(is_active) = is_active {
        update = update.col_expr(Column::IsActive, Expr::val(is_active));
    }
    match update.exec(db).await?.rows_affected {
        1 => Ok(()),
        _ => Err(Error::not_found("warehouse", id)),
    }
}

/// One warehouse. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn warehouse(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| Error::not_found("warehouse", id))
}

/// The warehouse of a code. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn warehouse_by_code(db: &impl ConnectionTrait, code: &str) -> Result<Model, Error> {
    // No column holds a longer one, and not every engine takes a NUL.
    let Ok(code) = Text::<50>::try_from(code) else { return Err(Error::not_found("warehouse", "of this code")) };
    let found = Entity::find().filter(Column::Code.eq(code.clone())).one(db).await?;
    found.ok_or_else(|| Error::not_found("warehouse", code))
}

/// A page of warehouses. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn warehouses(db: &impl ConnectionTrait, filter: &WarehouseFilter) -> Result<Page<Model>, Error> {
    let select =
        Entity::find().apply_if(filter.is_active, |select, is_active| select.filter(Column::IsActive.eq(is_active)));
    filter.page.read(db, select, [Column::Id], &filter.is_active).await
}

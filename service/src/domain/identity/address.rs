use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::{Identity, query};
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{Page, Tx};
use crate::entity::identity::user_address::{Column, Entity, Model as Address};
use crate::types::{AtColumn, LongText, Text, Timestamp, id_at};

/// An address to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewAddress {
    /// Who receives the parcel.
    pub receiver_name: Text<50>,
    /// The receiver's phone number.
    pub phone: Text<20>,
    /// The province or state.
    pub province: Text<50>,
    /// The city.
    pub city: Text<50>,
    /// The district; empty where there is none.
    pub district: Text<50>,
    /// The rest: street, house, door.
    pub detail_address: LongText,
    /// Whether it becomes the default one, in the place of the one before.
    pub is_default: bool,
}

/// The addresses of a user, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressFilter {
    user: Uuid,
    page: PageRequest,
}

crate::domain::paged!(AddressFilter);

impl AddressFilter {
    /// All addresses of a user.
    pub fn of(user_id: Uuid) -> Self {
        Self { user: user_id, page: PageRequest::default() }
    }
}

/// Adds an address of a user. Two round trips; three when it becomes the default one.
///
/// # Errors
/// [`Error::NotFound`] for an unknown user; [`Error::Value`] for a blank receiver or a blank detail; those of the database.
pub async fn add_address(tx: &Tx, user_id: Uuid, new: NewAddress, now: Timestamp) -> Result<Address, Error> {
    let address = Address {
        id: id_at(now).at("user_addresses.id")?,
        user_id,
        receiver_name: new.receiver_name.non_blank().at("user_addresses.receiver_name")?,
        phone: new.phone,
        province: new.province,
        city: new.city,
        district: new.district,
        detail_address: new.detail_address.non_blank().at("user_addresses.detail_address")?,
        is_default: new.is_default,
        created_at: now,
        updated_at: now,
    };
    query::lock(tx, user_id).await?;
    if new.is_default {
        clear_default(tx, user_id, now).await?;
    }
    Entity::insert(address.clone().into_active_model()).exec_without_returning(tx).await?;
    Ok(address)
}

/// A page of the addresses of a user. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn addresses(db: &impl ConnectionTrait, filter: &AddressFilter) -> Result<Page<Address>, Error> {
    let select = Entity::find().filter(Column::UserId.eq(filter.user));
    filter.page.read(db, select, [Column::Id], &filter.user).await
}

/// The default address of a user, who may have none. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn default_address(db: &impl ConnectionTrait, user_id: Uuid) -> Result<Option<Address>, Error> {
    let select = Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::IsDefault.eq(true));
    Ok(select.one(db).await?)
}

/// Makes an address the default one of its user, in the place of the one before. The user is locked first, so that of two
/// at once one follows the other. Three round trips.
///
/// # Errors
/// [`Error::NotFound`] for an unknown user, or an address that is not theirs; those of the database.
pub async fn set_default_address(tx: &Tx, user_id: Uuid, id: Uuid, now: Timestamp) -> Result<(), Error> {
    query::lock(tx, user_id).await?;
    clear_default(tx, user_id, now).await?;
    let update = Entity::update_many()
        .col_expr(Column::IsDefault, Expr::val(true))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .filter(Column::UserId.eq(user_id));
    match update.exec(tx).await?.rows_affected {
        0 => Err(Error::not_found("address", id)),
        _ => Ok(()),
    }
}

/// Removes an address of a user. Who removes the default one has none then. One round trip.
///
/// # Errors
/// [`Error::NotFound`] for an address that is not there or not theirs; those of the database.
pub async fn remove_address(db: &impl ConnectionTrait, user_id: Uuid, id: Uuid) -> Result<(), Error> {
    let delete = Entity::delete_many().filter(Column::Id.eq(id)).filter(Column::UserId.eq(user_id));
    match delete.exec(db).await?.rows_affected {
        0 => Err(Error::not_found("address", id)),
        _ => Ok(()),
    }
}

async fn clear_default(tx: &Tx, user_id: Uuid, now: Timestamp) -> Result<(), Error> {
    let update = Entity::update_many()
        .col_expr(Column::IsDefault, Expr::val(false))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::IsDefault.eq(true));
    update.exec(tx).await?;
    Ok(())
}

impl Identity<'_> {
    /// Adds an address of a user: [`add_address`]. Four round trips; five when it becomes the default one.
    ///
    /// # Errors
    /// As [`add_address`].
    pub async fn add_address(&self, user_id: Uuid, new: NewAddress) -> Result<Address, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| add_address(tx, user_id, new.clone(), now).await).await
    }

    /// A page of the addresses of a user. One round trip.
    ///
    /// # Errors
    /// As [`addresses`].
    pub async fn addresses(&self, filter: &AddressFilter) -> Result<Page<Address>, Error> {
        addresses(self.db.reader(), filter).await
    }

    /// The default address of a user, who may have none. One round trip.
    ///
    /// # Errors
    /// As [`default_address`].
    pub async fn default_address(&self, user_id: Uuid) -> Result<Option<Address>, Error> {
        default_address(self.db.reader(), user_id).await
    }

    /// Makes an address the default one of its user: [`set_default_address`]. Five round trips.
    ///
    /// # Errors
    /// As [`set_default_address`].
    pub async fn set_default_address(&self, user_id: Uuid, id: Uuid) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| set_default_address(tx, user_id, id, now).await).await
    }

    /// Removes an address of a user. One round trip.
    ///
    /// # Errors
    /// As [`remove_address`].
    pub async fn remove_address(&self, user_id: Uuid, id: Uuid) -> Result<(), Error> {
        remove_address(self.db.writer(), user_id, id).await
    }
}

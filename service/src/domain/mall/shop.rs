use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait, UpdateMany};
use uuid::Uuid;

use super::Mall;
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page};
use crate::domain::{State, Transition};
use crate::entity::mall::ShopStatus;
use crate::entity::mall::shop::{Column, Entity, Model as Shop};
use crate::types::{AtColumn, Text, Timestamp, id_at};

impl State for ShopStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Active | Self::Closed),
            Self::Active => matches!(next, Self::Suspended | Self::Closed),
            Self::Suspended => matches!(next, Self::Active | Self::Closed),
            Self::Closed => false,
        }
    }
}

/// Which shops, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShopFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    owner: Option<Uuid>,
    status: Option<ShopStatus>,
}

crate::domain::paged!(ShopFilter);

impl ShopFilter {
    /// All shops.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this user.
    #[must_use]
    pub const fn owner(mut self, owner_id: Uuid) -> Self {
        self.criteria.owner = Some(owner_id);
        self
    }

    /// In this status.
    #[must_use]
    pub const fn status(mut self, status: ShopStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }
}

static BY_ID: ById<Entity> = ById::new();

/// Opens a shop for a user at `now`, of level 1, waiting to be let in. One round trip.
///
/// # Errors
/// [`Error::Value`] for a blank name; those of the database.
pub async fn open_shop(
    db: &impl ConnectionTrait,
    owner_id: Uuid,
    name: Text<100>,
    now: Timestamp,
) -> Result<Shop, Error> {
    let model = Shop {
        id: id_at(now).at("shops.id")?,
        owner_id,
        name: name.non_blank().at("shops.name")?,
        level: 1,
        status: ShopStatus::Pending,
        created_at: now,
        updated_at: now,
    };
    Entity::insert(model.clone().into_active_model()).exec_without_returning(db).await?;
    Ok(model)
}

/// One shop. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn shop(db: &impl ConnectionTrait, id: Uuid) -> Result<Shop, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("shop", id))
}

/// A page of shops. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn shops(db: &impl ConnectionTrait, filter: &ShopFilter) -> Result<Page<Shop>, Error> {
    let Criteria { owner, status } = filter.criteria;
    let select = Entity::find()
        .apply_if(owner, |select, owner| select.filter(Column::OwnerId.eq(owner)))
        .apply_if(status, |select, status| select.filter(Column::Status.eq(status)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// Gives a shop another name. One round trip.
///
/// # Errors
/// [`Error::Value`] for a blank name; [`Error::NotFound`]; those of the database.
pub async fn rename_shop(db: &impl ConnectionTrait, id: Uuid, name: Text<100>, now: Timestamp) -> Result<(), Error> {
    let name = name.non_blank().at("shops.name")?;
    change(db, id, Entity::update_many().col_expr(Column::Name, Expr::val(name)), now).await
}

/// Puts a shop on another level, from 1. One round trip.
///
/// # Errors
/// [`Error::Invalid`] for a level below 1; [`Error::NotFound`]; those of the database.
pub async fn set_shop_level(db: &impl ConnectionTrait, id: Uuid, level: i32, now: Timestamp) -> Result<(), Error> {
    if level < 1 {
        return Err(Error::Invalid(format!("a shop's level is 1 or more, not {level}")));
    }
    change(db, id, Entity::update_many().col_expr(Column::Level, Expr::val(level)), now).await
}

/// Lets a shop in, suspends, resumes or closes it. A closed one stays closed. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] that names both states; those of the database.
pub async fn set_shop_status(
    db: &impl ConnectionTrait,
    id: Uuid,
    status: ShopStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let transition = Transition { what: "shop", id: Column::Id, state: Column::Status, to: status };
    transition.apply(db, id, Entity::update_many().col_expr(Column::UpdatedAt, Expr::val(now))).await
}

async fn change(db: &impl ConnectionTrait, id: Uuid, update: UpdateMany<Entity>, now: Timestamp) -> Result<(), Error> {
    let update = update.col_expr(Column::UpdatedAt, Expr::val(now)).filter(Column::Id.eq(id));
    match update.exec(db).await?.rows_affected {
        0 => Err(Error::not_found("shop", id)),
        _ => Ok(()),
    }
}

impl Mall<'_> {
    /// Opens a shop: [`open_shop`]. One round trip.
    ///
    /// # Errors
    /// As [`open_shop`].
    pub async fn open_shop(&self, owner_id: Uuid, name: Text<100>) -> Result<Shop, Error> {
        open_shop(self.db.writer(), owner_id, name, self.clock.now()).await
    }

    /// One shop. One round trip.
    ///
    /// # Errors
    /// As [`shop`].
    pub async fn shop(&self, id: Uuid) -> Result<Shop, Error> {
        shop(self.db.reader(), id).await
    }

    /// A page of shops. One round trip.
    ///
    /// # Errors
    /// As [`shops`].
    pub async fn shops(&self, filter: &ShopFilter) -> Result<Page<Shop>, Error> {
        shops(self.db.reader(), filter).await
    }

    /// Gives a shop another name. One round trip.
    ///
    /// # Errors
    /// As [`rename_shop`].
    pub async fn rename_shop(&self, id: Uuid, name: Text<100>) -> Result<(), Error> {
        rename_shop(self.db.writer(), id, name, self.clock.now()).await
    }

    /// Puts a shop on another level. One round trip.
    ///
    /// # Errors
    /// As [`set_shop_level`].
    pub async fn set_shop_level(&self, id: Uuid, level: i32) -> Result<(), Error> {
        set_shop_level(self.db.writer(), id, level, self.clock.now()).await
    }

    /// Lets a shop in, suspends, resumes or closes it. One round trip.
    ///
    /// # Errors
    /// As [`set_shop_status`].
    pub async fn set_shop_status(&self, id: Uuid, status: ShopStatus) -> Result<(), Error> {
        set_shop_status(self.db.writer(), id, status, self.clock.now()).await
    }
}

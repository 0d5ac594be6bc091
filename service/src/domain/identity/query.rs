use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait};
use uuid::Uuid;

use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::entity::identity::UserLevel;
use crate::entity::identity::user::{Column, Entity, Model};

/// Which users, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    level: Option<UserLevel>,
    is_active: Option<bool>,
}

crate::domain::paged!(UserFilter);

impl UserFilter {
    /// All users.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this level.
    #[must_use]
    pub const fn level(mut self, level: UserLevel) -> Self {
        self.criteria.level = Some(level);
        self
    }

    /// Active ones, or those that are not.
    #[must_use]
    pub const fn active(mut self, is_active: bool) -> Self {
        self.criteria.is_active = Some(is_active);
        self
    }
}

/// One user. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn user(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| Error::not_found("user", id))
}

/// A page of users. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn users(db: &impl ConnectionTrait, filter: &UserFilter) -> Result<Page<Model>, Error> {
    let Criteria { level, is_active } = filter.criteria;
    let select = Entity::find()
        .apply_if(level, |select, level| select.filter(Column::Level.eq(level)))
        .apply_if(is_active, |select, is_active| select.filter(Column::IsActive.eq(is_active)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Kind, Page, Tx};
use crate::entity::identity::UserLevel;
use crate::entity::identity::user::{Column, Entity, Model};
use crate::types::{Email, TimeRange, Timestamp, id_bounds};

/// What errors call a user.
pub(super) const USER: &str = "user";

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
    language: Option<String>,
    created: TimeRange,
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

    /// Who are written to in this language: `zh-hans`.
    #[must_use]
    pub fn language(mut self, code: impl Into<String>) -> Self {
        self.criteria.language = Some(code.into());
        self
    }

    /// Registered at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.created.from = Some(from);
        self
    }

    /// Registered before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.created.to = Some(to);
        self
    }
}

static BY_ID: ById<Entity> = ById::new();

/// One user. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn user(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found(USER, id))
}

/// The user of an e-mail address, compared without case. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn user_by_email(db: &impl ConnectionTrait, email: &Email) -> Result<Model, Error> {
    let found = Entity::find().filter(Column::Email.eq(email.clone())).one(db).await?;
    found.ok_or_else(|| Error::not_found(USER, email))
}

/// The user of a username, compared with case. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn user_by_username(db: &impl ConnectionTrait, username: &str) -> Result<Model, Error> {
    by_username(db, username).await?.ok_or_else(|| Error::not_found(USER, username))
}

/// The user of a Telegram id. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn user_by_telegram_id(db: &impl ConnectionTrait, telegram_id: i64) -> Result<Model, Error> {
    by_telegram_id(db, telegram_id).await?.ok_or_else(|| Error::not_found(USER, telegram_id))
}

/// A page of users. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn users(db: &impl ConnectionTrait, filter: &UserFilter) -> Result<Page<Model>, Error> {
    let Criteria { level, is_active, language, created } = &filter.criteria;
    // The id carries the time of registration.
    let (low, high) = id_bounds(*created);
    let select = Entity::find()
        .apply_if(*level, |select, level| select.filter(Column::Level.eq(level)))
        .apply_if(*is_active, |select, is_active| select.filter(Column::IsActive.eq(is_active)))
        .apply_if(language.as_deref(), |select, language| select.filter(Column::LanguageCode.eq(language)))
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(created.from, |select, from| select.filter(Column::CreatedAt.gte(from)))
        .apply_if(created.to, |select, to| select.filter(Column::CreatedAt.lt(to)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// The user of a username or an e-mail address. No username has an `@`, so nobody can be named like another's address. One
/// round trip.
pub(super) async fn by_login(db: &impl ConnectionTrait, login: &str) -> Result<Option<Model>, Error> {
    match login.parse::<Email>() {
        Ok(email) => Ok(Entity::find().filter(Column::Email.eq(email)).one(db).await?),
        Err(_) => by_username(db, login).await,
    }
}

async fn by_username(db: &impl ConnectionTrait, username: &str) -> Result<Option<Model>, Error> {
    // What no column holds is nobody's name; PostgreSQL would refuse it.
    if username.contains('\0') {
        return Ok(None);
    }
    Ok(Entity::find().filter(Column::Username.eq(username)).one(db).await?)
}

pub(super) async fn by_telegram_id(db: &impl ConnectionTrait, telegram_id: i64) -> Result<Option<Model>, Error> {
    Ok(Entity::find().filter(Column::TelegramId.eq(telegram_id)).one(db).await?)
}

/// One user, kept from changing until the transaction ends. (SQLite has one writer.) One round trip.
pub(super) async fn lock(tx: &Tx, id: Uuid) -> Result<Model, Error> {
    let locked = Entity::find().filter(Column::Id.eq(id)).lock_exclusive().one(tx).await?;
    locked.ok_or_else(|| Error::not_found(USER, id))
}

/// A reference that does not hold is one to a user who is not there.
pub(super) fn of_user(error: Error, user: Uuid) -> Error {
    match error.database_kind() {
        Some(Kind::ForeignKeyViolation) => Error::not_found(USER, user),
        _ => error,
    }
}

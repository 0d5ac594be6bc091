use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};
use uuid::Uuid;

use super::{Identity, query, register};
use crate::Error;
use crate::entity::identity::Gender;
use crate::entity::identity::user::{Column as UserColumn, Entity as UserEntity, Model as User};
use crate::entity::identity::user_profile::{Column, Entity, Model as Profile};
use crate::types::{AtColumn, Day, Email, Text, Timestamp, id_at};

/// What is to change about a user; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Another name to log in with.
    pub username: Option<Text<50>>,
    /// Another e-mail address.
    pub email: Option<Email>,
    /// Another phone number; `Some(None)` for none.
    pub phone: Option<Option<Text<20>>>,
    /// Another first name.
    pub first_name: Option<Text<255>>,
    /// Another last name.
    pub last_name: Option<Text<255>>,
    /// Another language to write to the user in.
    pub language_code: Option<Text<10>>,
}

/// What a user tells about themselves; it replaces what was told before. The identity card is apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChange {
    /// The name that others see.
    pub nickname: Text<50>,
    /// Where the picture is.
    pub avatar_url: Text<255>,
    /// The gender.
    pub gender: Gender,
    /// The day of birth, not in the future.
    pub birth_date: Option<Day>,
    /// The name on the identity card.
    pub real_name: Text<50>,
}

impl Default for ProfileChange {
    /// Nothing told.
    fn default() -> Self {
        Self {
            nickname: Text::default(),
            avatar_url: Text::default(),
            gender: Gender::Unknown,
            birth_date: None,
            real_name: Text::default(),
        }
    }
}

/// Changes a user of this version, and returns them as they are now. Two round trips.
///
/// # Errors
/// [`Error::Value`] for a username that cannot be one; [`Error::is_conflict`] when the username or e-mail address is taken;
/// [`Error::Stale`] when the user is not of this version any more; [`Error::NotFound`]; those of the database.
pub async fn update_user(
    db: &impl ConnectionTrait,
    id: Uuid,
    version: i32,
    change: UserChange,
    now: Timestamp,
) -> Result<User, Error> {
    let username = change.username.map(register::username).transpose()?;
    let set = |column: UserColumn| move |update: sea_orm::UpdateMany<UserEntity>, value| update.col_expr(column, value);
    let update = UserEntity::update_many()
        .apply_if(username.map(Expr::val), set(UserColumn::Username))
        .apply_if(change.email.map(Expr::val), set(UserColumn::Email))
        .apply_if(change.phone.map(Expr::val), set(UserColumn::Phone))
        .apply_if(change.first_name.map(Expr::val), set(UserColumn::FirstName))
        .apply_if(change.last_name.map(Expr::val), set(UserColumn::LastName))
        .apply_if(change.language_code.map(Expr::val), set(UserColumn::LanguageCode))
        .col_expr(UserColumn::Version, UserColumn::Version.into_expr().add(1))
        .col_expr(UserColumn::UpdatedAt, Expr::val(now))
        .filter(UserColumn::Id.eq(id))
        .filter(UserColumn::Version.eq(version));
    let changed = update.exec(db).await?.rows_affected == 1;
    let user = query::user(db, id).await?;
    if changed { Ok(user) } else { Err(Error::stale(query::USER, id)) }
}

/// Deactivates a user, or activates one again; one who is so already is left alone. One round trip, or two.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn set_user_active(
    db: &impl ConnectionTrait,
    id: Uuid,
    is_active: bool,
    now: Timestamp,
) -> Result<(), Error> {
    let update = UserEntity::update_many()
        .col_expr(UserColumn::IsActive, Expr::val(is_active))
        .col_expr(UserColumn::Version, UserColumn::Version.into_expr().add(1))
        .col_expr(UserColumn::UpdatedAt, Expr::val(now))
        .filter(UserColumn::Id.eq(id))
        .filter(UserColumn::IsActive.ne(is_active));
    match update.exec(db).await?.rows_affected {
        0 => query::user(db, id).await.map(drop),
        _ => Ok(()),
    }
}

/// The profile of a user, who may have none. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn profile(db: &impl ConnectionTrait, user_id: Uuid) -> Result<Option<Profile>, Error> {
    Ok(Entity::find().filter(Column::UserId.eq(user_id)).one(db).await?)
}

/// Writes the profile of a user: the first one, or over the one before. Of two at the same moment the later one stays. Two
/// round trips.
///
/// # Errors
/// [`Error::Invalid`] for a day of birth in the future; [`Error::NotFound`] for an unknown user; those of the database.
pub async fn save_profile(
    db: &impl ConnectionTrait,
    user_id: Uuid,
    told: ProfileChange,
    now: Timestamp,
) -> Result<Profile, Error> {
    if told.birth_date.is_some_and(|born| born.get() > now.day()) {
        return Err(Error::Invalid("nobody is born in the future".to_owned()));
    }
    let columns =
        [Column::Nickname, Column::AvatarUrl, Column::Gender, Column::BirthDate, Column::RealName, Column::UpdatedAt];
    upsert(db, row(user_id, told, now)?, columns).await?;
    profile(db, user_id).await?.ok_or_else(|| Error::not_found(query::USER, user_id))
}

/// The profile of a user who told so much, without an identity card.
pub(super) fn row(user_id: Uuid, told: ProfileChange, now: Timestamp) -> Result<Profile, Error> {
    let ProfileChange { nickname, avatar_url, gender, birth_date, real_name } = told;
    Ok(Profile {
        id: id_at(now).at("user_profiles.id")?,
        user_id,
        nickname,
        avatar_url,
        gender,
        birth_date,
        real_name,
        id_card: None,
        created_at: now,
        updated_at: now,
    })
}

/// Writes a profile, or these columns over those of the one that is there. One round trip.
pub(super) async fn upsert(
    db: &impl ConnectionTrait,
    profile: Profile,
    columns: impl IntoIterator<Item = Column>,
) -> Result<(), Error> {
    let user = profile.user_id;
    let over = OnConflict::column(Column::UserId).update_columns(columns).to_owned();
    let written = Entity::insert(profile.into_active_model()).on_conflict(over).exec_without_returning(db).await;
    written.map(drop).map_err(|error| query::of_user(error.into(), user))
}

impl Identity<'_> {
    /// Changes a user of this version: [`update_user`]. Two round trips.
    ///
    /// # Errors
    /// As [`update_user`].
    pub async fn update_user(&self, id: Uuid, version: i32, change: UserChange) -> Result<User, Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change(id, async move { update_user(db.writer(), id, version, change, now).await }).await
    }

    /// Deactivates a user: they cannot log in any more. One round trip; two for one who is so already.
    ///
    /// # Errors
    /// As [`set_user_active`].
    pub async fn deactivate(&self, id: Uuid) -> Result<(), Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change(id, async move { set_user_active(db.writer(), id, false, now).await }).await
    }

    /// Activates a user again. One round trip; two for one who is so already.
    ///
    /// # Errors
    /// As [`set_user_active`].
    pub async fn activate(&self, id: Uuid) -> Result<(), Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change(id, async move { set_user_active(db.writer(), id, true, now).await }).await
    }

    /// The profile of a user, who may have none. One round trip.
    ///
    /// # Errors
    /// As [`profile`].
    pub async fn profile(&self, user_id: Uuid) -> Result<Option<Profile>, Error> {
        profile(self.db.reader(), user_id).await
    }

    /// Writes the profile of a user: [`save_profile`]. Two round trips.
    ///
    /// # Errors
    /// As [`save_profile`].
    pub async fn save_profile(&self, user_id: Uuid, told: ProfileChange) -> Result<Profile, Error> {
        save_profile(self.db.writer(), user_id, told, self.clock.now()).await
    }
}

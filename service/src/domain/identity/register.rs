use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel};

use crate::Error;
use crate::entity::identity::UserLevel;
use crate::entity::identity::user::{Entity, Model};
use crate::types::{AtColumn, Email, Problem, Text, Timestamp, ValueError, id_at};

/// A user to be registered, known by at least one of username, e-mail address and Telegram id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewUser {
    /// The name to log in with.
    pub username: Option<Text<50>>,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone: Option<Text<20>>,
    /// The id that Telegram gave the user.
    pub telegram_id: Option<i64>,
    /// The first name.
    pub first_name: Text<255>,
    /// The last name.
    pub last_name: Text<255>,
    /// The language to write to the user in; `en` where nothing is said.
    pub language_code: Option<Text<10>>,
}

/// Registers a user at `now`. One round trip.
///
/// # Errors
/// [`Error::is_conflict`] when the username, e-mail address or Telegram id is taken; [`Error::Value`] when there is none
/// of them, or a username that is blank or has an `@`: it could be taken for somebody's e-mail address.
pub async fn register(db: &impl ConnectionTrait, user: NewUser, now: Timestamp) -> Result<Model, Error> {
    let model = model(user, now)?;
    // The id is known: nothing needs to be returned, which not every engine can.
    Entity::insert(model.clone().into_active_model()).exec_without_returning(db).await?;
    Ok(model)
}

/// The row of a new user.
pub(super) fn model(user: NewUser, now: Timestamp) -> Result<Model, Error> {
    if user.username.is_none() && user.email.is_none() && user.telegram_id.is_none() {
        return Err(ValueError::at("users.username, users.email or users.telegram_id", Problem::Empty).into());
    }
    Ok(Model {
        id: id_at(now).at("users.id")?,
        username: user.username.map(username).transpose()?,
        email: user.email,
        phone: user.phone,
        password_hash: None,
        telegram_id: user.telegram_id,
        first_name: user.first_name,
        last_name: user.last_name,
        language_code: user.language_code.map_or_else(|| Text::try_from("en"), Ok).at("users.language_code")?,
        level: UserLevel::Normal,
        is_active: true,
        version: 1,
        created_at: now,
        updated_at: now,
    })
}

/// A name to log in with, if it can be one.
pub(super) fn username(name: Text<50>) -> Result<Text<50>, Error> {
    if name.contains('@') {
        let expected = "a name without @";
        return Err(ValueError::at("users.username", Problem::Malformed { expected }).into());
    }
    Ok(name.non_blank().at("users.username")?)
}

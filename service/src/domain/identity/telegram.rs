use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel};

use super::query::{self, by_telegram_id};
use super::{Identity, NewUser, register};
use crate::Error;
use crate::entity::identity::user::{Column, Entity, Model as User};
use crate::types::{Text, Timestamp};

/// What Telegram says about a user. Its username is not among it: it is not the name to log in with here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramUser {
    /// The id that Telegram gave the user, above zero.
    pub telegram_id: i64,
    /// The first name.
    pub first_name: Text<255>,
    /// The last name; empty where there is none.
    pub last_name: Text<255>,
    /// The language of the user's app, if it says.
    pub language_code: Option<Text<10>>,
}

impl TelegramUser {
    fn is_said_by(&self, user: &User) -> bool {
        user.first_name == self.first_name
            && user.last_name == self.last_name
            && self.language_code.as_ref().is_none_or(|language| *language == user.language_code)
    }
}

/// The user of a Telegram id, registered at `now` if there is none, with the names and language that Telegram says. Two
/// requests at the same moment make one user.
///
/// One round trip when nothing is new, else three. Who is deactivated stays so.
///
/// # Errors
/// [`Error::Invalid`] for an id that Telegram gives no user; those of the database.
pub async fn upsert_from_telegram(
    db: &impl ConnectionTrait,
    telegram: TelegramUser,
    now: Timestamp,
) -> Result<User, Error> {
    if telegram.telegram_id <= 0 {
        return Err(Error::Invalid("a Telegram user's id is above zero".to_owned()));
    }
    if let Some(known) = by_telegram_id(db, telegram.telegram_id).await?
        && telegram.is_said_by(&known)
    {
        return Ok(known);
    }
    let mut update = OnConflict::column(Column::TelegramId);
    update
        .update_columns([Column::FirstName, Column::LastName, Column::UpdatedAt])
        .value(Column::Version, Expr::col((Entity, Column::Version)).add(1));
    if telegram.language_code.is_some() {
        update.update_column(Column::LanguageCode);
    }
    let id = telegram.telegram_id;
    let user = NewUser {
        telegram_id: Some(id),
        first_name: telegram.first_name,
        last_name: telegram.last_name,
        language_code: telegram.language_code,
        ..NewUser::default()
    };
    let user = register::model(user, now)?;
    Entity::insert(user.into_active_model()).on_conflict(update).exec_without_returning(db).await?;
    by_telegram_id(db, id).await?.ok_or_else(|| Error::not_found(query::USER, id))
}

impl Identity<'_> {
    /// The user of a Telegram id, registered if there is none: [`upsert_from_telegram`]. One round trip when nothing is new,
    /// else three.
    ///
    /// # Errors
    /// As [`upsert_from_telegram`].
    pub async fn upsert_from_telegram(&self, telegram: TelegramUser) -> Result<User, Error> {
        let (db, now, summaries) = (self.db.clone(), self.clock.now(), self.summaries.clone());
        // It is carried to its end, whoever waits: what it changes must not stay in the cache.
        let upserted = tokio::spawn(async move {
            let upserted = upsert_from_telegram(db.writer(), telegram, now).await;
            match &upserted {
                Ok(user) if user.updated_at < now => {}
                Ok(user) => drop(summaries.cache().invalidate(summaries.of(user.id)).await),
                Err(error) if error.is_invalid() => {}
                // It may have been written, and whose it is was not said.
                Err(_) => drop(summaries.cache().invalidate(summaries.all()).await),
            }
            upserted
        });
        upserted.await.map_err(Error::other)?
    }
}

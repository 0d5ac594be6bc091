use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::password::{Check, Password, check, hash};
use super::{Identity, query};
use crate::Error;
use crate::entity::identity::user::{Column, Entity, Model as User};
use crate::types::{Secret, Timestamp};

/// The user of this name and password; `None` when the name is unknown, the password is wrong or was never set, or the user
/// is deactivated. Which of them is not told, and takes the same time.
///
/// `login` is a username or an e-mail address. A hash that was made with less work than is asked for now is made anew.
///
/// One round trip; two when the hash is made anew. The password is checked on a thread for such work, where it takes some
/// tens of milliseconds.
///
/// # Errors
/// Those of the database.
pub async fn authenticate(
    db: &impl ConnectionTrait,
    login: &str,
    password: &Password,
    now: Timestamp,
) -> Result<Option<User>, Error> {
    let user = query::by_login(db, login).await?;
    let found = check(password, user.as_ref().and_then(|user| user.password_hash.as_ref())).await?;
    let Some(mut user) = user.filter(|user| found != Check::Wrong && user.is_active) else { return Ok(None) };
    if found == Check::Outdated {
        let renewed = hash(password).await?;
        // Somebody who changes the user meanwhile is right, and this can wait until the next time.
        if store(db, &user, renewed.clone(), now).await? {
            user.password_hash = Some(renewed);
            user.version = user.version.wrapping_add(1);
            user.updated_at = now;
        }
    }
    Ok(Some(user))
}

/// Sets the password of a user without asking for the old one: the first one, or one that was forgotten. Two round trips.
///
/// # Errors
/// [`Error::Invalid`] for a password that is too short; [`Error::NotFound`]; [`Error::Stale`] when the user is not of this
/// version any more; those of the database.
pub async fn set_password(
    db: &impl ConnectionTrait,
    id: Uuid,
    version: i32,
    password: &Password,
    now: Timestamp,
) -> Result<(), Error> {
    password.long_enough()?;
    let user = query::user(db, id).await?;
    if user.version != version {
        return Err(Error::stale("user", id));
    }
    let renewed = hash(password).await?;
    if store(db, &user, renewed, now).await? { Ok(()) } else { Err(Error::stale("user", id)) }
}

/// Changes the password of a user who knows the old one. Two round trips. Of two changes at once, one is made.
///
/// # Errors
/// [`Error::Invalid`] for a new password that is too short; [`Error::NotFound`]; [`Error::Conflict`] when the old one is
/// not right, there is none, or the user is deactivated; [`Error::Stale`] when the user was changed meanwhile; those of
/// the database.
pub async fn change_password(
    db: &impl ConnectionTrait,
    id: Uuid,
    old: &Password,
    new: &Password,
    now: Timestamp,
) -> Result<(), Error> {
    new.long_enough()?;
    let user = query::user(db, id).await?;
    if check(old, user.password_hash.as_ref()).await? == Check::Wrong || !user.is_active {
        return Err(Error::Conflict("the old password is not right".to_owned()));
    }
    let renewed = hash(new).await?;
    if store(db, &user, renewed, now).await? { Ok(()) } else { Err(Error::stale("user", id)) }
}

/// Stores the hash, if the user is still as it was read. One round trip.
async fn store(db: &impl ConnectionTrait, user: &User, renewed: Secret<255>, now: Timestamp) -> Result<bool, Error> {
    let update = Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::val(renewed))
        .col_expr(Column::Version, Column::Version.into_expr().add(1))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(user.id))
        .filter(Column::Version.eq(user.version));
    Ok(update.exec(db).await?.rows_affected == 1)
}

impl Identity<'_> {
    /// The user of this name and password: [`authenticate`]. One round trip, to the primary: what was revoked a moment ago is
    /// refused. Two when the hash is made anew.
    ///
    /// # Errors
    /// As [`authenticate`].
    pub async fn authenticate(&self, login: &str, password: &Password) -> Result<Option<User>, Error> {
        authenticate(self.db.writer(), login, password, self.clock.now()).await
    }

    /// Sets the password of a user without asking for the old one: [`set_password`]. Two round trips.
    ///
    /// # Errors
    /// As [`set_password`].
    pub async fn set_password(&self, id: Uuid, version: i32, password: &Password) -> Result<(), Error> {
        set_password(self.db.writer(), id, version, password, self.clock.now()).await
    }

    /// Changes the password of a user who knows the old one: [`change_password`]. Two round trips.
    ///
    /// # Errors
    /// As [`change_password`].
    pub async fn change_password(&self, id: Uuid, old: &Password, new: &Password) -> Result<(), Error> {
        change_password(self.db.writer(), id, old, new, self.clock.now()).await
    }
}

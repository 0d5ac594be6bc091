//! Identity: who uses the service.

mod query;
mod register;

use uuid::Uuid;

pub use query::{UserFilter, user, users};
pub use register::{NewUser, register};

use crate::Error;
use crate::clock::Clock;
use crate::db::{Db, Page};
use crate::entity::identity::user::Model as User;

/// The identity service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
}

impl<'a> Identity<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }

    /// Registers a user. One round trip.
    ///
    /// # Errors
    /// [`Error::is_conflict`] when the username, e-mail address or Telegram id is taken; [`Error::Value`] when there is
    /// none of them.
    pub async fn register(&self, user: NewUser) -> Result<User, Error> {
        register(self.db.writer(), user, self.clock.now()).await
    }

    /// One user. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn user(&self, id: Uuid) -> Result<User, Error> {
        user(self.db.reader(), id).await
    }

    /// A page of users. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn users(&self, filter: &UserFilter) -> Result<Page<User>, Error> {
        users(self.db.reader(), filter).await
    }
}

//! Identity: who uses the service.
//!
//! A user is known by a username, an e-mail address or a Telegram id; passwords are kept as argon2id hashes, and the numbers
//! of identity cards encrypted with a key from the configuration ([`Keyring`]). Neither is ever serialized, shown in Debug
//! or read along with something else: [`Identity::authenticate`] and [`Identity::id_card`] are the ways to them.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::identity::NewUser;
//! use stanchion::entity::identity::UserLevel;
//!
//! let new = NewUser { username: Some("ann".parse()?), email: Some("ann@example.org".parse()?), ..NewUser::default() };
//! let ann = app.identity().register(new).await?;
//! let password = "correct horse battery staple".parse()?;
//! app.identity().set_password(ann.id, ann.version, &password).await?;
//! assert!(app.identity().authenticate("Ann@Example.org", &password).await?.is_some());
//! assert!(app.identity().authenticate("ann", &"something else".parse()?).await?.is_none());
//!
//! let ann = app.identity().upgrade_level(ann.id, UserLevel::Vip, "a year with us".parse()?).await?;
//! assert_eq!(app.identity().level_distribution().await?[&ann.level], 1);
//! # app.close().await; Ok(()) }
//! ```

mod address;
mod authenticate;
mod id_card;
mod keyring;
mod level;
mod password;
mod profile;
mod query;
mod register;
mod summary;
mod telegram;

use uuid::Uuid;

pub use address::{
    AddressFilter, NewAddress, add_address, addresses, default_address, remove_address, set_default_address,
};
pub use authenticate::{authenticate, change_password, set_password};
pub use id_card::{IdCard, Reencrypted, id_card, reencrypt_id_cards, set_id_card};
pub use keyring::{Keyring, KeyringError};
pub use level::{LevelChangeFilter, level_changes, level_distribution, upgrade_level};
pub use password::{LONGEST_PASSWORD, Password, SHORTEST_PASSWORD};
pub use profile::{ProfileChange, UserChange, profile, save_profile, set_user_active, update_user};
pub use query::{UserFilter, user, user_by_email, user_by_telegram_id, user_by_username, users};
pub use register::{NewUser, register};
pub(crate) use summary::Summaries;
pub use summary::{UserSummary, summary};
pub use telegram::{TelegramUser, upsert_from_telegram};

use crate::Error;
use crate::clock::Clock;
use crate::db::{Db, Page};
use crate::entity::identity::user::Model as User;
use crate::types::Email;

/// The identity service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
    keyring: &'a Keyring,
    summaries: &'a Summaries,
}

impl<'a> Identity<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock, keyring: &'a Keyring, summaries: &'a Summaries) -> Self {
        Self { db, clock, keyring, summaries }
    }

    /// Registers a user. One round trip.
    ///
    /// # Errors
    /// [`Error::is_conflict`] when the username, e-mail address or Telegram id is taken; [`Error::Value`] when there is
    /// none of them, or a username that cannot be one.
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

    /// The user of an e-mail address, compared without case. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn user_by_email(&self, email: &Email) -> Result<User, Error> {
        user_by_email(self.db.reader(), email).await
    }

    /// The user of a username, compared with case. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn user_by_username(&self, username: &str) -> Result<User, Error> {
        user_by_username(self.db.reader(), username).await
    }

    /// The user of a Telegram id. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn user_by_telegram_id(&self, telegram_id: i64) -> Result<User, Error> {
        user_by_telegram_id(self.db.reader(), telegram_id).await
    }

    /// A page of users. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn users(&self, filter: &UserFilter) -> Result<Page<User>, Error> {
        users(self.db.reader(), filter).await
    }
}

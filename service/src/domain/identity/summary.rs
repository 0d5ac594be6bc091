use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Identity, query};
use crate::Error;
use crate::cache::{Cache, Namespace, NamespaceOptions, Target};
use crate::db::{Db, Tx};
use crate::entity::identity::UserLevel;
use crate::entity::identity::user::Model as User;
use crate::types::Text;

/// How long a summary is kept; every change of it invalidates it.
const TTL: Duration = Duration::from_secs(60);

/// What a service shows of a user, and no more: nothing to log in with, and nothing to reach the user by. So it may be kept
/// where a user's row may not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSummary {
    /// The user's id.
    pub id: Uuid,
    /// The name to log in with, if there is one.
    pub username: Option<Text<50>>,
    /// The first name; empty where it is not known.
    pub first_name: Text<255>,
    /// The last name; empty where it is not known.
    pub last_name: Text<255>,
    /// The language to write to the user in.
    pub language_code: Text<10>,
    /// How high the user stands.
    pub level: UserLevel,
    /// Whether the user may do anything.
    pub is_active: bool,
}

impl From<User> for UserSummary {
    fn from(user: User) -> Self {
        let User { id, username, first_name, last_name, language_code, level, is_active, .. } = user;
        Self { id, username, first_name, last_name, language_code, level, is_active }
    }
}

/// What a service shows of a user. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn summary(db: &impl ConnectionTrait, id: Uuid) -> Result<UserSummary, Error> {
    query::user(db, id).await.map(UserSummary::from)
}

/// The summaries that are kept.
#[derive(Clone, Debug)]
pub(crate) struct Summaries(Namespace<UserSummary>);

impl Summaries {
    pub(crate) fn new(cache: &Cache) -> Result<Self, Error> {
        Ok(Self(cache.namespace("identity.summaries", NamespaceOptions::ttl(TTL))?))
    }

    pub(super) fn cache(&self) -> &Cache {
        self.0.cache()
    }

    async fn get(&self, db: &Db, id: Uuid) -> Result<Arc<UserSummary>, Error> {
        let db = db.clone();
        self.0.get_or_load(id.to_string(), move || async move { summary(db.latest(), id).await }).await
    }

    /// That of a user.
    pub(super) fn of(&self, user: Uuid) -> [Target; 1] {
        [self.0.target(user.to_string())]
    }

    /// All of them.
    pub(super) fn all(&self) -> [Target; 1] {
        [Target::namespace(self.0.name())]
    }
}

impl Identity<'_> {
    /// What a service shows of a user. It is kept in the [cache](crate::App::cache) until this service changes it; who changes
    /// users by the functions of this module calls [`summary_changed`](Self::summary_changed). One round trip or none.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database, which the predicates of [`Error`] see.
    ///
    /// # Cancellation
    /// The load goes on, for whoever asks next.
    pub async fn summary(&self, id: Uuid) -> Result<Arc<UserSummary>, Error> {
        self.summaries.get(self.db, id).await
    }

    /// Notes in a transaction that it changes what is shown of a user: after its commit, the summary is loaded anew. For a
    /// caller who writes by the functions of this module, or by SeaORM.
    pub fn summary_changed(&self, tx: &Tx, user: Uuid) {
        self.summaries.cache().invalidate_after(tx, self.summaries.of(user));
    }

    /// Runs a change of what is shown of a user.
    pub(super) async fn change<T, F>(&self, user: Uuid, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.summaries.cache().change(self.summaries.of(user), work).await
    }
}

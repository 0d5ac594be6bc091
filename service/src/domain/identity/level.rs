use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::{Identity, query};
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{Page, Tx};
use crate::entity::identity::UserLevel;
use crate::entity::identity::user::{Column as UserColumn, Entity as UserEntity, Model as User};
use crate::entity::identity::user_level_change::{Column, Entity, Model as LevelChange};
use crate::types::{AtColumn, Text, Timestamp, id_at};

/// Which attempts to change levels, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LevelChangeFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    user: Option<Uuid>,
    succeeded: Option<bool>,
}

crate::domain::paged!(LevelChangeFilter);

impl LevelChangeFilter {
    /// All attempts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a user.
    #[must_use]
    pub const fn user(mut self, user_id: Uuid) -> Self {
        self.criteria.user = Some(user_id);
        self
    }

    /// Those that succeeded, or those that did not.
    #[must_use]
    pub const fn succeeded(mut self, succeeded: bool) -> Self {
        self.criteria.succeeded = Some(succeeded);
        self
    }
}

/// Raises the level of an active user, who was asked about at `started`, and records that it succeeded at `now`. Three round
/// trips. What fails is recorded by [`Identity::upgrade_level`], outside of the transaction.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the user is deactivated or of that level or a higher one; those of the
/// database.
pub async fn upgrade_level(
    tx: &Tx,
    id: Uuid,
    to: UserLevel,
    reason: &Text<255>,
    started: Timestamp,
    now: Timestamp,
) -> Result<User, Error> {
    let mut user = query::lock(tx, id).await?;
    if !user.is_active {
        return Err(Error::Conflict(format!("user {id} is deactivated and cannot become {to}")));
    }
    if user.level >= to {
        return Err(Error::Conflict(format!("user {id} is {} and cannot be raised to {to}", user.level)));
    }
    let change = LevelChange { succeeded: true, ..record(&user, to, reason.clone(), started, now)? };
    user.level = to;
    user.version = user.version.wrapping_add(1);
    user.updated_at = now;
    let update = UserEntity::update_many()
        .col_expr(UserColumn::Level, Expr::val(to))
        .col_expr(UserColumn::Version, Expr::val(user.version))
        .col_expr(UserColumn::UpdatedAt, Expr::val(now))
        .filter(UserColumn::Id.eq(id))
        // The lock keeps it as it was read; this proves it.
        .filter(UserColumn::Version.eq(user.version.wrapping_sub(1)));
    if update.exec(tx).await?.rows_affected != 1 {
        return Err(Error::stale(query::USER, id));
    }
    Entity::insert(change.into_active_model()).exec_without_returning(tx).await?;
    Ok(user)
}

/// A page of attempts to change levels. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn level_changes(db: &impl ConnectionTrait, filter: &LevelChangeFilter) -> Result<Page<LevelChange>, Error> {
    let Criteria { user, succeeded } = filter.criteria;
    let select = Entity::find()
        .apply_if(user, |select, user| select.filter(Column::UserId.eq(user)))
        .apply_if(succeeded, |select, succeeded| select.filter(Column::Succeeded.eq(succeeded)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// How many users are of each level, deactivated ones included; levels of nobody too. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn level_distribution(db: &impl ConnectionTrait) -> Result<BTreeMap<UserLevel, u64>, Error> {
    let counted: Vec<(UserLevel, i64)> = UserEntity::find()
        .select_only()
        .column(UserColumn::Level)
        .expr_as(UserColumn::Id.into_expr().count(), "users")
        .group_by(UserColumn::Level)
        .into_tuple()
        .all(db)
        .await?;
    let mut distribution: BTreeMap<UserLevel, u64> = UserLevel::ALL.iter().map(|level| (*level, 0)).collect();
    distribution.extend(counted.into_iter().map(|(level, users)| (level, u64::try_from(users).unwrap_or(0))));
    Ok(distribution)
}

/// An attempt that has not succeeded.
fn record(
    user: &User,
    to: UserLevel,
    reason: Text<255>,
    started: Timestamp,
    now: Timestamp,
) -> Result<LevelChange, Error> {
    Ok(LevelChange {
        id: id_at(now).at("user_level_changes.id")?,
        user_id: user.id,
        from_level: user.level,
        to_level: to,
        reason,
        duration_ms: i64::try_from(now.since(started).as_millis()).unwrap_or(i64::MAX),
        succeeded: false,
        created_at: now,
    })
}

/// Why it was asked for and why it failed, as much of it as the column holds.
fn failure(reason: &Text<255>, error: &Error) -> Text<255> {
    let text: String = format!("{error} ({reason})").chars().take(255).collect();
    Text::try_from(text).unwrap_or_default()
}

impl Identity<'_> {
    /// Raises the level of an active user, and records the attempt with the time that it took, also when it fails. Five round
    /// trips; six or fewer when it fails, the record included.
    ///
    /// # Errors
    /// As [`upgrade_level`]. An attempt for a user who does not exist is not recorded, nor is one of which nobody knows
    /// whether it was committed. When the record of a failure cannot be written, that is logged, and the failure returned.
    ///
    /// # Cancellation
    /// A dropped future has changed nothing, or everything if the commit had begun; it records no failure.
    pub async fn upgrade_level(&self, id: Uuid, to: UserLevel, reason: Text<255>) -> Result<User, Error> {
        let started = self.clock.now();
        let raised = self.db.transaction(async |tx| {
            let user = upgrade_level(tx, id, to, &reason, started, self.clock.now()).await?;
            self.summary_changed(tx, id);
            Ok(user)
        });
        let raised = raised.await;
        if let Err(error) = &raised
            && !matches!(error, Error::NotFound { .. } | Error::CommitUnknown(_))
            && let Err(lost) = self.record_failure(id, to, failure(&reason, error), started).await
        {
            tracing::warn!(user = %id, error = %lost, "a failed change of a level could not be recorded");
        }
        raised
    }

    async fn record_failure(
        &self,
        id: Uuid,
        to: UserLevel,
        reason: Text<255>,
        started: Timestamp,
    ) -> Result<(), Error> {
        let user = query::user(self.db.writer(), id).await?;
        let change = record(&user, to, reason, started, self.clock.now())?;
        Entity::insert(change.into_active_model()).exec_without_returning(self.db.writer()).await?;
        Ok(())
    }

    /// A page of attempts to change levels. One round trip.
    ///
    /// # Errors
    /// As [`level_changes`].
    pub async fn level_changes(&self, filter: &LevelChangeFilter) -> Result<Page<LevelChange>, Error> {
        level_changes(self.db.reader(), filter).await
    }

    /// How many users are of each level. One round trip.
    ///
    /// # Errors
    /// As [`level_distribution`].
    pub async fn level_distribution(&self) -> Result<BTreeMap<UserLevel, u64>, Error> {
        level_distribution(self.db.reader()).await
    }
}

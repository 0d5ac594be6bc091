use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::Mall;
use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::entity::mall::PointsKind;
use crate::entity::mall::points_account::{Column as AccountColumn, Entity as AccountEntity, Model as Account};
use crate::entity::mall::points_transaction::{Column, Entity, Model as Entry};
use crate::types::{AtColumn, Money, TimeRange, Timestamp, id_at, id_bounds};

/// Which entries of a user's account, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointsFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Criteria {
    user: Uuid,
    kind: Option<PointsKind>,
    made: TimeRange,
}

crate::domain::paged!(PointsFilter);

impl PointsFilter {
    /// All entries of a user's account.
    pub fn of(user_id: Uuid) -> Self {
        let criteria = Criteria { user: user_id, kind: None, made: TimeRange::default() };
        Self { criteria, page: PageRequest::default() }
    }

    /// Of this kind.
    #[must_use]
    pub const fn kind(mut self, kind: PointsKind) -> Self {
        self.criteria.kind = Some(kind);
        self
    }

    /// Made at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.made.from = Some(from);
        self
    }

    /// Made before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.made.to = Some(to);
        self
    }
}

/// Opens the account of a user at `now`, empty; where there is one already, nothing happens. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn open_points_account(db: &impl ConnectionTrait, user_id: Uuid, now: Timestamp) -> Result<(), Error> {
    let account = Account {
        id: id_at(now).at("points_accounts.id")?,
        user_id,
        balance: Money::ZERO,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let there_already = OnConflict::column(AccountColumn::UserId).do_nothing_on([AccountColumn::Id]).to_owned();
    let insert = AccountEntity::insert(account.into_active_model()).on_conflict(there_already);
    insert.exec_without_returning(db).await?;
    Ok(())
}

/// The account of a user. One round trip.
///
/// # Errors
/// [`Error::NotFound`] for a user who never had points; those of the database.
pub async fn points_account(db: &impl ConnectionTrait, user_id: Uuid) -> Result<Account, Error> {
    let account = AccountEntity::find().filter(AccountColumn::UserId.eq(user_id)).one(db).await?;
    account.ok_or_else(|| Error::not_found("points account of user", user_id))
}

/// A page of the entries of a user's account; empty for a user who never had points. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn points_statement(db: &impl ConnectionTrait, filter: &PointsFilter) -> Result<Page<Entry>, Error> {
    let Criteria { user, kind, made } = filter.criteria;
    let account = AccountEntity::find().select_only().column(AccountColumn::Id).filter(AccountColumn::UserId.eq(user));
    // Equal to the one account, not in a list of them: so every engine reads its index in order.
    let account = Expr::SubQuery(None, Box::new(account.into_query().into()));
    let (low, high) = id_bounds(made);
    let select = Entity::find()
        .filter(Column::AccountId.into_expr().eq(account))
        .apply_if(kind, |select, kind| select.filter(Column::Kind.eq(kind)))
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(made.from, |select, from| select.filter(Column::CreatedAt.gte(from)))
        .apply_if(made.to, |select, to| select.filter(Column::CreatedAt.lt(to)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

impl Mall<'_> {
    /// Opens the account of a user, where there is none. One round trip.
    ///
    /// # Errors
    /// As [`open_points_account`].
    pub async fn open_points_account(&self, user_id: Uuid) -> Result<(), Error> {
        open_points_account(self.db.writer(), user_id, self.clock.now()).await
    }

    /// The account of a user. One round trip.
    ///
    /// # Errors
    /// As [`points_account`].
    pub async fn points_account(&self, user_id: Uuid) -> Result<Account, Error> {
        points_account(self.db.reader(), user_id).await
    }

    /// A page of the entries of a user's account. One round trip.
    ///
    /// # Errors
    /// As [`points_statement`].
    pub async fn points_statement(&self, filter: &PointsFilter) -> Result<Page<Entry>, Error> {
        points_statement(self.db.reader(), filter).await
    }
}

use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
};
use serde::{Deserialize, Serialize};

use super::Period;
use crate::Error;
use crate::db::sum;
use crate::domain::calendar;
use crate::entity::catalog::{ReviewStatus, product_review};
use crate::entity::identity::{UserLevel, user, user_level_change};
use crate::entity::journal::{LogLevel, log_entry};
use crate::entity::mall::{PointsKind, PurchaseStatus, points_transaction, purchase_order};
use crate::entity::ordering::order;
use crate::types::{Day, id_bounds};

/// How the business did in a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BusinessFigures {
    /// The period.
    pub period: Period,
    /// Who joined, and who is there.
    pub users: UserFigures,
    /// Who ordered, and who does not any more.
    pub activity: ActivityFigures,
    /// What was ordered.
    pub orders: OrderFigures,
    /// What users bought from each other.
    pub purchases: PurchaseFigures,
    /// How points moved.
    pub points: PointsFigures,
    /// What buyers say.
    pub reviews: ReviewFigures,
    /// How much went wrong.
    pub logs: LogFigures,
}

/// How many of those that were tried succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// All of them.
    pub tried: u64,
    /// Those that succeeded.
    pub succeeded: u64,
}

impl Rate {
    /// The share that succeeded, from 0 to 1; none of nothing.
    pub fn share(self) -> Option<f64> {
        share(self.succeeded, self.tried)
    }
}

/// Which part of `whole` a part is.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more digits than a float has")]
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFigures {
    /// Registered in the period.
    pub registered: u64,
    /// How many users of each level there are now, whether active or not; levels without any are left out.
    pub by_level: Vec<(UserLevel, u64)>,
    /// Changes of levels that were tried in the period.
    pub upgrades: Rate,
}

/// Users by what they order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityFigures {
    /// Users who placed an order in the period, whatever became of it.
    pub active: u64,
    /// Users who placed one in the period of the same length before it, and none in this one.
    pub lost: u64,
}

/// Orders placed in the period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFigures {
    /// All of them, whatever became of them.
    pub placed: u64,
    /// Those that were paid, by the day (UTC) on which they were placed, in the order of time; days without any are left out.
    pub daily: Vec<DayFigures>,
}

/// The paid orders of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayFigures {
    /// The day.
    pub day: Day,
    /// How many they are.
    pub paid: u64,
    /// The gross merchandise value: the sum of their final amounts, also of those that were paid back later.
    pub gmv: Decimal,
}

impl OrderFigures {
    /// How many were paid.
    pub fn paid(&self) -> u64 {
        self.daily.iter().map(|day| day.paid).sum()
    }

    /// The gross merchandise value of the period.
    pub fn gmv(&self) -> Decimal {
        self.daily.iter().map(|day| day.gmv).sum()
    }

    /// The average value of a paid order, to four digits after the point.
    pub fn average_value(&self) -> Option<Decimal> {
        self.gmv().checked_div(Decimal::from(self.paid())).map(|average| average.round_dp(4))
    }
}

/// Purchases between users that were placed in the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurchaseFigures {
    /// All of them.
    pub placed: u64,
    /// Of those that have ended, the ones that were completed, not rejected.
    pub finished: Rate,
}

/// How points moved in the period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsFigures {
    /// By why they moved; kinds without any movement are left out.
    pub flows: Vec<PointsFlow>,
    /// Transfers that are whole: one account has less, another one more. What fails leaves nothing behind, so that anything
    /// below all of them means that the books are not in order.
    pub transfers: Rate,
}

/// What moved for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsFlow {
    /// The reason.
    pub kind: PointsKind,
    /// What came into accounts.
    pub credited: Decimal,
    /// What went out of accounts, not below zero.
    pub debited: Decimal,
}

impl PointsFigures {
    /// How many points moved: of each kind what came or what went, whichever is more, for a transfer is both.
    pub fn volume(&self) -> Decimal {
        self.flows.iter().map(|flow| flow.credited.max(flow.debited)).sum()
    }
}

/// Published reviews that were written in the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewFigures {
    /// How many gave one star, two, ... five.
    pub by_stars: [u64; 5],
}

impl ReviewFigures {
    /// How many they are.
    pub fn count(&self) -> u64 {
        self.by_stars.iter().sum()
    }

    /// The mean rating, from 1 to 5.
    pub fn mean(&self) -> Option<f64> {
        let stars = self.by_stars.iter().zip(1..).map(|(count, stars)| count * stars).sum();
        share(stars, self.count())
    }
}

/// Log entries of the period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFigures {
    /// All of them.
    pub entries: u64,
    /// Those of the level `error`.
    pub errors: u64,
}

/// The rows whose column of time is in the period.
fn within<E: EntityTrait>(select: Select<E>, time: E::Column, period: Period) -> Select<E> {
    select.filter(time.gte(period.from())).filter(time.lt(period.to()))
}

/// The rows whose id, which carries the time, and column of time are in the period.
fn within_ids<E: EntityTrait>(select: Select<E>, id: E::Column, time: E::Column, period: Period) -> Select<E> {
    let (low, high) = id_bounds(period.range());
    let select = select.apply_if(low, |select, low| select.filter(id.gte(low)));
    within(select.apply_if(high, |select, high| select.filter(id.lt(high))), time, period)
}

/// How many rows there are of each value of a column.
async fn by<E, T>(db: &impl ConnectionTrait, select: Select<E>, column: E::Column) -> Result<Vec<(T, u64)>, Error>
where
    E: EntityTrait,
    T: sea_orm::TryGetable,
{
    let counts = select
        .select_only()
        .column(column)
        .expr_as(Expr::cust("count(*)"), "occurrences")
        .group_by(column)
        .order_by_asc(column)
        .into_tuple::<(T, i64)>();
    Ok(counts.all(db).await?.into_iter().map(|(value, count)| (value, unsigned(count))).collect())
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The users of a period. Three round trips.
///
/// # Errors
/// Those of the database.
pub async fn users(db: &impl ConnectionTrait, period: Period) -> Result<UserFigures, Error> {
    let registered = within(user::Entity::find(), user::Column::CreatedAt, period).count(db).await?;
    let mut by_level: Vec<(UserLevel, u64)> = by(db, user::Entity::find(), user::Column::Level).await?;
    by_level.sort_unstable();
    let tried = within(user_level_change::Entity::find(), user_level_change::Column::CreatedAt, period);
    let upgrades: Vec<(bool, u64)> = by(db, tried, user_level_change::Column::Succeeded).await?;
    Ok(UserFigures {
        registered,
        by_level,
        upgrades: rate(upgrades.into_iter().map(|(succeeded, count)| (Some(succeeded), count))),
    })
}

/// Adds up what succeeded and what did not; what is undecided is left out.
fn rate(outcomes: impl Iterator<Item = (Option<bool>, u64)>) -> Rate {
    outcomes.fold(Rate::default(), |rate, (succeeded, count)| match succeeded {
        Some(true) => Rate { tried: rate.tried + count, succeeded: rate.succeeded + count },
        Some(false) => Rate { tried: rate.tried + count, ..rate },
        None => rate,
    })
}

fn orders_of(period: Period) -> Select<order::Entity> {
    within_ids(order::Entity::find(), order::Column::Id, order::Column::CreatedAt, period)
}

/// Who ordered in a period and who does not any more. Two round trips.
///
/// # Errors
/// Those of the database.
pub async fn activity(db: &impl ConnectionTrait, period: Period) -> Result<ActivityFigures, Error> {
    let buyers = |select: Select<order::Entity>| {
        let buyers = select.select_only().expr_as(order::Column::UserId.into_expr().count_distinct(), "buyers");
        buyers.into_tuple::<i64>().one(db)
    };
    let here = orders_of(period).select_only().column(order::Column::UserId).into_query();
    let before = orders_of(period.before()?).filter(order::Column::UserId.not_in_subquery(here));
    Ok(ActivityFigures {
        active: unsigned(buyers(orders_of(period)).await?.unwrap_or(0)),
        lost: unsigned(buyers(before).await?.unwrap_or(0)),
    })
}

/// The orders of a period. Two round trips.
///
/// # Errors
/// Those of the database.
pub async fn orders(db: &impl ConnectionTrait, period: Period) -> Result<OrderFigures, Error> {
    let placed = orders_of(period).count(db).await?;
    let paid = orders_of(period).filter(order::Column::PaidAt.is_not_null());
    let day = calendar::day(db.get_database_backend(), "orders", "created_at");
    let days = sum::grouped(db, paid, day, order::Column::FinalAmount).await?;
    let daily = days
        .into_iter()
        .map(|group| Ok(DayFigures { day: group.key.parse()?, paid: group.rows, gmv: group.sum }))
        .collect::<Result<_, Error>>()?;
    Ok(OrderFigures { placed, daily })
}

/// The purchases of a period. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn purchases(db: &impl ConnectionTrait, period: Period) -> Result<PurchaseFigures, Error> {
    let placed = within(purchase_order::Entity::find(), purchase_order::Column::CreatedAt, period);
    let statuses: Vec<(PurchaseStatus, u64)> = by(db, placed, purchase_order::Column::Status).await?;
    let outcome = |status| match status {
        PurchaseStatus::Completed => Some(true),
        PurchaseStatus::Rejected => Some(false),
        PurchaseStatus::Pending | PurchaseStatus::Approved => None,
    };
    Ok(PurchaseFigures {
        placed: statuses.iter().map(|(_, count)| count).sum(),
        finished: rate(statuses.into_iter().map(|(status, count)| (outcome(status), count))),
    })
}

/// The points of a period. Two round trips.
///
/// # Errors
/// Those of the database.
pub async fn points(db: &impl ConnectionTrait, period: Period) -> Result<PointsFigures, Error> {
    use points_transaction::{Column, Entity};

    let moved = || within(Entity::find(), Column::CreatedAt, period);
    // One of the words and a sign: `transfer-`.
    let key = Expr::cust("kind || CASE WHEN amount < 0 THEN '-' ELSE '+' END");
    let mut flows: Vec<PointsFlow> = Vec::new();
    for group in sum::grouped(db, moved(), key, Column::Amount).await? {
        let (kind, sign) = group.key.split_at(group.key.len().saturating_sub(1));
        let kind: PointsKind = kind.parse()?;
        let at = flows.iter().position(|flow| flow.kind == kind).unwrap_or_else(|| {
            flows.push(PointsFlow { kind, credited: Decimal::ZERO, debited: Decimal::ZERO });
            flows.len() - 1
        });
        match sign {
            "-" => flows[at].debited = -group.sum,
            _ => flows[at].credited = group.sum,
        }
    }
    flows.sort_unstable_by_key(|flow| flow.kind);

    let transfers = moved()
        .filter(Column::Kind.eq(PointsKind::Transfer))
        .select_only()
        .expr_as(
            Expr::cust("CASE WHEN count(*) = 2 AND sum(CASE WHEN amount < 0 THEN 1 ELSE 0 END) = 1 THEN 1 ELSE 0 END"),
            "whole",
        )
        .group_by(Column::TransferId)
        .into_query();
    let count = sea_orm::sea_query::Query::select()
        .expr_as(Expr::cust("count(*)"), "tried")
        .expr_as(Expr::cust("count(CASE WHEN whole = 1 THEN 1 END)"), "succeeded")
        .from_subquery(transfers, "transfers")
        .to_owned();
    let row = db.query_one(&count).await?;
    let transfers = match row {
        Some(row) => {
            Rate { tried: unsigned(row.try_get("", "tried")?), succeeded: unsigned(row.try_get("", "succeeded")?) }
        }
        None => Rate::default(),
    };
    Ok(PointsFigures { flows, transfers })
}

/// The published reviews of a period. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn reviews(db: &impl ConnectionTrait, period: Period) -> Result<ReviewFigures, Error> {
    use product_review::{Column, Entity};

    let written = within(Entity::find(), Column::CreatedAt, period).filter(Column::Status.eq(ReviewStatus::Published));
    let mut figures = ReviewFigures::default();
    for (rating, count) in by::<_, i32>(db, written, Column::Rating).await? {
        let stars = usize::try_from(rating - 1).ok().and_then(|at| figures.by_stars.get_mut(at));
        if let Some(stars) = stars {
            *stars = count;
        }
    }
    Ok(figures)
}

/// The log entries of a period. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn logs(db: &impl ConnectionTrait, period: Period) -> Result<LogFigures, Error> {
    use log_entry::{Column, Entity};

    let levels: Vec<(LogLevel, u64)> =
        by(db, within_ids(Entity::find(), Column::Id, Column::Ts, period), Column::Level).await?;
    let of_errors = levels.iter().filter(|(level, _)| *level == LogLevel::Error);
    Ok(LogFigures {
        entries: levels.iter().map(|(_, count)| count).sum(),
        errors: of_errors.map(|(_, count)| count).sum(),
    })
}

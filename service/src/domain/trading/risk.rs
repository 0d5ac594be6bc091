use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};

use super::Trading;
use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::entity::trading::risk_check::{Column, Entity, Model as RiskCheck};
use crate::types::{AtColumn, Json, Price, Text, TimeRange, Timestamp, id_at, id_bounds};

/// A check of a limit, to be recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRiskCheck {
    /// The exchange, in lower case.
    pub exchange: Text<32>,
    /// The symbol.
    pub symbol: Text<32>,
    /// What was checked: `max_position`, `daily_loss`, ...
    pub check_type: Text<50>,
    /// Whether the observed value was within the limit; which side of it that is, the check knows.
    pub passed: bool,
    /// The limit.
    pub limit_value: Price,
    /// What was observed.
    pub observed_value: Price,
    /// What else there is to know.
    pub details: Json,
    /// The instance that checked.
    pub instance_id: Text<64>,
}

/// Which checks, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RiskFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    exchange: Option<String>,
    symbol: Option<String>,
    check_type: Option<String>,
    passed: Option<bool>,
    instance_id: Option<String>,
    checked: TimeRange,
}

crate::domain::paged!(RiskFilter);

impl RiskFilter {
    /// All checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// The checks of a symbol.
    pub fn symbol(symbol: impl Into<String>) -> Self {
        let mut filter = Self::new();
        filter.criteria.symbol = Some(symbol.into());
        filter
    }

    /// On this exchange.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.criteria.exchange = Some(exchange.into());
        self
    }

    /// Of this type.
    #[must_use]
    pub fn check_type(mut self, check_type: impl Into<String>) -> Self {
        self.criteria.check_type = Some(check_type.into());
        self
    }

    /// Those that passed, or those that did not.
    #[must_use]
    pub const fn passed(mut self, passed: bool) -> Self {
        self.criteria.passed = Some(passed);
        self
    }

    /// By this instance.
    #[must_use]
    pub fn instance(mut self, instance_id: impl Into<String>) -> Self {
        self.criteria.instance_id = Some(instance_id.into());
        self
    }

    /// Checked in this range of time.
    #[must_use]
    pub const fn checked(mut self, range: TimeRange) -> Self {
        self.criteria.checked = range;
        self
    }
}

/// Records a check made at `now`. One round trip.
///
/// # Errors
/// [`Error::Value`] for a blank exchange, symbol or type, and those of the database.
pub async fn record_risk_check(
    db: &impl ConnectionTrait,
    check: NewRiskCheck,
    now: Timestamp,
) -> Result<RiskCheck, Error> {
    let row = RiskCheck {
        id: id_at(now).at("risk_checks.id")?,
        exchange: check.exchange.non_blank().at("risk_checks.exchange")?,
        symbol: check.symbol.non_blank().at("risk_checks.symbol")?,
        check_type: check.check_type.non_blank().at("risk_checks.check_type")?,
        passed: check.passed,
        limit_value: check.limit_value,
        observed_value: check.observed_value,
        details: check.details,
        instance_id: check.instance_id,
        created_at: now,
    };
    Entity::insert(row.clone().into_active_model()).exec_without_returning(db).await?;
    Ok(row)
}

/// A page of checks. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn risk_checks(db: &impl ConnectionTrait, filter: &RiskFilter) -> Result<Page<RiskCheck>, Error> {
    let Criteria { exchange, symbol, check_type, passed, instance_id, checked } = &filter.criteria;
    let (low, high) = id_bounds(*checked);
    let select = Entity::find()
        .apply_if(exchange.as_deref(), |select, exchange| select.filter(Column::Exchange.eq(exchange)))
        .apply_if(symbol.as_deref(), |select, symbol| select.filter(Column::Symbol.eq(symbol)))
        .apply_if(check_type.as_deref(), |select, check| select.filter(Column::CheckType.eq(check)))
        .apply_if(*passed, |select, passed| select.filter(Column::Passed.eq(passed)))
        .apply_if(instance_id.as_deref(), |select, instance| select.filter(Column::InstanceId.eq(instance)))
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(checked.from, |select, from| select.filter(Column::CreatedAt.gte(from)))
        .apply_if(checked.to, |select, to| select.filter(Column::CreatedAt.lt(to)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

impl Trading<'_> {
    /// Records a check: see [`record_risk_check`]. One round trip.
    ///
    /// # Errors
    /// As [`record_risk_check`].
    pub async fn record_risk_check(&self, check: NewRiskCheck) -> Result<RiskCheck, Error> {
        record_risk_check(self.db.writer(), check, self.clock.now()).await
    }

    /// A page of checks. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn risk_checks(&self, filter: &RiskFilter) -> Result<Page<RiskCheck>, Error> {
        risk_checks(self.db.reader(), filter).await
    }
}

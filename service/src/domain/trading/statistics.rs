use std::collections::BTreeMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use super::Trading;
use super::scan::{Scan, day_range};
use super::tally::{Tallies, Tally, max_drawdown};
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{Page, Tx};
use crate::entity::trading::trade_statistic::{Column, Entity, Model as Statistic};
use crate::types::{AtColumn, Day, Text, TimeRange, Timestamp, id_bounds};

/// Days that are locked, read and written at a time.
const DAYS: usize = 500;
/// Days that are rebuilt at once at most.
const MOST_DAYS: usize = 3_660;

/// Which statistics, in which order, and how many. The latest day first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatisticsFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    exchange: Option<String>,
    symbol: Option<String>,
    from: Option<Day>,
    through: Option<Day>,
}

crate::domain::paged!(StatisticsFilter);

impl StatisticsFilter {
    /// All statistics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a symbol.
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

    /// From this day on.
    #[must_use]
    pub const fn from(mut self, day: Day) -> Self {
        self.criteria.from = Some(day);
        self
    }

    /// Up to this day, itself included.
    #[must_use]
    pub const fn through(mut self, day: Day) -> Self {
        self.criteria.through = Some(day);
        self
    }
}

/// A page of daily statistics. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn statistics(db: &impl ConnectionTrait, filter: &StatisticsFilter) -> Result<Page<Statistic>, Error> {
    let Criteria { exchange, symbol, from, through } = &filter.criteria;
    let (from, to) = (from.and_then(|day| day_range(day).from), through.and_then(|day| day_range(day).to));
    let (low, high) = id_bounds(TimeRange { from, to });
    let select = Entity::find()
        .apply_if(exchange.as_deref(), |select, exchange| select.filter(Column::Exchange.eq(exchange)))
        .apply_if(symbol.as_deref(), |select, symbol| select.filter(Column::Symbol.eq(symbol)))
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// Adds trades that this transaction has inserted to the statistics of their days.
///
/// The rows are locked in the order of their ids, so that savers who meet wait for each other, and only here: after the
/// trades. Two round trips for 500 days; two more where a day has no row yet, and one for 10,000 trades of a day that had
/// trades before and gets one that realized something.
pub(super) async fn add(tx: &Tx, tallies: &Tallies, now: Timestamp) -> Result<(), Error> {
    let touched: Vec<&Tally> = tallies.0.iter().filter(|tally| !tally.is_empty()).collect();
    for tallies in touched.chunks(DAYS) {
        let mut rows = locked(tx, tallies, now).await?;
        let mut changed = Vec::with_capacity(tallies.len());
        for tally in tallies {
            let row = rows.remove(&tally.id).unwrap_or_else(|| tally.zero(now));
            let had_trades = row.trade_count > 0;
            let mut row = tally.added_to(row, now)?;
            if !tally.realized.is_empty() {
                // The fall depends on the order of all trades of the day; those of this batch are among them by now.
                let realized = if had_trades { realized(tx, tally).await? } else { tally.realized.clone() };
                row.max_drawdown = max_drawdown(realized)?;
            }
            changed.push(row);
        }
        write(tx, changed).await?;
    }
    Ok(())
}

/// What each trade of the tally's day realized.
async fn realized(tx: &Tx, tally: &Tally) -> Result<Vec<super::tally::Realized>, Error> {
    let (exchange, symbol, day) = tally.place();
    let mut scan = Scan::of(exchange, symbol, day_range(day)).realized();
    let mut realized = Vec::new();
    while let Some(trades) = scan.next(tx).await? {
        trades.iter().for_each(|trade| Tally::realized(trade, &mut realized));
    }
    Ok(realized)
}

/// The rows of these days, locked; those that were not there are now. What somebody has committed before is seen by the
/// statements after this one.
async fn locked(tx: &Tx, tallies: &[&Tally], now: Timestamp) -> Result<BTreeMap<Uuid, Statistic>, Error> {
    loop {
        let ids = tallies.iter().map(|tally| tally.id);
        let select = Entity::find().filter(Column::Id.is_in(ids)).order_by_asc(Column::Id).lock_exclusive();
        let rows: BTreeMap<Uuid, Statistic> = select.all(tx).await?.into_iter().map(|row| (row.id, row)).collect();
        let missing: Vec<_> = tallies
            .iter()
            .filter(|tally| !rows.contains_key(&tally.id))
            .map(|tally| tally.zero(now).into_active_model())
            .collect();
        if missing.is_empty() {
            return Ok(rows);
        }
        let mut pass_over = OnConflict::column(Column::Id);
        pass_over.do_nothing_on([Column::Id]);
        Entity::insert_many(missing).on_conflict(pass_over).exec_without_returning(tx).await?;
    }
}

/// Writes rows that are there. One round trip.
async fn write(tx: &Tx, rows: Vec<Statistic>) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut replace = OnConflict::column(Column::Id);
    replace.update_columns([
        Column::TradeCount,
        Column::BuyVolume,
        Column::SellVolume,
        Column::BuyQuoteVolume,
        Column::SellQuoteVolume,
        Column::Fees,
        Column::RealizedPnl,
        Column::WinCount,
        Column::LossCount,
        Column::MaxDrawdown,
        Column::UpdatedAt,
    ]);
    let rows = rows.into_iter().map(IntoActiveModel::into_active_model);
    Entity::insert_many(rows).on_conflict(replace).exec_without_returning(tx).await?;
    Ok(())
}

/// Makes the statistics of a day anew from its trades; none where there are no trades. Savers of that day wait meanwhile.
/// Four round trips and one for 10,000 trades.
///
/// # Errors
/// [`Error::Value`] for a sum that its column cannot hold, and those of the database.
pub async fn rebuild_day(
    tx: &Tx,
    exchange: &Text<32>,
    symbol: &Text<32>,
    day: Day,
    now: Timestamp,
) -> Result<Option<Statistic>, Error> {
    let mut tally = Tally::new(exchange.clone(), symbol.clone(), day)?;
    let created_at = locked(tx, &[&tally], now).await?.remove(&tally.id).map_or(now, |row| row.created_at);
    let mut scan = Scan::of(exchange, symbol, day_range(day));
    while let Some(trades) = scan.next(tx).await? {
        trades.iter().for_each(|trade| tally.add(trade));
    }
    if tally.is_empty() {
        Entity::delete_by_id(tally.id).exec(tx).await?;
        return Ok(None);
    }
    let mut row = tally.added_to(tally.zero(now), now)?;
    row.created_at = created_at;
    row.max_drawdown = max_drawdown(std::mem::take(&mut tally.realized))?;
    write(tx, vec![row.clone()]).await?;
    Ok(Some(row))
}

impl Trading<'_> {
    /// A page of daily statistics. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn statistics(&self, filter: &StatisticsFilter) -> Result<Page<Statistic>, Error> {
        statistics(self.db.reader(), filter).await
    }

    /// Makes a symbol's statistics of the days from `first` through `last` anew from the trades, each day in a transaction
    /// of its own; the statistics of the days that have trades. They are maintained as trades are saved: this is for trades
    /// that came or went by another way (a copy, a dropped partition). Per day the round trips of [`rebuild_day`] and two.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than ten years at once; [`Error::Value`] for a sum that its column cannot hold, or a day
    /// before 1970; those of the database.
    ///
    /// # Cancellation
    /// Each day is rebuilt or as it was.
    pub async fn rebuild_statistics(
        &self,
        exchange: &str,
        symbol: &str,
        first: Day,
        last: Day,
    ) -> Result<Vec<Statistic>, Error> {
        let exchange = Text::try_from(exchange).at("trade_statistics.exchange")?;
        let symbol = Text::try_from(symbol).at("trade_statistics.symbol")?;
        let days: Vec<Day> = first
            .get()
            .iter_days()
            .take_while(|day| *day <= last.get())
            .take(MOST_DAYS + 1)
            .map(<Day as TryFrom<chrono::NaiveDate>>::try_from)
            .collect::<Result<_, _>>()?;
        if days.len() > MOST_DAYS {
            return Err(Error::Invalid(format!("at most {MOST_DAYS} days are rebuilt at once")));
        }
        let now = self.clock.now();
        let mut rebuilt = Vec::new();
        for day in days {
            let row = self.db.transaction(async |tx| rebuild_day(tx, &exchange, &symbol, day, now).await).await?;
            rebuilt.extend(row);
        }
        Ok(rebuilt)
    }
}

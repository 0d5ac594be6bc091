//! Deleting what is old: one series after the other, by ranges of the primary key, a bounded number of rows a statement.

use std::marker::PhantomData;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, ModelTrait, QueryFilter, QueryOrder,
    QuerySelect, Value,
};

use crate::Error;
use crate::db::Db;
use crate::entity::market::{Period, candle, tick, trading_metric};
use crate::types::Timestamp;

/// Rows that a statement deletes at most, whatever was asked for.
pub const MAX_BATCH: u32 = 50_000;

/// A table of series: which columns say the series, and which the point in it. Together they are its primary key.
struct Table<E: EntityTrait> {
    series: &'static [E::Column],
    points: &'static [E::Column],
    entity: PhantomData<E>,
}

const TICKS: Table<tick::Entity> = Table {
    series: &[tick::Column::Exchange, tick::Column::Symbol],
    points: &[tick::Column::Ts, tick::Column::Seq],
    entity: PhantomData,
};

const CANDLES: Table<candle::Entity> = Table {
    series: &[candle::Column::Exchange, candle::Column::Symbol, candle::Column::Period],
    points: &[candle::Column::OpenTime],
    entity: PhantomData,
};

const METRICS: Table<trading_metric::Entity> = Table {
    series: &[trading_metric::Column::Name, trading_metric::Column::LabelsHash],
    points: &[trading_metric::Column::Ts],
    entity: PhantomData,
};

/// Deletes the ticks of all series that were seen before an instant; returns how many.
pub(super) async fn delete_ticks(db: &Db, before: Timestamp, batch: u32) -> Result<u64, Error> {
    TICKS.delete(db, |_| true, before, batch).await
}

/// Deletes the candles of a period whose interval begins before an instant; returns how many.
pub(super) async fn delete_candles(db: &Db, period: Period, before: Timestamp, batch: u32) -> Result<u64, Error> {
    CANDLES.delete(db, |candle| candle.period == period, before, batch).await
}

/// Deletes the points of all metrics that were taken before an instant; returns how many.
pub(super) async fn delete_metrics(db: &Db, before: Timestamp, batch: u32) -> Result<u64, Error> {
    METRICS.delete(db, |_| true, before, batch).await
}

impl<E> Table<E>
where
    E: EntityTrait,
    E::Model: FromQueryResult + ModelTrait<Entity = E> + Send + Sync,
    E::Column: Send + Sync,
{
    async fn delete(
        &self,
        db: &Db,
        wanted: impl Fn(&E::Model) -> bool,
        before: Timestamp,
        batch: u32,
    ) -> Result<u64, Error> {
        let batch = u64::from(batch.clamp(1, MAX_BATCH));
        let mut deleted = 0;
        let mut last = None;
        while let Some(row) = self.next_series(db.writer(), last.as_deref()).await? {
            let series: Vec<Value> = self.series.iter().map(|column| row.get(*column)).collect();
            while wanted(&row) {
                let (count, is_last) = self.delete_batch(db, &series, before, batch).await?;
                deleted += count;
                if is_last {
                    break;
                }
            }
            last = Some(series);
        }
        Ok(deleted)
    }

    /// A row of the series after this one. One round trip for each column of the series at most: the engines agree on using
    /// an index only when all columns but one are given.
    async fn next_series(&self, db: &impl ConnectionTrait, last: Option<&[Value]>) -> Result<Option<E::Model>, Error> {
        let Some(last) = last else { return self.first(db, Condition::all()).await };
        for given in (0..self.series.len()).rev() {
            let same = self.series[..given].iter().zip(last);
            let same = same.fold(Condition::all(), |same, (column, value)| same.add(column.eq(value.clone())));
            let row = self.first(db, same.add(self.series[given].gt(last[given].clone()))).await?;
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }

    async fn first(&self, db: &impl ConnectionTrait, condition: Condition) -> Result<Option<E::Model>, Error> {
        let select = E::find().filter(condition);
        let select = self.series.iter().fold(select, |select, column| select.order_by_asc(*column));
        Ok(select.one(db).await?)
    }

    /// Deletes the oldest rows of a series, and says whether they were the last. Two round trips, and two for the
    /// transaction.
    async fn delete_batch(
        &self,
        db: &Db,
        series: &[Value],
        before: Timestamp,
        batch: u64,
    ) -> Result<(u64, bool), Error> {
        let pairs = self.series.iter().zip(series);
        let old = pairs.fold(Condition::all(), |old, (column, value)| old.add(column.eq(value.clone())));
        let old = old.add(self.points[0].lt(before));
        db.transaction(async |tx| {
            let select = E::find().filter(old.clone());
            let select = self.points.iter().fold(select, |select, column| select.order_by_asc(*column));
            let end = select.offset(batch).one(tx).await?;
            let upto = match &end {
                Some(row) => old.clone().add(self.below(row)),
                None => old.clone(),
            };
            let done = E::delete_many().filter(upto).exec(tx).await?;
            Ok((done.rows_affected, end.is_none()))
        })
        .await
    }

    /// That a row of the same series comes before this one.
    fn below(&self, row: &E::Model) -> Condition {
        let mut below = Condition::any();
        for at in 0..self.points.len() {
            let same = self.points[..at].iter();
            let same = same.fold(Condition::all(), |same, column| same.add(column.eq(row.get(*column))));
            below = below.add(same.add(self.points[at].lt(row.get(self.points[at]))));
        }
        // For the index: one bound that holds for all of them.
        Condition::all().add(self.points[0].lte(row.get(self.points[0]))).add(below)
    }
}

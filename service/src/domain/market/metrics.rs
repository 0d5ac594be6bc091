use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait};
use uuid::Uuid;

use crate::Error;
use crate::db::bulk::{self, Rows, Saved};
use crate::db::page::PageRequest;
use crate::db::{Page, Tx};
use crate::entity::market::trading_metric::{Column, Entity, Model, labels_hash};
use crate::types::{AtColumn, Float, Json, Problem, Text, TimeRange, Timestamp, ValueError};

/// Labels that a point has at most.
pub const MAX_LABELS: usize = 16;
/// Characters of a label's name.
const NAME: usize = 64;
/// Characters of a label's value.
const VALUE: usize = 256;

/// A point of a metric, to be recorded. A name and its labels make a series, in whatever order the labels are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMetric {
    /// The metric's name, such as `order_latency_ms`.
    pub name: Text<100>,
    /// What the value is about: at most [`MAX_LABELS`], names of 64 characters, values of 256.
    pub labels: BTreeMap<String, String>,
    /// When the value was taken; `None` for now.
    pub ts: Option<Timestamp>,
    /// The value.
    pub value: f64,
}

impl NewMetric {
    /// The row that it becomes, recorded at `now`.
    ///
    /// # Errors
    /// What is wrong with it, naming the column: a blank name; too many labels, or one that is too long, blank, or holds a
    /// NUL character; a value that is infinite or not a number.
    pub fn into_model(self, now: Timestamp) -> Result<Model, ValueError> {
        if self.labels.len() > MAX_LABELS {
            return Err(ValueError::at("trading_metrics.labels", Problem::Malformed { expected: "16 labels at most" }));
        }
        for (name, value) in &self.labels {
            Text::<NAME>::try_from(name.as_str()).and_then(Text::non_blank).at("trading_metrics.labels")?;
            Text::<VALUE>::try_from(value.as_str()).at("trading_metrics.labels")?;
        }
        Ok(Model {
            name: self.name.non_blank().at("trading_metrics.name")?,
            labels_hash: labels_hash(&self.labels),
            ts: self.ts.unwrap_or(now),
            labels: Json::of(&self.labels).at("trading_metrics.labels")?,
            value: Float::try_from(self.value).at("trading_metrics.value")?,
            created_at: now,
        })
    }
}

/// Records points in the caller's transaction; of a series' points at one instant the first stays.
///
/// # Errors
/// Those of [`bulk::insert`].
pub async fn record_metrics(tx: &Tx, metrics: impl IntoIterator<Item = Model>) -> Result<Saved, Error> {
    bulk::insert(tx, &Rows::of::<Entity>(metrics)).await
}

/// Which points of a metric, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Criteria {
    name: String,
    labels: Option<Uuid>,
    taken: TimeRange,
}

crate::domain::paged!(MetricFilter);

impl MetricFilter {
    /// All points of all series of this name.
    pub fn named(name: impl Into<String>) -> Self {
        let criteria = Criteria { name: name.into(), labels: None, taken: TimeRange::default() };
        Self { criteria, page: PageRequest::default() }
    }

    /// Of the series with exactly these labels.
    #[must_use]
    pub fn labels(mut self, labels: &BTreeMap<String, String>) -> Self {
        self.criteria.labels = Some(labels_hash(labels));
        self
    }

    /// Taken at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.taken.from = Some(from);
        self
    }

    /// Taken before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.taken.to = Some(to);
        self
    }
}

/// A page of points. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn metrics(db: &impl ConnectionTrait, filter: &MetricFilter) -> Result<Page<Model>, Error> {
    let Criteria { name, labels, taken } = &filter.criteria;
    let select = Entity::find()
        .filter(Column::Name.eq(name.as_str()))
        .apply_if(*labels, |select, labels| select.filter(Column::LabelsHash.eq(labels)))
        .apply_if(taken.from, |select, from| select.filter(Column::Ts.gte(from)))
        .apply_if(taken.to, |select, to| select.filter(Column::Ts.lt(to)));
    filter.page.read(db, select, [Column::Ts, Column::LabelsHash], &filter.criteria).await
}

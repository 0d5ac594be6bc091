//! Insights: how the business does and how its databases are, over the tables of all domains.
//!
//! Each figure is one statement on the domain's own database; nothing is joined across domains. Figures are kept for a few
//! seconds, so that a page that everybody looks at is computed once: of many who ask at the same time one loads, the others
//! wait for it. Amounts are exact; rates are shares from 0 to 1, and absent where there is nothing to take a share of.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! let figures = app.insights().last_days(30).await?;
//! assert_eq!((figures.orders.placed, figures.orders.average_value()), (0, None));
//!
//! let health = app.insights().health(30).await?;
//! println!("{} ({:.2})", health.grade, health.score);
//! # app.close().await; Ok(()) }
//! ```

mod business;
mod cache;
mod engine;
mod health;
mod period;

use std::sync::Arc;

pub use business::{
    ActivityFigures, BusinessFigures, DayFigures, LogFigures, OrderFigures, PointsFigures, PointsFlow, PurchaseFigures,
    Rate, ReviewFigures, UserFigures, activity, logs, orders, points, purchases, reviews, users,
};
pub use cache::{InsightsCache, KEPT};
pub use engine::{EngineFigures, LONG_TRANSACTION, MOST_TABLES, PoolFigures, SLOW_STATEMENT, TableFigures};
pub use health::{BusinessHealth, Component, ComponentKind, Grade, HealthInput, Recommendation, assess};
pub use period::{MOST_DAYS, Period};

use crate::config::Domain;
use crate::{App, Error};

/// The insights of an app.
#[derive(Clone, Copy, Debug)]
pub struct Insights<'a> {
    app: &'a App,
    cache: &'a InsightsCache,
}

impl<'a> Insights<'a> {
    pub(crate) const fn new(app: &'a App, cache: &'a InsightsCache) -> Self {
        Self { app, cache }
    }

    /// The same, with figures kept in another cache: for another time than [`KEPT`].
    #[must_use]
    pub const fn kept_in(self, cache: &'a InsightsCache) -> Self {
        Self { cache, ..self }
    }

    /// The business figures of a period. Twelve round trips, or none while they are kept.
    ///
    /// # Errors
    /// Those of the databases, which the predicates of [`Error`] see: all who asked at the same time get the one.
    ///
    /// # Cancellation
    /// The load goes on, for whoever asks next.
    pub async fn business(&self, period: Period) -> Result<Arc<BusinessFigures>, Error> {
        self.cache.business(cache::Key::Period(period), load(self.app.clone(), period)).await
    }

    /// The business figures of the last so many days, up to now: [`business`](Self::business).
    ///
    /// # Errors
    /// [`Error::Invalid`] for no days or more than [`MOST_DAYS`]; as [`business`](Self::business).
    pub async fn last_days(&self, days: u32) -> Result<Arc<BusinessFigures>, Error> {
        let period = Period::last_days(self.app.clock().now(), days)?;
        self.cache.business(cache::Key::LastDays(days), load(self.app.clone(), period)).await
    }

    /// How each configured database is, in the order of [`App::databases`]. At most six round trips a database, or none while
    /// the figures are kept. It does not fail: what cannot be had, because the engine has no such figure, it is not permitted
    /// or the database does not answer, is absent.
    pub async fn engines(&self) -> Arc<Vec<EngineFigures>> {
        let app = self.app.clone();
        self.cache
            .engines(async move {
                let databases = app.config().distinct_databases().map(|(_, _, config)| config.max_open_conns);
                let figures = app.databases().iter().zip(databases).map(|(db, most)| engine::figures(db, most));
                futures::future::join_all(figures).await
            })
            .await
    }

    /// How the business does, all things considered, by the figures of the last so many days and of the databases now:
    /// [`assess`].
    ///
    /// # Errors
    /// As [`last_days`](Self::last_days).
    pub async fn health(&self, days: u32) -> Result<BusinessHealth, Error> {
        let business = self.last_days(days).await?;
        let engines = self.engines().await;
        Ok(assess(&HealthInput::of(&business, &engines)))
    }
}

async fn load(app: App, period: Period) -> Result<BusinessFigures, Error> {
    let reader = |domain| app.db(domain).reader();
    // Boxed: together these futures are more than a stack of a caller may have left.
    let (users, activity, orders, purchases, points, reviews, logs) = futures::try_join!(
        Box::pin(users(reader(Domain::Identity), period)),
        Box::pin(activity(reader(Domain::Ordering), period)),
        Box::pin(orders(reader(Domain::Ordering), period)),
        Box::pin(purchases(reader(Domain::Mall), period)),
        Box::pin(points(reader(Domain::Mall), period)),
        Box::pin(reviews(reader(Domain::Catalog), period)),
        Box::pin(logs(reader(Domain::Journal), period)),
    )?;
    Ok(BusinessFigures { period, users, activity, orders, purchases, points, reviews, logs })
}

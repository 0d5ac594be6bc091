use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use stanchion::config::{Config, Database};
use stanchion::types::Timestamp;
use stanchion::{App, Clock, Error};

use crate::testbed::TestDatabase;

/// A clock that stands until a test moves it.
#[derive(Debug)]
pub struct HandClock(AtomicI64);

impl HandClock {
    /// Standing at this instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.micros()))
    }

    /// Puts it forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    /// Sets it, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::EPOCH)
    }
}

/// An app on a database of its own, at a time of its own: where a suite of a domain plays.
#[derive(Debug)]
pub struct Stage {
    /// The app.
    pub app: App,
    /// Its clock, which begins at 2026-03-01 12:00 UTC.
    pub clock: Arc<HandClock>,
    /// What it stores in.
    pub database: TestDatabase,
}

impl Stage {
    /// On this database, with eight connections.
    ///
    /// # Errors
    /// Those of [`App::start`].
    pub async fn on(database: TestDatabase) -> Result<Self, Error> {
        Self::with(database, |_| {}).await
    }

    /// On this database, its configuration altered by `configure`.
    ///
    /// # Errors
    /// Those of [`App::start`].
    pub async fn with(database: TestDatabase, configure: impl FnOnce(&mut Config)) -> Result<Self, Error> {
        let mut config = Config::new(Database::new(database.url().parse().map_err(Error::other)?));
        config.database.max_open_conns = 8;
        configure(&mut config);
        let clock = Arc::new(HandClock::at(Timestamp::from_millis(1_772_366_400_000)?));
        let app = App::start_with(config, Arc::clone(&clock) as Arc<dyn Clock>).await?;
        Ok(Self { app, clock, database })
    }

    /// Runs `work` alone and says how many round trips it made, beginning and ending transactions included.
    pub async fn counted<T>(&self, work: impl Future<Output = T>) -> (T, u64) {
        let before = self.round_trips();
        let done = work.await;
        (done, self.round_trips() - before)
    }

    fn round_trips(&self) -> u64 {
        self.app.databases().iter().map(stanchion::db::Db::round_trips).sum()
    }
}

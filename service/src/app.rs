use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, try_join_all};

use crate::Error;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Domain};
use crate::db::{Db, Options, Tx, TxBody};
use crate::domain::alerting::{Alerting, Channels};
use crate::domain::catalog::Catalog;
use crate::domain::identity::{Identity, Keyring};
use crate::domain::insights::{Insights, InsightsCache};
use crate::domain::inventory::Inventory;
use crate::domain::journal::Journal;
use crate::domain::mall::Mall;
use crate::domain::market::Market;
use crate::domain::marketing::Marketing;
use crate::domain::ordering::{Databases, Ordering};
use crate::domain::partitions::Partitions;
use crate::domain::trading::Trading;
use crate::migration::{Migrator, MigratorTrait, partitions};

/// Everything a service needs, put together from a [`Config`]: databases and domain services.
///
/// It is cheap to clone; clones share everything.
///
/// ```no_run
/// # async fn example() -> Result<(), stanchion::Error> {
/// use stanchion::App;
/// use stanchion::config::Config;
/// use stanchion::domain::trading::TradeFilter;
///
/// let app = App::start(Config::load()?).await?;
/// let page = app.trading().trades(&TradeFilter::symbol("ETHUSDT").limit(100)).await?;
/// # drop(page);
/// app.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    databases: Vec<Db>,
    /// Which of the databases each domain lives in.
    domains: Vec<(Domain, usize)>,
    clock: Arc<dyn Clock>,
    partitions: Partitions,
    keyring: Keyring,
    channels: Channels,
    insights: InsightsCache,
}

impl App {
    /// Connects to every configured database, sees that its migrations are applied, and is ready.
    ///
    /// # Errors
    /// [`Error::Connect`] when a database cannot be used; [`Error::NotMigrated`] when migrations are missing: nothing is
    /// migrated here, `stanchion migrate up` does.
    ///
    /// # Cancellation
    /// A dropped future leaves nothing open.
    pub async fn start(config: Config) -> Result<Self, Error> {
        Self::start_with(config, Arc::new(SystemClock)).await
    }

    /// As [`App::start`], with another clock.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let app = Self::connect(config, clock).await?;
        try_join_all(app.databases().iter().map(check_migrated)).await?;
        for db in app.databases() {
            // A service may run without the right to create tables; then somebody else makes the partitions.
            if let Err(error) = partitions::ensure_ahead(db.writer(), app.clock().now()).await {
                tracing::warn!(database = db.name(), %error, "partitions of the coming months could not be created");
            }
        }
        Ok(app)
    }

    async fn connect(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let keys = config.encryption.keys.iter().map(|(id, key)| (id.as_str(), key.expose()));
        let keyring = Keyring::new(config.encryption.active.as_deref(), keys).map_err(Error::other)?;
        let channels = Channels::configured(&config.alerting)?;
        let connections = config.distinct_databases().map(|(name, _, database)| async move {
            // Creating a SQLite file is the migrations' work; what has none yet has nothing to read.
            Db::connect(name, database, Options { create: database.url.is_in_memory() }).await
        });
        let databases = try_join_all(connections).await?;
        let domains = config
            .distinct_databases()
            .enumerate()
            .flat_map(|(at, (_, domains, _))| domains.into_iter().map(move |domain| (domain, at)))
            .collect();
        let partitions = Partitions::default();
        let insights = InsightsCache::default();
        let inner = Inner { config, databases, domains, clock, partitions, keyring, channels, insights };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Applies all migrations to every configured database, over connections of its own: the statement timeout of a
    /// service does not hold there. SQLite files are created.
    ///
    /// # Errors
    /// [`Error::Migration`], naming the database.
    pub async fn migrate(config: &Config) -> Result<(), Error> {
        for (name, _, database) in config.distinct_databases() {
            let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Migration { database: name, source };
            let db = crate::migration::connect(database.url.expose()).await.map_err(|error| failed(error.into()))?;
            Migrator::up(&db, None).await.map_err(|error| failed(error.into()))?;
            db.close().await.map_err(|error| failed(error.into()))?;
        }
        Ok(())
    }

    /// The configuration it was started with.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Where the time comes from.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    /// Every database once.
    pub fn databases(&self) -> &[Db] {
        &self.inner.databases
    }

    /// The database that a domain lives in.
    pub fn db(&self, domain: Domain) -> &Db {
        let at = self.inner.domains.iter().find(|(known, _)| *known == domain).map_or(0, |(_, at)| *at);
        &self.inner.databases[at]
    }

    /// Runs `body` in a transaction on a domain's database: [`Db::transaction`].
    ///
    /// # Errors
    /// As [`Db::transaction`].
    pub fn transaction<'s, T, F>(&'s self, domain: Domain, body: F) -> BoxFuture<'s, Result<T, Error>>
    where
        F: AsyncFn(&Tx) -> Result<T, Error> + for<'a> TxBody<'a, T> + 's,
        T: Send + 's,
    {
        self.db(domain).transaction(body)
    }

    /// Users.
    pub fn identity(&self) -> Identity<'_> {
        Identity::new(self.db(Domain::Identity), self.clock(), &self.inner.keyring)
    }

    /// Trades and exchange orders.
    pub fn trading(&self) -> Trading<'_> {
        Trading::new(self.db(Domain::Trading), self.clock(), &self.inner.partitions)
    }

    /// Alert rules, and the alerts they raise.
    pub fn alerting(&self) -> Alerting<'_> {
        Alerting::new(self.db(Domain::Alerting), self.clock(), &self.inner.config.alerting, &self.inner.channels)
    }

    /// Categories, products and reviews.
    pub fn catalog(&self) -> Catalog<'_> {
        Catalog::new(self.db(Domain::Catalog), self.clock())
    }

    /// Business figures over all domains, and how the databases are.
    pub fn insights(&self) -> Insights<'_> {
        Insights::new(self, &self.inner.insights)
    }

    /// Stock.
    pub fn inventory(&self) -> Inventory<'_> {
        Inventory::new(self.db(Domain::Inventory), self.clock())
    }

    /// Structured logs, and the audit chain.
    pub fn journal(&self) -> Journal<'_> {
        Journal::new(self.db(Domain::Journal), self.clock(), &self.inner.partitions)
    }

    /// Shops, purchases and points.
    pub fn mall(&self) -> Mall<'_> {
        Mall::new(self.db(Domain::Mall), self.clock())
    }

    /// Ticks and candles.
    pub fn market(&self) -> Market<'_> {
        Market::new(self.db(Domain::Market), self.clock())
    }

    /// Campaigns and coupons.
    pub fn marketing(&self) -> Marketing<'_> {
        Marketing::new(self.db(Domain::Marketing), self.clock())
    }

    /// Orders.
    pub fn ordering(&self) -> Ordering<'_> {
        let databases = Databases {
            ordering: self.db(Domain::Ordering),
            catalog: self.db(Domain::Catalog),
            inventory: self.db(Domain::Inventory),
            marketing: self.db(Domain::Marketing),
        };
        Ordering::new(databases, self.clock(), &self.inner.partitions)
    }

    /// Closes all connections, once those that are in use have come back.
    pub async fn close(&self) {
        for db in self.databases() {
            db.close().await;
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("databases", &self.inner.databases).finish_non_exhaustive()
    }
}

async fn check_migrated(db: &Db) -> Result<(), Error> {
    let pending = Migrator::get_pending_migrations_read_only(db.writer()).await?;
    if pending.is_empty() {
        return Ok(());
    }
    let pending = pending.len();
    Err(Error::NotMigrated { database: db.name(), engine: db.backend().as_str(), pending })
}

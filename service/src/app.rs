use std::fmt;
use std::sync::Arc;

use futures::future::{BoxFuture, try_join_all};

use crate::Error;
use crate::cache::{Cache, CacheOptions};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, Domain, LockKind, RedisUrl};
use crate::db::{Db, Options, Tx, TxBody};
use crate::domain::alerting::{Alerting, Channels};
use crate::domain::catalog::{Catalog, Pages};
use crate::domain::identity::{Identity, Keyring, Summaries};
use crate::domain::insights::{Insights, InsightsCache};
use crate::domain::inventory::Inventory;
use crate::domain::journal::Journal;
use crate::domain::mall::Mall;
use crate::domain::market::Market;
use crate::domain::marketing::Marketing;
use crate::domain::ordering::{Databases, Ordering};
use crate::domain::partitions::Partitions;
use crate::domain::trading::{Desk, Trading};
use crate::lock::{InProcess, LockStore, Locks, RedisLocks, SessionStore, TableStore};
use crate::migration::{Migrator, MigratorTrait, partitions};
use crate::redis::{self, Redis};

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
    cache: Cache,
    desk: Desk,
    locks: Locks,
    pages: Pages,
    summaries: Summaries,
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
        let connections =
            config.distinct_databases().map(|(name, _, database)| async move { connect(name, database).await });
        let databases = try_join_all(connections).await?;
        let domains: Vec<_> = config
            .distinct_databases()
            .enumerate()
            .flat_map(|(at, (_, domains, _))| domains.into_iter().map(move |domain| (domain, at)))
            .collect();
        let (cache, locks) = (cache(&config)?, locks(&config, databases.first()).await?);
        let desk = Desk::new(databases[place(&domains, Domain::Trading)].clone(), Arc::clone(&clock), &config);
        let inner = Inner {
            config,
            databases,
            domains,
            clock,
            partitions: Partitions::default(),
            keyring,
            channels,
            insights: InsightsCache::shared(&cache)?,
            pages: Pages::new(&cache)?,
            summaries: Summaries::new(&cache)?,
            cache,
            desk,
            locks,
        };
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
        &self.inner.databases[place(&self.inner.domains, domain)]
    }

    /// The cache: in this process and, if `cache.redis` is configured, in Redis.
    pub fn cache(&self) -> &Cache {
        &self.inner.cache
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
        Identity::new(self.db(Domain::Identity), self.clock(), &self.inner.keyring, &self.inner.summaries)
    }

    /// Trades and exchange orders.
    pub fn trading(&self) -> Trading<'_> {
        Trading::new(self.db(Domain::Trading), self.clock(), &self.inner.partitions)
    }

    /// Keeps this instance's share of the symbols of the configuration held, while it is run: see [`Desk`]. Always the same
    /// one.
    pub fn trading_desk(&self) -> &Desk {
        &self.inner.desk
    }

    /// Alert rules, and the alerts they raise.
    pub fn alerting(&self) -> Alerting<'_> {
        Alerting::new(self.db(Domain::Alerting), self.clock(), &self.inner.config.alerting, &self.inner.channels)
    }

    /// Categories, products and reviews.
    pub fn catalog(&self) -> Catalog<'_> {
        Catalog::new(self.db(Domain::Catalog), self.clock(), &self.inner.pages)
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

    /// Locks: who works on what. Kept where the section `distributed_lock` says; in the process when it is not enabled, and
    /// then each `App` has its own.
    pub fn locks(&self) -> &Locks {
        &self.inner.locks
    }

    /// The locks of that configuration, without the rest of an `App`: only what keeps them is connected to, so that they can be
    /// looked at while something else is down.
    ///
    /// # Errors
    /// [`Error::Connect`] and [`Error::NotMigrated`] when they are in rows of a database. Redis, and a database's sessions, are
    /// connected to when they are used.
    pub async fn locks_alone(config: &Config) -> Result<Locks, Error> {
        locks(config, None).await
    }

    /// Closes the connections of the cache and of the databases, once those that are in use have come back.
    ///
    /// Locks that are still held are not given back here: release them, or drop their guards, before; else their leases end
    /// them. Connections of the locks' own close with the last clone of what uses them.
    pub async fn close(&self) {
        self.cache().close().await;
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

async fn connect(name: &'static str, database: &config::Database) -> Result<Db, Error> {
    // Creating a SQLite file is the migrations' work; what has none yet has nothing to read.
    Ok(Db::connect(name, database, Options { create: database.url.is_in_memory() }).await?)
}

/// A cache as it is configured.
fn cache(config: &Config) -> Result<Cache, Error> {
    let redis = config.cache.redis.as_ref().map(|url| redis(config, url));
    let options = CacheOptions {
        prefix: config.cache.namespace.clone(),
        l1_capacity: config.cache.l1_capacity as u64,
        max_staleness: config.cache.max_staleness,
    };
    Cache::new(options, redis)
}

/// Which of the databases a domain lives in.
fn place(domains: &[(Domain, usize)], domain: Domain) -> usize {
    domains.iter().find(|(known, _)| *known == domain).map_or(0, |(_, at)| *at)
}

/// Locks as they are configured; those of a database are in the default one.
async fn locks(config: &Config, default: Option<&Db>) -> Result<Locks, Error> {
    let settings = &config.distributed_lock;
    let store: Arc<dyn LockStore> = match (settings.store(), &settings.redis) {
        (LockKind::InProcess, _) => Arc::new(InProcess::new()),
        (LockKind::Redis, Some(url)) => Arc::new(RedisLocks::new(redis(config, url), &config.cache.namespace)),
        (LockKind::Session, _) => Arc::new(SessionStore::new(&config.database, &config.cache.namespace)?),
        (LockKind::Table, _) => Arc::new(TableStore::new(match default {
            Some(db) => db.clone(),
            None => {
                let db = connect("default", &config.database).await?;
                check_migrated(&db).await?;
                db
            }
        })),
        (LockKind::Redis, None) => {
            return Err(Error::Invalid("locks are to be kept in Redis; set distributed_lock.redis.addr".to_owned()));
        }
    };
    Ok(Locks::with(store, &*config.instance.id, settings.on_outage))
}

/// A handle to Redis, which connects when it is first used: that it is down keeps no service from starting.
fn redis(config: &Config, url: &RedisUrl) -> Redis {
    let config::Redis { connect_timeout, command_timeout, .. } = config.redis;
    Redis::new(url.clone(), redis::Options { connect_timeout, command_timeout })
}

async fn check_migrated(db: &Db) -> Result<(), Error> {
    let pending = Migrator::get_pending_migrations_read_only(db.writer()).await?;
    if pending.is_empty() {
        return Ok(());
    }
    let pending = pending.len();
    Err(Error::NotMigrated { database: db.name(), engine: db.engine(), pending })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starting_can_be_spawned() {
        fn spawnable<F: Send>(_: F) {}
        spawnable(App::start(Config::default()));
    }
}

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::core::Core;
use super::level2::Level2;
use super::namespace::Namespace;
use super::options::{CacheOptions, NamespaceOptions};
use super::statistics::CacheStatistics;
use super::target::{Target, Told};
use crate::Error;
use crate::redis::Redis;

/// The TTL of the default namespaces.
const DEFAULT_TTL: Duration = Duration::from_secs(60);

/// A cache in this process and, with Redis, in front of one that all instances share. It is cheap to clone.
///
/// Guaranteed, whatever fails: a load that began before an invalidation is neither kept nor read after it, on this instance
/// from the moment that [`invalidate`](Self::invalidate) is called, on others from when Redis has it, but for what they hold
/// in the process: that goes when they hear of it, in a moment, and in [`CacheOptions::max_staleness`] at the latest.
///
/// ```
/// # async fn example() -> Result<(), stanchion::Error> {
/// use std::time::Duration;
/// use stanchion::cache::{Cache, CacheOptions, NamespaceOptions, Target};
///
/// let cache = Cache::new(CacheOptions::default(), None)?;
/// let names = cache.namespace::<String>("names", NamespaceOptions::ttl(Duration::from_secs(60)))?;
/// let name = names.get_or_load_tagged("42", &["shop:7"], || async { Ok("stanchion".to_owned()) }).await?;
/// assert_eq!(*name, "stanchion");
/// cache.invalidate([Target::tag("shop:7")]).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    core: Arc<Core>,
}

impl Cache {
    /// A cache; without Redis, of this process alone.
    ///
    /// # Errors
    /// [`CacheError::Options`](super::CacheError::Options).
    pub fn new(options: CacheOptions, redis: Option<Redis>) -> Result<Self, Error> {
        options.check()?;
        let core = Arc::new(Core::new(options, redis));
        core.listen();
        Ok(Self { core })
    }

    /// How it was set up.
    #[must_use]
    pub fn options(&self) -> &CacheOptions {
        &self.core.options
    }

    /// The namespace of that name: 1 to 64 letters, digits and `_ - .`. It is made at the first call; later ones, with the
    /// same type and options, get the same.
    ///
    /// # Errors
    /// [`CacheError::Options`](super::CacheError::Options); [`CacheError::Taken`](super::CacheError::Taken) if it exists with another type or other options.
    pub fn namespace<V>(&self, name: &str, options: NamespaceOptions<V>) -> Result<Namespace<V>, Error>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let space = self.core.spaces.named(name, &options)?;
        Ok(Namespace::new(self.clone(), space, options.weigher))
    }

    /// The namespace of a type that has none of its own; its entries live for a minute.
    ///
    /// # Errors
    /// [`CacheError::Taken`](super::CacheError::Taken) if its name, which is made of the type's, was taken by hand.
    pub fn default_namespace<V>(&self) -> Result<Namespace<V>, Error>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let space = self.core.spaces.typed::<V>(|| NamespaceOptions::ttl(DEFAULT_TTL))?;
        Ok(Namespace::new(self.clone(), space, None))
    }

    /// The value of a key in the [default namespace](Self::default_namespace) of its type, loaded if it is not there:
    /// [`Namespace::get_or_load`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancellation
    /// As there.
    pub async fn get_or_load<V, F, Fut>(&self, key: impl AsRef<str>, loader: F) -> Result<Arc<V>, Error>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, Error>> + Send + 'static,
    {
        self.default_namespace()?.get_or_load(key, loader).await
    }

    /// Invalidates keys, tags and namespaces together. Call it after the commit of what makes them invalid, not before.
    ///
    /// In this process it holds when the call returns, in Redis too unless that cannot be told: see [`Told`]. Two round
    /// trips for up to 500 targets, and two more for each 500 beyond.
    ///
    /// # Cancellation
    /// Once polled, it is carried out.
    pub async fn invalidate(&self, targets: impl IntoIterator<Item = Target>) -> Told {
        let targets: Vec<_> = targets.into_iter().map(Target::written).collect();
        self.core.count(&targets);
        self.core.invalidate_here(&targets);
        let Some(level2) = &self.core.level2 else { return Told::Everywhere };
        let telling = Telling { core: Arc::clone(&self.core), level2: Arc::clone(level2), targets, told: Told::Later };
        self.core.listen();
        tokio::spawn(telling.tell()).await.unwrap_or(Told::Later)
    }

    /// What it holds and has done.
    #[must_use]
    pub fn statistics(&self) -> CacheStatistics {
        self.core.sweep();
        let (entries, weight) = self.core.level1.size();
        let namespaces = self.core.spaces.all();
        let namespaces = namespaces.iter().map(|space| (Arc::clone(&space.name), space.counters.read()));
        CacheStatistics::of(entries, weight, namespaces.collect())
    }

    /// Empties the first level, here only; nothing is invalidated.
    pub fn clear(&self) {
        self.core.forget();
    }

    /// Ends what runs in the background, having told Redis what is still to be told if it answers. The cache can be used
    /// after it: the next read that the process cannot answer, and the next invalidation, begin it anew.
    ///
    /// # Cancellation
    /// What runs in the background may go on.
    pub async fn close(&self) {
        if let Some(level2) = &self.core.level2
            && level2.owes()
            && let Err(error) = level2.settle().boxed().await
        {
            tracing::warn!(%error, "Redis was not told of every invalidation; what it holds may be old until its TTL");
        }
        self.core.silence();
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

/// An invalidation that Redis is being told of. What it was not told when this ends, however that comes, it is owed.
struct Telling {
    core: Arc<Core>,
    level2: Arc<Level2>,
    targets: Vec<Target>,
    told: Told,
}

impl Telling {
    async fn tell(mut self) -> Told {
        match self.level2.tell(&self.targets).boxed().await {
            Ok(()) => self.told = Told::Everywhere,
            Err(error) => {
                tracing::warn!(%error, "Redis could not be told of an invalidation, and is told when it answers");
            }
        }
        self.told
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if self.told == Told::Later {
            self.level2.owe(self.targets.clone());
        }
        // What was read from Redis while it was not yet told.
        self.core.invalidate_here(&self.targets);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("options", &self.core.options).finish_non_exhaustive()
    }
}

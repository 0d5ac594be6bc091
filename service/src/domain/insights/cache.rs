use std::sync::Arc;
use std::time::Duration;

use super::{BusinessFigures, EngineFigures, Period};
use crate::Error;
use crate::cache::{Cache, CacheOptions, Namespace, NamespaceOptions};

/// How long figures are kept, unless another cache says otherwise.
pub const KEPT: Duration = Duration::from_secs(5);

/// Figures that a cache of their own keeps at the same time.
const FIGURES: u64 = 100;
/// The figures of engines are one value.
const ENGINES: &str = "all";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Period(Period),
    LastDays(u32),
}

impl Key {
    fn text(self) -> String {
        match self {
            Self::Period(period) => format!("{}:{}", period.from().micros(), period.to().micros()),
            Self::LastDays(days) => format!("last:{days}"),
        }
    }
}

/// Figures that were computed a moment ago. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct InsightsCache {
    business: Namespace<BusinessFigures>,
    engines: Namespace<Vec<EngineFigures>>,
}

impl InsightsCache {
    /// Keeps figures so long, in the memory of this process. With zero nothing is kept; those who ask at the same time still
    /// share one load.
    ///
    /// # Errors
    /// [`CacheError::Options`](crate::cache::CacheError::Options) for more than 30 days.
    pub fn keeping(time: Duration) -> Result<Self, Error> {
        let l1_capacity = if time.is_zero() { 0 } else { FIGURES };
        let cache = Cache::new(CacheOptions { l1_capacity, ..CacheOptions::default() }, None)?;
        Self::within(&cache, time.max(Duration::from_millis(1)))
    }

    /// Keeps figures in the service's cache for [`KEPT`]: those of the business for all instances, those of the databases,
    /// which are about this process's connections too, here.
    pub(crate) fn shared(cache: &Cache) -> Result<Self, Error> {
        Self::within(cache, KEPT)
    }

    fn within(cache: &Cache, time: Duration) -> Result<Self, Error> {
        Ok(Self {
            business: cache.namespace("insights.business", NamespaceOptions::ttl(time).jitter(0.0))?,
            engines: cache.namespace("insights.engines", NamespaceOptions::ttl(time).jitter(0.0).local_only())?,
        })
    }

    pub(super) async fn business(
        &self,
        key: Key,
        load: impl Future<Output = Result<BusinessFigures, Error>> + Send + 'static,
    ) -> Result<Arc<BusinessFigures>, Error> {
        self.business.get_or_load(key.text(), || load).await
    }

    pub(super) async fn engines(
        &self,
        load: impl Future<Output = Vec<EngineFigures>> + Send + 'static,
    ) -> Arc<Vec<EngineFigures>> {
        let loaded = self.engines.get_or_load(ENGINES, || async { Ok(load.await) }).await;
        // It fails only when the runtime is shutting down or the load takes half a minute: then nothing can be had.
        loaded.unwrap_or_default()
    }
}

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::{BusinessFigures, EngineFigures, Period};
use crate::Error;

/// How long figures are kept, unless another cache says otherwise.
pub const KEPT: Duration = Duration::from_secs(5);

/// Periods whose figures are kept at the same time.
const PERIODS: u64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Period(Period),
    LastDays(u32),
}

/// Figures that were computed a moment ago. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct InsightsCache {
    business: Cache<Key, Arc<BusinessFigures>>,
    engines: Cache<(), Arc<Vec<EngineFigures>>>,
}

impl Default for InsightsCache {
    fn default() -> Self {
        Self::keeping(KEPT)
    }
}

impl InsightsCache {
    /// Keeps figures so long. With zero nothing is kept; those who ask at the same time still share one load.
    pub fn keeping(time: Duration) -> Self {
        Self {
            business: Cache::builder().max_capacity(PERIODS).time_to_live(time).build(),
            engines: Cache::builder().max_capacity(1).time_to_live(time).build(),
        }
    }

    pub(super) async fn business(
        &self,
        key: Key,
        load: impl Future<Output = Result<BusinessFigures, Error>>,
    ) -> Result<Arc<BusinessFigures>, Error> {
        let loaded = Box::pin(self.business.try_get_with(key, async { load.await.map(Arc::new) })).await;
        loaded.map_err(|error| Arc::try_unwrap(error).unwrap_or_else(Error::other))
    }

    pub(super) async fn engines(&self, load: impl Future<Output = Vec<EngineFigures>>) -> Arc<Vec<EngineFigures>> {
        Box::pin(self.engines.get_with((), async { Arc::new(load.await) })).await
    }
}

use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::namespace::Namespace;
use crate::Error;

/// How far a [`Namespace::warm_up`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// All keys.
    pub total: usize,
    /// Those that are there now, whether they were loaded for it or were there before.
    pub loaded: usize,
    /// Those whose load failed.
    pub failed: usize,
}

impl Progress {
    /// Whether every key was tried.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.loaded + self.failed == self.total
    }
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Namespace<V> {
    /// Loads these keys, no more than `concurrency` (at least 1) at the same time, and says after each how far it has come;
    /// what is there already is not loaded. A load is one like any other: whoever asks for its key meanwhile waits for it,
    /// and an invalidation that comes during it is not undone. One that fails is logged and counted, and the others go on.
    ///
    /// # Cancellation
    /// No more loads begin; those that have begun come to their end.
    pub async fn warm_up<K, F, Fut>(
        &self,
        keys: impl IntoIterator<Item = K>,
        concurrency: usize,
        loader: F,
        mut told: impl FnMut(Progress),
    ) -> Progress
    where
        K: AsRef<str> + Send + 'static,
        F: Fn(K) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<V, Error>> + Send + 'static,
    {
        let keys: Vec<K> = keys.into_iter().collect();
        let mut progress = Progress { total: keys.len(), ..Progress::default() };
        let loads = keys.into_iter().map(|key| {
            let (text, loader) = (key.as_ref().to_owned(), loader.clone());
            async move { self.get_or_load(text, move || async move { loader(key).await }).await }
        });
        let mut loads = futures::stream::iter(loads).buffer_unordered(concurrency.max(1));
        while let Some(loaded) = loads.next().await {
            match loaded {
                Ok(_) => progress.loaded += 1,
                Err(error) => {
                    progress.failed += 1;
                    tracing::warn!(namespace = self.name(), %error, "a key could not be warmed up");
                }
            }
            told(progress);
        }
        progress
    }
}

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::namespace::Namespace;
use super::target::{Target, Told};
use crate::Error;

/// An asynchronous function whose results are kept in a namespace, by its argument as it is displayed.
///
/// ```
/// # async fn example(cache: stanchion::cache::Cache) -> Result<(), stanchion::Error> {
/// use std::time::Duration;
/// use stanchion::cache::{NamespaceOptions, cached};
///
/// let squares = cache.namespace("squares", NamespaceOptions::ttl(Duration::from_secs(60)))?;
/// let square = cached(&squares, |n: u64| async move { Ok(n * n) });
/// assert_eq!(*square.call(12).await?, 144);
/// square.invalidate(&12).await;
/// # Ok(())
/// # }
/// ```
pub struct Cached<V, A, F> {
    namespace: Namespace<V>,
    function: Arc<F>,
    argument: PhantomData<fn(A)>,
}

/// The function, with its results kept in `namespace`: its key is its argument as it is displayed, so that two arguments
/// which are displayed alike have one result. Of several arguments make a tuple's worth of text, and put a separator
/// between its parts.
pub fn cached<V, A, F, Fut>(namespace: &Namespace<V>, function: F) -> Cached<V, A, F>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    A: fmt::Display + Send + 'static,
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, Error>> + Send + 'static,
{
    Cached { namespace: namespace.clone(), function: Arc::new(function), argument: PhantomData }
}

impl<V, A, F, Fut> Cached<V, A, F>
where
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    A: fmt::Display + Send + 'static,
    F: Fn(A) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, Error>> + Send + 'static,
{
    /// The function's result: [`Namespace::get_or_load`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancellation
    /// As there.
    pub async fn call(&self, argument: A) -> Result<Arc<V>, Error> {
        let (key, function) = (argument.to_string(), Arc::clone(&self.function));
        self.namespace.get_or_load(key, move || async move { function(argument).await }).await
    }

    /// Invalidates the result for an argument: [`Namespace::invalidate`].
    pub async fn invalidate(&self, argument: &A) -> Told {
        self.namespace.invalidate(argument.to_string()).await
    }

    /// The result for an argument, to be invalidated together with others or after a commit.
    pub fn target(&self, argument: &A) -> Target {
        self.namespace.target(argument.to_string())
    }
}

impl<V, A, F> Clone for Cached<V, A, F> {
    fn clone(&self) -> Self {
        Self { namespace: self.namespace.clone(), function: Arc::clone(&self.function), argument: PhantomData }
    }
}

impl<V, A, F> fmt::Debug for Cached<V, A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

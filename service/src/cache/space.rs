use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::error::CacheError;
use super::key;
use super::options::{NamespaceOptions, Rules};
use super::statistics::Counters;
use super::tag::TagCell;

/// A namespace, apart from the type of its values.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) id: u32,
    pub(super) name: Arc<str>,
    pub(super) rules: Rules,
    /// The tag that all its entries have.
    pub(super) cell: Arc<TagCell>,
    pub(super) counters: Counters,
    value: TypeId,
    weighs: bool,
}

/// The namespaces that there are.
#[derive(Debug, Default)]
pub(super) struct Spaces {
    named: RwLock<HashMap<Arc<str>, Arc<Space>>>,
    /// The default ones, by the type of their values.
    typed: RwLock<HashMap<TypeId, Arc<Space>>>,
}

impl Spaces {
    /// The namespace of that name, which is made if there is none.
    pub(super) fn named<V: 'static>(
        &self,
        name: &str,
        options: &NamespaceOptions<V>,
    ) -> Result<Arc<Space>, CacheError> {
        if !key::is_namespace(name) {
            let message = "the name of a cache namespace must be 1 to 64 letters, digits and _ - .";
            return Err(CacheError::Options(message.to_owned()));
        }
        options.check()?;
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = named.get(name) {
            let same = space.value == TypeId::of::<V>()
                && space.rules == options.rules
                && space.weighs == options.weigher.is_some();
            let taken = || CacheError::Taken { namespace: Arc::clone(&space.name) };
            return same.then(|| Arc::clone(space)).ok_or_else(taken);
        }
        let space = Space {
            id: u32::try_from(named.len()).unwrap_or(u32::MAX),
            name: name.into(),
            rules: options.rules.clone(),
            cell: Arc::new(TagCell::new(&format!("n:{name}"))),
            counters: Counters::new(name.into()),
            value: TypeId::of::<V>(),
            weighs: options.weigher.is_some(),
        };
        let space = Arc::new(space);
        named.insert(Arc::clone(&space.name), Arc::clone(&space));
        Ok(space)
    }

    /// The default namespace of a type of values.
    pub(super) fn typed<V: 'static>(&self, options: fn() -> NamespaceOptions<V>) -> Result<Arc<Space>, CacheError> {
        let known = self.typed.read().unwrap_or_else(PoisonError::into_inner).get(&TypeId::of::<V>()).cloned();
        if let Some(space) = known {
            return Ok(space);
        }
        let space = self.named(&default_name::<V>(), &options())?;
        self.typed.write().unwrap_or_else(PoisonError::into_inner).insert(TypeId::of::<V>(), Arc::clone(&space));
        Ok(space)
    }

    /// The namespace of that name, if this process has made it.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Space>> {
        self.named.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Space>> {
        self.named.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// What the default namespace of a type is called, in every process of the same program.
pub(super) fn default_name<V>() -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(std::any::type_name::<V>().as_bytes());
    format!("default.{}", data_encoding::HEXLOWER.encode(&digest[..8]))
}

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::page::{ProductPage, page};
use crate::Error;
use crate::cache::{Cache, Namespace, NamespaceOptions, Target};
use crate::db::Db;

/// How long a page is kept; every change of what it shows invalidates it.
const TTL: Duration = Duration::from_secs(5 * 60);
/// How much longer while the database fails.
const STALE_FOR: Duration = Duration::from_secs(10 * 60);
/// What every page has: a category's name and place are on the pages of all products below it.
const CATEGORIES: &str = "catalog.categories";

/// The pages of products that are kept, and how what changes them says so.
#[derive(Clone, Debug)]
pub(crate) struct Pages(Namespace<ProductPage>);

impl Pages {
    pub(crate) fn new(cache: &Cache) -> Result<Self, Error> {
        let options = NamespaceOptions::ttl(TTL).stale_for(STALE_FOR).weigher(weight);
        Ok(Self(cache.namespace("catalog.pages", options)?))
    }

    pub(super) fn cache(&self) -> &Cache {
        self.0.cache()
    }

    pub(super) async fn get(&self, db: &Db, id: Uuid) -> Result<Arc<ProductPage>, Error> {
        let db = db.clone();
        self.0
            .get_or_load_tagged(id.to_string(), &[CATEGORIES], move || async move { page(db.latest(), id).await })
            .await
    }

    /// The page of a product.
    pub(super) fn of(&self, product: Uuid) -> [Target; 1] {
        [self.0.target(product.to_string())]
    }

    /// All pages: the name or the place of a category changes.
    pub(super) fn of_categories(&self) -> [Target; 1] {
        [Target::tag(CATEGORIES)]
    }
}

/// In entries of four kilobytes, about.
fn weight(page: &ProductPage) -> u32 {
    u32::try_from((page.product.description.len() + 256 * page.images.len()) / 4096).unwrap_or(u32::MAX)
}

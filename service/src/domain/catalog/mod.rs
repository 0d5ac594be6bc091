//! The catalog: categories, products, their images and reviews, and the search for products. Stock is inventory's alone.
//!
//! Categories are one tree, however many move them at once. A product is edited under an optimistic version; its rating and
//! its number of reviews are exact at any time. The words that it is found by are cut by [`analyze`] and written with it, so
//! the same words find the same products on every engine, in English and in Chinese.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/shop.db", folder.path().display());
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url.parse().unwrap()));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::catalog::{CategoryDetails, ProductDetails, ProductFilter};
//!
//! let catalog = app.catalog();
//! let tea = CategoryDetails { name: "Tea".parse()?, slug: "tea".parse()?, ..CategoryDetails::default() };
//! let tea = catalog.create_category(tea, None).await?;
//! let pot = ProductDetails {
//!     name: "Yixing tea pot 宜兴紫砂壶".parse()?,
//!     slug: "yixing-tea-pot".parse()?,
//!     price: "199.90".parse()?,
//!     ..ProductDetails::in_category(tea.id)
//! };
//! let pot = catalog.create_product(pot).await?;
//! catalog.put_on_sale(pot.id).await?;
//!
//! for words in ["tea POT", "紫砂壶"] {
//!     let found = catalog.products(&ProductFilter::search(words).on_sale()).await?;
//!     assert_eq!(found.items[0].id, pot.id);
//! }
//! assert_eq!(catalog.page(pot.id).await?.path[0].slug, "tea");
//! # app.close().await; Ok(()) }
//! ```

pub mod analyze;
mod category;
mod image;
mod kept;
mod list;
mod offer;
mod page;
mod product;
mod review;
mod search;
mod tree;

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::DbErr;
use uuid::Uuid;

pub use category::{
    CategoryDetails, MAX_CATEGORIES, MAX_DEPTH, category, create_category, delete_category, move_category,
    update_category,
};
pub use image::{MAX_IMAGES, add_image, covers, images, remove_image, reorder_images, set_cover};
pub(crate) use kept::Pages;
pub use list::{ProductFilter, products};
pub use offer::{Offer, offers};
pub use page::{ProductPage, page, page_by_slug};
pub use product::{
    ProductDetails, create_product, delete_product, product, product_by_slug, product_id, set_product_status,
    update_product,
};
pub use review::{MAX_REVIEW_IMAGES, NewReview, ReviewFilter, add_review, moderate_review, review, reviews};
pub use tree::{CategoryNode, Step, category_path, subtree_ids, tree};

use crate::Error;
use crate::clock::Clock;
use crate::db::{Db, Kind, Page, Tx};
use crate::entity::catalog::category::Model as Category;
use crate::entity::catalog::product::Model as Product;
use crate::entity::catalog::product_image::Model as Image;
use crate::entity::catalog::product_review::Model as Review;
use crate::entity::catalog::{ProductStatus, ReviewStatus};
use crate::types::Text;

/// The catalog service, on the database that the domain lives in, with its pages in the cache. Its round trips to the database are those of the functions that it calls;
/// a transaction is two more.
#[derive(Clone, Copy, Debug)]
pub struct Catalog<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
    pages: &'a Pages,
}

impl<'a> Catalog<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock, pages: &'a Pages) -> Self {
        Self { db, clock, pages }
    }

    /// Creates a category below `parent`, or a root. Six round trips, or four for a root.
    ///
    /// # Errors
    /// As [`create_category`].
    pub async fn create_category(&self, details: CategoryDetails, parent: Option<Uuid>) -> Result<Category, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| create_category(tx, details.clone(), parent, now).await).await
    }

    /// One category. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn category(&self, id: Uuid) -> Result<Category, Error> {
        category(self.db.reader(), id).await
    }

    /// Gives a category other details. One round trip.
    ///
    /// # Errors
    /// As [`update_category`].
    pub async fn update_category(&self, id: Uuid, details: CategoryDetails) -> Result<(), Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change_categories(async move { update_category(db.writer(), id, details, now).await }).await
    }

    /// Puts a category, with all that is below it, under another one, or makes it a root; the tree stays one, however many do
    /// so at once. Six round trips, or three for a root.
    ///
    /// # Errors
    /// As [`move_category`].
    pub async fn move_category(&self, id: Uuid, parent: Option<Uuid>) -> Result<(), Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change_categories(async move { db.transaction(async |tx| move_category(tx, id, parent, now).await).await })
            .await
    }

    /// Deletes a category with nothing in it. One round trip.
    ///
    /// # Errors
    /// As [`delete_category`].
    pub async fn delete_category(&self, id: Uuid) -> Result<(), Error> {
        delete_category(self.db.writer(), id).await
    }

    /// The roots with all that is below them, hidden ones too. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tree(&self) -> Result<Vec<CategoryNode>, Error> {
        tree(self.db.reader()).await
    }

    /// The ids of a category and of all below it, in no order; none for an unknown category. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn subtree_ids(&self, id: Uuid) -> Result<Vec<Uuid>, Error> {
        subtree_ids(self.db.reader(), id).await
    }

    /// The way to a category, its root first and itself last; empty for an unknown category. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn category_path(&self, id: Uuid) -> Result<Vec<Step>, Error> {
        category_path(self.db.reader(), id).await
    }

    /// Creates a product, off sale. Four round trips.
    ///
    /// # Errors
    /// As [`create_product`].
    pub async fn create_product(&self, details: ProductDetails) -> Result<Product, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| create_product(tx, details.clone(), now).await).await
    }

    /// Gives a product other details, if it is still of this version; the next version is returned. Six round trips: that
    /// its page is not what it was outlives this process, for the page shows the price.
    ///
    /// # Errors
    /// As [`update_product`]: [`Error::Stale`] when somebody changed it meanwhile.
    pub async fn update_product(&self, id: Uuid, version: i32, details: ProductDetails) -> Result<i32, Error> {
        let now = self.clock.now();
        let changed = self.db.transaction(async |tx| {
            let version = update_product(tx, id, version, details.clone(), now).await?;
            self.pages.cache().invalidate_durably(tx, self.pages.of(id)).await?;
            Ok(version)
        });
        changed.await
    }

    /// Puts a product on sale. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is on sale.
    pub async fn put_on_sale(&self, id: Uuid) -> Result<(), Error> {
        self.set_status(id, ProductStatus::OnSale).await
    }

    /// Takes a product off sale. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is off sale.
    pub async fn take_off_sale(&self, id: Uuid) -> Result<(), Error> {
        self.set_status(id, ProductStatus::OffSale).await
    }

    /// Deletes a product with its images, reviews and words. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn delete_product(&self, id: Uuid) -> Result<(), Error> {
        let db = self.db.clone();
        self.change(id, async move { delete_product(db.writer(), id).await }).await
    }

    /// One product. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn product(&self, id: Uuid) -> Result<Product, Error> {
        product(self.db.reader(), id).await
    }

    /// The product of a slug. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn product_by_slug(&self, slug: &str) -> Result<Product, Error> {
        product_by_slug(self.db.reader(), slug).await
    }

    /// All that the page of a product shows, but for its reviews and its stock. It is kept in the
    /// [cache](crate::App::cache) until something on it is changed by this service; who changes rows by the functions beside
    /// it calls [`page_changed`](Self::page_changed). None or three round trips, the last two at once.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database, which the predicates of [`Error`] see.
    ///
    /// # Cancellation
    /// The load goes on, for whoever asks next.
    pub async fn page(&self, id: Uuid) -> Result<Arc<ProductPage>, Error> {
        self.pages.get(self.db, id).await
    }

    /// The page of the product of a slug, which is looked up. One round trip, and those of [`page`](Self::page).
    ///
    /// # Errors
    /// As [`page`](Self::page).
    ///
    /// # Cancellation
    /// As [`page`](Self::page).
    pub async fn page_by_slug(&self, slug: &str) -> Result<Arc<ProductPage>, Error> {
        self.page(product_id(self.db.reader(), slug).await?).await
    }

    /// Notes in a transaction that it changes what the page of a product shows: after its commit, the page is loaded anew. For
    /// a caller who writes by the functions of this module, or by SeaORM.
    pub fn page_changed(&self, tx: &Tx, product: Uuid) {
        self.pages.cache().invalidate_after(tx, self.pages.of(product));
    }

    /// A page of a list of products, or of those that were searched for. One round trip.
    ///
    /// # Errors
    /// As [`products`].
    pub async fn products(&self, filter: &ProductFilter) -> Result<Page<Product>, Error> {
        products(self.db.reader(), filter).await
    }

    /// A product's pictures, in their order. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn images(&self, product: Uuid) -> Result<Vec<Image>, Error> {
        images(self.db.reader(), product).await
    }

    /// The covers of these products, of those that have one: what a list shows. One round trip.
    ///
    /// # Errors
    /// As [`covers`].
    pub async fn covers(&self, products: &[Uuid]) -> Result<HashMap<Uuid, Image>, Error> {
        covers(self.db.reader(), products).await
    }

    /// Adds a picture behind the others; the first one becomes the cover. Five round trips.
    ///
    /// # Errors
    /// As [`add_image`].
    pub async fn add_image(&self, product: Uuid, image_url: Text<255>) -> Result<Image, Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change(product, async move {
            db.transaction(async |tx| add_image(tx, product, image_url.clone(), now).await).await
        })
        .await
    }

    /// Puts a product's pictures into this order, which names each of them once. Five round trips.
    ///
    /// # Errors
    /// As [`reorder_images`].
    pub async fn reorder_images(&self, product: Uuid, order: &[Uuid]) -> Result<(), Error> {
        let (db, now, order) = (self.db.clone(), self.clock.now(), order.to_vec());
        self.change(
            product,
            async move { db.transaction(async |tx| reorder_images(tx, product, &order, now).await).await },
        )
        .await
    }

    /// Makes a picture the product's cover, the one that it has. Five round trips.
    ///
    /// # Errors
    /// As [`set_cover`].
    pub async fn set_cover(&self, product: Uuid, image: Uuid) -> Result<(), Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change(product, async move { db.transaction(async |tx| set_cover(tx, product, image, now).await).await })
            .await
    }

    /// Removes a picture; if it was the cover, the first one of the others becomes it. Five round trips, or six.
    ///
    /// # Errors
    /// As [`remove_image`].
    pub async fn remove_image(&self, product: Uuid, image: Uuid) -> Result<(), Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change(
            product,
            async move { db.transaction(async |tx| remove_image(tx, product, image, now).await).await },
        )
        .await
    }

    /// Adds a review, which waits for a moderator. One round trip.
    ///
    /// # Errors
    /// As [`add_review`].
    pub async fn add_review(&self, review: NewReview) -> Result<Review, Error> {
        add_review(self.db.writer(), review, self.clock.now()).await
    }

    /// Shows a review: it counts from now on. Five round trips.
    ///
    /// # Errors
    /// As [`moderate_review`].
    pub async fn publish_review(&self, id: Uuid) -> Result<(), Error> {
        self.moderate(id, ReviewStatus::Published).await
    }

    /// Hides a review: it counts no more. Five round trips, or four if it did not.
    ///
    /// # Errors
    /// As [`moderate_review`].
    pub async fn hide_review(&self, id: Uuid) -> Result<(), Error> {
        self.moderate(id, ReviewStatus::Hidden).await
    }

    /// One review. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn review(&self, id: Uuid) -> Result<Review, Error> {
        review(self.db.reader(), id).await
    }

    /// A page of reviews. One round trip.
    ///
    /// # Errors
    /// As [`reviews`].
    pub async fn reviews(&self, filter: &ReviewFilter) -> Result<Page<Review>, Error> {
        reviews(self.db.reader(), filter).await
    }

    async fn moderate(&self, id: Uuid, status: ReviewStatus) -> Result<(), Error> {
        let now = self.clock.now();
        let moderated = self.db.transaction(async |tx| {
            let product = moderate_review(tx, id, status, now).await?;
            self.page_changed(tx, product);
            Ok(())
        });
        moderated.await
    }

    async fn set_status(&self, id: Uuid, status: ProductStatus) -> Result<(), Error> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.change(id, async move { set_product_status(db.writer(), id, status, now).await }).await
    }

    /// Runs a change of what the page of a product shows.
    async fn change<T, F>(&self, product: Uuid, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.pages.cache().change(self.pages.of(product), work).await
    }

    /// Runs a change of what the pages of all products below a category show.
    async fn change_categories<F>(&self, work: F) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.pages.cache().change(self.pages.of_categories(), work).await
    }
}

/// What it means here that a key is taken, or that a reference does not hold.
fn refused(error: DbErr, taken: &str, dangling: impl FnOnce() -> Error) -> Error {
    let error = Error::from(error);
    match error.database_kind() {
        Some(Kind::UniqueViolation) => Error::Conflict(taken.to_owned()),
        Some(Kind::ForeignKeyViolation) => dangling(),
        _ => error,
    }
}

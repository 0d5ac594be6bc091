use futures::join;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::tree::{Step, category_path};
use super::{images, product, product_by_slug};
use crate::Error;
use crate::entity::catalog::{product as product_entity, product_image};

/// All that the page of a product shows, but for its reviews and its stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductPage {
    /// The product.
    pub product: product_entity::Model,
    /// Its pictures, in their order.
    pub images: Vec<product_image::Model>,
    /// The way to its category, from the root.
    pub path: Vec<Step>,
}

/// The page of a product. Three round trips, the last two at once where the connection is a pool.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn page(db: &impl ConnectionTrait, id: Uuid) -> Result<ProductPage, Error> {
    complete(db, product(db, id).await?).await
}

/// The page of the product of a slug. Three round trips, as [`page`].
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn page_by_slug(db: &impl ConnectionTrait, slug: &str) -> Result<ProductPage, Error> {
    complete(db, product_by_slug(db, slug).await?).await
}

async fn complete(db: &impl ConnectionTrait, product: product_entity::Model) -> Result<ProductPage, Error> {
    let (images, path) = join!(images(db, product.id), category_path(db, product.category_id));
    Ok(ProductPage { images: images?, path: path?, product })
}

use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::product::lock_product;
use crate::Error;
use crate::db::Tx;
use crate::db::page::MAX_LIMIT;
use crate::entity::catalog::product_image::{Column, Entity, Model};
use crate::types::{AtColumn, Text, Timestamp, id_at};

/// Pictures that a product has at most.
pub const MAX_IMAGES: usize = 50;

/// A product's pictures, in their order. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn images(db: &impl ConnectionTrait, product: Uuid) -> Result<Vec<Model>, Error> {
    let images = Entity::find().filter(Column::ProductId.eq(product));
    let images = images.order_by_asc(Column::SortOrder).order_by_asc(Column::Id).limit(MAX_IMAGES as u64);
    Ok(images.all(db).await?)
}

/// The covers of these products, of those that have one. One round trip.
///
/// # Errors
/// [`Error::Invalid`] for more than [`MAX_LIMIT`] products, and those of the database.
pub async fn covers(db: &impl ConnectionTrait, products: &[Uuid]) -> Result<HashMap<Uuid, Model>, Error> {
    if products.len() > MAX_LIMIT as usize {
        return Err(Error::Invalid(format!("the covers of at most {MAX_LIMIT} products are read at once")));
    }
    let covers = Entity::find().filter(Column::ProductId.is_in(products.iter().copied()));
    let covers = covers.filter(Column::IsCover.eq(true)).all(db).await?;
    Ok(covers.into_iter().map(|cover| (cover.product_id, cover)).collect())
}

/// Adds a picture behind the others; the first one becomes the cover. Three round trips.
///
/// # Errors
/// [`Error::NotFound`] for an unknown product; [`Error::Conflict`] when it has [`MAX_IMAGES`]; [`Error::Value`] for a blank
/// address.
pub async fn add_image(tx: &Tx, product: Uuid, image_url: Text<255>, now: Timestamp) -> Result<Model, Error> {
    let image_url = image_url.non_blank().at("product_images.image_url")?;
    lock_product(tx, product).await?;
    let others = images(tx, product).await?;
    if others.len() >= MAX_IMAGES {
        return Err(Error::Conflict(format!("the product {product} has {MAX_IMAGES} images already")));
    }
    let model = Model {
        id: id_at(now).at("product_images.id")?,
        product_id: product,
        image_url,
        sort_order: others.last().map_or(0, |last| last.sort_order + 1),
        is_cover: !others.iter().any(|other| other.is_cover),
        created_at: now,
        updated_at: now,
    };
    Entity::insert(model.clone().into_active_model()).exec_without_returning(tx).await?;
    Ok(model)
}

/// Puts a product's pictures into this order, which names each of them once. Three round trips.
///
/// # Errors
/// [`Error::NotFound`] for an unknown product; [`Error::Conflict`] when the order does not name exactly the pictures that the
/// product has: somebody may have added or removed one meanwhile.
pub async fn reorder_images(tx: &Tx, product: Uuid, order: &[Uuid], now: Timestamp) -> Result<(), Error> {
    lock_product(tx, product).await?;
    let known: BTreeSet<Uuid> = images(tx, product).await?.iter().map(|image| image.id).collect();
    if order.len() != known.len() || order.iter().copied().collect::<BTreeSet<_>>() != known {
        return Err(Error::Conflict(format!("the order does not name exactly the images of the product {product}")));
    }
    if order.is_empty() {
        return Ok(());
    }
    let place = (0_i32..)
        .zip(order)
        .fold(CaseStatement::new(), |case, (place, id)| case.case(Expr::col(Column::Id).eq(*id), Expr::val(place)));
    let update = Entity::update_many()
        .col_expr(Column::SortOrder, place.finally(Expr::col(Column::SortOrder)).into())
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::ProductId.eq(product));
    update.exec(tx).await?;
    Ok(())
}

/// Makes a picture the product's cover, the one that it has. Three round trips.
///
/// # Errors
/// [`Error::NotFound`] for an unknown product, or an image that is not the product's.
pub async fn set_cover(tx: &Tx, product: Uuid, image: Uuid, now: Timestamp) -> Result<(), Error> {
    lock_product(tx, product).await?;
    if !images(tx, product).await?.iter().any(|known| known.id == image) {
        return Err(not_found(image));
    }
    cover(tx, product, image, now).await
}

/// Removes a picture; if it was the cover, the first one of the others becomes it. Three round trips, or four.
///
/// # Errors
/// [`Error::NotFound`] for an unknown product, or an image that is not the product's.
pub async fn remove_image(tx: &Tx, product: Uuid, image: Uuid, now: Timestamp) -> Result<(), Error> {
    lock_product(tx, product).await?;
    let images = images(tx, product).await?;
    let removed = images.iter().find(|known| known.id == image).ok_or_else(|| not_found(image))?;
    Entity::delete_by_id(image).exec(tx).await?;
    match images.iter().find(|other| other.id != image) {
        Some(next) if removed.is_cover => cover(tx, product, next.id, now).await,
        _ => Ok(()),
    }
}

/// One statement: there is one cover at any time.
async fn cover(tx: &Tx, product: Uuid, image: Uuid, now: Timestamp) -> Result<(), Error> {
    let update = Entity::update_many()
        .col_expr(Column::IsCover, Expr::col(Column::Id).eq(image))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::ProductId.eq(product));
    update.exec(tx).await?;
    Ok(())
}

fn not_found(id: Uuid) -> Error {
    Error::not_found("image of the product", id)
}

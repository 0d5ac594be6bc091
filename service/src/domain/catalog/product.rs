use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::{analyze, refused};
use crate::Error;
use crate::db::{ById, Tx};
use crate::domain::{State, Transition};
use crate::entity::catalog::product::{Column, Entity, Model};
use crate::entity::catalog::{ProductStatus, product_terms};
use crate::types::{AtColumn, LongText, Money, Problem, Rating, Text, Timestamp, ValueError, id_at};

const SLUG_TAKEN: &str = "there is a product of this slug already";

/// What a product is, as whoever edits it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductDetails {
    /// Its name; not blank.
    pub name: Text<200>,
    /// Its name in addresses, which no other product has; not blank.
    pub slug: Text<200>,
    /// What it is.
    pub description: LongText,
    /// The category it is in.
    pub category_id: Uuid,
    /// Its brand; empty where it has none.
    pub brand: Text<100>,
    /// What it costs; not negative.
    pub price: Money,
    /// What it cost before, where that is shown; not negative.
    pub original_price: Option<Money>,
    /// Whether it is shown among the sought-after ones.
    pub is_hot: bool,
    /// Whether it is shown among the new ones.
    pub is_new: bool,
    /// Whether it is shown among the recommended ones.
    pub is_recommend: bool,
}

impl ProductDetails {
    /// A product without a name that costs nothing, in this category: to fill in.
    pub fn in_category(category_id: Uuid) -> Self {
        Self {
            name: Text::default(),
            slug: Text::default(),
            description: Text::default(),
            category_id,
            brand: Text::default(),
            price: Money::ZERO,
            original_price: None,
            is_hot: false,
            is_new: false,
            is_recommend: false,
        }
    }

    fn checked(self) -> Result<Self, ValueError> {
        let name = self.name.non_blank().at("products.name")?;
        let slug = self.slug.non_blank().at("products.slug")?;
        for (price, column) in [(Some(self.price), "products.price"), (self.original_price, "products.original_price")]
        {
            if price.is_some_and(|price| price < Money::ZERO) {
                return Err(ValueError::at(column, Problem::Malformed { expected: "zero or more" }));
            }
        }
        Ok(Self { name, slug, ..self })
    }

    fn terms(&self) -> Result<LongText, ValueError> {
        analyze::terms(&self.name, &self.brand, &self.description).at("product_terms.terms")
    }

    fn missing(&self) -> impl FnOnce() -> Error + use<> {
        let category = self.category_id;
        move || Error::not_found("category", category)
    }
}

static BY_ID: ById<Entity> = ById::new();

/// One product. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn product(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| not_found(id))
}

/// The product of a slug. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn product_by_slug(db: &impl ConnectionTrait, slug: &str) -> Result<Model, Error> {
    let product = Entity::find().filter(Column::Slug.eq(slug)).one(db).await?;
    product.ok_or_else(|| Error::not_found("product", "of this slug"))
}

/// The id of the product of a slug. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn product_id(db: &impl ConnectionTrait, slug: &str) -> Result<Uuid, Error> {
    let id = Entity::find().select_only().column(Column::Id).filter(Column::Slug.eq(slug)).into_tuple().one(db).await?;
    id.ok_or_else(|| Error::not_found("product", "of this slug"))
}

/// Creates a product, off sale, with the words that it is found by. Two round trips.
///
/// # Errors
/// [`Error::Conflict`] when the slug is taken; [`Error::NotFound`] for an unknown category; [`Error::Value`] for a blank name
/// or slug or a negative price.
pub async fn create_product(tx: &Tx, details: ProductDetails, now: Timestamp) -> Result<Model, Error> {
    let details = details.checked()?;
    let (terms, missing) = (details.terms()?, details.missing());
    let model = Model {
        id: id_at(now).at("products.id")?,
        name: details.name,
        slug: details.slug,
        description: details.description,
        category_id: details.category_id,
        brand: details.brand,
        price: details.price,
        original_price: details.original_price,
        sold_count: 0,
        rating: Rating::ZERO,
        review_count: 0,
        rating_sum: 0,
        status: ProductStatus::OffSale,
        is_hot: details.is_hot,
        is_new: details.is_new,
        is_recommend: details.is_recommend,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let inserted = Entity::insert(model.clone().into_active_model()).exec_without_returning(tx).await;
    inserted.map_err(|error| refused(error, SLUG_TAKEN, missing))?;
    let terms = product_terms::Model { product_id: model.id, terms }.into_active_model();
    product_terms::Entity::insert(terms).exec_without_returning(tx).await?;
    Ok(model)
}

/// Gives a product other details, if it is still of this version; the next version is returned. Two round trips; another
/// one to say why not.
///
/// # Errors
/// [`Error::Stale`] when somebody changed it meanwhile; [`Error::NotFound`] for the product or its category;
/// [`Error::Conflict`] when the slug is taken; [`Error::Value`] as in [`create_product`].
pub async fn update_product(
    tx: &Tx,
    id: Uuid,
    version: i32,
    details: ProductDetails,
    now: Timestamp,
) -> Result<i32, Error> {
    let details = details.checked()?;
    let (terms, missing) = (details.terms()?, details.missing());
    let update = Entity::update_many()
        .col_expr(Column::Name, Expr::val(details.name))
        .col_expr(Column::Slug, Expr::val(details.slug))
        .col_expr(Column::Description, Expr::val(details.description))
        .col_expr(Column::CategoryId, Expr::val(details.category_id))
        .col_expr(Column::Brand, Expr::val(details.brand))
        .col_expr(Column::Price, Expr::val(details.price))
        .col_expr(Column::OriginalPrice, Expr::val(details.original_price))
        .col_expr(Column::IsHot, Expr::val(details.is_hot))
        .col_expr(Column::IsNew, Expr::val(details.is_new))
        .col_expr(Column::IsRecommend, Expr::val(details.is_recommend))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .filter(Column::Version.eq(version));
    let updated = update.exec(tx).await.map_err(|error| refused(error, SLUG_TAKEN, missing))?;
    if updated.rows_affected == 0 {
        product(tx, id).await?;
        return Err(Error::stale("product", id));
    }
    let update = product_terms::Entity::update_many()
        .col_expr(product_terms::Column::Terms, Expr::val(terms))
        .filter(product_terms::Column::ProductId.eq(id));
    update.exec(tx).await?;
    Ok(version + 1)
}

impl State for ProductStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        self != next
    }
}

/// Puts a product on sale, or takes it off sale. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is that already.
pub async fn set_product_status(
    db: &impl ConnectionTrait,
    id: Uuid,
    status: ProductStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let update = Entity::update_many()
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .col_expr(Column::UpdatedAt, Expr::val(now));
    Transition { what: "product", id: Column::Id, state: Column::Status, to: status }.apply(db, id, update).await
}

/// Deletes a product with its images, reviews and words. What refers to it in other domains keeps its id. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn delete_product(db: &impl ConnectionTrait, id: Uuid) -> Result<(), Error> {
    let deleted = Entity::delete_by_id(id).exec(db).await?;
    if deleted.rows_affected == 0 { Err(not_found(id)) } else { Ok(()) }
}

/// Locks a product until the transaction ends: what belongs to it is changed by one at a time.
pub(super) async fn lock_product(tx: &Tx, id: Uuid) -> Result<(), Error> {
    let locked = Entity::find_by_id(id).select_only().column(Column::Id).lock_exclusive();
    locked.into_tuple::<Uuid>().one(tx).await?.map(drop).ok_or_else(|| not_found(id))
}

fn not_found(id: Uuid) -> Error {
    Error::not_found("product", id)
}

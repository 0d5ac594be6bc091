use rust_decimal::Decimal;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, JoinType, QueryFilter, QuerySelect, QueryTrait,
    RelationTrait,
};
use uuid::Uuid;

use super::refused;
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{Page, Tx};
use crate::domain::{State, Transition};
use crate::entity::catalog::product_review::{Column, Entity, Model, Relation};
use crate::entity::catalog::{ReviewStatus, product};
use crate::types::{AtColumn, Json, LongText, Rating, Text, Timestamp, id_at};

/// Pictures that a review has at most.
pub const MAX_REVIEW_IMAGES: usize = 9;

/// What a buyer says about a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReview {
    /// The product.
    pub product_id: Uuid,
    /// The user who wrote it.
    pub user_id: Uuid,
    /// The order that the product came with.
    pub order_id: Uuid,
    /// One star to five.
    pub rating: i32,
    /// The review in a line.
    pub title: Text<200>,
    /// The review.
    pub content: LongText,
    /// Where its pictures are; [`MAX_REVIEW_IMAGES`] at most.
    pub images: Vec<Text<255>>,
    /// Whether the caller has seen that the order is the user's, with the product in it.
    pub is_verified: bool,
}

impl State for ReviewStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        self != next && next != Self::Pending
    }
}

/// Adds a review, which waits for a moderator: it does not count yet. One round trip.
///
/// # Errors
/// [`Error::Conflict`] when the product of this order has a review; [`Error::NotFound`] for an unknown product;
/// [`Error::Invalid`] for a rating that is not one star to five, or too many pictures.
pub async fn add_review(db: &impl ConnectionTrait, review: NewReview, now: Timestamp) -> Result<Model, Error> {
    if !(1..=5).contains(&review.rating) {
        return Err(Error::Invalid("a rating is one star to five".to_owned()));
    }
    if review.images.len() > MAX_REVIEW_IMAGES {
        return Err(Error::Invalid(format!("a review has at most {MAX_REVIEW_IMAGES} images")));
    }
    let product = review.product_id;
    let model = Model {
        id: id_at(now).at("product_reviews.id")?,
        product_id: product,
        user_id: review.user_id,
        order_id: review.order_id,
        rating: review.rating,
        title: review.title,
        content: review.content,
        images: Json::of(&review.images).at("product_reviews.images")?,
        is_verified: review.is_verified,
        status: ReviewStatus::Pending,
        created_at: now,
        updated_at: now,
    };
    let inserted = Entity::insert(model.clone().into_active_model()).exec_without_returning(db).await;
    let taken = "the product of this order has a review already";
    inserted.map_err(|error| refused(error, taken, || Error::not_found("product", product)))?;
    Ok(model)
}

/// One review. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn review(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| Error::not_found("review", id))
}

/// Publishes or hides a review, says of which product it is, and keeps its product's rating and count with it: exactly, whoever else does so, since the
/// sum and the number of the stars are counted under the product's lock. Three round trips, or two where nothing is
/// counted.
///
/// The rating is the sum by the count, rounded to hundredths, halves up.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is that already.
pub async fn moderate_review(tx: &Tx, id: Uuid, status: ReviewStatus, now: Timestamp) -> Result<Uuid, Error> {
    // Both rows are locked by one statement, the review's first: of one product's reviews nobody holds another's.
    let counted = Entity::find_by_id(id)
        .select_only()
        .columns([Column::Status, Column::Rating])
        .columns([product::Column::Id, product::Column::RatingSum, product::Column::ReviewCount])
        .join(JoinType::InnerJoin, Relation::Product.def())
        .lock_exclusive()
        .into_tuple::<(ReviewStatus, i32, Uuid, i64, i64)>();
    let (before, stars, product, sum, count) = counted.one(tx).await?.ok_or_else(|| Error::not_found("review", id))?;

    let update = Entity::update_many().col_expr(Column::UpdatedAt, Expr::val(now));
    Transition { what: "review", id: Column::Id, state: Column::Status, to: status }.apply(tx, id, update).await?;

    let more = match (before, status) {
        (_, ReviewStatus::Published) => 1,
        (ReviewStatus::Published, _) => -1,
        _ => return Ok(product),
    };
    let (sum, count) = (sum + more * i64::from(stars), count + more);
    let update = product::Entity::update_many()
        .col_expr(product::Column::RatingSum, Expr::val(sum))
        .col_expr(product::Column::ReviewCount, Expr::val(count))
        .col_expr(product::Column::Rating, Expr::val(mean(sum, count)?))
        .col_expr(product::Column::UpdatedAt, Expr::val(now))
        .filter(product::Column::Id.eq(product));
    update.exec(tx).await?;
    Ok(product)
}

/// `sum / count` in hundredths, halves up; zero of nothing.
fn mean(sum: i64, count: i64) -> Result<Rating, Error> {
    let hundredths = if count == 0 { 0 } else { (200 * sum + count) / (2 * count) };
    Ok(Rating::new(Decimal::new(hundredths, 2)).at("products.rating")?)
}

/// Which reviews, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    product: Option<Uuid>,
    user: Option<Uuid>,
    status: Option<ReviewStatus>,
}

crate::domain::paged!(ReviewFilter);

impl ReviewFilter {
    /// All reviews.
    pub fn new() -> Self {
        Self::default()
    }

    /// The published reviews of a product: what its page shows.
    pub fn of_product(product: Uuid) -> Self {
        Self::new().product(product).status(ReviewStatus::Published)
    }

    /// Of this product.
    #[must_use]
    pub const fn product(mut self, product: Uuid) -> Self {
        self.criteria.product = Some(product);
        self
    }

    /// By this user.
    #[must_use]
    pub const fn user(mut self, user: Uuid) -> Self {
        self.criteria.user = Some(user);
        self
    }

    /// Of this status.
    #[must_use]
    pub const fn status(mut self, status: ReviewStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }
}

/// A page of reviews. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn reviews(db: &impl ConnectionTrait, filter: &ReviewFilter) -> Result<Page<Model>, Error> {
    let Criteria { product, user, status } = filter.criteria;
    let select = Entity::find()
        .apply_if(product, |select, product| select.filter(Column::ProductId.eq(product)))
        .apply_if(user, |select, user| select.filter(Column::UserId.eq(user)))
        .apply_if(status, |select, status| select.filter(Column::Status.eq(status)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

#[cfg(test)]
mod tests {
    use super::mean;

    #[test]
    fn a_mean_is_rounded_half_up() {
        let table =
            [(0, 0, "0.00"), (5, 1, "5.00"), (10, 3, "3.33"), (14, 3, "4.67"), (35, 8, "4.38"), (801, 200, "4.01")];
        for (sum, count, expected) in table {
            assert_eq!(mean(sum, count).unwrap().to_string(), expected, "{sum}/{count}");
        }
        assert_eq!(mean(5_000_000_000, 1_000_000_000).unwrap().to_string(), "5.00");
    }
}

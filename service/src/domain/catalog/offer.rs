use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QueryOrder, QuerySelect, RelationTrait,
};
use uuid::Uuid;

use crate::Error;
use crate::entity::catalog::ProductStatus;
use crate::entity::catalog::product::{Column, Entity, Relation};
use crate::entity::catalog::product_image::Column as Image;
use crate::types::{Money, Text};

/// Products that one statement asks for: well below what every engine binds.
const PRODUCTS: usize = 1_000;

/// What a product is sold as at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The product.
    pub product_id: Uuid,
    /// Its name.
    pub name: Text<200>,
    /// Its cover, if it has one.
    pub image: Option<Text<255>>,
    /// What one costs.
    pub price: Money,
    /// Whether it can be bought.
    pub on_sale: bool,
}

/// The offers of these products, each once, in the order of their ids; products that do not exist are left out. One round
/// trip for each 1,000 products.
///
/// # Errors
/// Those of the database.
pub async fn offers(db: &impl ConnectionTrait, products: &[Uuid]) -> Result<Vec<Offer>, Error> {
    type Row = (Uuid, Text<200>, Money, ProductStatus, Option<Text<255>>);
    let mut wanted = products.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let mut offers: Vec<Offer> = Vec::with_capacity(wanted.len());
    for wanted in wanted.chunks(PRODUCTS) {
        let cover = Relation::ProductImage.def().on_condition(|_, _| Image::IsCover.eq(true).into());
        let rows: Vec<Row> = Entity::find()
            .select_only()
            .columns([Column::Id, Column::Name, Column::Price, Column::Status])
            .column(Image::ImageUrl)
            .join(JoinType::LeftJoin, cover)
            .filter(Column::Id.is_in(wanted.iter().copied()))
            .order_by_asc(Column::Id)
            .order_by_asc(Image::SortOrder)
            .order_by_asc(Image::Id)
            .into_tuple()
            .all(db)
            .await?;
        for (product_id, name, price, status, image) in rows {
            // Of several covers the first one counts.
            if offers.last().is_none_or(|last| last.product_id != product_id) {
                offers.push(Offer { product_id, name, image, price, on_sale: status == ProductStatus::OnSale });
            }
        }
    }
    Ok(offers)
}

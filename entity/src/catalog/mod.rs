//! The catalog: categories, products, their images and reviews. Stock is inventory's alone.

pub mod category;
pub mod product;
pub mod product_image;
pub mod product_review;
pub mod product_terms;

use crate::words;

words! {
    /// Whether a category is shown.
    pub enum CategoryStatus {
        /// It is shown.
        Active = "active",
        /// It is not.
        Hidden = "hidden",
    }
}

words! {
    /// Whether a product can be bought.
    pub enum ProductStatus {
        /// It can.
        OnSale = "on_sale",
        /// It cannot.
        OffSale = "off_sale",
    }
}

words! {
    /// Whether a review is shown; only one that is counts for the product's rating.
    pub enum ReviewStatus {
        /// It waits for a moderator.
        Pending = "pending",
        /// It is shown.
        Published = "published",
        /// A moderator has hidden it.
        Hidden = "hidden",
    }
}

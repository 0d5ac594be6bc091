//! The mall: shops, purchases between users, and points.
//!
//! Points are kept in double entry. What one user pays another is two entries of opposite sign; what is recharged or
//! withdrawn crosses the border of the system and is one. So the sum of all entries is the sum of all balances, and of
//! each account alike, which [`Mall::audit`] proves. Every movement carries a key that makes it idempotent, no balance
//! falls below zero, and accounts are locked in the order of their users, so that transfers that cross wait for each
//! other and never deadlock.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::mall::PointsMove;
//! use stanchion::types::new_id;
//!
//! let (ann, bob) = (new_id(), new_id());
//! app.mall().move_points(&PointsMove::recharge(ann, "100".parse()?, "invoice-1".parse()?)).await?;
//! let gift = PointsMove::transfer(ann, bob, "30".parse()?, "gift-1".parse()?);
//! let moved = app.mall().move_points(&gift).await?;
//! // The same again, after an answer that was lost, say, is the same movement.
//! assert_eq!(app.mall().move_points(&gift).await?, moved);
//! assert_eq!(app.mall().points_account(bob).await?.balance.to_string(), "30.0000");
//! # app.close().await; Ok(()) }
//! ```

mod account;
mod audit;
mod movement;
mod payment;
mod purchase;
mod shop;

pub use account::{PointsFilter, open_points_account, points_account, points_statement};
pub use audit::{Audit, MISMATCHES, Mismatch, audit};
pub use movement::{MovementKey, PointsMove, PointsMovement, move_points, points_movement};
pub use payment::{pay_with_points, refund_points};
pub use purchase::{
    NewPurchase, PurchaseFilter, approve_purchase, complete_purchase, create_purchase, purchase, purchases,
    reject_purchase,
};
pub use shop::{ShopFilter, open_shop, rename_shop, set_shop_level, set_shop_status, shop, shops};

use crate::clock::Clock;
use crate::db::Db;

/// The mall service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Mall<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
}

impl<'a> Mall<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }
}

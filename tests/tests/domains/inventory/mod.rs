//! Stock is never sold twice, never lost, and its log says why it is what it is.

mod movements;
mod orders;
mod rush;

use std::time::Duration;

use stanchion::domain::inventory::{Availability, Line, LogFilter, NewWarehouse, Receipt};
use stanchion::entity::inventory::{MovementKind, inventory_log, warehouse};
use stanchion::types::{Text, new_id};
use stanchion_tests::Stage;
use stanchion_tests::testbed::TestDatabase;
use uuid::Uuid;

/// A stage for a rush: on a machine that is busy, the last of many waits long for a connection.
async fn crowded(database: TestDatabase) -> Stage {
    Stage::with(database, |config| config.database.acquire_timeout = Duration::from_secs(60)).await.unwrap()
}

/// Opens a warehouse.
async fn warehouse(stage: &Stage, code: &str) -> Uuid {
    opened(stage, code).await.id
}

async fn opened(stage: &Stage, code: &str) -> warehouse::Model {
    let new = NewWarehouse { code: text(code), name: text(code), address: text("a street") };
    stage.app.inventory().open_warehouse(new).await.unwrap()
}

/// Puts so many of a product into a warehouse.
async fn stock(stage: &Stage, product_id: Uuid, warehouse_id: Uuid, quantity: i64) {
    let receipt = Receipt { product_id, warehouse_id, quantity, reference: text(&new_id().to_string()) };
    stage.app.inventory().receive(&receipt).await.unwrap();
}

/// A product of which a new warehouse has so many.
async fn stocked(stage: &Stage, quantity: i64) -> Uuid {
    let product = new_id();
    let warehouse = warehouse(stage, &new_id().to_string()).await;
    stock(stage, product, warehouse, quantity).await;
    product
}

const fn line(product_id: Uuid, quantity: i64) -> Line {
    Line { product_id, quantity }
}

/// What is there, and what of it is reserved.
async fn figures(stage: &Stage, product: Uuid) -> (i64, i64) {
    let Availability { on_hand, reserved, .. } = stage.app.inventory().availability(&[product]).await.unwrap()[0];
    (on_hand, reserved)
}

/// The log of an order, or of another reference: kinds, deltas and balances, in no order.
async fn entries(stage: &Stage, reference: &str) -> Vec<(MovementKind, i64, i64)> {
    let page = stage.app.inventory().log(&LogFilter::new().reference(reference)).await.unwrap();
    let mut entries: Vec<_> =
        page.items.iter().map(|entry: &inventory_log::Model| (entry.kind, entry.delta, entry.balance_after)).collect();
    entries.sort_unstable();
    entries
}

/// The log adds up to the stock.
async fn assert_sound(stage: &Stage) {
    assert_eq!(stage.app.inventory().audit().await.unwrap(), []);
}

fn text<const N: usize>(text: &str) -> Text<N> {
    text.parse().unwrap()
}

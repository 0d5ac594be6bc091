//! What an order does with the stock.

use stanchion::Error;
use stanchion::domain::inventory::{Line, MAX_LINES, WarehouseChange};
use stanchion::entity::inventory::MovementKind;
use stanchion::types::new_id;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{assert_sound, entries, figures, line, stock, stocked, warehouse};

on_every_backend! {
    an_order_reserves_and_takes_what_it_wants,
    an_order_that_is_undone_holds_nothing,
    what_comes_back_is_there_again,
    all_lines_are_reserved_or_none,
    a_refusal_names_what_is_missing,
    the_same_order_again_changes_nothing,
    other_lines_for_the_same_order_are_refused,
    a_released_order_cannot_reserve_any_more,
    steps_out_of_order_are_refused,
    a_line_comes_from_the_warehouse_that_has_most,
    a_line_is_split_only_if_no_warehouse_has_enough,
    what_is_in_a_warehouse_that_is_not_active_is_not_sold,
    orders_that_make_no_sense_are_refused,
    a_large_order_costs_no_more_round_trips,
    a_refused_reservation_leaves_nothing_in_the_callers_transaction,
}

async fn an_order_reserves_and_takes_what_it_wants(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product, order) = (stocked(&stage, 10).await, new_id());

    let (done, trips) = stage.counted(inventory.reserve(order, &[line(product, 4)])).await;
    done.unwrap();
    assert_eq!(trips, 6);
    assert_eq!(figures(&stage, product).await, (10, 4));
    assert_sound(&stage).await;

    let (done, trips) = stage.counted(inventory.commit(order)).await;
    done.unwrap();
    assert_eq!(trips, 7);
    assert_eq!(figures(&stage, product).await, (6, 0));
    assert_eq!(
        entries(&stage, &order.to_string()).await,
        [(MovementKind::Reserve, 4, 4), (MovementKind::Commit, -4, 6)]
    );
    assert_sound(&stage).await;

    // Once, however often.
    inventory.commit(order).await.unwrap();
    inventory.reserve(order, &[line(product, 4)]).await.unwrap();
    assert_eq!(figures(&stage, product).await, (6, 0));
    assert_sound(&stage).await;
}

async fn an_order_that_is_undone_holds_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product, order) = (stocked(&stage, 10).await, new_id());
    inventory.reserve(order, &[line(product, 4)]).await.unwrap();
    let (done, trips) = stage.counted(inventory.release(order)).await;
    done.unwrap();
    assert_eq!(trips, 7);
    assert_eq!(figures(&stage, product).await, (10, 0));
    for _ in 0..3 {
        inventory.release(order).await.unwrap();
    }
    assert_eq!(figures(&stage, product).await, (10, 0));
    assert_eq!(
        entries(&stage, &order.to_string()).await,
        [(MovementKind::Reserve, 4, 4), (MovementKind::Release, -4, 0)]
    );
    assert_sound(&stage).await;
}

async fn what_comes_back_is_there_again(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product, order) = (stocked(&stage, 10).await, new_id());
    inventory.reserve(order, &[line(product, 4)]).await.unwrap();
    inventory.commit(order).await.unwrap();
    let (done, trips) = stage.counted(inventory.restock(order)).await;
    done.unwrap();
    assert_eq!(trips, 7);
    inventory.restock(order).await.unwrap();
    // A commit that comes late finds that all is done.
    inventory.commit(order).await.unwrap();
    assert_eq!(figures(&stage, product).await, (10, 0));
    let inbound = (MovementKind::Inbound, 4, 10);
    assert!(entries(&stage, &order.to_string()).await.contains(&inbound));
    assert_sound(&stage).await;
}

async fn all_lines_are_reserved_or_none(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (plenty, scarce, order) = (stocked(&stage, 10).await, stocked(&stage, 1).await, new_id());
    for lines in [[line(plenty, 1), line(scarce, 2)], [line(scarce, 2), line(plenty, 1)]] {
        assert!(inventory.reserve(order, &lines).await.unwrap_err().is_conflict());
        assert_eq!((figures(&stage, plenty).await, figures(&stage, scarce).await), ((10, 0), (1, 0)));
    }
    assert_eq!(entries(&stage, &order.to_string()).await, []);
    // A refusal is no release: when there is enough, the order may have it.
    inventory.reserve(order, &[line(plenty, 1), line(scarce, 1)]).await.unwrap();
    assert_eq!((figures(&stage, plenty).await, figures(&stage, scarce).await), ((10, 1), (1, 1)));
    assert_sound(&stage).await;
}

async fn a_refusal_names_what_is_missing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let product = stocked(&stage, 3).await;
    let error = stage.app.inventory().reserve(new_id(), &[line(product, 5)]).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    let said = error.to_string();
    assert_eq!(said, format!("of the product {product}, 5 are wanted and 3 are available"));

    let unknown = new_id();
    let error = stage.app.inventory().reserve(new_id(), &[line(unknown, 1)]).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("0 are available"), "{error}");
}

async fn the_same_order_again_changes_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (one, other, order) = (stocked(&stage, 10).await, stocked(&stage, 10).await, new_id());
    inventory.reserve(order, &[line(one, 4), line(other, 1)]).await.unwrap();
    inventory.reserve(order, &[line(other, 1), line(one, 4)]).await.unwrap();
    // Lines of the same product are one.
    inventory.reserve(order, &[line(other, 1), line(one, 1), line(one, 3)]).await.unwrap();
    assert_eq!((figures(&stage, one).await, figures(&stage, other).await), ((10, 4), (10, 1)));
    assert_sound(&stage).await;
}

async fn other_lines_for_the_same_order_are_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product, order) = (stocked(&stage, 10).await, new_id());
    inventory.reserve(order, &[line(product, 4)]).await.unwrap();
    for lines in [vec![line(product, 5)], vec![line(product, 4), line(new_id(), 1)], vec![line(new_id(), 4)]] {
        assert!(inventory.reserve(order, &lines).await.unwrap_err().is_conflict());
    }
    assert_eq!(figures(&stage, product).await, (10, 4));
}

async fn a_released_order_cannot_reserve_any_more(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product, order) = (stocked(&stage, 10).await, new_id());
    let (done, trips) = stage.counted(inventory.release(order)).await;
    done.unwrap();
    assert_eq!(trips, 5);
    // Neither of what was there, nor of what came into being since.
    let late = stocked(&stage, 10).await;
    for product in [product, late] {
        let error = inventory.reserve(order, &[line(product, 1)]).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)) && error.to_string().contains("released"), "{error}");
        assert_eq!(figures(&stage, product).await, (10, 0));
    }
    assert!(inventory.commit(order).await.unwrap_err().is_conflict());
    inventory.release(order).await.unwrap();
    assert_eq!(entries(&stage, &order.to_string()).await, []);
    assert_sound(&stage).await;
}

async fn steps_out_of_order_are_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let product = stocked(&stage, 10).await;
    for unknown in [inventory.commit(new_id()).await, inventory.restock(new_id()).await] {
        assert!(unknown.unwrap_err().is_not_found());
    }
    let order = new_id();
    inventory.reserve(order, &[line(product, 4)]).await.unwrap();
    let refused = inventory.restock(order).await.unwrap_err().to_string();
    assert!(refused.contains("is reserved and cannot become restocked"), "{refused}");
    inventory.commit(order).await.unwrap();
    let refused = inventory.release(order).await.unwrap_err().to_string();
    assert!(refused.contains("is committed and cannot become released"), "{refused}");
    assert_eq!(figures(&stage, product).await, (6, 0));

    let undone = new_id();
    inventory.reserve(undone, &[line(product, 1)]).await.unwrap();
    inventory.release(undone).await.unwrap();
    let refused = inventory.commit(undone).await.unwrap_err().to_string();
    assert!(refused.contains("is released and cannot become committed"), "{refused}");
    assert!(inventory.restock(undone).await.unwrap_err().is_conflict());
    assert_eq!(figures(&stage, product).await, (6, 0));
    assert_sound(&stage).await;
}

async fn a_line_comes_from_the_warehouse_that_has_most(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let product = new_id();
    let (north, south) = (warehouse(&stage, "north").await, warehouse(&stage, "south").await);
    stock(&stage, product, north, 5).await;
    stock(&stage, product, south, 8).await;
    let order = new_id();
    inventory.reserve(order, &[line(product, 4)]).await.unwrap();
    assert_eq!(entries(&stage, &order.to_string()).await, [(MovementKind::Reserve, 4, 4)]);
    // Now the north has more.
    let order = new_id();
    inventory.reserve(order, &[line(product, 5)]).await.unwrap();
    assert_eq!(entries(&stage, &order.to_string()).await, [(MovementKind::Reserve, 5, 5)]);
    assert_eq!(figures(&stage, product).await, (13, 9));
}

async fn a_line_is_split_only_if_no_warehouse_has_enough(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let product = new_id();
    for (code, quantity) in [("north", 5), ("south", 8), ("east", 2)] {
        let warehouse = warehouse(&stage, code).await;
        stock(&stage, product, warehouse, quantity).await;
    }
    let order = new_id();
    inventory.reserve(order, &[line(product, 12)]).await.unwrap();
    let name = order.to_string();
    assert_eq!(entries(&stage, &name).await, [(MovementKind::Reserve, 4, 4), (MovementKind::Reserve, 8, 8)]);
    assert!(inventory.reserve(new_id(), &[line(product, 4)]).await.unwrap_err().is_conflict());
    inventory.commit(order).await.unwrap();
    assert_eq!(figures(&stage, product).await, (3, 0));
    inventory.restock(order).await.unwrap();
    assert_eq!(figures(&stage, product).await, (15, 0));
    assert_sound(&stage).await;
}

async fn what_is_in_a_warehouse_that_is_not_active_is_not_sold(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let product = new_id();
    let (north, south) = (warehouse(&stage, "north").await, warehouse(&stage, "south").await);
    stock(&stage, product, north, 5).await;
    stock(&stage, product, south, 3).await;
    let before = new_id();
    inventory.reserve(before, &[line(product, 5)]).await.unwrap();
    let closed = WarehouseChange { is_active: Some(false), ..WarehouseChange::default() };
    inventory.change_warehouse(north, closed).await.unwrap();
    assert_eq!(figures(&stage, product).await, (3, 0));
    assert!(inventory.reserve(new_id(), &[line(product, 4)]).await.unwrap_err().is_conflict());
    inventory.reserve(new_id(), &[line(product, 3)]).await.unwrap();
    // What was reserved before may still leave.
    inventory.commit(before).await.unwrap();
    assert_sound(&stage).await;
}

async fn orders_that_make_no_sense_are_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let product = stocked(&stage, 10).await;
    let too_many: Vec<Line> = (0..=MAX_LINES).map(|_| line(new_id(), 1)).collect();
    let senseless = [
        vec![],
        vec![line(product, 0)],
        vec![line(product, -1)],
        vec![line(product, 5), line(product, -4)],
        vec![line(product, i64::MIN)],
        vec![line(product, i64::MAX), line(product, 1)],
        too_many,
    ];
    for lines in senseless {
        let error = inventory.reserve(new_id(), &lines).await.unwrap_err();
        assert!(error.is_invalid(), "{error:?}");
    }
    assert!(inventory.reserve(new_id(), &[line(product, i64::MAX)]).await.unwrap_err().is_conflict());
    assert_eq!(figures(&stage, product).await, (10, 0));
}

async fn a_large_order_costs_no_more_round_trips(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let north = warehouse(&stage, "north").await;
    let mut lines = Vec::new();
    for quantity in 1..=60 {
        let product = new_id();
        stock(&stage, product, north, 100).await;
        lines.push(line(product, quantity));
    }
    let order = new_id();
    let (done, trips) = stage.counted(inventory.reserve(order, &lines)).await;
    done.unwrap();
    assert_eq!(trips, 6);
    let (done, trips) = stage.counted(inventory.commit(order)).await;
    done.unwrap();
    assert_eq!(trips, 7);
    for line in lines {
        assert_eq!(figures(&stage, line.product_id).await, (100 - line.quantity, 0));
    }
    assert_sound(&stage).await;
}

async fn a_refused_reservation_leaves_nothing_in_the_callers_transaction(database: TestDatabase) {
    use stanchion::config::Domain;
    use stanchion::domain::inventory::reserve;

    let stage = Stage::on(database).await.unwrap();
    let (product, order, now) = (stocked(&stage, 1).await, new_id(), stage.app.clock().now());
    let refused = stage.app.transaction(Domain::Inventory, async |tx| {
        let refused = reserve(tx, order, &[line(product, 2)], now).await;
        Ok(refused.is_err_and(|error| error.is_conflict()))
    });
    assert!(refused.await.unwrap());
    // Committed all the same, and the order is as if it had never asked.
    assert!(stage.app.inventory().commit(order).await.unwrap_err().is_not_found());
    stage.app.inventory().reserve(order, &[line(product, 1)]).await.unwrap();
}

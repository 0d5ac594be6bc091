//! Goods that come, go and are counted; warehouses, lists and the audit.

use stanchion::db::{CursorError, Order};
use stanchion::domain::inventory::{
    Adjustment, LogFilter, NewWarehouse, Receipt, StockFilter, Transfer, WarehouseChange, WarehouseFilter,
};
use stanchion::entity::inventory::MovementKind;
use stanchion::sea_orm::ConnectionTrait;
use stanchion::types::{Problem, Text, Timestamp, new_id};
use stanchion::{Error, config::Domain};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{assert_sound, entries, figures, line, opened, stock, stocked, text, warehouse};

on_every_backend! {
    goods_come_in_once_for_a_reference,
    a_count_corrects_what_there_is,
    goods_that_are_moved_are_in_one_place,
    movements_that_make_no_sense_are_refused,
    warehouses_are_opened_changed_and_listed,
    reading_is_one_round_trip,
    the_log_is_listed_by_what_it_says,
    the_audit_finds_a_row_that_does_not_add_up,
    a_time_before_1970_is_refused,
}

async fn goods_come_in_once_for_a_reference(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product_id, warehouse_id) = (new_id(), warehouse(&stage, "north").await);
    let receipt = Receipt { product_id, warehouse_id, quantity: 7, reference: text("delivery 🚚 1") };
    let (done, trips) = stage.counted(inventory.receive(&receipt)).await;
    done.unwrap();
    assert_eq!(trips, 8);
    inventory.receive(&receipt).await.unwrap();
    assert_eq!(figures(&stage, product_id).await, (7, 0));
    assert_eq!(entries(&stage, "delivery 🚚 1").await, [(MovementKind::Inbound, 7, 7)]);

    let (done, trips) = stage.counted(inventory.receive(&Receipt { reference: text("2"), ..receipt.clone() })).await;
    done.unwrap();
    assert_eq!(trips, 6);
    let other = Receipt { quantity: 8, ..receipt.clone() };
    assert!(matches!(inventory.receive(&other).await, Err(Error::Conflict(_))));
    // Text from right to left, and as long as the column.
    for reference in ["תעודת משלוח".to_owned(), "é".repeat(100)] {
        inventory.receive(&Receipt { reference: text(&reference), ..receipt.clone() }).await.unwrap();
        assert_eq!(entries(&stage, &reference).await.len(), 1);
    }
    let most = Receipt { quantity: i64::MAX, reference: text("3"), ..receipt };
    assert!(inventory.receive(&most).await.unwrap_err().is_invalid());
    assert_eq!(figures(&stage, product_id).await, (28, 0));
    assert_sound(&stage).await;
}

async fn a_count_corrects_what_there_is(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product_id, warehouse_id) = (new_id(), warehouse(&stage, "north").await);
    let count = |delta, reason: &str| Adjustment { product_id, warehouse_id, delta, reason: text(reason) };
    inventory.adjust(&count(10, "count 1")).await.unwrap();
    inventory.reserve(new_id(), &[line(product_id, 4)]).await.unwrap();
    let (done, trips) = stage.counted(inventory.adjust(&count(-6, "count 2"))).await;
    done.unwrap();
    assert_eq!(trips, 6);
    // The same again is the same count, though there would not be enough for another.
    inventory.adjust(&count(-6, "count 2")).await.unwrap();
    assert_eq!(figures(&stage, product_id).await, (4, 4));
    for delta in [-1, -5, i64::MIN] {
        let error = inventory.adjust(&count(delta, "count 3")).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    }
    assert_eq!(figures(&stage, product_id).await, (4, 4));
    assert_eq!(entries(&stage, "count 2").await, [(MovementKind::Adjust, -6, 4)]);
    assert_sound(&stage).await;
}

async fn goods_that_are_moved_are_in_one_place(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (north, south, east) =
        (warehouse(&stage, "north").await, warehouse(&stage, "south").await, warehouse(&stage, "east").await);
    let product_id = new_id();
    stock(&stage, product_id, north, 10).await;
    stock(&stage, product_id, south, 1).await;
    let move_ = |quantity, reference: &str| Transfer {
        product_id,
        from: north,
        to: south,
        quantity,
        reference: text(reference),
    };
    let (done, trips) = stage.counted(inventory.transfer(&move_(4, "van 1"))).await;
    done.unwrap();
    assert_eq!(trips, 8);
    inventory.transfer(&move_(4, "van 1")).await.unwrap();
    let at = async |warehouse| {
        let page = inventory.stocks(&StockFilter::new().product(product_id).warehouse(warehouse)).await.unwrap();
        page.items.first().map_or(0, |stock| stock.on_hand)
    };
    assert_eq!((at(north).await, at(south).await), (6, 5));
    assert_eq!(entries(&stage, "van 1").await, [(MovementKind::Inbound, 4, 5), (MovementKind::Outbound, -4, 6)]);
    // Not more than is there, nor under another's reference, nor elsewhere under the same.
    let elsewhere = Transfer { to: east, ..move_(4, "van 1") };
    for refused in [move_(7, "van 2"), move_(5, "van 1"), elsewhere.clone()] {
        let error = inventory.transfer(&refused).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    }
    assert_eq!((at(north).await, at(south).await, at(east).await), (6, 5, 0));
    // What is reserved stays.
    inventory.reserve(new_id(), &[line(product_id, 6)]).await.unwrap();
    assert!(inventory.transfer(&move_(1, "van 3")).await.unwrap_err().is_conflict());
    // Goods leave a warehouse that is not active, and do not go to one.
    inventory.change_warehouse(east, WarehouseChange { is_active: Some(false), ..Default::default() }).await.unwrap();
    let to_east = Transfer { from: south, to: east, reference: text("van 4"), ..elsewhere };
    assert!(inventory.transfer(&to_east).await.unwrap_err().is_conflict());
    assert_sound(&stage).await;
}

async fn movements_that_make_no_sense_are_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let (product_id, warehouse_id) = (new_id(), warehouse(&stage, "north").await);
    stock(&stage, product_id, warehouse_id, 5).await;
    let receipt = Receipt { product_id, warehouse_id, quantity: 1, reference: text("1") };
    let transfer = Transfer { product_id, from: warehouse_id, to: new_id(), quantity: 1, reference: text("1") };
    let adjustment = Adjustment { product_id, warehouse_id, delta: 1, reason: text("1") };
    for quantity in [0, -1, i64::MIN] {
        assert!(inventory.receive(&Receipt { quantity, ..receipt.clone() }).await.unwrap_err().is_invalid());
        assert!(inventory.transfer(&Transfer { quantity, ..transfer.clone() }).await.unwrap_err().is_invalid());
    }
    assert!(inventory.adjust(&Adjustment { delta: 0, ..adjustment.clone() }).await.unwrap_err().is_invalid());
    for blank in ["", " \u{a0}\t"] {
        let error = inventory.receive(&Receipt { reference: text(blank), ..receipt.clone() }).await.unwrap_err();
        assert_eq!(error.to_string(), "inventory_logs.reference is empty");
        assert!(inventory.adjust(&Adjustment { reason: text(blank), ..adjustment.clone() }).await.is_err());
        assert!(inventory.transfer(&Transfer { reference: text(blank), ..transfer.clone() }).await.is_err());
    }
    let within = Transfer { to: warehouse_id, ..transfer.clone() };
    assert!(matches!(inventory.transfer(&within).await, Err(Error::Invalid(_))));
    let unknown = new_id();
    assert!(inventory.receive(&Receipt { warehouse_id: unknown, ..receipt.clone() }).await.unwrap_err().is_not_found());
    let elsewhere = Adjustment { warehouse_id: unknown, ..adjustment };
    assert!(inventory.adjust(&elsewhere).await.unwrap_err().is_not_found());
    assert!(inventory.transfer(&transfer).await.unwrap_err().is_not_found());
    let out_of_nowhere = Transfer { from: unknown, to: warehouse_id, ..transfer };
    assert!(inventory.transfer(&out_of_nowhere).await.unwrap_err().is_not_found());
    let closed = WarehouseChange { is_active: Some(false), ..WarehouseChange::default() };
    inventory.change_warehouse(warehouse_id, closed).await.unwrap();
    assert!(inventory.receive(&receipt).await.unwrap_err().is_conflict());
    // What a text cannot be, it is not even made of.
    assert_eq!(Text::<100>::try_from("a\0b").unwrap_err().problem(), &Problem::Nul);
    assert!(Text::<100>::try_from("é".repeat(101)).is_err());
    assert_sound(&stage).await;
}

async fn warehouses_are_opened_changed_and_listed(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let north = opened(&stage, "north").await;
    let south = opened(&stage, "المخزن 🏬").await;
    assert_eq!(inventory.warehouse(north.id).await.unwrap(), north);
    assert_eq!(inventory.warehouse_by_code("المخزن 🏬").await.unwrap(), south);
    for unknown in ["NORTH", "north ", "a\0b", &"x".repeat(51)] {
        assert!(inventory.warehouse_by_code(unknown).await.unwrap_err().is_not_found(), "{unknown:?}");
    }
    let taken = NewWarehouse { code: text("north"), name: text("another"), ..NewWarehouse::default() };
    assert!(inventory.open_warehouse(taken).await.unwrap_err().is_conflict());
    let blank = NewWarehouse { code: text("x"), name: text(" "), ..NewWarehouse::default() };
    assert_eq!(inventory.open_warehouse(blank).await.unwrap_err().to_string(), "warehouses.name is empty");

    let change = WarehouseChange { name: Some(text("The North")), is_active: Some(false), address: None };
    let (done, trips) = stage.counted(inventory.change_warehouse(north.id, change.clone())).await;
    done.unwrap();
    assert_eq!(trips, 1);
    let changed = inventory.warehouse(north.id).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.is_active, changed.address), ("The North", false, north.address));
    // The same again is no error, and a change of nothing neither.
    inventory.change_warehouse(north.id, change.clone()).await.unwrap();
    inventory.change_warehouse(north.id, WarehouseChange::default()).await.unwrap();
    assert!(inventory.change_warehouse(new_id(), change).await.unwrap_err().is_not_found());

    let active = inventory.warehouses(&WarehouseFilter::new().active(true)).await.unwrap();
    assert_eq!(active.items, [south]);
    let first = inventory.warehouses(&WarehouseFilter::new().limit(1)).await.unwrap();
    let rest = inventory.warehouses(&WarehouseFilter::new().limit(1).after(first.next)).await.unwrap();
    assert_ne!(first.items, rest.items);
    assert!(rest.next.is_none());
    let other = WarehouseFilter::new().active(false).after(first.next);
    assert!(matches!(inventory.warehouses(&other).await, Err(Error::Cursor(CursorError::AnotherList))));
}

async fn reading_is_one_round_trip(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let product = stocked(&stage, 3).await;
    let (rows, trips) = stage.counted(inventory.availability(&[new_id(), product, product])).await;
    let available: Vec<i64> = rows.unwrap().iter().map(|row| row.available()).collect();
    assert_eq!((available, trips), (vec![0, 3, 3], 1));
    assert_eq!(inventory.availability(&[]).await.unwrap(), []);
    let many: Vec<_> = (0..1_001).map(|_| new_id()).collect();
    assert!(inventory.availability(&many).await.unwrap_err().is_invalid());
    assert_eq!(inventory.availability(&many[1..]).await.unwrap().len(), 1_000);
    for trips in [
        stage.counted(inventory.stocks(&StockFilter::new())).await.1,
        stage.counted(inventory.log(&LogFilter::new())).await.1,
        stage.counted(inventory.warehouses(&WarehouseFilter::new())).await.1,
        stage.counted(inventory.audit()).await.1,
    ] {
        assert_eq!(trips, 1);
    }
}

async fn the_log_is_listed_by_what_it_says(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let inventory = stage.app.inventory();
    let product = stocked(&stage, 30).await;
    let before = stage.app.clock().now();
    stage.clock.advance(std::time::Duration::from_secs(3_600));
    for _ in 0..5 {
        inventory.reserve(new_id(), &[line(product, 2)]).await.unwrap();
    }
    let row = inventory.stocks(&StockFilter::new().product(product)).await.unwrap().items[0].id;
    let reserved = LogFilter::new().stock(row).kind(MovementKind::Reserve).order(Order::Asc).limit(2);
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = inventory.log(&reserved.clone().after(cursor)).await.unwrap();
        seen.extend(page.items.iter().map(|entry| entry.id));
        match page.next {
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
    let count = async |filter: LogFilter| inventory.log(&filter).await.unwrap().items.len();
    assert_eq!(count(LogFilter::new().from(stage.app.clock().now())).await, 5);
    assert_eq!(count(LogFilter::new().to(stage.app.clock().now())).await, 1);
    assert_eq!(count(LogFilter::new().from(before).to(before)).await, 0);
    let far = |text: &str| text.parse::<Timestamp>().unwrap();
    let always = LogFilter::new().from(far("1000-01-01T00:00:00Z")).to(far("9999-12-31T23:59:59.999999Z"));
    assert_eq!(count(always).await, 6);
    for nothing in ["", "a\0b", "'; DROP TABLE inventory_logs; --", "👩‍👩‍👧"] {
        assert_eq!(count(LogFilter::new().reference(nothing)).await, 0);
    }
    let first = inventory.log(&LogFilter::new().limit(1)).await.unwrap();
    let other = LogFilter::new().kind(MovementKind::Reserve).after(first.next);
    assert!(matches!(inventory.log(&other).await, Err(Error::Cursor(CursorError::AnotherList))));
    for forged in ["", "AAAA", "not a cursor", "🙂"] {
        assert!(forged.parse::<stanchion::db::Cursor>().is_err());
    }
}

async fn the_audit_finds_a_row_that_does_not_add_up(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let (sound, touched, held) = (stocked(&stage, 5).await, stocked(&stage, 6).await, stocked(&stage, 7).await);
    stage.app.inventory().reserve(new_id(), &[line(sound, 1), line(touched, 1), line(held, 1)]).await.unwrap();
    assert_sound(&stage).await;
    let db = stage.app.db(Domain::Inventory).writer();
    db.execute_unprepared("UPDATE inventory SET on_hand = on_hand + 1 WHERE on_hand = 6").await.unwrap();
    db.execute_unprepared("UPDATE inventory SET reserved = 0 WHERE on_hand = 7").await.unwrap();
    let mut found = stage.app.inventory().audit().await.unwrap();
    found.sort_by_key(|row| row.product_id != touched);
    let figures: Vec<_> = found
        .iter()
        .map(|row| (row.product_id, row.on_hand, row.logged_on_hand, row.reserved, row.logged_reserved))
        .collect();
    // By then both have seven, and nothing reserved.
    assert_eq!(figures, [(touched, 7, 6, 0, 1), (held, 7, 7, 0, 1)]);
}

async fn a_time_before_1970_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let product = stocked(&stage, 5).await;
    stage.clock.set(Timestamp::from_millis(-1).unwrap());
    let order = new_id();
    let error = stage.app.inventory().reserve(order, &[line(product, 1)]).await.unwrap_err();
    assert_eq!(error.to_string(), "inventory_logs.id is before 1970, which an id cannot carry");
    assert_eq!(figures(&stage, product).await, (5, 0));
    // Far ahead it goes on.
    stage.clock.set("2500-01-01T00:00:00Z".parse().unwrap());
    stage.app.inventory().reserve(order, &[line(product, 1)]).await.unwrap();
    assert_eq!(figures(&stage, product).await, (5, 1));
    assert_sound(&stage).await;
}

use futures::future::join_all;
use sea_orm::EntityTrait;
use stanchion::Error;
use stanchion::db::CursorError;
use stanchion::domain::identity::{AddressFilter, NewAddress};
use stanchion::entity::identity::user_address;
use stanchion::types::new_id;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::user;

on_every_backend! {
    at_most_one_address_is_the_default_whoever_asks_at_once,
    an_address_is_added_made_the_default_and_removed,
    addresses_of_somebody_else_are_out_of_reach,
    addresses_are_listed_in_pages,
}

fn new(receiver: &str, is_default: bool) -> NewAddress {
    NewAddress {
        receiver_name: receiver.parse().unwrap(),
        city: "上海".parse().unwrap(),
        detail_address: "شارع 5 🏠\nلا شيء".parse().unwrap(),
        is_default,
        ..NewAddress::default()
    }
}

async fn at_most_one_address_is_the_default_whoever_asks_at_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let ann = user(&stage.app, "ann").await;
    let mut ids = Vec::new();
    for number in 0..4 {
        let added = stage.app.identity().add_address(ann.id, new(&format!("{number}"), false)).await.unwrap();
        ids.push(added.id);
    }
    let db = stage.database.connect().await.unwrap();
    for round in 0..3 {
        let calls = (0..12).map(|number: usize| {
            let (app, id) = (stage.app.clone(), ids[number % 4]);
            tokio::spawn(async move {
                if number.is_multiple_of(3) {
                    app.identity()
                        .add_address(ann.id, new(&format!("{round} {number}"), true))
                        .await
                        .map(drop)
                        .unwrap();
                } else {
                    app.identity().set_default_address(ann.id, id).await.unwrap();
                }
            })
        });
        join_all(calls).await.into_iter().for_each(|call| call.unwrap());
        let all = user_address::Entity::find().all(&db).await.unwrap();
        assert_eq!(all.iter().filter(|address| address.is_default).count(), 1, "{all:?}");
    }
}

async fn an_address_is_added_made_the_default_and_removed(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    let (first, trips) = stage.counted(identity.add_address(ann.id, new("1", false))).await;
    let first = first.unwrap();
    assert_eq!(trips, 4);
    assert_eq!(identity.default_address(ann.id).await.unwrap(), None);
    let (second, trips) = stage.counted(identity.add_address(ann.id, new("2", true))).await;
    assert_eq!(trips, 5);
    let (default, trips) = stage.counted(identity.default_address(ann.id)).await;
    assert_eq!((default.unwrap(), trips), (Some(second.unwrap()), 1));
    let (set, trips) = stage.counted(identity.set_default_address(ann.id, first.id)).await;
    assert_eq!((set.is_ok(), trips), (true, 5));
    // Once more changes nothing.
    identity.set_default_address(ann.id, first.id).await.unwrap();
    let default = identity.default_address(ann.id).await.unwrap().unwrap();
    assert_eq!((default.id, default.detail_address), (first.id, first.detail_address));
    let (removed, trips) = stage.counted(identity.remove_address(ann.id, first.id)).await;
    assert_eq!((removed.is_ok(), trips), (true, 1));
    assert_eq!(identity.default_address(ann.id).await.unwrap(), None);
    assert!(identity.remove_address(ann.id, first.id).await.unwrap_err().is_not_found());
    // What fails leaves the default one as it was.
    identity.add_address(ann.id, new("3", true)).await.unwrap();
    assert!(identity.set_default_address(ann.id, first.id).await.unwrap_err().is_not_found());
    assert_eq!(identity.default_address(ann.id).await.unwrap().unwrap().receiver_name.as_str(), "3");
    for blank in [new(" ", false), NewAddress { detail_address: "\n".parse().unwrap(), ..new("x", true) }] {
        assert!(matches!(identity.add_address(ann.id, blank).await, Err(Error::Value(_))));
    }
}

async fn addresses_of_somebody_else_are_out_of_reach(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let (ann, bob) = (user(&stage.app, "ann").await, user(&stage.app, "bob").await);
    let id = identity.add_address(ann.id, new("Ann", true)).await.unwrap().id;
    assert!(identity.set_default_address(bob.id, id).await.unwrap_err().is_not_found());
    assert!(identity.remove_address(bob.id, id).await.unwrap_err().is_not_found());
    assert_eq!(identity.default_address(ann.id).await.unwrap().unwrap().id, id);
    assert!(identity.add_address(new_id(), new("x", false)).await.unwrap_err().is_not_found());
    assert!(identity.set_default_address(new_id(), id).await.unwrap_err().is_not_found());
}

async fn addresses_are_listed_in_pages(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let (ann, bob) = (user(&stage.app, "ann").await, user(&stage.app, "bob").await);
    for number in 0..5 {
        identity.add_address(ann.id, new(&format!("{number}"), false)).await.unwrap();
    }
    let filter = AddressFilter::of(ann.id).limit(3);
    let (page, trips) = stage.counted(identity.addresses(&filter)).await;
    let page = page.unwrap();
    assert_eq!((trips, page.items.len()), (1, 3));
    assert_eq!(identity.addresses(&filter.clone().after(page.next)).await.unwrap().items.len(), 2);
    let error = identity.addresses(&AddressFilter::of(bob.id).after(page.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)));
    assert!(identity.addresses(&AddressFilter::of(bob.id)).await.unwrap().items.is_empty());
}

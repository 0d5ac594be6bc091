use stanchion::Error;
use stanchion::db::CursorError;
use stanchion::domain::mall::ShopFilter;
use stanchion::entity::mall::ShopStatus::{Active, Closed, Pending, Suspended};
use stanchion::types::new_id;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

on_every_backend! {
    a_shop_takes_only_the_steps_that_are_allowed,
    a_shop_is_named_and_ranked,
    shops_are_listed_by_owner_and_status,
}

async fn a_shop_takes_only_the_steps_that_are_allowed(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mall = stage.app.mall();
    let id = mall.open_shop(new_id(), "Ann's 🛍".parse().unwrap()).await.unwrap().id;
    for (to, allowed) in
        [(Suspended, false), (Active, true), (Pending, false), (Suspended, true), (Active, true), (Closed, true)]
    {
        let (done, trips) = stage.counted(mall.set_shop_status(id, to)).await;
        assert_eq!((done.is_ok(), trips), (allowed, if allowed { 1 } else { 2 }), "{to}: {done:?}");
    }
    for to in [Pending, Active, Suspended, Closed] {
        let error = mall.set_shop_status(id, to).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
        assert!(error.to_string().ends_with(&format!("is closed and cannot become {to}")), "{error}");
    }
    assert!(mall.set_shop_status(new_id(), Active).await.unwrap_err().is_not_found());
}

async fn a_shop_is_named_and_ranked(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mall = stage.app.mall();
    let (opened, trips) = stage.counted(mall.open_shop(new_id(), "A".parse().unwrap())).await;
    let opened = opened.unwrap();
    assert_eq!((trips, opened.level, opened.status), (1, 1, Pending));
    let (renamed, trips) = stage.counted(mall.rename_shop(opened.id, "متجر 🏪".parse().unwrap())).await;
    assert_eq!((renamed.is_ok(), trips), (true, 1));
    // The same name again changes no byte, and is no error.
    mall.rename_shop(opened.id, "متجر 🏪".parse().unwrap()).await.unwrap();
    let (leveled, trips) = stage.counted(mall.set_shop_level(opened.id, 7)).await;
    assert_eq!((leveled.is_ok(), trips), (true, 1));
    let (shop, trips) = stage.counted(mall.shop(opened.id)).await;
    let shop = shop.unwrap();
    assert_eq!((trips, shop.name.as_str(), shop.level), (1, "متجر 🏪", 7));
    for level in [0, -1, i32::MIN] {
        assert!(matches!(mall.set_shop_level(opened.id, level).await, Err(Error::Invalid(_))));
    }
    assert!(mall.rename_shop(opened.id, " ".parse().unwrap()).await.unwrap_err().is_invalid());
    assert!(mall.open_shop(new_id(), "".parse().unwrap()).await.unwrap_err().is_invalid());
    assert!(mall.rename_shop(new_id(), "B".parse().unwrap()).await.unwrap_err().is_not_found());
    assert!(mall.set_shop_level(new_id(), 2).await.unwrap_err().is_not_found());
    assert!(mall.shop(new_id()).await.unwrap_err().is_not_found());
}

async fn shops_are_listed_by_owner_and_status(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mall = stage.app.mall();
    let (ann, bob) = (new_id(), new_id());
    for number in 0..5 {
        let id = mall.open_shop(ann, format!("{number}").parse().unwrap()).await.unwrap().id;
        mall.set_shop_status(id, if number % 2 == 0 { Active } else { Closed }).await.unwrap();
    }
    mall.open_shop(bob, "Bob's".parse().unwrap()).await.unwrap();
    let filter = ShopFilter::new().owner(ann).status(Active).limit(2);
    let (page, trips) = stage.counted(mall.shops(&filter)).await;
    let page = page.unwrap();
    assert_eq!((trips, page.items.len()), (1, 2));
    assert_eq!(mall.shops(&filter.clone().after(page.next)).await.unwrap().items.len(), 1);
    let error = mall.shops(&ShopFilter::new().after(page.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)));
    assert_eq!(mall.shops(&ShopFilter::new().status(Pending)).await.unwrap().items.len(), 1);
    assert_eq!(mall.shops(&ShopFilter::new()).await.unwrap().items.len(), 6);
}

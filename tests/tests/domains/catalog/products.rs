use futures::future::join_all;
use stanchion::Error;
use stanchion::db::{Cursor, CursorError, Order};
use stanchion::domain::catalog::{self, ProductDetails, ProductFilter};
use stanchion::entity::catalog::ProductStatus;
use stanchion::entity::catalog::product::Model as Product;
use stanchion::types::{Money, Timestamp, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{Numbers, another_app, create_category, create_product, product};

on_every_backend! {
    a_product_is_kept_as_it_is_in_known_round_trips,
    of_those_who_edit_one_version_one_succeeds,
    being_on_sale_is_a_state,
    a_slug_belongs_to_one_product,
    a_product_takes_no_nonsense,
    a_page_shows_a_product_with_its_images_and_its_path,
    a_product_composes_with_the_callers_transaction,
    lists_hold_what_their_filter_says_in_order,
    pages_by_price_are_in_the_order_of_numbers,
    a_cursor_belongs_to_its_list,
}

async fn a_product_is_kept_as_it_is_in_known_round_trips(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let category = create_category(&stage, "tea", None).await;
    let details = ProductDetails {
        name: "🫖 茶壶 «שלום» \u{202e}".parse().unwrap(),
        description: "'; DROP TABLE products; -- \\ %_ \n".parse().unwrap(),
        brand: "O'Neill".parse().unwrap(),
        price: "999999999999999.9999".parse().unwrap(),
        original_price: Some("0".parse().unwrap()),
        is_hot: true,
        ..product(category, "pot")
    };
    let (created, trips) = stage.counted(catalog.create_product(details.clone())).await;
    let created = created.unwrap();
    assert_eq!((trips, created.status, created.version), (4, ProductStatus::OffSale, 1));
    let (read, trips) = stage.counted(catalog.product(created.id)).await;
    assert_eq!((read.unwrap(), trips), (created.clone(), 1));
    let (read, trips) = stage.counted(catalog.product_by_slug("pot")).await;
    assert_eq!((read.unwrap(), trips), (created.clone(), 1));

    let changed = ProductDetails { price: "5".parse().unwrap(), original_price: None, is_new: true, ..details };
    let (version, trips) = stage.counted(catalog.update_product(created.id, 1, changed.clone())).await;
    assert_eq!((version.unwrap(), trips), (2, 6));
    let expected = Product { price: changed.price, original_price: None, is_new: true, version: 2, ..created };
    assert_eq!(catalog.product(expected.id).await.unwrap(), expected);

    let (deleted, trips) = stage.counted(catalog.delete_product(expected.id)).await;
    deleted.unwrap();
    assert_eq!(trips, 1);
    assert!(catalog.product(expected.id).await.unwrap_err().is_not_found());
    assert!(catalog.product_by_slug("pot").await.unwrap_err().is_not_found());
    assert!(catalog.page(expected.id).await.unwrap_err().is_not_found());
    assert!(catalog.delete_product(expected.id).await.unwrap_err().is_not_found());
    assert!(catalog.update_product(expected.id, 2, changed).await.unwrap_err().is_not_found());
}

async fn of_those_who_edit_one_version_one_succeeds(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let other = another_app(&stage).await;
    let category = create_category(&stage, "tea", None).await;
    let id = stage.app.catalog().create_product(product(category, "pot")).await.unwrap().id;
    for version in 1..4 {
        let edits = (0..8).map(|task| {
            let app = if task % 2 == 0 { &stage.app } else { &other };
            let details = ProductDetails { name: format!("pot {task}").parse().unwrap(), ..product(category, "pot") };
            async move { app.catalog().update_product(id, version, details).await }
        });
        let edits = join_all(edits).await;
        assert_eq!(edits.iter().filter(|edit| matches!(edit, Ok(next) if *next == version + 1)).count(), 1);
        assert_eq!(edits.iter().filter(|edit| matches!(edit, Err(error) if error.is_stale())).count(), 7);
        // The words are those of the edit that won.
        let (won, found) = edits.iter().enumerate().find(|(_, edit)| edit.is_ok()).unwrap();
        assert!(found.is_ok());
        for task in 0..8 {
            let filter = ProductFilter::search(task.to_string());
            let hits = stage.app.catalog().products(&filter).await.unwrap().items.len();
            assert_eq!(hits, usize::from(task == won), "{task} {won}");
        }
    }
    other.close().await;
}

async fn being_on_sale_is_a_state(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let id = create_product(&stage, "pot").await;
    let error = catalog.take_off_sale(id).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)) && error.to_string().contains("off_sale"), "{error}");
    let (done, trips) = stage.counted(catalog.put_on_sale(id)).await;
    done.unwrap();
    assert_eq!((trips, catalog.product(id).await.unwrap().status), (1, ProductStatus::OnSale));
    let rush = join_all((0..6).map(|_| catalog.take_off_sale(id))).await;
    assert_eq!(rush.iter().filter(|done| done.is_ok()).count(), 1);
    assert_eq!(catalog.product(id).await.unwrap().version, 3);
    assert!(catalog.put_on_sale(new_id()).await.unwrap_err().is_not_found());
}

async fn a_slug_belongs_to_one_product(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let category = create_category(&stage, "tea", None).await;
    let rush = join_all((0..6).map(|_| catalog.create_product(product(category, "pot")))).await;
    assert_eq!(rush.iter().filter(|created| created.is_ok()).count(), 1);
    assert!(rush.iter().flat_map(|created| created.as_ref().err()).all(|error| matches!(error, Error::Conflict(_))));
    let cup = catalog.create_product(product(category, "cup")).await.unwrap();
    let error = catalog.update_product(cup.id, 1, product(category, "pot")).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    assert_eq!(catalog.product(cup.id).await.unwrap(), cup);
    // Nothing is left of those that were refused.
    assert_eq!(catalog.products(&ProductFilter::search("pot")).await.unwrap().items.len(), 1);
}

async fn a_product_takes_no_nonsense(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let category = create_category(&stage, "tea", None).await;
    let good = catalog.create_product(product(category, "pot")).await.unwrap();
    let bad = [
        ("products.name", ProductDetails { name: " ".parse().unwrap(), ..product(category, "x") }),
        ("products.slug", ProductDetails { slug: "".parse().unwrap(), ..product(category, "x") }),
        ("products.price", ProductDetails { price: "-0.0001".parse().unwrap(), ..product(category, "x") }),
        (
            "products.original_price",
            ProductDetails { original_price: Some("-1".parse().unwrap()), ..product(category, "x") },
        ),
    ];
    for (column, details) in bad {
        let created = catalog.create_product(details.clone()).await.unwrap_err();
        let updated = catalog.update_product(good.id, 1, details).await.unwrap_err();
        for error in [created, updated] {
            assert!(error.is_invalid() && error.to_string().contains(column), "{error}");
        }
    }
    let nowhere = || product(new_id(), "x");
    assert!(catalog.create_product(nowhere()).await.unwrap_err().is_not_found());
    assert!(catalog.update_product(good.id, 1, nowhere()).await.unwrap_err().is_not_found());
    assert_eq!(catalog.product(good.id).await.unwrap(), good);
    for amount in ["1e30", "0.00001", "NaN", ""] {
        assert!(amount.parse::<Money>().is_err(), "{amount}");
    }
    stage.clock.set(Timestamp::from_micros(-1).unwrap());
    assert!(catalog.create_product(product(category, "before-1970")).await.unwrap_err().is_invalid());
}

async fn a_page_shows_a_product_with_its_images_and_its_path(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let root = create_category(&stage, "kitchen", None).await;
    let category = create_category(&stage, "tea", Some(root)).await;
    let pot = catalog.create_product(product(category, "pot")).await.unwrap();
    for name in ["front", "back"] {
        catalog.add_image(pot.id, name.parse().unwrap()).await.unwrap();
    }
    let (page, trips) = stage.counted(catalog.page(pot.id)).await;
    let page = page.unwrap();
    assert_eq!((&page.product, trips), (&pot, 3));
    assert_eq!(page.images.iter().map(|image| image.image_url.as_str()).collect::<Vec<_>>(), ["front", "back"]);
    assert_eq!(page.path.iter().map(|step| step.slug.as_str()).collect::<Vec<_>>(), ["kitchen", "tea"]);
    // Its page is kept; its slug is looked up.
    assert_eq!(stage.counted(catalog.page(pot.id)).await.1, 0);
    let (same, trips) = stage.counted(catalog.page_by_slug("pot")).await;
    assert_eq!((same.unwrap(), trips), (page.clone(), 1));
    // In a transaction too, and as JSON for a cache.
    let inside = stage.app.transaction(stanchion::config::Domain::Catalog, async |tx| catalog::page(tx, pot.id).await);
    assert_eq!(inside.await.unwrap(), *page);
    assert_eq!(serde_json::to_value(&*page).unwrap()["product"]["price"], "1.0000");
}

async fn a_product_composes_with_the_callers_transaction(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = Timestamp::from_millis(1_772_366_400_000).unwrap();
    let failed = stage.app.transaction(stanchion::config::Domain::Catalog, async |tx| {
        let category = catalog::create_category(tx, super::category("tea"), None, now).await?;
        let pot = catalog::create_product(tx, product(category.id, "pot"), now).await?;
        assert_eq!(catalog::product(tx, pot.id).await?, pot);
        Err::<(), _>(Error::Invalid("after all, no".to_owned()))
    });
    assert!(failed.await.unwrap_err().is_invalid());
    assert_eq!(stage.app.catalog().tree().await.unwrap(), []);
    assert!(stage.app.catalog().products(&ProductFilter::search("pot")).await.unwrap().items.is_empty());
}

/// All pages of a list.
async fn all(stage: &Stage, filter: &ProductFilter) -> Vec<Product> {
    let mut items = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let (page, trips) = stage.counted(stage.app.catalog().products(&filter.clone().after(cursor))).await;
        assert_eq!(trips, 1);
        let page = page.unwrap();
        items.extend(page.items);
        let Some(next) = page.next else { return items };
        cursor = Some(next.to_string().parse().unwrap());
    }
}

/// Forty products with whatever price, in three categories of which two are one below the other.
async fn shelf(stage: &Stage) -> (Vec<uuid::Uuid>, Vec<Product>) {
    const PRICES: [&str; 9] = ["9.99", "10", "10.0001", "100", "0", "0.5", "99999.9999", "999999999999999.9999", "9.9"];
    let catalog = stage.app.catalog();
    let top = create_category(stage, "top", None).await;
    let below = create_category(stage, "below", Some(top)).await;
    let categories = vec![top, below, create_category(stage, "other", None).await];
    let mut numbers = Numbers(7);
    let mut products = Vec::new();
    for at in 0..40 {
        let details = ProductDetails {
            name: format!("thing {}", at % 7).parse().unwrap(),
            price: PRICES[numbers.below(PRICES.len())].parse().unwrap(),
            brand: ["", "Acme", "acme"][numbers.below(3)].parse().unwrap(),
            is_hot: numbers.below(2) == 0,
            is_new: numbers.below(2) == 0,
            is_recommend: numbers.below(2) == 0,
            ..product(categories[numbers.below(3)], &format!("thing-{at}"))
        };
        let created = catalog.create_product(details).await.unwrap();
        if numbers.below(2) == 0 {
            catalog.put_on_sale(created.id).await.unwrap();
        }
        products.push(catalog.product(created.id).await.unwrap());
    }
    (categories, products)
}

async fn lists_hold_what_their_filter_says_in_order(database: TestDatabase) {
    type Naive<'a> = Box<dyn Fn(&Product) -> bool + 'a>;
    let stage = Stage::on(database).await.unwrap();
    let (categories, products) = shelf(&stage).await;
    let (top, below) = (categories[0], categories[1]);
    let money = |text: &str| text.parse::<Money>().unwrap();
    let new = ProductFilter::new;
    let lists: Vec<(ProductFilter, Naive<'_>)> = vec![
        (new(), Box::new(|_| true)),
        (new().category(top), Box::new(|it| it.category_id == top)),
        (new().subtree(top), Box::new(|it| it.category_id == top || it.category_id == below)),
        (new().subtree(below).on_sale(), Box::new(|it| it.category_id == below && it.status == ProductStatus::OnSale)),
        (new().subtree(new_id()), Box::new(|_| false)),
        (new().brand("Acme"), Box::new(|it| &*it.brand == "Acme")),
        (
            new().status(ProductStatus::OffSale).hot(true),
            Box::new(|it| it.status == ProductStatus::OffSale && it.is_hot),
        ),
        (new().new_ones(false).recommended(true), Box::new(|it| !it.is_new && it.is_recommend)),
        (
            new().at_least(money("9.9")).at_most(money("10")),
            Box::new(|it| it.price >= money("9.9") && it.price <= money("10")),
        ),
        (new().at_least(money("10.0001")), Box::new(|it| it.price >= money("10.0001"))),
        (
            ProductFilter::search("THING 3").subtree(top).on_sale(),
            Box::new(|it| {
                &*it.name == "thing 3"
                    && it.status == ProductStatus::OnSale
                    && (it.category_id == top || it.category_id == below)
            }),
        ),
    ];
    for (filter, naive) in lists {
        for order in [Order::Asc, Order::Desc] {
            let mut expected: Vec<Product> = products.iter().filter(|it| naive(it)).cloned().collect();
            expected.sort_by_key(|it| it.id);
            let mut by_price = expected.clone();
            by_price.sort_by_key(|it| (it.price, it.id));
            if order == Order::Desc {
                expected.reverse();
                by_price.reverse();
            }
            let filter = filter.clone().order(order).limit(7);
            assert_eq!(all(&stage, &filter).await, expected, "{filter:?}");
            assert_eq!(all(&stage, &filter.clone().by_price()).await, by_price, "{filter:?}");
        }
    }
}

async fn pages_by_price_are_in_the_order_of_numbers(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let (_, products) = shelf(&stage).await;
    let mut prices: Vec<Money> = products.iter().map(|it| it.price).collect();
    prices.sort_unstable();
    // As text 10 comes before 9.9; many cost the same, and pages end among them.
    for limit in [1, 2, 39] {
        let filter = ProductFilter::new().by_price().order(Order::Asc).limit(limit);
        let listed = all(&stage, &filter).await;
        assert_eq!(listed.iter().map(|it| it.price).collect::<Vec<_>>(), prices);
    }
}

async fn a_cursor_belongs_to_its_list(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    shelf(&stage).await;
    let catalog = stage.app.catalog();
    let filter = ProductFilter::search("thing").limit(3);
    let cursor = catalog.products(&filter).await.unwrap().next;
    assert!(cursor.is_some());
    let others = [
        filter.clone().by_price(),
        filter.clone().order(Order::Asc),
        filter.clone().on_sale(),
        ProductFilter::new(),
        ProductFilter::search("things"),
        ProductFilter::new().with_typed("thing"),
    ];
    for other in others {
        let error = catalog.products(&other.after(cursor)).await.unwrap_err();
        assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
    }
    let ranked = catalog.products(&filter.clone().by_relevance().after(cursor)).await.unwrap_err();
    assert!(matches!(ranked, Error::Invalid(_)), "{ranked}");
    for forged in ["", "茶", "AAAA", "' OR 1=1 --"] {
        assert!(forged.parse::<Cursor>().is_err(), "{forged}");
    }
}

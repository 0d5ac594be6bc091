use futures::future::join_all;
use rust_decimal::Decimal;
use stanchion::Error;
use stanchion::db::{CursorError, Order};
use stanchion::domain::catalog::{MAX_REVIEW_IMAGES, NewReview, ReviewFilter};
use stanchion::entity::catalog::ReviewStatus;
use stanchion::types::{Timestamp, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{Numbers, another_app, create_product, tick};

on_every_backend! {
    a_review_counts_while_it_is_shown,
    a_mean_is_rounded_half_up_everywhere,
    a_product_of_an_order_is_reviewed_once,
    rating_and_count_are_exact_however_many_write,
    a_review_takes_no_nonsense,
    reviews_are_listed_in_pages,
}

fn review(product_id: Uuid, rating: i32) -> NewReview {
    NewReview {
        product_id,
        user_id: new_id(),
        order_id: new_id(),
        rating,
        title: "Good 👍".parse().unwrap(),
        content: "很好，ممتاز".parse().unwrap(),
        images: vec!["a.png".parse().unwrap()],
        is_verified: true,
    }
}

/// The rating and the number of reviews of a product.
async fn rated(stage: &Stage, product: Uuid) -> (String, i64) {
    let product = stage.app.catalog().product(product).await.unwrap();
    (product.rating.to_string(), product.review_count)
}

async fn a_review_counts_while_it_is_shown(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    let before = catalog.product(product).await.unwrap();
    let (added, trips) = stage.counted(catalog.add_review(review(product, 4))).await;
    let added = added.unwrap();
    assert_eq!((trips, added.status), (1, ReviewStatus::Pending));
    let (read, trips) = stage.counted(catalog.review(added.id)).await;
    assert_eq!((read.unwrap(), trips), (added.clone(), 1));
    assert_eq!(rated(&stage, product).await, ("0.00".into(), 0));

    let (done, trips) = stage.counted(catalog.publish_review(added.id)).await;
    done.unwrap();
    assert_eq!((rated(&stage, product).await, trips), (("4.00".into(), 1), 5));
    let error = catalog.publish_review(added.id).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)) && error.to_string().contains("published"), "{error}");
    let (done, trips) = stage.counted(catalog.hide_review(added.id)).await;
    done.unwrap();
    assert_eq!((rated(&stage, product).await, trips), (("0.00".into(), 0), 5));
    assert!(matches!(catalog.hide_review(added.id).await, Err(Error::Conflict(_))));
    catalog.publish_review(added.id).await.unwrap();
    assert_eq!(rated(&stage, product).await, ("4.00".into(), 1));

    let other = catalog.add_review(review(product, 1)).await.unwrap();
    let (done, trips) = stage.counted(catalog.hide_review(other.id)).await;
    done.unwrap();
    assert_eq!((rated(&stage, product).await, trips), (("4.00".into(), 1), 4));
    catalog.publish_review(other.id).await.unwrap();
    assert_eq!(rated(&stage, product).await, ("2.50".into(), 2));
    // Whoever edits the product is not disturbed.
    assert_eq!(catalog.product(product).await.unwrap().version, before.version);
    catalog.delete_product(product).await.unwrap();
    assert!(catalog.review(added.id).await.unwrap_err().is_not_found());
}

async fn a_mean_is_rounded_half_up_everywhere(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    // 35 / 8 is 4.375, which half to even would also make 4.38; 33 / 8 is 4.125, which it would make 4.12.
    let expected = ["5.00", "5.00", "5.00", "4.75", "4.60", "4.33", "4.14", "4.13"];
    for (stars, expected) in [5, 5, 5, 4, 4, 3, 3, 4].into_iter().zip(expected) {
        let id = catalog.add_review(review(product, stars)).await.unwrap().id;
        catalog.publish_review(id).await.unwrap();
        assert_eq!(rated(&stage, product).await.0, expected);
    }
}

async fn a_product_of_an_order_is_reviewed_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    let other = create_product(&stage, "cup").await;
    let mine = review(product, 5);
    let rush = join_all((0..6).map(|_| catalog.add_review(mine.clone()))).await;
    assert_eq!(rush.iter().filter(|added| added.is_ok()).count(), 1);
    assert!(rush.iter().flat_map(|added| added.as_ref().err()).all(|error| matches!(error, Error::Conflict(_))));
    catalog.add_review(NewReview { product_id: other, ..mine.clone() }).await.unwrap();
    catalog.add_review(NewReview { order_id: new_id(), ..mine }).await.unwrap();
}

async fn rating_and_count_are_exact_however_many_write(database: TestDatabase) {
    const TASKS: u64 = 8;
    let stage = Stage::on(database).await.unwrap();
    let other = another_app(&stage).await;
    let products = [create_product(&stage, "pot").await, create_product(&stage, "cup").await];
    let mut shared = Vec::new();
    for stars in 1..=5 {
        shared.push(stage.app.catalog().add_review(review(products[0], stars)).await.unwrap().id);
    }
    let tasks = (0..TASKS).map(|task| {
        let (app, shared) = (if task % 2 == 0 { &stage.app } else { &other }, &shared);
        async move {
            let catalog = app.catalog();
            let mut numbers = Numbers(task);
            for _ in 0..6 {
                let stars = i32::try_from(1 + numbers.below(5)).unwrap();
                let mine = catalog.add_review(review(products[numbers.below(2)], stars)).await.unwrap().id;
                catalog.publish_review(mine).await.unwrap();
                if numbers.below(3) == 0 {
                    catalog.hide_review(mine).await.unwrap();
                }
                // Those that all of them fight for.
                let contested = shared[numbers.below(shared.len())];
                let moderated = match numbers.below(2) {
                    0 => catalog.publish_review(contested).await,
                    _ => catalog.hide_review(contested).await,
                };
                assert!(matches!(moderated, Ok(()) | Err(Error::Conflict(_))), "{moderated:?}");
            }
        }
    });
    join_all(tasks).await;
    let mut seen = 0;
    for product in products {
        let filter = ReviewFilter::of_product(product).limit(1_000);
        let shown = stage.app.catalog().reviews(&filter).await.unwrap().items;
        let sum: i64 = shown.iter().map(|review| i64::from(review.rating)).sum();
        let count = i64::try_from(shown.len()).unwrap();
        let mean = Decimal::from(sum) / Decimal::from(count);
        let mean = mean.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        let product = stage.app.catalog().product(product).await.unwrap();
        assert_eq!((product.rating_sum, product.review_count, product.rating.get()), (sum, count, mean));
        seen += count;
    }
    assert!(seen > 20, "{seen}");
    other.close().await;
}

async fn a_review_takes_no_nonsense(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    for stars in [0, 6, -1, i32::MIN, i32::MAX] {
        assert!(matches!(catalog.add_review(review(product, stars)).await, Err(Error::Invalid(_))), "{stars}");
    }
    let images = vec!["x".parse().unwrap(); MAX_REVIEW_IMAGES + 1];
    assert!(catalog.add_review(NewReview { images, ..review(product, 5) }).await.unwrap_err().is_invalid());
    assert!(catalog.add_review(review(new_id(), 5)).await.unwrap_err().is_not_found());
    assert!(catalog.publish_review(new_id()).await.unwrap_err().is_not_found());
    assert!(catalog.hide_review(new_id()).await.unwrap_err().is_not_found());
    stage.clock.set(Timestamp::from_micros(-1).unwrap());
    assert!(catalog.add_review(review(product, 5)).await.unwrap_err().is_invalid());
    assert!(catalog.reviews(&ReviewFilter::new()).await.unwrap().items.is_empty());
}

async fn reviews_are_listed_in_pages(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    let mut ids = Vec::new();
    for at in 0..10 {
        tick(&stage);
        let added = catalog.add_review(review(product, 1 + at % 5)).await.unwrap();
        ids.push((added.id, added.user_id));
        if at % 2 == 0 {
            catalog.publish_review(added.id).await.unwrap();
        }
    }
    let filter = ReviewFilter::of_product(product).order(Order::Asc).limit(3);
    let (first, trips) = stage.counted(catalog.reviews(&filter)).await;
    let first = first.unwrap();
    assert_eq!(trips, 1);
    let second = catalog.reviews(&filter.clone().after(first.next)).await.unwrap();
    let listed: Vec<Uuid> = first.items.iter().chain(&second.items).map(|review| review.id).collect();
    assert_eq!(listed, ids.iter().step_by(2).map(|(id, _)| *id).collect::<Vec<_>>());
    assert_eq!(second.next, None);
    let waiting = ReviewFilter::new().status(ReviewStatus::Pending).user(ids[3].1);
    assert_eq!(catalog.reviews(&waiting).await.unwrap().items[0].id, ids[3].0);
    let error = catalog.reviews(&waiting.after(first.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
}

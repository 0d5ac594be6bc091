use futures::future::join_all;
use stanchion::Error;
use stanchion::domain::catalog::MAX_IMAGES;
use stanchion::types::new_id;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{another_app, create_product};

on_every_backend! {
    pictures_keep_their_order_and_round_trips,
    there_is_one_cover_however_many_choose_it,
    a_product_has_a_bounded_number_of_pictures,
    pictures_are_those_of_the_product,
}

async fn pictures_keep_their_order_and_round_trips(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        let (image, trips) = stage.counted(catalog.add_image(product, name.parse().unwrap())).await;
        assert_eq!(trips, 5);
        ids.push(image.unwrap().id);
    }
    let shown = async || {
        let (images, trips) = stage.counted(catalog.images(product)).await;
        assert_eq!(trips, 1);
        let name = |image: &stanchion::entity::catalog::product_image::Model| {
            format!("{}{}", image.image_url, if image.is_cover { "*" } else { "" })
        };
        images.unwrap().iter().map(name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown().await, "a* b c");
    let (done, trips) = stage.counted(catalog.reorder_images(product, &[ids[2], ids[0], ids[1]])).await;
    done.unwrap();
    assert_eq!((shown().await.as_str(), trips), ("c a* b", 5));
    let (done, trips) = stage.counted(catalog.set_cover(product, ids[1])).await;
    done.unwrap();
    assert_eq!((shown().await.as_str(), trips), ("c a b*", 5));
    let (done, trips) = stage.counted(catalog.remove_image(product, ids[1])).await;
    done.unwrap();
    assert_eq!((shown().await.as_str(), trips), ("c* a", 6));
    let (done, trips) = stage.counted(catalog.remove_image(product, ids[0])).await;
    done.unwrap();
    assert_eq!((shown().await.as_str(), trips), ("c*", 5));
    let (covers, trips) = stage.counted(catalog.covers(&[product, new_id()])).await;
    let covers = covers.unwrap();
    assert_eq!((covers.len(), covers[&product].id, trips), (1, ids[2], 1));
    assert!(catalog.covers(&vec![product; 1_001]).await.unwrap_err().is_invalid());
    catalog.remove_image(product, ids[2]).await.unwrap();
    catalog.reorder_images(product, &[]).await.unwrap();
    assert!(catalog.covers(&[product]).await.unwrap().is_empty());
}

async fn there_is_one_cover_however_many_choose_it(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let other = another_app(&stage).await;
    let product = create_product(&stage, "pot").await;
    let apps = [&stage.app, &other];
    let adding = (0..8).map(|at| {
        let app = apps[at % 2];
        async move { app.catalog().add_image(product, at.to_string().parse().unwrap()).await }
    });
    let ids: Vec<Uuid> = join_all(adding).await.into_iter().map(|image| image.unwrap().id).collect();
    let images = stage.app.catalog().images(product).await.unwrap();
    assert_eq!(images.iter().map(|image| image.sort_order).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    assert_eq!(images.iter().filter(|image| image.is_cover).count(), 1);

    // Some choose, some remove, some add.
    let work = ids.iter().enumerate().map(|(at, id)| {
        let app = apps[at % 2];
        async move {
            match at % 3 {
                0 => app.catalog().set_cover(product, *id).await.unwrap(),
                1 => app.catalog().remove_image(product, *id).await.unwrap(),
                _ => drop(app.catalog().add_image(product, "new".parse().unwrap()).await.unwrap()),
            }
        }
    });
    join_all(work).await;
    let images = stage.app.catalog().images(product).await.unwrap();
    assert_eq!(images.len(), 8 - 3 + 2);
    assert_eq!(images.iter().filter(|image| image.is_cover).count(), 1);
    other.close().await;
}

async fn a_product_has_a_bounded_number_of_pictures(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    let add = || catalog.add_image(product, "https://shop.example/茶.png".parse().unwrap());
    for _ in 3..MAX_IMAGES {
        add().await.unwrap();
    }
    let added = join_all((0..6).map(|_| add())).await;
    assert_eq!(added.iter().filter(|image| image.is_ok()).count(), 3);
    assert!(matches!(add().await, Err(Error::Conflict(_))));
    assert_eq!(catalog.images(product).await.unwrap().len(), MAX_IMAGES);
}

async fn pictures_are_those_of_the_product(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let product = create_product(&stage, "pot").await;
    let other = create_product(&stage, "cup").await;
    let mine = catalog.add_image(product, "mine".parse().unwrap()).await.unwrap().id;
    let theirs = catalog.add_image(other, "theirs".parse().unwrap()).await.unwrap().id;
    for order in [&[][..], &[mine, theirs], &[theirs], &[mine, mine]] {
        assert!(matches!(catalog.reorder_images(product, order).await, Err(Error::Conflict(_))), "{order:?}");
    }
    assert!(catalog.set_cover(product, theirs).await.unwrap_err().is_not_found());
    assert!(catalog.remove_image(product, theirs).await.unwrap_err().is_not_found());
    assert!(catalog.add_image(new_id(), "x".parse().unwrap()).await.unwrap_err().is_not_found());
    assert!(catalog.add_image(product, " ".parse().unwrap()).await.unwrap_err().is_invalid());
    for id in [product, other] {
        assert_eq!(catalog.images(id).await.unwrap().iter().filter(|image| image.is_cover).count(), 1);
    }
}

//! The catalog: one tree of categories, exact ratings, and the same words that find the same products everywhere.

mod categories;
mod corpus;
mod images;
mod products;
mod reviews;
mod search;

use std::sync::Arc;
use std::time::Duration;

use stanchion::domain::catalog::{CategoryDetails, ProductDetails};
use stanchion::{App, Clock};
use stanchion_tests::Stage;
use uuid::Uuid;

/// Another instance on the same database.
async fn another_app(stage: &Stage) -> App {
    App::start_with(stage.app.config().clone(), Arc::clone(&stage.clock) as Arc<dyn Clock>).await.unwrap()
}

fn category(slug: &str) -> CategoryDetails {
    CategoryDetails { name: slug.parse().unwrap(), slug: slug.parse().unwrap(), ..CategoryDetails::default() }
}

/// Puts the clock on, so that what comes next has a higher id.
fn tick(stage: &Stage) {
    stage.clock.advance(Duration::from_millis(1));
}

/// A category of this slug: a root, or below another one.
async fn create_category(stage: &Stage, slug: &str, parent: Option<Uuid>) -> Uuid {
    tick(stage);
    stage.app.catalog().create_category(category(slug), parent).await.unwrap().id
}

fn product(category: Uuid, slug: &str) -> ProductDetails {
    ProductDetails {
        name: slug.parse().unwrap(),
        slug: slug.parse().unwrap(),
        price: "1".parse().unwrap(),
        ..ProductDetails::in_category(category)
    }
}

/// A category with a product of this slug in it.
async fn create_product(stage: &Stage, slug: &str) -> Uuid {
    let category = create_category(stage, slug, None).await;
    stage.app.catalog().create_product(product(category, slug)).await.unwrap().id
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

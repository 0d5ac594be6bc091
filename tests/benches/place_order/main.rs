//! Placing an order: the whole checkout, from the prices to `confirmed`.
//!
//! Two things are shown for each back end: the round trips of one checkout, which are the same wherever it runs, and the
//! orders a second of one caller and of many. There is no peer to compare with, so rates are those of this machine at this
//! moment; the back ends take turns, so that what else it does falls on all alike. Every basket is of other products than
//! the one before, as a shop's are, and there is enough of each.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::json;
use stanchion::App;
use stanchion::config::{Config, Database, Domain};
use stanchion::domain::inventory::{NewWarehouse, Receipt};
use stanchion::domain::ordering::{NewLine, NewOrder, ShippingAddress};
use stanchion::entity::catalog::{CategoryStatus, ProductStatus, category, product};
use stanchion::entity::marketing::{CouponKind, CouponStatus, UserCouponStatus, coupon, user_coupon};
use stanchion::types::{Money, Rating, Text, new_id};
use stanchion_tests::bench::{Arguments, Entrant, Samples, take_turns};
use stanchion_tests::testbed::{Backend, TestDatabase};
use uuid::Uuid;

const ROUNDS: usize = 10;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,

    /// Orders in a turn, by all callers together
    #[arg(long, default_value_t = 200)]
    orders: usize,

    /// Products in the shop
    #[arg(long, default_value_t = 500)]
    products: usize,

    /// How many check out at the same time: a row of the table for each of these numbers, separated by commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    callers: Vec<usize>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    ensure!(
        options.products >= 5 && options.callers.iter().all(|callers| *callers > 0),
        "at least 5 products, 1 caller"
    );
    let mut shops = Vec::new();
    for backend in options.common.backends() {
        let shop = Shop::open(backend, options.products).await.with_context(|| backend.to_string())?;
        show_round_trips(&shop, options.common.json).await.with_context(|| backend.to_string())?;
        shops.push(Arc::new(shop));
    }
    for callers in options.callers {
        let entrants = shops.iter().map(|shop| {
            let shop = Arc::clone(shop);
            Entrant::new(shop.backend.to_string(), move || rate(Arc::clone(&shop), options.orders, callers))
        });
        let samples = take_turns(options.common.rounds.unwrap_or(ROUNDS), entrants.collect()).await?;
        samples.iter().for_each(|samples| show_rate(samples, callers, options.common.json));
    }
    for shop in &shops {
        shop.app.close().await;
    }
    Ok(())
}

async fn show_round_trips(shop: &Shop, as_json: bool) -> anyhow::Result<()> {
    for (lines, with_coupon) in [(1, false), (5, false), (1, true), (5, true)] {
        let order = shop.basket(lines, with_coupon).await?;
        let before = shop.round_trips();
        shop.app.ordering().checkout(order).await?;
        let trips = shop.round_trips() - before;
        let backend = shop.backend.to_string();
        if as_json {
            let (bench, unit) = ("place_order", "round trips");
            let line = json!({"bench": bench, "backend": backend, "unit": unit, "lines": lines,
                "coupon": with_coupon, "ours": trips});
            println!("{line}");
        } else {
            let coupon = if with_coupon { "a coupon" } else { "no coupon" };
            println!("place_order: {backend:<9} {lines} lines, {coupon:<9}  {trips:>3} round trips");
        }
    }
    Ok(())
}

fn show_rate(samples: &Samples, callers: usize, as_json: bool) {
    let [low, median, high] = samples.quartiles();
    let name = &samples.name;
    if as_json {
        let line = json!({"bench": "place_order", "backend": name, "unit": "orders/s", "callers": callers,
            "ours": median, "quartiles": [low, high]});
        println!("{line}");
    } else {
        println!("place_order: {name:<9} {callers:>2} callers  {median:.0} ({low:.0}-{high:.0}) orders/s");
    }
}

/// Orders a second, by so many callers, each a task of the runtime.
async fn rate(shop: Arc<Shop>, orders: usize, callers: usize) -> anyhow::Result<f64> {
    let mut shares: Vec<Vec<NewOrder>> = vec![Vec::new(); callers];
    for number in 0..orders.max(callers) {
        shares[number % callers].push(shop.basket(1 + number % 5, false).await?);
    }
    let count = shares.iter().map(Vec::len).sum::<usize>();
    let began = Instant::now();
    let callers = shares.into_iter().map(|share| {
        let app = shop.app.clone();
        tokio::spawn(async move {
            for order in share {
                app.ordering().checkout(order).await?;
            }
            anyhow::Ok(())
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await??;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

/// A shop with enough of everything.
struct Shop {
    backend: Backend,
    app: App,
    products: Vec<Uuid>,
    next: std::sync::atomic::AtomicUsize,
    _database: TestDatabase,
}

impl Shop {
    async fn open(backend: Backend, products: usize) -> anyhow::Result<Self> {
        let database = TestDatabase::migrated(backend).await.context("no server")?;
        let app = App::start(Config::new(Database::new(database.url().parse()?))).await?;
        let products = stock(&app, products).await?;
        Ok(Self { backend, app, products, next: 0.into(), _database: database })
    }

    fn round_trips(&self) -> u64 {
        self.app.databases().iter().map(stanchion::db::Db::round_trips).sum()
    }

    /// An order of products that come in turn, by a user of its own.
    async fn basket(&self, lines: usize, with_coupon: bool) -> anyhow::Result<NewOrder> {
        let user_id = new_id();
        let line = |_| {
            let at = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            NewLine { product_id: self.products[at % self.products.len()], quantity: 2 }
        };
        Ok(NewOrder {
            user_id,
            idempotency_key: new_id().to_string().parse()?,
            lines: (0..lines).map(line).collect(),
            coupon: if with_coupon { Some(give_coupon(&self.app, user_id).await?) } else { None },
            shipping_fee: "6.50".parse::<Money>()?,
            shipping_address: ShippingAddress {
                receiver_name: "Ada".parse()?,
                detail_address: "12 Analytical Row".parse()?,
                ..ShippingAddress::default()
            },
            remark: None,
        })
    }
}

async fn stock(app: &App, count: usize) -> anyhow::Result<Vec<Uuid>> {
    let (catalog, now) = (app.db(Domain::Catalog).writer(), app.clock().now());
    let category = category::Model {
        id: new_id(),
        parent_id: None,
        name: "Things".parse()?,
        slug: "things".parse()?,
        description: Text::default(),
        image_url: Text::default(),
        sort_order: 0,
        status: CategoryStatus::Active,
        created_at: now,
        updated_at: now,
    };
    let category_id = category.id;
    category::Entity::insert(category.into_active_model()).exec_without_returning(catalog).await?;
    let new = NewWarehouse { code: "main".parse()?, name: "Main".parse()?, ..NewWarehouse::default() };
    let warehouse_id = app.inventory().open_warehouse(new).await?.id;
    let mut products = Vec::with_capacity(count);
    for _ in 0..count {
        let id = new_id();
        let product = product::Model {
            id,
            name: "A thing".parse()?,
            slug: id.to_string().parse()?,
            description: Text::default(),
            category_id,
            brand: Text::default(),
            price: "19.99".parse()?,
            original_price: None,
            sold_count: 0,
            rating: Rating::ZERO,
            rating_sum: 0,
            review_count: 0,
            status: ProductStatus::OnSale,
            is_hot: false,
            is_new: false,
            is_recommend: false,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        product::Entity::insert(product.into_active_model()).exec_without_returning(catalog).await?;
        let reference = "delivery".parse()?;
        let receipt = Receipt { product_id: id, warehouse_id, quantity: 1_000_000_000, reference };
        app.inventory().receive(&receipt).await?;
        products.push(id);
    }
    Ok(products)
}

async fn give_coupon(app: &App, user_id: Uuid) -> anyhow::Result<Uuid> {
    let (marketing, now) = (app.db(Domain::Marketing).writer(), app.clock().now());
    let coupon = coupon::Model {
        id: new_id(),
        campaign_id: None,
        code: new_id().to_string().parse()?,
        kind: CouponKind::Amount,
        face_value: "5".parse()?,
        min_spend: Money::ZERO,
        max_discount: None,
        total_quantity: 1,
        issued_quantity: 1,
        per_user_limit: 1,
        starts_at: now,
        ends_at: now.plus(std::time::Duration::from_secs(86_400))?,
        status: CouponStatus::Active,
        created_at: now,
        updated_at: now,
    };
    let held = user_coupon::Model {
        id: new_id(),
        user_id,
        coupon_id: coupon.id,
        status: UserCouponStatus::Unused,
        order_id: None,
        used_at: None,
        created_at: now,
        updated_at: now,
    };
    let id = held.id;
    coupon::Entity::insert(coupon.into_active_model()).exec_without_returning(marketing).await?;
    user_coupon::Entity::insert(held.into_active_model()).exec_without_returning(marketing).await?;
    Ok(id)
}

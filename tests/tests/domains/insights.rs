//! Figures are what the tables say, exactly, and are loaded once however many ask.

use std::collections::BTreeSet;
use std::time::Duration;

use rust_decimal::Decimal;
use stanchion::App;
use stanchion::config::Domain;
use stanchion::domain::insights::{Grade, HealthInput, InsightsCache, Period, assess};
use stanchion::domain::journal::NewLogEntry;
use stanchion::entity::catalog::{ProductStatus, ReviewStatus, category, product, product_review};
use stanchion::entity::identity::{UserLevel, user, user_level_change};
use stanchion::entity::journal::LogLevel;
use stanchion::entity::mall::{PointsKind, PurchaseStatus, points_account, points_transaction, purchase_order};
use stanchion::entity::ordering::{OrderStatus, PaymentStatus, order};
use stanchion::migration::partitions::{self, Month};
use stanchion::sea_orm::{DbBackend, EntityTrait, IntoActiveModel};
use stanchion::types::{Json, Money, Text, Timestamp, id_at};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use tokio::task::JoinSet;
use uuid::Uuid;

on_every_backend! {
    an_empty_shop_has_figures_and_is_well,
    users_are_counted_by_period_by_level_and_by_what_they_order,
    orders_add_up_exactly_by_the_day,
    purchases_points_and_reviews_are_as_they_were,
    many_who_ask_at_once_share_one_load_and_it_is_kept_for_a_while,
    the_health_score_follows_the_figures,
    every_engine_says_what_it_can,
    a_period_has_bounds,
}

const DAY: Duration = Duration::from_secs(86_400);

/// Inserts rows as they are: figures are read from tables, whoever wrote them.
async fn insert<E>(app: &App, domain: Domain, rows: impl IntoIterator<Item = E::Model>)
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: Send,
{
    let rows: Vec<E::ActiveModel> = rows.into_iter().map(IntoActiveModel::into_active_model).collect();
    E::insert_many(rows).exec_without_returning(app.db(domain).writer()).await.unwrap();
}

fn user(number: u128, level: UserLevel, at: Timestamp) -> user::Model {
    user::Model {
        id: Uuid::from_u128(number),
        username: Some(format!("user-{number}").parse().unwrap()),
        email: None,
        phone: None,
        password_hash: None,
        telegram_id: None,
        first_name: Text::default(),
        last_name: Text::default(),
        language_code: "en".parse().unwrap(),
        level,
        is_active: true,
        version: 1,
        created_at: at,
        updated_at: at,
    }
}

fn order(buyer: u128, at: Timestamp, amount: &str, paid: bool) -> order::Model {
    let amount: Money = amount.parse().unwrap();
    order::Model {
        id: id_at(at).unwrap(),
        order_no: "ZX1".parse().unwrap(),
        user_id: Uuid::from_u128(buyer),
        total_amount: amount,
        discount_amount: Money::ZERO,
        shipping_fee: Money::ZERO,
        final_amount: amount,
        status: if paid { OrderStatus::Paid } else { OrderStatus::Pending },
        payment_method: None,
        payment_status: if paid { PaymentStatus::Success } else { PaymentStatus::Pending },
        shipping_address: Json::of(&serde_json::json!({})).unwrap(),
        coupon_id: None,
        remark: None,
        paid_at: paid.then_some(at),
        shipped_at: None,
        delivered_at: None,
        version: 1,
        created_at: at,
        updated_at: at,
    }
}

/// Inserts orders, seeing first that their months have a partition.
async fn place(app: &App, orders: impl IntoIterator<Item = order::Model>) {
    let orders: Vec<order::Model> = orders.into_iter().collect();
    let months = orders.iter().map(|order| Month::of(order.created_at)).collect::<BTreeSet<_>>();
    partitions::ensure(app.db(Domain::Ordering).writer(), "orders", months).await.unwrap();
    insert::<order::Entity>(app, Domain::Ordering, orders).await;
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

async fn an_empty_shop_has_figures_and_is_well(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let figures = stage.app.insights().last_days(30).await.unwrap();
    assert_eq!((figures.users.registered, figures.activity.active, figures.orders.placed), (0, 0, 0));
    assert_eq!((figures.orders.gmv(), figures.orders.average_value()), (Decimal::ZERO, None));
    assert_eq!((figures.points.volume(), figures.points.transfers.share()), (Decimal::ZERO, None));
    assert_eq!((figures.reviews.mean(), figures.purchases.finished.share()), (None, None));
    // Some of what engines count is of the whole server, which other tests use too.
    let health = assess(&HealthInput::of(&figures, &[]));
    assert_eq!((health.score, health.grade), (1.0, Grade::Excellent));
    assert!(health.recommendations.is_empty());
}

async fn users_are_counted_by_period_by_level_and_by_what_they_order(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let ago = |days| now.minus(DAY * days).unwrap();
    let users = [
        user(1, UserLevel::Normal, ago(40)),
        user(2, UserLevel::Vip, ago(30)),
        user(3, UserLevel::Vip, ago(1)),
        // What happens now is after the period, which ends now.
        user(4, UserLevel::Star5, now),
    ];
    insert::<user::Entity>(&stage.app, Domain::Identity, users).await;
    let change = |succeeded| user_level_change::Model {
        id: Uuid::now_v7(),
        user_id: Uuid::from_u128(1),
        from_level: UserLevel::Normal,
        to_level: UserLevel::Vip,
        reason: Text::default(),
        duration_ms: 1,
        succeeded,
        created_at: ago(2),
    };
    insert::<user_level_change::Entity>(&stage.app, Domain::Identity, [true, true, true, false].map(change)).await;
    // The first two ordered before the period; the second of them, and the third, in it, twice.
    let orders = [(1, 31), (1, 45), (2, 31), (2, 30), (3, 2), (3, 1), (9, 61)];
    let orders = orders.map(|(buyer, days)| order(buyer, ago(days), "1", false));
    place(&stage.app, orders).await;

    let figures = stage.app.insights().last_days(30).await.unwrap();
    assert_eq!(figures.users.registered, 2);
    assert_eq!(figures.users.by_level, [(UserLevel::Normal, 1), (UserLevel::Vip, 2), (UserLevel::Star5, 1)]);
    assert_eq!(figures.users.upgrades.share(), Some(0.75));
    assert_eq!((figures.activity.active, figures.activity.lost), (2, 1));
}

async fn orders_add_up_exactly_by_the_day(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let midnight: Timestamp = "2026-02-10T00:00:00Z".parse().unwrap();
    let before = midnight.minus(Duration::from_micros(1)).unwrap();
    let orders = [
        order(1, before, "100000000000000.0001", true),
        order(1, midnight, "0.0001", true),
        order(1, midnight, "99999999999999.9999", true),
        order(1, midnight, "12.34", false),
        order(1, midnight.plus(DAY * 2).unwrap(), "0.1", true),
        order(1, midnight.plus(DAY * 2).unwrap(), "0.2", true),
    ];
    place(&stage.app, orders).await;
    let figures = stage.app.insights().last_days(30).await.unwrap();
    let days: Vec<(String, u64, Decimal)> =
        figures.orders.daily.iter().map(|day| (day.day.to_string(), day.paid, day.gmv)).collect();
    assert_eq!(
        days,
        [
            ("2026-02-09".to_owned(), 1, decimal("100000000000000.0001")),
            ("2026-02-10".to_owned(), 2, decimal("100000000000000.0000")),
            ("2026-02-12".to_owned(), 2, decimal("0.3")),
        ]
    );
    assert_eq!((figures.orders.placed, figures.orders.paid()), (6, 5));
    assert_eq!(figures.orders.gmv(), decimal("200000000000000.3001"));
    assert_eq!(figures.orders.average_value(), Some(decimal("40000000000000.0600")));
    // A period is cut to the microsecond.
    let from_midnight = Period::new(midnight, midnight.plus(DAY * 2).unwrap()).unwrap();
    let figures = stage.app.insights().business(from_midnight).await.unwrap();
    assert_eq!((figures.orders.placed, figures.orders.gmv()), (3, decimal("100000000000000")));
}

async fn purchases_points_and_reviews_are_as_they_were(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let app = &stage.app;
    let at = app.clock().now().minus(DAY).unwrap();
    let purchase = |status| purchase_order::Model {
        id: Uuid::now_v7(),
        buyer_id: Uuid::from_u128(1),
        seller_id: Uuid::from_u128(2),
        product_id: Uuid::from_u128(3),
        quantity: 1,
        unit_price: Money::ZERO,
        amount: Money::ZERO,
        status,
        processing_ms: None,
        created_at: at,
        updated_at: at,
    };
    use PurchaseStatus::{Approved, Completed, Pending, Rejected};
    let purchases = [Completed, Completed, Completed, Rejected, Pending, Approved].map(purchase);
    insert::<purchase_order::Entity>(app, Domain::Mall, purchases).await;

    let account = |number| points_account::Model {
        id: Uuid::from_u128(number),
        user_id: Uuid::from_u128(number),
        balance: Money::ZERO,
        version: 1,
        created_at: at,
        updated_at: at,
    };
    insert::<points_account::Entity>(app, Domain::Mall, [1, 2].map(account)).await;
    let moved = |transfer: u128, account: u128, amount: &str, kind| points_transaction::Model {
        id: Uuid::now_v7(),
        transfer_id: Uuid::from_u128(transfer),
        account_id: Uuid::from_u128(account),
        amount: amount.parse().unwrap(),
        balance_after: Money::ZERO,
        kind,
        idempotency_key: format!("{transfer}/{account}").parse().unwrap(),
        remark: None,
        created_at: at,
    };
    let movements = [
        moved(1, 1, "-10.5", PointsKind::Transfer),
        moved(1, 2, "10.5", PointsKind::Transfer),
        moved(2, 1, "-0.0001", PointsKind::Transfer),
        moved(2, 2, "0.0001", PointsKind::Transfer),
        // One that is not whole.
        moved(3, 2, "-1", PointsKind::Transfer),
        moved(4, 1, "100", PointsKind::Recharge),
        moved(5, 1, "-30", PointsKind::Withdraw),
    ];
    insert::<points_transaction::Entity>(app, Domain::Mall, movements).await;

    let category = category::Model {
        id: Uuid::from_u128(1),
        parent_id: None,
        name: "all".parse().unwrap(),
        slug: "all".parse().unwrap(),
        ..category_of(at)
    };
    insert::<category::Entity>(app, Domain::Catalog, [category]).await;
    insert::<product::Entity>(app, Domain::Catalog, [product_of(at)]).await;
    let review = |number: u128, rating, status| product_review::Model {
        id: Uuid::now_v7(),
        product_id: Uuid::from_u128(3),
        user_id: Uuid::from_u128(1),
        order_id: Uuid::from_u128(number),
        rating,
        title: Text::default(),
        content: Text::default(),
        images: Json::of(&serde_json::json!([])).unwrap(),
        is_verified: true,
        status,
        created_at: at,
        updated_at: at,
    };
    let reviews = [
        review(1, 5, ReviewStatus::Published),
        review(2, 5, ReviewStatus::Published),
        review(3, 2, ReviewStatus::Published),
        review(4, 1, ReviewStatus::Hidden),
    ];
    insert::<product_review::Entity>(app, Domain::Catalog, reviews).await;

    let figures = app.insights().last_days(7).await.unwrap();
    assert_eq!((figures.purchases.placed, figures.purchases.finished.share()), (6, Some(0.75)));
    let flows: Vec<_> = figures.points.flows.iter().map(|flow| (flow.kind, flow.credited, flow.debited)).collect();
    assert_eq!(
        flows,
        [
            (PointsKind::Transfer, decimal("10.5001"), decimal("11.5001")),
            (PointsKind::Recharge, decimal("100"), Decimal::ZERO),
            (PointsKind::Withdraw, Decimal::ZERO, decimal("30")),
        ]
    );
    assert_eq!(figures.points.volume(), decimal("141.5001"));
    assert_eq!((figures.points.transfers.tried, figures.points.transfers.succeeded), (3, 2));
    assert_eq!((figures.reviews.by_stars, figures.reviews.mean()), ([0, 1, 0, 0, 2], Some(4.0)));
}

fn category_of(at: Timestamp) -> category::Model {
    category::Model {
        id: Uuid::nil(),
        parent_id: None,
        name: Text::default(),
        slug: Text::default(),
        description: Text::default(),
        image_url: Text::default(),
        sort_order: 0,
        status: stanchion::entity::catalog::CategoryStatus::ALL[0],
        created_at: at,
        updated_at: at,
    }
}

fn product_of(at: Timestamp) -> product::Model {
    product::Model {
        id: Uuid::from_u128(3),
        name: "thing".parse().unwrap(),
        slug: "thing".parse().unwrap(),
        description: Text::default(),
        category_id: Uuid::from_u128(1),
        brand: Text::default(),
        price: Money::ZERO,
        original_price: None,
        sold_count: 0,
        rating: "0".parse().unwrap(),
        rating_sum: 0,
        review_count: 0,
        status: ProductStatus::ALL[0],
        is_hot: false,
        is_new: false,
        is_recommend: false,
        version: 1,
        created_at: at,
        updated_at: at,
    }
}

async fn many_who_ask_at_once_share_one_load_and_it_is_kept_for_a_while(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let ask = async || {
        let mut callers = JoinSet::new();
        for _ in 0..50 {
            let app = stage.app.clone();
            callers.spawn(async move { app.insights().last_days(30).await.unwrap() });
        }
        callers.join_all().await
    };
    let (answers, trips) = stage.counted(ask()).await;
    assert_eq!((answers.len(), trips), (50, 12));
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let cache = InsightsCache::keeping(Duration::from_secs(3_600)).unwrap();
    let insights = stage.app.insights().kept_in(&cache);
    assert_eq!(stage.counted(insights.last_days(30)).await.1, 12);
    insert::<user::Entity>(&stage.app, Domain::Identity, [user(1, UserLevel::Normal, stage.clock_before())]).await;
    let (kept, trips) = stage.counted(insights.last_days(30)).await;
    assert_eq!((kept.unwrap().users.registered, trips), (0, 0));
    // Another period is other figures.
    assert_eq!(insights.last_days(31).await.unwrap().users.registered, 1);
    let engines = stage.counted(insights.engines()).await.1;
    assert!(engines <= 6, "{engines}");
    assert_eq!(stage.counted(insights.engines()).await.1, 0);
    // With nothing kept, whoever asks later loads anew.
    let nothing = InsightsCache::keeping(Duration::ZERO).unwrap();
    for _ in 0..2 {
        assert_eq!(stage.counted(stage.app.insights().kept_in(&nothing).last_days(30)).await.1, 12);
    }
}

/// A moment ago.
trait ClockBefore {
    fn clock_before(&self) -> Timestamp;
}

impl ClockBefore for Stage {
    fn clock_before(&self) -> Timestamp {
        self.app.clock().now().minus(Duration::from_secs(1)).unwrap()
    }
}

async fn the_health_score_follows_the_figures(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let at = now.minus(DAY).unwrap();
    // One order in four is paid, every fifth log entry is an error, and nobody came where one went.
    let orders = (0..4).map(|number| order(1, at, "10", number == 0));
    let gone = order(2, now.minus(DAY * 40).unwrap(), "1", false);
    place(&stage.app, orders.chain([gone])).await;
    let entries = (0..5).map(|number| NewLogEntry {
        ts: at,
        service: "shop".parse().unwrap(),
        level: if number == 0 { LogLevel::Error } else { LogLevel::Info },
        ..NewLogEntry::default()
    });
    stage.app.journal().record(entries).await.unwrap();
    let figures = stage.app.insights().last_days(30).await.unwrap();
    let health = assess(&HealthInput::of(&figures, &[]));
    let scores: Vec<f64> = health.components.iter().map(|component| component.score).collect();
    assert_eq!(scores, [0.0, 0.25, 0.0, 1.0]);
    assert_eq!((health.score, health.grade), (0.275, Grade::Critical));
    assert_eq!(health.recommendations.len(), 3);
    // With the databases it is no better.
    assert!(stage.app.insights().health(30).await.unwrap().score <= 0.275);
}

async fn every_engine_says_what_it_can(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    stage.app.insights().last_days(1).await.unwrap();
    let engines = stage.app.insights().engines().await;
    let [figures] = engines.as_slice() else { panic!("{engines:?}") };
    let engine = match stage.app.databases()[0].backend() {
        DbBackend::Sqlite => "SQLite",
        DbBackend::Postgres => "PostgreSQL",
        _ => "MySQL/MariaDB",
    };
    assert!(figures.reachable);
    assert_eq!((&*figures.engine, figures.pools.most), (engine, 8));
    assert!(figures.pools.reader_open > 0 && figures.pools.in_use().is_some());
    assert!(figures.bytes.is_some_and(|bytes| bytes > 0), "{figures:?}");
    let tables = figures.tables.as_ref().expect("tables");
    assert!(tables.iter().any(|table| table.name == "log_entries"), "{tables:?}");
    assert!(!tables.iter().any(|table| table.name.starts_with("log_entries_p")), "{tables:?}");
    if engine == "SQLite" {
        assert_eq!((figures.server_connections, figures.lock_waits), (None, None));
    } else {
        assert!(figures.server_connections.is_some_and(|connections| connections > 0), "{figures:?}");
        assert!(figures.max_server_connections > figures.server_connections, "{figures:?}");
        assert!(figures.lock_waits.is_some() && figures.long_transactions.is_some(), "{figures:?}");
        assert!(tables.iter().all(|table| table.bytes.is_some()), "{tables:?}");
    }
    // A database that does not answer is no error.
    let cache = InsightsCache::keeping(Duration::ZERO).unwrap();
    stage.app.close().await;
    let engines = stage.app.insights().kept_in(&cache).engines().await;
    assert!(!engines[0].reachable);
}

async fn a_period_has_bounds(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    assert!(Period::new(now, now).unwrap_err().is_invalid());
    assert!(Period::new(Timestamp::EPOCH, now).unwrap_err().is_invalid());
    for days in [0, 3_661, u32::MAX] {
        assert!(stage.app.insights().last_days(days).await.unwrap_err().is_invalid(), "{days}");
    }
    // Before 1970 and after 2262 there is nothing, and nothing fails.
    for from in ["1000-01-02T00:00:00Z", "1969-12-30T00:00:00Z", "9999-12-01T00:00:00Z"] {
        let from: Timestamp = from.parse().unwrap();
        let figures = stage.app.insights().business(Period::new(from, from.plus(DAY).unwrap()).unwrap()).await;
        assert_eq!(figures.unwrap().orders.placed, 0);
    }
}

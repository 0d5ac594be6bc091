//! A process that checks out is killed, at every step and at any moment: the sweeper brings to an end what it left.

use std::process::Stdio;
use std::time::Duration;

use futures::future::join_all;
use stanchion::domain::ordering::NewOrder;
use stanchion::entity::ordering::OrderStatus;
use stanchion::types::new_id;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::shop::{Shop, basket};

on_every_backend! {
    killed_after_any_step_an_order_is_finished_or_undone,
    killed_at_any_moment_nothing_is_lost,
}

/// A process of its own that checks out on the shop's database.
struct Shopper {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Shopper {
    async fn start(shop: &Shop, mode: &str, orders: &[NewOrder]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actor"));
        command.arg("shopper");
        command.args([mode, shop.stage.database.url(), &shop.app().clock().now().millis().to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut shopper = Self { child, input, output };
        shopper.say(&serde_json::to_string(orders).unwrap()).await;
        shopper
    }

    async fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line; none once it has ended.
    async fn line(&mut self) -> Option<String> {
        self.output.next_line().await.unwrap()
    }

    /// SIGKILL: nothing of it runs any more.
    async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Steps of a checkout that is confirmed, of one without stock, and of one without its coupon.
const CONFIRMED: &[&str] = &["Place", "Reserve", "Redeem", "Confirm"];
const NO_STOCK: &[&str] = &["Place", "Reserve", "Cancel", "Release", "GiveBack", "Publish"];
const NO_COUPON: &[&str] = &["Place", "Reserve", "Redeem", "Cancel", "Release", "GiveBack", "Publish"];

async fn killed_after_any_step_an_order_is_finished_or_undone(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let user = new_id();
    let (plenty, none) = (shop.product("10", 100).await, shop.product("10", 1).await);
    // Somebody has used it.
    let used = shop.coupon(user, "1").await;
    let with = |coupon, product, quantity| NewOrder { coupon: Some(coupon), ..basket(user, &[(product, quantity)]) };
    shop.app().ordering().checkout(with(used, plenty, 1)).await.unwrap();
    let mut runs = Vec::new();
    for (steps, product, quantity) in [(CONFIRMED, plenty, 1), (NO_STOCK, none, 2), (NO_COUPON, plenty, 1)] {
        for killed_after in 1..=steps.len() {
            let coupon = if steps == NO_COUPON { used } else { shop.coupon(user, "1").await };
            runs.push((&steps[..killed_after], with(coupon, product, quantity)));
        }
    }
    for runs in runs.chunks(6) {
        let killed = runs.iter().map(async |(steps, request)| {
            let mut shopper = Shopper::start(&shop, "step", std::slice::from_ref(request)).await;
            for (at, step) in steps.iter().enumerate() {
                assert_eq!(shopper.line().await.as_deref(), Some(*step));
                if at + 1 < steps.len() {
                    shopper.say("go on").await;
                }
            }
            shopper.kill().await;
        });
        join_all(killed).await;
    }
    shop.stage.clock.advance(Duration::from_secs(300));
    let swept = shop.app().ordering().sweep(Duration::from_secs(60), 100).await.unwrap();
    assert_eq!(swept.failed + swept.outbox.failed, 0, "{swept:?}");
    shop.adds_up().await;
    // The same requests again are the same orders.
    let orders = shop.all_orders().await.len();
    for (_, request) in runs {
        let _as_it_is = shop.app().ordering().checkout(request).await;
    }
    assert_eq!(shop.all_orders().await.len(), orders);
    let confirmed = shop.all_orders().await.into_iter().filter(|order| order.status == OrderStatus::Confirmed).count();
    // The one that used the coupon, and all four that could be finished.
    assert_eq!(confirmed, 5);
    shop.adds_up().await;
}

async fn killed_at_any_moment_nothing_is_lost(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let user = new_id();
    let product = shop.product("10", 60).await;
    let shared = shop.coupon(user, "3").await;
    let mut placed = Vec::new();
    for round in 0..4_usize {
        let mut orders = Vec::new();
        for number in 0..40 {
            let coupon = match number % 4 {
                0 => Some(shop.coupon(user, "1").await),
                1 => Some(shared),
                _ => None,
            };
            orders.push(NewOrder { coupon, ..basket(user, &[(product, 1)]) });
        }
        let mut shopper = Shopper::start(&shop, "all", &orders).await;
        // After so many of its lines it is in the midst of four others.
        for _ in 0..=round * 5 {
            shopper.line().await.unwrap();
        }
        shopper.kill().await;
        placed.extend(orders);
        // Sometimes two have been killed when the sweeper comes.
        if round % 2 == 1 {
            shop.stage.clock.advance(Duration::from_secs(300));
            let swept = shop.app().ordering().sweep(Duration::from_secs(60), 100).await.unwrap();
            assert_eq!(swept.failed + swept.outbox.failed, 0, "{swept:?}");
            shop.adds_up().await;
        }
    }
    // The requests that were cut off come again: each is an order once.
    for orders in placed.chunks(8) {
        let again = orders.iter().map(|order| {
            let (app, order) = (shop.app().clone(), order.clone());
            tokio::spawn(async move { app.ordering().checkout(order).await })
        });
        for done in join_all(again).await {
            let _as_it_is = done.unwrap();
        }
    }
    assert_eq!(shop.all_orders().await.len(), placed.len());
    assert_eq!(shop.stock(product).await, (60, 60));
    shop.adds_up().await;
}

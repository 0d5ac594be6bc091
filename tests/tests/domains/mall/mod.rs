//! Purchases go one way, and points are neither made nor lost.

mod kills;
mod points;
mod purchases;
mod shops;

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::future::poll_fn;
use sea_orm::EntityTrait;
use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::domain::mall::{Audit, MovementKey, PointsMove};
use stanchion::entity::mall::{points_account, points_transaction};
use stanchion::types::{Money, new_id};
use stanchion_tests::Stage;
use stanchion_tests::testbed::TestDatabase;
use uuid::Uuid;

fn key(text: impl AsRef<str>) -> MovementKey {
    text.as_ref().parse().unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

/// A stage where waiting for a lock on a busy machine is no error.
async fn patient(database: TestDatabase) -> Stage {
    Stage::with(database, |config| config.database.acquire_timeout = Duration::from_secs(60)).await.unwrap()
}

/// Another service on the same database.
async fn another_app(stage: &Stage) -> App {
    let mut config = Config::new(Database::new(stage.database.url().parse().unwrap()));
    config.database.max_open_conns = 8;
    config.database.acquire_timeout = Duration::from_secs(60);
    App::start(config).await.unwrap()
}

/// Users with so many points each.
async fn users_with(app: &App, number: usize, points: &str) -> Vec<Uuid> {
    let users: Vec<Uuid> = (0..number).map(|_| new_id()).collect();
    for user in &users {
        let recharge = PointsMove::recharge(*user, money(points), key(format!("first-{user}")));
        app.mall().move_points(&recharge).await.unwrap();
    }
    users
}

async fn balance(app: &App, user: Uuid) -> String {
    app.mall().points_account(user).await.unwrap().balance.to_string()
}

/// Asserts that these accounts hold so many points together, none less than zero, and that all entries account for them;
/// what moved between users has both sides.
async fn nothing_is_lost(stage: &Stage, total: &str) -> Audit {
    let audit = stage.app.mall().audit().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!((audit.balances, audit.entries), (total.parse().unwrap(), total.parse().unwrap()));
    let db = stage.database.connect().await.unwrap();
    let accounts = points_account::Entity::find().all(&db).await.unwrap();
    assert_eq!(accounts.len() as u64, audit.accounts);
    assert!(accounts.iter().all(|account| account.balance >= Money::ZERO), "{accounts:?}");
    let mut movements = std::collections::HashMap::<_, Vec<_>>::new();
    for entry in points_transaction::Entity::find().all(&db).await.unwrap() {
        assert!(entry.balance_after >= Money::ZERO);
        movements.entry(entry.transfer_id).or_default().push(entry);
    }
    for sides in movements.values() {
        let border = matches!(sides[0].kind.as_str(), "recharge" | "withdraw");
        assert_eq!(sides.len(), if border { 1 } else { 2 }, "{sides:?}");
        assert!(border || (sides[0].amount.get() + sides[1].amount.get()).is_zero(), "{sides:?}");
    }
    audit
}

/// Lets a future wait so many times, and drops it at the next wait: what it has sent is on its way.
async fn dropped_after<F: Future>(waits: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = waits;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

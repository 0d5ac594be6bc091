use std::sync::Arc;

use futures::future::join_all;
use sea_orm::TransactionOptions;
use stanchion::config::Domain;
use stanchion::db::{Cursor, CursorError, Order, RetryPolicy};
use stanchion::domain::mall::{PointsFilter, PointsMove, move_points};
use stanchion::entity::mall::{PointsKind, points_account};
use stanchion::types::{LongText, Timestamp, new_id};
use stanchion::{App, Error};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{another_app, balance, dropped_after, key, money, nothing_is_lost, patient, users_with};

on_every_backend! {
    crossing_transfers_conserve_points_also_when_they_are_dropped,
    crossing_transfers_do_not_deadlock,
    the_same_movement_at_the_same_moment_is_one,
    a_key_belongs_to_one_movement,
    keys_are_compared_exactly,
    first_points_at_the_same_moment_open_one_account,
    a_balance_never_falls_below_zero,
    nonsense_is_refused_and_changes_nothing,
    movements_compose_in_one_transaction,
    a_statement_is_in_order_and_in_pages,
    an_audit_names_what_was_tampered_with,
    any_text_and_any_time_are_kept_as_they_are,
    every_operation_takes_its_round_trips,
}

/// Numbers that look random, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn transfer(&mut self, users: &[Uuid], name: String) -> PointsMove {
        let payer = self.roll(users.len());
        let payee = (payer + 1 + self.roll(users.len() - 1)) % users.len();
        let amount = format!("{}.{:04}", self.roll(3_000), 1 + self.roll(9_999));
        PointsMove::transfer(users[payer], users[payee], money(&amount), key(name))
    }
}

async fn crossing_transfers_conserve_points_also_when_they_are_dropped(database: TestDatabase) {
    let stage = patient(database).await;
    let apps = [stage.app.clone(), another_app(&stage).await];
    let users = users_with(&stage.app, 8, "5000").await;
    let tasks = (0..16).map(|task| {
        let (app, users) = (apps[task % 2].clone(), users.clone());
        tokio::spawn(async move {
            let mut dice = Dice(task as u64);
            let mut made = 0;
            for number in 0..25 {
                let wanted = dice.transfer(&users, format!("{task}-{number}"));
                let patience = if dice.roll(4) == 0 { dice.roll(24) } else { usize::MAX };
                match dropped_after(patience, app.mall().move_points(&wanted)).await {
                    Some(Ok(_)) => made += 1,
                    Some(Err(Error::Conflict(_))) | None => {}
                    Some(Err(error)) => panic!("{error:?}"),
                }
            }
            made
        })
    });
    let made: Vec<u32> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
    assert!(made.iter().sum::<u32>() > 100, "{made:?}");
    nothing_is_lost(&stage, "40000").await;
    // Nobody holds a lock any more.
    for user in &users {
        stage.app.mall().move_points(&PointsMove::recharge(*user, money("1"), key(format!("{user}")))).await.unwrap();
    }
    nothing_is_lost(&stage, "40008").await;
}

async fn crossing_transfers_do_not_deadlock(database: TestDatabase) {
    let stage = patient(database).await;
    let users = users_with(&stage.app, 4, "1000000").await;
    let tasks = (0..8_u64).map(|task| {
        let (app, users) = (stage.app.clone(), users.clone());
        tokio::spawn(async move {
            let mut dice = Dice(task);
            for number in 0..25 {
                let wanted = dice.transfer(&users, format!("{task}-{number}"));
                let now = app.clock().now();
                // Never run again: a deadlock would be an error here.
                let db = app.db(Domain::Mall);
                db.transaction_with(TransactionOptions::default(), RetryPolicy::never(), async |tx| {
                    move_points(tx, &wanted, now).await
                })
                .await
                .unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    nothing_is_lost(&stage, "4000000").await;
}

async fn the_same_movement_at_the_same_moment_is_one(database: TestDatabase) {
    let stage = patient(database).await;
    let apps = [stage.app.clone(), another_app(&stage).await];
    let users = users_with(&stage.app, 1, "100").await;
    let stranger = new_id();
    let movements = [
        PointsMove::transfer(users[0], stranger, money("70"), key("t")).remark("to a friend".parse().unwrap()),
        PointsMove::recharge(new_id(), money("5.5"), key("r")),
        PointsMove::withdraw(users[0], money("30"), key("w")),
    ];
    for wanted in movements {
        let wanted = Arc::new(wanted);
        let calls = (0..8).map(|call| {
            let (app, wanted) = (apps[call % 2].clone(), Arc::clone(&wanted));
            tokio::spawn(async move { app.mall().move_points(&wanted).await.unwrap() })
        });
        let made: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert!(made.iter().all(|one| *one == made[0]), "{made:?}");
        // Also once there are too few points for another one.
        assert_eq!(apps[1].mall().move_points(&wanted).await.unwrap(), made[0]);
    }
    assert_eq!(balance(&stage.app, users[0]).await, "0.0000");
    assert_eq!(balance(&stage.app, stranger).await, "70.0000");
    nothing_is_lost(&stage, "75.5").await;
}

async fn a_key_belongs_to_one_movement(database: TestDatabase) {
    let stage = patient(database).await;
    let users = users_with(&stage.app, 3, "100").await;
    let (ann, bob, eve) = (users[0], users[1], users[2]);
    let first = PointsMove::transfer(ann, bob, money("10"), key("k"));
    stage.app.mall().move_points(&first).await.unwrap();
    for other in [
        PointsMove::transfer(ann, bob, money("11"), key("k")),
        PointsMove::transfer(bob, ann, money("10"), key("k")),
        PointsMove::transfer(ann, eve, money("10"), key("k")),
        PointsMove::transfer(eve, bob, money("10"), key("k")),
        PointsMove::purchase(ann, bob, money("10"), key("k")),
        PointsMove::recharge(bob, money("10"), key("k")),
        PointsMove::withdraw(ann, money("10"), key("k")),
        PointsMove::withdraw(new_id(), money("10"), key("k")),
        first.clone().remark("another".parse().unwrap()),
    ] {
        let error = stage.app.mall().move_points(&other).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict(what) if what.contains("key")), "{error:?}");
    }
    // Different requests with one key at the same moment, which meet in no account: one of them is made.
    let rush = (0..8).map(|number| {
        let app = stage.app.clone();
        let wanted = PointsMove::recharge(new_id(), money("1"), key("rush"));
        tokio::spawn(async move { (number, app.mall().move_points(&wanted).await) })
    });
    let results: Vec<_> = join_all(rush).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|(_, result)| result.is_ok()).count(), 1, "{results:?}");
    for (_, result) in results {
        assert!(matches!(result, Ok(_) | Err(Error::Conflict(_))), "{result:?}");
    }
    nothing_is_lost(&stage, "301").await;
}

async fn keys_are_compared_exactly(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let user = new_id();
    let keys = ["k", "K", "k ", "ķ", "ｋ", "k\u{301}", "🔑", "🗝", "مفتاح", "k:1", "k:2", &"🔑".repeat(98)];
    for text in keys {
        stage.app.mall().move_points(&PointsMove::recharge(user, money("1"), key(text))).await.unwrap();
    }
    assert_eq!(balance(&stage.app, user).await, format!("{}.0000", keys.len()));
    for text in keys {
        let made = stage.app.mall().points_movement(&key(text)).await.unwrap().unwrap();
        assert_eq!(made.credit.unwrap().idempotency_key.as_str(), format!("{text}:1"));
    }
    assert_eq!(stage.app.mall().points_movement(&key("x")).await.unwrap(), None);
}

async fn first_points_at_the_same_moment_open_one_account(database: TestDatabase) {
    let stage = patient(database).await;
    let apps = [stage.app.clone(), another_app(&stage).await];
    let givers = users_with(&stage.app, 8, "10").await;
    let user = new_id();
    let calls = givers.iter().enumerate().map(|(number, giver)| {
        let app = apps[number % 2].clone();
        let wanted = PointsMove::transfer(*giver, user, money("1"), key(format!("gift-{number}")));
        tokio::spawn(async move { app.mall().move_points(&wanted).await.unwrap() })
    });
    join_all(calls).await.into_iter().for_each(|task| drop(task.unwrap()));
    let opened = (0..8).map(|number: usize| {
        let app = apps[number % 2].clone();
        tokio::spawn(async move { app.mall().open_points_account(user).await.unwrap() })
    });
    join_all(opened).await.into_iter().for_each(|task| task.unwrap());
    assert_eq!(balance(&stage.app, user).await, "8.0000");
    assert_eq!(nothing_is_lost(&stage, "80").await.accounts, 9);
}

async fn a_balance_never_falls_below_zero(database: TestDatabase) {
    let stage = patient(database).await;
    let users = users_with(&stage.app, 2, "100").await;
    let calls = (0..16).map(|number| {
        let (app, payer, payee) = (stage.app.clone(), users[0], users[1]);
        let wanted = PointsMove::transfer(payer, payee, money("30"), key(format!("{number}")));
        tokio::spawn(async move { app.mall().move_points(&wanted).await })
    });
    let results: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    let refused = results.into_iter().find_map(Result::err).unwrap();
    let text = refused.to_string();
    assert!(matches!(refused, Error::Conflict(_)) && text.contains("30.0000"), "{text}");
    assert_eq!(
        (balance(&stage.app, users[0]).await, balance(&stage.app, users[1]).await),
        ("10.0000".into(), "190.0000".into())
    );
    // Someone who never had points has none to pay with, and gets no account by trying.
    let stranger = new_id();
    let wanted = PointsMove::withdraw(stranger, money("0.0001"), key("s"));
    assert!(matches!(stage.app.mall().move_points(&wanted).await, Err(Error::Conflict(_))));
    assert!(stage.app.mall().points_account(stranger).await.unwrap_err().is_not_found());
    nothing_is_lost(&stage, "200").await;
}

async fn nonsense_is_refused_and_changes_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let users = users_with(&stage.app, 2, "100").await;
    let (ann, bob) = (users[0], users[1]);
    for wanted in [
        PointsMove::transfer(ann, ann, money("1"), key("a")),
        PointsMove::transfer(ann, bob, money("0"), key("b")),
        PointsMove::transfer(ann, bob, money("-1"), key("c")),
        PointsMove::recharge(ann, money("-0.0001"), key("d")),
        PointsMove::withdraw(ann, money("0"), key("e")),
        PointsMove::recharge(ann, money("1"), key(" \t")),
        PointsMove::recharge(ann, money("1"), key("")),
        // More than the column holds, together.
        PointsMove::recharge(ann, money("999999999999999.9999"), key("f")),
    ] {
        let error = stage.app.mall().move_points(&wanted).await.unwrap_err();
        assert!(error.is_invalid(), "{error:?}");
    }
    let most = PointsMove::recharge(ann, money("999999999999899.9999"), key("g"));
    stage.app.mall().move_points(&most).await.unwrap();
    let all = PointsMove::withdraw(ann, money("999999999999999.9999"), key("h"));
    stage.app.mall().move_points(&all).await.unwrap();
    assert_eq!(balance(&stage.app, ann).await, "0.0000");
    nothing_is_lost(&stage, "100").await;
}

async fn movements_compose_in_one_transaction(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let users = users_with(&stage.app, 3, "100").await;
    let (ann, bob, eve) = (users[0], users[1], users[2]);
    let now = stage.app.clock().now();
    let both = stage.app.transaction(Domain::Mall, async |tx| {
        move_points(tx, &PointsMove::transfer(ann, bob, money("100"), key("1")), now).await?;
        // What bob has just received he can pass on; what ann has not she cannot.
        move_points(tx, &PointsMove::transfer(bob, eve, money("200"), key("2")), now).await?;
        move_points(tx, &PointsMove::transfer(ann, eve, money("1"), key("3")), now).await
    });
    assert!(matches!(both.await, Err(Error::Conflict(_))));
    for user in users {
        assert_eq!(balance(&stage.app, user).await, "100.0000");
    }
    assert_eq!(stage.app.mall().points_movement(&key("1")).await.unwrap(), None);
    nothing_is_lost(&stage, "300").await;
}

async fn a_statement_is_in_order_and_in_pages(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let users = users_with(&stage.app, 2, "1000").await;
    for number in 0..25 {
        // All within one millisecond: the clock stands.
        let wanted = PointsMove::transfer(users[0], users[1], money("1"), key(format!("{number}")));
        stage.app.mall().move_points(&wanted).await.unwrap();
    }
    let filter = PointsFilter::of(users[0]).order(Order::Asc).limit(7);
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = stage.app.mall().points_statement(&filter.clone().after(cursor)).await.unwrap();
        seen.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let balances: Vec<String> = seen.iter().map(|entry| entry.balance_after.to_string()).collect();
    let expected: Vec<String> = (0..=25).map(|number| format!("{}.0000", 1_000 - number)).collect();
    assert_eq!(balances, expected);
    let count = async |filter: PointsFilter| stage.app.mall().points_statement(&filter).await.unwrap().items.len();
    assert_eq!(count(PointsFilter::of(users[1]).kind(PointsKind::Recharge)).await, 1);
    let now = stage.app.clock().now();
    assert_eq!(count(PointsFilter::of(users[1]).from(now)).await, 26);
    assert_eq!(count(PointsFilter::of(users[1]).to(now)).await, 0);
    assert_eq!(count(PointsFilter::of(new_id())).await, 0);

    let cursor = stage.app.mall().points_statement(&filter).await.unwrap().next;
    let error = stage.app.mall().points_statement(&PointsFilter::of(users[1]).after(cursor)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
    let mut forged = cursor.unwrap().to_string();
    forged.replace_range(..1, if forged.starts_with('A') { "B" } else { "A" });
    let error = forged.parse::<Cursor>().map(|cursor| filter.clone().after(Some(cursor)));
    if let Ok(filter) = error {
        assert!(matches!(stage.app.mall().points_statement(&filter).await, Err(Error::Cursor(_))));
    }
}

async fn an_audit_names_what_was_tampered_with(database: TestDatabase) {
    use sea_orm::sea_query::Expr;
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

    let stage = Stage::on(database).await.unwrap();
    let users = users_with(&stage.app, 3, "123456789012.3456").await;
    for (number, amount) in ["0.0001", "0.9999", "123456789.0001"].into_iter().enumerate() {
        let wanted = PointsMove::transfer(users[0], users[1], money(amount), key(format!("{number}")));
        stage.app.mall().move_points(&wanted).await.unwrap();
    }
    nothing_is_lost(&stage, "370370367037.0368").await;
    let changed = points_account::Entity::update_many()
        .col_expr(points_account::Column::Balance, Expr::val(money("123456789012.3457")))
        .filter(points_account::Column::UserId.eq(users[2]))
        .exec(stage.app.db(Domain::Mall).writer())
        .await
        .unwrap();
    assert_eq!(changed.rows_affected, 1);
    let audit = stage.app.mall().audit().await.unwrap();
    assert_eq!((audit.wrong, audit.is_clean(), audit.accounts), (1, false, 3));
    let wrong = &audit.mismatches[0];
    assert_eq!((wrong.user_id, wrong.balance.to_string().as_str()), (users[2], "123456789012.3457"));
    assert_eq!(wrong.entries.to_string(), "123456789012.3456");
}

async fn any_text_and_any_time_are_kept_as_they_are(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let user = new_id();
    let remark: LongText = "🎁 مرحبا, it's a \"gift\"; -- %_\\\n".parse().unwrap();
    let distant: Timestamp = "3000-02-03T04:05:06.789012Z".parse().unwrap();
    stage.clock.set(distant);
    let wanted = PointsMove::recharge(user, money("1"), key("far")).remark(remark.clone());
    stage.app.mall().move_points(&wanted).await.unwrap();
    let page = stage.app.mall().points_statement(&PointsFilter::of(user).from(distant)).await.unwrap();
    assert_eq!((page.items[0].remark.clone(), page.items[0].created_at), (Some(remark), distant));
    stage.clock.set("1969-12-31T23:59:59Z".parse().unwrap());
    let early = PointsMove::recharge(user, money("1"), key("early"));
    let error = stage.app.mall().move_points(&early).await.unwrap_err();
    assert!(matches!(error, Error::Value(_)), "{error:?}");
    assert!("nul\0".parse::<LongText>().is_err());
    assert!("k".repeat(99).parse::<stanchion::domain::mall::MovementKey>().is_err());
    nothing_is_lost(&stage, "1").await;
}

async fn every_operation_takes_its_round_trips(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let users = users_with(&stage.app, 2, "100").await;
    let app: &App = &stage.app;
    let trips = async |wanted: PointsMove| {
        let (made, trips) = stage.counted(app.mall().move_points(&wanted)).await;
        made.unwrap();
        trips
    };
    let transfer = PointsMove::transfer(users[0], users[1], money("1"), key("a"));
    assert_eq!(trips(transfer.clone()).await, 8);
    assert_eq!(trips(transfer).await, 5, "when it was made already");
    assert_eq!(trips(PointsMove::transfer(users[0], new_id(), money("1"), key("b"))).await, 10);
    assert_eq!(trips(PointsMove::recharge(users[0], money("1"), key("c"))).await, 6);
    assert_eq!(trips(PointsMove::withdraw(users[0], money("1"), key("d"))).await, 6);
    let (_, trips) = stage.counted(app.mall().points_account(users[0])).await;
    assert_eq!(trips, 1);
    let (_, trips) = stage.counted(app.mall().open_points_account(users[0])).await;
    assert_eq!(trips, 1);
    let (_, trips) = stage.counted(app.mall().points_movement(&key("a"))).await;
    assert_eq!(trips, 1);
    let (_, trips) = stage.counted(app.mall().points_statement(&PointsFilter::of(users[0]))).await;
    assert_eq!(trips, 1);
    // Two a thousand accounts, and one that finds no more.
    let (_, trips) = stage.counted(app.mall().audit()).await;
    assert_eq!(trips, 3);
}

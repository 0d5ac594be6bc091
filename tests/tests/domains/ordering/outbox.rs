//! What was written is published, at least once, in order, by whoever comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use stanchion::Error;
use stanchion::config::Domain;
use stanchion::domain::ordering::outbox::{self, Due, FIRST_LEASE, Message, Published};
use stanchion::types::Json;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

on_every_backend! {
    messages_of_a_key_are_published_in_order_each_once,
    publishers_at_once_share_the_work_and_keep_the_order,
    a_message_that_fails_holds_up_its_own_key_alone,
    a_rolled_back_transaction_leaves_no_message,
    published_messages_are_purged,
    a_topic_or_key_that_makes_no_sense_is_refused,
}

const TOPIC: &[&str] = &["shop.news"];

async fn write(stage: &Stage, key: &str, number: i64) {
    let payload = Json::of(&number).unwrap();
    let db = stage.app.db(Domain::Ordering).writer();
    outbox::write(db, TOPIC[0], key, payload, stage.app.clock().now()).await.unwrap();
}

/// What has arrived, by key.
type Inbox = Arc<Mutex<HashMap<String, Vec<i64>>>>;

fn receive(inbox: &Inbox, message: &Message) {
    let number: i64 = message.payload.to().unwrap();
    inbox.lock().unwrap().entry(message.message_key.to_string()).or_default().push(number);
}

async fn publish(stage: &Stage, limit: u32, inbox: &Inbox, failing: &str) -> Published {
    let now = stage.app.clock().now();
    let due = Due { topics: TOPIC, written_until: now, limit };
    let handler = |message: Message| {
        let fails = &*message.message_key == failing;
        if !fails {
            receive(inbox, &message);
        }
        async move { if fails { Err(Error::Conflict("no".into())) } else { Ok(()) } }
    };
    outbox::publish(stage.app.db(Domain::Ordering).writer(), due, now, &handler).await.unwrap()
}

async fn messages_of_a_key_are_published_in_order_each_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    for number in 0..20 {
        write(&stage, ["a", "b"][usize::try_from(number % 2).unwrap()], number).await;
    }
    let db = stage.app.db(Domain::Ordering).writer();
    outbox::write(db, "shop.other", "a", Json::default(), stage.app.clock().now()).await.unwrap();
    let inbox = Inbox::default();
    assert_eq!(outbox::pending(db, TOPIC, 7).await.unwrap().len(), 7);
    assert_eq!(publish(&stage, 15, &inbox, "").await, Published { published: 15, failed: 0 });
    let (done, trips) = stage.counted(publish(&stage, 15, &inbox, "")).await;
    assert_eq!(done, Published { published: 5, failed: 0 });
    assert_eq!(trips, 11);
    assert_eq!(publish(&stage, 15, &inbox, "").await, Published::default());
    let received = inbox.lock().unwrap().clone();
    assert_eq!(received["a"], (0..20).step_by(2).collect::<Vec<_>>());
    assert_eq!(received["b"], (1..20).step_by(2).collect::<Vec<_>>());
    assert!(outbox::pending(db, TOPIC, 100).await.unwrap().is_empty());
    assert_eq!(outbox::pending(db, &["shop.other"], 100).await.unwrap().len(), 1);
}

async fn publishers_at_once_share_the_work_and_keep_the_order(database: TestDatabase) {
    let stage = Arc::new(Stage::on(database).await.unwrap());
    for number in 0..60 {
        write(&stage, &format!("k{}", number % 5), number).await;
    }
    let inbox = Inbox::default();
    let publishers = (0..6).map(|_| {
        let (stage, inbox) = (Arc::clone(&stage), Arc::clone(&inbox));
        tokio::spawn(async move {
            let mut published = 0;
            // Somebody else may hold the head of every key just now.
            for _ in 0..40 {
                published += publish(&stage, 100, &inbox, "").await.published;
                tokio::task::yield_now().await;
            }
            published
        })
    });
    let published: u64 = join_all(publishers).await.into_iter().map(Result::unwrap).sum();
    let rest = publish(&stage, 100, &inbox, "").await.published;
    assert_eq!(published + rest, 60);
    for (key, numbers) in inbox.lock().unwrap().iter() {
        assert_eq!(numbers.len(), 12, "{key}");
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
}

async fn a_message_that_fails_holds_up_its_own_key_alone(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    for number in 0..6 {
        write(&stage, ["bad", "good"][usize::try_from(number % 2).unwrap()], number).await;
    }
    let inbox = Inbox::default();
    assert_eq!(publish(&stage, 100, &inbox, "bad").await, Published { published: 3, failed: 1 });
    // It is not tried again at once, and not for ever longer either.
    assert_eq!(publish(&stage, 100, &inbox, "").await, Published::default());
    stage.clock.advance(FIRST_LEASE);
    assert_eq!(publish(&stage, 100, &inbox, "bad").await, Published { published: 0, failed: 1 });
    stage.clock.advance(FIRST_LEASE);
    assert_eq!(publish(&stage, 100, &inbox, "").await, Published::default());
    stage.clock.advance(FIRST_LEASE);
    let db = stage.app.db(Domain::Ordering).writer();
    let stuck = outbox::pending(db, TOPIC, 1).await.unwrap();
    assert_eq!((stuck[0].attempts, &*stuck[0].message_key), (2, "bad"));
    assert_eq!(publish(&stage, 100, &inbox, "").await, Published { published: 3, failed: 0 });
    assert_eq!(inbox.lock().unwrap()["bad"], [0, 2, 4]);
}

async fn a_rolled_back_transaction_leaves_no_message(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let failed = stage.app.transaction(Domain::Ordering, async |tx| {
        outbox::write(tx, TOPIC[0], "a", Json::default(), now).await?;
        Err::<(), _>(Error::Conflict("changed our mind".into()))
    });
    assert!(failed.await.is_err());
    assert!(outbox::pending(stage.app.db(Domain::Ordering).writer(), TOPIC, 10).await.unwrap().is_empty());
}

async fn published_messages_are_purged(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    for number in 0..5 {
        write(&stage, "a", number).await;
    }
    publish(&stage, 4, &Inbox::default(), "").await;
    let db = stage.app.db(Domain::Ordering).writer();
    let now = stage.app.clock().now();
    assert_eq!(outbox::purge(db, now, 100).await.unwrap(), 0);
    let later = now.plus(Duration::from_secs(1)).unwrap();
    assert_eq!(outbox::purge(db, later, 3).await.unwrap(), 3);
    assert_eq!(outbox::purge(db, later, 3).await.unwrap(), 1);
    assert_eq!(outbox::purge(db, later, 3).await.unwrap(), 0);
    assert_eq!(outbox::pending(db, TOPIC, 100).await.unwrap().len(), 1);
}

async fn a_topic_or_key_that_makes_no_sense_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let db = stage.app.db(Domain::Ordering).writer();
    let now = stage.app.clock().now();
    let (long, longer) = ("é".repeat(101), "é".repeat(201));
    for (topic, key) in [("", "k"), ("t", " "), ("t\0", "k"), ("t", "k\0"), (&long, "k"), ("t", &longer)] {
        let error = outbox::write(db, topic, key, Json::default(), now).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().starts_with("outbox."), "{error}");
    }
    outbox::write(db, &long[..200], &longer[..400], Json::default(), now).await.unwrap();
}

//! The layer logs every event below its bound, never waits, and never logs itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stanchion::config::Domain;
use stanchion::db::Order;
use stanchion::domain::journal::{JournalHandle, JournalLayer, LayerOptions, LogError, LogFilter, Retention};
use stanchion::entity::journal::log_entry::Model;
use stanchion::entity::journal::{LogCategory, LogLevel};
use stanchion::sea_orm::ConnectionTrait;
use stanchion::{App, Clock};
use stanchion_tests::testbed::{TestDatabase, eventually};
use stanchion_tests::{Stage, on_every_backend};
use tracing::Level;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::{Registry, registry};
use uuid::Uuid;

use super::HOUR;

on_every_backend! {
    fields_become_columns_and_data_and_those_of_spans_are_inherited,
    events_before_the_database_is_there_are_kept_up_to_the_bound,
    a_database_that_fails_is_waited_for_and_nothing_is_lost,
    what_is_too_much_is_dropped_counted_and_told,
    secrets_are_hidden_and_hostile_values_do_no_harm,
    everything_that_many_threads_log_is_written_once,
    writing_logs_nothing_of_itself,
    closing_writes_what_waits_and_later_events_are_dropped,
}

type Subscriber = Layered<JournalLayer, Registry>;

fn options(stage: &Stage) -> LayerOptions {
    LayerOptions {
        clock: Arc::clone(&stage.clock) as Arc<dyn Clock>,
        linger: Duration::from_millis(5),
        pauses: (Duration::from_millis(1), Duration::from_millis(20)),
        ..LayerOptions::new("shop".parse().unwrap())
    }
}

fn layered(options: LayerOptions) -> (Arc<Subscriber>, JournalHandle) {
    let (layer, handle) = JournalLayer::new(options);
    (Arc::new(registry().with(layer)), handle)
}

/// A stage whose journal the layer writes to.
async fn attached(
    database: TestDatabase,
    options: impl FnOnce(&Stage) -> LayerOptions,
) -> (Stage, Arc<Subscriber>, JournalHandle) {
    let stage = Stage::on(database).await.unwrap();
    let (subscriber, handle) = layered(options(&stage));
    handle.attach(&stage.app).unwrap();
    (stage, subscriber, handle)
}

async fn all(app: &App) -> Vec<Model> {
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let filter = LogFilter::new().order(Order::Asc).limit(1_000).after(after);
        let page = app.journal().entries(&filter).await.unwrap();
        entries.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return entries,
        }
    }
}

async fn fields_become_columns_and_data_and_those_of_spans_are_inherited(database: TestDatabase) {
    let (stage, subscriber, handle) = attached(database, |stage| LayerOptions {
        retention: Retention::of(HOUR),
        level: Level::DEBUG,
        ..options(stage)
    })
    .await;
    let user = Uuid::from_u128(7);
    with_default(subscriber, || {
        let request = tracing::info_span!("request", request_id = "r-1", user_id = %user, depth = 1, later = tracing::field::Empty);
        let _request = request.enter();
        request.record("later", "now");
        let inner = tracing::debug_span!("inner", depth = 2, session_id = "s-1");
        inner.in_scope(|| {
            tracing::warn!(
                action = "pay", category = "business_transaction", duration_ms = 12.9, tags = ?["slow", "card"],
                amount = 12.5, ok = true, big = u64::MAX, huge = i128::MIN, "paid {}", 3
            );
        });
        let error = std::io::Error::other(Box::<dyn std::error::Error + Send + Sync>::from("the cause"));
        tracing::error!(error = &error as &dyn std::error::Error, "failed");
        tracing::debug!(user_id = "nobody", category = "gossip", error = "as text", tags = "a, b", duration_ms = -1);
        tracing::trace!("too fine");
    });
    handle.flush().await;
    let entries = all(&stage.app).await;
    let [paid, failed, bare] = entries.as_slice() else { panic!("{entries:?}") };

    assert_eq!((paid.level, paid.category), (LogLevel::Warn, LogCategory::BusinessTransaction));
    assert_eq!((paid.service.as_str(), paid.message.as_str()), ("shop", "paid 3"));
    assert_eq!(paid.action.as_deref(), Some("pay"));
    assert_eq!((paid.request_id.as_deref(), paid.session_id.as_deref()), (Some("r-1"), Some("s-1")));
    assert_eq!((paid.user_id, paid.duration_ms), (Some(user), Some(12)));
    assert_eq!(*paid.tags, json!(["slow", "card"]));
    let data = json!({
        "amount": 12.5, "ok": true, "big": u64::MAX, "huge": i128::MIN.to_string(), "depth": 2, "later": "now",
        "target": module_path!(),
    });
    assert_eq!(*paid.data, data);
    assert_eq!((paid.ts, paid.expires_at), (stage.clock.now(), Some(stage.clock.now().plus(HOUR).unwrap())));

    assert_eq!((failed.level, failed.data["depth"].clone()), (LogLevel::Error, json!(1)));
    let error: LogError = failed.error.as_ref().unwrap().to().unwrap();
    assert_eq!(error.message, "the cause");

    assert_eq!((bare.level, bare.category, bare.message.as_str()), (LogLevel::Debug, LogCategory::System, ""));
    assert_eq!((bare.user_id, bare.duration_ms, bare.session_id.as_deref()), (None, None, None));
    assert_eq!((bare.data["user_id"].clone(), bare.data["category"].clone()), (json!("nobody"), json!("gossip")));
    assert_eq!(*bare.tags, json!(["a", "b"]));
    assert_eq!(bare.error.as_ref().unwrap()["message"], "as text");
}

async fn events_before_the_database_is_there_are_kept_up_to_the_bound(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let (subscriber, handle) = layered(LayerOptions { capacity: 100, ..options(&stage) });
    with_default(subscriber, || (0..130).for_each(|number| tracing::info!("early {number}")));
    assert_eq!((handle.waiting(), handle.dropped()), (100, 30));
    handle.attach(&stage.app).unwrap();
    assert!(handle.attach(&stage.app).unwrap_err().is_invalid());
    handle.flush().await;
    let messages: Vec<String> = all(&stage.app).await.into_iter().map(|entry| entry.message.into_string()).collect();
    assert!(messages.contains(&"early 0".to_owned()) && messages.contains(&"early 99".to_owned()));
    assert!(messages.contains(&"30 log entries were dropped".to_owned()));
    assert_eq!((messages.len(), handle.waiting(), handle.dropped()), (101, 0, 30));
}

async fn a_database_that_fails_is_waited_for_and_nothing_is_lost(database: TestDatabase) {
    let (stage, subscriber, handle) = attached(database, options).await;
    let writer = stage.app.db(Domain::Journal).writer();
    writer.execute_unprepared("ALTER TABLE log_entries RENAME TO hidden_entries").await.unwrap();
    let before = stage.app.databases()[0].round_trips();
    with_default(Arc::clone(&subscriber), || (0..50).for_each(|number| tracing::info!("kept {number}")));
    // It has tried, more than once.
    eventually("it tries again", async || stage.app.databases()[0].round_trips() > before + 12).await;
    with_default(subscriber, || (50..100).for_each(|number| tracing::info!("kept {number}")));
    assert_eq!((handle.waiting(), handle.dropped()), (100, 0));
    writer.execute_unprepared("ALTER TABLE hidden_entries RENAME TO log_entries").await.unwrap();
    handle.flush().await;
    let messages: Vec<String> = all(&stage.app).await.into_iter().map(|entry| entry.message.into_string()).collect();
    assert_eq!(messages, (0..100).map(|number| format!("kept {number}")).collect::<Vec<_>>());
}

async fn what_is_too_much_is_dropped_counted_and_told(database: TestDatabase) {
    let (stage, subscriber, handle) =
        attached(database, |stage| LayerOptions { capacity: 10, batch: 4, ..options(stage) }).await;
    with_default(subscriber, || (0..1_000).for_each(|number| tracing::info!("flood {number}")));
    handle.flush().await;
    let entries = all(&stage.app).await;
    let (told, flood): (Vec<&Model>, Vec<&Model>) =
        entries.iter().partition(|entry| entry.message.ends_with("log entries were dropped"));
    assert_eq!(flood.len() as u64 + handle.dropped(), 1_000);
    assert!(handle.dropped() > 0 && flood.len() >= 10);
    // Those that no entry tells of yet are told with the next one.
    let sum: u64 = told.iter().map(|entry| entry.data["dropped"].as_u64().unwrap()).sum();
    assert_eq!(sum, handle.dropped());
    assert!(told.iter().all(|entry| entry.level == LogLevel::Warn && entry.service.as_str() == "shop"));
}

/// Panics when it is printed.
struct Broken;

impl fmt::Debug for Broken {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a field that cannot be printed")
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Logs when it is printed.
struct Talkative;

impl fmt::Debug for Talkative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!(again = ?Self, "while printing");
        f.write_str("talkative")
    }
}

async fn secrets_are_hidden_and_hostile_values_do_no_harm(database: TestDatabase) {
    let (stage, subscriber, handle) =
        attached(database, |stage| LayerOptions { longest: 200, ..options(stage) }.redact("Iban")).await;
    with_default(subscriber, || {
        let _span = tracing::info_span!("login", password = "hunter2", user = "eve").entered();
        tracing::info!(
            access_token = ?Broken, Authorization = "Bearer abc", iban = 12, action = "é".repeat(100), broken = ?Broken,
            shown = %Broken, talkative = ?Talkative, nul = "a\0b", long = "🦀".repeat(300), nan = f64::NAN,
            request_id = "r\0", "{}\0", "\u{202e}x".repeat(200)
        );
    });
    handle.flush().await;
    let entries = all(&stage.app).await;
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    let data = &*entry.data;
    for hidden in ["password", "access_token", "Authorization", "iban"] {
        assert_eq!(data[hidden], "***", "{hidden}");
    }
    assert!(!format!("{entry:?}").contains("hunter2"));
    assert_eq!(data["user"], "eve");
    assert_eq!(data["broken"], "(panicked while it was printed)");
    assert_eq!(
        (&data["talkative"], &data["nul"], &data["nan"]),
        (&json!("talkative"), &json!("a\u{fffd}b"), &json!("NaN"))
    );
    assert_eq!(data["long"], format!("{}… (cut)", "🦀".repeat(200)));
    assert_eq!(entry.action.as_deref(), Some(format!("{}…", "é".repeat(63)).as_str()));
    assert_eq!(entry.request_id.as_deref(), Some("r\u{fffd}"));
    assert_eq!(entry.message.as_str(), format!("{}… (cut)", "\u{202e}x".repeat(100)));
}

async fn everything_that_many_threads_log_is_written_once(database: TestDatabase) {
    let (stage, subscriber, handle) = attached(database, |stage| LayerOptions { batch: 64, ..options(stage) }).await;
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let subscriber = Arc::clone(&subscriber);
            std::thread::spawn(move || {
                with_default(subscriber, || (0..250).for_each(|number| tracing::info!("{thread}/{number}")));
            })
        })
        .collect();
    // Flushing meanwhile disturbs nobody.
    for _ in 0..5 {
        handle.flush().await;
    }
    tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| thread.join().unwrap())).await.unwrap();
    handle.flush().await;
    let mut messages: Vec<String> =
        all(&stage.app).await.into_iter().map(|entry| entry.message.into_string()).collect();
    messages.sort();
    let mut expected: Vec<String> =
        (0..8).flat_map(|thread| (0..250).map(move |number| format!("{thread}/{number}"))).collect();
    expected.sort();
    assert_eq!((messages, handle.dropped()), (expected, 0));
}

async fn writing_logs_nothing_of_itself(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let (subscriber, handle) = layered(LayerOptions { level: Level::TRACE, ..options(&stage) });
    // A runtime whose every thread, and so everything that writing does, logs here.
    let app = stage.app.clone();
    let written = tokio::task::spawn_blocking(move || {
        let on_thread = Arc::clone(&subscriber);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || {
                std::mem::forget(tracing::subscriber::set_default(Arc::clone(&on_thread)));
            })
            .build()
            .unwrap();
        let _here = tracing::subscriber::set_default(Arc::clone(&subscriber));
        runtime.block_on(async {
            let app = App::start(app.config().clone()).await.unwrap();
            handle.attach(&app).unwrap();
            let tried = app.db(Domain::Journal).writer();
            tracing::info!("one");
            handle.flush().await;
            // A write that fails is told by events of its own.
            tried.execute_unprepared("ALTER TABLE log_entries RENAME TO hidden_entries").await.unwrap();
            tracing::info!("two");
            let before = app.databases()[0].round_trips();
            eventually("it tries again", async || app.databases()[0].round_trips() > before + 12).await;
            tried.execute_unprepared("ALTER TABLE hidden_entries RENAME TO log_entries").await.unwrap();
            // As a task of its own: what waits for the journal may move between threads.
            let flushing = handle.clone();
            tokio::spawn(async move { flushing.flush().await }).await.unwrap();
            let closing = handle.clone();
            let left = tokio::spawn(async move { closing.close().await }).await.unwrap();
            app.close().await;
            left
        })
    })
    .await
    .unwrap();
    assert_eq!(written, 0);
    let messages: Vec<String> = all(&stage.app).await.into_iter().map(|entry| entry.message.into_string()).collect();
    assert_eq!(messages, ["one", "two"]);
}

async fn closing_writes_what_waits_and_later_events_are_dropped(database: TestDatabase) {
    let (stage, subscriber, handle) = attached(database, |stage| LayerOptions {
        linger: HOUR,
        close_within: Duration::from_secs(30),
        ..options(stage)
    })
    .await;
    with_default(Arc::clone(&subscriber), || (0..20).for_each(|number| tracing::info!("{number}")));
    assert_eq!(handle.close().await, 0);
    assert_eq!(all(&stage.app).await.len(), 20);
    with_default(Arc::clone(&subscriber), || tracing::info!("too late"));
    handle.flush().await;
    assert_eq!((handle.close().await, handle.dropped(), handle.waiting()), (0, 1, 0));
    assert!(handle.attach(&stage.app).unwrap_err().is_invalid());

    // Without a database that answers, closing gives up and says how many are lost.
    let (subscriber, handle) = layered(LayerOptions { close_within: Duration::from_millis(50), ..options(&stage) });
    let writer = stage.app.db(Domain::Journal).writer();
    writer.execute_unprepared("ALTER TABLE log_entries RENAME TO hidden_entries").await.unwrap();
    handle.attach(&stage.app).unwrap();
    with_default(Arc::clone(&subscriber), || (0..3).for_each(|number| tracing::info!("{number}")));
    assert_eq!((handle.close().await, handle.dropped(), handle.waiting()), (3, 3, 0));
    // Nor does it need one that never came.
    let (subscriber, handle) = layered(options(&stage));
    with_default(subscriber, || tracing::info!("nowhere to go"));
    assert_eq!(handle.close().await, 1);
}

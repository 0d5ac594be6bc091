//! Log entries: recorded whole, found by what they are, counted, and deleted when they expire.

use std::time::Duration;

use serde_json::json;
use stanchion::db::Order;
use stanchion::domain::journal::{Interval, LogError, LogFilter, NewLogEntry, PURGED_AT_ONCE, Retention};
use stanchion::entity::journal::{LogCategory, LogLevel};
use stanchion::sea_orm::DbBackend;
use stanchion::types::{Json, TimeRange, Timestamp};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{DAY, HOUR, entry};

on_every_backend! {
    what_is_recorded_is_read_back,
    every_filter_finds_its_own,
    a_text_is_looked_for_as_it_is_written_in_a_bounded_range,
    entries_of_one_moment_are_in_the_order_in_which_they_were_recorded,
    bad_entries_are_refused_and_nothing_of_their_batch_is_kept,
    a_cursor_of_another_filter_is_refused,
    entries_are_counted_by_level_by_service_and_over_time,
    what_has_expired_is_deleted_in_batches_and_nothing_else,
    round_trips_are_as_documented,
}

async fn what_is_recorded_is_read_back(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let data = json!({"amount": "12.50", "lines": [1, 2, {"deep": null}], "مرحبا": "🦀"});
    let error = LogError { name: "Timeout".into(), message: "no answer".into(), stack: "a\nb".into() };
    let given = NewLogEntry {
        level: LogLevel::Error,
        category: LogCategory::BusinessTransaction,
        action: Some("pay".parse().unwrap()),
        request_id: Some("r-1".parse().unwrap()),
        user_id: Some(Uuid::from_u128(7)),
        session_id: Some("s-1".parse().unwrap()),
        data: Json::try_from(data.clone()).unwrap(),
        tags: vec!["slow".into(), "émoji 🦀".into()],
        error: Some(error.clone()),
        duration_ms: Some(i64::MAX),
        expires_at: Some("9999-12-31T23:59:59Z".parse().unwrap()),
        ..entry(now, "שלום 🦀 it's \"quoted\"")
    };
    stage.app.journal().record([given]).await.unwrap();
    let page = stage.app.journal().entries(&LogFilter::new()).await.unwrap();
    let read = stage.app.journal().entry(page.items[0].id).await.unwrap();
    assert_eq!(read, page.items[0]);
    assert_eq!((read.ts, read.created_at), (now, now));
    assert_eq!(read.message.as_str(), "שלום 🦀 it's \"quoted\"");
    assert_eq!(*read.data, data);
    assert_eq!(*read.tags, json!(["slow", "émoji 🦀"]));
    assert_eq!(read.error.unwrap().to::<LogError>().unwrap(), error);
    assert_eq!(read.duration_ms, Some(i64::MAX));
    // What was not said is empty, not missing.
    stage.app.journal().record([entry(now, "")]).await.unwrap();
    let bare = stage.app.journal().entries(&LogFilter::new().level(LogLevel::Info)).await.unwrap().items.remove(0);
    assert_eq!((&*bare.data, &*bare.tags, bare.error), (&json!({}), &json!([]), None));
    assert!(stage.app.journal().entry(Uuid::nil()).await.unwrap_err().is_not_found());
}

async fn every_filter_finds_its_own(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let start = stage.app.clock().now();
    let user = |number: u128| Uuid::from_u128(number % 7);
    let entries = (0..600_u64).map(|number| NewLogEntry {
        level: LogLevel::ALL[number as usize % 5],
        service: format!("service-{}", number % 3).parse().unwrap(),
        category: LogCategory::ALL[number as usize % 5],
        action: (number % 2 == 0).then(|| format!("action-{}", number % 11).parse().unwrap()),
        request_id: Some(format!("r-{}", number / 3).parse().unwrap()),
        user_id: Some(user(number.into())),
        ..entry(start.plus(Duration::from_secs(number)).unwrap(), &format!("entry {number}"))
    });
    stage.app.journal().record(entries).await.unwrap();
    let found = async |filter: LogFilter| {
        let mut numbers = Vec::new();
        let mut after = None;
        loop {
            let page = stage.app.journal().entries(&filter.clone().limit(37).after(after)).await.unwrap();
            numbers.extend(page.items.iter().map(|entry| entry.message[6..].parse::<u64>().unwrap()));
            match page.next {
                Some(next) => after = Some(next),
                None => return numbers,
            }
        }
    };
    let expected = |keep: &dyn Fn(u64) -> bool| (0..600).rev().filter(|number| keep(*number)).collect::<Vec<u64>>();
    let at = |second| start.plus(Duration::from_secs(second)).unwrap();
    assert_eq!(found(LogFilter::new()).await, expected(&|_| true));
    assert_eq!(found(LogFilter::new().level(LogLevel::Warn)).await, expected(&|number| number % 5 == 1));
    assert_eq!(found(LogFilter::new().service("service-2")).await, expected(&|number| number % 3 == 2));
    assert_eq!(found(LogFilter::new().category(LogCategory::Performance)).await, expected(&|number| number % 5 == 4));
    let with_action = expected(&|number| number % 2 == 0 && number % 11 == 4);
    assert_eq!(found(LogFilter::new().action("action-4")).await, with_action);
    assert_eq!(found(LogFilter::new().request("r-5")).await, [17, 16, 15]);
    assert_eq!(found(LogFilter::new().user(user(3))).await, expected(&|number| number % 7 == 3));
    assert_eq!(found(LogFilter::new().from(at(10)).to(at(13)).order(Order::Asc)).await, [10, 11, 12]);
    assert_eq!(
        found(LogFilter::new().text("entry 59").from(start).to(at(600))).await,
        expected(&|number| { number == 59 || number / 10 == 59 })
    );
    let both = LogFilter::new().service("service-0").level(LogLevel::Error).user(user(1));
    assert_eq!(found(both).await, expected(&|number| number % 3 == 0 && number % 5 == 0 && number % 7 == 1));
    for nothing in ["service-9", "SERVICE-1", "service-1 ", "%", "", "' OR 1=1 --"] {
        assert!(found(LogFilter::new().service(nothing)).await.is_empty(), "{nothing:?}");
    }
}

async fn a_text_is_looked_for_as_it_is_written_in_a_bounded_range(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let messages = ["100% paid", "1000 paid", "a_b", "axb", "Émile 🦀", "émile", "back\\slash"];
    let entries =
        messages.iter().map(|message| NewLogEntry { request_id: Some("r".parse().unwrap()), ..entry(now, message) });
    stage.app.journal().record(entries).await.unwrap();
    for (text, found) in [
        ("100%", vec!["100% paid"]),
        ("100", vec!["1000 paid", "100% paid"]),
        ("a_b", vec!["a_b"]),
        ("PAID", vec![]),
        ("Émile", vec!["Émile 🦀"]),
        ("🦀", vec!["Émile 🦀"]),
        ("k\\s", vec!["back\\slash"]),
        ("", messages.iter().rev().copied().collect()),
    ] {
        let within = LogFilter::new().text(text).from(now).to(now.plus(DAY).unwrap());
        for filter in [within, LogFilter::new().text(text).request("r")] {
            let page = stage.app.journal().entries(&filter).await.unwrap();
            assert_eq!(page.items.iter().map(|entry| entry.message.as_str()).collect::<Vec<_>>(), found, "{text}");
        }
    }
    let wide = now.plus(DAY).unwrap().plus(Duration::from_micros(1)).unwrap();
    for filter in [
        LogFilter::new().text("paid"),
        LogFilter::new().text("paid").from(now),
        LogFilter::new().text("paid").from(now).to(wide),
        LogFilter::new().text("paid").user(Uuid::nil()),
        LogFilter::new().text("a\0b").request("r"),
        LogFilter::new().service("a\0b"),
    ] {
        assert!(stage.app.journal().entries(&filter).await.unwrap_err().is_invalid(), "{filter:?}");
    }
}

async fn entries_of_one_moment_are_in_the_order_in_which_they_were_recorded(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let at = |micros| now.plus(Duration::from_micros(micros)).unwrap();
    let entries = (0..300_u64).map(|number| entry(at(number / 10), &number.to_string()));
    stage.app.journal().record(entries).await.unwrap();
    let page = stage.app.journal().entries(&LogFilter::new().order(Order::Asc).limit(300)).await.unwrap();
    let numbers: Vec<u64> = page.items.iter().map(|entry| entry.message.parse().unwrap()).collect();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    assert!(page.items.is_sorted_by_key(|entry| entry.ts));
}

async fn bad_entries_are_refused_and_nothing_of_their_batch_is_kept(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let before_1970 = Timestamp::from_millis(-1).unwrap();
    for (bad, column) in [
        (entry(before_1970, "too early"), "log_entries.ts"),
        (NewLogEntry { service: " ".parse().unwrap(), ..entry(now, "") }, "log_entries.service"),
        (NewLogEntry { duration_ms: Some(-1), ..entry(now, "") }, "log_entries.duration_ms"),
        (NewLogEntry { data: Json::try_from(json!([1])).unwrap(), ..entry(now, "") }, "log_entries.data"),
        (NewLogEntry { tags: vec!["a\0b".into()], ..entry(now, "") }, "log_entries.tags"),
        (
            NewLogEntry { error: Some(LogError { message: "\0".into(), ..LogError::default() }), ..entry(now, "") },
            "log_entries.error",
        ),
    ] {
        let refused = stage.app.journal().record([entry(now, "good"), bad]).await.unwrap_err();
        assert!(refused.is_invalid() && refused.to_string().starts_with(column), "{refused}");
    }
    assert!(stage.app.journal().entries(&LogFilter::new()).await.unwrap().items.is_empty());
    // After 2262, where nanoseconds in 64 bits end, and a year without partitions yet.
    let late = "2300-06-01T00:00:00Z".parse().unwrap();
    stage.app.journal().record([entry(late, "late"), entry(Timestamp::EPOCH, "first")]).await.unwrap();
    let found = stage.app.journal().entries(&LogFilter::new().from(late)).await.unwrap();
    assert_eq!(found.items.len(), 1);
}

async fn a_cursor_of_another_filter_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    stage.app.journal().record((0..3).map(|number| entry(now, &number.to_string()))).await.unwrap();
    let page = stage.app.journal().entries(&LogFilter::new().limit(1)).await.unwrap();
    let other = LogFilter::new().service("shop").after(page.next);
    assert!(stage.app.journal().entries(&other).await.unwrap_err().is_invalid());
    for forged in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        if let Ok(cursor) = forged.parse() {
            let filter = LogFilter::new().after(Some(cursor));
            assert!(stage.app.journal().entries(&filter).await.unwrap_err().is_invalid());
        }
    }
}

async fn entries_are_counted_by_level_by_service_and_over_time(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    // A Sunday, so that the week ends within the range.
    let sunday: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let entries = (0..72_u32).map(|hour| NewLogEntry {
        level: if hour % 10 == 0 { LogLevel::Error } else { LogLevel::Info },
        service: if hour < 24 { "shop" } else { "bot" }.parse().unwrap(),
        ..entry(sunday.plus(HOUR * hour + Duration::from_millis(1)).unwrap(), "")
    });
    stage.app.journal().record(entries).await.unwrap();
    let range = TimeRange { from: Some(sunday), to: Some(sunday.plus(DAY * 3).unwrap()) };
    let journal = stage.app.journal();
    let statistics = journal.statistics(range).await.unwrap();
    assert_eq!(statistics.total, 72);
    assert_eq!(statistics.by_level, [(LogLevel::Error, 8), (LogLevel::Info, 64)]);
    assert_eq!(statistics.by_service, [("bot".to_owned(), 48), ("shop".to_owned(), 24)]);

    let counts = async |interval| {
        let counts = journal.over_time(range, interval).await.unwrap();
        counts.into_iter().map(|count| (count.start, count.count)).collect::<Vec<_>>()
    };
    let hours: Vec<(Timestamp, u64)> = (0..72).map(|hour| (sunday.plus(HOUR * hour).unwrap(), 1)).collect();
    assert_eq!(counts(Interval::Hour).await, hours);
    let days: Vec<(Timestamp, u64)> = (0..3).map(|day| (sunday.plus(DAY * day).unwrap(), 24)).collect();
    assert_eq!(counts(Interval::Day).await, days);
    let monday_before = sunday.minus(DAY * 6).unwrap();
    assert_eq!(counts(Interval::Week).await, [(monday_before, 24), (sunday.plus(DAY).unwrap(), 48)]);

    let nothing = TimeRange { from: Some(sunday.plus(DAY * 9).unwrap()), to: Some(sunday.plus(DAY * 10).unwrap()) };
    assert_eq!(journal.statistics(nothing).await.unwrap(), stanchion::domain::journal::LogStatistics::default());
    assert!(journal.over_time(nothing, Interval::Hour).await.unwrap().is_empty());
    let open = TimeRange { from: Some(sunday), to: None };
    assert!(journal.over_time(open, Interval::Day).await.unwrap_err().is_invalid());
    let long = TimeRange { from: Some(Timestamp::EPOCH), to: Some(sunday) };
    assert!(journal.over_time(long, Interval::Hour).await.unwrap_err().is_invalid());
}

async fn what_has_expired_is_deleted_in_batches_and_nothing_else(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let retention = Retention::forever().level(LogLevel::Debug, HOUR).category(LogCategory::SecurityAudit, DAY);
    let mut entries: Vec<NewLogEntry> = (0..2_500)
        .map(|_| NewLogEntry { level: LogLevel::Debug, ..entry(now, "short") })
        .chain([
            NewLogEntry { category: LogCategory::SecurityAudit, level: LogLevel::Debug, ..entry(now, "long") },
            entry(now, "for ever"),
        ])
        .collect();
    entries.iter_mut().for_each(|entry| retention.apply(entry));
    stage.app.journal().record(entries).await.unwrap();
    assert_eq!(stage.app.journal().purge(10).await.unwrap(), 0);
    stage.clock.advance(HOUR);
    assert_eq!(stage.app.journal().purge(1).await.unwrap(), PURGED_AT_ONCE);
    // Two at the same time may meet on the same entries, and count each of them once.
    let journal = stage.app.journal();
    let (one, other) = tokio::join!(journal.purge(10), journal.purge(10));
    let rest = stage.app.journal().purge(10).await.unwrap();
    assert_eq!(one.unwrap() + other.unwrap() + rest, 1_500);
    let left = stage.app.journal().entries(&LogFilter::new()).await.unwrap().items;
    assert_eq!(left.len(), 2);
    stage.clock.advance(DAY);
    assert_eq!(stage.app.journal().purge(10).await.unwrap(), 1);
}

async fn round_trips_are_as_documented(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let now = stage.app.clock().now();
    let journal = stage.app.journal();
    journal.record([entry(now, "first")]).await.unwrap();
    let postgres = stage.app.databases()[0].backend() == DbBackend::Postgres;
    let (_, trips) = stage.counted(journal.record((0..10).map(|_| entry(now, "more")))).await;
    assert!(trips <= if postgres { 6 } else { 3 }, "{trips}");
    let range = TimeRange { from: Some(now), to: Some(now.plus(DAY).unwrap()) };
    let (page, trips) = stage.counted(journal.entries(&LogFilter::new())).await;
    assert_eq!(trips, 1);
    assert_eq!(stage.counted(journal.entry(page.unwrap().items[0].id)).await.1, 1);
    assert_eq!(stage.counted(journal.statistics(range)).await.1, 2);
    assert_eq!(stage.counted(journal.over_time(range, Interval::Week)).await.1, 1);
    // There are none.
    assert_eq!(stage.counted(journal.purge(3)).await.1, 3);
}

use futures::future::join_all;
use stanchion::Error;
use stanchion::config::Domain;
use stanchion::db::bulk::Saved;
use stanchion::db::{CursorError, Order};
use stanchion::domain::market::{NewTick, Series, TickFilter, save_ticks};
use stanchion::types::{Price, Problem, Quantity, Timestamp};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::model::{at, series, tick};

on_every_backend! {
    a_tick_is_saved_once_however_late_and_often_it_comes,
    a_batch_at_the_same_moment_is_saved_once,
    pages_hold_every_tick_once_in_the_order_of_time_and_sequence,
    a_cursor_of_another_list_is_refused,
    what_cannot_be_stored_is_refused_and_named,
    times_and_names_of_all_kinds_come_back,
    a_transaction_that_fails_saves_no_tick,
    saving_and_reading_take_the_round_trips_that_are_documented,
}

async fn a_tick_is_saved_once_however_late_and_often_it_comes(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let ticks = |range: std::ops::Range<i64>| range.map(|number| tick(number, number, "1.5", "2")).collect::<Vec<_>>();
    assert_eq!(market.save_ticks(ticks(100..200)).await.unwrap(), Saved { inserted: 100, duplicates: 0 });
    assert_eq!(market.save_ticks(ticks(50..150)).await.unwrap(), Saved { inserted: 50, duplicates: 50 });
    // The same key says the same tick: another price does not change what is there.
    assert_eq!(market.save_ticks([tick(100, 100, "9", "9")]).await.unwrap(), Saved { inserted: 0, duplicates: 1 });
    // Twice in a batch, and another sequence number of the same instant.
    let twice = [tick(7, 1, "1", "1"), tick(7, 1, "1", "1"), tick(7, 2, "1", "1")];
    assert_eq!(market.save_ticks(twice).await.unwrap(), Saved { inserted: 2, duplicates: 1 });
    let page = market.ticks(&TickFilter::of(series()).limit(1_000)).await.unwrap();
    assert_eq!(page.items.len(), 152);
    assert!(page.items.iter().all(|tick| tick.price <= "1.5".parse().unwrap()));
    assert_eq!(market.save_ticks([]).await.unwrap(), Saved::default());
}

async fn a_batch_at_the_same_moment_is_saved_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let save = |_| {
        let app = stage.app.clone();
        async move {
            let ticks = (0..500).map(|number| tick(number, number, "1.5", "2"));
            tokio::spawn(async move { app.market().save_ticks(ticks).await.unwrap() }).await.unwrap()
        }
    };
    let mut total = Saved::default();
    join_all((0..8).map(save)).await.into_iter().for_each(|saved| total += saved);
    assert_eq!(total, Saved { inserted: 500, duplicates: 7 * 500 });
}

async fn pages_hold_every_tick_once_in_the_order_of_time_and_sequence(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    // Seven ticks an instant, negative sequence numbers among them.
    let keys: Vec<(i64, i64)> = (0..100).flat_map(|ts| (-3..4).map(move |seq| (ts * 10, seq))).collect();
    market.save_ticks(keys.iter().rev().map(|(ts, seq)| tick(*ts, *seq, "1", "1"))).await.unwrap();
    let other = NewTick { symbol: "ETHUSDT".parse().unwrap(), ..tick(5, 0, "1", "1") };
    market.save_ticks([other]).await.unwrap();
    let micros = |micros| Timestamp::from_micros(micros).unwrap();
    for order in [Order::Asc, Order::Desc] {
        let mut filter = TickFilter::of(series()).from(micros(100)).to(micros(900)).order(order).limit(31);
        let mut seen = Vec::new();
        loop {
            let page = market.ticks(&filter).await.unwrap();
            seen.extend(page.items.iter().map(|tick| (tick.ts.micros(), tick.seq)));
            let Some(next) = page.next else { break };
            filter = filter.after(Some(next.to_string().parse().unwrap()));
        }
        let mut expected: Vec<_> = keys.iter().copied().filter(|(ts, _)| (100..900).contains(ts)).collect();
        if order == Order::Desc {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

async fn a_cursor_of_another_list_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    market.save_ticks((0..10).map(|number| tick(number, number, "1", "1"))).await.unwrap();
    let filter = TickFilter::of(series()).limit(3);
    let cursor = market.ticks(&filter).await.unwrap().next;
    assert!(cursor.is_some());
    let others = [
        TickFilter::of(Series::new("binance", "ETHUSDT").unwrap()),
        filter.clone().order(Order::Asc),
        filter.clone().from(Timestamp::EPOCH),
    ];
    for other in others {
        let error = market.ticks(&other.after(cursor)).await.unwrap_err();
        assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
    }
    assert_eq!(market.ticks(&filter.limit(1_000).after(cursor)).await.unwrap().items.len(), 7);
}

async fn what_cannot_be_stored_is_refused_and_named(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let good = || tick(1, 1, "1.5", "2");
    let price = |text: &str| text.parse::<Price>().unwrap();
    let quantity = |text: &str| text.parse::<Quantity>().unwrap();
    let bad = [
        ("ticks.exchange", NewTick { exchange: " ".parse().unwrap(), ..good() }),
        ("ticks.symbol", NewTick { symbol: "".parse().unwrap(), ..good() }),
        ("ticks.price", NewTick { price: price("0"), ..good() }),
        ("ticks.price", NewTick { price: price("-0.000000000001"), ..good() }),
        ("ticks.quantity", NewTick { quantity: quantity("-1"), ..good() }),
        // Products that a candle could not hold: too many digits on either side of the point.
        ("ticks.price x ticks.quantity", NewTick { price: price("9999999999999999"), ..good() }),
        (
            "ticks.price x ticks.quantity",
            NewTick { price: price("0.000000000001"), quantity: quantity("0.00001"), ..good() },
        ),
    ];
    for (column, tick) in bad {
        // One that is bad keeps the others out, too.
        let error = market.save_ticks([good(), tick]).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(matches!(&error, Error::Value(value) if value.column() == Some(column)), "{column}: {error}");
    }
    assert!(market.ticks(&TickFilter::of(series())).await.unwrap().items.is_empty());
    // Nothing traded at a price is a price all the same.
    market.save_ticks([NewTick { quantity: quantity("0"), ..good() }]).await.unwrap();

    for (exchange, symbol, problem) in [
        ("", "XRPETH", Problem::Empty),
        ("binance", "\t ", Problem::Empty),
        ("binance", "A\0B", Problem::Nul),
        (&*"x".repeat(33), "XRPETH", Problem::TooLong { limit: 32, actual: 33 }),
    ] {
        assert_eq!(Series::new(exchange, symbol).unwrap_err().problem(), &problem);
    }
}

async fn times_and_names_of_all_kinds_come_back(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let times =
        ["1000-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "2262-04-12T00:00:00Z", "9999-12-31T23:59:59.999999Z"];
    for symbol in ["🚀🌕", "שלום", "xrpeth", "XRPETH ", &*"é".repeat(32)] {
        let series = Series::new("okx", symbol).unwrap();
        let ticks = times.iter().zip([i64::MIN, -1, 0, i64::MAX]).map(|(time, seq)| NewTick {
            exchange: "okx".parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            ts: at(time),
            seq,
            ..tick(0, 0, "0.000000000001", "0.0001")
        });
        let ticks: Vec<NewTick> = ticks.collect();
        assert_eq!(market.save_ticks(ticks.clone()).await.unwrap().inserted, 4);
        let page = market.ticks(&TickFilter::of(series).order(Order::Asc)).await.unwrap();
        let found: Vec<_> =
            page.items.iter().map(|tick| (tick.symbol.as_str(), tick.ts, tick.seq, tick.price)).collect();
        let expected: Vec<_> = ticks.iter().map(|tick| (symbol, tick.ts, tick.seq, tick.price)).collect();
        assert_eq!(found, expected);
    }
    assert!(market.ticks(&TickFilter::of(series())).await.unwrap().items.is_empty());
}

async fn a_transaction_that_fails_saves_no_tick(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let model = tick(1, 1, "1", "1").into_model(Timestamp::EPOCH).unwrap();
    let failed = stage.app.transaction(Domain::Market, async |tx| {
        assert_eq!(save_ticks(tx, [model.clone()]).await?.inserted, 1);
        Err::<(), _>(Error::Invalid("no".into()))
    });
    assert!(failed.await.is_err());
    assert!(stage.app.market().ticks(&TickFilter::of(series())).await.unwrap().items.is_empty());
}

async fn saving_and_reading_take_the_round_trips_that_are_documented(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let ticks = || (0..100).map(|number| tick(number, number, "1", "1"));
    let (saved, trips) = stage.counted(market.save_ticks(ticks())).await;
    let postgres = stage.app.databases()[0].backend() == sea_orm::DbBackend::Postgres;
    assert_eq!((saved.unwrap().inserted, trips), (100, if postgres { 6 } else { 3 }));
    let (page, trips) = stage.counted(market.ticks(&TickFilter::of(series()))).await;
    assert_eq!((page.unwrap().items.len(), trips), (100, 1));
}

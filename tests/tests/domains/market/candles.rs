use stanchion::Error;
use stanchion::db::{CursorError, Order};
use stanchion::domain::market::{CandleBuild, CandleFilter, CandleSource, MAX_INTERVALS, NewTick, Series};
use stanchion::entity::market::Period;
use stanchion::types::Timestamp;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::model::{Numbers, Ohlc, at, compared, expected, prints, series, stored, tick};

on_every_backend! {
    candles_of_random_ticks_are_those_of_the_model_for_every_period,
    rolling_up_is_the_same_as_building_from_the_ticks,
    open_and_close_are_first_and_last_by_time_and_then_sequence,
    intervals_begin_in_utc_before_1970_and_after_2262_too,
    a_symbol_has_only_its_own_candles,
    a_sum_that_does_not_fit_is_refused_and_nothing_is_saved,
    pages_and_ranges_hold_the_same_candles,
    reading_takes_one_round_trip,
}

/// 2019-10-11.
const DAY: i64 = 1_570_752_000_000_000;

async fn candles_of_random_ticks_are_those_of_the_model_for_every_period(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let ticks: Vec<NewTick> = (0..12_000).map(|seq| numbers.tick(DAY + 43_000_000_000, seq)).collect();
    market.save_ticks(ticks.clone()).await.unwrap();
    let mut other: Vec<NewTick> = ticks[..500].to_vec();
    other.iter_mut().for_each(|tick| tick.symbol = "ETHUSDT".parse().unwrap());
    market.save_ticks(other).await.unwrap();
    for period in Period::ALL {
        let model = expected(prints(&ticks), *period);
        let built = market.build_candles(CandleSource::Ticks, &CandleBuild::of(series(), *period)).await.unwrap();
        assert_eq!((built.candles, built.trades), (model.len() as u64, 12_000));
        assert_eq!(compared(&stage.app, *period).await, model, "{period}");
    }
}

async fn rolling_up_is_the_same_as_building_from_the_ticks(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let mut numbers = Numbers(42);
    let ticks: Vec<NewTick> = (0..6_000).map(|seq| numbers.tick(DAY, seq)).collect();
    market.save_ticks(ticks.clone()).await.unwrap();
    market.build_candles(CandleSource::Ticks, &CandleBuild::of(series(), Period::M1)).await.unwrap();
    for pair in Period::ALL.windows(2) {
        let build = CandleBuild::of(series(), pair[1]);
        let built = market.build_candles(CandleSource::Candles(pair[0]), &build).await.unwrap();
        assert_eq!(built.trades, 6_000);
        assert_eq!(
            compared(&stage.app, pair[1]).await,
            expected(prints(&ticks), pair[1]),
            "{} of {}",
            pair[1],
            pair[0]
        );
    }
    for period in [Period::D1, Period::H4] {
        let build = CandleBuild::of(series(), Period::H4);
        let error = market.build_candles(CandleSource::Candles(period), &build).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
    }
}

async fn open_and_close_are_first_and_last_by_time_and_then_sequence(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    // Saved in no order; the sequence numbers of an instant count as numbers, and time before them.
    let ticks = [
        tick(DAY + 2, 10, "5", "1"),
        tick(DAY + 2, 9, "6", "1"),
        tick(DAY, 100, "3", "1"),
        tick(DAY, -5, "2", "1"),
        tick(DAY + 1, 1_000, "9", "0"),
    ];
    market.save_ticks(ticks).await.unwrap();
    market.build_candles(CandleSource::Ticks, &CandleBuild::of(series(), Period::M1)).await.unwrap();
    let candle = &compared(&stage.app, Period::M1).await[0];
    assert_eq!(candle.prices.map(|price| price.normalize().to_string()), ["2", "9", "2", "5"]);
    assert_eq!((candle.volume.normalize().to_string(), candle.trade_count), ("4".to_owned(), 5));
}

async fn intervals_begin_in_utc_before_1970_and_after_2262_too(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let times = [
        "1000-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00Z",
        "2024-02-29T23:59:59.999999Z",
        "2262-04-12T03:59:59.999999Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    let ticks: Vec<NewTick> = times.iter().map(|time| tick(at(time).micros(), 1, "1.25", "3")).collect();
    market.save_ticks(ticks.clone()).await.unwrap();
    for period in Period::ALL {
        let build = CandleBuild::of(series(), *period);
        assert_eq!(market.build_candles(CandleSource::Ticks, &build).await.unwrap().trades, 6);
        assert_eq!(compared(&stage.app, *period).await, expected(prints(&ticks), *period), "{period}");
        // A range up to the last instant there is takes its interval in.
        let build = build.from(at(times[5])).to(at(times[5])).replacing();
        assert_eq!(market.build_candles(CandleSource::Ticks, &build).await.unwrap().candles, 1);
        assert_eq!(compared(&stage.app, *period).await.len(), expected(prints(&ticks), *period).len());
    }
}

async fn a_symbol_has_only_its_own_candles(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let symbols = ["🚀", "xrpeth", "XRPETH", "שלום", "XRPETH "];
    for (number, symbol) in (1..).zip(symbols) {
        let ticks =
            (0..number).map(|seq| NewTick { symbol: symbol.parse().unwrap(), ..tick(DAY + seq, seq, "1", "1") });
        market.save_ticks(ticks).await.unwrap();
    }
    for (number, symbol) in (1..).zip(symbols) {
        let series = Series::new("binance", symbol).unwrap();
        let build = CandleBuild::of(series.clone(), Period::H1);
        assert_eq!(market.build_candles(CandleSource::Ticks, &build).await.unwrap().trades, number);
        let candles = market.candles(&CandleFilter::of(series, Period::H1)).await.unwrap().items;
        let found: Vec<(&str, u64)> =
            candles.iter().map(|candle| (candle.symbol.as_str(), candle.trade_count.unsigned_abs())).collect();
        assert_eq!(found, [(symbol, number)]);
    }
}

async fn a_sum_that_does_not_fit_is_refused_and_nothing_is_saved(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let most = "9999999999999999";
    market.save_ticks((0..2).map(|seq| tick(DAY, seq, "0.0001", most))).await.unwrap();
    let error = market.build_candles(CandleSource::Ticks, &CandleBuild::of(series(), Period::M1)).await.unwrap_err();
    assert!(matches!(&error, Error::Value(value) if value.column() == Some("candles.volume")), "{error}");
    // One alone fits, to its last digit.
    let other = Series::new("okx", "XRPETH").unwrap();
    let all = NewTick { exchange: "okx".parse().unwrap(), ..tick(DAY, 0, "0.0001", "9999999999999999.999999999999") };
    market.save_ticks([all]).await.unwrap();
    market.build_candles(CandleSource::Ticks, &CandleBuild::of(other.clone(), Period::M1)).await.unwrap();
    let candle = market.candles(&CandleFilter::of(other, Period::M1)).await.unwrap().items.remove(0);
    assert_eq!(candle.quote_volume.to_string(), "999999999999.9999999999999999");
    assert!(stored(&stage.app, Period::M1).await.is_empty());
}

async fn pages_and_ranges_hold_the_same_candles(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    // A day of minutes: more than a page holds.
    let ticks: Vec<NewTick> = (0..1_440).map(|minute| tick(DAY + minute * 60_000_000, 0, "2", "1")).collect();
    market.save_ticks(ticks.clone()).await.unwrap();
    let day = CandleBuild::of(series(), Period::M1).from(at("2019-10-11T00:00:00Z")).to(at("2019-10-12T00:00:00Z"));
    assert_eq!(market.build_candles(CandleSource::Ticks, &day).await.unwrap().candles, 1_440);
    let (from, to) = (at("2019-10-11T00:00:00Z"), at("2019-10-12T00:00:00Z"));
    let all = market.candles_between(&series(), Period::M1, from, to).await.unwrap();
    assert_eq!(all.iter().map(Ohlc::from).collect::<Vec<_>>(), expected(prints(&ticks), Period::M1));
    assert_eq!(stored(&stage.app, Period::M1).await, all);
    // Both ends of a range: the first is in it, the last is not.
    let (from, to) = (at("2019-10-11T01:00:00Z"), at("2019-10-11T02:00:00Z"));
    let filter = CandleFilter::of(series(), Period::M1).from(from).to(to).limit(1_000);
    let hour = market.candles(&filter).await.unwrap().items;
    assert_eq!((hour.len(), hour[0].open_time, hour[59].open_time), (60, at("2019-10-11T01:59:00Z"), from));
    assert!(market.candles_between(&series(), Period::M1, to, from).await.unwrap().is_empty());

    let cursor = market.candles(&filter.clone().limit(5)).await.unwrap().next;
    assert!(cursor.is_some());
    let others = [
        CandleFilter::of(series(), Period::M5).from(from).to(to),
        filter.clone().order(Order::Asc),
        CandleFilter::of(series(), Period::M1),
    ];
    for other in others {
        let error = market.candles(&other.after(cursor)).await.unwrap_err();
        assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
    }
    let forged = "AgAAAAAAAAAAAAAA".parse::<stanchion::db::Cursor>();
    assert_eq!(forged, Err(CursorError::Malformed));

    let week = Timestamp::from_micros(DAY + i64::from(MAX_INTERVALS) * 60_000_000).unwrap();
    let minute = Timestamp::from_micros(week.micros() + 60_000_000).unwrap();
    let start = at("2019-10-11T00:00:00Z");
    assert_eq!(market.candles_between(&series(), Period::M1, start, week).await.unwrap().len(), 1_440);
    let error = market.candles_between(&series(), Period::M1, start, minute).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

async fn reading_takes_one_round_trip(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let (page, trips) = stage.counted(market.candles(&CandleFilter::of(series(), Period::M1))).await;
    assert_eq!((page.unwrap().items.len(), trips), (0, 1));
    let (from, to) = (at("2019-10-11T00:00:00Z"), at("2019-10-12T00:00:00Z"));
    let series = series();
    let (day, trips) = stage.counted(market.candles_between(&series, Period::M1, from, to)).await;
    assert_eq!((day.unwrap().len(), trips), (0, 1));
}

use std::time::Duration;

use futures::future::join_all;
use stanchion::config::{Config, Database, Domain};
use stanchion::domain::market::{Built, CandleBuild, CandleSource, NewTick, build_candles, save_candles};
use stanchion::entity::market::Period;
use stanchion::sea_orm::DbBackend;
use stanchion::types::Timestamp;
use stanchion::{App, Error};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::model::{Numbers, at, compared, expected, prints, series, stored, tick};

on_every_backend! {
    building_again_changes_nothing,
    a_late_tick_is_put_right_by_building_its_interval,
    builds_at_the_same_moment_end_with_the_fullest_candles,
    a_build_that_has_seen_less_does_not_win,
    replacing_makes_the_range_what_the_ticks_say,
    a_candle_is_closed_once_its_interval_is_over,
    a_range_is_widened_to_whole_intervals,
    a_build_in_a_transaction_is_undone_with_it,
    building_takes_the_round_trips_that_are_documented,
}

/// 2026-03-01, the day of the stage's clock, twelve hours before it.
const DAY: i64 = 1_772_323_200_000_000;

async fn building_again_changes_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let mut numbers = Numbers(7);
    market.save_ticks((0..2_000).map(|seq| numbers.tick(DAY - 200_000_000_000, seq))).await.unwrap();
    let build = CandleBuild::of(series(), Period::M5);
    let first = market.build_candles(CandleSource::Ticks, &build).await.unwrap();
    let candles = stored(&stage.app, Period::M5).await;
    stage.clock.advance(Duration::from_secs(5));
    assert_eq!(market.build_candles(CandleSource::Ticks, &build).await.unwrap(), first);
    // Not even when they last changed.
    assert_eq!(stored(&stage.app, Period::M5).await, candles);
}

async fn a_late_tick_is_put_right_by_building_its_interval(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let mut ticks: Vec<NewTick> = (0..10).map(|minute| tick(DAY + minute * 60_000_000 + 5, 5, "2", "1")).collect();
    market.save_ticks(ticks.clone()).await.unwrap();
    market.build_candles(CandleSource::Ticks, &CandleBuild::of(series(), Period::M1)).await.unwrap();
    let before = stored(&stage.app, Period::M1).await;
    let late = [tick(DAY + 3 * 60_000_000, 1, "1.5", "0.5"), tick(DAY + 3 * 60_000_000 + 9, 1, "2.5", "0.25")];
    market.save_ticks(late.clone()).await.unwrap();
    ticks.extend(late);
    stage.clock.advance(Duration::from_secs(5));
    let instant = at("2026-03-01T00:03:30Z");
    let build = CandleBuild::of(series(), Period::M1).from(instant).to(instant);
    assert_eq!(market.build_candles(CandleSource::Ticks, &build).await.unwrap(), Built { candles: 1, trades: 3 });
    assert_eq!(compared(&stage.app, Period::M1).await, expected(prints(&ticks), Period::M1));
    let after = stored(&stage.app, Period::M1).await;
    let changed: Vec<usize> = (0..10).filter(|at| before[*at] != after[*at]).collect();
    assert_eq!(changed, [3]);
    assert_eq!(after[3].created_at, before[3].created_at);
    assert!(after[3].updated_at > before[3].updated_at);
}

async fn builds_at_the_same_moment_end_with_the_fullest_candles(database: TestDatabase) {
    let url = database.url().to_owned();
    let stage = Stage::on(database).await.unwrap();
    let other = App::start(Config::new(Database::new(url.parse().unwrap()))).await.unwrap();
    let mut numbers = Numbers(99);
    let ticks: Vec<NewTick> = (0..1_500).map(|seq| numbers.tick(DAY - 400_000_000_000, seq)).collect();
    // Two instances save and build, in steps of their own.
    let work = |(number, part): (usize, &[NewTick])| {
        let app = if number.is_multiple_of(2) { stage.app.clone() } else { other.clone() };
        let part = part.to_vec();
        tokio::spawn(async move {
            app.market().save_ticks(part).await.unwrap();
            let build = CandleBuild::of(series(), Period::M15);
            app.market().build_candles(CandleSource::Ticks, &build).await.unwrap();
        })
    };
    for done in join_all(ticks.chunks(250).enumerate().map(work)).await {
        done.unwrap();
    }
    assert_eq!(compared(&stage.app, Period::M15).await, expected(prints(&ticks), Period::M15));
    other.close().await;
}

async fn a_build_that_has_seen_less_does_not_win(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    market.save_ticks([tick(DAY, 1, "2", "1"), tick(DAY + 1, 2, "3", "1")]).await.unwrap();
    market.build_candles(CandleSource::Ticks, &CandleBuild::of(series(), Period::M1)).await.unwrap();
    let full = stored(&stage.app, Period::M1).await.remove(0);
    let mut less = full.clone();
    (less.trade_count, less.close, less.high, less.volume) = (1, less.open, less.open, "1".parse().unwrap());
    less.closed = false;
    save_candles(stage.app.databases()[0].writer(), [less.clone()]).await.unwrap();
    assert_eq!(stored(&stage.app, Period::M1).await, std::slice::from_ref(&full));
    // One of as many trades that says something else is newer.
    less.trade_count = 2;
    less.updated_at = Timestamp::from_micros(full.updated_at.micros() + 1).unwrap();
    save_candles(stage.app.databases()[0].writer(), [less.clone()]).await.unwrap();
    less.closed = true;
    assert_eq!(stored(&stage.app, Period::M1).await, [less]);
}

async fn replacing_makes_the_range_what_the_ticks_say(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let day = 86_400_000_000;
    let ticks: Vec<NewTick> = (0..8).map(|number| tick(DAY - number * day, 0, "2", "1")).collect();
    market.save_ticks(ticks.clone()).await.unwrap();
    let build = CandleBuild::of(series(), Period::H4);
    market.build_candles(CandleSource::Ticks, &build).await.unwrap();
    // Candles that no tick speaks for: before, between and after the others, one of them outside of the range.
    let mut wrong = stored(&stage.app, Period::H4).await.remove(0);
    wrong.trade_count = 1_000;
    let shifts = [-9 * day, day * 3 + day / 2, day * 10];
    let moved = shifts.map(|shift| {
        let mut candle = wrong.clone();
        candle.open_time = Timestamp::from_micros(candle.open_time.micros() + shift).unwrap();
        candle
    });
    let outside = moved[0].clone();
    let db = stage.app.databases()[0].writer();
    save_candles(db, moved.into_iter().chain([wrong])).await.unwrap();
    market.build_candles(CandleSource::Ticks, &build).await.unwrap();
    assert_eq!(stored(&stage.app, Period::H4).await.len(), 11);

    let from = Timestamp::from_micros(DAY - 8 * day).unwrap();
    market.build_candles(CandleSource::Ticks, &build.clone().from(from).replacing()).await.unwrap();
    let left = stored(&stage.app, Period::H4).await;
    assert_eq!((left.len(), left[0].open_time), (9, outside.open_time));
    market.build_candles(CandleSource::Ticks, &build.replacing()).await.unwrap();
    assert_eq!(compared(&stage.app, Period::H4).await, expected(prints(&ticks), Period::H4));
}

async fn a_candle_is_closed_once_its_interval_is_over(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let noon = DAY + 12 * 3_600_000_000;
    market.save_ticks([tick(noon - 1, 0, "2", "1"), tick(noon, 0, "2", "1")]).await.unwrap();
    let build = CandleBuild::of(series(), Period::M1);
    let closed = async || stored(&stage.app, Period::M1).await.iter().map(|candle| candle.closed).collect::<Vec<_>>();
    for (seconds, expected) in [(0, [true, false]), (59, [true, false]), (1, [true, true])] {
        stage.clock.advance(Duration::from_secs(seconds));
        market.build_candles(CandleSource::Ticks, &build).await.unwrap();
        assert_eq!(closed().await, expected);
    }
    // A clock that is behind does not open it again.
    stage.clock.set(Timestamp::from_micros(noon).unwrap());
    market.build_candles(CandleSource::Ticks, &build).await.unwrap();
    assert_eq!(closed().await, [true, true]);
}

async fn a_range_is_widened_to_whole_intervals(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let ticks: Vec<NewTick> = (0..60).map(|minute| tick(DAY + minute * 60_000_000, 0, "2", "1")).collect();
    market.save_ticks(ticks.clone()).await.unwrap();
    let build = CandleBuild::of(series(), Period::M5);
    let middle = build.clone().from(at("2026-03-01T00:07:00Z")).to(at("2026-03-01T00:15:00.000001Z"));
    let built = market.build_candles(CandleSource::Ticks, &middle).await.unwrap();
    assert_eq!(built, Built { candles: 3, trades: 15 });
    assert_eq!(compared(&stage.app, Period::M5).await, expected(prints(&ticks), Period::M5)[1..4]);
    // An end that is an interval's beginning is outside; a range the wrong way round has nothing in it.
    let exact = build.clone().from(at("2026-03-01T00:10:00Z")).to(at("2026-03-01T00:15:00Z"));
    assert_eq!(market.build_candles(CandleSource::Ticks, &exact).await.unwrap().candles, 1);
    let backwards = build.from(at("2026-03-01T00:15:00Z")).to(at("2026-03-01T00:10:00Z"));
    assert_eq!(market.build_candles(CandleSource::Ticks, &backwards).await.unwrap(), Built::default());
}

async fn a_build_in_a_transaction_is_undone_with_it(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    stage.app.market().save_ticks([tick(DAY, 0, "2", "1")]).await.unwrap();
    let failed = stage.app.transaction(Domain::Market, async |tx| {
        let build = CandleBuild::of(series(), Period::M1);
        let built = build_candles(tx, CandleSource::Ticks, &build, Timestamp::EPOCH).await?;
        assert_eq!(built, Built { candles: 1, trades: 1 });
        Err::<(), _>(Error::Invalid("no".into()))
    });
    assert!(failed.await.is_err());
    assert!(stored(&stage.app, Period::M1).await.is_empty());
}

async fn building_takes_the_round_trips_that_are_documented(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    market.save_ticks((0..700).map(|minute| tick(DAY + minute * 60_000_000, 0, "2", "1"))).await.unwrap();
    let day = CandleBuild::of(series(), Period::M1).from(at("2026-03-01T00:00:00Z")).to(at("2026-03-02T00:00:00Z"));
    let sqlite = stage.app.databases()[0].backend() == DbBackend::Sqlite;
    // To find the first tick, to add up, to begin, 500 and 200 candles, to commit.
    let (built, trips) = stage.counted(market.build_candles(CandleSource::Ticks, &day)).await;
    assert_eq!((built.unwrap().candles, trips), (700, if sqlite { 5 } else { 6 }));
    let hours = CandleBuild::of(series(), Period::H1);
    let (built, trips) = stage.counted(market.build_candles(CandleSource::Candles(Period::M1), &hours)).await;
    assert_eq!((built.unwrap().candles, trips), (12, 4));
}

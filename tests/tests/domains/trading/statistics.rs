//! Daily statistics are at all times what a rebuild would make of the trades.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use stanchion::App;
use stanchion::db::Order;
use stanchion::domain::trading::{NewTrade, StatisticsFilter, TradeFilter};
use stanchion::entity::trading::Side;
use stanchion::entity::trading::trade_statistic::Model as Statistic;
use stanchion::types::{Day, Timestamp};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{DAY_MILLIS, DAY_ONE, Random, another_app, patient, trade};

on_every_backend! {
    statistics_are_exact_however_trades_arrive,
    batches_of_two_apps_at_once_add_up,
    the_drawdown_follows_the_order_of_time,
    a_sum_that_is_too_large_saves_nothing,
    a_rebuild_repairs_and_removes,
    statistics_are_paged_by_day,
}

/// The figures, without the times at which they were written.
async fn figures(app: &App) -> Vec<Statistic> {
    let page = app.trading().statistics(&StatisticsFilter::new().order(Order::Asc).limit(1_000)).await.unwrap();
    page.items.into_iter().map(timeless).collect()
}

fn timeless(statistic: Statistic) -> Statistic {
    Statistic { created_at: Timestamp::EPOCH, updated_at: Timestamp::EPOCH, ..statistic }
}

async fn rebuilt(app: &App) -> Vec<Statistic> {
    let mut all = Vec::new();
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let days = ("2026-02-28".parse().unwrap(), "2026-03-05".parse().unwrap());
        all.extend(app.trading().rebuild_statistics("binance", symbol, days.0, days.1).await.unwrap());
    }
    all.sort_by_key(|statistic| statistic.id);
    all.into_iter().map(timeless).collect()
}

/// Trades, their sums, wins, losses, and the deepest fall.
type Figures = (i64, [Decimal; 6], i64, i64, Decimal);

/// What the trades add up to, the plain way.
fn expected(numbers: &BTreeSet<u64>) -> BTreeMap<(String, Day), Figures> {
    let mut days: BTreeMap<(String, Day), Vec<NewTrade>> = BTreeMap::new();
    for number in numbers {
        let trade = trade(*number);
        let day = trade.traded_at.day().try_into().unwrap();
        days.entry((trade.symbol.to_string(), day)).or_default().push(trade);
    }
    let figures = |mut trades: Vec<NewTrade>| {
        trades.sort_by_key(|trade| (trade.traded_at, trade.clone().into_model(trade.traded_at).unwrap().id));
        let sum = |amount: &dyn Fn(&NewTrade) -> Decimal, side: Option<Side>| -> Decimal {
            trades.iter().filter(|trade| side.is_none_or(|side| trade.side == side)).map(amount).sum()
        };
        let quantity = |trade: &NewTrade| trade.quantity.get();
        let quote = |trade: &NewTrade| trade.clone().into_model(trade.traded_at).unwrap().quote_quantity.get();
        let pnl = |trade: &NewTrade| trade.pnl.map(|pnl| pnl.get()).unwrap_or_default();
        let (mut total, mut peak, mut fall) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
        for trade in &trades {
            total += pnl(trade);
            peak = peak.max(total);
            fall = fall.max(peak - total);
        }
        let sums = [
            sum(&quantity, Some(Side::Buy)),
            sum(&quantity, Some(Side::Sell)),
            sum(&quote, Some(Side::Buy)),
            sum(&quote, Some(Side::Sell)),
            sum(&|trade| trade.fee.get(), None),
            sum(&pnl, None),
        ];
        let count = |which: &dyn Fn(Decimal) -> bool| {
            i64::try_from(trades.iter().filter(|trade| which(pnl(trade))).count()).unwrap()
        };
        let (wins, losses) = (count(&|pnl| pnl > Decimal::ZERO), count(&|pnl| pnl < Decimal::ZERO));
        (i64::try_from(trades.len()).unwrap(), sums, wins, losses, fall)
    };
    days.into_iter().map(|(day, trades)| (day, figures(trades))).collect()
}

fn assert_are_of(found: &[Statistic], numbers: &BTreeSet<u64>) {
    let found: BTreeMap<_, _> = found
        .iter()
        .map(|row| {
            let sums = [
                row.buy_volume.get(),
                row.sell_volume.get(),
                row.buy_quote_volume.get(),
                row.sell_quote_volume.get(),
                row.fees.get(),
                row.realized_pnl.get(),
            ];
            let figures = (row.trade_count, sums, row.win_count, row.loss_count, row.max_drawdown.get());
            ((row.symbol.to_string(), row.day), figures)
        })
        .collect();
    assert_eq!(found, expected(numbers));
}

async fn statistics_are_exact_however_trades_arrive(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mut random = Random(42);
    let mut saved = BTreeSet::new();
    for round in 0..12 {
        let batch: Vec<u64> = (0..1 + random.below(80)).map(|_| random.below(400)).collect();
        if round % 3 == 0 {
            stage.app.trading().save_trade(trade(batch[0])).await.unwrap();
            saved.insert(batch[0]);
        }
        let new: BTreeSet<u64> = batch.iter().copied().filter(|number| !saved.contains(number)).collect();
        let report = stage.app.trading().save_trades(batch.iter().copied().map(trade)).await.unwrap();
        assert_eq!(report.inserted, new.len() as u64);
        assert_eq!(report.duplicates, (batch.len() - new.len()) as u64);
        saved.extend(new);
        assert_are_of(&figures(&stage.app).await, &saved);
    }
    let maintained = figures(&stage.app).await;
    assert_eq!(rebuilt(&stage.app).await, maintained);
    assert_eq!(figures(&stage.app).await, maintained);
}

async fn batches_of_two_apps_at_once_add_up(database: TestDatabase) {
    let stage = Stage::with(database, patient).await.unwrap();
    let apps = [stage.app.clone(), another_app(&stage).await];
    let savers = (0..8_u64).map(|saver| {
        let app = apps[usize::from(saver % 2 == 1)].clone();
        tokio::spawn(async move {
            let (mut random, mut inserted) = (Random(saver), 0);
            let mut sent = BTreeSet::new();
            for _ in 0..6 {
                let batch: Vec<u64> = (0..50).map(|_| random.below(700)).collect();
                sent.extend(batch.iter().copied());
                inserted += app.trading().save_trades(batch.into_iter().map(trade)).await.unwrap().inserted;
                let one = random.below(700);
                sent.insert(one);
                inserted += u64::from(app.trading().save_trade(trade(one)).await.unwrap().is_new);
            }
            (sent, inserted)
        })
    });
    let rebuilder = tokio::spawn({
        let app = stage.app.clone();
        async move {
            for _ in 0..3 {
                rebuilt(&app).await;
            }
        }
    });
    let done = futures::future::try_join_all(savers).await.unwrap();
    rebuilder.await.unwrap();
    let saved: BTreeSet<u64> = done.iter().flat_map(|(sent, _)| sent.iter().copied()).collect();
    // Each trade was new to exactly one of them.
    assert_eq!(done.iter().map(|(_, inserted)| inserted).sum::<u64>(), saved.len() as u64);
    let maintained = figures(&stage.app).await;
    assert_are_of(&maintained, &saved);
    assert_eq!(rebuilt(&stage.app).await, maintained);
}

/// A trade of the first day with this profit, so many microseconds after midnight.
fn realizing(number: u64, micros: i64, pnl: &str) -> NewTrade {
    NewTrade {
        symbol: "ETHUSDT".parse().unwrap(),
        traded_at: Timestamp::from_micros(DAY_ONE * 1_000 + micros).unwrap(),
        pnl: Some(pnl.parse().unwrap()),
        ..trade(number)
    }
}

async fn the_drawdown_follows_the_order_of_time(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let drawdown = async |trade: NewTrade| {
        stage.app.trading().save_trade(trade).await.unwrap();
        figures(&stage.app).await[0].max_drawdown.to_string()
    };
    // A loss at once is a fall from zero.
    assert_eq!(drawdown(realizing(1, 500, "-3")).await, "3.000000000000");
    // +5 before it: the same fall, from five.
    assert_eq!(drawdown(realizing(2, 100, "5")).await, "3.000000000000");
    // Within the same millisecond between the two: 5, 3, 0.
    assert_eq!(drawdown(realizing(3, 300, "-2")).await, "5.000000000000");
    // A gain between the falls: 5, 3, 4, 1: still four from the peak.
    assert_eq!(drawdown(realizing(4, 400, "1")).await, "4.000000000000");
    // After everything: 1, then 100, then 99.
    assert_eq!(drawdown(realizing(5, 9_000_000, "99")).await, "4.000000000000");
    assert_eq!(drawdown(realizing(6, 9_000_001, "-0.000000000001")).await, "4.000000000000");
    // The first instant of the next day is another day's.
    let next = NewTrade { traded_at: Timestamp::from_millis(DAY_ONE + DAY_MILLIS).unwrap(), ..realizing(7, 0, "-50") };
    assert_eq!(drawdown(next).await, "4.000000000000");
    let days = figures(&stage.app).await;
    assert_eq!(days[1].max_drawdown.to_string(), "50.000000000000");
    assert_eq!(rebuilt(&stage.app).await, days);
}

async fn a_sum_that_is_too_large_saves_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let largest = "9999999999999999.999999999999".parse().unwrap();
    let huge =
        |number| NewTrade { fee: largest, pnl: None, symbol: "ETHUSDT".parse().unwrap(), ..realizing(number, 0, "0") };
    trading.save_trades([huge(1)]).await.unwrap();
    let before = figures(&stage.app).await;
    for refused in [trading.save_trades([trade(5), huge(2)]).await.err(), trading.save_trade(huge(3)).await.err()] {
        let error = refused.unwrap();
        assert!(
            error.is_invalid() && error.to_string().starts_with("trade_statistics.fees is out of range"),
            "{error}"
        );
    }
    let fall = [NewTrade { pnl: Some(largest), ..huge(4) }, NewTrade { pnl: Some("1".parse().unwrap()), ..huge(5) }];
    let fall = fall.map(|trade| NewTrade { fee: "0".parse().unwrap(), ..trade });
    let error = trading.save_trades(fall).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("trade_statistics.realized_pnl"), "{error}");
    assert_eq!(figures(&stage.app).await, before);
    assert_eq!(trading.totals(&TradeFilter::new()).await.unwrap().count, 1);
}

async fn a_rebuild_repairs_and_removes(database: TestDatabase) {
    use sea_orm::{ConnectionTrait, EntityTrait};

    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    trading.save_trades((0..60).map(trade)).await.unwrap();
    let right = figures(&stage.app).await;
    let db = stage.app.db(stanchion::config::Domain::Trading).writer();
    db.execute_unprepared("UPDATE trade_statistics SET trade_count = 0, win_count = 77").await.unwrap();
    assert_eq!(rebuilt(&stage.app).await, right);
    assert_eq!(figures(&stage.app).await, right);
    // Trades that are gone leave no statistics.
    stanchion::entity::trading::trade::Entity::delete_many().exec(db).await.unwrap();
    assert_eq!(rebuilt(&stage.app).await, Vec::<Statistic>::new());
    assert_eq!(figures(&stage.app).await, Vec::<Statistic>::new());
    // And what comes again is counted again.
    trading.save_trades((0..60).map(trade)).await.unwrap();
    assert_eq!(figures(&stage.app).await, right);
    let too_many =
        trading.rebuild_statistics("binance", "X", "1999-01-01".parse().unwrap(), "2026-01-01".parse().unwrap());
    assert!(too_many.await.unwrap_err().is_invalid());
    let (first, last) = ("1969-12-31".parse().unwrap(), "1970-01-01".parse().unwrap());
    assert!(trading.rebuild_statistics("binance", "X", first, last).await.unwrap_err().is_invalid());
    assert_eq!(trading.rebuild_statistics("binance", "X", last, first).await.unwrap(), Vec::<Statistic>::new());
}

async fn statistics_are_paged_by_day(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    trading.save_trades((0..200).map(trade)).await.unwrap();
    let filter = StatisticsFilter::symbol("ETHUSDT").exchange("binance").order(Order::Asc).limit(2);
    let (page, trips) = stage.counted(trading.statistics(&filter)).await;
    let page = page.unwrap();
    assert_eq!((page.items.len(), trips), (2, 1));
    let rest = trading.statistics(&filter.clone().after(page.next)).await.unwrap();
    let days: Vec<String> = page.items.iter().chain(&rest.items).map(|row| row.day.to_string()).collect();
    assert_eq!(days, ["2026-03-01", "2026-03-02", "2026-03-03"]);
    let day = "2026-03-02".parse().unwrap();
    let one = trading.statistics(&StatisticsFilter::new().from(day).through(day)).await.unwrap();
    assert!(one.items.len() == 2 && one.items.iter().all(|row| row.day == day));
    let error = trading.statistics(&StatisticsFilter::new().after(page.next)).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
}

//! Candles built in the plainest way, to compare with.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use stanchion::App;
use stanchion::db::Order;
use stanchion::domain::market::{CandleFilter, NewTick, Series};
use stanchion::entity::market::Period;
use stanchion::entity::market::candle::Model as Candle;
use stanchion::types::Timestamp;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn series() -> Series {
    Series::new("binance", "XRPETH").unwrap()
}

/// A tick of XRPETH so many microseconds since the epoch.
pub(crate) fn tick(micros: i64, seq: i64, price: &str, quantity: &str) -> NewTick {
    NewTick {
        exchange: "binance".parse().unwrap(),
        symbol: "XRPETH".parse().unwrap(),
        ts: Timestamp::from_micros(micros).unwrap(),
        seq,
        price: price.parse().unwrap(),
        quantity: quantity.parse().unwrap(),
        side: None,
    }
}

/// What a candle is compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ohlc {
    pub(crate) open_time: Timestamp,
    /// Open, high, low, close.
    pub(crate) prices: [Decimal; 4],
    pub(crate) volume: Decimal,
    pub(crate) quote_volume: Decimal,
    pub(crate) trade_count: i64,
}

impl From<&Candle> for Ohlc {
    fn from(candle: &Candle) -> Self {
        Self {
            open_time: candle.open_time,
            prices: [candle.open, candle.high, candle.low, candle.close].map(|price| price.get()),
            volume: candle.volume.get(),
            quote_volume: candle.quote_volume.get(),
            trade_count: candle.trade_count,
        }
    }
}

/// Something with a price: when, what orders it within an instant, price, quantity.
pub(crate) type Print = (Timestamp, i64, Decimal, Decimal);

pub(crate) fn prints(ticks: &[NewTick]) -> Vec<Print> {
    ticks.iter().map(|tick| (tick.ts, tick.seq, tick.price.get(), tick.quantity.get())).collect()
}

pub(crate) fn expected(mut prints: Vec<Print>, period: Period) -> Vec<Ohlc> {
    prints.sort_unstable();
    let mut intervals: BTreeMap<i64, Vec<Print>> = BTreeMap::new();
    for print in prints {
        intervals.entry(print.0.micros().div_euclid(period.micros())).or_default().push(print);
    }
    let candle = |(interval, prints): (i64, Vec<Print>)| {
        let prices: Vec<Decimal> = prints.iter().map(|print| print.2).collect();
        Ohlc {
            open_time: Timestamp::from_micros(interval * period.micros()).unwrap(),
            prices: [prices[0], *prices.iter().max().unwrap(), *prices.iter().min().unwrap(), prices[prices.len() - 1]],
            volume: prints.iter().map(|print| print.3).sum(),
            quote_volume: prints.iter().map(|print| print.2.normalize() * print.3.normalize()).sum(),
            trade_count: prints.len() as i64,
        }
    };
    intervals.into_iter().map(candle).collect()
}

/// All candles of XRPETH, by pages.
pub(crate) async fn stored(app: &App, period: Period) -> Vec<Candle> {
    let mut candles = Vec::new();
    let mut filter = CandleFilter::of(series(), period).order(Order::Asc).limit(1_000);
    loop {
        let page = app.market().candles(&filter).await.unwrap();
        candles.extend(page.items);
        let Some(next) = page.next else { return candles };
        filter = filter.after(Some(next));
    }
}

pub(crate) async fn compared(app: &App, period: Period) -> Vec<Ohlc> {
    stored(app, period).await.iter().map(Ohlc::from).collect()
}

/// Numbers that look random, always the same.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A tick near `around`: in bursts of the same instant, at the very ends of minutes, in no order.
    pub(crate) fn tick(&mut self, around: i64, seq: i64) -> NewTick {
        let minute = i64::try_from(self.below(3_000)).unwrap() * 60_000_000;
        let within = [0, 1, 59_999_999, 30_000_000, 30_000_000, self.below(60_000_000) as i64][self.below(6) as usize];
        let price = format!("{}.{:08}", self.below(3), 1 + self.below(99_999_999));
        let quantity = format!("{}.{:08}", self.below(100_000), self.below(100_000_000));
        tick(around + minute + within, seq, &price, &quantity)
    }
}

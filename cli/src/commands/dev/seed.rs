//! What a new database is filled with: the same users and the same trades every time, ending now.

use stanchion::App;
use stanchion::config::Domain;
use stanchion::domain::identity::{NewUser, UserFilter, register};
use stanchion::domain::trading::{NewTrade, TradeFilter};
use stanchion::entity::trading::Side;
use stanchion::types::{Timestamp, ValueError};

use crate::output::Failure;
use crate::server::Seeded;

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
const USERS: [(&str, &str, &str); 12] = [
    ("Ada", "Archer", "en"),
    ("Bruno", "Bauer", "de"),
    ("Chen", "Wei", "zh-hans"),
    ("Dalia", "Duarte", "pt"),
    ("Emil", "Eriksen", "da"),
    ("Fatima", "Farouk", "ar"),
    ("Goran", "Galic", "hr"),
    ("Hana", "Horvat", "hr"),
    ("Ines", "Ibarra", "es"),
    ("Jules", "Janvier", "fr"),
    ("Kaito", "Kimura", "ja"),
    ("Lena", "Lindqvist", "sv"),
];

/// A market that trades are made up for. Prices and quantities are whole numbers of the last digit.
struct Market {
    symbol: &'static str,
    price: i64,
    price_digits: usize,
    /// The most a price moves from one trade to the next.
    step: i64,
    /// A small trade.
    lot: i64,
    lot_digits: usize,
    trades: u32,
}

const MARKETS: [Market; 4] = [
    Market { symbol: "BTCUSDT", price: 6_412_050, price_digits: 2, step: 900, lot: 140, lot_digits: 5, trades: 1_600 },
    Market { symbol: "ETHUSDT", price: 185_025, price_digits: 2, step: 45, lot: 210, lot_digits: 4, trades: 1_400 },
    Market { symbol: "SOLUSDT", price: 14_210, price_digits: 2, step: 6, lot: 85, lot_digits: 2, trades: 700 },
    Market { symbol: "XRPETH", price: 141_342, price_digits: 8, step: 60, lot: 23, lot_digits: 0, trades: 300 },
];

/// Fills the database if it has neither users nor trades: whose own it has is left alone.
pub(super) async fn if_empty(app: &App) -> Result<Option<Seeded>, Failure> {
    let users_there = app.identity().users(&UserFilter::new().limit(1)).await?;
    let trades_there = app.trading().trades(&TradeFilter::new().limit(1)).await?;
    if !users_there.items.is_empty() || !trades_there.items.is_empty() {
        return Ok(None);
    }
    let now = app.clock().now();
    let users = users(now)?;
    let saved = app.trading().save_trades(trades(now)?).await?;
    app.transaction(Domain::Identity, async |tx| {
        for (user, at) in &users {
            register(tx, user.clone(), *at).await?;
        }
        Ok(())
    })
    .await?;
    Ok(Some(Seeded { users: users.len() as u64, trades: saved.inserted }))
}

/// Users, registered in the days before `now`.
fn users(now: Timestamp) -> Result<Vec<(NewUser, Timestamp)>, ValueError> {
    let days_ago = (1..).map(|number: i64| now.micros() - number * 2 * DAY - number * 97 * MINUTE);
    USERS.iter().zip(days_ago).map(|((first, last, language), at)| user(first, last, language, at)).collect()
}

fn user(first: &str, last: &str, language: &str, at: i64) -> Result<(NewUser, Timestamp), ValueError> {
    let name = format!("{first}.{last}").to_lowercase();
    let user = NewUser {
        username: Some(name.parse()?),
        email: Some(format!("{name}@example.org").parse()?),
        first_name: first.parse()?,
        last_name: last.parse()?,
        language_code: Some(language.parse()?),
        ..NewUser::default()
    };
    Ok((user, Timestamp::from_micros(at)?))
}

/// Trades of two days on every market, the last one less than a minute before `now`.
fn trades(now: Timestamp) -> Result<Vec<NewTrade>, ValueError> {
    let mut dice = Dice(0x5354_414e_4348_494f);
    let mut trades = Vec::new();
    for market in &MARKETS {
        let apart = 2 * DAY / i64::from(market.trades);
        let mut price = market.price;
        for number in 0..market.trades {
            // It walks at random, and is drawn back to where it began.
            price += dice.up_to(2 * market.step) - market.step + (market.price - price) / 200;
            // Most trades are small, a few are large.
            let quantity = market.lot * (1 + dice.up_to(12)) * if dice.up_to(40) == 0 { 25 } else { 1 };
            let before_now = apart * i64::from(market.trades - number) - dice.up_to(apart - 1);
            trades.push(NewTrade {
                exchange: if dice.up_to(4) == 0 { "okx" } else { "binance" }.parse()?,
                symbol: market.symbol.parse()?,
                exchange_trade_id: (13_519_807 + number).to_string().parse()?,
                side: if dice.up_to(1) == 0 { Side::Buy } else { Side::Sell },
                price: decimal(price, market.price_digits).parse()?,
                quantity: decimal(quantity, market.lot_digits).parse()?,
                traded_at: Timestamp::from_micros(now.micros() - before_now)?,
                ..NewTrade::default()
            });
        }
    }
    Ok(trades)
}

/// `units` with the point before its last `digits` digits.
fn decimal(units: i64, digits: usize) -> String {
    let text = format!("{units:0>width$}", width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
}

/// The same numbers every time (`SplitMix64`).
struct Dice(u64);

impl Dice {
    /// From 0 to `most`.
    fn up_to(&mut self, most: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) % (most.unsigned_abs() + 1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_trades_every_time_each_of_its_own_up_to_now() {
        let now = "2024-01-03T00:00:00Z".parse().unwrap();
        let made = trades(now).unwrap();
        assert_eq!(made, trades(now).unwrap());
        assert_eq!(made.len(), 4_000);
        let models: Vec<_> = made.into_iter().map(|trade| trade.into_model(now).unwrap()).collect();
        assert_eq!(models.iter().map(|trade| trade.id).collect::<HashSet<_>>().len(), 4_000);
        let first = models.iter().map(|trade| trade.traded_at).min().unwrap();
        let last = models.iter().map(|trade| trade.traded_at).max().unwrap();
        assert!(first >= Timestamp::from_micros(now.micros() - 2 * DAY).unwrap());
        assert!(last < now && last.micros() > now.micros() - 2 * MINUTE, "{last}");
    }

    #[test]
    fn a_number_gets_its_point() {
        assert_eq!(decimal(141_342, 8), "0.00141342");
        assert_eq!(decimal(185_025, 2), "1850.25");
        assert_eq!(decimal(23, 0), "23");
        assert_eq!(decimal(5, 2), "0.05");
    }
}

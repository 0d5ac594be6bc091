//! Trading: trades are saved once and their sums are exact, a price level has one order, and a symbol one owner.

use std::sync::Arc;

use stanchion::config::{Config, Database};
use stanchion::domain::trading::NewTrade;
use stanchion::entity::trading::Side;
use stanchion::types::Timestamp;
use stanchion::{App, Clock};
use stanchion_tests::Stage;

mod desk;
mod instances;
mod orders;
mod reconciliation;
mod statistics;
mod trades;

/// 2026-03-01 00:00 UTC, in milliseconds.
const DAY_ONE: i64 = 1_772_323_200_000;
const DAY_MILLIS: i64 = 86_400_000;

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Another app on the stage's database, with the stage's clock: another instance of the service.
async fn another_app(stage: &Stage) -> App {
    let mut config = Config::new(Database::new(stage.database.url().parse().unwrap()));
    config.database.max_open_conns = 8;
    patient(&mut config);
    App::start_with(config, Arc::clone(&stage.clock) as Arc<dyn Clock>).await.unwrap()
}

/// Lets calls wait for a connection as long as a busy machine takes to open the many that a crowd of callers needs.
fn patient(config: &mut Config) {
    config.database.acquire_timeout = std::time::Duration::from_secs(60);
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Trade number `number`: always the same one. Two symbols, three days, several trades in a millisecond, half of them with
/// a profit or a loss.
fn trade(number: u64) -> NewTrade {
    let mut random = Random(number);
    let day = i64::try_from(random.below(3)).unwrap();
    let micros = (DAY_ONE + day * DAY_MILLIS) * 1_000 + i64::try_from(random.below(5_000)).unwrap() * 17_279_777;
    let pnl = match random.below(4) {
        0 => Some(format!("{}.{:012}", random.below(900), random.below(1_000_000_000_000))),
        1 => Some(format!("-{}.{:012}", random.below(900), random.below(1_000_000_000_000))),
        2 => Some("0".to_owned()),
        _ => None,
    };
    NewTrade {
        exchange: "binance".parse().unwrap(),
        symbol: if random.below(3) == 0 { "BTCUSDT" } else { "ETHUSDT" }.parse().unwrap(),
        exchange_trade_id: number.to_string().parse().unwrap(),
        side: if random.below(2) == 0 { Side::Buy } else { Side::Sell },
        price: format!("{}.{:08}", 1 + random.below(5_000), random.below(100_000_000)).parse().unwrap(),
        quantity: format!("{}.{:08}", random.below(50), 1 + random.below(99_999_999)).parse().unwrap(),
        fee: format!("0.{:012}", random.below(1_000_000_000_000)).parse().unwrap(),
        fee_asset: "BNB".parse().unwrap(),
        is_maker: random.below(2) == 0,
        pnl: pnl.map(|pnl| pnl.parse().unwrap()),
        traded_at: Timestamp::from_micros(micros).unwrap(),
        ..NewTrade::default()
    }
}

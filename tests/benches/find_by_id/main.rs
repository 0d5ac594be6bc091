//! Finding one of 100,000 trades by its id, through the domain service and with hand-written sqlx.
//!
//! What is measured is the time from the call to the trade in hand, without any cache, one id after the other in random
//! order. The peers read the same table of the same database through pools of their own, one as sqlx makes it, which pings
//! a connection before every use, and one that does not. Turns are short, so that what else the machine
//! does falls on all alike.

mod peer;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use peer::Peer;
use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::domain::trading::NewTrade;
use stanchion::entity::trading::trade;
use stanchion::types::ValueError;
use stanchion_tests::bench::{Arguments, Entrant, Goal, Report, Samples, new_trades, take_turns};
use stanchion_tests::testbed::{Backend, TestDatabase};
use uuid::Uuid;

/// Rows in the table.
const TRADES: u32 = 100_000;
/// Lookups in a turn, by all callers together.
const LOOKUPS: usize = 96;
const ROUNDS: usize = 300;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,

    /// How many look up at the same time; the targets are for one
    #[arg(long, default_value_t = 1)]
    callers: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    let mut report = Report::new("find_by_id", "microseconds a lookup", options.common.json);
    for backend in options.common.backends() {
        let samples = measure(backend, &options).await.with_context(|| backend.to_string())?;
        let [ours, default_pool, no_ping] = samples.as_slice() else { continue };
        let judged = |limit| if options.callers == 1 { Goal::AtMost(limit) } else { Goal::None };
        report.compare(backend, ours, default_pool, judged(0.7));
        report.compare(backend, ours, no_ping, judged(1.15));
    }
    report.print();
    Ok(())
}

async fn measure(backend: Backend, options: &Options) -> anyhow::Result<Vec<Samples>> {
    let database = TestDatabase::migrated(backend).await.context("no server")?;
    let app = App::start(Config::new(Database::new(database.url().parse()?))).await?;
    let trades = new_trades(TRADES)?;
    let ids: Vec<Uuid> = trades.iter().map(id).collect::<Result<_, _>>()?;
    app.trading().save_trades(trades).await?;

    let pinging = Peer::connect(&database, true).await?;
    let plain = Peer::connect(&database, false).await?;
    let callers = Callers { ids: ids.into(), count: options.callers };
    let service = app.clone();
    let mut entrants = vec![
        callers.entrant("stanchion", move |id| {
            let app = service.clone();
            async move {
                black_box(app.trading().trade(id).await?);
                Ok(())
            }
        }),
        callers.entrant("sqlx, its default pool", move |id| find(pinging.clone(), id)),
        callers.entrant("sqlx, without ping", move |id| find(plain.clone(), id)),
    ];
    entrants.truncate(if options.common.ours { 1 } else { entrants.len() });
    let samples = take_turns(options.common.rounds.unwrap_or(ROUNDS), entrants).await?;
    app.close().await;
    Ok(samples)
}

async fn find(peer: Peer, id: Uuid) -> anyhow::Result<()> {
    black_box(peer.trade(id).await?);
    Ok(())
}

fn id(trade: &NewTrade) -> Result<Uuid, ValueError> {
    trade::id(trade.traded_at, &trade.exchange, &trade.symbol, &trade.exchange_trade_id)
}

/// Those who look up at the same time, and what there is to be found.
struct Callers {
    ids: Arc<[Uuid]>,
    count: usize,
}

impl Callers {
    /// The callers calling `find`, each a task of the runtime, as a service's requests are.
    fn entrant<F>(&self, name: &str, find: impl Fn(Uuid) -> F + Clone + Send + 'static) -> Entrant<'static>
    where
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let Self { ids, count } = self;
        let (ids, count, mut random) = (Arc::clone(ids), *count, Random(name.len() as u64));
        Entrant::new(name, move || {
            let draw = |_| (0..LOOKUPS / count).map(|_| ids[random.below(ids.len())]).collect::<Vec<Uuid>>();
            let shares: Vec<Vec<Uuid>> = (0..count).map(draw).collect();
            let find = find.clone();
            async move {
                let lookups = shares.iter().map(Vec::len).sum::<usize>();
                let began = Instant::now();
                let callers = shares.into_iter().map(|share| {
                    let find = find.clone();
                    tokio::spawn(async move {
                        for id in share {
                            find(id).await?;
                        }
                        anyhow::Ok(())
                    })
                });
                for caller in callers.collect::<Vec<_>>() {
                    caller.await??;
                }
                Ok(began.elapsed().as_secs_f64() * 1e6 / lookups as f64)
            }
        })
    }
}

/// SplitMix64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

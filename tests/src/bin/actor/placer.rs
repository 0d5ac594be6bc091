//! An instance of a grid trader, for tests to kill: it sees to it that every level of the grid has its order.
//!
//! `actor placer ID LEVELS`, the database in `DATABASE_URL`, the locks in `REDIS_URL`. For each level, in an order of its own, it
//! takes the level's lock, checks its fence and places an order in one transaction, again and again until that succeeds. It
//! prints `placed LEVEL ID` or `there LEVEL ID` once the commit is known, a line each, and `done`.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use stanchion::config::{Config, Database, Domain};
use stanchion::domain::trading::{NewOrder, Placed, place_at_level};
use stanchion::lock::LockOptions;
use stanchion::{App, Error};

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [id, levels] = arguments else { anyhow::bail!("placer ID LEVELS") };
    let variable = |name: &'static str| std::env::var(name).context(name);
    let mut config = Config::new(Database::new(variable("DATABASE_URL")?.parse()?));
    config.database.max_open_conns = 4;
    config.database.acquire_timeout = Duration::from_secs(60);
    config.instance.id.clone_from(id);
    config.distributed_lock.enabled = true;
    config.distributed_lock.redis = Some(variable("REDIS_URL")?.parse()?);
    config.redis.connect_timeout = Duration::from_secs(1);
    config.redis.command_timeout = Duration::from_millis(500);
    let app = App::start(config).await?;
    let mut levels: Vec<u32> = (1..=levels.parse()?).collect();
    fastrand::shuffle(&mut levels);
    for level in levels {
        let placed = loop {
            match place(&app, id, level).await {
                Ok(placed) => break placed,
                // Redis is down, or somebody holds the level: what matters is that it has its order in the end.
                Err(error) if error.is_unavailable() || error.is_conflict() || error.is_stale() => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                // A lock may be lost and a commit unknown, too.
                Err(error @ (Error::Lock(_) | Error::CommitUnknown(_))) => eprintln!("{id}: {error}"),
                Err(error) => return Err(error.into()),
            }
        };
        let what = if placed.is_new { "placed" } else { "there" };
        let mut out = std::io::stdout();
        writeln!(out, "{what} {level} {}", placed.order.client_order_id.as_str())?;
        out.flush()?;
    }
    println!("done");
    app.close().await;
    Ok(())
}

async fn place(app: &App, id: &str, level: u32) -> Result<Placed, Error> {
    let db = app.db(Domain::Trading);
    let options = LockOptions::ttl(Duration::from_secs(1)).wait(Duration::from_secs(2)).fenced(db);
    let guard = app.locks().acquire(format!("order:binance:ETHUSDT:{level}"), options).await?;
    let order = NewOrder {
        exchange: "binance".parse()?,
        symbol: "ETHUSDT".parse()?,
        client_order_id: format!("{id}-{level}").parse()?,
        price: Some((level * 10).to_string().parse()?),
        quantity: "1".parse()?,
        ..NewOrder::default()
    };
    let (step, now) = ("10".parse()?, app.clock().now());
    let placed = app
        .transaction(Domain::Trading, async |tx| {
            tx.check_fence(&guard).await?;
            place_at_level(tx, order.clone(), step, now).await
        })
        .await?;
    // What could not be given back is over soon.
    drop(guard);
    Ok(placed)
}

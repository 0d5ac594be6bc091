//! An instance of a trading service, for tests to kill: it holds its symbols and says so.
//!
//! `actor grid ID INDEX TOTAL ROLE LEASE_MS SYMBOLS`, the database in `DATABASE_URL`, the symbols with commas. It prints `held
//! SYMBOL FENCE` and `lost SYMBOL FENCE`, a line each, and ends with its input.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use stanchion::App;
use stanchion::config::{Config, Database, TradingRole};

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [id, index, total, role, lease, symbols] = arguments else {
        anyhow::bail!("grid ID INDEX TOTAL ROLE LEASE_MS SYMBOLS")
    };
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL")?;
    let mut config = Config::new(Database::new(url.parse()?));
    config.database.max_open_conns = 8;
    config.database.acquire_timeout = Duration::from_secs(60);
    config.instance.id.clone_from(id);
    (config.instance.index, config.instance.total) = (index.parse()?, total.parse()?);
    config.trading.symbols = symbols.split(',').map(str::to_owned).collect();
    config.trading.role = if role == "standby" { TradingRole::Standby } else { TradingRole::Active };
    config.trading.lease = Duration::from_millis(lease.parse()?);
    let app = App::start(config).await?;
    let telling = tokio::spawn(tell(app.clone()));
    app.trading_desk().run(end_of_input()).await?;
    telling.abort();
    app.close().await;
    Ok(())
}

async fn end_of_input() {
    // Whether it ends well or not, it ends.
    let _ = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await;
}

async fn tell(app: App) -> anyhow::Result<()> {
    let mut symbols = app.trading_desk().symbols();
    let mut known = BTreeMap::new();
    loop {
        let held: BTreeMap<String, i64> =
            symbols.borrow_and_update().iter().map(|(symbol, held)| (symbol.clone(), held.fence())).collect();
        let mut out = std::io::stdout();
        for (symbol, fence) in known.iter().filter(|(symbol, fence)| held.get(*symbol) != Some(*fence)) {
            writeln!(out, "lost {symbol} {fence}")?;
        }
        for (symbol, fence) in held.iter().filter(|(symbol, fence)| known.get(*symbol) != Some(*fence)) {
            writeln!(out, "held {symbol} {fence}")?;
        }
        known = held;
        symbols.changed().await?;
    }
}

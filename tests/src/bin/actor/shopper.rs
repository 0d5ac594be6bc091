//! A process that checks out, for the tests to kill.
//!
//! `actor shopper step URL MILLIS` reads an array of one order (JSON, one line) from standard input and checks it out step by
//! step: it prints the name of each step once it is done, and waits for a line. `actor shopper all URL MILLIS` reads any number
//! of orders, checks them out four at a time, and prints a line for each. `MILLIS` is what its clock says.

use std::io::{self, BufRead, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::domain::ordering::{NewOrder, Step};
use stanchion::types::Timestamp;
use stanchion_tests::HandClock;

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [mode, url, millis] = arguments else { bail!("shopper step|all URL MILLIS") };
    let mut config = Config::new(Database::new(url.parse()?));
    config.database.max_open_conns = 4;
    let clock = Arc::new(HandClock::at(Timestamp::from_millis(millis.parse()?)?));
    let app = App::start_with(config, clock).await?;
    let orders: Vec<NewOrder> = serde_json::from_str(&line()?)?;
    match mode.as_str() {
        "step" => step(&app, orders.into_iter().next().context("no order")?).await,
        "all" => all(&app, orders).await,
        other => bail!("no mode: {other}"),
    }
}

async fn step(app: &App, order: NewOrder) -> anyhow::Result<()> {
    let mut checkout = app.ordering().begin_checkout(order)?;
    while checkout.next() != Step::Done {
        let done = checkout.advance().await?;
        say(&format!("{done:?}"))?;
        line()?;
    }
    Ok(())
}

async fn all(app: &App, orders: Vec<NewOrder>) -> anyhow::Result<()> {
    let orders = Arc::new(std::sync::Mutex::new(orders));
    let buyers = (0..4).map(|_| {
        let (app, orders) = (app.clone(), Arc::clone(&orders));
        tokio::spawn(async move {
            loop {
                let next = orders.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.pop();
                let Some(order) = next else { return Ok(()) };
                let outcome = app.ordering().checkout(order).await;
                say(if outcome.is_ok() { "confirmed" } else { "refused" })?;
            }
        })
    });
    for buyer in buyers.collect::<Vec<_>>() {
        let done: anyhow::Result<()> = buyer.await?;
        done?;
    }
    Ok(())
}

fn line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

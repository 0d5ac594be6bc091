//! A job that one instance runs at a time, and that cannot write over its successor:
//! `cargo run -p stanchion --example fenced_job`.
#![expect(clippy::print_stdout, reason = "what an example prints is its result")]

use std::sync::Arc;
use std::time::Duration;

use stanchion::Error;
use stanchion::config::Database;
use stanchion::db::{Db, Options};
use stanchion::lock::{InProcess, LockOptions, Locks, tables};
use stanchion::sea_orm::ConnectionTrait;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let database = Database::new("sqlite::memory:".parse().map_err(Error::other)?);
    let db = Db::connect("reports", &database, Options { create: true }).await?;
    for table in tables(db.backend()) {
        db.writer().execute_unprepared(&table).await?; // fences; `stanchion migrate up` makes it too
    }
    db.writer().execute_unprepared("CREATE TABLE reports (day TEXT PRIMARY KEY, by_whom TEXT)").await?;

    // A service of several instances gives `RedisLocks`, or takes `app.locks()`.
    let store = Arc::new(InProcess::new());
    let instances = ["node-1", "node-2", "node-3"].map(|name| (name, Locks::new(store.clone(), name)));
    for (name, locks) in &instances {
        report(name, locks, &db).await?;
    }

    // What a paused holder still wants to write is refused once somebody else has been there.
    let options = || LockOptions::ttl(Duration::from_secs(2)).no_renewal().fenced(&db);
    let paused = instances[0].1.acquire("report", options()).await?;
    let fence = paused.fence().cloned().ok_or_else(|| Error::other("no fence"))?;
    paused.lost().cancelled().await;
    instances[1].1.acquire("report", options()).await?.release().await?;
    let late = db.transaction(async |tx| tx.check_fence(&fence).await).await;
    println!("late write: {}", late.err().map_or("accepted".to_owned(), |error| error.to_string()));
    Ok(())
}

async fn report(name: &str, locks: &Locks, db: &Db) -> Result<(), Error> {
    let guard = locks.acquire("report", LockOptions::ttl(Duration::from_secs(5)).fenced(db)).await?;
    let insert = format!("INSERT INTO reports VALUES ('2026-03-01', '{name}') ON CONFLICT DO NOTHING");
    let written = db
        .transaction(async |tx| {
            tx.check_fence(&guard).await?; // in the transaction that writes
            Ok(tx.execute_unprepared(&insert).await?.rows_affected())
        })
        .await?;
    println!("{name}: {}", if written == 1 { "reported" } else { "has nothing left to do" });
    guard.release().await
}

//! Commits a change with a durable invalidation and gets no further: for tests to kill.
//!
//! `actor unpublished NAMESPACE KEY`, the database in `DATABASE_URL`. It prints `committed`, and waits.

use std::io::Write as _;

use anyhow::Context as _;
use stanchion::App;
use stanchion::cache::Target;
use stanchion::config::{Config, Database, Domain};

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [namespace, key] = arguments else { anyhow::bail!("unpublished NAMESPACE KEY") };
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL")?;
    let app = App::start(Config::new(Database::new(url.parse()?))).await?;
    app.transaction(Domain::Catalog, async |tx| {
        // What comes after the commit is done in the order in which it was said: the invalidation is never reached.
        tx.after_commit(async {
            let _ = writeln!(std::io::stdout(), "committed");
            std::future::pending().await
        });
        app.cache().invalidate_durably(tx, [Target::key(namespace, key)]).await
    })
    .await?;
    Ok(())
}

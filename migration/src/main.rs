//! `sea-orm-cli migrate` runs this: `cargo run --manifest-path ./migration/Cargo.toml -- up`, with `DATABASE_URL`.

use std::error::Error;
use std::process::exit;

use sea_orm_migration::cli::run_cli_with_connection;
use sea_orm_migration::sea_orm::ConnectOptions;
use stanchion_migration::{Migrator, connect};

#[tokio::main]
async fn main() {
    let names_a_url = |argument: String| argument.starts_with("-u") || argument.starts_with("--database-url");
    let asks_for_help = |argument: String| matches!(argument.as_str(), "-h" | "--help" | "-V" | "--version" | "help");
    let given = std::env::var_os("DATABASE_URL").is_some() || std::path::Path::new(".env").exists();
    if !given && !std::env::args().any(|argument| names_a_url(argument.clone()) || asks_for_help(argument)) {
        fail(2, "DATABASE_URL is not set; try DATABASE_URL=sqlite://data/stanchion.db");
    }
    run_cli_with_connection(Migrator, |options: ConnectOptions| async move {
        match connect(options.get_url()).await {
            Ok(db) => Ok(db),
            Err(error) => {
                let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                fail(1, &format!("{error}{cause}"))
            }
        }
    })
    .await;
}

/// Ends with a message on standard error; SeaORM's command would panic on a connection that fails.
#[expect(clippy::print_stderr, reason = "the message is for the person at the keyboard")]
fn fail(status: i32, message: &str) -> ! {
    eprintln!("error: {message}");
    exit(status)
}

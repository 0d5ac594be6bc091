//! `stanchion migrate up|down|status|fresh|refresh`.

use std::io::{self, IsTerminal};

use clap::Subcommand;
use serde::Serialize;
use stanchion::config::{Config, DatabaseUrl};
use stanchion::migration::{self, Migrator, MigratorTrait};
use stanchion::sea_orm::{DatabaseConnection, DbErr};

use crate::args::Global;
use crate::output::{self, Failure, Output};

/// Bring databases to this version's schema, or back.
#[derive(clap::Args)]
#[command(
    after_help = "Every configured database is migrated, one after the other; a SQLite file is created if it is not there.\n\n\
                  Examples:\n  \
                  stanchion migrate up\n  \
                  stanchion migrate status --json\n  \
                  stanchion migrate down -n 2 --database ordering"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,

    /// Only this database, by its name in `stanchion config check`.
    #[arg(long, global = true, value_name = "NAME")]
    database: Option<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Apply what is not applied yet.
    Up,
    /// Undo the last migrations, and lose what is in their tables and columns.
    Down {
        /// How many.
        #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 1,
              value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "all")]
        number: u32,
        /// All of them.
        #[arg(long)]
        all: bool,
    },
    /// Say which migrations are applied. Changes nothing.
    Status,
    /// Drop every table, whoever made it, and apply all migrations. All data is lost.
    Fresh(Consent),
    /// Undo all migrations and apply them again. All data is lost.
    Refresh(Consent),
}

/// The word for what cannot be undone.
#[derive(clap::Args)]
struct Consent {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// A database and its migrations.
#[derive(Serialize)]
struct Row {
    database: &'static str,
    url: String,
    applied: Vec<String>,
    pending: Vec<String>,
    /// Those that this command has applied or undone.
    changed: Vec<String>,
}

/// A database to be migrated.
struct Target<'a> {
    name: &'static str,
    url: &'a DatabaseUrl,
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let config = global.load()?;
    let targets = targets(&config, args.database.as_deref())?;
    if let Action::Fresh(consent) | Action::Refresh(consent) = &args.action
        && !consent.yes
    {
        confirm(&targets)?;
    }
    let (mut rows, mut failed) = (Vec::new(), None);
    for target in &targets {
        match migrate(&args.action, target).await {
            Ok(row) => rows.push(row),
            Err(failure) => {
                failed = Some(failure);
                break;
            }
        }
    }
    // What was done before a failure is done.
    if !rows.is_empty() {
        output.report(&rows, |rows| Ok(text(&args.action, rows)))?;
    }
    failed.map_or(Ok(()), Err)
}

fn targets<'a>(config: &'a Config, name: Option<&str>) -> Result<Vec<Target<'a>>, Failure> {
    let all = config.distinct_databases().map(|(name, _, database)| Target { name, url: &database.url });
    let chosen: Vec<Target<'a>> = all.filter(|target| name.is_none_or(|name| name == target.name)).collect();
    if let (Some(name), []) = (name, chosen.as_slice()) {
        let names: Vec<&str> = config.distinct_databases().map(|(name, ..)| name).collect();
        return Err(anyhow::anyhow!("there is no database {name:?}; there is {}", names.join(", ")).into());
    }
    Ok(chosen)
}

/// Asks at the terminal; where there is none, nobody can have meant it without `--yes`.
fn confirm(targets: &[Target<'_>]) -> Result<(), Failure> {
    let places: Vec<String> = targets.iter().map(|target| format!("{} ({})", target.name, target.url)).collect();
    let places = places.join(", ");
    if !io::stdin().is_terminal() {
        let failure = Failure::from(anyhow::anyhow!("this would destroy all data in {places}"));
        return Err(failure.hint("add --yes if that is meant").status(output::BAD_USAGE));
    }
    output::notice(&format!("This destroys all data in {places}. Type yes to go on:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(anyhow::anyhow!("not confirmed; nothing was changed").into()) }
}

async fn migrate(action: &Action, target: &Target<'_>) -> Result<Row, Failure> {
    let row = |applied: Vec<String>, changed| {
        let pending = names().into_iter().filter(|name| !applied.contains(name)).collect();
        Row { database: target.name, url: target.url.to_string(), applied, pending, changed }
    };
    // Connecting creates the file, and asking for the status changes nothing.
    let is_missing = target.url.sqlite_path().is_some_and(|file| !file.exists());
    if is_missing && matches!(action, Action::Status) {
        return Ok(row(Vec::new(), Vec::new()));
    }
    let tried = if matches!(action, Action::Status) { "read the migrations of" } else { "migrate" };
    let failed =
        |error: anyhow::Error| error.context(format!("cannot {tried} the database `{}` ({})", target.name, target.url));
    let db = migration::connect(target.url.expose()).await.map_err(|error| failed(error.into()))?;
    let done = run_on(&db, action).await;
    let closed = db.close().await;
    let (applied, changed) = done.map_err(|error| {
        let failure = Failure::from(failed(error.into()));
        match action {
            Action::Status => failure,
            _ => failure.hint("`stanchion migrate status` says what is applied now"),
        }
    })?;
    closed.map_err(|error| failed(error.into()))?;
    Ok(row(applied, changed))
}

/// Does it, and says which migrations are applied then, and which of them were not before or are not any more.
async fn run_on(db: &DatabaseConnection, action: &Action) -> Result<(Vec<String>, Vec<String>), DbErr> {
    let before = applied(db).await?;
    match action {
        Action::Status => return Ok((before, Vec::new())),
        Action::Up => Migrator::up(db, None).await?,
        Action::Down { all: true, .. } => Migrator::down(db, None).await?,
        Action::Down { number, .. } => Migrator::down(db, Some(*number)).await?,
        Action::Fresh(_) => Migrator::fresh(db).await?,
        Action::Refresh(_) => Migrator::refresh(db).await?,
    }
    let after = applied(db).await?;
    let missing_in = |some: &[String], others: &[String]| -> Vec<String> {
        others.iter().filter(|name| !some.contains(name)).cloned().collect()
    };
    let changed = match action {
        Action::Fresh(_) | Action::Refresh(_) => after.clone(),
        Action::Down { .. } => missing_in(&after, &before),
        Action::Up | Action::Status => missing_in(&before, &after),
    };
    Ok((after, changed))
}

async fn applied(db: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let applied = Migrator::get_applied_migrations_read_only(db).await?;
    Ok(applied.iter().map(|migration| migration.name().to_owned()).collect())
}

fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

fn text(action: &Action, rows: &[Row]) -> String {
    if matches!(action, Action::Status) {
        let lines = rows.iter().flat_map(|row| {
            let line = |state, name: &str| [row.database.to_owned(), name.to_owned(), String::from(state)];
            let applied = row.applied.iter().map(move |name| line("applied", name));
            applied.chain(row.pending.iter().map(move |name| line("pending", name)))
        });
        return output::table(&["DATABASE", "MIGRATION", "STATE"], lines);
    }
    let verb = if matches!(action, Action::Down { .. }) { "undone" } else { "applied" };
    let mut text = String::new();
    for Row { database, url, applied, pending, changed } in rows {
        let (count, on, off) = (changed.len(), applied.len(), pending.len());
        text.push_str(&format!("{database} ({url}): {count} {verb}; now {on} applied, {off} pending\n"));
        for name in changed {
            text.push_str(&format!("  {verb} {name}\n"));
        }
    }
    text
}

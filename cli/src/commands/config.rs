//! `stanchion config check|show`.

use clap::Subcommand;
use serde::Serialize;
use stanchion::config::{Config, Database, DatabaseUrl, Domain, Instance, LockKind, RedisUrl, Source};

use crate::args::Global;
use crate::output::{self, Failure, Output};

/// Check the configuration, or show what is in force.
#[derive(clap::Args)]
#[command(
    after_help = "Later sources win: the defaults, the file, DATABASE_URL and REDIS_URL, and variables such as\n\
                        STANCHION__DATABASE__MAX_OPEN_CONNS. Passwords are never shown.\n\n\
                        Examples:\n  \
                        stanchion config check\n  \
                        stanchion config check --config shop.yaml\n  \
                        stanchion config show --json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say what was read, and which databases it leads to; fail with all problems if it is not valid.
    Check,
    /// Print the whole configuration in force, defaults included, as YAML.
    Show,
}

pub(crate) fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let config = global.load()?;
    match args.action {
        Action::Check => output.report(&Summary::of(&config), |summary| Ok(summary.text())),
        Action::Show => output.report(&config, |config| Ok(serde_saphyr::to_string(config)?)),
    }
}

/// What a valid configuration comes to.
#[derive(Serialize)]
struct Summary<'a> {
    valid: bool,
    sources: &'a [Source],
    instance: &'a Instance,
    databases: Vec<Row<'a>>,
    cache: Option<&'a RedisUrl>,
    locks: LockKind,
    lock_redis: Option<&'a RedisUrl>,
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'static str,
    url: &'a DatabaseUrl,
    replicas: &'a [DatabaseUrl],
    max_open_conns: u32,
    domains: Vec<Domain>,
}

impl<'a> Summary<'a> {
    fn of(config: &'a Config) -> Self {
        let row = |(name, domains, database): (_, _, &'a Database)| Row {
            name,
            url: &database.url,
            replicas: &database.replicas,
            max_open_conns: database.max_open_conns,
            domains,
        };
        let locks = config.distributed_lock.store();
        Self {
            valid: true,
            sources: config.sources(),
            instance: &config.instance,
            databases: config.distinct_databases().map(row).collect(),
            cache: config.cache.redis.as_ref(),
            locks,
            lock_redis: config.distributed_lock.redis.as_ref().filter(|_| locks == LockKind::Redis),
        }
    }

    fn text(&self) -> String {
        let sources: Vec<String> = self.sources.iter().map(ToString::to_string).collect();
        let sources = if sources.is_empty() { "the defaults alone".to_owned() } else { sources.join(", ") };
        let place = |redis: Option<&RedisUrl>| redis.map_or_else(|| "in the process".to_owned(), ToString::to_string);
        let rows = self.databases.iter().map(|row| {
            let replicas: Vec<String> = row.replicas.iter().map(ToString::to_string).collect();
            [
                row.name.to_owned(),
                row.url.to_string(),
                if replicas.is_empty() { "-".to_owned() } else { replicas.join(" ") },
                row.max_open_conns.to_string(),
                domains(&row.domains),
            ]
        });
        format!(
            "The configuration is valid.\n\nread from  {sources}\ninstance   {} (index {} of {})\ncache      {}\nlocks      {}\n\n{}",
            self.instance.id,
            self.instance.index,
            self.instance.total,
            place(self.cache),
            place(self.lock_redis),
            output::table(&["DATABASE", "URL", "REPLICAS", "CONNECTIONS", "DOMAINS"], rows)
        )
    }
}

fn domains(domains: &[Domain]) -> String {
    match domains {
        [] => "none".to_owned(),
        all if all.len() == Domain::ALL.len() => "all".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

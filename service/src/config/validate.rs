//! What no single key can say is wrong: contradictions between keys.

use super::database::Database;
use super::error::Problem;
use super::{Backend, Config, LockKind, Trading};

/// All contradictions in `config`, without where its keys were set.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if config.instance.index >= config.instance.total {
        problems.push(
            Problem::new("instance.index", "the first must be less than the second")
                .and("instance.total")
                .hint("the first instance has index 0"),
        );
    }
    database("database", &config.database, &mut problems);
    for (domain, own) in &config.databases {
        let path = format!("databases.{domain}");
        database(&path, own, &mut problems);
        let first = std::iter::once(("database".to_owned(), &config.database))
            .chain(config.databases.iter().map(|(domain, own)| (format!("databases.{domain}"), own)))
            .find(|(_, other)| other.url == own.url);
        if let Some((other, first)) = first {
            for key in own.differing(first) {
                problems.push(
                    Problem::new(&format!("{path}.{key}"), "they differ, but both are the same database")
                        .and(&format!("{other}.{key}"))
                        .hint("give both the same value: there is one pool a database"),
                );
            }
        }
    }
    problems.extend(config.alerting.problems());
    let lock = &config.distributed_lock;
    if lock.store() == LockKind::Redis && lock.redis.is_none() {
        problems.push(
            Problem::new("distributed_lock.redis.addr", "the address is missing, and locks are to be kept in Redis")
                .and("distributed_lock.enabled")
                .hint("give its host:port, or set distributed_lock.enabled to false"),
        );
    }
    if lock.store() == LockKind::Session && config.database.backend() == Backend::Sqlite {
        problems.push(
            Problem::new("distributed_lock.type", "SQLite's sessions have no locks")
                .and("database.url")
                .hint("set distributed_lock.type to table, or to in_process where there is one instance"),
        );
    }
    if config.trading.lease < Trading::SHORTEST_LEASE {
        problems.push(
            Problem::new("trading.lease", "must be at least 100ms")
                .hint("the database is asked several times within it; 10s is the default"),
        );
    }
    problems.extend(config.encryption.problem());
    problems
}

fn database(path: &str, database: &Database, problems: &mut Vec<Problem>) {
    let key = |key: &str| format!("{path}.{key}");
    if database.max_open_conns == 0 {
        problems.push(Problem::new(&key("max_open_conns"), "must be at least 1"));
    }
    if database.max_idle_conns > database.max_open_conns {
        problems.push(
            Problem::new(&key("max_idle_conns"), "the first must not be more than the second")
                .and(&key("max_open_conns"))
                .hint("lower the first or raise the second"),
        );
    }
    for (name, timeout) in
        [("acquire_timeout", database.acquire_timeout), ("connect_timeout", database.connect_timeout)]
    {
        if timeout.is_zero() {
            problems.push(Problem::new(&key(name), "must be longer than zero"));
        }
    }
    for (i, replica) in database.replicas.iter().enumerate() {
        let key = key(&format!("replicas[{i}]"));
        if replica.backend() != database.backend() {
            problems.push(Problem::new(&key, "must be on the back end of its primary"));
        }
        if *replica == database.url {
            problems.push(Problem::new(&key, "is the primary itself").hint("name servers that follow it"));
        }
        if database.replicas.iter().take(i).any(|earlier| earlier == replica) {
            problems.push(Problem::new(&key, "is in the list twice"));
        }
    }
}

use sea_orm::TryGetable;

use super::{Asked, EngineFigures, LONG_TRANSACTION, MOST_TABLES, SLOW_STATEMENT, count};

pub(super) async fn figures(asked: &Asked<'_>, base: EngineFigures) -> EngineFigures {
    let long = LONG_TRANSACTION.as_secs();
    // Others' activity is there without a right to see it, but not what it is: then they count as none.
    let activity = asked
        .row(&format!(
            "SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock'), \
             count(*) FILTER (WHERE xact_start < clock_timestamp() - make_interval(secs => {long})), \
             current_setting('max_connections')::bigint, pg_database_size(current_database()), \
             CASE WHEN pg_is_in_recovery() THEN \
               extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::double precision END \
             FROM pg_stat_activity WHERE datname = current_database()"
        ))
        .await;
    let of_activity = |at| activity.as_ref().and_then(|row| count(row, at));
    let slow = asked
        .number(&format!(
            "SELECT count(*) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
             WHERE d.datname = current_database() AND s.mean_exec_time > {}",
            SLOW_STATEMENT.as_millis()
        ))
        .await;
    let tables = asked
        .tables(&format!(
            "SELECT coalesce(pg_partition_root(relid), relid)::regclass::text AS name, \
             sum(n_live_tup)::bigint AS rows, sum(pg_total_relation_size(relid))::bigint AS bytes, \
             sum(idx_scan)::bigint AS index_scans, sum(seq_scan)::bigint AS whole_scans \
             FROM pg_stat_user_tables GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT {MOST_TABLES}"
        ))
        .await;
    EngineFigures {
        server_connections: of_activity(0),
        lock_waits: of_activity(1),
        long_transactions: of_activity(2),
        max_server_connections: of_activity(3),
        bytes: of_activity(4),
        replication_lag_s: activity.as_ref().and_then(|row| Option::<f64>::try_get_by(row, 5).ok().flatten()),
        slow_statements: slow,
        tables,
        ..base
    }
}

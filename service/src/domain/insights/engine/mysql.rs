use sea_orm::{ConnectionTrait, Statement, TryGetable};

use super::{Asked, EngineFigures, LONG_TRANSACTION, MOST_TABLES, absent};

pub(super) async fn figures(asked: &Asked<'_>, base: EngineFigures) -> EngineFigures {
    let status = status(asked).await.unwrap_or_default();
    let of_status = |name: &str| {
        status.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.parse().ok())
    };
    let long = LONG_TRANSACTION.as_secs();
    let long_transactions = asked
        .number(&format!(
            "SELECT CAST(count(*) AS SIGNED) FROM information_schema.innodb_trx \
             WHERE trx_started < sysdate() - INTERVAL {long} SECOND"
        ))
        .await;
    let most = asked.number("SELECT CAST(@@GLOBAL.max_connections AS SIGNED)").await;
    let tables = asked
        .tables(&format!(
            "SELECT table_name AS `name`, CAST(table_rows AS SIGNED) AS `rows`, \
             CAST(data_length + index_length AS SIGNED) AS `bytes`, \
             CAST(NULL AS SIGNED) AS `index_scans`, CAST(NULL AS SIGNED) AS `whole_scans` \
             FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE' \
             ORDER BY data_length + index_length DESC, table_name LIMIT {MOST_TABLES}"
        ))
        .await;
    let bytes = tables.as_ref().map(|tables| tables.iter().filter_map(|table| table.bytes).sum::<i64>());
    EngineFigures {
        server_connections: of_status("Threads_connected"),
        max_server_connections: most,
        slow_statements: of_status("Slow_queries"),
        lock_waits: of_status("Innodb_row_lock_current_waits"),
        long_transactions,
        bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        tables,
        ..base
    }
}

/// The counters of the server that we look at.
async fn status(asked: &Asked<'_>) -> Option<Vec<(String, String)>> {
    let sql = "SHOW GLOBAL STATUS WHERE Variable_name IN \
               ('Threads_connected', 'Slow_queries', 'Innodb_row_lock_current_waits')";
    let statement = Statement::from_string(asked.pool.get_database_backend(), sql);
    let rows = absent(asked.pool.query_all_raw(statement).await)?;
    let text = |row: &_, at| String::try_get_by(row, at).ok();
    Some(rows.iter().filter_map(|row| Some((text(row, 0)?, text(row, 1)?))).collect())
}

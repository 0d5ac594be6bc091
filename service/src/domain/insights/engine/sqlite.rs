use super::{Asked, EngineFigures, MOST_TABLES};

pub(super) async fn figures(asked: &Asked<'_>, base: EngineFigures) -> EngineFigures {
    let bytes = asked
        .number("SELECT pages.page_count * sizes.page_size FROM pragma_page_count AS pages, pragma_page_size AS sizes")
        .await;
    // The table of ANALYZE may be missing. (The sizes of tables are to be had as well, by reading the whole file.)
    let analyzed = "(SELECT max(CAST(stat AS integer)) FROM sqlite_stat1 WHERE tbl = tables.name)";
    let mut tables = None;
    for rows in [analyzed, "NULL"] {
        tables = asked
            .tables(&format!(
                "SELECT tables.name AS name, {rows} AS rows, NULL AS bytes, NULL AS index_scans, NULL AS whole_scans \
                 FROM sqlite_master AS tables WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' \
                 ORDER BY 2 DESC, 1 LIMIT {MOST_TABLES}"
            ))
            .await;
        if tables.is_some() {
            break;
        }
    }
    EngineFigures { bytes, tables, ..base }
}

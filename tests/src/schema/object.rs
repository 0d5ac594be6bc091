use std::collections::BTreeSet;

use sea_orm::{DatabaseConnection, DbErr};
use stanchion_migration::schema::Dialect;

use super::query;
use super::sqlite::constraints;

/// Something in a database that has a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The table that it belongs to; empty where it belongs to none.
    pub table: String,
    /// The columns that it is about, joined by underscores, where the catalog knows them.
    pub columns: Option<String>,
}

/// A kind of thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A table.
    Table,
    /// A constraint: the primary key.
    PrimaryKey,
    /// A constraint: a unique key.
    Unique,
    /// A constraint: a reference.
    ForeignKey,
    /// A constraint: a condition.
    Check,
    /// An index that no constraint made, of values in their order.
    Index,
    /// Anything else, as the engine calls it: another kind of index, a view, a sequence, a trigger, a function, a type.
    Other(String),
}

impl Kind {
    fn of(word: &str) -> Self {
        match word {
            "table" => Self::Table,
            "primary key" => Self::PrimaryKey,
            "unique" => Self::Unique,
            "foreign key" => Self::ForeignKey,
            "check" => Self::Check,
            "index" => Self::Index,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Everything in a database that has a name, but for partitions, which go with their table, and the engine's own tables.
///
/// # Errors
/// Those of the database.
pub async fn objects(db: &DatabaseConnection) -> Result<BTreeSet<Object>, DbErr> {
    let rows: Vec<(String, String, String, Option<String>)> = match Dialect::of(db).await? {
        Dialect::Sqlite => return sqlite(db).await,
        Dialect::Postgres => query(db, POSTGRES).await?,
        _ => query(db, MYSQL).await?,
    };
    Ok(rows
        .into_iter()
        .map(|(kind, name, table, columns)| Object { kind: Kind::of(&kind), name, table, columns })
        .collect())
}

async fn sqlite(db: &DatabaseConnection) -> Result<BTreeSet<Object>, DbErr> {
    let rows: Vec<(String, String, String, Option<String>)> = query(
        db,
        // An index without a statement belongs to a constraint. `sqlite_sequence` is SQLite's, and stays for good.
        "SELECT m.type, m.name, m.tbl_name, coalesce(m.sql, '') FROM sqlite_master m
         WHERE m.name <> 'sqlite_sequence' AND NOT (m.type = 'index' AND m.sql IS NULL)",
    )
    .await?;
    let mut objects = BTreeSet::new();
    for (kind, name, table, sql) in rows {
        let sql = sql.unwrap_or_default();
        let columns: Vec<Option<String>> =
            query(db, format!("SELECT name FROM pragma_index_info('{name}') ORDER BY seqno")).await?;
        let columns: Option<Vec<String>> = columns.into_iter().collect();
        for constraint in constraints(&sql) {
            let (kind, rest) = constraint.body.split_once(" (").unwrap_or((constraint.body, ""));
            let kind = kind.to_lowercase();
            let columns = (kind != "check")
                .then(|| rest.trim_end_matches(')').split(", ").map(|name| name.trim_matches('"')).collect::<Vec<_>>());
            objects.insert(Object {
                kind: Kind::of(&kind),
                name: constraint.name.to_owned(),
                table: table.clone(),
                columns: columns.map(|columns| columns.join("_")),
            });
        }
        let kind = Kind::of(&kind);
        let columns = columns.filter(|_| kind == Kind::Index).map(|columns| columns.join("_"));
        objects.insert(Object { kind, name, table, columns });
    }
    Ok(objects)
}

const POSTGRES: &str = "
WITH here AS (SELECT current_schema()::regnamespace AS oid),
  extension AS (SELECT objid FROM pg_depend WHERE deptype = 'e'),
  tables AS (SELECT t.* FROM pg_class t, here WHERE t.relnamespace = here.oid AND NOT t.relispartition
    AND t.relkind <> 'c' AND t.oid NOT IN (SELECT objid FROM extension))
SELECT CASE WHEN t.relkind IN ('r', 'p') THEN 'table' WHEN t.relkind = 'v' THEN 'view' ELSE t.relkind::text END,
  t.relname::text, t.relname::text, NULL::text
FROM tables t WHERE t.relkind NOT IN ('i', 'I')
UNION ALL
SELECT CASE WHEN m.amname = 'btree' AND x.indpred IS NULL THEN 'index' ELSE m.amname || ' index' END,
  i.relname::text, t.relname::text,
  (SELECT string_agg(coalesce(a.attname::text, '?'), '_' ORDER BY u.place)
   FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS u (number, place)
   LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.number)
FROM pg_index x JOIN tables i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid JOIN pg_am m ON m.oid = i.relam
WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT CASE k.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' WHEN 'f' THEN 'foreign key'
    WHEN 'c' THEN 'check' ELSE k.contype::text END,
  k.conname::text, t.relname::text,
  CASE WHEN k.contype <> 'c' THEN (SELECT string_agg(a.attname::text, '_' ORDER BY u.place)
    FROM unnest(k.conkey) WITH ORDINALITY AS u (number, place)
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.number) END
FROM pg_constraint k JOIN tables t ON t.oid = k.conrelid WHERE k.conparentid = 0
UNION ALL
SELECT 'trigger', g.tgname::text, t.relname::text, NULL
FROM pg_trigger g JOIN tables t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
UNION ALL
SELECT 'function', p.proname::text, '', NULL
FROM pg_proc p, here WHERE p.pronamespace = here.oid AND p.oid NOT IN (SELECT objid FROM extension)
UNION ALL
SELECT 'type', y.typname::text, '', NULL
FROM pg_type y LEFT JOIN pg_class r ON r.oid = y.typrelid, here
WHERE y.typnamespace = here.oid AND y.oid NOT IN (SELECT objid FROM extension)
  AND y.typelem = 0 AND (y.typrelid = 0 OR r.relkind = 'c')
UNION ALL
SELECT 'extension', e.extname::text, '', NULL FROM pg_extension e WHERE e.extname <> 'plpgsql'
UNION ALL
SELECT 'schema', n.nspname::text, '', NULL FROM pg_namespace n
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname NOT IN ('information_schema', current_schema())";

/// MariaDB checks JSON by a CHECK of its own making, without a name of ours; the primary key is always `PRIMARY`.
const MYSQL: &str = "
SELECT CASE WHEN t.table_type = 'BASE TABLE' THEN 'table' ELSE CAST(LOWER(t.table_type) AS CHAR) END,
  CAST(t.table_name AS CHAR), CAST(t.table_name AS CHAR), NULL
FROM information_schema.tables t WHERE t.table_schema = database()
UNION ALL
SELECT CAST(CASE WHEN s.index_type = 'BTREE' THEN 'index' ELSE LOWER(CONCAT(s.index_type, ' index')) END AS CHAR),
  CAST(s.index_name AS CHAR), CAST(s.table_name AS CHAR),
  CAST(GROUP_CONCAT(s.column_name ORDER BY s.seq_in_index SEPARATOR '_') AS CHAR)
FROM information_schema.statistics s
WHERE s.table_schema = database() AND s.non_unique = 1 GROUP BY s.table_name, s.index_name, s.index_type
UNION ALL
SELECT CAST(LOWER(c.constraint_type) AS CHAR), CAST(c.constraint_name AS CHAR), CAST(c.table_name AS CHAR),
  CAST((SELECT GROUP_CONCAT(u.column_name ORDER BY u.ordinal_position SEPARATOR '_')
    FROM information_schema.key_column_usage u WHERE u.table_schema = c.table_schema AND u.table_name = c.table_name
      AND u.constraint_name = c.constraint_name) AS CHAR)
FROM information_schema.table_constraints c
WHERE c.table_schema = database() AND NOT (c.constraint_type = 'CHECK' AND EXISTS (
  SELECT 1 FROM information_schema.columns l
  WHERE l.table_schema = c.table_schema AND l.table_name = c.table_name AND l.column_name = c.constraint_name))
UNION ALL
SELECT 'trigger', CAST(g.trigger_name AS CHAR), CAST(g.event_object_table AS CHAR), NULL
FROM information_schema.triggers g WHERE g.trigger_schema = database()
UNION ALL
SELECT CAST(LOWER(r.routine_type) AS CHAR), CAST(r.routine_name AS CHAR), '', NULL
FROM information_schema.routines r WHERE r.routine_schema = database()
UNION ALL
SELECT 'event', CAST(e.event_name AS CHAR), '', NULL
FROM information_schema.events e WHERE e.event_schema = database()";

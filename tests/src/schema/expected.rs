use std::collections::BTreeSet;

use sea_orm::ColumnType;
use sea_orm::sea_query::StringLen;
use stanchion_entity::shape::{self, ColumnShape, Shape};
use stanchion_migration::schema::Dialect;

use super::{Column, ForeignKey, Schema, Table};

/// The schema that the entities describe, in an engine's own words, with the extras that the engine needs.
#[must_use]
pub fn expected(dialect: Dialect) -> Schema {
    let mut schema: Schema =
        shape::tables().iter().map(|shape| (shape.table.clone(), table_of(shape, dialect))).collect();
    schema.extend(lock_tables(dialect));
    schema.extend([cache_table(dialect)]);
    match dialect {
        Dialect::Sqlite => sqlite_extras(&mut schema),
        Dialect::Postgres => {}
        _ => mysql_extras(&mut schema, dialect),
    }
    if !dialect.is_mysql() {
        for (table, name, _) in PARTIAL_UNIQUES {
            change(&mut schema, table, |table_| {
                table_.partial_uniques.insert(format!("uq_{table}_{name}"));
            });
        }
    }
    schema
}

/// The tables of locks, which belong to the generic layer and have no entities.
fn lock_tables(dialect: Dialect) -> [(String, Table); 2] {
    let text = || ColumnType::String(StringLen::N(200));
    let table = |name: &str, columns: &[(&str, ColumnType)]| {
        let column = |column_type: &ColumnType| Column {
            sql_type: sql_type(column_type, dialect),
            nullable: false,
            words: None,
        };
        let columns = columns.iter().map(|(name, column_type)| ((*name).to_owned(), column(column_type))).collect();
        (name.to_owned(), Table { columns, primary_key: vec!["name".to_owned()], ..Table::default() })
    };
    let (number, time) = (ColumnType::BigInteger, ColumnType::TimestampWithTimeZone);
    [
        table("fences", &[("name", text()), ("token", number.clone()), ("updated_at", time.clone())]),
        table(
            "locks",
            &[
                ("name", text()),
                ("owner", text()),
                ("version", number.clone()),
                ("ttl_ms", number),
                ("acquired_at", time.clone()),
                ("renewed_at", time),
            ],
        ),
    ]
}

/// The table of the cache, which belongs to the generic layer and has no entity.
fn cache_table(dialect: Dialect) -> (String, Table) {
    let columns =
        [("id", ColumnType::Uuid), ("targets", ColumnType::Text), ("created_at", ColumnType::TimestampWithTimeZone)];
    let columns = columns.map(|(name, column_type)| {
        (name.to_owned(), Column { sql_type: sql_type(&column_type, dialect), nullable: false, words: None })
    });
    let table = Table { columns: columns.into(), primary_key: vec!["id".to_owned()], ..Table::default() };
    ("cache_invalidations".to_owned(), table)
}

/// The unique keys that hold for some of the rows only, which SeaORM cannot say: a user's default address, the live order of
/// a price level; and the columns of those that have several.
const PARTIAL_UNIQUES: [(&str, &str, &[&str]); 2] = [
    ("user_addresses", "default", &[]),
    ("trade_orders", "live_level", &["exchange", "price_level", "side", "symbol"]),
];

/// The tables with a full-text index.
const SEARCHED: [&str; 1] = ["product_terms"];

/// A full-text index is tied to a whole number, which is then the primary key as SQLite sees it.
fn sqlite_extras(schema: &mut Schema) {
    for table in SEARCHED {
        change(schema, table, |table| {
            let docid = Column { sql_type: "integer".into(), nullable: true, words: None };
            table.columns.insert("docid".into(), docid);
            let key = std::mem::replace(&mut table.primary_key, vec!["docid".into()]);
            table.uniques.insert(key);
        });
    }
}

/// Generated, invisible columns carry what MySQL has no index for: a unique key of some of the rows.
fn mysql_extras(schema: &mut Schema, dialect: Dialect) {
    for (table, name, columns) in PARTIAL_UNIQUES {
        change(schema, table, |table| {
            let kind = if columns.is_empty() { ColumnType::Uuid } else { ColumnType::Boolean };
            let sql_type = sql_type(&kind, dialect);
            table.columns.insert(format!("{name}_key"), Column { sql_type, nullable: true, words: None });
            let mut key: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
            key.push(format!("{name}_key"));
            key.sort();
            table.uniques.insert(key);
        });
    }
}

fn change(schema: &mut Schema, table: &str, change: impl FnOnce(&mut Table)) {
    change(schema.entry(table.to_owned()).or_default());
}

fn table_of(shape: &Shape, dialect: Dialect) -> Table {
    let foreign_keys = shape.foreign_keys.iter().map(|key| ForeignKey {
        columns: key.columns.clone(),
        table: key.table.clone(),
        targets: key.targets.clone(),
        on_delete: key.on_delete.to_owned(),
    });
    Table {
        columns: shape.columns.iter().map(|column| (column.name.clone(), column_of(column, dialect))).collect(),
        primary_key: shape.primary_key.clone(),
        uniques: shape.uniques.iter().cloned().collect(),
        partial_uniques: BTreeSet::new(),
        foreign_keys: foreign_keys.collect(),
    }
}

fn column_of(shape: &ColumnShape, dialect: Dialect) -> Column {
    Column {
        sql_type: sql_type(&shape.column_type, dialect),
        nullable: shape.nullable,
        words: shape.words.as_ref().map(|words| words.iter().map(|word| (*word).to_owned()).collect()),
    }
}

/// The engine's name of a portable type.
fn sql_type(column_type: &ColumnType, dialect: Dialect) -> String {
    use ColumnType as Type;
    use Dialect::{MariaDb, MySql, Postgres, Sqlite};

    let text = match dialect {
        Sqlite => "",
        Postgres => " COLLATE C",
        MariaDb => " COLLATE utf8mb4_nopad_bin",
        _ => " COLLATE utf8mb4_0900_bin",
    };
    match (column_type, dialect) {
        (Type::Uuid, Sqlite) => "blob".into(),
        (Type::Uuid, Postgres) => "uuid".into(),
        (Type::Uuid, _) => "binary(16)".into(),
        (Type::String(StringLen::N(length)), Postgres) => format!("character varying({length}){text}"),
        (Type::String(StringLen::N(length)), _) => format!("varchar({length}){text}"),
        (Type::Text, Sqlite | Postgres) => format!("text{text}"),
        (Type::Text, _) => format!("longtext{text}"),
        (Type::Decimal(Some(_)), Sqlite) => "text COLLATE decimal".into(),
        (Type::Decimal(Some((precision, scale))), Postgres) => format!("numeric({precision},{scale})"),
        (Type::Decimal(Some((precision, scale))), _) => format!("decimal({precision},{scale})"),
        (Type::TimestampWithTimeZone | Type::Date | Type::JsonBinary, Sqlite) => "text".into(),
        (Type::TimestampWithTimeZone, Postgres) => "timestamp with time zone".into(),
        (Type::TimestampWithTimeZone, _) => "datetime(6)".into(),
        (Type::Date, _) => "date".into(),
        (Type::JsonBinary, Postgres) => "jsonb".into(),
        // MariaDB has no such type: it is text that is checked.
        (Type::JsonBinary, MariaDb) => "longtext COLLATE utf8mb4_bin".into(),
        (Type::JsonBinary, _) => "json".into(),
        (Type::Boolean, Sqlite | Postgres) => "boolean".into(),
        (Type::Boolean, _) => "tinyint(1)".into(),
        (Type::Integer, Sqlite | Postgres) => "integer".into(),
        (Type::Integer, MariaDb) => "int(11)".into(),
        (Type::Integer, _) => "int".into(),
        (Type::BigInteger, MariaDb) => "bigint(20)".into(),
        (Type::BigInteger, Sqlite | Postgres | MySql) => "bigint".into(),
        (Type::Double, Postgres) => "double precision".into(),
        (Type::Double, _) => "double".into(),
        (other, _) => format!("a type that no column should have: {other:?}"),
    }
}

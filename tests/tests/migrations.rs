//! The migrations themselves, on every back end: up, down and again, and what they leave behind.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ActiveModelTrait, ConnectionTrait, DatabaseConnection, EntityTrait, PaginatorTrait, Set};
use stanchion_entity::inventory::warehouse;
use stanchion_entity::mall::points_account;
use stanchion_entity::types::{Money, Timestamp, new_id};
use stanchion_migration::{Migrator, MigratorTrait};
use stanchion_tests::on_every_backend;
use stanchion_tests::schema::{Kind, Object, Schema, differences, objects, read};
use stanchion_tests::testbed::TestDatabase;

on_every_backend! { empty:
    up_applies_every_migration_and_once,
    down_to_nothing_leaves_nothing_but_the_record,
    reset_removes_the_record_too,
    three_down_and_up_again_is_the_same_schema,
    refresh_makes_the_same_schema_again,
    fresh_drops_the_data_and_makes_the_same_schema,
    every_name_says_what_it_is_about,
    no_name_is_a_reserved_word,
    amounts_are_checked_as_numbers,
}

async fn up_applies_every_migration_and_once(database: TestDatabase) {
    let db = connect(&database).await;
    assert_eq!(pending(&db).await, Migrator::migrations().len());
    Migrator::up(&db, None).await.unwrap();
    assert_eq!(pending(&db).await, 0);
    assert!(!read(&db).await.unwrap().is_empty());

    let before = objects(&db).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    assert_eq!(objects(&db).await.unwrap(), before);
    Migrator::status(&db).await.unwrap();
}

async fn down_to_nothing_leaves_nothing_but_the_record(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::install(&db).await.unwrap();
    let record = objects(&db).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    assert!(objects(&db).await.unwrap().len() > record.len());

    Migrator::down(&db, None).await.unwrap();
    assert_eq!(objects(&db).await.unwrap(), record);
    assert_eq!(pending(&db).await, Migrator::migrations().len());
}

async fn reset_removes_the_record_too(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    Migrator::reset(&db).await.unwrap();
    assert_eq!(objects(&db).await.unwrap(), BTreeSet::new());
}

async fn three_down_and_up_again_is_the_same_schema(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    let before = State::of(&db).await;
    // Three at a time, down to the first.
    for steps in 1..=Migrator::migrations().len().div_ceil(3) {
        Migrator::down(&db, Some(3)).await.unwrap();
        assert_eq!(pending(&db).await, (steps * 3).min(Migrator::migrations().len()));
    }
    Migrator::up(&db, Some(3)).await.unwrap();
    assert_eq!(pending(&db).await, Migrator::migrations().len() - 3);
    Migrator::up(&db, None).await.unwrap();
    before.assert_unchanged(&db).await;
}

async fn refresh_makes_the_same_schema_again(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    let before = State::of(&db).await;
    Migrator::refresh(&db).await.unwrap();
    before.assert_unchanged(&db).await;
}

async fn fresh_drops_the_data_and_makes_the_same_schema(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    let before = State::of(&db).await;
    a_warehouse().insert(&db).await.unwrap();
    an_account("1").insert(&db).await.unwrap();
    db.execute_unprepared("CREATE TABLE stowaway (id integer)").await.unwrap();

    Migrator::fresh(&db).await.unwrap();
    before.assert_unchanged(&db).await;
    assert_eq!(warehouse::Entity::find().count(&db).await.unwrap(), 0);
    assert_eq!(points_account::Entity::find().count(&db).await.unwrap(), 0);
}

async fn every_name_says_what_it_is_about(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    let mut seen: BTreeMap<String, Object> = BTreeMap::new();
    for object in objects(&db).await.unwrap() {
        // SeaORM's own table; and MySQL calls every primary key so, whatever it is named.
        if object.table == "seaql_migrations" || object.kind == Kind::PrimaryKey && object.name == "PRIMARY" {
            continue;
        }
        assert!(follows_the_rule(&object), "{object:?}");
        if object.kind != Kind::Table {
            let other = seen.insert(object.name.clone(), object.clone());
            assert!(other.is_none(), "{object:?} and {other:?}");
        }
    }
    assert!(seen.len() > 100, "{} names", seen.len());
}

fn follows_the_rule(object: &Object) -> bool {
    let Object { kind, name, table, columns } = object;
    let about = |prefix: &str| name.strip_prefix(&format!("{prefix}_{table}_")).is_some_and(|about| !about.is_empty());
    let of_columns =
        |prefix: &str| columns.as_ref().is_some_and(|columns| *name == format!("{prefix}_{table}_{columns}"));
    match kind {
        Kind::Table => name.len() <= 40,
        Kind::PrimaryKey => *name == format!("pk_{table}"),
        Kind::ForeignKey => of_columns("fk"),
        // One that holds for some of the rows only is named for what it keeps. The key of a table with a full-text index
        // is to SQLite one of its unique keys.
        Kind::Unique => of_columns("uq") || *name == format!("pk_{table}") || PARTIAL_UNIQUES.contains(&name.as_str()),
        Kind::Index => of_columns("idx") || PARTIAL_UNIQUES.contains(&name.as_str()),
        Kind::Check => about("ck"),
        Kind::Other(other) if other.ends_with("index") => about("idx") || about("uq"),
        Kind::Other(other) if other == "trigger" => name.starts_with(table.as_str()),
        Kind::Other(_) => false,
    }
}

/// The unique keys of some of the rows, named by what they are about.
const PARTIAL_UNIQUES: [&str; 2] = ["uq_user_addresses_default", "uq_trade_orders_live_level"];

/// The engine says it: what is reserved cannot be named without quotes.
async fn no_name_is_a_reserved_word(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    let schema = read(&db).await.unwrap();
    let names: BTreeSet<&String> = schema.iter().flat_map(|(table, it)| it.columns.keys().chain([table])).collect();
    for name in &names {
        assert!(!RESERVED_BY_MYSQL.contains(&name.as_str()), "{name}");
    }
    let columns: Vec<String> = names.iter().map(|name| format!("{name} integer")).collect();
    db.execute_unprepared(&format!("CREATE TABLE probe ({})", columns.join(", "))).await.unwrap();
    for table in schema.keys() {
        db.execute_unprepared(&format!("DELETE FROM {table} WHERE 1 = 0")).await.unwrap();
    }
}

/// Words that MySQL 8 and later reserve and MariaDB does not:
/// <https://dev.mysql.com/doc/refman/8.4/en/keywords.html>.
const RESERVED_BY_MYSQL: [&str; 29] = [
    "cube",
    "cume_dist",
    "dense_rank",
    "empty",
    "except",
    "first_value",
    "function",
    "grouping",
    "groups",
    "intersect",
    "json_table",
    "lag",
    "last_value",
    "lateral",
    "lead",
    "manual",
    "nth_value",
    "ntile",
    "of",
    "over",
    "parallel",
    "percent_rank",
    "qualify",
    "rank",
    "recursive",
    "row_number",
    "system",
    "tablesample",
    "window",
];

/// SQLite stores amounts as text: a CHECK must not compare them as such.
async fn amounts_are_checked_as_numbers(database: TestDatabase) {
    let db = connect(&database).await;
    Migrator::up(&db, None).await.unwrap();
    for balance in ["0", "0.0001", "9", "10", "999999999999999.9999"] {
        an_account(balance).insert(&db).await.unwrap_or_else(|error| panic!("{balance}: {error}"));
    }
    for balance in ["-0.0001", "-1", "-999999999999999.9999"] {
        let refused = an_account(balance).insert(&db).await.expect_err(balance).to_string();
        assert!(refused.contains("ck_points_accounts_balance_not_negative"), "{balance}: {refused}");
    }
}

/// All that there is to say of a database's schema.
struct State {
    schema: Schema,
    objects: BTreeSet<Object>,
}

impl State {
    async fn of(db: &DatabaseConnection) -> Self {
        Self { schema: read(db).await.unwrap(), objects: objects(db).await.unwrap() }
    }

    async fn assert_unchanged(&self, db: &DatabaseConnection) {
        let now = Self::of(db).await;
        let differences = differences(&self.schema, &now.schema);
        assert!(differences.is_empty(), "\n{}", differences.join("\n"));
        assert_eq!(self.objects, now.objects);
        assert_eq!(pending(db).await, 0);
    }
}

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    stanchion_migration::connect(database.url()).await.unwrap()
}

async fn pending(db: &DatabaseConnection) -> usize {
    Migrator::get_pending_migrations(db).await.unwrap().len()
}

fn a_warehouse() -> warehouse::ActiveModel {
    warehouse::ActiveModel {
        id: Set(new_id()),
        code: Set("W1".parse().unwrap()),
        name: Set("North".parse().unwrap()),
        address: Set("1 Quay".parse().unwrap()),
        is_active: Set(true),
        created_at: Set(Timestamp::EPOCH),
        updated_at: Set(Timestamp::EPOCH),
    }
}

fn an_account(balance: &str) -> points_account::ActiveModel {
    points_account::ActiveModel {
        id: Set(new_id()),
        user_id: Set(new_id()),
        balance: Set(balance.parse::<Money>().unwrap()),
        version: Set(1),
        created_at: Set(Timestamp::EPOCH),
        updated_at: Set(Timestamp::EPOCH),
    }
}

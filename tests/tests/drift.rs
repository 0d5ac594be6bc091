//! The migrations and the entities say the same, on every back end: neither can change alone.
//!
//! What is compared is the catalog of a migrated database with the shapes of the entities: tables, columns (type, length,
//! precision, scale, collation, whether null), primary, unique and foreign keys with their delete rule, and the words of
//! closed sets. What an engine needs besides is named in `stanchion_tests::schema`.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use stanchion_migration::schema::Dialect;
use stanchion_tests::on_every_backend;
use stanchion_tests::schema::{differences, expected, read};
use stanchion_tests::testbed::TestDatabase;

on_every_backend! { migrated:
    the_migrations_build_what_the_entities_say,
    every_kind_of_drift_is_reported,
}

async fn the_migrations_build_what_the_entities_say(database: TestDatabase) {
    let db = stanchion_migration::connect(database.url()).await.unwrap();
    let expected = expected(Dialect::of(&db).await.unwrap());
    let differences = differences(&expected, &read(&db).await.unwrap());
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
}

async fn every_kind_of_drift_is_reported(database: TestDatabase) {
    let db = stanchion_migration::connect(database.url()).await.unwrap();
    let dialect = Dialect::of(&db).await.unwrap();
    for drift in DRIFTS {
        drift.apply(&db, dialect).await.unwrap_or_else(|error| panic!("{}: {error}", drift.reported));
    }
    let differences = differences(&expected(dialect), &read(&db).await.unwrap());
    for drift in DRIFTS {
        let found = differences.iter().any(|line| line.starts_with(drift.reported));
        assert!(found, "{} is not reported:\n{}", drift.reported, differences.join("\n"));
    }
    assert_eq!(differences.len(), DRIFTS.len(), "\n{}", differences.join("\n"));
}

/// A change of the schema that no entity knows, each on a place of its own.
struct Drift {
    /// How its line begins.
    reported: &'static str,
    /// How PostgreSQL and MariaDB make it.
    postgres: &'static str,
    mysql: &'static str,
    sqlite: Sqlite,
}

/// How SQLite makes it: it cannot alter most of a table.
enum Sqlite {
    Runs(&'static str),
    /// Makes the table again, with other words in its statement.
    Rebuilds(&'static str, &'static str, &'static str),
}

impl Drift {
    const fn everywhere(reported: &'static str, sql: &'static str) -> Self {
        Self { reported, postgres: sql, mysql: sql, sqlite: Sqlite::Runs(sql) }
    }

    async fn apply(&self, db: &DatabaseConnection, dialect: Dialect) -> Result<(), DbErr> {
        let sql = match (dialect, &self.sqlite) {
            (Dialect::Sqlite, Sqlite::Rebuilds(table, from, to)) => return rebuild(db, table, from, to).await,
            (Dialect::Sqlite, Sqlite::Runs(sql)) => sql,
            (Dialect::Postgres, _) => self.postgres,
            _ => self.mysql,
        };
        db.execute_unprepared(sql).await.map(drop)
    }
}

async fn rebuild(db: &DatabaseConnection, table: &str, from: &str, to: &str) -> Result<(), DbErr> {
    let statement = format!("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = '{table}'");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), statement)).await?;
    let sql: String = row.expect("the table is there").try_get_by(0)?;
    assert!(sql.contains(from), "{from} is not in {sql}");
    db.execute_unprepared(&format!("DROP TABLE {table}")).await?;
    db.execute_unprepared(&sql.replace(from, to)).await.map(drop)
}

const DRIFTS: [Drift; 15] = [
    Drift::everywhere("stowaway: a table that no entity describes", "CREATE TABLE stowaway (id integer)"),
    Drift::everywhere("outbox: no such table", "DROP TABLE outbox"),
    Drift::everywhere(
        "shops.stowaway: a column that the entity does not have",
        "ALTER TABLE shops ADD COLUMN stowaway integer",
    ),
    Drift::everywhere("shops.name: no such column", "ALTER TABLE shops DROP COLUMN name"),
    Drift {
        reported: "warehouses.name: type",
        postgres: "ALTER TABLE warehouses ALTER COLUMN name TYPE varchar(101) COLLATE \"C\"",
        mysql: "ALTER TABLE warehouses MODIFY name varchar(101) NOT NULL",
        sqlite: Sqlite::Rebuilds("warehouses", "varchar(100)", "varchar(101)"),
    },
    Drift {
        reported: "risk_checks.symbol: type",
        postgres: "ALTER TABLE risk_checks ALTER COLUMN symbol TYPE varchar(32) COLLATE \"default\"",
        mysql: "ALTER TABLE risk_checks MODIFY symbol varchar(32) COLLATE utf8mb4_general_ci NOT NULL",
        sqlite: Sqlite::Rebuilds("risk_checks", "\"symbol\" varchar(32)", "\"symbol\" varchar(32) COLLATE NOCASE"),
    },
    // SQLite keeps amounts as text of any scale; what it could lose is their order.
    Drift {
        reported: "purchase_orders.unit_price: type",
        postgres: "ALTER TABLE purchase_orders ALTER COLUMN unit_price TYPE numeric(19, 2)",
        mysql: "ALTER TABLE purchase_orders MODIFY unit_price decimal(19, 2) NOT NULL",
        sqlite: Sqlite::Rebuilds("purchase_orders", "\"unit_price\" text COLLATE decimal", "\"unit_price\" text"),
    },
    Drift {
        reported: "reconciliations.local_count: nullable",
        postgres: "ALTER TABLE reconciliations ALTER COLUMN local_count DROP NOT NULL",
        mysql: "ALTER TABLE reconciliations MODIFY local_count bigint NULL",
        sqlite: Sqlite::Rebuilds("reconciliations", "\"local_count\" bigint NOT NULL", "\"local_count\" bigint NULL"),
    },
    Drift {
        reported: "campaigns.status: words",
        postgres: "ALTER TABLE campaigns DROP CONSTRAINT ck_campaigns_status, ADD CONSTRAINT ck_campaigns_status
                   CHECK (status IN ('draft', 'active', 'paused', 'ended', 'forgotten'))",
        mysql: "ALTER TABLE campaigns DROP CONSTRAINT ck_campaigns_status, ADD CONSTRAINT ck_campaigns_status
                CHECK (status IN ('draft', 'active', 'paused', 'ended', 'forgotten'))",
        sqlite: Sqlite::Rebuilds("campaigns", "'ended')", "'ended', 'forgotten')"),
    },
    Drift {
        reported: "inventory_logs.kind: words",
        postgres: "ALTER TABLE inventory_logs DROP CONSTRAINT ck_inventory_logs_kind",
        mysql: "ALTER TABLE inventory_logs DROP CONSTRAINT ck_inventory_logs_kind",
        sqlite: Sqlite::Rebuilds("inventory_logs", "CHECK (\"kind\" IN ", "CHECK (\"kind\" NOT IN "),
    },
    Drift {
        reported: "idempotency_keys: primary key",
        postgres: "ALTER TABLE idempotency_keys DROP CONSTRAINT pk_idempotency_keys, ADD PRIMARY KEY (idempotency_key)",
        mysql: "ALTER TABLE idempotency_keys DROP PRIMARY KEY, ADD PRIMARY KEY (idempotency_key)",
        sqlite: Sqlite::Rebuilds(
            "idempotency_keys",
            "PRIMARY KEY (\"scope\", \"idempotency_key\")",
            "PRIMARY KEY (\"idempotency_key\")",
        ),
    },
    Drift {
        reported: "points_transactions: unique keys",
        postgres: "ALTER TABLE points_transactions DROP CONSTRAINT uq_points_transactions_idempotency_key",
        mysql: "ALTER TABLE points_transactions DROP INDEX uq_points_transactions_idempotency_key",
        sqlite: Sqlite::Rebuilds(
            "points_transactions",
            "CONSTRAINT \"uq_points_transactions_idempotency_key\" UNIQUE (\"idempotency_key\"),",
            "",
        ),
    },
    Drift::everywhere(
        "trade_statistics: unique keys",
        "CREATE UNIQUE INDEX uq_trade_statistics_symbol ON trade_statistics (symbol)",
    ),
    Drift {
        reported: "user_coupons: foreign keys",
        postgres: "ALTER TABLE user_coupons DROP CONSTRAINT fk_user_coupons_coupon_id,
                   ADD FOREIGN KEY (coupon_id) REFERENCES coupons (id) ON DELETE CASCADE",
        mysql: "ALTER TABLE user_coupons DROP FOREIGN KEY fk_user_coupons_coupon_id,
                ADD FOREIGN KEY (coupon_id) REFERENCES coupons (id) ON DELETE CASCADE",
        sqlite: Sqlite::Rebuilds("user_coupons", "ON DELETE RESTRICT", "ON DELETE CASCADE"),
    },
    Drift {
        reported: "order_items: foreign keys",
        postgres: "ALTER TABLE order_items DROP CONSTRAINT fk_order_items_order_id",
        mysql: "ALTER TABLE order_items DROP FOREIGN KEY fk_order_items_order_id",
        sqlite: Sqlite::Rebuilds("order_items", "REFERENCES \"orders\" (\"id\")", "REFERENCES \"outbox\" (\"id\")"),
    },
];

//! The tables of locks, for services that do not run our migrations.

use sea_orm::ConnectionTrait;
use stanchion::lock;
use stanchion_migration::{Migrator, MigratorTrait};
use stanchion_tests::on_every_backend;
use stanchion_tests::schema::read;
use stanchion_tests::testbed::TestDatabase;

on_every_backend! { empty: the_statements_make_what_the_migration_makes }

async fn the_statements_make_what_the_migration_makes(database: TestDatabase) {
    let db = stanchion_migration::connect(database.url()).await.unwrap();
    for statement in lock::tables(db.get_database_backend()) {
        db.execute_unprepared(&statement).await.unwrap();
    }
    let by_hand = read(&db).await.unwrap();
    assert_eq!(by_hand.keys().map(String::as_str).collect::<Vec<_>>(), ["fences", "locks"]);

    for table in by_hand.keys() {
        db.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
    }
    Migrator::up(&db, None).await.unwrap();
    let migrated = read(&db).await.unwrap();
    for (name, table) in &by_hand {
        assert_eq!(Some(table), migrated.get(name), "{name}");
    }
}

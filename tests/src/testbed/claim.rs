//! Conformance: one claim, proved on every back end.

use std::fmt::Debug;

use super::backend::Backend;
use super::database::TestDatabase;

/// What is in the database that a claim is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// Nothing.
    Empty,
    /// All of Stanchion's tables.
    Migrated,
}

/// What a claim may return: `()`, or a `Result<(), E>`, whose error fails the test.
pub trait Outcome {
    /// Fails the test if the claim did not hold.
    fn check(self);
}

impl Outcome for () {
    fn check(self) {}
}

impl<E: Debug> Outcome for Result<(), E> {
    fn check(self) {
        if let Err(error) = self {
            panic!("{error:?}");
        }
    }
}

/// Runs a claim on a fresh database of `backend`, as the tests that [`on_every_backend!`](crate::on_every_backend) writes
/// do. Without a server for it, the claim is not run, and that is reported.
///
/// # Panics
/// If the claim does not hold, or the server is missing and `STANCHION_TEST_REQUIRE=all` is set.
pub async fn run<F>(backend: Backend, preparation: Preparation, claim: impl FnOnce(TestDatabase) -> F)
where
    F: Future<Output: Outcome>,
{
    let database = match preparation {
        Preparation::Empty => TestDatabase::empty(backend).await,
        Preparation::Migrated => TestDatabase::migrated(backend).await,
    };
    if let Some(database) = database {
        claim(database).await.check();
    }
}

/// Makes a test a back end of every claim in the list: `sqlite::NAME`, `postgres::NAME`, `mariadb::NAME`.
///
/// A claim is an async function that takes a [`TestDatabase`](crate::testbed::TestDatabase), which nobody else uses,
/// and returns `()` or a `Result<(), _>`. It has all of Stanchion's tables; after `empty:` it has none. The list is at
/// the top of the file, as its table of contents; a claim that was forgotten there is dead code, which the lints refuse.
/// The macro makes the modules `sqlite`, `postgres` and `mariadb`, so that it is used once a module.
///
/// ```no_run
/// use sea_orm::ConnectionTrait;
/// use stanchion_tests::on_every_backend;
/// use stanchion_tests::testbed::TestDatabase;
///
/// on_every_backend! { empty:
///     a_new_database_has_room_for_a_table,
///     a_table_can_be_dropped,
/// }
///
/// async fn a_new_database_has_room_for_a_table(db: TestDatabase) {
///     let connection = db.connect().await.unwrap();
///     connection.execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await.unwrap();
/// }
///
/// async fn a_table_can_be_dropped(db: TestDatabase) -> Result<(), sea_orm::DbErr> {
///     let connection = db.connect().await?;
///     connection.execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await?;
///     connection.execute_unprepared("DROP TABLE things").await?;
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! on_every_backend {
    (empty: $($claim:ident),+ $(,)?) => { $crate::on_every_backend!(@all Empty $($claim)+); };
    (migrated: $($claim:ident),+ $(,)?) => { $crate::on_every_backend!(@all Migrated $($claim)+); };
    (@all $preparation:ident $($claim:ident)+) => {
        $crate::on_every_backend!(@one sqlite Sqlite $preparation $($claim)+);
        $crate::on_every_backend!(@one postgres Postgres $preparation $($claim)+);
        $crate::on_every_backend!(@one mariadb MariaDb $preparation $($claim)+);
    };
    (@one $module:ident $backend:ident $preparation:ident $($claim:ident)+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    let backend = $crate::testbed::Backend::$backend;
                    let preparation = $crate::testbed::Preparation::$preparation;
                    $crate::testbed::run(backend, preparation, super::$claim).await;
                }
            )+
        }
    };
    ($($claim:ident),+ $(,)?) => { $crate::on_every_backend!(@all Migrated $($claim)+); };
}

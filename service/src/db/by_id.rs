use std::marker::PhantomData;
use std::sync::OnceLock;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, PrimaryKeyTrait, QueryTrait, Statement, Value,
};

/// Finds a row by its primary key of one column, with a statement that is made once, not every time: making one costs
/// several microseconds, where a row of SQLite's costs thirty.
///
/// ```
/// use stanchion::db::ById;
/// use stanchion::sea_orm::{self, ConnectionTrait, DbErr, entity::prelude::*};
///
/// #[sea_orm::model]
/// #[derive(Clone, Debug, DeriveEntityModel)]
/// #[sea_orm(table_name = "parcels")]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub id: i64,
///     pub weight: i32,
/// }
/// impl ActiveModelBehavior for ActiveModel {}
///
/// static PARCEL_BY_ID: ById<Entity> = ById::new();
///
/// async fn parcel(db: &impl ConnectionTrait, id: i64) -> Result<Option<Model>, DbErr> {
///     PARCEL_BY_ID.one(db, id).await
/// }
/// ```
#[derive(Debug)]
pub struct ById<E> {
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
    mysql: OnceLock<String>,
    entity: PhantomData<fn() -> E>,
}

impl<E: EntityTrait> ById<E> {
    /// For the entity `E`.
    pub const fn new() -> Self {
        Self { sqlite: OnceLock::new(), postgres: OnceLock::new(), mysql: OnceLock::new(), entity: PhantomData }
    }

    /// The row of this key, if there is one. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn one<K>(&self, db: &impl ConnectionTrait, key: K) -> Result<Option<E::Model>, DbErr>
    where
        K: Into<<E::PrimaryKey as PrimaryKeyTrait>::ValueType> + Into<Value> + Clone + Send,
    {
        let backend = db.get_database_backend();
        let made = match backend {
            DbBackend::Sqlite => &self.sqlite,
            DbBackend::Postgres => &self.postgres,
            _ => &self.mysql,
        };
        let sql = made.get_or_init(|| E::find_by_id(key.clone()).build(backend).sql);
        let row = db.query_one_raw(Statement::from_sql_and_values(backend, sql.as_str(), [key.into()])).await?;
        row.map(|row| E::Model::from_query_result(&row, "")).transpose()
    }
}

impl<E: EntityTrait> Default for ById<E> {
    fn default() -> Self {
        Self::new()
    }
}

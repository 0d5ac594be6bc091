//! What you write is what you read, and it sorts, compares and sums alike: for every portable type.

use std::collections::HashMap;
use std::fmt::Debug;

use rust_decimal::Decimal;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use sea_orm_migration::SchemaManager;
use stanchion::db::bulk::{self, Rows};
use stanchion::db::{Db, Kind, sum};
use stanchion::migration::schema;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::{generate, open};

on_every_backend! { empty:
    values_survive_a_batch_and_keep_their_order_and_sum,
    values_survive_single_inserts_and_updates,
    text_is_compared_by_code_point_and_without_padding,
    the_database_refuses_what_the_types_let_nobody_write,
}

/// A table with a column of every portable type.
#[expect(unreachable_pub, reason = "the entity's derives make the same visible")]
pub(crate) mod portable {
    use sea_orm::entity::prelude::*;
    use stanchion::entity::trading::Side;
    use stanchion::types::{Day, Float, Json, LongText, Money, Price, QuoteAmount, Text, Timestamp};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "portable_values")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub money: Money,
        pub price: Price,
        pub quote: QuoteAmount,
        pub flag: bool,
        pub small: i32,
        pub large: i64,
        pub float: Float,
        pub short: Text<20>,
        pub long: LongText,
        pub happened_at: Timestamp,
        pub day: Day,
        pub doc: Json,
        pub side: Side,
        pub maybe_price: Option<Price>,
        pub maybe_text: Option<Text<20>>,
        pub maybe_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use portable::{Column, Entity, Model};

async fn with_table(database: &TestDatabase) -> Db {
    let db = open(database).await;
    let table = schema::table("portable_values").id().columns([
        schema::decimal("money", 19, 4),
        schema::decimal("price", 28, 12),
        schema::decimal("quote", 28, 16),
        schema::boolean("flag"),
        schema::int("small"),
        schema::bigint("large"),
        schema::double("float"),
        schema::text("short", 20),
        schema::long_text("long"),
        schema::timestamp("happened_at"),
        schema::date("day"),
        schema::json("doc"),
        schema::enumeration("side", &["buy", "sell"]),
        schema::decimal("maybe_price", 28, 12).null(),
        schema::text("maybe_text", 20).null(),
        schema::timestamp("maybe_at").null(),
    ]);
    schema::create(&SchemaManager::new(db.writer().connection()), &[table]).await.unwrap();
    db
}

async fn values_survive_a_batch_and_keep_their_order_and_sum(database: TestDatabase) {
    let db = with_table(&database).await;
    let rows = generate::rows();
    let batch = Rows::of::<Entity>(rows.iter().cloned());
    let saved = db.transaction(async |tx| bulk::insert(tx, &batch).await).await.unwrap();
    assert_eq!(saved.inserted, rows.len() as u64);

    let stored = Entity::find().all(db.reader()).await.unwrap();
    let written: HashMap<_, _> = rows.iter().map(|row| (row.id, row)).collect();
    assert_eq!(stored.len(), rows.len());
    for row in &stored {
        assert_eq!(row, written[&row.id]);
    }

    in_order(&db, rows, Column::Money, |row| row.money).await;
    in_order(&db, rows, Column::Price, |row| row.price).await;
    in_order(&db, rows, Column::Quote, |row| row.quote).await;
    in_order(&db, rows, Column::Small, |row| row.small).await;
    in_order(&db, rows, Column::Large, |row| row.large).await;
    in_order(&db, rows, Column::Short, |row| row.short.as_str().to_owned()).await;
    in_order(&db, rows, Column::HappenedAt, |row| row.happened_at).await;
    in_order(&db, rows, Column::Day, |row| row.day).await;
    in_order(&db, rows, Column::Id, |row| row.id).await;
    let mut by_float = rows.iter().collect::<Vec<_>>();
    by_float.sort_by(|left, right| left.float.get().total_cmp(&right.float.get()).then(left.id.cmp(&right.id)));
    let floats = ordered(&db, Column::Float).await;
    assert!(floats.iter().map(|row| row.id).eq(by_float.iter().map(|row| row.id)));

    exact_sum(&db, rows, Column::Money, |row| row.money.get()).await;
    exact_sum(&db, rows, Column::MaybePrice, |row| row.maybe_price.map_or(Decimal::ZERO, |price| price.get())).await;
}

async fn ordered(db: &Db, column: Column) -> Vec<Model> {
    Entity::find().order_by_asc(column).order_by_asc(Column::Id).all(db.reader()).await.unwrap()
}

/// The database sorts by the column as Rust does, and ranges take in what Rust's comparison does.
async fn in_order<K>(db: &Db, rows: &[Model], column: Column, key: impl Fn(&Model) -> K)
where
    K: Ord + Clone + Debug + Into<sea_orm::Value>,
{
    let mut expected: Vec<(K, uuid::Uuid)> = rows.iter().map(|row| (key(row), row.id)).collect();
    expected.sort();
    let ids: Vec<uuid::Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .order_by_asc(column)
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(db.reader())
        .await
        .unwrap();
    for (at, (id, (value, expected_id))) in ids.iter().zip(&expected).enumerate() {
        assert_eq!(id, expected_id, "{column:?}: row {at} in order should hold {value:?}");
    }
    for pivot in [0, rows.len() / 3, rows.len() / 2, rows.len() - 1] {
        let pivot = expected[pivot].0.clone();
        let above = Entity::find().filter(column.gt(pivot.clone())).count(db.reader()).await.unwrap();
        let equal = Entity::find().filter(column.eq(pivot.clone())).count(db.reader()).await.unwrap();
        assert_eq!(
            above as usize,
            expected.iter().filter(|(value, _)| *value > pivot).count(),
            "{column:?} > {pivot:?}"
        );
        assert_eq!(
            equal as usize,
            expected.iter().filter(|(value, _)| *value == pivot).count(),
            "{column:?} = {pivot:?}"
        );
    }
}

/// The database's sum, to the last digit. Rows are taken as long as a decimal holds their sum.
async fn exact_sum(db: &Db, rows: &[Model], column: Column, amount: impl Fn(&Model) -> Decimal) {
    let mut total = Decimal::ZERO;
    let mut most = uuid::Uuid::nil();
    let mut sorted: Vec<&Model> = rows.iter().collect();
    sorted.sort_by_key(|row| row.id);
    for row in sorted {
        // `checked_add` would round what does not fit.
        let next = total.mantissa().checked_add(amount(row).mantissa());
        let Some(next) = next.filter(|sum| sum.abs() < 1_i128 << 95) else { break };
        total = Decimal::from_i128_with_scale(next, total.scale().max(amount(row).scale()));
        most = row.id;
    }
    let summed = sum::sum(db.reader(), Entity::find().filter(Column::Id.lte(most)), column).await.unwrap();
    assert_eq!(summed, total, "the sum of {column:?}");
}

async fn values_survive_single_inserts_and_updates(database: TestDatabase) {
    let db = with_table(&database).await;
    let rows = generate::some(200);
    let (first, second) = rows.split_at(100);
    for (row, other) in first.iter().zip(second) {
        Entity::insert(row.clone().into_active_model()).exec_without_returning(db.writer()).await.unwrap();
        let changed = Model { id: row.id, ..other.clone() };
        let active = changed.clone().into_active_model().reset_all();
        Entity::update(active).exec(db.writer()).await.unwrap();
        assert_eq!(Entity::find_by_id(row.id).one(db.reader()).await.unwrap().as_ref(), Some(&changed));
    }
}

async fn text_is_compared_by_code_point_and_without_padding(database: TestDatabase) {
    let db = with_table(&database).await;
    let row = generate::some(1).remove(0);
    for text in ["Straße", "a", "A", "a ", "é", "e\u{301}", "\u{1f600}", "z", ""] {
        let row = Model { id: stanchion::types::new_id(), short: text.try_into().unwrap(), ..row.clone() };
        Entity::insert(row.into_active_model()).exec_without_returning(db.writer()).await.unwrap();
    }
    for text in ["Straße", "a", "A", "a ", "é", "e\u{301}", "\u{1f600}", ""] {
        let found = Entity::find().filter(Column::Short.eq(text)).all(db.reader()).await.unwrap();
        assert_eq!(found.iter().map(|row| row.short.as_str()).collect::<Vec<_>>(), [text]);
    }
    for absent in ["STRASSE", "strasse", "a  ", "e"] {
        assert_eq!(Entity::find().filter(Column::Short.eq(absent)).count(db.reader()).await.unwrap(), 0, "{absent:?}");
    }
}

async fn the_database_refuses_what_the_types_let_nobody_write(database: TestDatabase) {
    let db = with_table(&database).await;
    let row = generate::some(1).remove(0);
    Entity::insert(row.clone().into_active_model()).exec_without_returning(db.writer()).await.unwrap();
    let error = db.writer().execute_unprepared("UPDATE portable_values SET side = 'both'").await.unwrap_err();
    let error = stanchion::db::DatabaseError::from(error);
    assert_eq!(error.kind(), Kind::CheckViolation);
    assert_eq!(error.constraint(), Some("ck_portable_values_side"));
    let error = db.writer().execute_unprepared("UPDATE portable_values SET money = NULL").await.unwrap_err();
    assert_eq!(stanchion::db::DatabaseError::from(error).kind(), Kind::NotNullViolation);
    assert_eq!(Entity::find_by_id(row.id).one(db.reader()).await.unwrap(), Some(row));
}

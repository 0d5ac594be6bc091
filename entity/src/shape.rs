//! What the tables look like, as data: for whoever treats all of them alike (a comparison with a database's real schema, a
//! copy, a backup).

use sea_orm::sea_query::{ColumnType, ForeignKeyAction, TableRef};
use sea_orm::{
    ColumnTrait, DbBackend, EntityTrait, IdenStatic, Identity, Iterable, PrimaryKeyToColumn, RelationTrait, Schema,
};

/// A table as its entity describes it.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The table's name.
    pub table: String,
    /// Its columns, in the order of the entity's fields.
    pub columns: Vec<ColumnShape>,
    /// The columns of its primary key.
    pub primary_key: Vec<String>,
    /// The sets of columns that are unique together, each sorted; without the primary key.
    pub uniques: Vec<Vec<String>>,
    /// Its references to other tables.
    pub foreign_keys: Vec<ForeignKeyShape>,
}

/// A column as its entity describes it.
#[derive(Clone, Debug)]
pub struct ColumnShape {
    /// The column's name.
    pub name: String,
    /// Its portable type.
    pub column_type: ColumnType,
    /// Whether it may be null.
    pub nullable: bool,
    /// The words that it stores, if they are a closed set, in the order of their declaration.
    pub words: Option<Vec<&'static str>>,
}

/// A reference as its entity describes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignKeyShape {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub table: String,
    /// The columns referred to.
    pub targets: Vec<String>,
    /// What deleting the row that is referred to does: `CASCADE`, `RESTRICT`, `SET NULL`.
    pub on_delete: &'static str,
}

/// The shapes of all tables, in an order in which each one comes after those that it refers to.
pub fn tables() -> Vec<Shape> {
    use crate::{alerting, catalog, identity, inventory, journal, mall, market, marketing, ordering, trading};

    vec![
        Shape::of::<identity::user::Entity>(),
        Shape::of::<identity::user_profile::Entity>(),
        Shape::of::<identity::user_address::Entity>(),
        Shape::of::<identity::user_level_change::Entity>(),
        Shape::of::<alerting::alert_rule::Entity>(),
        Shape::of::<alerting::alert_rule_subject::Entity>(),
        Shape::of::<alerting::alert_rule_state::Entity>(),
        Shape::of::<alerting::alert::Entity>(),
        Shape::of::<alerting::alert_delivery::Entity>(),
        Shape::of::<trading::trade::Entity>(),
        Shape::of::<trading::trade_order::Entity>(),
        Shape::of::<trading::trade_statistic::Entity>(),
        Shape::of::<trading::reconciliation::Entity>(),
        Shape::of::<trading::risk_check::Entity>(),
        Shape::of::<trading::instance::Entity>(),
        Shape::of::<trading::symbol_assignment::Entity>(),
        Shape::of::<market::tick::Entity>(),
        Shape::of::<market::candle::Entity>(),
        Shape::of::<market::trading_metric::Entity>(),
        Shape::of::<catalog::category::Entity>(),
        Shape::of::<catalog::product::Entity>(),
        Shape::of::<catalog::product_image::Entity>(),
        Shape::of::<catalog::product_review::Entity>(),
        Shape::of::<catalog::product_terms::Entity>(),
        Shape::of::<ordering::order::Entity>(),
        Shape::of::<ordering::order_item::Entity>(),
        Shape::of::<ordering::order_payment::Entity>(),
        Shape::of::<ordering::order_status_history::Entity>(),
        Shape::of::<ordering::idempotency_key::Entity>(),
        Shape::of::<ordering::outbox::Entity>(),
        Shape::of::<inventory::warehouse::Entity>(),
        Shape::of::<inventory::stock::Entity>(),
        Shape::of::<inventory::inventory_log::Entity>(),
        Shape::of::<inventory::reservation::Entity>(),
        Shape::of::<marketing::campaign::Entity>(),
        Shape::of::<marketing::coupon::Entity>(),
        Shape::of::<marketing::user_coupon::Entity>(),
        Shape::of::<marketing::coupon_redemption::Entity>(),
        Shape::of::<mall::shop::Entity>(),
        Shape::of::<mall::purchase_order::Entity>(),
        Shape::of::<mall::points_account::Entity>(),
        Shape::of::<mall::points_transaction::Entity>(),
        Shape::of::<journal::log_entry::Entity>(),
        Shape::of::<journal::audit_entry::Entity>(),
        Shape::of::<journal::audit_head::Entity>(),
    ]
}

impl Shape {
    /// The shape of an entity.
    pub fn of<E: EntityTrait>() -> Self {
        let columns = E::Column::iter().map(|column| {
            let def = column.def();
            ColumnShape {
                name: column.as_str().to_owned(),
                column_type: def.get_column_type().clone(),
                nullable: def.is_null(),
                words: column.enum_type_name().map(|words| words.split(' ').collect()),
            }
        });
        let primary_key = E::PrimaryKey::iter().map(|key| key.into_column().as_str().to_owned()).collect();
        Self {
            table: E::default().table_name().to_owned(),
            columns: columns.collect(),
            primary_key,
            uniques: uniques::<E>(),
            foreign_keys: foreign_keys::<E>(),
        }
    }
}

fn uniques<E: EntityTrait>() -> Vec<Vec<String>> {
    let single = E::Column::iter().filter(|column| column.def().is_unique()).map(|column| vec![column.as_str().into()]);
    // The names of composite keys are private to SeaORM; the indexes that it would create are not.
    let composite = Schema::new(DbBackend::Postgres)
        .create_index_from_entity(E::default())
        .into_iter()
        .filter(|index| index.is_unique_key())
        .map(|index| index.get_index_spec().get_column_names());
    let mut uniques: Vec<Vec<String>> = single.chain(composite).collect();
    uniques.iter_mut().for_each(|columns| columns.sort());
    uniques.sort();
    uniques.dedup();
    uniques
}

fn foreign_keys<E: EntityTrait>() -> Vec<ForeignKeyShape> {
    let mut keys: Vec<ForeignKeyShape> = E::Relation::iter()
        .map(|relation| relation.def())
        .filter(|relation| !relation.is_owner && !relation.skip_fk)
        .map(|relation| ForeignKeyShape {
            columns: names(&relation.from_col),
            table: table_name(&relation.to_tbl),
            targets: names(&relation.to_col),
            on_delete: match relation.on_delete {
                Some(ForeignKeyAction::Cascade) => "CASCADE",
                Some(ForeignKeyAction::SetNull) => "SET NULL",
                _ => "RESTRICT",
            },
        })
        .collect();
    keys.sort();
    keys
}

fn names(identity: &Identity) -> Vec<String> {
    identity.iter().map(ToString::to_string).collect()
}

fn table_name(table: &TableRef) -> String {
    match table {
        TableRef::Table(name, _) => name.1.to_string(),
        _ => String::new(),
    }
}

//! What SeaORM asks of a column's type, said once for all types of this room.

/// Implements SeaORM's value traits for a type from four facts: its column type, the variant of [`sea_orm::Value`]
/// that carries it, how it is made from that variant's content, and how it is read from a row. A closed set of words says
/// them too, separated by spaces, as the name of the enum that they are.
macro_rules! column_value {
    (
        impl[$($generics:tt)*] $type:ty as $variant:ident {
            column_type: $column_type:expr,
            into: |$value:ident| $into:expr,
            from: |$inner:ident| $from:expr,
            read: |$row:ident, $index:ident| $read:expr,
            $(words: $words:expr,)?
        }
    ) => {
        impl<$($generics)*> From<$type> for sea_orm::Value {
            fn from($value: $type) -> Self {
                sea_orm::Value::$variant(Some($into))
            }
        }

        impl<$($generics)*> sea_orm::sea_query::ValueType for $type {
            fn try_from(value: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                match value {
                    sea_orm::Value::$variant(Some($inner)) => $from.map_err(|_| sea_orm::sea_query::ValueTypeErr),
                    _ => Err(sea_orm::sea_query::ValueTypeErr),
                }
            }

            fn type_name() -> String {
                stringify!($type).to_owned()
            }

            fn array_type() -> sea_orm::sea_query::ArrayType {
                sea_orm::sea_query::ArrayType::$variant
            }

            fn column_type() -> sea_orm::ColumnType {
                $column_type
            }

            $(
                fn enum_type_name() -> Option<&'static str> {
                    Some($words)
                }
            )?
        }

        impl<$($generics)*> sea_orm::sea_query::Nullable for $type {
            fn null() -> sea_orm::Value {
                sea_orm::Value::$variant(None)
            }
        }

        impl<$($generics)*> sea_orm::TryGetable for $type {
            fn try_get_by<I: sea_orm::ColIdx>(
                $row: &sea_orm::QueryResult,
                $index: I,
            ) -> Result<Self, sea_orm::TryGetError> {
                $read
            }
        }

        impl<$($generics)*> sea_orm::IntoActiveValue<$type> for $type {
            fn into_active_value(self) -> sea_orm::ActiveValue<$type> {
                sea_orm::ActiveValue::Set(self)
            }
        }
    };
}

pub(crate) use column_value;

/// A stored value that its type refuses: the row was not written through this layer.
pub(crate) fn corrupt(into: &'static str, error: super::ValueError) -> sea_orm::TryGetError {
    sea_orm::TryGetError::DbErr(sea_orm::DbErr::TryIntoErr {
        from: "stored value",
        into,
        source: std::sync::Arc::new(error),
    })
}

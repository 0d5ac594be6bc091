/// Declares a closed set of words that a column of at most 32 characters stores, serialized and printed as the same words.
///
/// It is not SeaORM's own enum over strings, which does not tell a column's words to whoever has the column alone (see
/// [`ColumnShape::words`](crate::shape::ColumnShape::words)).
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $(#[$first_meta:meta])* $first:ident = $first_word:literal
            $(, $(#[$variant_meta:meta])* $variant:ident = $word:literal)* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name {
            $(#[$first_meta])* #[serde(rename = $first_word)] $first,
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant),*
        }

        impl $name {
            /// Every word, in the order of the declaration.
            pub const ALL: &[Self] = &[Self::$first $(, Self::$variant)*];

            /// The word that is stored.
            pub const fn as_str(self) -> &'static str {
                match self { Self::$first => $first_word $(, Self::$variant => $word)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::types::ValueError;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $first_word => Ok(Self::$first),
                    $($word => Ok(Self::$variant),)*
                    _ => Err(crate::types::ValueError::malformed(concat!("one of ", $first_word $(, " ", $word)*))),
                }
            }
        }

        crate::types::column_value! {
            impl[] $name as String {
                column_type: sea_orm::ColumnType::String(sea_orm::sea_query::StringLen::N(32)),
                into: |value| value.as_str().to_owned(),
                from: |inner| inner.parse::<$name>(),
                read: |row, index| {
                    let word = <String as sea_orm::TryGetable>::try_get_by(row, index)?;
                    word.parse().map_err(|error| crate::types::corrupt(stringify!($name), error))
                },
                words: concat!($first_word $(, " ", $word)*),
            }
        }

        impl sea_orm::TryFromU64 for $name {
            /// Refuses: a key of words is never made by a database's counter.
            fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
                Err(sea_orm::DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    };
}

pub(crate) use words;

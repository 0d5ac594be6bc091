//! Pages by key: the next page begins where the last one ended, however deep it is.
//!
//! A page is asked for by a [`Cursor`], which the page before gave: an opaque text that names the last row by its key. So
//! a page costs the same at row five million as at row one, and rows that come and go neither repeat nor hide others.

use std::fmt;
use std::str::FromStr;

use sea_orm::sea_query::Order as SqlOrder;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, ModelTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Error;

/// Rows that a page holds at most, whatever was asked for.
pub const MAX_LIMIT: u32 = 1_000;
/// Rows that a page holds when nothing was asked for.
pub const DEFAULT_LIMIT: u32 = 100;

/// A page of a list, and the cursor of the next one; no cursor, no next page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The rows, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    #[default]
    Desc,
}

/// A place in a list. It is opaque: keep it, send it back, do not read it.
///
/// It belongs to the list that it came from. Used with another one (another filter, another order) it is refused, and so is
/// one that was altered in a way that can be seen. It grants nothing: what a list shows is decided by its filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    list: u64,
    after: Uuid,
}

/// A cursor that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// It is not a cursor of this version.
    #[error("the cursor is not valid; begin again without one")]
    Malformed,
    /// It came from another list.
    #[error("the cursor belongs to another list; use it with the filter and order that it came from")]
    AnotherList,
}

/// The version of the text of a cursor.
const VERSION: u8 = 1;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 25];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&self.list.to_be_bytes());
        bytes[9..].copy_from_slice(self.after.as_bytes());
        f.write_str(&data_encoding::BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError::Malformed)?;
        let bytes: [u8; 25] = bytes.try_into().map_err(|_| CursorError::Malformed)?;
        let (list, after) = bytes[1..].split_at(8);
        match (bytes[0], list.try_into(), after.try_into()) {
            (VERSION, Ok(list), Ok(after)) => {
                Ok(Self { list: u64::from_be_bytes(list), after: Uuid::from_bytes(after) })
            }
            _ => Err(CursorError::Malformed),
        }
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What to take of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many rows, at most [`MAX_LIMIT`].
    pub limit: u32,
    /// The order.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, order: Order::default(), after: None }
    }
}

impl PageRequest {
    /// Reads one page of `select`, ordered by `key`, a column of version 7 UUIDs. One round trip.
    ///
    /// `list` names the list and its filter, so that a cursor of another one is refused; its `Debug` text is what counts.
    ///
    /// # Errors
    /// [`CursorError::AnotherList`], and those of the database.
    pub async fn read<E, C>(
        &self,
        db: &impl ConnectionTrait,
        select: Select<E>,
        key: C,
        list: &impl fmt::Debug,
    ) -> Result<Page<E::Model>, Error>
    where
        E: EntityTrait<Column = C>,
        E::Model: FromQueryResult + ModelTrait<Entity = E> + Send + Sync,
        C: ColumnTrait,
    {
        let list = self.fingerprint::<E>(list);
        let limit = self.limit.clamp(1, MAX_LIMIT);
        let (sql_order, after) = match self.order {
            Order::Asc => (SqlOrder::Asc, self.after),
            Order::Desc => (SqlOrder::Desc, self.after),
        };
        let mut select = select.order_by(key, sql_order).limit(u64::from(limit) + 1);
        if let Some(cursor) = after {
            if cursor.list != list {
                return Err(CursorError::AnotherList.into());
            }
            select = select.filter(match self.order {
                Order::Asc => key.gt(cursor.after),
                Order::Desc => key.lt(cursor.after),
            });
        }
        let mut items = select.all(db).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let last = items.last().filter(|_| more).map(|row| row.get(key));
        let next = match last {
            Some(sea_orm::Value::Uuid(Some(after))) => Some(Cursor { list, after }),
            _ => None,
        };
        Ok(Page { items, next })
    }

    fn fingerprint<E: EntityTrait>(&self, list: &impl fmt::Debug) -> u64 {
        let text = format!("{}/{:?}/{list:?}", E::default().table_name(), self.order);
        let hash = Sha256::digest(text.as_bytes());
        hash[..8].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        let cursor = Cursor { list: 7, after: Uuid::now_v7() };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for forged in ["", "a", "AAAA", "????", &cursor.to_string()[1..], &format!("{cursor}A"), "\u{1f600}"] {
            assert_eq!(forged.parse::<Cursor>(), Err(CursorError::Malformed), "{forged:?}");
        }
    }
}

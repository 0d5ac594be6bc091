//! Pages by key: the next page begins where the last one ended, however deep it is.
//!
//! A page is asked for by a [`Cursor`], which the page before gave: an opaque text that names the last row by its key. So
//! a page costs the same at row five million as at row one, and rows that come and go neither repeat nor hide others.

mod cursor;

use std::fmt;

use sea_orm::sea_query::{Expr, ExprTrait, Order as SqlOrder};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, ModelTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, Value,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::cursor::{Cursor, CursorError};
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
    /// Reads one page of `select`, ordered by the columns of `key`, all in the request's order. One round trip.
    ///
    /// Together they must be unique, and none may be null: `[Id]`, `[Price, Id]`. The first should lead an index that
    /// holds them in this order. They are ids, times, decimals or whole numbers, three at most.
    ///
    /// `list` names the list and its filter, so that a cursor of another one is refused; its `Debug` text is what counts.
    ///
    /// # Errors
    /// [`CursorError::AnotherList`], and those of the database.
    pub async fn read<E, C, const N: usize>(
        &self,
        db: &impl ConnectionTrait,
        select: Select<E>,
        key: [C; N],
        list: &impl fmt::Debug,
    ) -> Result<Page<E::Model>, Error>
    where
        E: EntityTrait<Column = C>,
        E::Model: FromQueryResult + ModelTrait<Entity = E> + Send + Sync,
        C: ColumnTrait,
    {
        let list = self.fingerprint::<E>(list, &key);
        let limit = self.limit.clamp(1, MAX_LIMIT);
        let order = match self.order {
            Order::Asc => SqlOrder::Asc,
            Order::Desc => SqlOrder::Desc,
        };
        let mut select = key.iter().fold(select, |select, column| select.order_by(*column, order.clone()));
        if let Some(cursor) = self.after {
            let columns: Vec<(C, Value)> = key.into_iter().zip(cursor.values(list, &key)?).collect();
            select = select.filter(self.beyond(&columns));
        }
        let mut items = select.limit(u64::from(limit) + 1).all(db).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = match items.last().filter(|_| more) {
            Some(row) => Some(Cursor::at(list, key.map(|column| row.get(column)))?),
            None => None,
        };
        Ok(Page { items, next })
    }

    /// Whether a row comes after the one with these values. The first column's bound stands by itself, for the index:
    /// engines do not agree on using one for a comparison of rows.
    fn beyond<C: ColumnTrait>(&self, columns: &[(C, Value)]) -> Expr {
        let Some(((column, value), rest)) = columns.split_first() else { return Expr::val(false) };
        let strictly = match self.order {
            Order::Asc => column.gt(value.clone()),
            Order::Desc => column.lt(value.clone()),
        };
        if rest.is_empty() {
            return strictly;
        }
        let bound = match self.order {
            Order::Asc => column.gte(value.clone()),
            Order::Desc => column.lte(value.clone()),
        };
        bound.and(strictly.or(self.beyond(rest)))
    }

    fn fingerprint<E: EntityTrait>(&self, list: &impl fmt::Debug, key: &[E::Column]) -> u64 {
        let text = format!("{}/{key:?}/{:?}/{list:?}", E::default().table_name(), self.order);
        let hash = Sha256::digest(text.as_bytes());
        hash[..8].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}

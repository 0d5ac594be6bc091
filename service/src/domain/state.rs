use std::fmt::Display;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, TryGetable, UpdateMany, Value};
use uuid::Uuid;

use crate::Error;

/// A state of a row, and what it may become.
pub(crate) trait State: Copy + PartialEq + Display + TryGetable + Into<Value> + Send + Sync + 'static {
    /// Every state.
    const ALL: &'static [Self];

    /// Whether a row may go from this state to that one.
    fn may_become(self, next: Self) -> bool;
}

/// A change of a row's state: by one conditional update, so that of two at once only one finds the row as it has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition<C, S> {
    /// What the row is: `order`.
    pub(crate) what: &'static str,
    /// The column of its id.
    pub(crate) id: C,
    /// The column of its state.
    pub(crate) state: C,
    /// What it is to become.
    pub(crate) to: S,
}

impl<C: ColumnTrait, S: State> Transition<C, S> {
    /// Updates the row of this id to the new state, with whatever else `update` sets, if its state may become that. One
    /// round trip; another one to say why not.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] that names both states.
    pub(crate) async fn apply<E>(&self, db: &impl ConnectionTrait, id: Uuid, update: UpdateMany<E>) -> Result<(), Error>
    where
        E: EntityTrait<Column = C>,
    {
        let from: Vec<S> = S::ALL.iter().copied().filter(|from| from.may_become(self.to)).collect();
        let update = update
            .col_expr(self.state, sea_orm::sea_query::Expr::val(self.to))
            .filter(self.id.eq(id))
            .filter(self.state.is_in(from));
        if update.exec(db).await?.rows_affected == 1 {
            return Ok(());
        }
        Err(self.refusal::<E>(db, id).await?)
    }

    /// Why the row of this id cannot become it.
    async fn refusal<E>(&self, db: &impl ConnectionTrait, id: Uuid) -> Result<Error, Error>
    where
        E: EntityTrait<Column = C>,
    {
        let state = E::find().select_only().column(self.state).filter(self.id.eq(id)).into_tuple::<S>().one(db).await?;
        let Self { what, to, .. } = self;
        Ok(state.map_or_else(
            || Error::not_found(what, id),
            |state| Error::Conflict(format!("the {what} {id} is {state} and cannot become {to}")),
        ))
    }
}

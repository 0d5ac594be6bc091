use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};
use uuid::Uuid;

use super::Ordering;
use super::draft::{Draft, Request};
use super::query::order;
use crate::Error;
use crate::db::{Kind, Tx};
use crate::domain::catalog;
use crate::entity::ordering::idempotency_key::{Column, Entity, Model};
use crate::entity::ordering::order::Model as Order;
use crate::entity::ordering::{order, order_item, order_status_history};
use crate::types::{AtColumn, Text, Timestamp};

/// How long an idempotency key is remembered, where nothing else is said.
pub const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a request looks again when the one that held its key has gone.
const TRIES: usize = 5;

/// Under which scope a user's keys are kept: users do not get into each other's way.
fn scope(user: Uuid) -> Result<Text<50>, Error> {
    Ok(Text::try_from(format!("checkout:{}", user.simple())).at("idempotency_keys.scope")?)
}

impl Ordering<'_> {
    /// Writes the order of a request, or finds the one that the same request has made before.
    pub(super) async fn place(&self, request: &Request) -> Result<Order, Error> {
        let products: Vec<Uuid> = request.lines.iter().map(|line| line.product_id).collect();
        let offers = catalog::offers(self.catalog.reader(), &products).await?;
        for _ in 0..TRIES {
            let now = self.clock.now();
            let draft = match Draft::new(request, offers.clone(), now) {
                Ok(draft) => draft,
                // What was on sale when the request came first may not be now: it is the same order all the same.
                Err(refusal) => return self.placed(request, now).await?.ok_or(refusal),
            };
            let key = Model {
                scope: scope(request.user_id)?,
                idempotency_key: request.key.clone(),
                request_hash: request.hash.clone(),
                resource_id: draft.order.id,
                expires_at: now.plus(self.key_lifetime).at("idempotency_keys.expires_at")?,
                created_at: now,
            };
            self.ensure_partitions(now).await?;
            let written = self.db.transaction(async |tx| write(tx, &key, &draft).await).await;
            match written {
                Ok(()) => return Ok(draft.order),
                Err(error) if error.database_kind() == Some(Kind::UniqueViolation) => {
                    if let Some(order) = self.placed(request, now).await? {
                        return Ok(order);
                    }
                }
                Err(error) => {
                    self.partitions.forget();
                    return Err(error);
                }
            }
        }
        Err(Error::Conflict(format!("the idempotency key {} is in use", request.key)))
    }

    /// The order that a request under this key has made; none if the key is free, which an expired one becomes here.
    async fn placed(&self, request: &Request, now: Timestamp) -> Result<Option<Order>, Error> {
        let key = (scope(request.user_id)?, request.key.clone());
        let Some(known) = Entity::find_by_id(key).one(self.db.writer()).await? else { return Ok(None) };
        if known.expires_at <= now {
            forget(self.db.writer(), &known).await?;
            return Ok(None);
        }
        if known.request_hash != request.hash {
            let Request { key, .. } = request;
            return Err(Error::Conflict(format!("the idempotency key {key} has come before, with another request")));
        }
        order(self.db.writer(), known.resource_id).await.map(Some)
    }
}

/// The order and all that belongs to it. Four round trips: the key comes first, so that of two at the same moment one waits
/// for the other.
async fn write(tx: &Tx, key: &Model, draft: &Draft) -> Result<(), Error> {
    let Draft { order, items, placed } = draft;
    let items = items.iter().cloned().map(order_item::Model::into_active_model);
    Entity::insert(key.clone().into_active_model()).exec_without_returning(tx).await?;
    order::Entity::insert(order.clone().into_active_model()).exec_without_returning(tx).await?;
    order_item::Entity::insert_many(items).exec_without_returning(tx).await?;
    order_status_history::Entity::insert(placed.clone().into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// Deletes an expired key, unless another request has taken it up meanwhile.
async fn forget(db: &impl ConnectionTrait, known: &Model) -> Result<(), Error> {
    let delete = Entity::delete_many()
        .filter(Column::Scope.eq(known.scope.clone()))
        .filter(Column::IdempotencyKey.eq(known.idempotency_key.clone()))
        .filter(Column::ExpiresAt.eq(known.expires_at));
    delete.exec(db).await?;
    Ok(())
}

use std::time::Duration;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::effect::TOPICS;
use super::outbox::{self, Due, Published};
use super::{Checkout, Ordering};
use crate::Error;
use crate::db::page::MAX_LIMIT;
use crate::entity::ordering::OrderStatus;
use crate::entity::ordering::idempotency_key::{Column as KeyColumn, Entity as Keys};
use crate::entity::ordering::order::{Column, Entity, Model as Order};
use crate::types::{AtColumn, Timestamp, lowest_id};

/// An order that has been pending for longer is given up: its prices and its buyer's wish are no longer those of now.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);
/// How long messages are kept that were published.
pub const PUBLISHED_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a sweep has found and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Pending orders that are now confirmed.
    pub finished: u64,
    /// Pending orders that are now cancelled.
    pub undone: u64,
    /// Pending orders that could be neither, and wait for the next sweep.
    pub failed: u64,
    /// Messages of the outbox.
    pub outbox: Published,
    /// Idempotency keys that had expired, and messages published long ago, that were deleted.
    pub deleted: u64,
}

impl Ordering<'_> {
    /// Brings to an end what was left behind for longer than `older_than`, at most `limit` of each kind: pending orders are
    /// finished, or undone where that is refused or they are older than [`ABANDONED_AFTER`]; messages of the outbox are
    /// relayed; expired idempotency keys, and messages that were published long ago, are deleted.
    ///
    /// Any number of instances may do it at once, and beside checkouts that are still on their way: every step is
    /// idempotent. `older_than` should be longer than a checkout takes, so that nothing is done twice; a minute is.
    ///
    /// # Errors
    /// Those of the domain's own database; an order or message that fails is counted, and does not hold up the others.
    ///
    /// # Cancellation
    /// What is half done, the next sweep brings to an end.
    pub async fn sweep(&self, older_than: Duration, limit: u32) -> Result<Swept, Error> {
        let now = self.clock.now();
        let until = now.minus(older_than).at("orders.created_at")?;
        let mut swept = self.sweep_orders(now, until, limit).await?;
        swept.outbox = self.relay_pending(until, limit).await?;
        swept.deleted = delete_expired(self.db.writer(), now, limit).await?;
        if let Ok(long_ago) = now.minus(PUBLISHED_KEPT) {
            swept.deleted += outbox::purge(self.db.writer(), long_ago, limit).await?;
        }
        Ok(swept)
    }

    /// Relays the effects on stock and coupons that are in the outbox since `until` or before.
    ///
    /// # Errors
    /// Those of the domain's own database.
    async fn relay_pending(&self, until: Timestamp, limit: u32) -> Result<Published, Error> {
        let due = Due { topics: TOPICS, written_until: until, limit };
        outbox::publish(self.db.writer(), due, self.clock.now(), &|message| self.relay(message)).await
    }

    async fn sweep_orders(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let mut after = None;
        let mut left = limit;
        // Those that fail are passed over, so that the oldest do not keep the others from being looked at; where all fail, a
        // database is away, and there is no use in going on.
        while left > 0 && swept.failed < u64::from(limit) {
            let pending = pending(self.db.writer(), until, after, left.min(MAX_LIMIT)).await?;
            after = pending.last().map(|order| order.id);
            if pending.is_empty() {
                break;
            }
            for order in pending {
                let id = order.id;
                match self.bring_to_an_end(order, now).await {
                    Ok(OrderStatus::Cancelled) => swept.undone += 1,
                    Ok(_) => swept.finished += 1,
                    Err(error) => {
                        tracing::warn!(order = %id, %error, "a pending order could be neither finished nor undone");
                        swept.failed += 1;
                    }
                }
            }
            left = limit.saturating_sub(u32::try_from(swept.finished + swept.undone).unwrap_or(limit));
        }
        Ok(swept)
    }

    async fn bring_to_an_end(&self, order: Order, now: Timestamp) -> Result<OrderStatus, Error> {
        let mut checkout = if now.since(order.created_at) > ABANDONED_AFTER {
            Checkout::abandoned(*self, order, Error::Conflict("left behind for too long".into()))
        } else {
            let lines = self.lines(order.id).await?;
            Checkout::resumed(*self, order, lines)
        };
        while checkout.next() != super::Step::Done {
            checkout.advance().await?;
        }
        Ok(checkout.order().map_or(OrderStatus::Cancelled, |order| order.status))
    }
}

/// Orders that were placed at this instant or before and are still pending, the oldest first.
async fn pending(
    db: &impl ConnectionTrait,
    until: Timestamp,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Order>, Error> {
    let select = Entity::find()
        .filter(Column::Status.eq(OrderStatus::Pending))
        .filter(Column::Id.lt(lowest_id(until.millis().saturating_add(1))))
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after)))
        .order_by_asc(Column::Id)
        .limit(u64::from(limit.max(1)));
    Ok(select.all(db).await?)
}

/// Deletes idempotency keys that have expired.
async fn delete_expired(db: &impl ConnectionTrait, now: Timestamp, limit: u32) -> Result<u64, Error> {
    let oldest = Keys::find()
        .filter(KeyColumn::ExpiresAt.lte(now))
        .order_by_asc(KeyColumn::ExpiresAt)
        .limit(u64::from(limit.clamp(1, MAX_LIMIT)));
    let expired = oldest.all(db).await?;
    let Some(last) = expired.last().map(|key| key.expires_at) else { return Ok(0) };
    // By the index of their expiry: all up to the last one, and those that expire with it.
    Ok(Keys::delete_many().filter(KeyColumn::ExpiresAt.lte(last)).exec(db).await?.rows_affected)
}

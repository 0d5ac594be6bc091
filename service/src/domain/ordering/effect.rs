//! What a change of an order means for stock and coupon, which may live in other databases.
//!
//! The change writes a message into the outbox, in its own transaction; then whoever made it does what the message asks
//! for, and marks it. What a crash leaves, the sweeper does. Every part is idempotent and the parts of an order's messages
//! commute, so that it does no harm who does them, how often, and in which order.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::outbox::{self, Message};
use super::query::items;
use super::{NewLine, Ordering};
use crate::Error;
use crate::db::Tx;
use crate::domain::inventory::Line;
use crate::domain::{inventory, marketing};
use crate::types::{Json, Timestamp};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// What is reserved becomes free, and the coupon can be used again.
    Release,
    /// What is reserved leaves.
    Commit,
    /// What has left comes back, and the coupon can be used again.
    Restock,
}

/// A part of it: one transaction on one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Release,
    Commit,
    Restock,
    GiveBack,
}

/// The topics of all effects.
pub(super) const TOPICS: &[&str] = &["ordering.release", "ordering.commit", "ordering.restock"];

impl Effect {
    const ALL: [Self; 3] = [Self::Release, Self::Commit, Self::Restock];

    const fn topic(self) -> &'static str {
        match self {
            Self::Release => TOPICS[0],
            Self::Commit => TOPICS[1],
            Self::Restock => TOPICS[2],
        }
    }

    const fn parts(self) -> &'static [Part] {
        match self {
            Self::Release => &[Part::Release, Part::GiveBack],
            Self::Commit => &[Part::Commit],
            // The order may have been shipped a moment ago, by somebody who has not got round to the stock.
            Self::Restock => &[Part::Commit, Part::Restock, Part::GiveBack],
        }
    }
}

/// Which order it is about.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) order_id: Uuid,
    pub(super) coupon_id: Option<Uuid>,
}

/// Writes down that it is to be done, in the transaction of the change. One round trip.
pub(super) async fn note(tx: &Tx, effect: Effect, subject: Subject, now: Timestamp) -> Result<Uuid, Error> {
    outbox::write(tx, effect.topic(), &subject.order_id.to_string(), Json::of(&subject)?, now).await
}

impl Ordering<'_> {
    /// Does at once what was noted. What fails is left to the sweeper: the change itself has happened.
    pub(super) async fn carry_out(&self, effect: Effect, subject: Subject, message: Uuid) {
        let done = async {
            self.perform(effect, subject).await?;
            outbox::settle(self.db.writer(), message, self.clock.now()).await
        };
        if let Err(error) = done.await {
            let topic = effect.topic();
            tracing::warn!(order = %subject.order_id, topic, %error, "left to the sweeper");
        }
    }

    /// Does what a message asks for.
    pub(super) async fn relay(&self, message: Message) -> Result<(), Error> {
        let effect = Effect::ALL.into_iter().find(|effect| message.topic == effect.topic());
        let effect = effect.ok_or_else(|| Error::not_found("effect", &message.topic))?;
        let subject = message.payload.to().map_err(Error::other)?;
        self.perform(effect, subject).await
    }

    async fn perform(&self, effect: Effect, subject: Subject) -> Result<(), Error> {
        for part in effect.parts() {
            self.part(*part, subject).await?;
        }
        Ok(())
    }

    /// One part; that of a coupon costs nothing where there is none.
    pub(super) async fn part(&self, part: Part, subject: Subject) -> Result<(), Error> {
        let Subject { order_id, coupon_id } = subject;
        let now = self.clock.now();
        match (part, coupon_id) {
            (Part::Release, _) => {
                self.inventory.transaction(async |tx| inventory::release(tx, order_id, now).await).await
            }
            (Part::Commit, _) => {
                self.inventory.transaction(async |tx| inventory::commit(tx, order_id, now).await).await
            }
            (Part::Restock, _) => {
                self.inventory.transaction(async |tx| inventory::restock(tx, order_id, now).await).await
            }
            (Part::GiveBack, Some(coupon)) => {
                let given =
                    self.marketing.transaction(async |tx| marketing::give_back(tx, order_id, coupon, now).await);
                match given.await {
                    // A coupon that does not exist, with which an order was asked for in vain.
                    Err(Error::NotFound { .. }) => Ok(()),
                    done => done,
                }
            }
            (Part::GiveBack, None) => Ok(()),
        }
    }

    /// What inventory is asked for.
    pub(super) async fn lines(&self, order: Uuid) -> Result<Vec<Line>, Error> {
        let items = items(self.db.writer(), order).await?;
        Ok(items.iter().map(|item| Line { product_id: item.product_id, quantity: item.quantity }).collect())
    }
}

/// The lines of a request, as inventory is asked for them.
pub(super) fn wanted(lines: &[NewLine]) -> Vec<Line> {
    lines.iter().map(|line| Line { product_id: line.product_id, quantity: line.quantity }).collect()
}

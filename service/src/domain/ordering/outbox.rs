//! The outbox: messages written in the transaction of the change that they tell of, and published afterwards.
//!
//! A message is published at least once; a receiver knows one that comes twice by its id. Those of one key are published in
//! the order in which they were written, each after the one before it has been: whoever fails holds up its own key alone.
//! Any number of publishers may run at once: each claims a message before it publishes it, for a time that grows with the
//! attempts, so that what a dead one has claimed comes back.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::Error;
use crate::db::page::MAX_LIMIT;
use crate::entity::ordering::outbox::{Column, Entity};
use crate::types::{AtColumn, Json, Text, Timestamp, new_id};

pub use crate::entity::ordering::outbox::Model as Message;

/// How long a first attempt may take before somebody else tries; each further one has twice as long.
pub const FIRST_LEASE: Duration = Duration::from_secs(30);
/// The longest that a message waits for its next attempt.
pub const LONGEST_LEASE: Duration = Duration::from_secs(60 * 60);

/// Writes a message in the caller's transaction and says its id. One round trip.
///
/// # Errors
/// [`Error::Value`] for a topic or key that is blank or too long; those of the database.
pub async fn write(
    db: &impl ConnectionTrait,
    topic: &str,
    key: &str,
    payload: Json,
    now: Timestamp,
) -> Result<Uuid, Error> {
    let message = Message {
        // Ids of one process ascend: two messages of a transaction keep their order.
        id: new_id(),
        topic: Text::try_from(topic).and_then(Text::non_blank).at("outbox.topic")?,
        message_key: Text::try_from(key).and_then(Text::non_blank).at("outbox.message_key")?,
        payload,
        published_at: None,
        attempts: 0,
        created_at: now,
        updated_at: now,
    };
    let id = message.id;
    Entity::insert(message.into_active_model()).exec_without_returning(db).await?;
    Ok(id)
}

/// The oldest messages of these topics that are not published, at most `limit` and never more than 1,000. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn pending(db: &impl ConnectionTrait, topics: &[&str], limit: u32) -> Result<Vec<Message>, Error> {
    waiting(db, topics, None, None, limit).await
}

async fn waiting(
    db: &impl ConnectionTrait,
    topics: &[&str],
    after: Option<Uuid>,
    written_until: Option<Timestamp>,
    limit: u32,
) -> Result<Vec<Message>, Error> {
    let select = Entity::find()
        .filter(Column::PublishedAt.is_null())
        .filter(Column::Topic.is_in(topics.iter().copied()))
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after)))
        .apply_if(written_until, |select, until| select.filter(Column::CreatedAt.lte(until)))
        .order_by_asc(Column::Id)
        .limit(u64::from(limit.clamp(1, MAX_LIMIT)));
    Ok(select.all(db).await?)
}

/// What takes a message to where it belongs: an async function or closure of a [`Message`]. It is called again for a
/// message that it has failed for, and may be called again for one that it has not.
pub trait Publish: Send + Sync {
    /// Publishes the message.
    fn publish(&self, message: Message) -> impl Future<Output = Result<(), Error>> + Send;
}

impl<F, Running> Publish for F
where
    F: Fn(Message) -> Running + Send + Sync,
    Running: Future<Output = Result<(), Error>> + Send,
{
    fn publish(&self, message: Message) -> impl Future<Output = Result<(), Error>> + Send {
        self(message)
    }
}

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Messages that were published.
    pub published: u64,
    /// Messages that were tried in vain; each comes again after a while.
    pub failed: u64,
}

/// Which messages to publish.
#[derive(Clone, Copy, Debug)]
pub struct Due<'a> {
    /// Of these topics.
    pub topics: &'a [&'a str],
    /// Written at this instant or before.
    pub written_until: Timestamp,
    /// So many attempts at most.
    pub limit: u32,
}

/// Publishes what is due through `handler`, at `now`: messages that nobody is publishing, and of each key only what has
/// none of the key before it. One round trip for 1,000 messages that wait, and two for each attempt.
///
/// # Errors
/// Those of the database; what `handler` fails with is logged and counted.
///
/// # Cancellation
/// A message in hand is tried again by whoever comes after its lease.
pub async fn publish(
    db: &impl ConnectionTrait,
    due: Due<'_>,
    now: Timestamp,
    handler: &impl Publish,
) -> Result<Published, Error> {
    let mut done = Published::default();
    let mut held: HashSet<Text<200>> = HashSet::new();
    let mut after = None;
    loop {
        let messages = waiting(db, due.topics, after, Some(due.written_until), MAX_LIMIT).await?;
        after = messages.last().map(|message| message.id);
        let more = messages.len() == MAX_LIMIT as usize;
        for message in messages {
            if held.contains(&message.message_key) {
                continue;
            }
            if done.published + done.failed >= u64::from(due.limit) {
                return Ok(done);
            }
            let (id, topic, key) = (message.id, message.topic.clone(), message.message_key.clone());
            if !claim(db, &message, now).await? {
                held.insert(key);
                continue;
            }
            match handler.publish(message).await {
                Ok(()) => {
                    mark(db, id, now).await?;
                    done.published += 1;
                }
                Err(error) => {
                    tracing::warn!(%id, %topic, %error, "a message could not be published; it is tried again later");
                    done.failed += 1;
                    held.insert(key);
                }
            }
        }
        if !more {
            return Ok(done);
        }
    }
}

/// Claims a message, unless somebody else has, and may still be at it.
async fn claim(db: &impl ConnectionTrait, message: &Message, now: Timestamp) -> Result<bool, Error> {
    if message.attempts > 0 && now.since(message.updated_at) < lease(message.attempts) {
        return Ok(false);
    }
    let update = Entity::update_many()
        .col_expr(Column::Attempts, Expr::val(message.attempts.saturating_add(1)))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(message.id))
        .filter(Column::Attempts.eq(message.attempts))
        .filter(Column::PublishedAt.is_null());
    Ok(update.exec(db).await?.rows_affected == 1)
}

fn lease(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 17) - 1).unwrap_or(0);
    std::cmp::min(FIRST_LEASE.saturating_mul(1 << doublings), LONGEST_LEASE)
}

async fn mark(db: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<(), Error> {
    let update = Entity::update_many()
        .col_expr(Column::PublishedAt, Expr::val(now))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .filter(Column::PublishedAt.is_null());
    update.exec(db).await?;
    Ok(())
}

/// Marks a message as published by whoever has done at once what it asks for. One round trip.
pub(super) async fn settle(db: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<(), Error> {
    let update = Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::PublishedAt, Expr::val(now))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id))
        .filter(Column::PublishedAt.is_null());
    update.exec(db).await?;
    Ok(())
}

/// Deletes messages that were published before this instant, at most `limit`, and says how many. Two round trips.
///
/// # Errors
/// Those of the database.
pub async fn purge(db: &impl ConnectionTrait, before: Timestamp, limit: u32) -> Result<u64, Error> {
    let old: Vec<Uuid> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::PublishedAt.lt(before))
        .order_by_asc(Column::PublishedAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit.clamp(1, MAX_LIMIT)))
        .into_tuple()
        .all(db)
        .await?;
    if old.is_empty() {
        return Ok(0);
    }
    Ok(Entity::delete_many().filter(Column::Id.is_in(old)).exec(db).await?.rows_affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_longer_after_each_attempt_and_never_beyond_the_longest() {
        assert_eq!(lease(1), FIRST_LEASE);
        assert_eq!(lease(2), FIRST_LEASE * 2);
        assert_eq!(lease(i32::MAX), LONGEST_LEASE);
    }
}

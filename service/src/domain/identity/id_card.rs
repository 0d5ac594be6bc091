use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::Identity;
use super::keyring::Keyring;
use super::profile::{self, ProfileChange};
use crate::Error;
use crate::db::Tx;
use crate::db::page::MAX_LIMIT;
use crate::entity::identity::user_profile::{Column, Entity};
use crate::types::{AtColumn, Problem, Secret, Timestamp, ValueError};

const COLUMN: &str = "user_profiles.id_card";

/// The number of an identity card, not shown in Debug; blank it is none.
pub type IdCard = Secret<64>;

/// What a step of [`reencrypt_id_cards`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    /// Numbers that were looked at.
    pub seen: usize,
    /// Numbers that are encrypted with the active key now and were not before.
    pub renewed: usize,
    /// Users whose number could not be decrypted: it is damaged, or its key is not configured. It was left as it is.
    pub failed: Vec<Uuid>,
    /// Where the next step begins; `None` when there is nothing left.
    pub next: Option<Uuid>,
}

/// Where a number belongs: encrypted for one user, it does not decrypt for another.
fn place(user_id: Uuid) -> Vec<u8> {
    [COLUMN.as_bytes(), user_id.as_bytes()].concat()
}

/// Stores the number of a user's identity card, encrypted with the active key; `None` removes it. One round trip.
///
/// # Errors
/// [`KeyringError::NoKey`](super::KeyringError::NoKey), in [`Error::Other`], when no key is configured; [`Error::Value`] for
/// a blank number; [`Error::NotFound`] for an unknown user; those of the database.
pub async fn set_id_card(
    db: &impl ConnectionTrait,
    keyring: &Keyring,
    user_id: Uuid,
    number: Option<&IdCard>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut row = profile::row(user_id, ProfileChange::default(), now)?;
    if let Some(number) = number {
        if number.expose().trim().is_empty() {
            return Err(ValueError::at(COLUMN, Problem::Empty).into());
        }
        let sealed = keyring.seal(number.expose(), &place(user_id)).map_err(Error::other)?;
        row.id_card = Some(Secret::try_from(sealed).at(COLUMN)?);
    }
    profile::upsert(db, row, [Column::IdCard, Column::UpdatedAt]).await
}

/// Decrypts the number of a user's identity card, if they have one. One round trip. Nothing else decrypts it.
///
/// # Errors
/// [`KeyringError`](super::KeyringError), in [`Error::Other`], when it was damaged or copied from another user, or its key is
/// not configured; those of the database.
pub async fn id_card(db: &impl ConnectionTrait, keyring: &Keyring, user_id: Uuid) -> Result<Option<IdCard>, Error> {
    let profile = profile::profile(db, user_id).await?;
    let Some(sealed) = profile.and_then(|profile| profile.id_card) else { return Ok(None) };
    let opened = keyring.open(sealed.expose(), &place(user_id)).map_err(Error::other)?;
    Ok(Some(IdCard::try_from(opened).at(COLUMN)?))
}

/// Encrypts numbers anew that are not encrypted with the active key: at most `limit` profiles, and never more than
/// [`MAX_LIMIT`], those after `after`, or the first ones. A number that is changed meanwhile stays as it was changed. One
/// round trip, and one a number that is renewed.
///
/// # Errors
/// [`KeyringError::NoKey`](super::KeyringError::NoKey), in [`Error::Other`]; those of the database. A number that cannot be
/// decrypted is no error, but named in the result.
pub async fn reencrypt_id_cards(
    tx: &Tx,
    keyring: &Keyring,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Reencrypted, Error> {
    if keyring.active().is_none() {
        return Err(Error::other(super::KeyringError::NoKey));
    }
    let limit = limit.clamp(1, MAX_LIMIT);
    let profiles = Entity::find()
        .filter(Column::IdCard.is_not_null())
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after)))
        .order_by_asc(Column::Id)
        .limit(u64::from(limit))
        .all(tx)
        .await?;
    let mut done = Reencrypted { seen: profiles.len(), ..Reencrypted::default() };
    if profiles.len() == limit as usize {
        done.next = profiles.last().map(|profile| profile.id);
    }
    for profile in profiles {
        let Some(old) = profile.id_card.filter(|sealed| !keyring.is_current(sealed.expose())) else { continue };
        let place = place(profile.user_id);
        let Ok(number) = keyring.open(old.expose(), &place) else {
            done.failed.push(profile.user_id);
            continue;
        };
        let renewed: Secret<512> = keyring.seal(&number, &place).map_err(Error::other)?.try_into().at(COLUMN)?;
        let update = Entity::update_many()
            .col_expr(Column::IdCard, Expr::val(renewed))
            .filter(Column::Id.eq(profile.id))
            .filter(Column::IdCard.eq(old));
        done.renewed += usize::try_from(update.exec(tx).await?.rows_affected).unwrap_or(0);
    }
    Ok(done)
}

impl Identity<'_> {
    /// Stores the number of a user's identity card, encrypted: [`set_id_card`]. One round trip.
    ///
    /// # Errors
    /// As [`set_id_card`].
    pub async fn set_id_card(&self, user_id: Uuid, number: Option<&IdCard>) -> Result<(), Error> {
        set_id_card(self.db.writer(), self.keyring, user_id, number, self.clock.now()).await
    }

    /// Decrypts the number of a user's identity card, if they have one: [`id_card`]. One round trip.
    ///
    /// # Errors
    /// As [`id_card`].
    pub async fn id_card(&self, user_id: Uuid) -> Result<Option<IdCard>, Error> {
        id_card(self.db.reader(), self.keyring, user_id).await
    }

    /// One step of encrypting anew what is not encrypted with the active key: [`reencrypt_id_cards`] in a transaction of its
    /// own. Begin with `None`, and go on with [`Reencrypted::next`] until there is none; after a crash begin anew or anywhere.
    /// Three round trips, and one a number that is renewed.
    ///
    /// # Errors
    /// As [`reencrypt_id_cards`].
    pub async fn reencrypt_id_cards(&self, after: Option<Uuid>, limit: u32) -> Result<Reencrypted, Error> {
        self.db.transaction(async |tx| reencrypt_id_cards(tx, self.keyring, after, limit).await).await
    }
}

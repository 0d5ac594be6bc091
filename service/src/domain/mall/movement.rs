use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use serde::Serialize;
use uuid::Uuid;

use super::Mall;
use super::account::open_points_account;
use crate::Error;
use crate::db::{Kind, Tx};
use crate::entity::mall::PointsKind;
use crate::entity::mall::points_account::{Column as AccountColumn, Entity as AccountEntity, Model as Account};
use crate::entity::mall::points_transaction::{Column, Entity, Model as Entry};
use crate::types::{AtColumn, LongText, Money, Text, Timestamp, id_at, new_id};

/// What makes a movement of points idempotent, chosen by the caller: an order's number, a callback's id.
pub type MovementKey = Text<98>;

/// Each side of a movement has a key of its own in the table: the caller's, and which side it is.
const FIRST_SIDE: &str = ":1";
const SECOND_SIDE: &str = ":2";

/// A movement of points to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointsMove {
    kind: PointsKind,
    payer: Option<Uuid>,
    payee: Option<Uuid>,
    amount: Money,
    key: MovementKey,
    remark: Option<LongText>,
}

impl PointsMove {
    /// From one user to another.
    pub const fn transfer(payer: Uuid, payee: Uuid, amount: Money, key: MovementKey) -> Self {
        Self::between(PointsKind::Transfer, payer, payee, amount, key)
    }

    /// From a buyer to a seller, for something bought.
    pub const fn purchase(buyer: Uuid, seller: Uuid, amount: Money, key: MovementKey) -> Self {
        Self::between(PointsKind::Purchase, buyer, seller, amount, key)
    }

    /// Back from a seller to a buyer.
    pub const fn refund(seller: Uuid, buyer: Uuid, amount: Money, key: MovementKey) -> Self {
        Self::between(PointsKind::Refund, seller, buyer, amount, key)
    }

    /// Points that come into the system: a user bought them. One entry, which no other account balances.
    pub const fn recharge(user: Uuid, amount: Money, key: MovementKey) -> Self {
        Self { kind: PointsKind::Recharge, payer: None, payee: Some(user), amount, key, remark: None }
    }

    /// Points that leave the system: they are paid out to a user. One entry, which no other account balances.
    pub const fn withdraw(user: Uuid, amount: Money, key: MovementKey) -> Self {
        Self { kind: PointsKind::Withdraw, payer: Some(user), payee: None, amount, key, remark: None }
    }

    const fn between(kind: PointsKind, payer: Uuid, payee: Uuid, amount: Money, key: MovementKey) -> Self {
        Self { kind, payer: Some(payer), payee: Some(payee), amount, key, remark: None }
    }

    /// With what the users want to be known about it.
    #[must_use]
    pub fn remark(mut self, remark: LongText) -> Self {
        self.remark = Some(remark);
        self
    }

    fn check(&self) -> Result<(), Error> {
        if self.payer == self.payee {
            return Err(Error::Invalid("points are not moved from an account to itself".to_owned()));
        }
        if !self.amount.is_positive() {
            return Err(Error::Invalid("the points to be moved must be more than zero".to_owned()));
        }
        self.key.clone().non_blank().at("points_transactions.idempotency_key")?;
        Ok(())
    }

    /// Its users, in the order in which their accounts are locked.
    fn users(&self) -> Vec<Uuid> {
        let mut users: Vec<Uuid> = self.payer.into_iter().chain(self.payee).collect();
        users.sort_unstable();
        users
    }
}

/// A movement of points that was made: its sides. A movement between users has both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PointsMovement {
    /// Its id, which its entries have as `transfer_id`.
    pub id: Uuid,
    /// Why they moved.
    pub kind: PointsKind,
    /// How many moved, above zero.
    pub amount: Money,
    /// The entry of the account that they went from.
    pub debit: Option<Entry>,
    /// The entry of the account that they came to.
    pub credit: Option<Entry>,
}

impl PointsMovement {
    fn of(entries: Vec<Entry>) -> Option<Self> {
        let (id, kind) = entries.first().map(|entry| (entry.transfer_id, entry.kind))?;
        let (credit, debit): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.amount.is_positive());
        let (credit, debit) = (credit.into_iter().next(), debit.into_iter().next());
        let amount = credit.as_ref().or(debit.as_ref())?.amount;
        // The absolute value of what a column holds is what it holds as well.
        let amount = Money::new(amount.get().abs()).ok()?;
        Some(Self { id, kind, amount, debit, credit })
    }
}

/// Moves points, once for a key however often it is asked for: the same request again returns what was done the first
/// time. An account that receives its first points is opened.
///
/// Both accounts are locked, in the order of their users, before anything is read. Six round trips between users, four
/// where one account is concerned; two more to open an account.
///
/// # Errors
/// [`Error::Invalid`] for no points, less than none, and a payer who is the payee; [`Error::Conflict`] when the payer has
/// too few, or the key was used for another movement; [`Error::Value`] when the payee would have too many for the column.
pub async fn move_points(tx: &Tx, wanted: &PointsMove, now: Timestamp) -> Result<PointsMovement, Error> {
    wanted.check()?;
    let (mut payer, mut payee) = (None, None);
    for user in wanted.users() {
        if wanted.payer == Some(user) {
            payer = lock(tx, user).await?;
        } else {
            payee = Some(lock_or_open(tx, user, now).await?);
        }
    }
    // Whoever made this movement held the same locks: what there is of it is committed and seen.
    if let Some(made) = points_movement(tx, &wanted.key).await? {
        return if is_the_same(wanted, &made, payer.as_ref(), payee.as_ref()) { Ok(made) } else { Err(used_key()) };
    }

    let id = new_id();
    let mut entries = Vec::with_capacity(2);
    if let Some(user) = wanted.payer {
        let held = payer.as_ref().map_or(Money::ZERO, |account| account.balance);
        let Some(account) = payer.filter(|account| account.balance >= wanted.amount) else {
            return Err(Error::Conflict(format!(
                "user {user} has {held} points, which are fewer than {}",
                wanted.amount
            )));
        };
        entries.push(book(tx, id, wanted, account, -wanted.amount.get(), FIRST_SIDE, now).await?);
    }
    if let Some(account) = payee {
        let side = if entries.is_empty() { FIRST_SIDE } else { SECOND_SIDE };
        entries.push(book(tx, id, wanted, account, wanted.amount.get(), side, now).await?);
    }
    let inserts = entries.iter().cloned().map(IntoActiveModel::into_active_model);
    if let Err(error) = Entity::insert_many(inserts).exec_without_returning(tx).await {
        let error = Error::from(error);
        // Another request, with other accounts, took the key at the same moment.
        return Err(if error.database_kind() == Some(Kind::UniqueViolation) { used_key() } else { error });
    }
    PointsMovement::of(entries).ok_or_else(used_key)
}

/// The movement of a key, if it was made. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn points_movement(db: &impl ConnectionTrait, key: &MovementKey) -> Result<Option<PointsMovement>, Error> {
    let keys = [FIRST_SIDE, SECOND_SIDE].map(|side| format!("{key}{side}"));
    Ok(PointsMovement::of(Entity::find().filter(Column::IdempotencyKey.is_in(keys)).all(db).await?))
}

/// Changes the balance of a locked account, and returns the entry that says so. One round trip.
async fn book(
    tx: &Tx,
    movement: Uuid,
    wanted: &PointsMove,
    account: Account,
    change: rust_decimal::Decimal,
    side: &str,
    now: Timestamp,
) -> Result<Entry, Error> {
    let balance = Money::new(account.balance.get() + change).at("points_accounts.balance")?;
    let version = account.version.wrapping_add(1);
    // The sum is made here, not by the engine: SQLite would make it of floats. The lock keeps the balance as it was read,
    // and the version proves it.
    let updated = AccountEntity::update_many()
        .col_expr(AccountColumn::Balance, Expr::val(balance))
        .col_expr(AccountColumn::Version, Expr::val(version))
        .col_expr(AccountColumn::UpdatedAt, Expr::val(now))
        .filter(AccountColumn::Id.eq(account.id))
        .filter(AccountColumn::Version.eq(account.version))
        .exec(tx)
        .await?;
    if updated.rows_affected != 1 {
        return Err(Error::stale("points account", account.id));
    }
    Ok(Entry {
        id: entry_id(now, version)?,
        transfer_id: movement,
        account_id: account.id,
        amount: Money::new(change).at("points_transactions.amount")?,
        balance_after: balance,
        kind: wanted.kind,
        idempotency_key: Text::try_from(format!("{}{side}", wanted.key)).at("points_transactions.idempotency_key")?,
        remark: wanted.remark.clone(),
        created_at: now,
    })
}

/// An id whose twelve bits after the time count the changes of the account: its entries of one millisecond are in the order
/// in which they were made.
fn entry_id(now: Timestamp, version: i32) -> Result<Uuid, Error> {
    let id = id_at(now).at("points_transactions.id")?.as_u128();
    let counter = u128::from(version.unsigned_abs() & 0xfff) << 64;
    Ok(Uuid::from_u128(id & !(0xfff << 64) | counter))
}

/// The account of a user, if there is one, kept from changing until the transaction ends. (SQLite has one writer.)
async fn lock(tx: &Tx, user: Uuid) -> Result<Option<Account>, Error> {
    Ok(AccountEntity::find().filter(AccountColumn::UserId.eq(user)).lock_exclusive().one(tx).await?)
}

async fn lock_or_open(tx: &Tx, user: Uuid, now: Timestamp) -> Result<Account, Error> {
    if let Some(account) = lock(tx, user).await? {
        return Ok(account);
    }
    open_points_account(tx, user, now).await?;
    lock(tx, user).await?.ok_or_else(|| Error::not_found("points account of user", user))
}

/// Whether the movement that was made is the one that is wanted.
fn is_the_same(wanted: &PointsMove, made: &PointsMovement, payer: Option<&Account>, payee: Option<&Account>) -> bool {
    let account = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.account_id);
    let sides = made.debit.iter().chain(&made.credit);
    made.kind == wanted.kind
        && made.amount == wanted.amount
        && account(&made.debit) == payer.map(|account| account.id)
        && account(&made.credit) == payee.map(|account| account.id)
        && sides.into_iter().all(|entry| entry.remark == wanted.remark)
}

fn used_key() -> Error {
    Error::Conflict("the idempotency key was used for another movement of points".to_owned())
}

impl Mall<'_> {
    /// Moves points, once for a key however often it is asked for: [`move_points`] in a transaction of its own. Eight round
    /// trips between users, six where one account is concerned; two more to open an account.
    ///
    /// # Errors
    /// As [`move_points`].
    ///
    /// # Cancellation
    /// A dropped future has moved nothing, or everything if the commit had begun; asking again tells.
    pub async fn move_points(&self, wanted: &PointsMove) -> Result<PointsMovement, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| move_points(tx, wanted, now).await).await
    }

    /// The movement of a key, if it was made. One round trip.
    ///
    /// # Errors
    /// As [`points_movement`].
    pub async fn points_movement(&self, key: &MovementKey) -> Result<Option<PointsMovement>, Error> {
        points_movement(self.db.reader(), key).await
    }
}

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};
use serde_json::{Map, Value, json};

use super::scan::Scan;
use super::{NewTrade, Trading};
use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::entity::trading::ReconciliationStatus;
use crate::entity::trading::reconciliation::{Column, Entity, Model as Reconciliation};
use crate::entity::trading::trade::Model as Trade;
use crate::types::{AtColumn, Json, Text, TimeRange, Timestamp, id_at};

/// Trades of each kind that the details name at most; the counts are of all.
const DETAILS: usize = 100;

/// What an exchange says was traded of a symbol: all of a range of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The exchange, in lower case.
    pub exchange: Text<32>,
    /// The symbol.
    pub symbol: Text<32>,
    /// The range that it is complete for.
    pub range: TimeRange,
    /// Every trade of it, in whatever order. Of what is ours alone (`order_id`, `pnl`) nothing is compared.
    pub trades: Vec<NewTrade>,
    /// The instance that compares; empty where there is but one.
    pub instance_id: Text<64>,
}

/// How our trades differ from a snapshot. Both sides are held in memory: a few hundred bytes a trade.
#[derive(Debug, Default)]
struct Comparison {
    local: u64,
    exchange: u64,
    missing_local: Vec<Trade>,
    missing_exchange: Examples,
    mismatched: Examples,
}

/// How many there are, and the first of them.
#[derive(Debug, Default)]
struct Examples {
    count: u64,
    first: Vec<Value>,
}

impl Examples {
    fn add(&mut self, example: impl FnOnce() -> Value) {
        self.count += 1;
        if self.first.len() < DETAILS {
            self.first.push(example());
        }
    }
}

/// Compares our trades of the snapshot's range with it. One round trip for 10,000 of ours.
async fn compare(db: &impl ConnectionTrait, snapshot: &Snapshot, now: Timestamp) -> Result<Comparison, Error> {
    let mut theirs = indexed(snapshot, now)?;
    let mut comparison = Comparison { exchange: theirs.len() as u64, ..Comparison::default() };
    let mut scan = Scan::of(&snapshot.exchange, &snapshot.symbol, snapshot.range);
    while let Some(trades) = scan.next(db).await? {
        for ours in trades {
            comparison.local += 1;
            match theirs.remove(&ours.exchange_trade_id) {
                Some(trade) => {
                    let fields = differences(&ours, &trade);
                    if !fields.is_empty() {
                        comparison.mismatched.add(|| json!({"id": ours.exchange_trade_id, "fields": fields}));
                    }
                }
                None => comparison.missing_exchange.add(|| json!(ours.exchange_trade_id)),
            }
        }
    }
    comparison.missing_local = theirs.into_values().collect();
    comparison.missing_local.sort_by_key(|trade| trade.id);
    Ok(comparison)
}

/// The snapshot's trades by the exchange's id; one that is in it twice alike counts once.
fn indexed(snapshot: &Snapshot, now: Timestamp) -> Result<HashMap<Text<64>, Trade>, Error> {
    let mut trades = HashMap::with_capacity(snapshot.trades.len());
    for trade in &snapshot.trades {
        let TimeRange { from, to } = snapshot.range;
        let is_inside = from.is_none_or(|from| trade.traded_at >= from) && to.is_none_or(|to| trade.traded_at < to);
        if trade.exchange != snapshot.exchange || trade.symbol != snapshot.symbol || !is_inside {
            return Err(Error::Invalid(format!("the trade {} is not of the snapshot", trade.exchange_trade_id)));
        }
        let trade = trade.clone().into_model(now)?;
        match trades.entry(trade.exchange_trade_id.clone()) {
            Entry::Vacant(place) => drop(place.insert(trade)),
            Entry::Occupied(place) if differences(place.get(), &trade).is_empty() => {}
            Entry::Occupied(place) => {
                return Err(Error::Invalid(format!("the snapshot has two different trades {}", place.key())));
            }
        }
    }
    Ok(trades)
}

/// What an exchange says of a trade, where the two say different things.
fn differences(ours: &Trade, theirs: &Trade) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut compare = |name: &str, ours: String, theirs: String| {
        if ours != theirs {
            fields.insert(name.to_owned(), json!({"local": ours, "exchange": theirs}));
        }
    };
    compare("side", ours.side.to_string(), theirs.side.to_string());
    compare("price", ours.price.to_string(), theirs.price.to_string());
    compare("quantity", ours.quantity.to_string(), theirs.quantity.to_string());
    compare("quote_quantity", ours.quote_quantity.to_string(), theirs.quote_quantity.to_string());
    compare("fee", ours.fee.to_string(), theirs.fee.to_string());
    compare("fee_asset", ours.fee_asset.to_string(), theirs.fee_asset.to_string());
    compare("is_maker", ours.is_maker.to_string(), theirs.is_maker.to_string());
    compare("traded_at", ours.traded_at.to_string(), theirs.traded_at.to_string());
    fields
}

/// Which reconciliations, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconciliationFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    exchange: Option<String>,
    symbol: Option<String>,
    status: Option<ReconciliationStatus>,
}

crate::domain::paged!(ReconciliationFilter);

impl ReconciliationFilter {
    /// All reconciliations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a symbol.
    pub fn symbol(symbol: impl Into<String>) -> Self {
        let mut filter = Self::new();
        filter.criteria.symbol = Some(symbol.into());
        filter
    }

    /// On this exchange.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.criteria.exchange = Some(exchange.into());
        self
    }

    /// That ended so.
    #[must_use]
    pub const fn status(mut self, status: ReconciliationStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }
}

/// A page of reconciliations. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn reconciliations(
    db: &impl ConnectionTrait,
    filter: &ReconciliationFilter,
) -> Result<Page<Reconciliation>, Error> {
    let Criteria { exchange, symbol, status } = &filter.criteria;
    let select = Entity::find()
        .apply_if(exchange.as_deref(), |select, exchange| select.filter(Column::Exchange.eq(exchange)))
        .apply_if(symbol.as_deref(), |select, symbol| select.filter(Column::Symbol.eq(symbol)))
        .apply_if(*status, |select, status| select.filter(Column::Status.eq(status)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

impl Trading<'_> {
    /// A page of reconciliations. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn reconciliations(&self, filter: &ReconciliationFilter) -> Result<Page<Reconciliation>, Error> {
        reconciliations(self.db.reader(), filter).await
    }

    /// Compares our trades with what the exchange says, and records it: `running` at first, then `matched`, `mismatched` or
    /// `failed`. With `repair`, the trades that we miss are saved (with their statistics); what the exchange does not know,
    /// and what differs, stays as it is for somebody to look at. The status is of what was found, repaired or not; the
    /// details name the first hundred trades of each kind, and how many were saved.
    ///
    /// Two round trips, one for 10,000 of our trades, and those of [`Trading::save_trades`] for a repair. Trades are matched
    /// by the exchange's id; one that both have at different times is mismatched only if both are in the range.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a snapshot with trades that are not of it, or two that differ under one id, and
    /// [`Error::Value`] for a trade that cannot be stored: nothing is recorded then. Those of the database: then it is recorded
    /// as `failed` if that is possible.
    ///
    /// # Cancellation
    /// Dropped, it stays recorded as `running`.
    pub async fn reconcile(&self, snapshot: &Snapshot, repair: bool) -> Result<Reconciliation, Error> {
        let started_at = self.clock.now();
        indexed(snapshot, started_at)?;
        let mut row = Reconciliation {
            id: id_at(started_at).at("reconciliations.id")?,
            exchange: snapshot.exchange.clone().non_blank().at("reconciliations.exchange")?,
            symbol: snapshot.symbol.clone().non_blank().at("reconciliations.symbol")?,
            instance_id: snapshot.instance_id.clone(),
            started_at,
            finished_at: None,
            local_count: 0,
            exchange_count: 0,
            missing_local: 0,
            missing_exchange: 0,
            mismatched: 0,
            details: Json::default(),
            status: ReconciliationStatus::Running,
            created_at: started_at,
        };
        Entity::insert(row.clone().into_active_model()).exec_without_returning(self.db.writer()).await?;
        let compared = self.compare_and_repair(snapshot, repair, &mut row).await;
        row.finished_at = Some(self.clock.now());
        if compared.is_err() {
            row.status = ReconciliationStatus::Failed;
        }
        let finished = finish(self.db.writer(), &row).await;
        compared?;
        finished.map(|()| row)
    }

    async fn compare_and_repair(
        &self,
        snapshot: &Snapshot,
        repair: bool,
        row: &mut Reconciliation,
    ) -> Result<(), Error> {
        let Comparison { local, exchange, missing_local, missing_exchange, mismatched } =
            compare(self.db.writer(), snapshot, row.started_at).await?;
        let missing: Vec<_> = missing_local.iter().take(DETAILS).map(|trade| json!(trade.exchange_trade_id)).collect();
        row.local_count = count(local);
        row.exchange_count = count(exchange);
        row.missing_local = count(missing_local.len() as u64);
        row.missing_exchange = count(missing_exchange.count);
        row.mismatched = count(mismatched.count);
        let differ = row.missing_local + row.missing_exchange + row.mismatched > 0;
        row.status = if differ { ReconciliationStatus::Mismatched } else { ReconciliationStatus::Matched };
        let repaired = if repair { self.save_models(missing_local, row.started_at).await?.inserted } else { 0 };
        row.details = Json::of(&json!({
            "missing_local": missing,
            "missing_exchange": missing_exchange.first,
            "mismatched": mismatched.first,
            "repaired": repaired,
        }))
        .at("reconciliations.details")?;
        Ok(())
    }
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

async fn finish(db: &impl ConnectionTrait, row: &Reconciliation) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::FinishedAt, Expr::val(row.finished_at))
        .col_expr(Column::LocalCount, Expr::val(row.local_count))
        .col_expr(Column::ExchangeCount, Expr::val(row.exchange_count))
        .col_expr(Column::MissingLocal, Expr::val(row.missing_local))
        .col_expr(Column::MissingExchange, Expr::val(row.missing_exchange))
        .col_expr(Column::Mismatched, Expr::val(row.mismatched))
        .col_expr(Column::Details, Expr::val(row.details.clone()))
        .col_expr(Column::Status, Expr::val(row.status))
        .filter(Column::Id.eq(row.id))
        .exec(db)
        .await?;
    Ok(())
}

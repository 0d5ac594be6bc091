use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::db::Tx;
use crate::domain::trading::{NewOrder, check_fence};
use crate::entity::trading::symbol_assignment::Model as SymbolAssignment;
use crate::types::Text;

/// A symbol that this instance holds, under a fence. Clones are the same holding; one that was lost never comes back: the
/// symbol taken again is another, with a higher fence.
#[derive(Clone)]
pub struct Held {
    inner: Arc<Inner>,
}

struct Inner {
    exchange: Text<32>,
    symbol: Text<32>,
    instance_id: Text<64>,
    fence: i64,
    /// Until when it is proved that nobody else has taken the symbol.
    deadline: Mutex<Instant>,
    lost: CancellationToken,
}

impl Held {
    pub(super) fn new(row: &SymbolAssignment, deadline: Instant) -> Self {
        let inner = Inner {
            exchange: row.exchange.clone(),
            symbol: row.symbol.clone(),
            instance_id: row.instance_id.clone(),
            fence: row.fence,
            deadline: Mutex::new(deadline),
            lost: CancellationToken::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The exchange.
    pub fn exchange(&self) -> &Text<32> {
        &self.inner.exchange
    }

    /// The symbol.
    pub fn symbol(&self) -> &Text<32> {
        &self.inner.symbol
    }

    /// The fence: higher than that of whoever held the symbol before.
    pub fn fence(&self) -> i64 {
        self.inner.fence
    }

    /// Until when it is proved that nobody else holds the symbol: the lease's length after the last renewal, counted from
    /// before it was asked for. It moves with every renewal.
    pub fn deadline(&self) -> Instant {
        *self.inner.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is proved now that nobody else holds the symbol.
    pub fn is_held(&self) -> bool {
        !self.inner.lost.is_cancelled() && Instant::now() < self.deadline()
    }

    /// Cancelled when the symbol was taken over or given back, or when it can no longer be proved that it was not.
    pub fn lost(&self) -> &CancellationToken {
        &self.inner.lost
    }

    /// An order on this symbol under its fence: placing it checks the fence, in the transaction that writes it.
    #[must_use]
    pub fn order(&self, order: NewOrder) -> NewOrder {
        NewOrder {
            exchange: self.inner.exchange.clone(),
            symbol: self.inner.symbol.clone(),
            instance_id: self.inner.instance_id.clone(),
            fence: Some(self.inner.fence),
            ..order
        }
    }

    /// Sees in the transaction of a write that the symbol is still this instance's, under this fence: see [`check_fence`].
    /// One round trip.
    ///
    /// # Errors
    /// As [`check_fence`].
    pub async fn check(&self, tx: &Tx) -> Result<(), Error> {
        let Inner { exchange, symbol, instance_id, fence, .. } = &*self.inner;
        check_fence(tx, exchange, symbol, instance_id, *fence).await.map(drop)
    }

    pub(super) fn prove(&self, deadline: Instant) {
        let mut known = self.inner.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Ord::max(*known, deadline);
    }

    pub(super) fn lose(&self) {
        self.inner.lost.cancel();
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { exchange, symbol, fence, .. } = &*self.inner;
        f.debug_struct("Held").field("exchange", exchange).field("symbol", symbol).field("fence", fence).finish()
    }
}

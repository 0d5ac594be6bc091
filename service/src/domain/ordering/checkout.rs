use sea_orm::EntityTrait;
use sea_orm::sea_query::Expr;
use uuid::Uuid;

use super::draft::Request;
use super::effect::{Effect, Part, Subject, note, wanted};
use super::query::order;
use super::status::Change;
use super::{NewOrder, Ordering, outbox};
use crate::Error;
use crate::domain::inventory::Line;
use crate::domain::{inventory, marketing};
use crate::entity::ordering::OrderStatus;
use crate::entity::ordering::order::{Column, Entity, Model as Order};
use crate::types::{AtColumn, LongText, Money, Text};

/// A step of a checkout: one transaction on one database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The order is written, `pending`, at the catalog's prices.
    Place,
    /// Its stock is put aside.
    Reserve,
    /// Its coupon is redeemed.
    Redeem,
    /// It becomes `confirmed`, with what its coupon takes off.
    Confirm,
    /// It becomes `cancelled`: stock or coupon were not to be had, or it was left behind for too long.
    Cancel,
    /// What stock it holds becomes free.
    Release,
    /// Its coupon can be used again.
    GiveBack,
    /// The message that asked for the last two is marked.
    Publish,
    /// Nothing is left to do.
    Done,
}

/// A checkout on its way: a saga over ordering, inventory and marketing, each in a database that may be its own.
///
/// Every step can be repeated without harm, by anybody: a crash between two of them leaves a `pending` order, or a
/// cancelled one with a message in the outbox, which the sweeper brings to an end by the same steps. Stock and coupon
/// know an order that was undone, so that a step that comes late is refused.
#[derive(Debug)]
pub struct Checkout<'a> {
    ordering: Ordering<'a>,
    next: Step,
    request: Option<Box<Request>>,
    order: Option<Order>,
    lines: Vec<Line>,
    discount: Money,
    message: Option<Uuid>,
    refused: Option<Error>,
}

impl<'a> Checkout<'a> {
    /// A checkout of which nothing has happened yet.
    pub(super) fn new(ordering: Ordering<'a>, order: NewOrder) -> Result<Self, Error> {
        let request = order.into_request()?;
        Ok(Self { lines: wanted(&request.lines), request: Some(Box::new(request)), ..Self::at(ordering, Step::Place) })
    }

    /// A checkout that somebody has left behind.
    pub(super) fn resumed(ordering: Ordering<'a>, order: Order, lines: Vec<Line>) -> Self {
        let next = if order.status == OrderStatus::Pending { Step::Reserve } else { Step::Done };
        Self { order: Some(order), lines, ..Self::at(ordering, next) }
    }

    /// One that is given up, for this reason.
    pub(super) fn abandoned(ordering: Ordering<'a>, order: Order, reason: Error) -> Self {
        let resumed = Self::resumed(ordering, order, Vec::new());
        let next = if resumed.next == Step::Reserve { Step::Cancel } else { resumed.next };
        Self { next, refused: Some(reason), ..resumed }
    }

    const fn at(ordering: Ordering<'a>, next: Step) -> Self {
        Self {
            ordering,
            next,
            request: None,
            order: None,
            lines: Vec::new(),
            discount: Money::ZERO,
            message: None,
            refused: None,
        }
    }

    /// What [`Checkout::advance`] will do.
    pub const fn next(&self) -> Step {
        self.next
    }

    /// The order, once it is placed.
    pub const fn order(&self) -> Option<&Order> {
        self.order.as_ref()
    }

    /// Does the next step, and says which one that was. A step that is refused (not enough stock, a coupon that is gone)
    /// is no error here: the steps that undo the order come next.
    ///
    /// # Errors
    /// Those of the step's database: the step may have happened or not, and is repeated by the next call. Those of
    /// [`Step::Place`] when there is no order: see [`Ordering::checkout`].
    ///
    /// # Cancellation
    /// The step may have happened or not; the next call repeats it.
    pub async fn advance(&mut self) -> Result<Step, Error> {
        let step = self.next;
        self.next = match step {
            Step::Place => self.place().await?,
            Step::Reserve => self.reserve().await?,
            Step::Redeem => self.redeem().await?,
            Step::Confirm => self.confirm().await?,
            Step::Cancel => self.cancel().await?,
            Step::Release => {
                self.ordering.part(Part::Release, self.subject()?).await?;
                if self.placed()?.coupon_id.is_some() { Step::GiveBack } else { Step::Publish }
            }
            Step::GiveBack => {
                self.ordering.part(Part::GiveBack, self.subject()?).await?;
                Step::Publish
            }
            Step::Publish => {
                if let Some(message) = self.message {
                    let Ordering { db, clock, .. } = self.ordering;
                    outbox::settle(db.writer(), message, clock.now()).await?;
                }
                Step::Done
            }
            Step::Done => Step::Done,
        };
        Ok(step)
    }

    /// Advances until nothing is left to do.
    ///
    /// # Errors
    /// As [`Checkout::advance`]; and why the order was refused, once it is undone.
    pub async fn finish(mut self) -> Result<Order, Error> {
        while self.next != Step::Done {
            if let Err(error) = self.advance().await {
                // A refusal is what the caller can act on; what is left of the undoing is in the outbox.
                return Err(self.refused.filter(|_| self.message.is_some()).unwrap_or(error));
            }
        }
        self.outcome()
    }

    /// What has become of it.
    ///
    /// # Errors
    /// Why it was refused.
    pub fn outcome(self) -> Result<Order, Error> {
        match (self.refused, self.order) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(order)) => Ok(order),
            (None, None) => Err(Error::Invalid("the order is not placed yet".into())),
        }
    }

    fn placed(&self) -> Result<&Order, Error> {
        self.order.as_ref().ok_or_else(|| Error::Invalid("the order is not placed yet".into()))
    }

    fn subject(&self) -> Result<Subject, Error> {
        let order = self.placed()?;
        Ok(Subject { order_id: order.id, coupon_id: order.coupon_id })
    }

    async fn place(&mut self) -> Result<Step, Error> {
        let Some(request) = &self.request else { return Ok(Step::Done) };
        let order = self.ordering.place(request).await?;
        let next = if order.status == OrderStatus::Pending { Step::Reserve } else { Step::Done };
        self.order = Some(order);
        Ok(next)
    }

    async fn reserve(&mut self) -> Result<Step, Error> {
        let (order, lines) = (self.placed()?, &self.lines);
        let (id, coupon) = (order.id, order.coupon_id);
        let now = self.ordering.clock.now();
        let reserved = self.ordering.inventory;
        let reserved = reserved.transaction(async |tx| inventory::reserve(tx, id, lines, now).await).await;
        self.unless_refused(reserved, if coupon.is_some() { Step::Redeem } else { Step::Confirm })
    }

    async fn redeem(&mut self) -> Result<Step, Error> {
        let Order { id, user_id, total_amount, coupon_id, .. } = *self.placed()?;
        let Some(coupon) = coupon_id else { return Ok(Step::Confirm) };
        let now = self.ordering.clock.now();
        let redeemed = self.ordering.marketing;
        let redeemed = redeemed
            .transaction(async |tx| marketing::redeem(tx, id, coupon, user_id, total_amount, now).await)
            .await
            .map(|discount| self.discount = discount);
        self.unless_refused(redeemed, Step::Confirm)
    }

    fn unless_refused(&mut self, done: Result<(), Error>, next: Step) -> Result<Step, Error> {
        match done {
            Ok(()) => Ok(next),
            Err(error) if is_refusal(&error) => {
                self.refused = Some(error);
                Ok(Step::Cancel)
            }
            Err(error) => Err(error),
        }
    }

    async fn confirm(&mut self) -> Result<Step, Error> {
        let order = self.placed()?.clone();
        let discount = self.discount;
        let rest = order.total_amount.get() - discount.get();
        if rest.is_sign_negative() && !rest.is_zero() {
            return self.unless_refused(Err(Error::Conflict("a discount is not above the total".into())), Step::Done);
        }
        let final_amount = Money::new(rest + order.shipping_fee.get()).at("orders.final_amount")?;
        let now = self.ordering.clock.now();
        self.ordering.ensure_partitions(now).await?;
        let confirmed = self.ordering.db;
        let confirmed = confirmed.transaction(async |tx| {
            let update = Entity::update_many()
                .col_expr(Column::DiscountAmount, Expr::val(discount))
                .col_expr(Column::FinalAmount, Expr::val(final_amount));
            let (from, to) = (OrderStatus::Pending, OrderStatus::Confirmed);
            Change { order: order.id, from, to, remark: None, now }.apply(tx, update).await
        });
        match confirmed.await {
            Ok(()) => {
                let (status, version) = (OrderStatus::Confirmed, order.version + 1);
                let discount_amount = discount;
                let order = Order { status, version, discount_amount, final_amount, updated_at: now, ..order };
                self.order = Some(order);
                Ok(Step::Done)
            }
            Err(error @ Error::Conflict(_)) => self.overtaken(error).await,
            Err(error) => Err(error),
        }
    }

    /// Somebody else has brought the order on: it is as it is, and what it holds is as that one has decided.
    async fn overtaken(&mut self, error: Error) -> Result<Step, Error> {
        let order = order(self.ordering.db.writer(), self.placed()?.id).await?;
        self.refused = self.refused.take().or(Some(error)).filter(|_| order.status == OrderStatus::Cancelled);
        self.order = Some(order);
        Ok(Step::Done)
    }

    async fn cancel(&mut self) -> Result<Step, Error> {
        let subject = self.subject()?;
        let reason = self.refused.as_ref().map(|error| remark(&error.to_string()));
        let now = self.ordering.clock.now();
        self.ordering.ensure_partitions(now).await?;
        let cancelled = self.ordering.db;
        let cancelled = cancelled.transaction(async |tx| {
            let (from, to) = (OrderStatus::Pending, OrderStatus::Cancelled);
            let change = Change { order: subject.order_id, from, to, remark: reason.clone(), now };
            change.apply(tx, Entity::update_many()).await?;
            note(tx, Effect::Release, subject, now).await
        });
        match cancelled.await {
            Ok(message) => {
                self.message = Some(message);
                if let Some(order) = &mut self.order {
                    (order.status, order.version, order.updated_at) = (OrderStatus::Cancelled, order.version + 1, now);
                }
                Ok(Step::Release)
            }
            Err(error @ Error::Conflict(_)) => self.overtaken(error).await,
            Err(error) => Err(error),
        }
    }
}

/// Whether a domain has said no, which it will say again: anything else may be otherwise the next time.
const fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Conflict(_) | Error::NotFound { .. } | Error::Invalid(_) | Error::Value(_))
}

/// A reason as a remark; one that cannot be stored is none.
fn remark(reason: &str) -> LongText {
    Text::try_from(reason).unwrap_or_default()
}

impl<'a> Ordering<'a> {
    /// A checkout that goes on step by step, as its caller says.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Value`] for an order that makes no sense.
    pub fn begin_checkout(&self, order: NewOrder) -> Result<Checkout<'a>, Error> {
        Checkout::new(*self, order)
    }

    /// Places an order: writes it at the catalog's prices, puts its stock aside, redeems its coupon, and confirms it.
    ///
    /// The same request under the same key is the same order, whatever has become of it (look at its status), also when
    /// both come at the same moment; one that a crash has interrupted goes on where it was. Eleven round trips and those
    /// of reserving and redeeming; none depends on the number of lines but what inventory asks for each.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Value`] for an order that makes no sense; [`Error::NotFound`] for a product that
    /// does not exist; [`Error::Conflict`] for one that is not on sale, for a key that came with another request, and,
    /// the order being cancelled, for stock or a coupon that is not to be had. Those of a database: the order is then
    /// finished or undone by the same request again, or by the sweeper.
    ///
    /// # Cancellation
    /// As with an error of a database.
    pub async fn checkout(&self, order: NewOrder) -> Result<Order, Error> {
        self.begin_checkout(order)?.finish().await
    }
}

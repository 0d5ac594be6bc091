use std::collections::HashMap;

use data_encoding::HEXLOWER;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::status::step;
use crate::Error;
use crate::domain::catalog::Offer;
use crate::entity::ordering::{OrderStatus, PaymentStatus, order, order_item, order_status_history};
use crate::types::{AtColumn, Json, LongText, Money, Text, Timestamp, id_at};

/// Lines that an order has at most.
pub const MAX_LINES: usize = 500;

/// An order to be placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// Who orders.
    pub user_id: Uuid,
    /// The caller's name of this request, for this user: the same request again is the same order.
    pub idempotency_key: Text<100>,
    /// What is ordered: 1 to [`MAX_LINES`] lines. A product that stands there twice is one line.
    pub lines: Vec<NewLine>,
    /// The user's coupon that the order redeems.
    #[serde(default)]
    pub coupon: Option<Uuid>,
    /// What the shipping costs.
    pub shipping_fee: Money,
    /// Where it goes.
    pub shipping_address: ShippingAddress,
    /// What the user wants to be known.
    #[serde(default)]
    pub remark: Option<LongText>,
}

/// A product, and how many of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLine {
    /// The product.
    pub product_id: Uuid,
    /// How many, at least one.
    pub quantity: i64,
}

/// Where an order goes, as it was when the order was placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippingAddress {
    /// Who receives it.
    pub receiver_name: Text<50>,
    /// The receiver's phone number.
    pub phone: Text<20>,
    /// The province.
    pub province: Text<50>,
    /// The city.
    pub city: Text<50>,
    /// The district.
    pub district: Text<50>,
    /// Street, house, door.
    pub detail_address: Text<1000>,
}

/// A request for an order that was checked, and by what it is known again.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) user_id: Uuid,
    pub(super) key: Text<100>,
    pub(super) hash: Text<64>,
    /// Each product once, in the order of the request.
    pub(super) lines: Vec<NewLine>,
    pub(super) coupon: Option<Uuid>,
    shipping_fee: Money,
    shipping_address: Json,
    remark: Option<LongText>,
}

impl NewOrder {
    /// Checks what can be checked without a database.
    pub(super) fn into_request(self) -> Result<Request, Error> {
        let key = self.idempotency_key.non_blank().at("idempotency_keys.idempotency_key")?;
        if self.shipping_fee < Money::ZERO {
            return Err(Error::Invalid("a shipping fee is not below zero".into()));
        }
        let ShippingAddress { receiver_name, detail_address, .. } = &self.shipping_address;
        for said in [receiver_name.as_str(), detail_address.as_str()] {
            if said.trim().is_empty() {
                return Err(Error::Invalid("a shipping address names its receiver and the place".into()));
            }
        }
        let lines = merged(self.lines)?;
        let shipping_address = Json::of(&self.shipping_address).at("orders.shipping_address")?;
        let mut sorted: Vec<(Uuid, i64)> = lines.iter().map(|line| (line.product_id, line.quantity)).collect();
        sorted.sort_unstable();
        // Fields in this order, lines in that of their products: the same request is always the same text.
        let canonical = serde_json::to_vec(&(
            "checkout/1",
            self.user_id,
            sorted,
            self.coupon,
            self.shipping_fee,
            &self.shipping_address,
            &self.remark,
        ));
        let canonical =
            canonical.map_err(|error| Error::Invalid(format!("the order has no canonical form: {error}")))?;
        let hash = Text::try_from(HEXLOWER.encode(&Sha256::digest(canonical))).at("idempotency_keys.request_hash")?;
        let Self { user_id, coupon, shipping_fee, remark, .. } = self;
        Ok(Request { user_id, key, hash, lines, coupon, shipping_fee, shipping_address, remark })
    }
}

/// Each product once.
fn merged(lines: Vec<NewLine>) -> Result<Vec<NewLine>, Error> {
    if lines.is_empty() {
        return Err(Error::Invalid("an order has at least one line".into()));
    }
    // Before anything is done with them: a basket of any size costs nothing.
    if lines.len() > MAX_LINES {
        return Err(Error::Invalid(format!("an order has at most {MAX_LINES} lines; this one has {}", lines.len())));
    }
    let mut places: HashMap<Uuid, usize> = HashMap::with_capacity(lines.len());
    let mut merged: Vec<NewLine> = Vec::with_capacity(lines.len());
    for line in lines {
        if line.quantity < 1 {
            return Err(Error::Invalid(format!("at least one of the product {} is ordered, or none", line.product_id)));
        }
        match places.get(&line.product_id) {
            Some(&at) => {
                let both = merged[at].quantity.checked_add(line.quantity);
                merged[at].quantity = both.ok_or_else(|| Error::Invalid("more than can be counted".into()))?;
            }
            None => {
                places.insert(line.product_id, merged.len());
                merged.push(line);
            }
        }
    }
    Ok(merged)
}

/// The rows of an order that is to be placed.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) order: order::Model,
    pub(super) items: Vec<order_item::Model>,
    pub(super) placed: order_status_history::Model,
}

impl Draft {
    /// The order at the prices of these offers. Its discount is not known before its coupon is redeemed.
    pub(super) fn new(request: &Request, offers: Vec<Offer>, now: Timestamp) -> Result<Self, Error> {
        let id = id_at(now).at("orders.id")?;
        let offers: HashMap<Uuid, Offer> = offers.into_iter().map(|offer| (offer.product_id, offer)).collect();
        // Ids in the order of the lines, so that items are read as they were ordered.
        let mut ids =
            (0..request.lines.len()).map(|_| id_at(now)).collect::<Result<Vec<_>, _>>().at("order_items.id")?;
        ids.sort_unstable();
        let mut items = Vec::with_capacity(ids.len());
        let mut total = Decimal::ZERO;
        for (item, line) in ids.into_iter().zip(&request.lines) {
            let product = line.product_id;
            let offer = offers.get(&product).ok_or_else(|| Error::not_found("product", product))?;
            if !offer.on_sale {
                return Err(Error::Conflict(format!("the product {product} is not on sale")));
            }
            let amount = Money::product(offer.price.get(), line.quantity.into()).at("order_items.total_amount")?;
            total += amount.get();
            items.push(order_item::Model {
                id: item,
                order_id: id,
                product_id: product,
                product_name: offer.name.clone(),
                product_image: offer.image.clone(),
                price: offer.price,
                quantity: line.quantity,
                total_amount: amount,
                created_at: now,
            });
        }
        let order = order::Model {
            id,
            order_no: order::number(id).at("orders.order_no")?,
            user_id: request.user_id,
            total_amount: Money::new(total).at("orders.total_amount")?,
            discount_amount: Money::ZERO,
            shipping_fee: request.shipping_fee,
            final_amount: Money::new(total + request.shipping_fee.get()).at("orders.final_amount")?,
            status: OrderStatus::Pending,
            payment_method: None,
            payment_status: PaymentStatus::Pending,
            shipping_address: request.shipping_address.clone(),
            coupon_id: request.coupon,
            remark: request.remark.clone(),
            paid_at: None,
            shipped_at: None,
            delivered_at: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        Ok(Self { order, items, placed: step(id, None, OrderStatus::Pending, None, now)? })
    }
}

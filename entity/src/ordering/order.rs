//! An order.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{OrderStatus, PaymentStatus};
use crate::types::{Json, LongText, Money, Text, Timestamp, ValueError, id_time};

/// What a user has ordered, for how much, and how far it has come.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    /// A version 7 UUID of when it was placed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `ZX`, the day, and the digits of the id: an order is found by its number through the id, without an index.
    pub order_no: Text<50>,
    /// Who ordered.
    pub user_id: Uuid,
    /// The sum of the items.
    pub total_amount: Money,
    /// What the coupon takes off.
    pub discount_amount: Money,
    /// What the shipping costs.
    pub shipping_fee: Money,
    /// Total - discount + shipping.
    pub final_amount: Money,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// How it is paid: `wechat`, `alipay`, ...
    pub payment_method: Option<Text<20>>,
    /// Where its payment is.
    pub payment_status: PaymentStatus,
    /// Where it goes, as the address was when it was placed.
    pub shipping_address: Json,
    /// The user's coupon that it redeems.
    pub coupon_id: Option<Uuid>,
    /// What the user wants to be known.
    pub remark: Option<LongText>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was shipped.
    pub shipped_at: Option<Timestamp>,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What is in it.
    #[sea_orm(has_many)]
    pub items: HasMany<super::order_item::Entity>,
    /// The attempts to pay it.
    #[sea_orm(has_many)]
    pub payments: HasMany<super::order_payment::Entity>,
    /// What happened to it.
    #[sea_orm(has_many)]
    pub history: HasMany<super::order_status_history::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The digits of base 32, by [Crockford](https://www.crockford.com/base32.html): none is mistaken for another one.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many of them an id has.
const LENGTH: u32 = 26;
const EXPECTED: &str = "an order number";

/// The number of the order with this id: `ZX`, the day, and the digits of the id.
///
/// # Errors
/// [`Problem::Malformed`](crate::types::Problem::Malformed) for an id that is no version 7 UUID.
pub fn number(id: Uuid) -> Result<Text<50>, ValueError> {
    let day = id_time(id).ok_or_else(|| ValueError::malformed("an id of version 7"))?.day();
    let digit = |at: u32| char::from(DIGITS[(id.as_u128() >> (5 * at)) as usize & 31]);
    let digits: String = (0..LENGTH).rev().map(digit).collect();
    Text::try_from(format!("ZX{}{digits}", day.format("%Y%m%d")))
}

/// The id of the order with this number, in upper or lower case; whether there is one, the table knows.
///
/// # Errors
/// [`Problem::Malformed`](crate::types::Problem::Malformed) for what is the number of no id.
pub fn id_of(number: &str) -> Result<Uuid, ValueError> {
    let malformed = || ValueError::malformed(EXPECTED);
    let upper = number.to_ascii_uppercase();
    let digits = upper.strip_prefix("ZX").and_then(|rest| rest.get(8..)).ok_or_else(malformed)?;
    if digits.len() != LENGTH as usize {
        return Err(malformed());
    }
    let bits = digits.bytes().try_fold(0_u128, |bits, byte| {
        let digit = DIGITS.iter().position(|known| *known == byte)?;
        Some((bits << 5) | digit as u128)
    });
    let id = Uuid::from_u128(bits.ok_or_else(malformed)?);
    // Digits beyond 128 bits, another version and another day do not come back as they were.
    let same = self::number(id).is_ok_and(|canonical| canonical.as_str() == upper);
    if same { Ok(id) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id_at;

    #[test]
    fn a_number_leads_back_to_its_id() {
        for millis in [0, 1_772_366_400_000, 10_000_000_000_000] {
            let id = id_at(Timestamp::from_millis(millis).unwrap()).unwrap();
            let number = number(id).unwrap();
            assert_eq!(number.len(), 36);
            assert_eq!(id_of(&number), Ok(id));
            assert_eq!(id_of(&number.to_lowercase()), Ok(id));
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let good = number(id_at(Timestamp::from_millis(1_772_366_400_000).unwrap()).unwrap()).unwrap();
        assert!(good.starts_with("ZX20260301"), "{good}");
        let another_day = good.replacen("20260301", "20260302", 1);
        let too_many_bits = format!("{}Z{}", &good[..10], &good[11..]);
        let wrong =
            ["", "ZX", "ZX2026030", &good[1..], &good[..35], &another_day, &too_many_bits, "ZX20260301\u{1f6d2}"];
        for wrong in wrong.into_iter().chain([format!("{good}0").as_str(), &good.replace('Z', "\u{202e}")]) {
            assert!(id_of(wrong).is_err(), "{wrong:?}");
        }
        assert!(number(Uuid::nil()).is_err());
    }
}

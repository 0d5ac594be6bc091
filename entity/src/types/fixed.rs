use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use sea_orm::{ColumnType, TryGetable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::column::{column_value, corrupt};
use super::{Problem, ValueError};

/// An exact decimal number of `P` digits, `S` of them after the point: `numeric(P, S)`.
///
/// It always has scale `S`, so it prints, compares and hashes alike however it was made, and negative zero does not
/// exist. A number with more digits than the column is refused, never rounded; use [`Fixed::round`] where rounding is
/// meant. Arithmetic is that of [`Decimal`] (through [`Fixed::get`]); the result goes back through [`Fixed::new`], which
/// checks it. Serialized as a string, so that no JSON reader turns it into a float.
///
/// `P` is at most 28, what a [`Decimal`] holds without rounding; a larger one does not compile.
///
/// ```
/// use stanchion_entity::types::{Money, Price, Quantity, QuoteAmount};
///
/// let price: Price = "0.00141342".parse()?;
/// let quantity: Quantity = "23".parse()?;
/// assert_eq!(QuoteAmount::new(price.get() * quantity.get())?.to_string(), "0.0325086600000000");
/// assert!(Money::new("0.00001".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fixed<const P: u8, const S: u8>(Decimal);

/// An amount of money: 15 digits before the point, 4 after it.
pub type Money = Fixed<19, 4>;
/// A price on an exchange: 16 digits before the point, 12 after it.
pub type Price = Fixed<28, 12>;
/// A quantity of an asset: 16 digits before the point, 12 after it.
pub type Quantity = Fixed<28, 12>;
/// Price x quantity: 12 digits before the point, 16 after it, exact for eight decimals on both sides.
pub type QuoteAmount = Fixed<28, 16>;
/// A mean of star ratings: `0.00` to `9.99`.
pub type Rating = Fixed<3, 2>;

impl<const P: u8, const S: u8> Fixed<P, S> {
    const SHAPE_IS_VALID: () = assert!(P >= 1 && P <= 28 && S <= P, "1 <= P <= 28 and S <= P");
    const LIMIT: i128 = 10_i128.pow(P as u32);

    /// Zero.
    pub const ZERO: Self = Self::from_units(0);

    /// The number `value`, exactly.
    ///
    /// # Errors
    /// [`Problem::TooPrecise`] when digits after the point would be lost (trailing zeros are not digits),
    /// [`Problem::TooLarge`] when it has more than `P - S` digits before the point.
    pub fn new(value: Decimal) -> Result<Self, ValueError> {
        if value.scale() <= u32::from(S) || value.normalize().scale() <= u32::from(S) {
            Self::rescaled(value)
        } else {
            Err(ValueError::new(Problem::TooPrecise { scale: S }))
        }
    }

    /// `left` x `right`, exactly.
    ///
    /// # Errors
    /// [`Problem::TooPrecise`] or [`Problem::TooLarge`] when the product cannot be held as it is.
    pub fn product(left: Decimal, right: Decimal) -> Result<Self, ValueError> {
        // Without their zeros at the end the factors' digits make an exact product where there is one at all; a `Decimal`
        // would round it in silence.
        let (left, right) = (left.normalize(), right.normalize());
        let scale = left.scale() + right.scale();
        let Some(digits) = left.mantissa().checked_mul(right.mantissa()) else {
            return Err(ValueError::new(Problem::TooLarge { integer_digits: P - S }));
        };
        let (mut digits, mut scale) = (digits, scale);
        while scale > u32::from(S) && digits % 10 == 0 {
            (digits, scale) = (digits / 10, scale - 1);
        }
        let Some(missing) = u32::from(S).checked_sub(scale) else {
            return Err(ValueError::new(Problem::TooPrecise { scale: S }));
        };
        Self::checked_units(10_i128.checked_pow(missing).and_then(|factor| digits.checked_mul(factor)))
    }

    /// The number nearest to `value`, halves going to the even neighbour.
    ///
    /// # Errors
    /// [`Problem::TooLarge`] when the rounded number has more than `P - S` digits before the point.
    pub fn round(value: Decimal) -> Result<Self, ValueError> {
        Self::rescaled(value.round_dp(u32::from(S)))
    }

    /// The number without its point: `units / 10^S`.
    const fn from_units(units: i128) -> Self {
        () = Self::SHAPE_IS_VALID;
        let digits = units.unsigned_abs();
        Self(Decimal::from_parts(digits as u32, (digits >> 32) as u32, (digits >> 64) as u32, units < 0, S as u32))
    }

    fn rescaled(value: Decimal) -> Result<Self, ValueError> {
        let mantissa = value.mantissa();
        let units = match u32::from(S).checked_sub(value.scale()) {
            Some(missing) => 10_i128.checked_pow(missing).and_then(|factor| mantissa.checked_mul(factor)),
            // The digits that fall away are zeros: `new` and `round` have seen to that.
            None => Some(mantissa / 10_i128.pow(value.scale() - u32::from(S))),
        };
        Self::checked_units(units)
    }

    fn checked_units(units: Option<i128>) -> Result<Self, ValueError> {
        match units {
            Some(units) if units.abs() < Self::LIMIT => Ok(Self::from_units(units)),
            _ => Err(ValueError::new(Problem::TooLarge { integer_digits: P - S })),
        }
    }

    /// The number, at scale `S`.
    pub const fn get(self) -> Decimal {
        self.0
    }

    /// Whether it is greater than zero.
    pub const fn is_positive(self) -> bool {
        self.0.is_sign_positive() && !self.0.is_zero()
    }

    /// Itself, when it is greater than zero.
    ///
    /// # Errors
    /// [`Problem::NotPositive`].
    pub const fn positive(self) -> Result<Self, ValueError> {
        if self.is_positive() { Ok(self) } else { Err(ValueError::new(Problem::NotPositive)) }
    }
}

impl<const P: u8, const S: u8> Default for Fixed<P, S> {
    fn default() -> Self {
        Self::ZERO
    }
}

impl<const P: u8, const S: u8> FromStr for Fixed<P, S> {
    type Err = ValueError;

    /// Reads digits with an optional sign, point and exponent (`1.5e-7`). Nothing is rounded on the way.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let value = if Digits::of(text).is_some() {
            let text = strip_trailing_zeros(text);
            Decimal::from_str_exact(text).map_err(|_| Self::beyond_decimal(text))?
        } else {
            Self::scientific(text)?
        };
        Self::new(value)
    }
}

impl<const P: u8, const S: u8> Fixed<P, S> {
    fn scientific(text: &str) -> Result<Decimal, ValueError> {
        let malformed = ValueError::new(Problem::Malformed { expected: "a decimal number" });
        let Some((digits, _exponent)) = text.split_once(['e', 'E']).filter(|(digits, _)| Digits::of(digits).is_some())
        else {
            return Err(malformed);
        };
        Decimal::from_scientific(text).map_err(|error| match error {
            rust_decimal::Error::Underflow | rust_decimal::Error::ScaleExceedsMaximumPrecision(_) => {
                ValueError::new(Problem::TooPrecise { scale: S })
            }
            rust_decimal::Error::ExceedsMaximumPossibleValue => Self::beyond_decimal(digits),
            _ => malformed,
        })
    }

    /// Which limit a number breaks that not even a [`Decimal`] holds.
    fn beyond_decimal(text: &str) -> ValueError {
        let integer = text.trim_start_matches(['+', '-']).split('.').next().unwrap_or_default();
        let digits = integer.trim_start_matches('0').len();
        if digits > usize::from(P - S) {
            ValueError::new(Problem::TooLarge { integer_digits: P - S })
        } else {
            ValueError::new(Problem::TooPrecise { scale: S })
        }
    }
}

/// `1.50000` as `1.5`: zeros at the end say nothing, and a number may have more of them than a `Decimal` has room for.
fn strip_trailing_zeros(text: &str) -> &str {
    if text.contains('.') {
        let stripped = text.trim_end_matches('0');
        stripped.strip_suffix('.').unwrap_or(stripped)
    } else {
        text
    }
}

impl<const P: u8, const S: u8> fmt::Display for Fixed<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const P: u8, const S: u8> fmt::Debug for Fixed<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const P: u8, const S: u8> Serialize for Fixed<P, S> {
    fn serialize<Out: Serializer>(&self, serializer: Out) -> Result<Out::Ok, Out::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const P: u8, const S: u8> Deserialize<'de> for Fixed<P, S> {
    /// From a string; a JSON number has been through a float in most readers, and is refused.
    fn deserialize<In: Deserializer<'de>>(deserializer: In) -> Result<Self, In::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

column_value! {
    impl[const P: u8, const S: u8] Fixed<P, S> as Decimal {
        column_type: ColumnType::Decimal(Some((u32::from(P), u32::from(S)))),
        into: |value| value.0,
        from: |inner| Fixed::new(inner),
        read: |row, index| {
            // SeaORM reads SQLite's decimals through f64; the column is text, and is read as such.
            if row.try_as_sqlite_row().is_some() {
                let text = <String as TryGetable>::try_get_by(row, index)?;
                text.parse().map_err(|error| corrupt("Fixed", error))
            } else {
                Fixed::new(Decimal::try_get_by(row, index)?).map_err(|error| corrupt("Fixed", error))
            }
        },
    }
}

/// The order of two decimal numbers written as text: SQLite's collation `decimal`.
///
/// It compares digits, whatever their number, without making numbers of them, and allocates nothing. Text that is no
/// number sorts before every number, by its bytes; so the order is total, which SQLite relies on. The `sqlite3` shell has
/// a collation of the same name and order, so that files can be opened with it.
pub fn decimal_cmp(left: &str, right: &str) -> Ordering {
    match (Digits::of(left), Digits::of(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// A decimal number as its sign and digits, without leading zeros before the point or trailing ones after it.
struct Digits<'a> {
    negative: bool,
    integer: &'a str,
    fraction: &'a str,
}

impl<'a> Digits<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (integer, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if integer.len() + fraction.len() == 0 || !all_digits(integer) || !all_digits(fraction) {
            return None;
        }
        let integer = integer.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        Some(Self { negative: negative && integer.len() + fraction.len() > 0, integer, fraction })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let magnitude = (self.integer.len().cmp(&other.integer.len()))
            .then_with(|| self.integer.cmp(other.integer))
            .then_with(|| self.fraction.cmp(other.fraction));
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => magnitude,
            (true, true) => magnitude.reverse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_fits_and_one_more_does_not() {
        assert!("9999999999999999.999999999999".parse::<Price>().is_ok());
        let error = "10000000000000000".parse::<Price>().unwrap_err();
        assert_eq!(error.problem(), &Problem::TooLarge { integer_digits: 16 });
        assert!("-9999999999999999.999999999999".parse::<Price>().is_ok());
    }

    #[test]
    fn digits_beyond_the_scale_are_refused_but_zeros_are_not() {
        assert_eq!("1.50000000000000000000000000000000000000".parse::<Money>().unwrap().to_string(), "1.5000");
        assert_eq!("1.00001".parse::<Money>().unwrap_err().problem(), &Problem::TooPrecise { scale: 4 });
        let forty = "0.1234567890123456789012345678901234567891";
        assert_eq!(forty.parse::<Price>().unwrap_err().problem(), &Problem::TooPrecise { scale: 12 });
        let forty = "1234567890123456789012345678901234567890";
        assert_eq!(forty.parse::<Price>().unwrap_err().problem(), &Problem::TooLarge { integer_digits: 16 });
    }

    #[test]
    fn what_is_no_number_is_malformed() {
        for text in ["", "-", ".", "1.2.3", "0x10", "NaN", "inf", "1,5", "١", "e", "1e", " 1"] {
            let error = text.parse::<Price>().unwrap_err();
            assert_eq!(error.problem(), &Problem::Malformed { expected: "a decimal number" }, "{text:?}");
        }
    }

    #[test]
    fn exponents_are_exact() {
        assert_eq!("1.5e-7".parse::<Price>().unwrap().to_string(), "0.000000150000");
        assert_eq!("2E3".parse::<Price>().unwrap().to_string(), "2000.000000000000");
        assert!("1e-13".parse::<Price>().is_err());
        assert!("1e999999999999".parse::<Price>().is_err());
    }

    #[test]
    fn negative_zero_does_not_exist() {
        assert_eq!("-0.0".parse::<Money>().unwrap().to_string(), "0.0000");
        assert_eq!("-0.0".parse::<Money>().unwrap(), Money::ZERO);
    }

    #[test]
    fn the_collation_orders_text_as_numbers() {
        let ascending =
            ["abc", "-100.5", "-20", "-3.14", "-3.1", "-0.001", "0", "0.0009", "0.01", "2", "10", "10.5", "9999999999"];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(decimal_cmp(left, right), at.cmp(&other), "{left} <=> {right}");
            }
        }
        assert_eq!(decimal_cmp("0", "-0.00"), Ordering::Equal);
        assert_eq!(decimal_cmp("1.50", "+01.5"), Ordering::Equal);
    }
}

use rust_decimal::Decimal;

use crate::entity::market::Period;
use crate::types::{AtColumn, Price, Problem, Quantity, QuoteAmount, Timestamp, ValueError};

/// What orders points of the same instant. Numbers come before texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Number(u128),
    Text(String),
}

impl Rank {
    /// That of an exchange's id: its number if it is one, else its text. So 9 comes before 10.
    pub(super) fn of(id: &str) -> Self {
        let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
        match id.parse() {
            Ok(number) if is_number => Self::Number(number),
            _ => Self::Text(id.to_owned()),
        }
    }
}

/// Something that goes into a candle: a tick, a trade, or a smaller candle.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) at: Timestamp,
    pub(super) rank: Rank,
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    pub(super) close: Price,
    pub(super) volume: Quantity,
    pub(super) quote_volume: QuoteAmount,
    pub(super) trade_count: i64,
}

/// What a candle says of its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) open_time: Timestamp,
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    pub(super) close: Price,
    pub(super) volume: Quantity,
    pub(super) quote_volume: QuoteAmount,
    pub(super) trade_count: i64,
}

/// Makes parts of points that come interval by interval; within one their order does not matter.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    period: Period,
    pending: Option<Sums>,
}

impl Fold {
    pub(super) const fn new(period: Period) -> Self {
        Self { period, pending: None }
    }

    /// Takes a point in. What comes out is the interval before, when the point begins another.
    pub(super) fn add(&mut self, point: Point) -> Result<Option<Part>, ValueError> {
        let open_time = self.period.interval_of(point.at).at("candles.open_time")?;
        match &mut self.pending {
            Some(sums) if sums.open_time == open_time => {
                sums.add(point);
                Ok(None)
            }
            pending => pending.replace(Sums::of(open_time, point)).map(Sums::part).transpose(),
        }
    }

    /// When the interval that is being added up began.
    pub(super) fn pending(&self) -> Option<Timestamp> {
        self.pending.as_ref().map(|sums| sums.open_time)
    }

    /// The last interval.
    pub(super) fn finish(&mut self) -> Result<Option<Part>, ValueError> {
        self.pending.take().map(Sums::part).transpose()
    }
}

#[derive(Clone, Debug)]
struct Sums {
    open_time: Timestamp,
    first: (Timestamp, Rank),
    last: (Timestamp, Rank),
    open: Price,
    high: Price,
    low: Price,
    close: Price,
    /// Digits without the point: 28 each at most, so that 10^10 of them can be added.
    volume: i128,
    quote_volume: i128,
    trade_count: i64,
}

impl Sums {
    fn of(open_time: Timestamp, point: Point) -> Self {
        let Point { at, rank, open, high, low, close, volume, quote_volume, trade_count } = point;
        let place = (at, rank);
        Self {
            open_time,
            first: place.clone(),
            last: place,
            open,
            high,
            low,
            close,
            volume: volume.get().mantissa(),
            quote_volume: quote_volume.get().mantissa(),
            trade_count,
        }
    }

    fn add(&mut self, point: Point) {
        let Point { at, rank, open, high, low, close, volume, quote_volume, trade_count } = point;
        let place = (at, rank);
        self.high = self.high.max(high);
        self.low = self.low.min(low);
        self.volume += volume.get().mantissa();
        self.quote_volume += quote_volume.get().mantissa();
        self.trade_count += trade_count;
        if place < self.first {
            (self.first, self.open) = (place, open);
        } else if place >= self.last {
            (self.last, self.close) = (place, close);
        }
    }

    fn part(self) -> Result<Part, ValueError> {
        let Self { open_time, open, high, low, close, trade_count, .. } = self;
        let volume = decimal(self.volume, 12).and_then(Quantity::new);
        let quote_volume = decimal(self.quote_volume, 16).and_then(QuoteAmount::new);
        Ok(Part {
            open_time,
            open,
            high,
            low,
            close,
            volume: volume.at("candles.volume")?,
            quote_volume: quote_volume.at("candles.quote_volume")?,
            trade_count,
        })
    }
}

fn decimal(units: i128, scale: u8) -> Result<Decimal, ValueError> {
    let too_large = || ValueError::at("candles", Problem::TooLarge { integer_digits: 28 - scale });
    Decimal::try_from_i128_with_scale(units, u32::from(scale)).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(micros: i64, id: &str, price: &str) -> Point {
        let price: Price = price.parse().unwrap();
        Point {
            at: Timestamp::from_micros(micros).unwrap(),
            rank: Rank::of(id),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: "9999999999999999".parse().unwrap(),
            quote_volume: "1".parse().unwrap(),
            trade_count: 1,
        }
    }

    #[test]
    fn ids_are_ordered_as_numbers_where_they_are_numbers() {
        let mut fold = Fold::new(Period::M1);
        for (id, price) in [("10", "3"), ("9", "2"), ("0008", "1"), ("b", "5"), ("a", "4"), ("+7", "4.5")] {
            let mut point = point(1, id, price);
            point.volume = "1".parse().unwrap();
            assert_eq!(fold.add(point), Ok(None));
        }
        let part = fold.finish().unwrap().unwrap();
        assert_eq!((part.open.to_string(), part.close.to_string()), ("1.000000000000".into(), "5.000000000000".into()));
        assert_eq!(fold.finish(), Ok(None));
    }

    #[test]
    fn a_sum_that_its_column_cannot_hold_is_refused_and_not_rounded() {
        let mut fold = Fold::new(Period::D1);
        (0..20).for_each(|at| assert_eq!(fold.add(point(at, "1", "1")), Ok(None)));
        let error = fold.finish().unwrap_err();
        assert_eq!(error.column(), Some("candles.volume"));
        assert_eq!(error.problem(), &Problem::TooLarge { integer_digits: 16 });
    }
}

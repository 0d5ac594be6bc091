use std::collections::BTreeMap;

use stanchion::domain::trading::NewTrade;
use stanchion::types::{Price, QuoteAmount};

/// What trades add up to, by exchange and symbol.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    by_exchange: BTreeMap<String, BTreeMap<String, Sums>>,
}

/// Exact sums, in units of the columns' last digits: far more trades than there are fit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) count: u64,
    quantity: i128,
    quote_quantity: i128,
}

impl Tally {
    pub(super) fn add(&mut self, trade: &NewTrade) {
        let sums = self.sums(&trade.exchange, &trade.symbol);
        sums.count += 1;
        sums.quantity = sums.quantity.saturating_add(trade.quantity.get().mantissa());
        let quote_quantity = trade.quote_quantity.unwrap_or_default();
        sums.quote_quantity = sums.quote_quantity.saturating_add(quote_quantity.get().mantissa());
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (exchange, by_symbol) in other.by_exchange {
            for (symbol, added) in by_symbol {
                let sums = self.sums(&exchange, &symbol);
                sums.count += added.count;
                sums.quantity = sums.quantity.saturating_add(added.quantity);
                sums.quote_quantity = sums.quote_quantity.saturating_add(added.quote_quantity);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Sums)> {
        self.by_exchange.iter().flat_map(|(exchange, symbols)| {
            symbols.iter().map(move |(symbol, sums)| (exchange.as_str(), symbol.as_str(), sums))
        })
    }

    fn sums(&mut self, exchange: &str, symbol: &str) -> &mut Sums {
        self.by_exchange.entry(exchange.to_owned()).or_default().entry(symbol.to_owned()).or_default()
    }
}

impl Sums {
    pub(super) fn quantity(&self) -> String {
        decimal(self.quantity, Price::ZERO.get().scale())
    }

    pub(super) fn quote_quantity(&self) -> String {
        decimal(self.quote_quantity, QuoteAmount::ZERO.get().scale())
    }
}

/// `units / 10^scale`, without zeros at its end.
fn decimal(units: i128, scale: u32) -> String {
    let factor = 10_u128.pow(scale);
    let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    let (whole, rest) = (units / factor, units % factor);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let digits = format!("{rest:0width$}", width = scale as usize);
    format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_written_as_decimals() {
        for (units, text) in [(0, "0"), (5, "0.005"), (1_500, "1.5"), (-1_500, "-1.5"), (2_000, "2")] {
            assert_eq!(decimal(units, 3), text);
        }
    }
}

use std::fmt::Write;

use stanchion::domain::trading::NewTrade;
use stanchion::entity::trading::{Side, trade};
use stanchion::types::{Timestamp, ValueError};

/// 2019-10-11T00:00:00Z.
const FIRST_MILLIS: i64 = 1_570_752_000_000;
/// Between two trades: 100,000 are eight hours, of one month.
const STEP_MILLIS: i64 = 300;

/// Trade number `number` of a made-up market: always the same one, later than the one before it, its price and quantity
/// with as many digits as an exchange's.
///
/// # Errors
/// None for numbers that fit in a year.
pub fn new_trade(number: u32) -> Result<NewTrade, ValueError> {
    let mixed = number.wrapping_mul(2_654_435_761);
    Ok(NewTrade {
        exchange: "binance".parse()?,
        symbol: "XRPETH".parse()?,
        exchange_trade_id: (13_500_000 + number).to_string().parse()?,
        side: if mixed & 0x100 == 0 { Side::Buy } else { Side::Sell },
        price: format!("0.00{:06}", 130_000 + mixed % 20_000).parse()?,
        quantity: format!("{}.{:02}", 1 + (mixed >> 8) % 5_000, (mixed >> 20) % 100).parse()?,
        fee: format!("0.{:06}", (mixed >> 4) % 10_000).parse()?,
        fee_asset: "BNB".parse()?,
        is_maker: mixed & 0x200 == 0,
        traded_at: Timestamp::from_millis(FIRST_MILLIS + i64::from(number) * STEP_MILLIS + i64::from(mixed % 97))?,
        ..NewTrade::default()
    })
}

/// The first `count` trades, in the order of time.
///
/// # Errors
/// As [`new_trade`].
pub fn new_trades(count: u32) -> Result<Vec<NewTrade>, ValueError> {
    (0..count).map(new_trade).collect()
}

/// When the first trade is.
///
/// # Errors
/// None.
pub fn first_trade_at() -> Result<Timestamp, ValueError> {
    Timestamp::from_millis(FIRST_MILLIS)
}

/// How an engine's own client program wants the rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// PostgreSQL's text form, what `\copy` reads fastest.
    PostgresText,
    /// What MariaDB writes itself with `mariadb-dump --tab`: ids as their sixteen bytes, escaped.
    MariaDbTab,
    /// Tab-separated values for SQLite's shell. It writes neither blobs nor nulls, so an id is a text of sixteen
    /// characters that sorts alike, and null is the empty text: no byte more to write than for the rows themselves.
    SqliteTabs,
}

/// The rows as a file of this format, columns in the order of the table.
#[must_use]
pub fn trade_rows(trades: &[trade::Model], format: RowFormat) -> Vec<u8> {
    let mut file = Vec::with_capacity(trades.len() * 256);
    for trade in trades {
        id(trade, format, &mut file);
        let mut rest = String::with_capacity(256);
        let null = if format == RowFormat::SqliteTabs { "" } else { "\\N" };
        let order_id = trade.order_id.map_or_else(|| null.to_owned(), |id| id.to_string());
        let pnl = trade.pnl.map_or_else(|| null.to_owned(), |pnl| pnl.to_string());
        let _ = writeln!(
            rest,
            "\t{}\t{}\t{}\t{order_id}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{pnl}\t{}\t{}",
            trade.exchange,
            trade.symbol,
            trade.exchange_trade_id,
            trade.side,
            trade.price,
            trade.quantity,
            trade.quote_quantity,
            trade.fee,
            trade.fee_asset,
            u8::from(trade.is_maker),
            instant(trade.traded_at, format),
            instant(trade.created_at, format),
        );
        file.extend_from_slice(rest.as_bytes());
    }
    file
}

fn instant(at: Timestamp, format: RowFormat) -> String {
    let form = if format == RowFormat::PostgresText { "%F %T%.f+00" } else { "%F %T%.f" };
    at.get().format(form).to_string()
}

fn id(trade: &trade::Model, format: RowFormat, file: &mut Vec<u8>) {
    match format {
        RowFormat::PostgresText => file.extend_from_slice(trade.id.to_string().as_bytes()),
        RowFormat::MariaDbTab => {
            for byte in trade.id.into_bytes() {
                match byte {
                    0 => file.extend_from_slice(b"\\0"),
                    b'\t' | b'\n' | b'\\' => file.extend_from_slice(&[b'\\', byte]),
                    _ => file.push(byte),
                }
            }
        }
        RowFormat::SqliteTabs => {
            // In the order of their codes, so that the text sorts as the bits do: those of the time, and the last ones.
            const DIGITS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
            let bits = trade.id.as_u128();
            let digits = [80_u32, 0].into_iter().flat_map(|part| (0..8).rev().map(move |digit| part + digit * 6));
            file.extend(digits.map(|shift| DIGITS[(bits >> shift) as usize & 63]));
        }
    }
}

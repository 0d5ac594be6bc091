//! CSV with a header: [RFC 4180](https://www.rfc-editor.org/rfc/rfc4180), a record a line.
//!
//! The names of the columns are those of Binance's dumps (`agg_trade_id,price,quantity,first_trade_id,...`), of its REST
//! API, of ccxt and of the table itself. A name that is not known is an error: a column that is passed over in silence is
//! a fee that is lost.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};
use stanchion::domain::trading::NewTrade;
use stanchion::entity::trading::Side;

use crate::import::draft::{self, Assumed, Fault, Refused};
use crate::import::error::ReadError;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Price,
    Quantity,
    Time,
    Side,
    BuyerIsMaker,
    Symbol,
    Exchange,
    Fee,
    FeeAsset,
    IsMaker,
    OrderId,
    Pnl,
    /// Known, and said by other columns already or of no use here.
    Unused,
}

impl Field {
    /// The field of a column's name, in lower case and without anything but letters and digits.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" | "tradeid" | "aggtradeid" | "aggregatetradeid" | "exchangetradeid" | "a" => Self::Id,
            "price" | "p" => Self::Price,
            "quantity" | "qty" | "amount" | "q" => Self::Quantity,
            "timestamp" | "time" | "transacttime" | "ts" | "t" | "tradedat" | "tradetime" | "datetime" => Self::Time,
            "side" | "takerside" => Self::Side,
            "isbuyermaker" | "buyermaker" | "m" => Self::BuyerIsMaker,
            "symbol" | "s" | "market" | "pair" => Self::Symbol,
            "exchange" => Self::Exchange,
            "fee" | "feecost" | "commission" => Self::Fee,
            "feeasset" | "feecurrency" | "commissionasset" => Self::FeeAsset,
            "ismaker" | "takerormaker" => Self::IsMaker,
            "order" | "orderid" => Self::OrderId,
            "pnl" | "realizedpnl" => Self::Pnl,
            "firsttradeid" | "f" | "lasttradeid" | "l" | "isbestmatch" | "bestmatch" | "quoteqty" | "quotequantity"
            | "cost" | "type" | "createdat" => Self::Unused,
            _ => return None,
        })
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Price => "price",
            Self::Quantity => "quantity",
            Self::Time => "time",
            Self::Side | Self::BuyerIsMaker => "side",
            Self::Symbol => "symbol",
            Self::Exchange => "exchange",
            Self::Fee => "fee",
            Self::FeeAsset => "fee asset",
            Self::IsMaker => "takerOrMaker",
            Self::OrderId => "order",
            Self::Pnl => "pnl",
            Self::Unused => "rest",
        }
    }
}

/// The columns that have to be there, and what they may be called.
const REQUIRED: [(Field, &str); 4] = [
    (Field::Id, "id, trade_id, agg_trade_id or exchange_trade_id"),
    (Field::Price, "price or p"),
    (Field::Quantity, "quantity, qty, amount or q"),
    (Field::Time, "timestamp, time, transact_time, ts or traded_at"),
];

/// The columns of one file, and the room to take a line apart in.
pub(in crate::import) struct Table {
    columns: Vec<(Field, String)>,
    splitter: Splitter,
}

impl Table {
    /// The columns that a header names.
    pub(in crate::import) fn of_header(line: &[u8], assumed: &Assumed) -> Result<Self, ReadError> {
        let text = std::str::from_utf8(line).map_err(|_| ReadError::NotText)?;
        if text.chars().any(|char| char.is_control() && char != '\t') {
            return Err(ReadError::NotText);
        }
        let no_header = || ReadError::NoHeader { line: text.chars().take(80).collect() };
        let mut splitter = Splitter::new(text.len());
        let names = splitter.split(text).map_err(|_| no_header())?;
        let names: Vec<&str> = names.map(str::trim).collect();
        // No column is called by a number, so this is a record.
        if names.iter().any(|name| name.parse::<f64>().is_ok()) {
            return Err(no_header());
        }
        let mut columns: Vec<(Field, String)> = Vec::with_capacity(names.len());
        for name in names {
            columns.push((field_of(name)?, name.to_owned()));
        }
        drop_second_time(&mut columns);
        check_columns(&columns, assumed)?;
        splitter.columns = columns.len();
        Ok(Self { columns, splitter })
    }

    pub(super) fn trade(&mut self, text: &str, assumed: &Assumed) -> Result<NewTrade, Refused> {
        let Self { columns, splitter } = self;
        let values: Vec<&str> = splitter.split(text)?.map(str::trim).collect();
        if values.len() != columns.len() {
            let (found, expected) = (values.len(), columns.len());
            return Err(Fault::whole(format!("has {found} fields, and the header {expected}")).into());
        }
        trade(&Row { columns, values: &values }, assumed)
    }
}

fn field_of(name: &str) -> Result<Field, ReadError> {
    // Binance's `m` and `M` differ by their case alone.
    if name == "M" {
        return Ok(Field::Unused);
    }
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    Field::named(&letters.to_ascii_lowercase()).ok_or_else(|| ReadError::UnknownColumn { name: name.to_owned() })
}

/// ccxt writes `timestamp` and `datetime`, which say the same.
fn drop_second_time(columns: &mut [(Field, String)]) {
    if columns.iter().filter(|(field, _)| *field == Field::Time).count() > 1 {
        for column in columns.iter_mut().filter(|(_, name)| name.eq_ignore_ascii_case("datetime")) {
            column.0 = Field::Unused;
        }
    }
}

fn check_columns(columns: &[(Field, String)], assumed: &Assumed) -> Result<(), ReadError> {
    for (at, (field, name)) in columns.iter().enumerate() {
        let same = |other: &&(Field, String)| *field != Field::Unused && other.0.words() == field.words();
        if let Some((_, first)) = columns[..at].iter().find(same) {
            return Err(ReadError::RepeatedColumn { field: field.words(), first: first.clone(), second: name.clone() });
        }
    }
    let has = |wanted: Field| columns.iter().any(|(field, _)| *field == wanted);
    for (field, names) in REQUIRED {
        if !has(field) {
            return Err(ReadError::MissingColumn { field: field.words(), names });
        }
    }
    if !has(Field::Side) && !has(Field::BuyerIsMaker) {
        return Err(ReadError::MissingColumn { field: "side", names: "side or is_buyer_maker" });
    }
    if !has(Field::Symbol) && !assumed.has_symbol() {
        return Err(ReadError::NoSymbol);
    }
    Ok(())
}

/// A record and what its columns are.
struct Row<'a> {
    columns: &'a [(Field, String)],
    values: &'a [&'a str],
}

impl<'a> Row<'a> {
    /// The column's name and the value, unless that is empty.
    fn get(&self, field: Field) -> Option<(&'a str, &'a str)> {
        let at = self.columns.iter().position(|(known, _)| *known == field)?;
        Some((self.columns[at].1.as_str(), self.values[at])).filter(|(_, value)| !value.is_empty())
    }

    fn require(&self, field: Field) -> Result<(&'a str, &'a str), Fault> {
        self.get(field).ok_or_else(|| {
            let name = self.columns.iter().find(|(known, _)| *known == field).map_or("", |(_, name)| name);
            Fault::missing(field.words(), name)
        })
    }

    fn side(&self) -> Result<Side, Fault> {
        if let Some((name, value)) = self.get(Field::BuyerIsMaker) {
            return boolean("side", name, value).map(draft::taker);
        }
        let (name, value) = self.require(Field::Side)?;
        draft::side(name, value)
    }

    fn is_maker(&self) -> Result<bool, Fault> {
        match self.get(Field::IsMaker) {
            None | Some((_, "taker")) => Ok(false),
            Some((_, "maker")) => Ok(true),
            Some((name, value)) => boolean(Field::IsMaker.words(), name, value),
        }
    }
}

fn trade(row: &Row<'_>, assumed: &Assumed) -> Result<NewTrade, Refused> {
    let (id, price, quantity) = (row.require(Field::Id)?, row.require(Field::Price)?, row.require(Field::Quantity)?);
    let time = row.require(Field::Time)?;
    // Where no symbol is assumed there is a column, so it is this record that lacks it.
    let symbol = if assumed.has_symbol() { row.get(Field::Symbol) } else { Some(row.require(Field::Symbol)?) };
    let (symbol_key, symbol) = symbol.unzip();
    let (exchange_key, exchange) = row.get(Field::Exchange).unzip();
    let mut trade = NewTrade {
        exchange: assumed.exchange(exchange_key.unwrap_or("exchange"), exchange)?,
        symbol: assumed.symbol(symbol_key.unwrap_or("symbol"), symbol)?,
        exchange_trade_id: draft::text("id", id.0, id.1)?,
        order_id: row.get(Field::OrderId).and_then(|(_, order)| order.parse().ok()),
        side: row.side()?,
        price: draft::price(price.0, price.1)?,
        quantity: draft::quantity(quantity.0, quantity.1)?,
        is_maker: row.is_maker()?,
        traded_at: assumed.instant(time.0, time.1)?,
        ..NewTrade::default()
    };
    if let Some((name, fee)) = row.get(Field::Fee) {
        trade.fee = draft::parse("fee", name, fee)?;
    }
    if let Some((name, asset)) = row.get(Field::FeeAsset) {
        trade.fee_asset = draft::text("fee asset", name, asset)?;
    }
    if let Some((name, pnl)) = row.get(Field::Pnl) {
        trade.pnl = Some(draft::parse("pnl", name, pnl)?);
    }
    Ok(draft::finished(trade)?)
}

fn boolean(field: &'static str, key: &str, value: &str) -> Result<bool, Fault> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err(Fault::at(field, key, "is neither true nor false")),
    }
}

/// Takes a line apart at its commas, those in quotes excepted.
struct Splitter {
    reader: Reader,
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
    columns: usize,
}

impl Splitter {
    fn new(columns: usize) -> Self {
        // A carriage return is the line's end or part of a value, and only the caller knows lines.
        let reader = ReaderBuilder::new().terminator(Terminator::Any(b'\n')).build();
        Self { reader, line: Vec::new(), text: Vec::new(), ends: Vec::new(), columns }
    }

    fn split(&mut self, line: &str) -> Result<impl Iterator<Item = &str>, Fault> {
        self.reader.reset();
        self.line.clear();
        self.line.extend_from_slice(line.as_bytes());
        self.line.push(b'\n');
        self.text.resize(self.line.len() + 1, 0);
        // One more than there should be, to see that there are more.
        self.ends.resize(self.columns + 2, 0);
        let (result, _, _, fields) = self.reader.read_record(&self.line, &mut self.text, &mut self.ends);
        match result {
            ReadRecordResult::Record => {}
            ReadRecordResult::OutputEndsFull => {
                return Err(Fault::whole(format!("has more fields than the header, which has {}", self.columns)));
            }
            _ => return Err(Fault::whole("has a quote that is not closed")),
        }
        let Ok(text) = std::str::from_utf8(&self.text) else { return Err(Fault::whole("is not UTF-8")) };
        let mut start = 0;
        Ok(self.ends[..fields].iter().map(move |end| {
            let value = text.get(start..*end).unwrap_or_default();
            start = *end;
            value
        }))
    }
}

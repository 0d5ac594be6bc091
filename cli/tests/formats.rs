//! The parser from bytes to trades, without a database: what each format may look like, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use stanchion::domain::trading::NewTrade;
use stanchion::entity::trading::Side;
use stanchion_cli::import::{Assumed, BadRecord, Format, ReadError, Records};

const BINANCE: &str =
    r#"{"a":13519807,"p":"0.00141342","q":"23.00000000","f":1,"l":1,"T":1570752011620,"m":true,"M":true}"#;
const CCXT: &str = r#"{"info":{"a":13519807,"p":"0.00141342","q":"23.00000000","f":1,"l":1,"T":1570752011620,"m":true,"M":true},"timestamp":1570752011620,"datetime":"2019-10-11T00:00:11.620Z","symbol":"XRP/ETH","id":"13519807","order":null,"type":null,"takerOrMaker":null,"side":"sell","price":0.00141342,"amount":23.0,"cost":0.03250866,"fee":null}"#;
const DUMP: &str = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker,is_best_match\n\
                    13519807,0.00141342,23.00000000,1,1,1570752011620,true,true\n";

#[derive(Default)]
struct Found {
    trades: Vec<NewTrade>,
    bad: Vec<BadRecord>,
    end: Option<ReadError>,
}

impl Found {
    fn reasons(&self) -> Vec<String> {
        self.bad.iter().map(ToString::to_string).collect()
    }
}

fn read(bytes: &[u8], format: Format, symbol: Option<&str>) -> Found {
    let assumed = Assumed::new(None, symbol, "2030-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let mut found = Found::default();
    let records = match Records::new(bytes, format, assumed) {
        Ok(records) => records,
        Err(error) => return Found { end: Some(error), ..found },
    };
    for entry in records {
        match entry {
            Ok(Ok(trade)) => found.trades.push(trade),
            Ok(Err(bad)) => found.bad.push(*bad),
            Err(error) => found.end = Some(error),
        }
    }
    found
}

fn auto(text: &str) -> Found {
    read(text.as_bytes(), Format::Auto, None)
}

fn of_xrpeth(text: &str) -> Found {
    read(text.as_bytes(), Format::Auto, Some("XRPETH"))
}

/// The one trade of a text.
fn one(text: &str) -> NewTrade {
    let mut found = of_xrpeth(text);
    assert!(found.end.is_none() && found.bad.is_empty(), "{text}: {:?} {:?}", found.end, found.reasons());
    assert_eq!(found.trades.len(), 1, "{text}");
    found.trades.remove(0)
}

/// The one reason why the one record of a text is bad.
fn fault(text: &str) -> String {
    let found = of_xrpeth(text);
    assert!(found.trades.is_empty() && found.end.is_none() && found.bad.len() == 1, "{text}: {:?}", found.end);
    found.bad[0].fault.to_string()
}

fn the_trade() -> NewTrade {
    NewTrade {
        exchange: "binance".parse().unwrap(),
        symbol: "XRPETH".parse().unwrap(),
        exchange_trade_id: "13519807".parse().unwrap(),
        side: Side::Sell,
        price: "0.00141342".parse().unwrap(),
        quantity: "23".parse().unwrap(),
        quote_quantity: Some("0.03250866".parse().unwrap()),
        traded_at: "2019-10-11T00:00:11.620Z".parse().unwrap(),
        ..NewTrade::default()
    }
}

#[test]
fn every_format_says_the_same_trade() {
    let event = BINANCE.replace("{\"a\"", r#"{"e":"aggTrade","s":"XRPETH","a""#);
    let micros = BINANCE.replace("1570752011620", "1570752011620000");
    let pretty = BINANCE.replace(",", ",\n  ");
    for text in [
        format!("[{BINANCE}]"),
        format!("\u{feff} \n[\n{pretty}\n]\n"),
        BINANCE.to_owned(),
        format!("\r\n{BINANCE}\r\n\r\n"),
        micros,
        event,
        format!("[{CCXT}]"),
        format!("{CCXT}\n"),
        DUMP.to_owned(),
        DUMP.replace('\n', "\r\n"),
        format!("\u{feff}{DUMP}"),
        DUMP.trim_end().to_owned(),
        "id,price,qty,quote_qty,time,is_buyer_maker\n13519807,0.00141342,23.0,0.03250866,1570752011620000,True\n".into(),
        "Trade ID,Symbol,Side,Price,Amount,Timestamp\n\"13519807\",xrp/eth,SELL,\"0.00141342\", 23 ,2019-10-11T00:00:11.62Z"
            .into(),
        "a,p,q,f,l,T,m,M\n13519807,0.00141342,23,1,1,1570752011620,true,true\n".into(),
        "timestamp,datetime,symbol,id,side,price,amount,cost\n1570752011620,x,XRP/ETH,13519807,sell,0.00141342,23.0,0.03\n"
            .into(),
        "exchange,symbol,exchange_trade_id,side,price,quantity,traded_at\nBinance,XRPETH,13519807,sell,0.00141342,23,1570752011620"
            .into(),
    ] {
        assert_eq!(one(&text), the_trade(), "{text}");
    }
}

#[test]
fn the_formats_are_recognized() {
    for (text, format) in [(BINANCE, Format::Binance), (CCXT, Format::Ccxt), (DUMP, Format::Csv)] {
        let assumed = Assumed::new(None, Some("XRPETH"), "2030-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let mut records = Records::new(text.as_bytes(), Format::Auto, assumed.clone()).unwrap();
        records.next().unwrap().unwrap().unwrap();
        assert_eq!(records.format(), format);
        assert_eq!(read(text.as_bytes(), format, Some("XRPETH")).trades.len(), 1);
    }
    let other = |text: &str, format| read(text.as_bytes(), format, None).end.unwrap().to_string();
    assert_eq!(
        other(DUMP, Format::Ccxt),
        "it is not JSON: an array of objects, or an object a line: it begins with 'a'"
    );
    assert_eq!(other(BINANCE, Format::Csv), "it is not CSV with a header: it begins with '{'");
    assert!(fault(r#"{"code":-1121,"msg":"Invalid symbol."}"#).starts_with("is neither an aggregate trade"));
}

#[test]
fn ccxt_prices_are_the_exchanges_own_digits() {
    // The float has lost a digit that the string has.
    let text = CCXT.replace("\"price\":0.00141342", "\"price\":0.0014134200000000001");
    assert_eq!(one(&text).price, the_trade().price);
    // Without the exchange's own record it is the digits as they are written.
    let without = CCXT.replace("\"info\":{", "\"info\":null,\"was\":{");
    assert_eq!(one(&without), the_trade());
    let small = without.replace("\"price\":0.00141342", "\"price\":1.41342e-3");
    assert_eq!(one(&small).price, the_trade().price);
    let lost = without.replace("\"price\":0.00141342", "\"price\":0.0014134200000000001");
    assert_eq!(fault(&lost), "price is too precise: at most 12 digits after the decimal point");
    // Another exchange's record may call something else p.
    let other = CCXT.replace("\"p\":\"0.00141342\"", "\"p\":\"77\"");
    assert_eq!(one(&other).price, the_trade().price);
}

#[test]
fn ccxt_trades_of_ones_own_have_fees() {
    let own = CCXT
        .replace("\"fee\":null", r#""fee":{"cost":0.000023,"currency":"BNB"}"#)
        .replace("\"takerOrMaker\":null", "\"takerOrMaker\":\"maker\"")
        .replace("\"order\":null", "\"order\":\"987654\"");
    let trade = one(&own);
    assert_eq!((trade.fee.to_string().as_str(), trade.fee_asset.as_str()), ("0.000023000000", "BNB"));
    assert!(trade.is_maker && trade.order_id.is_none());
    let ours = own.replace("987654", "0190a0a0-0000-7000-8000-000000000001");
    assert!(one(&ours).order_id.is_some());
}

#[test]
fn bad_json_records_say_what_and_where() {
    for (from, to, why) in [
        ("\"0.00141342\"", "\"-1\"", "price (p) must be greater than zero"),
        ("\"0.00141342\"", "\"0\"", "price (p) must be greater than zero"),
        (
            "\"0.00141342\"",
            "\"1234567890123456789012345678901234567890\"",
            "price (p) is out of range: at most 16 digits",
        ),
        ("\"0.00141342\"", "\"abc\"", "price (p) is not a decimal number"),
        ("\"0.00141342\"", "true", "price (p) is neither a string nor a number"),
        ("\"0.00141342\"", "{\"x\":1}", "price (p) is neither a string nor a number"),
        ("\"0.00141342\"", "null", "price (p) is missing"),
        ("\"p\"", "\"pp\"", "price (p) is missing"),
        ("\"q\"", "\"qq\"", "quantity (q) is missing"),
        ("\"a\"", "\"aa\"", "id (a) is missing"),
        ("\"m\"", "\"mm\"", "side (m) is missing"),
        ("\"T\"", "\"TT\"", "time (T) is missing"),
        ("\"m\":true", "\"m\":\"yes\"", "side (m) is neither true nor false"),
        ("1570752011620", "-5", "time (T) is before 1970"),
        ("1570752011620", "1e12", "time (T) is neither"),
        ("1570752011620", "9999999999999999", "time (T) is in the future"),
        ("13519807", "\"\"", "id (a) is empty"),
        ("13519807", "\"a\\u0000b\"", "id (a) contains white space or a control character"),
        ("\"23.00000000\"", "\"0.0000000000001\"", "quantity (q) is too precise"),
        ("\"23.00000000\"", "\"9999999999999999\"", "price x quantity is out of range"),
        ("\"f\":1", "\"f\":1,\"a\":2", "is not valid JSON: duplicate field `a` (at its byte "),
        ("\"f\":1", "\"f\":", "is not valid JSON: expected value (at its byte "),
    ] {
        let text = BINANCE.replacen(from, to, 1);
        let reason = fault(&text);
        assert!(reason.starts_with(why), "{text}: {reason}");
        // The record is bad, and those around it are not.
        let among = of_xrpeth(&format!("[{BINANCE},\n {text},\n{BINANCE}]"));
        assert_eq!((among.trades.len(), among.bad.len(), among.end.is_none()), (2, 1, true), "{text}");
        assert!(among.reasons()[0].starts_with("record 2 (line 2, byte 101): "), "{:?}", among.reasons());
    }
    for not_an_object in ["5", "\"x\"", "null", "[1,\"2\",\"3\"]"] {
        let among = of_xrpeth(&format!("[{BINANCE},{not_an_object},{BINANCE}]"));
        assert_eq!(among.reasons(), [format!("record 2 (line 1, byte {}): is not a JSON object", BINANCE.len() + 2)]);
    }
}

#[test]
fn a_broken_array_ends_where_it_breaks() {
    for (text, why) in [
        (format!("[{BINANCE},{{\"a\":"), "record 2 (line 1, byte 99): the input ends inside of this record"),
        (format!("[{BINANCE}"), "the input ends before the closing ] of the array"),
        (format!("[{BINANCE}] garbage"), "there is something after the closing ]"),
        (format!("[{BINANCE} {BINANCE}]"), "a comma or the closing ] is missing before this"),
    ] {
        let found = of_xrpeth(&text);
        assert_eq!((found.trades.len(), found.bad.len()), (1, 0), "{text}");
        let end = found.end.unwrap().to_string();
        assert!(end.contains(why) && end.ends_with("nothing after this point can be read"), "{text}: {end}");
    }
}

#[test]
fn a_broken_line_costs_one_record() {
    let text = format!("{BINANCE}\n{{\"a\":\n{BINANCE}\nxyz\n{BINANCE}");
    let found = of_xrpeth(&text);
    assert_eq!((found.trades.len(), found.bad.len()), (3, 2));
    assert!(found.reasons()[0].starts_with("record 2 (line 2, byte "), "{:?}", found.reasons());
    assert!(found.reasons()[1].ends_with("is not a JSON object"), "{:?}", found.reasons());

    let mut bytes = format!("{BINANCE}\n").into_bytes();
    bytes.extend_from_slice(b"{\"a\":\"\xff\xfe\"}\n");
    let found = read(&bytes, Format::Auto, Some("XRPETH"));
    assert_eq!(found.bad[0].fault.to_string(), "is not UTF-8");
}

#[test]
fn a_record_of_two_megabytes_is_bad_and_the_next_is_read() {
    let long = BINANCE.replace("\"f\":1", &format!("\"f\":\"{}\"", "x".repeat(2 << 20)));
    for text in [format!("[{BINANCE},{long},{BINANCE}]"), format!("{BINANCE}\n{long}\n{BINANCE}\n")] {
        let found = of_xrpeth(&text);
        assert_eq!((found.trades.len(), found.bad.len()), (2, 1));
        assert_eq!(found.bad[0].fault.to_string(), "is longer than 1048576 bytes");
        assert!(found.bad[0].truncated && found.bad[0].raw.len() <= 1024);
    }
}

#[test]
fn csv_headers_are_checked_by_name() {
    let header = |line: &str| auto(&format!("{line}\n")).end.unwrap().to_string();
    for (line, why) in [
        ("id,price,quantity,time,side,symbol,colour", "the header has an unknown column \"colour\""),
        ("id,price,quantity,time,side,symbol,", "the header has an unknown column \"\""),
        ("id,quantity,time,side,symbol", "the header has no column for the price: price or p"),
        ("price,quantity,time,side,symbol", "the header has no column for the id: "),
        ("id,price,quantity,side,symbol", "the header has no column for the time: "),
        ("id,price,quantity,time,symbol", "the header has no column for the side: side or is_buyer_maker"),
        ("id,price,quantity,time,side", "the records of this file have no symbol: say which one it is with --symbol"),
        (
            "id,trade_id,price,quantity,time,side,symbol",
            "the header has two columns for the id: \"id\" and \"trade_id\"",
        ),
        (
            "13519807,0.00141342,23.0,1,1,1570752011620,true",
            "the first line has to name the columns, and reads \"13519807",
        ),
        ("id;price;quantity;time;side;symbol", "the header has an unknown column"),
        ("\"id,price", "the first line has to name the columns"),
    ] {
        let reason = header(line);
        assert!(reason.starts_with(why), "{line}: {reason}");
    }
}

#[test]
fn bad_csv_records_say_what_and_where() {
    let header = "id,symbol,side,price,quantity,time,fee,fee_asset,is_maker";
    let good = "1,XRPETH,buy,0.5,2,1570752011620,0.001,BNB,false";
    for (bad, why) in [
        ("2,XRPETH,buy,-0.5,2,1570752011620,,,", "price must be greater than zero"),
        ("2,XRPETH,buy,,2,1570752011620,,,", "price is missing"),
        ("2,XRPETH,bought,0.5,2,1570752011620,,,", "side is neither buy nor sell"),
        ("2,,buy,0.5,2,1570752011620,,,", "symbol is missing"),
        ("2,XRPETH,buy,0.5,2,now,,,", "time is neither milliseconds"),
        ("2,XRPETH,buy,0.5,2,1570752011620,x,,", "fee is not a decimal number"),
        (
            "2,XRPETH,buy,0.5,2,1570752011620,,a fee asset of the wrong kind,",
            "fee asset (fee_asset) contains white space",
        ),
        ("2,XRPETH,buy,0.5,2,1570752011620,,,perhaps", "takerOrMaker (is_maker) is neither true nor false"),
        ("2,XRPETH,buy,0.5,2", "has 5 fields, and the header 9"),
        ("2,XRPETH,buy,0.5,2,1570752011620,,,,,,,", "has more fields than the header, which has 9"),
        ("2,\"XRPETH,buy,0.5,2,1570752011620,,,", "has a quote that is not closed"),
        ("2,XRPETH,buy,0.5\r,2,1570752011620\r\r,,x\ry,", "fee asset (fee_asset) contains white space"),
    ] {
        let found = auto(&format!("{header}\r\n{good}\r\n{bad}\r\n{good}\r\n"));
        assert_eq!((found.trades.len(), found.bad.len(), found.end.is_none()), (2, 1, true), "{bad}");
        let start = header.len() + good.len() + 4;
        let reason = &found.reasons()[0];
        assert!(reason.starts_with(&format!("record 2 (line 3, byte {start}): {why}")), "{bad}: {reason}");
        assert_eq!(found.bad[0].raw, bad);
    }
    let found = auto(&format!("{header}\n{good}\n"));
    assert_eq!(
        (found.trades[0].fee.to_string().as_str(), found.trades[0].fee_asset.as_str()),
        ("0.001000000000", "BNB")
    );
}

#[test]
fn what_is_no_text_is_refused_at_once() {
    let end = |bytes: &[u8]| read(bytes, Format::Auto, None).end.unwrap();
    assert!(matches!(end(b""), ReadError::Empty));
    assert!(matches!(end(b" \r\n\t\n"), ReadError::Empty));
    assert!(matches!(end(b"\xef\xbb\xbf\n"), ReadError::Empty));
    assert!(matches!(end(b"\x7fELF\x02\x01\x01\0\0\0"), ReadError::NotText));
    assert!(matches!(end(b"\xff\xfei\0d\0,\0"), ReadError::NotText));
    assert!(matches!(end(&vec![b'x'; 3 << 20]), ReadError::NotText));
    assert!(matches!(end(b"PK\x03\x04\x14\0"), ReadError::Archive { kind: "zip", .. }));
    assert!(matches!(read(b"\0\0\0", Format::Ccxt, None).end.unwrap(), ReadError::NotText));
}

#[test]
fn a_file_of_no_records_is_complete() {
    for text in ["[]", " [ ] ", DUMP.lines().next().unwrap()] {
        let found = of_xrpeth(text);
        assert!(found.trades.is_empty() && found.bad.is_empty() && found.end.is_none(), "{text}");
    }
}

#[test]
fn symbols_may_be_mixed_unless_one_is_asked_for() {
    let text = format!("[{CCXT},{}]", CCXT.replace("XRP/ETH", "BTC/USDT"));
    let symbols: Vec<String> = auto(&text).trades.iter().map(|trade| trade.symbol.to_string()).collect();
    assert_eq!(symbols, ["XRPETH", "BTCUSDT"]);
    let found = of_xrpeth(&text);
    assert_eq!((found.trades.len(), found.bad[0].fault.to_string().as_str()), (1, "symbol is BTCUSDT, not XRPETH"));
    assert!(matches!(auto(BINANCE).end.unwrap(), ReadError::NoSymbol));
}

/// A valid file with some bytes of it changed, left out or put in.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let files = prop_oneof![
        Just(format!("[{BINANCE},{BINANCE}]")),
        Just(format!("{BINANCE}\n{BINANCE}\n")),
        Just(format!("[{CCXT},{CCXT}]")),
        Just(format!("{DUMP}13519808,\"0.1\",2,1,1,2019-10-11T00:00:00Z,false,true\r\n")),
    ];
    let change = (
        any::<prop::sample::Index>(),
        0..3_u8,
        prop_oneof![any::<u8>(), prop::sample::select(&b"[]{},:\"\\\n\r0e-"[..])],
    );
    (files, prop::collection::vec(change, 1..6)).prop_map(|(file, changes)| {
        let mut bytes = file.into_bytes();
        for (at, kind, byte) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), format in 0..4_usize) {
        read(&bytes, Format::ALL[format], Some("XRPETH"));
    }

    #[test]
    fn no_change_of_a_valid_file_makes_it_panic(bytes in mutated(), format in 0..4_usize) {
        let found = read(&bytes, Format::ALL[format], Some("XRPETH"));
        for trade in found.trades {
            prop_assert!(trade.into_model("2030-01-01T00:00:00Z".parse().unwrap()).is_ok(), "it can be saved");
        }
    }

    #[test]
    fn digits_go_through_as_they_are(units in 1_u64..1_000_000_000_000, quantity in 1_u64..10_000_000) {
        let price = format!("{}.{:08}", units / 100_000_000, units % 100_000_000);
        let text = BINANCE.replace("0.00141342", &price).replace("23.00000000", &quantity.to_string());
        let trade = one(&text);
        prop_assert_eq!(trade.price.to_string(), format!("{price}0000"));
        prop_assert_eq!(trade.quantity.to_string(), format!("{quantity}.000000000000"));
    }
}

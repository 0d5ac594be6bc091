//! `stanchion import trades`, run as it is on SQLite: what is saved, what is refused, what is said.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use command::{Place, Run};
use flate2::Compression;
use flate2::write::GzEncoder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn aggregate(id: u64) -> String {
    let time = 1_570_752_011_620 + id;
    format!(r#"{{"a":{id},"p":"0.00141342","q":"2","f":1,"l":1,"T":{time},"m":{},"M":true}}"#, id.is_multiple_of(2))
}

fn aggregates(ids: impl IntoIterator<Item = u64>) -> String {
    let records: Vec<String> = ids.into_iter().map(aggregate).collect();
    format!("[{}]", records.join(","))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Runs it with these bytes on standard input.
fn run_with(place: &Place, args: &[&str], input: &str) -> Run {
    let mut child = place.command(args).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Run::of(child.wait_with_output().unwrap())
}

/// Imports a file of that content, of XRPETH, and reports in JSON.
fn import(place: &Place, content: impl AsRef<[u8]>, more: &[&str]) -> Run {
    place.write("trades", content);
    place.run(&[&["import", "trades", "trades", "--symbol", "XRPETH", "--json"], more].concat())
}

/// Trades of XRPETH in the database: an import of nothing new says so.
fn saved(place: &Place) -> u64 {
    let run = import(place, aggregates([1_000_000]), &[]);
    let count = run.json()["symbols"][0]["database"]["count"].as_u64().unwrap();
    count - 1
}

fn read(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path().join(name)).unwrap()
}

fn error(run: &Run) -> Value {
    let last = run.err.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(last).unwrap_or_else(|_| panic!("{run:?}"))["error"].clone()
}

fn causes(run: &Run) -> String {
    format!("{}: {}", error(run)["message"].as_str().unwrap(), error(run)["causes"][0].as_str().unwrap_or_default())
}

#[test]
fn a_file_is_imported_once_however_often_it_is_read() {
    let place = Place::migrated();
    place.write("trades.json", aggregates(1..=25));
    let args = ["import", "trades", "trades.json", "--symbol", "XRPETH", "--batch", "10"];
    let first = place.run(&args);
    assert_eq!((first.status, first.err.as_str()), (Some(0), ""));
    assert!(first.out.starts_with("trades.json: 25 read, 25 new, 0 already there, 0 bad; "), "{}", first.out);
    for part in ["binance", "XRPETH", "25", "50", "0.070671", "database"] {
        assert!(first.out.contains(part), "{part} is not in {}", first.out);
    }
    let second = place.run(&args);
    assert!(second.out.starts_with("trades.json: 25 read, 0 new, 25 already there, 0 bad; "), "{}", second.out);

    let more = run_with(&place, &["import", "trades", "-", "--symbol", "xrp/eth", "--json"], &aggregates(20..=30));
    let report = more.json();
    assert_eq!(
        (&report["input"], &report["end"], &report["format"]),
        (&json!("standard input"), &json!("complete"), &json!("binance"))
    );
    assert_eq!((&report["read"], &report["new"], &report["already_there"]), (&json!(11), &json!(5), &json!(6)));
    let of_input = json!({"count": 11, "quantity": "22", "quote_quantity": "0.03109524"});
    let symbol = &report["symbols"][0];
    for key in ["count", "quantity", "quote_quantity"] {
        assert_eq!(symbol[key], of_input[key]);
    }
    assert_eq!(symbol["database"], json!({"count": 30, "quantity": "60", "quote_quantity": "0.0848052"}));
}

#[test]
fn every_way_to_write_a_file_is_read() {
    let lines: Vec<String> = (1..=3).map(aggregate).collect();
    let csv = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\r\n\
               1,0.00141342,2,1,1,1570752011621,false\r\n2,0.00141342,2.0,1,1,1570752011622,TRUE\r\n\
               \"3\",0.00141342,2,1,1,2019-10-11T00:00:11.623Z,false\r\n";
    let array = aggregates(1..=3);
    let in_two = [gzip(&array[..50]), gzip(&array[50..])].concat();
    let files: [Vec<u8>; 7] = [
        array.clone().into(),
        lines.join("\n").into(),
        format!("\u{feff}{}\r\n", lines.join("\r\n")).into(),
        csv.into(),
        format!("\u{feff}{csv}").into(),
        gzip(&array),
        in_two,
    ];
    let place = Place::migrated();
    for (at, file) in files.iter().enumerate() {
        let run = import(&place, file, &[]);
        assert_eq!(run.status, Some(0), "{at}: {run:?}");
        let report = run.json();
        // The same trades every time, so that only the first file has new ones.
        let new = if at == 0 { 3 } else { 0 };
        assert_eq!((report["read"].as_u64(), report["new"].as_u64()), (Some(3), Some(new)), "{at}: {report}");
        assert_eq!(report["symbols"][0]["database"]["quantity"], "6");
    }
}

#[test]
fn symbols_are_imported_and_summed_each_for_itself() {
    let trade = |id: u64, symbol: &str| {
        json!({"id": id.to_string(), "symbol": symbol, "timestamp": 1_570_752_011_620_u64 + id, "side": "buy",
               "price": 0.1, "amount": 3, "info": null})
    };
    let place = Place::migrated();
    let file = Value::from(vec![trade(1, "XRP/ETH"), trade(2, "BTC/USDT"), trade(3, "XRP/ETH")]).to_string();
    place.write("trades.json", &file);
    let report = place.run(&["import", "trades", "trades.json", "--exchange", "OKX", "--json"]).json();
    let symbols: Vec<_> = report["symbols"]
        .as_array()
        .unwrap()
        .iter()
        .map(|symbol| {
            format!(
                "{} {} {} {}",
                symbol["exchange"], symbol["symbol"], symbol["count"], symbol["database"]["quote_quantity"]
            )
        })
        .collect();
    assert_eq!(symbols, [r#""okx" "BTCUSDT" 1 "0.3""#, r#""okx" "XRPETH" 2 "0.6""#]);

    let run = import(&place, &file, &[]);
    assert_eq!(run.status, Some(1));
    assert!(causes(&run).contains("record 2 (line 1, byte"), "{run:?}");
    assert!(causes(&run).ends_with("symbol is BTCUSDT, not XRPETH"), "{run:?}");
}

#[test]
fn a_bad_record_stops_the_import_and_its_batch() {
    let place = Place::migrated();
    let records: Vec<String> = (1..=25).map(aggregate).collect();
    let text = format!("[{}]", records.join(",\n")).replace("\"a\":24,\"p\":\"0.00141342\"", "\"a\":24,\"p\":\"-1\"");
    let run = import(&place, &text, &["--batch", "10"]);
    assert_eq!(run.status, Some(1));
    assert!(causes(&run).starts_with("cannot import trades: record 24 (line 24, byte "), "{}", causes(&run));
    assert!(causes(&run).ends_with("price (p) must be greater than zero"), "{}", causes(&run));
    let hint = error(&run)["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("20 records") && hint.contains("--skip-bad FILE") && hint.contains("again"), "{hint}");
    assert_eq!((&run.json()["new"], &run.json()["end"]), (&json!(20), &json!("failed")));
    assert_eq!(saved(&place), 20);
}

#[test]
fn bad_records_are_set_aside_where_that_is_asked_for() {
    let place = Place::migrated();
    let mut lines: Vec<String> = (1..=25).map(aggregate).collect();
    lines[3] = lines[3].replace("0.00141342", "1234567890123456789012345678901234567890");
    lines[12] = "{\"a\":".to_owned();
    lines[24] = lines[24].replace("157", "-157");
    let run = import(&place, lines.join("\n"), &["--batch", "10", "--skip-bad", "bad.ndjson"]);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    let report = run.json();
    assert_eq!((&report["read"], &report["new"], &report["bad"]), (&json!(25), &json!(22), &json!(3)));

    let bad: Vec<Value> = read(&place, "bad.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = bad
        .iter()
        .map(|bad| (bad["record"].as_u64().unwrap(), bad["line"].as_u64().unwrap(), bad["field"].as_str()))
        .collect();
    assert_eq!(found, [(4, 4, Some("price")), (13, 13, None), (25, 25, Some("time"))]);
    assert!(bad[0]["reason"].as_str().unwrap().starts_with("price (p) is out of range"), "{}", bad[0]);
    assert_eq!((&bad[1]["raw"], &bad[1]["truncated"]), (&json!("{\"a\":"), &json!(false)));
}

#[test]
fn the_records_before_a_break_are_saved_when_bad_ones_are_skipped() {
    let whole = aggregates(1..=25);
    let packed = gzip(&whole);
    for (content, why) in [
        (
            whole.as_bytes()[..whole.len() - 30].to_vec(),
            "the input ends inside of this record; nothing after this point",
        ),
        (format!("{whole} trailing garbage").into_bytes(), "there is something after the closing ]"),
        (packed[..packed.len() - 6].to_vec(), "the gzip stream ends too early: the file is truncated"),
    ] {
        let place = Place::migrated();
        let strict = import(&place, &content, &["--batch", "10"]);
        assert_eq!(strict.status, Some(1));
        assert!(causes(&strict).contains(why), "{}", causes(&strict));
        assert_eq!(saved(&place), 20, "{why}");

        let run = import(&place, &content, &["--batch", "10", "--skip-bad", "bad.ndjson"]);
        assert_eq!(run.status, Some(1), "what is after the break is not there");
        assert!(causes(&run).contains(why), "{}", causes(&run));
        assert!(saved(&place) >= 24, "{why}");
    }
}

#[test]
fn what_cannot_be_read_at_all_says_why() {
    let place = Place::migrated();
    for (content, why) in [
        (&b""[..], "it is empty"),
        (b"\n\n", "it is empty"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0", "it is not text"),
        (b"PK\x03\x04\x14\0\0\0", "it is a zip archive, which is not unpacked here; try `unzip -p FILE"),
        (&gzip(&aggregates(1..=3))[..10], "the gzip stream ends too early"),
        (b"id,price\n1,2\n", "the header has no column for the quantity"),
        (b"1,0.5,3\n", "the first line has to name the columns"),
    ] {
        let run = import(&place, content, &[]);
        assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{why}");
        assert!(causes(&run).starts_with(&format!("cannot import trades: {why}")), "{}", causes(&run));
    }
    place.write("trades", aggregates([1]));
    for (file, why) in
        [("none.json", "there is no file none.json"), (".", ". is a folder"), ("data", "data is a folder")]
    {
        let run = place.run(&["import", "trades", file]);
        assert_eq!((run.status, run.err.trim_end()), (Some(1), format!("error: {why}").as_str()));
    }
    let run = place.run(&["import", "trades", "trades"]);
    assert!(run.status == Some(1) && run.err.contains("say which one it is with --symbol"), "{run:?}");
    let run = import(&place, aggregates([1]), &["--skip-bad", "trades"]);
    assert!(run.status == Some(1) && run.err.contains("is the file to be imported"), "{run:?}");
    assert_eq!(read(&place, "trades"), aggregates([1]), "it is as it was");
    let run = import(&place, aggregates([1]), &["--skip-bad", "no/such/folder"]);
    assert!(run.status == Some(1) && run.err.contains("cannot write the bad records to no/such/folder"), "{run:?}");
    for bad in [["--batch", "0"], ["--format", "xml"], ["--symbol", "a b"], ["--exchange", ""]] {
        assert_eq!(place.run(&["import", "trades", "trades", bad[0], bad[1]]).status, Some(2), "{bad:?}");
    }
}

#[test]
fn a_database_that_is_not_migrated_says_what_to_run() {
    let place = Place::new();
    let run = import(&place, aggregates([1]), &[]);
    assert!(run.status == Some(1) && run.err.contains("stanchion migrate up"), "{run:?}");
}

#[test]
fn ctrl_c_leaves_whole_batches_and_says_so() {
    let place = Place::migrated();
    let args = ["import", "trades", "-", "--symbol", "XRPETH", "--batch", "10", "--json"];
    let mut child = place.command(&args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Two batches and a half; then standard input is silent, but not at its end.
    let records: Vec<String> = (1..=25).map(aggregate).collect();
    write!(stdin, "[{},", records.join(",")).unwrap();
    stdin.flush().unwrap();
    let started = Instant::now();
    while saved(&place) < 20 {
        assert!(started.elapsed() < PATIENCE, "the batches are not saved");
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut notice = String::new();
    err.read_line(&mut notice).unwrap();
    assert!(notice.starts_with("stopping after the batch"), "{notice}");
    let output = child.wait_with_output().unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    let run = Run { err: rest, ..Run::of(output) };
    assert_eq!(run.status, Some(130), "{run:?}");
    assert_eq!((&run.json()["end"], &run.json()["new"]), (&json!("interrupted"), &json!(20)));
    assert_eq!(error(&run)["message"], "interrupted after 20 records");
    assert_eq!(saved(&place), 20);
    drop(stdin);
}

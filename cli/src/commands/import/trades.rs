use std::path::{Path, PathBuf};

use stanchion::App;
use stanchion::types::Timestamp;
use stanchion_cli::import::{self, Assumed, End, Format, ImportError, Options, ReadError, Report, Source, Stopped};

use super::interrupt;
use super::progress::Bar;
use crate::args::Global;
use crate::output::{self, Failure, Output};

/// How far an exchange's clock may be ahead of ours; beyond that a time is in a wrong unit. Microseconds.
const CLOCKS_DIFFER: i64 = 24 * 3_600 * 1_000_000;

/// Load trades: Binance's aggregate trades, ccxt's JSON, or CSV.
///
/// Records are saved a batch at a time, each in one transaction, in constant memory. What is there already is counted and
/// left alone, so a file can be imported again. Prices and quantities are the digits of the file; a record that cannot be
/// stored exactly is a bad one, and ends the import with exit status 1 unless --skip-bad is given. After ctrl-c the batch
/// that is being saved is finished, and the exit status is 130.
#[derive(clap::Args)]
#[command(
    after_help = "JSON is an array of objects or an object a line; CSV has a header, and times in milliseconds or\n\
                        microseconds since 1970 or in RFC 3339. gzip is unpacked, whatever the file is called.\n\n\
                        Examples:\n  \
                        stanchion import trades aggtrades.json.gz --symbol XRPETH\n  \
                        stanchion import trades trades.csv --exchange okx --skip-bad bad.ndjson\n  \
                        unzip -p ETHUSDT-aggTrades-2024-01.zip | stanchion import trades - --symbol ETHUSDT"
)]
pub(crate) struct Args {
    /// The file; - reads standard input.
    file: PathBuf,

    /// The exchange of the trades; binance where neither this nor the file says.
    #[arg(long, value_parser = exchange)]
    exchange: Option<String>,

    /// The symbol of the trades, such as XRPETH; a record of another one is bad. Binance's records need it.
    #[arg(long, value_parser = symbol)]
    symbol: Option<String>,

    /// The format: auto, binance, ccxt or csv.
    #[arg(long, default_value_t)]
    format: Format,

    /// Write bad records to FILE, a JSON object a line, and go on.
    #[arg(long, value_name = "FILE")]
    skip_bad: Option<PathBuf>,

    /// Records that are saved in one transaction.
    #[arg(long, value_name = "ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let source = if args.file == Path::new("-") { Source::stdin() } else { Source::file(&args.file)? };
    let app = App::start(global.load()?).await?;
    let latest = Timestamp::from_micros(app.clock().now().micros().saturating_add(CLOCKS_DIFFER))?;
    let options = Options {
        format: args.format,
        assumed: Assumed::new(args.exchange.as_deref(), args.symbol.as_deref(), latest)?,
        batch: usize::try_from(args.batch)?,
        skip_bad: args.skip_bad,
    };
    let bar = Bar::new(source.size());
    let stop = interrupt::listen()?;
    let done = import::trades(&app, source, options, stop, |progress| bar.show(progress)).await;
    drop(bar);
    app.close().await;
    match done {
        Ok(report) => {
            output.report(&report, text)?;
            if report.end == End::Interrupted { Err(interrupted(&report)) } else { Ok(()) }
        }
        Err(stopped) => {
            if stopped.report.read > 0 {
                output.report(&stopped.report, text)?;
            }
            let advice = advice(&stopped);
            let failure = Failure::from(*stopped);
            Err(match advice {
                Some(advice) => failure.hint(advice),
                None => failure,
            })
        }
    }
}

fn exchange(text: &str) -> Result<String, String> {
    named(text, Assumed::new(Some(text), None, Timestamp::EPOCH))
}

fn symbol(text: &str) -> Result<String, String> {
    named(text, Assumed::new(None, Some(text), Timestamp::EPOCH))
}

fn named(text: &str, assumed: Result<Assumed, import::Fault>) -> Result<String, String> {
    assumed.map(|_| text.to_owned()).map_err(|fault| fault.to_string())
}

fn interrupted(report: &Report) -> Failure {
    let failure = Failure::from(anyhow::anyhow!("interrupted after {} records", report.read));
    failure.hint("run the same command again: what is saved is not saved twice").status(interrupt::STATUS)
}

/// What was kept, and how to go on.
fn advice(stopped: &Stopped) -> Option<String> {
    let saved = match stopped.report.read {
        0 => "nothing was saved".to_owned(),
        read => format!("the batches before it are saved, {read} records"),
    };
    let again = "and run the same command again: what is saved is not saved twice";
    match &stopped.error {
        ImportError::Read { source: ReadError::Bad(_), .. } => {
            Some(format!("{saved}; correct the record, or set bad ones aside with --skip-bad FILE, {again}"))
        }
        ImportError::Read {
            source: ReadError::Broken(_) | ReadError::TruncatedGzip | ReadError::BadGzip(_) | ReadError::Io(_),
            ..
        } => Some(format!("{saved}; get the whole file {again}")),
        ImportError::Save(_) if stopped.report.read > 0 => Some(format!("{saved}; see to the database {again}")),
        _ => None,
    }
}

fn text(report: &Report) -> Result<String, Failure> {
    let Report { input, read, new, already_there, bad, seconds, rows_per_second, .. } = report;
    let summary = format!(
        "{input}: {read} read, {new} new, {already_there} already there, {bad} bad; {:.2} s, {rows_per_second} rows/s",
        seconds.as_secs_f64()
    );
    if report.symbols.is_empty() {
        return Ok(summary);
    }
    let rows = report.symbols.iter().flat_map(|symbol| {
        let names = [symbol.exchange.clone(), symbol.symbol.clone()];
        let input =
            [symbol.input.count.to_string(), symbol.input.quantity.clone(), symbol.input.quote_quantity.clone()];
        let unknown = || ["?", "?", "?"].map(str::to_owned);
        let database = symbol
            .database
            .as_ref()
            .map_or_else(unknown, |sums| [sums.count.to_string(), sums.quantity.clone(), sums.quote_quantity.clone()]);
        let row = |[exchange, symbol]: [String; 2], place: &str, [count, quantity, quote]: [String; 3]| {
            [exchange, symbol, place.to_owned(), count, quantity, quote]
        };
        [row(names, "input", input), row(Default::default(), "database", database)]
    });
    let header = ["EXCHANGE", "SYMBOL", "IN", "TRADES", "QUANTITY", "PRICE X QUANTITY"];
    Ok(format!("{summary}\n\n{}", output::table(&header, rows)))
}

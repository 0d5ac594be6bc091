//! `stanchion candles`.

use anyhow::anyhow;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use serde_json::Value;
use stanchion::App;
use stanchion::domain::market::Indicator;
use stanchion::entity::market::Period;
use stanchion::types::{TimeRange, Timestamp};
use stanchion_cli::candles::{self, MOST, Report, Request, Row};

use crate::args::Global;
use crate::output::{self, Failure, Output};

/// Build candles from the trades that were imported, and print them.
///
/// The candles are saved as well, so that services find them; building them again changes nothing. Open and close are the
/// first and last price by time and then the exchange's id, sums are exact, intervals begin at multiples of their length in
/// UTC, and an interval without a trade has no candle. Indicators are floating point, and count candles, not
/// minutes.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
                        stanchion candles --symbol XRPETH --interval 1h\n  \
                        stanchion candles --symbol XRPETH --interval 1d --indicators sma:20,rsi:14\n  \
                        stanchion candles --symbol XRPETH --interval 4h --plot\n  \
                        stanchion candles --symbol XRPETH --interval 1m --from 2019-10-11 --to 2019-10-12 --json")]
pub(crate) struct Args {
    /// The symbol, such as XRPETH.
    #[arg(long)]
    symbol: String,

    /// The length of a candle.
    #[arg(long, value_parser = PossibleValuesParser::new(Period::ALL.iter().map(|period| period.as_str()))
        .try_map(|word| word.parse::<Period>()))]
    interval: Period,

    /// The exchange.
    #[arg(long, default_value = "binance")]
    exchange: String,

    /// From this instant on: a day in UTC, such as 2019-10-11, or RFC 3339.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,

    /// Before this instant.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<Timestamp>,

    /// Indicators, separated by commas: sma:N, ema:N, rsi:N, macd, macd:FAST:SLOW:SIGNAL, vwap.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = indicator)]
    indicators: Vec<Indicator>,

    /// Print the newest N candles alone; more than 10000 are not printed at once.
    #[arg(long, value_name = "N", default_value_t = MOST, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    limit: u32,

    /// Draw them instead of listing them, as wide as the terminal.
    #[arg(long, conflicts_with = "indicators")]
    plot: bool,
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let Args { symbol, interval, exchange, from, to, indicators, limit, plot } = args;
    let usage = |failure: Failure| failure.status(output::BAD_USAGE);
    let series = candles::series(&exchange, &symbol).map_err(|fault| usage(anyhow!(fault).into()))?;
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(usage(anyhow!("--from is not before --to").into()));
    }
    let range = TimeRange { from, to };
    let request = Request { series, period: interval, range, indicators, limit };
    let app = App::start(global.load()?).await?;
    let report = candles::report(&app, &request).await;
    let first = match &report {
        Ok(report) if report.candles.is_empty() => Some(candles::first_trade(&app, &request.series).await),
        _ => None,
    };
    app.close().await;
    let report = report?;
    if let Some(first) = first {
        return Err(nothing(&request, first?));
    }
    output.report(&report, |report| Ok(if plot { drawing(report) } else { table(report, &request.indicators) }))?;
    if report.more {
        let oldest = report.candles.first().map(|row| row.open_time.to_string()).unwrap_or_default();
        output::notice(&format!("older candles are not shown; --to {oldest} shows those before"));
    }
    Ok(())
}

/// Why there is nothing to show, and what to do about it.
fn nothing(request: &Request, first: Option<Timestamp>) -> Failure {
    let (exchange, symbol) = (request.series.exchange(), request.series.symbol());
    match first {
        None => Failure::from(anyhow!("there are no trades of {symbol} on {exchange}"))
            .hint(format!("import some: stanchion import trades FILE --symbol {symbol} --exchange {exchange}")),
        Some(first) => Failure::from(anyhow!("there are no trades of {symbol} on {exchange} in that range"))
            .hint(format!("the first is of {first}; leave --from and --to out for all of them")),
    }
}

fn drawing(report: &Report) -> String {
    let Report { exchange, symbol, interval, candles, .. } = report;
    format!("{symbol} on {exchange}, {interval}\n\n{}", candles::draw(candles, output::width()))
}

fn table(report: &Report, indicators: &[Indicator]) -> String {
    let names = indicators.iter().flat_map(|indicator| {
        indicator.lines().iter().map(move |line| match *line {
            "value" => indicator.to_string().to_uppercase(),
            line => line.to_uppercase(),
        })
    });
    let names: Vec<String> = names.collect();
    let header = ["TIME (UTC)", "OPEN", "HIGH", "LOW", "CLOSE", "VOLUME", "QUOTE VOLUME", "TRADES", ""];
    let header: Vec<&str> = header.into_iter().chain(names.iter().map(String::as_str)).collect();
    output::table(&header, report.candles.iter().map(|row| cells(row, indicators)))
}

fn cells(row: &Row, indicators: &[Indicator]) -> Vec<String> {
    let mut cells = vec![
        row.open_time.get().format("%F %H:%M").to_string(),
        row.open.clone(),
        row.high.clone(),
        row.low.clone(),
        row.close.clone(),
        row.volume.clone(),
        row.quote_volume.clone(),
        row.trade_count.to_string(),
        if row.closed { "" } else { "open" }.to_owned(),
    ];
    for indicator in indicators {
        let value = row.indicators.get(&indicator.to_string()).unwrap_or(&Value::Null);
        cells.extend(indicator.lines().iter().map(|line| number(value.get(line).unwrap_or(value))));
    }
    cells
}

/// Six digits that say something.
fn number(value: &Value) -> String {
    let Some(value) = value.as_f64() else { return "-".to_owned() };
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let digits = (5.0 - magnitude).clamp(0.0, 12.0) as usize;
    format!("{value:.digits$}")
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let day = format!("{text}T00:00:00Z");
    text.parse().or_else(|_| day.parse()).map_err(|_| "neither a day (2019-10-11) nor RFC 3339".to_owned())
}

fn indicator(text: &str) -> Result<Indicator, String> {
    text.parse().map_err(|error: stanchion::Error| error.to_string())
}

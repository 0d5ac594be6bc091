use super::Row;

/// Lines of a drawing.
const HEIGHT: usize = 18;
/// Columns that a drawing has at least.
const NARROWEST: usize = 8;

/// A candle of the drawing, which may be several of the report.
#[derive(Clone, Copy, Debug)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
}

impl Bar {
    fn of(row: &Row) -> Option<Self> {
        let number = |text: &str| text.parse::<f64>().ok();
        Some(Self {
            open: number(&row.open)?,
            high: number(&row.high)?,
            low: number(&row.low)?,
            close: number(&row.close)?,
        })
    }

    fn and(self, later: Self) -> Self {
        Self { open: self.open, high: self.high.max(later.high), low: self.low.min(later.low), close: later.close }
    }
}

/// Draws candles in so many columns: a full block where the price rose, a shaded one where it fell, a line from the lowest
/// price to the highest. Where there are more than columns, neighbours are drawn as one. Nothing for no candles.
#[must_use]
pub fn draw(rows: &[Row], width: usize) -> String {
    let bars: Vec<Bar> = rows.iter().filter_map(Bar::of).collect();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return String::new() };
    let Some(all) = bars.iter().copied().reduce(Bar::and) else { return String::new() };
    let digits = digits(all.high - all.low);
    let label = |price: f64| format!("{price:.digits$}");
    let margin = label(all.high).len().max(label(all.low).len());
    let columns = width.saturating_sub(margin + 3).max(NARROWEST);
    let together = bars.len().div_ceil(columns).max(1);
    let bars: Vec<Bar> = bars.chunks(together).filter_map(|bars| bars.iter().copied().reduce(Bar::and)).collect();

    let span = if all.high > all.low { all.high - all.low } else { 1.0 };
    // The line of a price, counted from the top.
    let line = |price: f64| ((all.high - price) / span * (HEIGHT - 1) as f64).round() as usize;
    let mut drawing = String::new();
    for at in 0..HEIGHT {
        let price = all.high - span * at as f64 / (HEIGHT - 1) as f64;
        let label = if at % 4 == 0 || at == HEIGHT - 1 { label(price) } else { String::new() };
        let marks: String = bars.iter().map(|bar| mark(bar, at, line)).collect();
        drawing.push_str(format!("{label:>margin$} ┤{marks}").trim_end());
        drawing.push('\n');
    }
    let time = |row: &Row| row.open_time.get().format("%F %H:%M").to_string();
    let (from, to) = (time(first), time(last));
    let gap = bars.len().saturating_sub(from.len() + to.len()).max(2);
    drawing.push_str(&format!("{:margin$}  {from}{:gap$}{to}\n", "", ""));
    if together > 1 {
        drawing.push_str(&format!("{:margin$}  {together} candles a column\n", ""));
    }
    drawing
}

fn mark(bar: &Bar, at: usize, line: impl Fn(f64) -> usize) -> char {
    let body = line(bar.open.max(bar.close))..=line(bar.open.min(bar.close));
    let wick = line(bar.high)..=line(bar.low);
    match () {
        () if body.contains(&at) && bar.close >= bar.open => '█',
        () if body.contains(&at) => '▒',
        () if wick.contains(&at) => '│',
        () => ' ',
    }
}

/// Digits after the point that tell the lines apart.
fn digits(span: f64) -> usize {
    if span > 0.0 { (2.0 - (span / HEIGHT as f64).log10()).clamp(0.0, 12.0) as usize } else { 8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stanchion::types::Timestamp;

    fn row(minute: i64, prices: [&str; 4]) -> Row {
        let [open, high, low, close] = prices.map(str::to_owned);
        Row {
            open_time: Timestamp::from_millis(minute * 60_000).unwrap(),
            open,
            high,
            low,
            close,
            volume: "1".into(),
            quote_volume: "1".into(),
            trade_count: 1,
            closed: true,
            indicators: serde_json::Map::new(),
        }
    }

    #[test]
    fn a_drawing_shows_every_candle_in_its_width() {
        let rows: Vec<Row> =
            (0..500).map(|minute| row(minute, ["1", "4", "0.5", if minute < 250 { "3" } else { "2" }])).collect();
        for width in [0, 20, 60, 200] {
            let drawing = draw(&rows, width);
            let widest = drawing.lines().take(HEIGHT).map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= width.max(NARROWEST + 10), "{widest} {drawing}");
            assert!(drawing.contains("candles a column"));
            assert!(drawing.contains("1970-01-01 00:00") && drawing.contains("1970-01-01 08:19"), "{drawing}");
        }
    }

    #[test]
    fn rising_falling_and_standing_prices_can_be_drawn() {
        let drawing = draw(&[row(0, ["1", "4", "1", "3"]), row(1, ["3", "3", "1", "2"])], 80);
        assert!(drawing.contains('█') && drawing.contains('▒') && drawing.contains('│'), "{drawing}");
        let standing = draw(&[row(0, ["2", "2", "2", "2"])], 80);
        assert_eq!(standing.matches('█').count(), 1, "{standing}");
        assert_eq!(draw(&[], 80), "");
    }
}

use std::fmt;

use serde_json::json;

use super::Samples;

/// What a ratio of ours to a peer's has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this: for times.
    AtMost(f64),
    /// At least this: for rates.
    AtLeast(f64),
    /// None: the ratio is shown and not judged.
    None,
}

impl Goal {
    fn met_by(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(ratio <= limit),
            Self::AtLeast(limit) => Some(ratio >= limit),
            Self::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "<= {limit:.2}x"),
            Self::AtLeast(limit) => write!(f, ">= {limit:.2}x"),
            Self::None => f.write_str("-"),
        }
    }
}

/// How ours compares with its peers, on every back end or in every kind of work.
#[derive(Clone, Debug)]
pub struct Report {
    name: &'static str,
    unit: &'static str,
    json: bool,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
struct Line {
    subject: String,
    peer: String,
    ours: [f64; 3],
    theirs: [f64; 3],
    ratio: [f64; 3],
    goal: Goal,
}

impl Report {
    /// A report of the benchmark `name`, whose values are in `unit`; as lines of JSON or as a table.
    #[must_use]
    pub const fn new(name: &'static str, unit: &'static str, json: bool) -> Self {
        Self { name, unit, json, lines: Vec::new() }
    }

    /// Adds a comparison, on a back end or of one kind of work.
    pub fn compare(&mut self, subject: impl fmt::Display, ours: &Samples, theirs: &Samples, goal: Goal) {
        let line = Line {
            subject: subject.to_string(),
            peer: theirs.name.clone(),
            ours: ours.quartiles(),
            theirs: theirs.quartiles(),
            ratio: ours.ratios_to(theirs),
            goal,
        };
        self.lines.push(line);
    }

    /// Writes it to standard output.
    pub fn print(&self) {
        if self.json {
            self.lines.iter().for_each(|line| println!("{}", self.json(line)));
        } else {
            println!("{self}");
        }
    }

    fn json(&self, line: &Line) -> serde_json::Value {
        json!({
            "bench": self.name,
            "subject": line.subject,
            "peer": line.peer,
            "unit": self.unit,
            "ours": line.ours[1],
            "theirs": line.theirs[1],
            "ratio": line.ratio[1],
            "ratio_quartiles": [line.ratio[0], line.ratio[2]],
            "target": line.goal.to_string(),
            "met": line.goal.met_by(line.ratio[1]),
        })
    }
}

impl fmt::Display for Report {
    /// Medians, with the quartiles of the rounds beside them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}; median (quartiles)", self.name, self.unit)?;
        let head = ["", "peer", "ours", "theirs", "ratio", "target", ""].map(str::to_owned);
        let cells: Vec<[String; 7]> = std::iter::once(head).chain(self.lines.iter().map(cells)).collect();
        let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
        for row in &cells {
            let padded = row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
            writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

fn cells(line: &Line) -> [String; 7] {
    let spread = |[low, median, high]: [f64; 3], digits: usize, unit: &str| {
        format!("{median:.digits$}{unit} ({low:.digits$}-{high:.digits$})")
    };
    let digits = if line.ours[1] < 10.0 {
        2
    } else if line.ours[1] < 1_000.0 {
        1
    } else {
        0
    };
    let met = line.goal.met_by(line.ratio[1]).map_or("", |met| if met { "met" } else { "MISSED" });
    [
        line.subject.clone(),
        line.peer.clone(),
        spread(line.ours, digits, ""),
        spread(line.theirs, digits, ""),
        spread(line.ratio, 2, "x"),
        line.goal.to_string(),
        met.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::Backend;

    #[test]
    fn a_goal_says_whether_it_is_met() {
        let samples = |name: &str, value: f64| Samples { name: name.to_owned(), values: vec![value] };
        let mut report = Report::new("lookups", "us", false);
        report.compare(Backend::Sqlite, &samples("ours", 60.0), &samples("peer", 100.0), Goal::AtMost(0.7));
        report.compare(Backend::Sqlite, &samples("ours", 60.0), &samples("other", 50.0), Goal::AtMost(1.15));
        let text = report.to_string();
        assert!(text.contains("0.60x (0.60-0.60)  <= 0.70x  met\n"), "{text}");
        assert!(text.contains("1.20x (1.20-1.20)  <= 1.15x  MISSED\n"), "{text}");
    }
}

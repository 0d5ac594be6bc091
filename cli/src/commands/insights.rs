//! `stanchion insights`.

use serde::Serialize;
use stanchion::App;
use stanchion::domain::insights::{BusinessFigures, BusinessHealth, EngineFigures};

use crate::args::Global;
use crate::output::{self, Failure, Output};

/// Show how the business does, and how its databases are.
#[derive(clap::Args)]
#[command(
    after_help = "The databases must be migrated; nothing is changed in them. Figures that an engine does not give are shown\n\
                        as `-`, and are null in JSON.\n\n\
                        Examples:\n  \
                        stanchion insights\n  \
                        stanchion insights --days 7\n  \
                        stanchion insights --days 90 --json"
)]
pub(crate) struct Args {
    /// Over the last N days.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    days: u32,
}

/// What is reported.
#[derive(Serialize)]
struct Insights<'a> {
    days: u32,
    health: &'a BusinessHealth,
    business: &'a BusinessFigures,
    databases: &'a [EngineFigures],
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let app = App::start(global.load()?).await?;
    let days = args.days;
    let health = app.insights().health(days).await?;
    // Kept since a moment ago.
    let business = app.insights().last_days(days).await?;
    let databases = app.insights().engines().await;
    app.close().await;
    let insights = Insights { days, health: &health, business: &business, databases: &databases };
    output.report(&insights, |insights| Ok(insights.text()))
}

impl Insights<'_> {
    fn text(&self) -> String {
        let Self { days, health, .. } = self;
        let mut parts = vec![format!("Health over {days} days: {} ({:.2})", health.grade, health.score)];
        let components = health.components.iter().map(|component| {
            let measured = if component.measured { "" } else { "nothing to measure yet" };
            [component.kind.to_string(), format!("{:.2}", component.score), measured.to_owned()]
        });
        parts.push(output::table(&["COMPONENT", "SCORE", ""], components));
        parts.extend(health.recommendations.iter().map(|recommendation| format!("- {recommendation}")));
        parts.push(output::table(&["FIGURE", "VALUE"], self.figures()));
        parts.push(output::table(
            &["DATABASE", "ENGINE", "POOL", "SERVER", "SLOW", "LOCK WAITS", "LONG TX", "BYTES", "LAG"],
            self.databases.iter().map(database),
        ));
        parts.join("\n\n")
    }

    fn figures(&self) -> Vec<[String; 2]> {
        let BusinessFigures { users, activity, orders, purchases, points, reviews, logs, .. } = self.business;
        let percent = |share: Option<f64>| share.map_or_else(none, |share| format!("{:.1} %", share * 100.0));
        let mut figures = vec![
            ("users registered", users.registered.to_string()),
            ("users who ordered", activity.active.to_string()),
            ("users lost", activity.lost.to_string()),
            ("level changes that succeeded", percent(users.upgrades.share())),
            ("orders placed", orders.placed.to_string()),
            ("orders paid", orders.paid().to_string()),
            ("gross merchandise value", orders.gmv().to_string()),
            ("average order value", orders.average_value().map_or_else(none, |value| value.to_string())),
            ("purchases completed, of those finished", percent(purchases.finished.share())),
            ("points moved", points.volume().to_string()),
            ("transfers that are whole", percent(points.transfers.share())),
            ("reviews", reviews.count().to_string()),
            ("mean rating", reviews.mean().map_or_else(none, |mean| format!("{mean:.2}"))),
            ("log entries", logs.entries.to_string()),
            ("errors logged", logs.errors.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value])
        .collect::<Vec<_>>();
        figures
            .extend(users.by_level.iter().map(|(level, count)| [format!("users of level {level}"), count.to_string()]));
        figures
    }
}

fn database(figures: &EngineFigures) -> [String; 9] {
    let number = |figure: Option<u64>| figure.map_or_else(none, |figure| figure.to_string());
    let pools = figures.pools;
    let server = match (figures.server_connections, figures.max_server_connections) {
        (Some(open), Some(most)) => format!("{open} of {most}"),
        (open, _) => number(open),
    };
    [
        figures.database.to_string(),
        if figures.reachable { figures.engine.to_string() } else { format!("{} (does not answer)", figures.engine) },
        format!("{}+{} of {}", pools.writer_open, pools.reader_open, pools.most),
        server,
        number(figures.slow_statements),
        number(figures.lock_waits),
        number(figures.long_transactions),
        number(figures.bytes),
        figures.replication_lag_s.map_or_else(none, |lag| format!("{lag:.1} s")),
    ]
}

fn none() -> String {
    "-".to_owned()
}

use std::collections::BTreeMap;

use stanchion::Error;
use stanchion::db::Order;
use stanchion::db::bulk::Saved;
use stanchion::domain::market::{MAX_LABELS, MetricFilter, NewMetric};
use stanchion::types::Timestamp;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

on_every_backend! {
    labels_make_a_series_in_whatever_order,
    a_point_is_recorded_once,
    points_are_read_by_range_and_page,
    what_cannot_be_stored_is_refused_and_named,
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn point(micros: i64, labels: BTreeMap<String, String>, value: f64) -> NewMetric {
    let ts = Some(Timestamp::from_micros(micros).unwrap());
    NewMetric { name: "latency_ms".parse().unwrap(), labels, ts, value }
}

async fn labels_make_a_series_in_whatever_order(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let one = labels(&[("symbol", "XRPETH"), ("venue", "🚀 \"שלום\"")]);
    let same = labels(&[("venue", "🚀 \"שלום\""), ("symbol", "XRPETH")]);
    let other = labels(&[("symbol", "XRPETH")]);
    let points =
        [point(1, one.clone(), 1.5), point(2, same, -0.0), point(1, other.clone(), 1e300), point(1, labels(&[]), 0.1)];
    assert_eq!(market.record_metrics(points).await.unwrap(), Saved { inserted: 4, duplicates: 0 });
    let values = async |filter: MetricFilter| {
        let page = market.metrics(&filter.order(Order::Asc)).await.unwrap();
        page.items.iter().map(|metric| metric.value.get()).collect::<Vec<f64>>()
    };
    let named = || MetricFilter::named("latency_ms");
    assert_eq!(values(named().labels(&one)).await, [1.5, 0.0]);
    assert_eq!(values(named().labels(&other)).await, [1e300]);
    assert_eq!(values(named().labels(&labels(&[]))).await, [0.1]);
    assert_eq!(values(named()).await.len(), 4);
    assert!(values(MetricFilter::named("Latency_ms")).await.is_empty());
    let found = market.metrics(&named().labels(&one)).await.unwrap().items.remove(0);
    assert_eq!(found.labels.to::<BTreeMap<String, String>>().unwrap(), one);
}

async fn a_point_is_recorded_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let series = labels(&[("symbol", "XRPETH")]);
    assert_eq!(market.record_metrics([point(1, series.clone(), 1.0)]).await.unwrap().inserted, 1);
    let again = [point(1, series.clone(), 2.0), point(2, series.clone(), 2.0)];
    assert_eq!(market.record_metrics(again).await.unwrap(), Saved { inserted: 1, duplicates: 1 });
    // Without a time it is that of the clock.
    let now = NewMetric { ts: None, ..point(0, series.clone(), 3.0) };
    market.record_metrics([now]).await.unwrap();
    let page = market.metrics(&MetricFilter::named("latency_ms").labels(&series)).await.unwrap();
    let found: Vec<(String, f64)> =
        page.items.iter().map(|metric| (metric.ts.to_string(), metric.value.get())).collect();
    assert_eq!(found[0], ("2026-03-01T12:00:00.000000Z".to_owned(), 3.0));
    assert_eq!((found[1].1, found[2].1), (2.0, 1.0));
}

async fn points_are_read_by_range_and_page(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let series = [labels(&[("n", "1")]), labels(&[("n", "2")]), labels(&[("n", "3")])];
    let points = (0..60).map(|at| point(at / 3, series[at as usize % 3].clone(), at as f64));
    market.record_metrics(points).await.unwrap();
    let ends = |from, to| (Timestamp::from_micros(from).unwrap(), Timestamp::from_micros(to).unwrap());
    let (from, to) = ends(5, 15);
    let mut filter = MetricFilter::named("latency_ms").from(from).to(to).limit(7);
    let mut seen = Vec::new();
    loop {
        let (page, trips) = stage.counted(market.metrics(&filter)).await;
        let page = page.unwrap();
        assert_eq!(trips, 1);
        seen.extend(page.items.iter().map(|metric| metric.value.get() as i64));
        let Some(next) = page.next else { break };
        filter = filter.after(Some(next));
    }
    seen.sort_unstable();
    assert_eq!(seen, (15..45).collect::<Vec<_>>());
}

async fn what_cannot_be_stored_is_refused_and_named(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    let many = (0..=MAX_LABELS).map(|number| (number.to_string(), String::new())).collect();
    let long = |name: usize, value: usize| BTreeMap::from([("n".repeat(name), "v".repeat(value))]);
    let bad = [
        ("trading_metrics.value", point(1, labels(&[]), f64::NAN)),
        ("trading_metrics.value", point(1, labels(&[]), f64::INFINITY)),
        ("trading_metrics.name", NewMetric { name: " ".parse().unwrap(), ..point(1, labels(&[]), 1.0) }),
        ("trading_metrics.labels", point(1, many, 1.0)),
        ("trading_metrics.labels", point(1, long(65, 1), 1.0)),
        ("trading_metrics.labels", point(1, long(1, 257), 1.0)),
        ("trading_metrics.labels", point(1, labels(&[("a", "b\0")]), 1.0)),
        ("trading_metrics.labels", point(1, labels(&[("", "b")]), 1.0)),
    ];
    for (column, metric) in bad {
        let error = market.record_metrics([point(2, labels(&[]), 1.0), metric]).await.unwrap_err();
        assert!(matches!(&error, Error::Value(value) if value.column() == Some(column)), "{column}: {error}");
    }
    market.record_metrics([point(1, long(64, 256), 1.0)]).await.unwrap();
    assert_eq!(market.metrics(&MetricFilter::named("latency_ms")).await.unwrap().items.len(), 1);
}

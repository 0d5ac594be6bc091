use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use stanchion::db::Order;
use stanchion::domain::alerting::{
    self, AlertFilter, Comparison, Condition, MAX_OBSERVATIONS, NewRule, Observation, PriceDirection, Require,
    RuleChange, RuleFilter,
};
use stanchion::domain::trading::TradeFilter;
use stanchion::entity::alerting::{AlertStatus, RuleType, Severity};
use stanchion::types::{Timestamp, new_id};
use stanchion::{App, Clock};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{SECOND, above, create, fired, observe, rule};

on_every_backend! {
    a_rule_is_written_changed_and_deleted_with_what_belongs_to_it,
    a_rule_that_cannot_be_meant_is_refused,
    of_two_changes_of_a_version_one_is_stale,
    rules_are_listed_by_user_type_and_activity,
    a_breach_raises_one_alert_until_it_ends,
    a_hold_runs_out_by_time_alone,
    a_breach_within_a_cooldown_waits_for_its_end,
    silence_raises_an_alert_by_time_alone,
    a_rule_over_several_subjects_sees_all_of_them,
    an_inactive_rule_looks_at_nothing,
    a_repeated_stream_raises_nothing_twice,
    an_observation_that_makes_no_sense_is_refused,
    more_rules_than_a_transaction_takes_are_all_judged,
    instances_that_judge_the_same_stream_raise_each_breach_once,
    instances_that_sweep_at_once_raise_each_absence_once,
    changing_rules_while_they_are_judged_loses_nothing,
    what_a_rule_remembers_is_undone_with_the_transaction,
    every_operation_on_rules_makes_few_round_trips,
}

async fn a_rule_is_written_changed_and_deleted_with_what_belongs_to_it(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let new = NewRule { description: "\u{202e}从右到左 🙃".parse().unwrap(), ..rule(above("cpu", 1.0, 0)) };
    let written = create(&stage, new.clone()).await;
    assert_eq!(alerting.rule(written.id).await.unwrap(), written);
    assert_eq!((written.rule_type, written.version), (RuleType::Threshold, 1));
    assert_eq!(Condition::of_rule(&written).unwrap(), new.condition);

    let condition = Condition::Price { symbol: "ETH".parse().unwrap(), direction: PriceDirection::Below, price: 2.0 };
    let change = RuleChange {
        condition: Some(condition.clone()),
        severity: Some(Severity::Critical),
        cooldown_s: Some(7),
        ..RuleChange::default()
    };
    stage.clock.advance(SECOND);
    let changed = alerting.update_rule(written.id, 1, change).await.unwrap();
    assert_eq!(alerting.rule(written.id).await.unwrap(), changed);
    assert_eq!((changed.rule_type, changed.version, changed.cooldown_s), (RuleType::Price, 2, 7));
    assert_eq!((changed.name.clone(), changed.user_id), (written.name, written.user_id));
    // It looks at its new subject, and not at the old one.
    assert_eq!(observe(&stage, "cpu", 5.0).await, 0);
    assert_eq!(observe(&stage, "price:ETH", 1.0).await, 1);

    alerting.delete_rule(written.id).await.unwrap();
    assert!(alerting.rule(written.id).await.unwrap_err().is_not_found());
    assert!(alerting.rule_state(written.id).await.unwrap_err().is_not_found());
    assert!(alerting.alerts(&AlertFilter::new()).await.unwrap().items.is_empty());
    assert!(alerting.delete_rule(written.id).await.unwrap_err().is_not_found());
}

async fn a_rule_that_cannot_be_meant_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, -1e301] {
        let error = alerting.create_rule(rule(above("cpu", value, 0))).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("value"), "{error}");
    }
    let error = alerting.create_rule(rule(above("cpu", 1.0, u32::MAX))).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("hold_for_s"), "{error}");
    let nameless = NewRule { name: " \t".parse().unwrap(), ..rule(above("cpu", 1.0, 0)) };
    assert!(alerting.create_rule(nameless).await.unwrap_err().is_invalid());
    let frozen = NewRule { cooldown_s: u32::MAX, ..rule(above("cpu", 1.0, 0)) };
    assert!(alerting.create_rule(frozen).await.unwrap_err().is_invalid());
    assert!(alerting.rules(&RuleFilter::new()).await.unwrap().items.is_empty(), "nothing of them is kept");

    let written = create(&stage, rule(above("cpu", 1.0, 0))).await;
    let change = RuleChange { condition: Some(above(" ", 1.0, 0)), ..RuleChange::default() };
    assert!(alerting.update_rule(written.id, 1, change).await.unwrap_err().is_invalid());
    assert_eq!(alerting.rule(written.id).await.unwrap(), written);
    // At its limits it is accepted.
    let name = "🔥".repeat(255);
    let limits = NewRule { name: name.parse().unwrap(), ..rule(above(&"号".repeat(200), 1e300, 366 * 86_400)) };
    let written = create(&stage, limits.clone()).await;
    let read = alerting.rule(written.id).await.unwrap();
    assert_eq!((read.name.as_str(), Condition::of_rule(&read).unwrap()), (name.as_str(), limits.condition));
}

async fn of_two_changes_of_a_version_one_is_stale(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let written = create(&stage, rule(above("cpu", 1.0, 0))).await;
    let changes = (0..8).map(|n| {
        let app = stage.app.clone();
        let change = RuleChange { name: Some(format!("name {n}").parse().unwrap()), ..RuleChange::default() };
        tokio::spawn(async move { app.alerting().update_rule(written.id, 1, change).await })
    });
    let done: Vec<_> = join_all(changes).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
    assert!(done.iter().filter_map(|done| done.as_ref().err()).all(stanchion::Error::is_stale));
    let change = RuleChange::default();
    assert!(stage.app.alerting().update_rule(new_id(), 1, change).await.unwrap_err().is_not_found());
}

async fn rules_are_listed_by_user_type_and_activity(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let user = new_id();
    for n in 0..7 {
        stage.clock.advance(SECOND);
        let condition = match n % 2 {
            0 => above("cpu", 1.0, 0),
            _ => Condition::Absence { subject: "cpu".parse().unwrap(), for_s: 5 },
        };
        create(&stage, NewRule { user_id: user, is_active: n < 4, ..rule(condition) }).await;
        create(&stage, rule(above("cpu", 1.0, 0))).await;
    }
    let mut filter = RuleFilter::new().user(user).order(Order::Asc).limit(3);
    let mut seen = Vec::new();
    loop {
        let page = alerting.rules(&filter).await.unwrap();
        seen.extend(page.items);
        filter = filter.after(page.next);
        if page.next.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by_key(|rule| rule.id) && seen.iter().all(|rule| rule.user_id == user));
    let count = async |filter| alerting.rules(&filter).await.unwrap().items.len();
    assert_eq!(count(RuleFilter::new().user(user).active(false)).await, 3);
    assert_eq!(count(RuleFilter::new().rule_type(RuleType::Absence)).await, 3);
    assert_eq!(count(RuleFilter::new().user(user).rule_type(RuleType::Absence).active(true)).await, 2);
    // A cursor of another list, and one of another table.
    let cursor = alerting.rules(&RuleFilter::new().limit(1)).await.unwrap().next;
    assert!(alerting.rules(&RuleFilter::new().user(user).after(cursor)).await.unwrap_err().is_invalid());
    assert!(alerting.alerts(&AlertFilter::new().after(cursor)).await.unwrap_err().is_invalid());
    assert!(stage.app.trading().trades(&TradeFilter::new().after(cursor)).await.unwrap_err().is_invalid());
}

async fn a_breach_raises_one_alert_until_it_ends(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let rule = create(&stage, NewRule { severity: Severity::High, ..rule(above("cpu", 0.9, 0)) }).await;
    let mut raised = Vec::new();
    for value in [0.5, 0.95, 0.99, 0.9, 0.91] {
        raised.push(observe(&stage, "cpu", value).await);
    }
    assert_eq!(raised, [0, 1, 0, 0, 1]);
    let alerts = stage.app.alerting().alerts(&AlertFilter::new().rule(rule.id).order(Order::Asc)).await.unwrap().items;
    let [first, second] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!((&first.title, first.severity, first.user_id), (&rule.name, Severity::High, rule.user_id));
    assert_eq!((first.status, first.attempts), (AlertStatus::Pending, 0));
    assert_eq!(second.created_at.since(first.created_at), 3 * SECOND);
    assert!(first.message.contains("cpu above 0.9") && first.message.contains("0.95"), "{}", first.message);
    assert_eq!(first.metadata.as_ref().unwrap()["value"], 0.95);
    let state = stage.app.alerting().rule_state(rule.id).await.unwrap();
    assert_eq!(state.last_observed.map(f64::from), Some(0.91));
    assert_eq!((state.breached_since, state.last_fired_at), (Some(second.created_at), Some(second.created_at)));
}

async fn a_hold_runs_out_by_time_alone(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let rule = create(&stage, rule(above("cpu", 0.9, 60))).await;
    assert_eq!(observe(&stage, "cpu", 1.0).await, 0);
    let began = stage.clock.now();
    stage.clock.advance(59 * SECOND);
    assert_eq!(alerting.sweep().await.unwrap().fired.len(), 0);
    stage.clock.advance(100 * SECOND);
    let swept = alerting.sweep().await.unwrap();
    assert_eq!((swept.rules, swept.fired.len()), (1, 1));
    assert_eq!(alerting.sweep().await.unwrap().rules, 0, "nothing is due any more");
    // The alert says when it happened, not when it was noticed.
    let alert = alerting.alert(swept.fired[0]).await.unwrap();
    assert_eq!(alert.created_at, began.plus(60 * SECOND).unwrap());
    assert_eq!(alert.next_attempt_at, Some(stage.clock.now()));
    assert_eq!(observe(&stage, "cpu", 1.0).await, 0);
    assert_eq!(alerting.rule_state(rule.id).await.unwrap().due_at, None);
}

async fn a_breach_within_a_cooldown_waits_for_its_end(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let written = create(&stage, NewRule { cooldown_s: 60, ..rule(above("cpu", 0.9, 0)) }).await;
    let mut raised = Vec::new();
    for value in [1.0, 0.0, 1.0, 0.0, 1.0] {
        raised.push(observe(&stage, "cpu", value).await);
    }
    assert_eq!(raised, [1, 0, 0, 0, 0]);
    stage.clock.advance(55 * SECOND);
    assert_eq!(alerting.sweep().await.unwrap().fired.len(), 0);
    stage.clock.advance(SECOND);
    assert_eq!(alerting.sweep().await.unwrap().fired.len(), 1);
    // A shorter cooldown counts at once.
    for value in [0.0, 1.0] {
        assert_eq!(observe(&stage, "cpu", value).await, 0);
    }
    let change = RuleChange { cooldown_s: Some(1), ..RuleChange::default() };
    alerting.update_rule(written.id, 1, change).await.unwrap();
    assert_eq!(alerting.sweep().await.unwrap().fired.len(), 1);
}

async fn silence_raises_an_alert_by_time_alone(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    create(&stage, rule(Condition::Absence { subject: "heartbeat".parse().unwrap(), for_s: 30 })).await;
    let mut raised = Vec::new();
    for _ in 0..5 {
        stage.clock.advance(20 * SECOND);
        raised.push(alerting.sweep().await.unwrap().fired.len());
        if raised.len() == 3 {
            raised.push(observe(&stage, "heartbeat", 1.0).await);
        }
    }
    assert_eq!(raised, [0, 1, 0, 0, 0, 1]);
}

async fn a_rule_over_several_subjects_sees_all_of_them(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let price = Condition::Price { symbol: "ETH".parse().unwrap(), direction: PriceDirection::Above, price: 10.0 };
    let conditions = vec![price, above("volume", 5.0, 0)];
    create(&stage, rule(Condition::Composite { require: Require::All, conditions })).await;
    assert_eq!(observe(&stage, "price:ETH", 11.0).await, 0);
    assert_eq!(observe(&stage, "volume", 6.0).await, 1);
    // Both in one call, the later one first.
    stage.clock.advance(2 * SECOND);
    let now = stage.clock.now();
    let observations = [
        Observation::new("volume".parse().unwrap(), 7.0, now),
        Observation::new("volume".parse().unwrap(), 1.0, now.minus(SECOND).unwrap()),
        Observation::price("ETH", 12.0, now).unwrap(),
    ];
    let evaluated = stage.app.alerting().evaluate(&observations).await.unwrap();
    assert_eq!((evaluated.rules, evaluated.taken, evaluated.late, evaluated.fired.len()), (1, 3, 0, 1));
}

async fn an_inactive_rule_looks_at_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let absence = Condition::Absence { subject: "cpu".parse().unwrap(), for_s: 5 };
    let conditions = vec![above("cpu", 1.0, 0), absence];
    let new = rule(Condition::Composite { require: Require::Any, conditions });
    let rule = create(&stage, NewRule { is_active: false, ..new }).await;
    assert_eq!(observe(&stage, "cpu", 2.0).await, 0);
    stage.clock.advance(60 * SECOND);
    assert_eq!(alerting.sweep().await.unwrap().rules, 0);
    let switch = |is_active| RuleChange { is_active: Some(is_active), ..RuleChange::default() };
    alerting.update_rule(rule.id, 1, switch(true)).await.unwrap();
    // What it had not seen while it was off is no silence.
    stage.clock.advance(4 * SECOND);
    assert_eq!(alerting.sweep().await.unwrap().fired.len(), 0);
    assert_eq!(observe(&stage, "cpu", 2.0).await, 1);
    alerting.update_rule(rule.id, 2, switch(false)).await.unwrap();
    stage.clock.advance(60 * SECOND);
    assert_eq!((alerting.sweep().await.unwrap().rules, observe(&stage, "cpu", 2.0).await), (0, 0));
}

async fn a_repeated_stream_raises_nothing_twice(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    create(&stage, rule(above("cpu", 1.0, 0))).await;
    stage.clock.advance(60 * SECOND);
    let stream = stream(stage.clock.now().minus(50 * SECOND).unwrap(), 40);
    let first = alerting.evaluate(&stream).await.unwrap();
    assert_eq!((first.taken, first.late, first.fired.len()), (40, 0, 10));
    let mut backwards = stream.clone();
    backwards.reverse();
    for again in [&stream, &backwards, &stream[5..9].to_vec()] {
        let again_evaluated = alerting.evaluate(again).await.unwrap();
        assert_eq!((again_evaluated.taken, again_evaluated.late), (0, again.len()));
        assert!(again_evaluated.fired.is_empty());
    }
    assert_eq!(alerting.alerts(&AlertFilter::new()).await.unwrap().items.len(), 10);
}

/// Observations of `cpu`, one a second: two low ones, two high ones, and again.
fn stream(from: Timestamp, count: u32) -> Vec<Observation> {
    let observation = |n: u32| {
        let at = from.plus(n * SECOND).unwrap();
        Observation::new("cpu".parse().unwrap(), if n % 4 < 2 { 0.0 } else { 2.0 }, at)
    };
    (0..count).map(observation).collect()
}

async fn an_observation_that_makes_no_sense_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    create(&stage, rule(above("cpu", 1.0, 0))).await;
    let now = stage.clock.now();
    let observation = |value, at| [Observation::new("cpu".parse().unwrap(), value, at)];
    for value in [f64::NAN, f64::INFINITY, f64::MIN] {
        assert!(alerting.evaluate(&observation(value, now)).await.unwrap_err().is_invalid());
    }
    for at in ["2026-03-01T12:06:00Z", "2262-04-12T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z"] {
        let error = alerting.evaluate(&observation(2.0, at.parse().unwrap())).await.unwrap_err();
        assert!(error.is_invalid(), "{at}: {error}");
    }
    let many = vec![observation(0.0, now)[0].clone(); MAX_OBSERVATIONS + 1];
    assert!(alerting.evaluate(&many).await.unwrap_err().is_invalid());
    assert_eq!(alerting.evaluate(&[]).await.unwrap(), alerting::Evaluated::default());
    assert!(Observation::price(&"X".repeat(195), 1.0, now).unwrap_err().is_invalid());
    for value in [1e300, -1e300, f64::MIN_POSITIVE, 1.000_000_000_000_000_2] {
        stage.clock.advance(SECOND);
        alerting.evaluate(&observation(value, stage.clock.now())).await.unwrap();
    }
    assert_eq!(alerting.alerts(&AlertFilter::new()).await.unwrap().items.len(), 2);
    // Others hear what nobody asked about, and what is only named alike.
    for subject in ["CPU", "cpu ", "сpu", "cpu%"] {
        assert_eq!(observe(&stage, subject, 9.0).await, 0);
        assert_eq!(observe(&stage, "cpu", 0.0).await, 0);
    }
}

async fn more_rules_than_a_transaction_takes_are_all_judged(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let app = &stage.app;
    for _ in 0..9 {
        let new = rule(above("cpu", 1.0, 0));
        app.transaction(stanchion::config::Domain::Alerting, async |tx| {
            for _ in 0..50 {
                alerting::create_rule(tx, new.clone(), app.clock().now()).await?;
            }
            Ok(())
        })
        .await
        .unwrap();
    }
    stage.clock.advance(SECOND);
    let observation = Observation::new("cpu".parse().unwrap(), 2.0, stage.clock.now());
    let evaluated = app.alerting().evaluate(std::slice::from_ref(&observation)).await.unwrap();
    assert_eq!((evaluated.rules, evaluated.fired.len()), (450, 450));
    assert_eq!(evaluated.fired.iter().collect::<BTreeSet<_>>().len(), 450);
    assert_eq!(app.alerting().evaluate(&[observation]).await.unwrap().late, 450);
}

async fn instances_that_judge_the_same_stream_raise_each_breach_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let others = [another_instance(&stage).await, another_instance(&stage).await];
    for hold in [0, 1, 2] {
        create(&stage, rule(above("cpu", 1.0, hold))).await;
    }
    stage.clock.advance(Duration::from_secs(1_000));
    let stream = stream(stage.clock.now().minus(Duration::from_secs(500)).unwrap(), 240);
    let judged = [&stage.app, &others[0], &others[1]].into_iter().enumerate().map(|(i, app)| {
        let (app, stream) = (app.clone(), stream.clone());
        // Each instance cuts the stream into other pieces.
        tokio::spawn(async move {
            let mut raised = 0;
            for piece in stream.chunks(3 + 2 * i) {
                raised += app.alerting().evaluate(piece).await.unwrap().fired.len();
            }
            raised
        })
    });
    let raised: usize = join_all(judged).await.into_iter().map(Result::unwrap).sum();
    // 60 breaches of two seconds each; what ends one comes when a hold of two has run out, but for the last one.
    assert_eq!(raised, 179);
    let mut filter = AlertFilter::new().limit(1_000);
    let alerts = stage.app.alerting().alerts(&filter).await.unwrap();
    assert_eq!(alerts.items.len(), 179);
    filter = filter.status(AlertStatus::Pending);
    assert_eq!(stage.app.alerting().alerts(&filter).await.unwrap().items.len(), 179);
}

async fn another_instance(stage: &Stage) -> App {
    App::start_with(stage.app.config().clone(), stage.clock.clone()).await.unwrap()
}

async fn instances_that_sweep_at_once_raise_each_absence_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let other = another_instance(&stage).await;
    for n in 0..30 {
        let subject = format!("node-{n}").parse().unwrap();
        create(&stage, rule(Condition::Absence { subject, for_s: 5 })).await;
    }
    stage.clock.advance(10 * SECOND);
    let sweeps = (0..6).map(|n| {
        let app = if n % 2 == 0 { stage.app.clone() } else { other.clone() };
        tokio::spawn(async move { app.alerting().sweep().await.unwrap().fired.len() })
    });
    let raised: usize = join_all(sweeps).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(raised, 30);
    assert_eq!(stage.app.alerting().alerts(&AlertFilter::new()).await.unwrap().items.len(), 30);
}

async fn changing_rules_while_they_are_judged_loses_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let (kept, gone) =
        (create(&stage, rule(above("cpu", 1.0, 0))).await, create(&stage, rule(above("cpu", 1.0, 0))).await);
    stage.clock.advance(Duration::from_secs(1_000));
    let stream = stream(stage.clock.now().minus(Duration::from_secs(500)).unwrap(), 80);
    let judging = {
        let app = stage.app.clone();
        tokio::spawn(async move {
            for observation in stream {
                app.alerting().evaluate(&[observation]).await.unwrap();
            }
        })
    };
    let changing = {
        let app = stage.app.clone();
        tokio::spawn(async move {
            for version in 1..20 {
                let name = format!("name {version}").parse().unwrap();
                let change = RuleChange { name: Some(name), ..RuleChange::default() };
                app.alerting().update_rule(kept.id, version, change).await.unwrap();
            }
            app.alerting().delete_rule(gone.id).await.unwrap();
        })
    };
    changing.await.unwrap();
    judging.await.unwrap();
    let alerts = stage.app.alerting().alerts(&AlertFilter::new()).await.unwrap().items;
    assert_eq!(alerts.iter().filter(|alert| alert.rule_id == Some(kept.id)).count(), 20);
    assert_eq!(alerts.len(), 20);
}

async fn what_a_rule_remembers_is_undone_with_the_transaction(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    create(&stage, rule(above("cpu", 1.0, 0))).await;
    stage.clock.advance(SECOND);
    let now = stage.clock.now();
    let observation = Observation::new("cpu".parse().unwrap(), 2.0, now);
    let undone: Result<(), _> = stage
        .app
        .transaction(stanchion::config::Domain::Alerting, async |tx| {
            let evaluated = alerting::evaluate(tx, std::slice::from_ref(&observation), 8, now).await?;
            assert_eq!(evaluated.fired.len(), 1);
            Err(stanchion::Error::Invalid("undone".into()))
        })
        .await;
    assert!(undone.is_err());
    assert!(stage.app.alerting().alerts(&AlertFilter::new()).await.unwrap().items.is_empty());
    assert_eq!(fired(&stage.app, "cpu", 2.0, now).await, 1);
}

async fn every_operation_on_rules_makes_few_round_trips(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let threshold = Condition::Threshold {
        subject: "cpu".parse().unwrap(),
        comparison: Comparison::AtLeast,
        value: 1.0,
        hold_for_s: 0,
    };
    let (rule, trips) = stage.counted(alerting.create_rule(rule(threshold))).await;
    let rule = rule.unwrap();
    assert_eq!(trips, 5);
    assert_eq!(stage.counted(alerting.rule(rule.id)).await.1, 1);
    assert_eq!(stage.counted(alerting.rules(&RuleFilter::new())).await.1, 1);
    assert_eq!(stage.counted(alerting.rule_state(rule.id)).await.1, 1);
    assert_eq!(stage.counted(observe(&stage, "nobody", 1.0)).await.1, 1);
    assert_eq!(stage.counted(observe(&stage, "cpu", 0.0)).await, (0, 6));
    assert_eq!(stage.counted(observe(&stage, "cpu", 1.0)).await, (1, 7));
    assert_eq!(stage.counted(alerting.sweep()).await.1, 1);
    let change = RuleChange { severity: Some(Severity::Info), ..RuleChange::default() };
    assert_eq!(stage.counted(alerting.update_rule(rule.id, 1, change)).await.1, 6);
    assert_eq!(stage.counted(alerting.sweep()).await.1, 6);
    let change = RuleChange { condition: Some(above("memory", 1.0, 0)), ..RuleChange::default() };
    assert_eq!(stage.counted(alerting.update_rule(rule.id, 2, change)).await.1, 8);
    assert_eq!(stage.counted(alerting.delete_rule(rule.id)).await.1, 4);
}

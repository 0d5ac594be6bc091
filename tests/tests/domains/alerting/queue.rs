use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::future::join_all;
use stanchion::db::Order;
use stanchion::domain::alerting::{AlertFilter, Claim, NewAlert, Outcome, Recorded, Report, RetrySchedule};
use stanchion::entity::alerting::{AlertStatus, Channel, DeliveryStatus, Severity};
use stanchion::types::{Json, Timestamp, new_id};
use stanchion::{App, Clock};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{SECOND, above, create, fired, rule};

const LEASE: Duration = Duration::from_secs(60);

on_every_backend! {
    an_alert_comes_back_as_it_was_raised,
    an_alert_that_cannot_be_stored_is_refused,
    a_key_raises_one_alert_however_many_ask_at_once,
    many_workers_take_every_alert_once,
    a_claim_is_not_taken_again_before_its_lease_ends,
    the_claim_of_a_killed_worker_returns_when_its_lease_ends,
    a_late_result_is_refused_and_what_was_delivered_kept,
    pauses_grow_until_it_is_given_up,
    a_channel_that_asks_for_time_gets_it,
    what_is_refused_is_not_tried_again,
    what_was_delivered_on_one_channel_is_not_tried_again_there,
    an_alert_whose_workers_all_died_is_given_up,
    a_failed_alert_can_be_tried_again,
    an_acknowledged_alert_is_left_alone,
    a_state_that_does_not_allow_it_is_named,
    history_is_listed_by_what_it_is_filtered_by,
    every_operation_on_alerts_makes_few_round_trips,
}

pub(crate) fn new_alert(title: &str) -> NewAlert {
    NewAlert::new(new_id(), Severity::Warning, title.parse().unwrap(), "message".parse().unwrap())
}

fn delivered(channel: Channel) -> Report {
    Report { channel, outcome: Outcome::Delivered }
}

fn busy(channel: Channel) -> Report {
    Report { channel, outcome: Outcome::Retry { error: "it is busy".into(), after: None } }
}

fn refused(channel: Channel) -> Report {
    Report { channel, outcome: Outcome::Refused { error: "it does not want it".into() } }
}

async fn claim(app: &App, n: u32) -> Vec<Claim> {
    app.alerting().claim(n, LEASE).await.unwrap()
}

async fn claim_one(app: &App) -> Claim {
    claim(app, 10).await.pop().expect("an alert is due")
}

async fn an_alert_comes_back_as_it_was_raised(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let metadata = Json::try_from(serde_json::json!({ "价格": 1850.5, "tags": ["🔥", "\u{202e}"] })).unwrap();
    let new = NewAlert {
        metadata: Some(metadata),
        message: "第一行\nsecond line 🙂\r\n\u{202e}rtl".parse().unwrap(),
        ..new_alert("价格警报 🚨").dedup_key("k".parse().unwrap())
    };
    let raised = alerting.enqueue(new.clone()).await.unwrap();
    let read = alerting.alert(raised.id).await.unwrap();
    assert_eq!(read, raised);
    assert_eq!((read.title, read.message, read.metadata), (new.title, new.message, new.metadata));
    assert!(alerting.alert(new_id()).await.unwrap_err().is_not_found());
}

async fn an_alert_that_cannot_be_stored_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    assert!(alerting.enqueue(new_alert(" ")).await.unwrap_err().is_invalid());
    assert!(alerting.enqueue(new_alert("a").dedup_key("".parse().unwrap())).await.unwrap_err().is_invalid());
    stage.clock.set("1969-12-31T23:59:59Z".parse().unwrap());
    assert!(alerting.enqueue(new_alert("a")).await.unwrap_err().is_invalid());
    stage.clock.set("2262-04-12T00:00:00Z".parse().unwrap());
    let later = alerting.enqueue(new_alert("a")).await.unwrap();
    assert_eq!(alerting.alert(later.id).await.unwrap().created_at, stage.clock.now());
}

async fn a_key_raises_one_alert_however_many_ask_at_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let raised = (0..12).map(|n| {
        let app = stage.app.clone();
        let new = new_alert(&format!("title {n}")).dedup_key(format!("key {}", n % 3).parse().unwrap());
        tokio::spawn(async move { app.alerting().enqueue(new).await.unwrap().id })
    });
    let ids: BTreeSet<Uuid> = join_all(raised).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(stage.app.alerting().alerts(&AlertFilter::new()).await.unwrap().items.len(), 3);
    // Case counts, and what is without a key is always another one.
    for title in ["a", "b"] {
        stage.app.alerting().enqueue(new_alert(title)).await.unwrap();
    }
    stage.app.alerting().enqueue(new_alert("a").dedup_key("KEY 0".parse().unwrap())).await.unwrap();
    assert_eq!(stage.app.alerting().alerts(&AlertFilter::new()).await.unwrap().items.len(), 6);
}

async fn many_workers_take_every_alert_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let other = App::start_with(stage.app.config().clone(), stage.clock.clone()).await.unwrap();
    let mut raised = BTreeSet::new();
    for n in 0..60 {
        raised.insert(stage.app.alerting().enqueue(new_alert(&n.to_string())).await.unwrap().id);
    }
    let workers = (0..8).map(|n| {
        let app = if n % 2 == 0 { stage.app.clone() } else { other.clone() };
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let claims = claim(&app, 5).await;
                if claims.is_empty() {
                    return held;
                }
                for claim in claims {
                    let recorded = app.alerting().record(&claim, &[delivered(Channel::Slack)]).await.unwrap();
                    assert_eq!(recorded, Recorded::Sent);
                    held.push(claim.alert.id);
                }
            }
        })
    });
    let mut held: Vec<Uuid> = join_all(workers).await.into_iter().flat_map(Result::unwrap).collect();
    // A worker passes over what another one is taking, so some may be left when all have gone.
    for claim in claim(&stage.app, 100).await {
        held.push(claim.alert.id);
    }
    assert_eq!(held.len(), 60);
    assert_eq!(held.into_iter().collect::<BTreeSet<_>>(), raised);
}

async fn a_claim_is_not_taken_again_before_its_lease_ends(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    stage.app.alerting().enqueue(new_alert("a")).await.unwrap();
    let first = claim_one(&stage.app).await;
    assert_eq!((first.alert.status, first.alert.attempts), (AlertStatus::Sending, 1));
    assert_eq!(stage.app.alerting().alert(first.alert.id).await.unwrap(), first.alert);
    stage.clock.advance(LEASE - Duration::from_micros(1));
    assert!(claim(&stage.app, 10).await.is_empty());
    stage.clock.advance(Duration::from_micros(1));
    assert_eq!(claim_one(&stage.app).await.alert.attempts, 2);
}

async fn the_claim_of_a_killed_worker_returns_when_its_lease_ends(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    for n in 0..5 {
        stage.app.alerting().enqueue(new_alert(&n.to_string())).await.unwrap();
    }
    let mut worker = Command::new(env!("CARGO_BIN_EXE_actor"))
        .arg("claimant")
        .args([stage.clock.now().micros().to_string(), "3".to_owned(), LEASE.as_secs().to_string()])
        .env("DATABASE_URL", stage.database.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = worker.stdout.take().unwrap();
    let held = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(out).lines().map(Result::unwrap);
        lines.take_while(|line| line != "held").map(|id| id.parse().unwrap()).collect::<BTreeSet<Uuid>>()
    });
    let held = held.await.unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert_eq!(held.len(), 3);

    // The others' work goes on, without what it held.
    let others: BTreeSet<Uuid> = claim(&stage.app, 10).await.iter().map(|claim| claim.alert.id).collect();
    assert!(others.len() == 2 && others.is_disjoint(&held), "{others:?} {held:?}");
    stage.clock.advance(LEASE);
    let returned = claim(&stage.app, 10).await;
    let ids: BTreeSet<Uuid> = returned.iter().map(|claim| claim.alert.id).collect();
    assert_eq!(ids, held.union(&others).copied().collect());
    for claim in returned {
        assert_eq!(claim.alert.attempts, 2);
        assert_eq!(stage.app.alerting().record(&claim, &[delivered(Channel::Log)]).await.unwrap(), Recorded::Sent);
    }
}

async fn a_late_result_is_refused_and_what_was_delivered_kept(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    alerting.enqueue(new_alert("a")).await.unwrap();
    let late = claim_one(&stage.app).await;
    stage.clock.advance(LEASE);
    let current = claim_one(&stage.app).await;
    let reports = [delivered(Channel::Slack), refused(Channel::Email), busy(Channel::Sms)];
    assert!(alerting.record(&late, &reports).await.unwrap_err().is_stale());
    let stored = alerting.alert(late.alert.id).await.unwrap();
    assert_eq!((stored.status, stored.attempts), (AlertStatus::Sending, 2));
    let deliveries = alerting.deliveries(late.alert.id).await.unwrap();
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    assert_eq!((deliveries[0].channel, deliveries[0].status), (Channel::Slack, DeliveryStatus::Delivered));
    // The one who holds it now may not know yet; what was delivered stays so.
    let reports = [busy(Channel::Slack), delivered(Channel::Email)];
    assert_eq!(alerting.record(&current, &reports).await.unwrap(), Recorded::Sent);
    // After the end, too.
    assert!(alerting.record(&late, &[delivered(Channel::Sms)]).await.unwrap_err().is_stale());
    assert!(alerting.record(&current, &[refused(Channel::Sms)]).await.unwrap_err().is_stale());
    let deliveries = alerting.deliveries(late.alert.id).await.unwrap();
    assert_eq!(deliveries.len(), 3);
    assert!(deliveries.iter().all(|delivery| delivery.status == DeliveryStatus::Delivered), "{deliveries:?}");
    assert_eq!(alerting.alert(late.alert.id).await.unwrap().status, AlertStatus::Sent);
}

async fn pauses_grow_until_it_is_given_up(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let id = alerting.enqueue(new_alert("a")).await.unwrap().id;
    let schedule = RetrySchedule::default();
    for attempt in 1..=schedule.max_attempts {
        let claim = claim_one(&stage.app).await;
        assert_eq!(claim.alert.attempts, i32::try_from(attempt).unwrap());
        assert_eq!(claim.deliveries.len(), usize::from(attempt > 1));
        let recorded = alerting.record(&claim, &[busy(Channel::Email)]).await.unwrap();
        if attempt == schedule.max_attempts {
            assert_eq!(recorded, Recorded::Failed);
            break;
        }
        let doubled = schedule.backoff * 2_u32.pow(attempt - 1);
        let longest = doubled.min(schedule.max_backoff);
        let Recorded::Retry(at) = recorded else { panic!("{recorded:?}") };
        let pause = at.since(stage.clock.now());
        assert!(pause <= longest && pause >= longest * 3 / 4, "attempt {attempt}: {pause:?} of {longest:?}");
        stage.clock.advance(pause - Duration::from_micros(1));
        assert!(stage.app.alerting().claim(1, LEASE).await.unwrap().is_empty());
        stage.clock.advance(Duration::from_micros(1));
    }
    let alert = alerting.alert(id).await.unwrap();
    assert_eq!((alert.status, alert.next_attempt_at, alert.sent_at), (AlertStatus::Failed, None, None));
    let delivery = alerting.deliveries(id).await.unwrap().remove(0);
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Failed, 8));
    assert_eq!(delivery.last_error.unwrap().as_str(), "it is busy");
    stage.clock.advance(Duration::from_secs(1_000_000));
    assert!(claim(&stage.app, 10).await.is_empty());
}

async fn a_channel_that_asks_for_time_gets_it(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    stage.app.alerting().enqueue(new_alert("a")).await.unwrap();
    let asks = |seconds: u64| Outcome::Retry { error: "429\0".into(), after: Some(Duration::from_secs(seconds)) };
    let reports = [
        Report { channel: Channel::Slack, outcome: asks(300) },
        Report { channel: Channel::Telegram, outcome: asks(30) },
    ];
    let recorded = stage.app.alerting().record(&claim_one(&stage.app).await, &reports).await.unwrap();
    assert_eq!(recorded, Recorded::Retry(stage.clock.now().plus(Duration::from_secs(300)).unwrap()));
}

async fn what_is_refused_is_not_tried_again(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    alerting.enqueue(new_alert("a")).await.unwrap();
    let reports = [refused(Channel::Slack), Report { channel: Channel::Sms, outcome: Outcome::Skipped }];
    assert_eq!(alerting.record(&claim_one(&stage.app).await, &reports).await.unwrap(), Recorded::Failed);
    alerting.enqueue(new_alert("b")).await.unwrap();
    let reports = [refused(Channel::Slack), busy(Channel::Email), delivered(Channel::Sms)];
    let claim = claim_one(&stage.app).await;
    let Recorded::Retry(at) = alerting.record(&claim, &reports).await.unwrap() else { panic!("it is tried again") };
    stage.clock.set(at);
    let claim = claim_one(&stage.app).await;
    let wanted: Vec<Channel> = Channel::ALL.iter().copied().filter(|channel| claim.wants(*channel)).collect();
    assert_eq!(wanted, [Channel::Email, Channel::Wechat, Channel::Telegram, Channel::Webhook, Channel::Log]);
}

async fn what_was_delivered_on_one_channel_is_not_tried_again_there(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let id = alerting.enqueue(new_alert("a")).await.unwrap().id;
    let reports = [delivered(Channel::Slack), busy(Channel::Email)];
    let first = alerting.record(&claim_one(&stage.app).await, &reports).await.unwrap();
    let Recorded::Retry(at) = first else { panic!("{first:?}") };
    stage.clock.set(at);
    let claim = claim_one(&stage.app).await;
    assert!(claim.wants(Channel::Email) && !claim.wants(Channel::Slack));
    assert_eq!(alerting.record(&claim, &[delivered(Channel::Email)]).await.unwrap(), Recorded::Sent);
    let alert = alerting.alert(id).await.unwrap();
    assert_eq!((alert.status, alert.sent_at), (AlertStatus::Sent, Some(at)));
    let attempts: Vec<_> = alerting.deliveries(id).await.unwrap().iter().map(|d| (d.channel, d.attempts)).collect();
    assert_eq!(attempts, [(Channel::Email, 2), (Channel::Slack, 1)]);
}

async fn an_alert_whose_workers_all_died_is_given_up(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let (lost, reached) =
        (alerting.enqueue(new_alert("a")).await.unwrap().id, alerting.enqueue(new_alert("b")).await.unwrap().id);
    for attempt in 1..=8 {
        let claims = claim(&stage.app, 10).await;
        assert_eq!(claims.len(), 2);
        stage.clock.advance(LEASE);
        if attempt == 8 {
            // A message that was sent before the worker's last breath.
            let of_b = claims.iter().find(|claim| claim.alert.id == reached).unwrap();
            let late = Claim {
                alert: stanchion::entity::alerting::alert::Model { attempts: 7, ..of_b.alert.clone() },
                ..of_b.clone()
            };
            assert!(alerting.record(&late, &[delivered(Channel::Log)]).await.unwrap_err().is_stale());
        }
    }
    assert!(claim(&stage.app, 10).await.is_empty());
    assert_eq!(alerting.alert(lost).await.unwrap().status, AlertStatus::Failed);
    assert_eq!(alerting.alert(reached).await.unwrap().status, AlertStatus::Sent);
}

async fn a_failed_alert_can_be_tried_again(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let id = alerting.enqueue(new_alert("a")).await.unwrap().id;
    let first = claim_one(&stage.app).await;
    alerting.record(&first, &[refused(Channel::Slack)]).await.unwrap();
    alerting.retry(id).await.unwrap();
    assert!(alerting.retry(id).await.unwrap_err().is_conflict());
    let again = claim_one(&stage.app).await;
    assert_eq!((again.alert.attempts, again.alert.max_attempts), (2, 9));
    assert!(again.wants(Channel::Slack));
    // The first worker's result belongs to another attempt.
    assert!(alerting.record(&first, &[refused(Channel::Slack)]).await.unwrap_err().is_stale());
    assert_eq!(alerting.record(&again, &[delivered(Channel::Slack)]).await.unwrap(), Recorded::Sent);
}

async fn an_acknowledged_alert_is_left_alone(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let waiting = alerting.enqueue(new_alert("a")).await.unwrap().id;
    alerting.acknowledge(waiting).await.unwrap();
    let held = alerting.enqueue(new_alert("b")).await.unwrap().id;
    let claim = claim_one(&stage.app).await;
    assert_eq!(claim.alert.id, held);
    alerting.acknowledge(held).await.unwrap();
    assert_eq!(alerting.record(&claim, &[busy(Channel::Slack)]).await.unwrap(), Recorded::Acknowledged);
    stage.clock.advance(Duration::from_secs(1_000_000));
    assert!(alerting.claim(10, LEASE).await.unwrap().is_empty());
    for id in [waiting, held] {
        assert_eq!(alerting.alert(id).await.unwrap().status, AlertStatus::Acknowledged);
    }
}

async fn a_state_that_does_not_allow_it_is_named(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let id = alerting.enqueue(new_alert("a")).await.unwrap().id;
    let error = alerting.retry(id).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("pending and cannot become pending"), "{error}");
    let claimed = claim_one(&stage.app).await;
    let error = alerting.retry(id).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("sending"), "{error}");
    alerting.record(&claimed, &[delivered(Channel::Log)]).await.unwrap();
    let error = alerting.retry(id).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("sent and cannot become pending"), "{error}");
    let acknowledged = (0..6).map(|_| {
        let app = stage.app.clone();
        tokio::spawn(async move { app.alerting().acknowledge(id).await })
    });
    let done: Vec<_> = join_all(acknowledged).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 1);
    let error = alerting.acknowledge(id).await.unwrap_err();
    assert!(
        error.is_conflict() && error.to_string().contains("acknowledged and cannot become acknowledged"),
        "{error}"
    );
    for error in [alerting.acknowledge(new_id()).await, alerting.retry(new_id()).await] {
        assert!(error.unwrap_err().is_not_found());
    }
}

async fn history_is_listed_by_what_it_is_filtered_by(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let written = create(&stage, rule(above("cpu", 1.0, 0))).await;
    let start = stage.clock.now();
    for n in 0..6 {
        stage.clock.advance(SECOND);
        assert_eq!(fired(&stage.app, "cpu", f64::from(n % 2) * 2.0, stage.clock.now()).await, (n % 2) as usize);
        let severity = if n < 2 { Severity::Critical } else { Severity::Info };
        alerting.enqueue(NewAlert { severity, user_id: written.user_id, ..new_alert("a") }).await.unwrap();
    }
    let count = async |filter: AlertFilter| alerting.alerts(&filter).await.unwrap().items.len();
    let at = |seconds: u32| start.plus(seconds * SECOND).unwrap();
    assert_eq!(count(AlertFilter::new()).await, 9);
    assert_eq!(count(AlertFilter::new().user(written.user_id)).await, 9);
    assert_eq!(count(AlertFilter::new().user(new_id())).await, 0);
    assert_eq!(count(AlertFilter::new().rule(written.id)).await, 3);
    assert_eq!(count(AlertFilter::new().severity(Severity::Critical)).await, 2);
    assert_eq!(count(AlertFilter::new().status(AlertStatus::Sent)).await, 0);
    assert_eq!(count(AlertFilter::new().from(at(2)).to(at(4))).await, 3);
    assert_eq!(count(AlertFilter::new().from(at(6)).severity(Severity::Info)).await, 1);
    let ancient: Timestamp = "1000-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(count(AlertFilter::new().from(ancient).to(Timestamp::EPOCH)).await, 0);
    let mut filter = AlertFilter::new().user(written.user_id).order(Order::Asc).limit(4);
    let mut seen = BTreeSet::new();
    for expected in [4, 4, 1] {
        let page = alerting.alerts(&filter).await.unwrap();
        assert_eq!(page.items.len(), expected);
        seen.extend(page.items.iter().map(|alert| alert.id));
        filter = filter.after(page.next);
    }
    assert_eq!(seen.len(), 9);
}

async fn every_operation_on_alerts_makes_few_round_trips(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    assert_eq!(stage.counted(alerting.enqueue(new_alert("a"))).await.1, 1);
    let (alert, trips) = stage.counted(alerting.enqueue(new_alert("b").dedup_key("b".parse().unwrap()))).await;
    let id = alert.unwrap().id;
    assert_eq!(trips, 2);
    let (claims, trips) = stage.counted(claim(&stage.app, 10)).await;
    assert_eq!((claims.len(), trips), (2, 5));
    assert_eq!(stage.counted(claim(&stage.app, 10)).await.1, 3);
    let held = claims.iter().find(|claim| claim.alert.id == id).unwrap();
    assert_eq!(stage.counted(alerting.record(held, &[refused(Channel::Slack)])).await.1, 6);
    assert_eq!(stage.counted(alerting.retry(id)).await.1, 4);
    assert_eq!(stage.counted(alerting.acknowledge(id)).await.1, 1);
    assert_eq!(stage.counted(alerting.alert(id)).await.1, 1);
    assert_eq!(stage.counted(alerting.deliveries(id)).await.1, 1);
    assert_eq!(stage.counted(alerting.alerts(&AlertFilter::new())).await.1, 1);
}

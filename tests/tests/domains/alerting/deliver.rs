use std::time::Duration;

use futures::future::join_all;
use stanchion::config::Config;
use stanchion::domain::alerting::{AlertFilter, Channel as _, Channels, Delivered, NewAlert, SendError};
use stanchion::entity::alerting::alert::Model as Alert;
use stanchion::entity::alerting::{AlertStatus, Channel, DeliveryStatus, Severity};
use stanchion::types::new_id;
use stanchion::{App, Clock};
use stanchion_tests::testbed::{TestDatabase, eventually};
use stanchion_tests::{SmtpSink, Stage, on_every_backend};
use uuid::Uuid;

use super::hooks::{Answer, Hooks};
use super::queue::new_alert;

/// Parts of URLs that must not come out again.
const TOKEN: &str = "T0KEN-Zq9Xw7Kj5";

on_every_backend! {
    an_alert_reaches_the_channels_of_its_severity,
    every_letter_and_title_arrives_as_it_is_and_begins_no_header,
    a_channel_that_fails_does_not_stop_the_others,
    answers_are_judged_as_each_service_documents,
    a_channel_that_does_not_answer_is_given_up_in_time,
    a_server_that_asks_for_time_gets_it,
    a_mail_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not,
    without_a_channel_everything_goes_to_the_log,
    no_secret_comes_out,
    a_webhook_is_signed,
    a_channel_that_panics_harms_no_other,
    workers_deliver_each_alert_once,
    a_worker_finishes_what_it_holds_when_it_is_told_to_stop,
}

struct Scene {
    stage: Stage,
    hooks: Hooks,
    mail: SmtpSink,
}

impl Scene {
    /// With all channels, each at a server of our own.
    async fn on(database: TestDatabase) -> Self {
        Self::with(database, |_| {}).await
    }

    async fn with(database: TestDatabase, configure: impl FnOnce(&mut Config)) -> Self {
        let (hooks, mail) = (Hooks::start().await, SmtpSink::start().await.unwrap());
        let stage = Stage::with(database, |config| {
            config.alerting = settings(&hooks.url, &mail.url()).alerting;
            configure(config);
        });
        Self { stage: stage.await.unwrap(), hooks, mail }
    }

    async fn raise(&self, severity: Severity) -> Uuid {
        let new = NewAlert { severity, ..new_alert("磁盘已满 🔥") };
        self.stage.app.alerting().enqueue(new).await.unwrap().id
    }

    async fn deliver(&self) -> Delivered {
        self.stage.app.alerting().deliver(100).await.unwrap()
    }

    fn slack(&self) -> usize {
        self.hooks.requests(&format!("/slack/{TOKEN}")).len()
    }

    async fn statuses(&self, id: Uuid) -> Vec<(Channel, DeliveryStatus)> {
        let deliveries = self.stage.app.alerting().deliveries(id).await.unwrap();
        deliveries.iter().map(|delivery| (delivery.channel, delivery.status)).collect()
    }
}

fn settings(hooks: &str, mail: &str) -> Config {
    let yaml = format!(
        r#"
alerting:
  timeout: 20s
  channels:
    email: {{ url: "{mail}", from: "Stanchion 警报 <alerts@example.com>", to: [ops@example.com, "值班 <duty@example.com>"] }}
    slack: {{ url: "{hooks}/slack/{TOKEN}" }}
    wechat: {{ url: "{hooks}/wechat?key={TOKEN}" }}
    telegram: {{ token: "1:{TOKEN}", chat_id: "-100", url: "{hooks}" }}
    sms: {{ url: "{hooks}/sms", to: ["+1", "+2"], body: '{{"to": "{{to}}", "text": "{{title}}: {{message}}"}}', authorization: "Bearer {TOKEN}" }}
    webhook: {{ url: "{hooks}/webhook", secret: "{TOKEN}" }}
"#
    );
    Config::builder().yaml("alerting.yaml", yaml).load().unwrap()
}

fn route(config: &mut Config, channel: &str) {
    let critical = if channel == "slack" { "slack".to_owned() } else { format!("slack, {channel}") };
    let yaml = format!("alerting: {{ routes: {{ info: [{channel}], critical: [{critical}] }} }}");
    config.alerting.routes = Config::builder().yaml("routes.yaml", yaml).load().unwrap().alerting.routes;
}

async fn an_alert_reaches_the_channels_of_its_severity(database: TestDatabase) {
    let scene = Scene::on(database).await;
    scene.hooks.answer("/wechat", Some((200, None, r#"{"errcode": 0, "errmsg": "ok"}"#)));
    let mut counts = Vec::new();
    for severity in [Severity::Critical, Severity::High, Severity::Warning, Severity::Info] {
        scene.raise(severity).await;
        let delivered = scene.deliver().await;
        assert_eq!((delivered.claimed, delivered.sent), (1, 1), "{severity}");
        let hooks = |path| scene.hooks.requests(path).len();
        counts.push([scene.mail.letters().len(), hooks("/wechat"), hooks("/sms"), scene.slack()]);
    }
    // A short message for each of two numbers.
    assert_eq!(counts, [[1, 1, 2, 1], [2, 2, 2, 2], [3, 2, 2, 3], [3, 2, 2, 4]]);
    let sms = &scene.hooks.requests("/sms")[1];
    assert_eq!(sms.json(), serde_json::json!({ "to": "+2", "text": "磁盘已满 🔥: message" }));
    assert_eq!(sms.headers["authorization"], format!("Bearer {TOKEN}").as_str());
    let slack = &scene.hooks.requests(&format!("/slack/{TOKEN}"))[0];
    assert_eq!(slack.json(), serde_json::json!({ "text": "[CRITICAL] 磁盘已满 🔥\nmessage" }));
    assert!(scene.stage.app.alerting().claim(10, Duration::from_secs(60)).await.unwrap().is_empty());
}

/// The words of a header that are encoded (RFC 2047, base 64), decoded.
fn decoded(header: &str) -> String {
    let mut out = String::new();
    for word in header.split(' ') {
        let inner = word.strip_prefix("=?utf-8?b?").and_then(|rest| rest.strip_suffix("?="));
        match inner {
            Some(inner) => out += &String::from_utf8(base64(inner)).unwrap(),
            None => out += &format!("{word} "),
        }
    }
    out.trim_end().to_owned()
}

fn base64(text: &str) -> Vec<u8> {
    data_encoding::BASE64.decode(text.replace(['\n', ' '], "").as_bytes()).unwrap()
}

async fn every_letter_and_title_arrives_as_it_is_and_begins_no_header(database: TestDatabase) {
    let scene = Scene::on(database).await;
    let title = "价格警报🚨 ETH 跌破一千八百五十美元,请立即查看并处理所有未成交的委托单";
    let message = "第一行:价格 1850.5\n.\n..两个点 🙂\nrtl: \u{202e}abc\n";
    let new = NewAlert {
        message: message.parse().unwrap(),
        ..NewAlert::new(new_id(), Severity::Warning, title.parse().unwrap(), "".parse().unwrap())
    };
    scene.stage.app.alerting().enqueue(new).await.unwrap();
    let evil = new_alert("a\r\nBcc: victim@example.com\n\nbody\r\n.\r\nQUIT");
    let evil = scene.stage.app.alerting().enqueue(evil).await.unwrap();
    assert_eq!(scene.deliver().await.sent, 2);

    let letters = scene.mail.letters();
    let (written, injected): (Vec<_>, Vec<_>) =
        letters.iter().partition(|letter| !letter.header("Message-ID").unwrap().contains(&evil.id.to_string()));
    let ([letter], [injected]) = (written.as_slice(), injected.as_slice()) else { panic!("{letters:?}") };
    assert_eq!(letter.from, "alerts@example.com");
    assert_eq!(letter.to, ["ops@example.com", "duty@example.com"]);
    assert_eq!(
        decoded(&letter.header("Subject").unwrap()).replace(' ', ""),
        format!("[WARNING]{title}").replace(' ', "")
    );
    assert_eq!(letter.header("Content-Transfer-Encoding").unwrap(), "base64");
    assert_eq!(String::from_utf8(base64(letter.body())).unwrap().replace("\r\n", "\n"), message);
    assert_eq!((injected.header("Bcc"), injected.to.len()), (None, 2));
    let subject = decoded(&injected.header("Subject").unwrap());
    assert!(subject.starts_with("[WARNING] a  Bcc: victim") || subject.contains("Bcc: victim"), "{subject}");
    assert_eq!(injected.body().trim_end(), "message");
}

async fn a_channel_that_fails_does_not_stop_the_others(database: TestDatabase) {
    let scene = Scene::on(database).await;
    scene.hooks.answer(&format!("/slack/{TOKEN}"), Some((503, None, "down")));
    scene.hooks.answer("/wechat", Some((200, None, r#"{"errcode": 93000, "errmsg": "invalid webhook url"}"#)));
    let id = scene.raise(Severity::Critical).await;
    assert_eq!(scene.deliver().await, Delivered { claimed: 1, retried: 1, ..Delivered::default() });
    use DeliveryStatus::{Delivered as Done, Failed, Pending};
    let expected =
        |slack| vec![(Channel::Email, Done), (Channel::Slack, slack), (Channel::Sms, Done), (Channel::Wechat, Failed)];
    assert_eq!(scene.statuses(id).await, expected(Pending));
    // Nothing happens before its time, and then on the one channel alone.
    assert_eq!(scene.deliver().await.claimed, 0);
    scene.hooks.answer(&format!("/slack/{TOKEN}"), Some((200, None, "ok")));
    scene.stage.clock.advance(Duration::from_secs(5));
    assert_eq!(scene.deliver().await.sent, 1);
    assert_eq!(scene.statuses(id).await, expected(Done));
    assert_eq!((scene.mail.letters().len(), scene.slack(), scene.hooks.requests("/wechat").len()), (1, 2, 1));
    assert_eq!(scene.stage.app.alerting().alert(id).await.unwrap().status, AlertStatus::Sent);
}

async fn answers_are_judged_as_each_service_documents(database: TestDatabase) {
    use DeliveryStatus::{Delivered as Done, Failed, Pending};
    let scene = Scene::with(database, |config| config.alerting.routes.info.clear()).await;
    let slack = format!("/slack/{TOKEN}");
    let bot = format!("/bot1:{TOKEN}/sendMessage");
    let cases: [(&str, &str, u16, &'static str, DeliveryStatus); 19] = [
        ("slack", &slack, 200, "ok", Done),
        ("slack", &slack, 200, "<html>", Failed),
        ("slack", &slack, 404, "no_service", Failed),
        ("slack", &slack, 302, "", Failed),
        ("slack", &slack, 429, "", Pending),
        ("slack", &slack, 500, "", Pending),
        ("wechat", "/wechat", 200, r#"{"errcode":0,"errmsg":"ok"}"#, Done),
        ("wechat", "/wechat", 200, r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#, Pending),
        ("wechat", "/wechat", 200, r#"{"errcode":40058,"errmsg":"invalid"}"#, Failed),
        ("wechat", "/wechat", 200, "ok", Failed),
        ("wechat", "/wechat", 502, "", Pending),
        ("telegram", &bot, 200, r#"{"ok":true,"result":{}}"#, Done),
        ("telegram", &bot, 403, r#"{"ok":false,"error_code":403,"description":"blocked"}"#, Failed),
        ("telegram", &bot, 429, r#"{"ok":false,"parameters":{"retry_after":7}}"#, Pending),
        ("telegram", &bot, 500, "", Pending),
        ("sms", "/sms", 202, "", Done),
        ("sms", "/sms", 400, "bad number", Failed),
        ("webhook", "/webhook", 204, "", Done),
        ("webhook", "/webhook", 408, "", Pending),
    ];
    for (channel, path, status, body, expected) in cases {
        let mut config = scene.stage.app.config().clone();
        route(&mut config, channel);
        let app = App::start_with(config, scene.stage.clock.clone()).await.unwrap();
        scene.hooks.answer(path, Some((status, None, body)));
        let id = scene.raise(Severity::Info).await;
        app.alerting().deliver(1).await.unwrap();
        let statuses: Vec<_> = scene.statuses(id).await.into_iter().map(|(_, status)| status).collect();
        assert_eq!(statuses, [expected], "{channel} {status} {body}");
        app.alerting().acknowledge(id).await.unwrap();
        app.close().await;
    }
}

async fn a_channel_that_does_not_answer_is_given_up_in_time(database: TestDatabase) {
    let configure = |config: &mut Config| {
        config.alerting.timeout = Duration::from_secs(1);
        route(config, "webhook");
    };
    let scene = Scene::with(database, configure).await;
    scene.hooks.answer("/webhook", None);
    let id = scene.raise(Severity::Info).await;
    assert_eq!(scene.deliver().await.retried, 1);
    let delivery = scene.stage.app.alerting().deliveries(id).await.unwrap().remove(0);
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Pending, 1));
    assert_eq!(delivery.last_error.unwrap().as_str(), "no answer in time");
}

async fn a_server_that_asks_for_time_gets_it(database: TestDatabase) {
    let scene = Scene::on(database).await;
    let slack = format!("/slack/{TOKEN}");
    let answers: [(Answer, u64); 2] = [
        (Some((429, Some(("retry-after", "120")), "")), 120),
        (Some((503, Some(("retry-after", "999999999")), "")), 86_400),
    ];
    for (answer, seconds) in answers {
        scene.hooks.answer(&slack, answer);
        let id = scene.raise(Severity::Info).await;
        assert_eq!(scene.deliver().await.retried, 1);
        let next = scene.stage.app.alerting().alert(id).await.unwrap().next_attempt_at.unwrap();
        assert_eq!(next.since(scene.stage.clock.now()), Duration::from_secs(seconds));
    }
}

async fn a_mail_server_that_is_busy_is_asked_again_and_one_that_refuses_is_not(database: TestDatabase) {
    let scene = Scene::with(database, |config| route(config, "email")).await;
    scene.mail.refuse("451 4.3.0 busy");
    let id = scene.raise(Severity::Info).await;
    assert_eq!(scene.deliver().await.retried, 1);
    let error = scene.stage.app.alerting().deliveries(id).await.unwrap().remove(0).last_error.unwrap();
    assert!(error.contains("busy"), "{error}");
    scene.stage.clock.advance(Duration::from_secs(5));
    assert_eq!((scene.deliver().await.sent, scene.mail.letters().len()), (1, 1));
    scene.mail.refuse("554 5.7.1 no");
    scene.raise(Severity::Info).await;
    assert_eq!(scene.deliver().await.failed, 1);
}

async fn without_a_channel_everything_goes_to_the_log(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let alerting = stage.app.alerting();
    let id = alerting.enqueue(new_alert("a")).await.unwrap().id;
    assert_eq!(alerting.deliver(10).await.unwrap().sent, 1);
    let statuses: Vec<_> = alerting.deliveries(id).await.unwrap().iter().map(|d| (d.channel, d.status)).collect();
    use DeliveryStatus::{Delivered as Done, Skipped};
    assert_eq!(statuses, [(Channel::Email, Skipped), (Channel::Log, Done), (Channel::Slack, Skipped)]);
}

async fn no_secret_comes_out(database: TestDatabase) {
    let scene = Scene::with(database, |config| route(config, "telegram")).await;
    let app = &scene.stage.app;
    for text in [
        format!("{:?}", app.config()),
        serde_json::to_string(app.config()).unwrap(),
        format!("{:?}", Channels::configured(&app.config().alerting).unwrap()),
        format!("{:?}", app.alerting()),
    ] {
        assert!(!text.contains(TOKEN), "{text}");
    }
    // A server that repeats what it was asked.
    scene
        .hooks
        .answer(&format!("/bot1:{TOKEN}/sendMessage"), Some((404, None, "no T0KEN-Zq9Xw7Kj5, 1:T0KEN-Zq9Xw7Kj5")));
    scene.hooks.answer(&format!("/slack/{TOKEN}"), Some((500, None, "/slack/T0KEN-Zq9Xw7Kj5")));
    let id = scene.raise(Severity::Critical).await;
    scene.deliver().await;
    // And one that is not there.
    let mut config = app.config().clone();
    config.alerting = settings("http://127.0.0.1:9", "smtp://user:T0KEN-Zq9Xw7Kj5@localhost:9").alerting;
    let other = App::start_with(config, scene.stage.clock.clone()).await.unwrap();
    let unreachable = scene.raise(Severity::Critical).await;
    other.alerting().deliver(10).await.unwrap();
    for (id, count) in [(id, 2), (unreachable, 4)] {
        let deliveries = app.alerting().deliveries(id).await.unwrap();
        assert_eq!(deliveries.len(), count);
        for delivery in deliveries {
            let error = delivery.last_error.unwrap();
            assert!(!error.contains(TOKEN) && !error.is_empty(), "{}: {error}", delivery.channel);
        }
    }
}

async fn a_webhook_is_signed(database: TestDatabase) {
    let scene = Scene::with(database, |config| route(config, "webhook")).await;
    let id = scene.raise(Severity::Info).await;
    scene.deliver().await;
    let request = scene.hooks.requests("/webhook").remove(0);
    let json = request.json();
    assert_eq!((json["id"].as_str(), json["title"].as_str()), (Some(&*id.to_string()), Some("磁盘已满 🔥")));
    assert_eq!(request.headers["idempotency-key"], id.to_string().as_str());
    let signature = request.headers["x-stanchion-signature"].to_str().unwrap();
    assert!(signature.starts_with("sha256=") && signature.len() == 71, "{signature}");
}

#[derive(Debug)]
struct Panics;

#[async_trait::async_trait]
impl stanchion::domain::alerting::Channel for Panics {
    fn name(&self) -> Channel {
        Channel::Email
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        panic!("{}", alert.id)
    }
}

async fn a_channel_that_panics_harms_no_other(database: TestDatabase) {
    let scene = Scene::on(database).await;
    let id = scene.raise(Severity::Warning).await;
    let channels = Channels::configured(&scene.stage.app.config().alerting).unwrap().with(Panics);
    assert_eq!(channels.get(Channel::Email).unwrap().name(), Panics.name());
    let delivered = scene.stage.app.alerting().with_channels(&channels).deliver(5).await.unwrap();
    assert_eq!((delivered.claimed, delivered.retried), (1, 1));
    let statuses = scene.statuses(id).await;
    assert_eq!(statuses, [(Channel::Email, DeliveryStatus::Pending), (Channel::Slack, DeliveryStatus::Delivered)]);
}

async fn workers_deliver_each_alert_once(database: TestDatabase) {
    let scene = Scene::on(database).await;
    let other = App::start_with(scene.stage.app.config().clone(), scene.stage.clock.clone()).await.unwrap();
    for _ in 0..60 {
        scene.raise(Severity::Info).await;
    }
    let workers = (0..6).map(|n| {
        let app = if n % 2 == 0 { scene.stage.app.clone() } else { other.clone() };
        tokio::spawn(async move { app.alerting().deliver(30).await.unwrap().sent })
    });
    let sent: usize = join_all(workers).await.into_iter().map(Result::unwrap).sum();
    let rest = scene.deliver().await.sent;
    assert_eq!((sent + rest, scene.slack()), (60, 60));
    let filter = AlertFilter::new().status(AlertStatus::Sent).limit(100);
    assert_eq!(other.alerting().alerts(&filter).await.unwrap().items.len(), 60);
}

async fn a_worker_finishes_what_it_holds_when_it_is_told_to_stop(database: TestDatabase) {
    let scene = Scene::with(database, |config| config.alerting.poll = Duration::from_millis(10)).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let app = scene.stage.app.clone();
    let held = Held::default();
    let channels = Channels::default().with(held.clone());
    let worker = tokio::spawn(async move {
        let shutdown = async { drop(stopped.await) };
        app.alerting().with_channels(&channels).run(shutdown).await;
    });
    let id = scene.raise(Severity::Info).await;
    held.entered.acquire().await.unwrap().forget();
    stop.send(()).unwrap();
    assert!(!worker.is_finished());
    held.released.add_permits(1);
    worker.await.unwrap();
    let alert = scene.stage.app.alerting().alert(id).await.unwrap();
    assert_eq!((alert.status, alert.attempts), (AlertStatus::Sent, 1));
    // It takes nothing more.
    let id = scene.raise(Severity::Info).await;
    assert_eq!(scene.stage.app.alerting().alert(id).await.unwrap().status, AlertStatus::Pending);
    // Another one goes on, until it is told too.
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let app = scene.stage.app.clone();
    let worker = tokio::spawn(async move { app.alerting().run(async { drop(stopped.await) }).await });
    let alerting = scene.stage.app.alerting();
    eventually("the alert is sent", async || alerting.alert(id).await.unwrap().status == AlertStatus::Sent).await;
    stop.send(()).unwrap();
    worker.await.unwrap();
    let claim = alerting.claim(1, Duration::from_secs(1)).await.unwrap();
    assert!(claim.is_empty());
}

/// A channel that says when it is entered, and waits until it is released.
#[derive(Clone, Debug)]
struct Held {
    entered: std::sync::Arc<tokio::sync::Semaphore>,
    released: std::sync::Arc<tokio::sync::Semaphore>,
}

impl Default for Held {
    fn default() -> Self {
        let none = || std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        Self { entered: none(), released: none() }
    }
}

#[async_trait::async_trait]
impl stanchion::domain::alerting::Channel for Held {
    fn name(&self) -> Channel {
        Channel::Slack
    }

    async fn send(&self, _: &Alert) -> Result<(), SendError> {
        self.entered.add_permits(1);
        self.released.acquire().await.map(|permit| permit.forget()).map_err(|_| SendError::refused("closed"))
    }
}

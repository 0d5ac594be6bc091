//! The section `alerting`: what is read, what is refused, and what is shown of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use stanchion::config::alerting::AlertChannel;
use stanchion::config::{Config, ConfigError};

fn load(yaml: &str) -> Result<Config, ConfigError> {
    Config::builder().yaml("stanchion.yaml", yaml).load()
}

#[track_caller]
fn assert_refused(yaml: &str, parts: &[&str]) {
    let message = load(yaml).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

const ALL: &str = r#"
alerting:
  routes: { critical: [sms, telegram], info: [] }
  max_attempts: 3
  backoff: 1s
  max_backoff: 1m
  timeout: 2s
  lease: 30s
  poll: 500ms
  channels:
    email: { url: "smtps://app:s3cr3t-word@smtp.example.com", from: "Stanchion <alerts@example.com>", to: [ops@example.com] }
    slack: { url: "https://hooks.slack.com/services/T0/B0/s3cr3t-word" }
    wechat: { url: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=s3cr3t-word" }
    telegram: { token: "1:s3cr3t-word", chat_id: -100 }
    sms: { url: "https://sms.example.com/send", to: ["+1", "+2"], form: true, authorization: "Bearer s3cr3t-word" }
    webhook: { url: "http://127.0.0.1:9/s3cr3t-word", secret: s3cr3t-word }
"#;

#[test]
fn every_documented_key_is_read() {
    let alerting = load(ALL).unwrap().alerting;
    assert_eq!(alerting.routes.critical, [AlertChannel::Sms, AlertChannel::Telegram]);
    assert!(alerting.routes.info.is_empty());
    assert_eq!(alerting.routes.warning, [AlertChannel::Email, AlertChannel::Slack], "what is not given is the default");
    assert_eq!(
        (alerting.max_attempts, alerting.backoff, alerting.lease),
        (3, Duration::from_secs(1), Duration::from_secs(30))
    );
    let channels = alerting.channels;
    assert_eq!(channels.email.unwrap().to, ["ops@example.com"]);
    assert_eq!(channels.slack.unwrap().url.expose(), "https://hooks.slack.com/services/T0/B0/s3cr3t-word");
    assert_eq!(channels.telegram.unwrap().url.to_string(), "https://api.telegram.org");
    assert_eq!(channels.sms.unwrap().to, ["+1", "+2"]);
    assert_eq!(channels.webhook.unwrap().secret.unwrap().expose(), "s3cr3t-word");
}

#[test]
fn what_is_shown_holds_no_secret() {
    let config = load(ALL).unwrap();
    for shown in [serde_json::to_string(&config).unwrap(), format!("{config:?}")] {
        assert!(!shown.contains("s3cr3t-word"), "{shown}");
        assert!(
            shown.contains("https://hooks.slack.com/***") && shown.contains("smtps://***@smtp.example.com"),
            "{shown}"
        );
    }
}

#[test]
fn a_variable_configures_a_channel() {
    let url = "https://hooks.slack.com/services/x";
    let env = [("STANCHION__ALERTING__CHANNELS__SLACK__URL", url), ("STANCHION__ALERTING__ROUTES__HIGH", "slack,log")];
    let alerting = Config::builder().env(env).load().unwrap().alerting;
    assert_eq!(alerting.channels.slack.unwrap().url.expose(), url);
    assert_eq!(alerting.routes.high, [AlertChannel::Slack, AlertChannel::Log]);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let channel = |yaml: &str| format!("alerting: {{ channels: {{ {yaml} }} }}");
    assert_refused("alerting: { routs: {} }", &["alerting.routs", "did you mean routes?"]);
    assert_refused(
        "alerting: { routes: { critical: [slak] } }",
        &["alerting.routes.critical[0]", "did you mean slack?"],
    );
    assert_refused("alerting: { routes: { high: [log, log] } }", &["alerting.routes.high[1]", "twice"]);
    assert_refused("alerting: { max_attempts: 0 }", &["alerting.max_attempts"]);
    assert_refused("alerting: { timeout: 40s }", &["alerting.lease and alerting.timeout", "twice"]);
    assert_refused("alerting: { backoff: 1h }", &["alerting.max_backoff and alerting.backoff"]);
    assert_refused("alerting: { poll: 0 }", &["alerting.poll"]);
    assert_refused(&channel("pager: { url: x }"), &["alerting.channels.pager", "known are"]);
    assert_refused(&channel("slack: { url: hooks }"), &["alerting.channels.slack.url", "https://"]);
    assert_refused(&channel("slack: { url: 'ftp://x/y' }"), &["alerting.channels.slack.url", "https://"]);
    assert_refused(&channel("sms: { to: ['+1'] }"), &["alerting.channels.sms.url", "is missing"]);
    assert_refused(&channel("sms: { url: 'https://x' }"), &["alerting.channels.sms.to", "nobody"]);
    assert_refused(&channel("sms: { url: 'https://x', to: [a], body: '{' }"), &["alerting.channels.sms.body", "JSON"]);
    assert_refused(&channel("telegram: { token: 'a/b', chat_id: 1 }"), &["alerting.channels.telegram.token"]);
    assert_refused(&channel("telegram: { token: a }"), &["alerting.channels.telegram.chat_id", "is missing"]);
    let email = |url: &str, from: &str| channel(&format!("email: {{ url: '{url}', from: '{from}', to: [a@b] }}"));
    assert_refused(&email("smtp://u:p@mail.example.com", "a@b"), &["alerting.channels.email.url", "without TLS"]);
    assert_refused(
        &email("smtp://mail.example.com?tls=maybe", "a@b"),
        &["alerting.channels.email.url", "tls=required"],
    );
    assert_refused(&email("smtps://mail.example.com", "nobody"), &["alerting.channels.email.from"]);
    for url in [
        "smtp://u:p@localhost:25",
        "smtp://u:p@127.0.0.1",
        "smtp://u:p@[::1]:25",
        "smtp://u:p@mail.example.com?tls=required",
        "smtps://u:p@mail.example.com",
    ] {
        load(&email(url, "Ops <a@b.example>")).unwrap();
    }
}

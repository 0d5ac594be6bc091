use reqwest::{Client, StatusCode};
use serde_json::json;

use super::http::{Secrets, answer};
use super::{Channel, Name, SendError, headline, shortened};
use crate::config::alerting as config;
use crate::entity::alerting::alert::Model as Alert;

/// Slack's incoming webhooks: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
#[derive(Debug)]
pub(super) struct Slack {
    client: Client,
    url: config::Endpoint,
    secrets: Secrets,
}

impl Slack {
    pub(super) fn new(client: &Client, hook: &config::Hook) -> Self {
        Self { client: client.clone(), url: hook.url.clone(), secrets: Secrets::of(&hook.url) }
    }
}

#[async_trait::async_trait]
impl Channel for Slack {
    fn name(&self) -> Name {
        Name::Slack
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        // With these escaped nothing of it is a link, nor a call to everybody (`<!channel>`).
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let text = shortened(&format!("{}\n{}", headline(alert), alert.message.as_str()), 3_000, |_| 1);
        let request = self.client.post(self.url.expose()).json(&json!({ "text": escaped(&text) }));
        let answer = answer(request, &self.secrets).await?;
        match answer.status {
            StatusCode::OK if answer.body.trim() == "ok" => Ok(()),
            _ => Err(answer.error(&self.secrets)),
        }
    }
}

/// WeChat Work's group robots: <https://developer.work.weixin.qq.com/document/path/91770>.
#[derive(Debug)]
pub(super) struct Wechat {
    client: Client,
    url: config::Endpoint,
    secrets: Secrets,
}

impl Wechat {
    pub(super) fn new(client: &Client, hook: &config::Hook) -> Self {
        Self { client: client.clone(), url: hook.url.clone(), secrets: Secrets::of(&hook.url) }
    }
}

#[async_trait::async_trait]
impl Channel for Wechat {
    fn name(&self) -> Name {
        Name::Wechat
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        // At most 2048 bytes.
        let text = shortened(&format!("{}\n{}", headline(alert), alert.message.as_str()), 2_048, char::len_utf8);
        let body = json!({ "msgtype": "text", "text": { "content": text } });
        let answer = answer(self.client.post(self.url.expose()).json(&body), &self.secrets).await?;
        if !answer.status.is_success() {
            return Err(answer.error(&self.secrets));
        }
        // It answers 200 whatever happened.
        let said = answer.json();
        let reason = || {
            let text = said["errmsg"].as_str().unwrap_or("an answer that is not understood");
            let text: String = self.secrets.hidden_in(text).chars().take(200).collect();
            format!("errcode {}: {text}", said["errcode"])
        };
        match said["errcode"].as_i64() {
            Some(0) => Ok(()),
            // The system is busy; too many messages a minute.
            Some(-1 | 45_009 | 45_033) => Err(SendError::retry(reason())),
            _ => Err(SendError::refused(reason())),
        }
    }
}

/// Telegram's bots: <https://core.telegram.org/bots/api#sendmessage>.
#[derive(Debug)]
pub(super) struct Telegram {
    client: Client,
    url: crate::config::Secret,
    chat_id: String,
    secrets: Secrets,
}

impl Telegram {
    pub(super) fn new(client: &Client, bot: &config::Telegram) -> Self {
        let mut secrets = Secrets::of(&bot.url);
        secrets.add(bot.token.expose());
        // A number and what is secret of it.
        bot.token.expose().split(':').for_each(|part| secrets.add(part));
        let url = format!("{}/bot{}/sendMessage", bot.url.expose().trim_end_matches('/'), bot.token.expose());
        Self { client: client.clone(), url: url.into(), chat_id: bot.chat_id.clone(), secrets }
    }
}

#[async_trait::async_trait]
impl Channel for Telegram {
    fn name(&self) -> Name {
        Name::Telegram
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        // At most 4096 UTF-16 units.
        let text = shortened(&format!("{}\n{}", headline(alert), alert.message.as_str()), 4_096, char::len_utf16);
        let body = json!({ "chat_id": self.chat_id, "text": text });
        let answer = answer(self.client.post(self.url.expose()).json(&body), &self.secrets).await?;
        let said = answer.json();
        if answer.status.is_success() && said["ok"] == true {
            return Ok(());
        }
        let error = answer.error(&self.secrets);
        match (said["parameters"]["retry_after"].as_u64(), error) {
            (Some(seconds), SendError::Retry { reason, .. }) => {
                let after = Some(std::time::Duration::from_secs(seconds.min(86_400)));
                Err(SendError::Retry { reason, after })
            }
            (_, error) => Err(error),
        }
    }
}

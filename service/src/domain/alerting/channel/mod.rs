//! Channels: how an alert leaves the house.
//!
//! A channel is a small trait, so that a service can bring its own ([`Channels::with`]); the ones here are SMTP, the
//! webhooks of Slack, WeChat Work, Telegram and gateways for short messages, a webhook of one's own, and the log. They know
//! nothing of queues and attempts: they send, and say whether to try again. Called by [`deliver`](super::deliver).

mod chat;
mod email;
mod gateway;
mod http;
mod log;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::config::Alerting as Settings;
use crate::entity::alerting::Channel as Name;
use crate::entity::alerting::alert::Model as Alert;

/// A way to reach people.
#[async_trait::async_trait]
pub trait Channel: fmt::Debug + Send + Sync {
    /// Which one it is: what routes name.
    fn name(&self) -> Name;

    /// Sends an alert. It is called again after [`SendError::Retry`], and after a worker that died on the way: an alert may
    /// arrive twice, under the same id.
    ///
    /// # Errors
    /// [`SendError`], without a secret in it: it is stored and logged.
    ///
    /// # Cancellation
    /// It is dropped when it takes longer than the configured timeout.
    async fn send(&self, alert: &Alert) -> Result<(), SendError>;
}

/// Why a channel did not take an alert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It may take it later.
    #[error("{reason}")]
    Retry {
        /// Why.
        reason: String,
        /// How long it asked to be left alone.
        after: Option<Duration>,
    },
    /// It never will.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
}

impl SendError {
    /// It may take it later.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { reason: reason.into(), after: None }
    }

    /// It never will.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// The channels that there are. The log is always one of them.
#[derive(Clone, Debug)]
pub struct Channels {
    known: BTreeMap<Name, Arc<dyn Channel>>,
}

impl Default for Channels {
    /// The log alone.
    fn default() -> Self {
        Self { known: BTreeMap::new() }.with(log::Log)
    }
}

impl Channels {
    /// The channels that are configured, and the log. Nothing is connected to.
    ///
    /// # Errors
    /// When the machine has no root certificates that can be read, or the address of an e-mail is none.
    pub fn configured(settings: &Settings) -> Result<Self, Error> {
        let config = &settings.channels;
        let mut channels = Self::default();
        if let Some(email) = &config.email {
            channels = channels.with(email::Email::new(email, settings.timeout)?);
        }
        let any_http = config.slack.is_some()
            || config.wechat.is_some()
            || config.telegram.is_some()
            || config.sms.is_some()
            || config.webhook.is_some();
        if !any_http {
            return Ok(channels);
        }
        let client = http::client(settings.timeout)?;
        if let Some(hook) = &config.slack {
            channels = channels.with(chat::Slack::new(&client, hook));
        }
        if let Some(hook) = &config.wechat {
            channels = channels.with(chat::Wechat::new(&client, hook));
        }
        if let Some(bot) = &config.telegram {
            channels = channels.with(chat::Telegram::new(&client, bot));
        }
        if let Some(sms) = &config.sms {
            channels = channels.with(gateway::Sms::new(&client, sms)?);
        }
        if let Some(webhook) = &config.webhook {
            channels = channels.with(gateway::Webhook::new(&client, webhook));
        }
        Ok(channels)
    }

    /// With this one, in the place of the one of the same name.
    #[must_use]
    pub fn with(mut self, channel: impl Channel + 'static) -> Self {
        self.known.insert(channel.name(), Arc::new(channel));
        self
    }

    /// The channel of this name, if there is one.
    pub fn get(&self, name: Name) -> Option<&dyn Channel> {
        self.known.get(&name).map(AsRef::as_ref)
    }
}

/// The title in one line: a line break in it must not begin a header or a message of its own.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')).collect::<Vec<_>>().join(" ")
}

/// Severity and title, in one line.
fn headline(alert: &Alert) -> String {
    format!("[{}] {}", alert.severity.as_str().to_uppercase(), one_line(&alert.title))
}

/// The beginning of a text, at most so many units of `size` long, with an ellipsis where something is missing.
fn shortened(text: &str, limit: usize, size: impl Fn(char) -> usize) -> String {
    if text.chars().map(&size).sum::<usize>() <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(size('…'));
    let mut used = 0;
    let fits = |c: &char| {
        used += size(*c);
        used <= room
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line() {
        assert_eq!(one_line("a\r\nBcc: x@y\u{2028}b"), "a  Bcc: x@y b");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shortened("价格警报", 12, char::len_utf8), "价格警报");
        assert_eq!(shortened("价格警报!", 12, char::len_utf8), "价格警…");
        assert_eq!(shortened("🔥🔥🔥", 5, char::len_utf16), "🔥🔥…");
    }
}

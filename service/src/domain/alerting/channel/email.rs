use std::fmt;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::http::Secrets;
use super::{Channel, Name, SendError, headline};
use crate::Error;
use crate::config::alerting as config;
use crate::entity::alerting::alert::Model as Alert;

/// Connections to the mail server that are kept.
const CONNECTIONS: u32 = 4;

/// E-mail by SMTP, over connections that are kept for a while.
pub(super) struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    server: String,
    from: Mailbox,
    to: Mailboxes,
    secrets: Secrets,
}

impl Email {
    pub(super) fn new(settings: &config::Email, timeout: Duration) -> Result<Self, Error> {
        let wrong = |key: &str, what: &str| Error::Invalid(format!("alerting.channels.email.{key} {what}"));
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url.expose());
        // Its error may quote the URL.
        let transport = transport.map_err(|_| wrong("url", "is not a URL of an SMTP server"))?;
        let address =
            |text: &String| text.parse::<Mailbox>().map_err(|_| wrong("from or to", "is not an e-mail address"));
        Ok(Self {
            transport: transport.timeout(Some(timeout)).pool_config(PoolConfig::new().max_size(CONNECTIONS)).build(),
            server: settings.url.to_string(),
            from: address(&settings.from)?,
            to: settings.to.iter().map(address).collect::<Result<Vec<_>, _>>()?.into_iter().collect(),
            secrets: Secrets::of(&settings.url),
        })
    }

    fn message(&self, alert: &Alert) -> Result<Message, lettre::error::Error> {
        let domain = self.from.email.domain();
        Message::builder()
            .from(self.from.clone())
            .mailbox(lettre::message::header::To::from(self.to.clone()))
            .subject(headline(alert))
            .date(std::time::SystemTime::from(alert.created_at.get()))
            // The same alert is the same letter, however often it is sent.
            .message_id(Some(format!("<{}@{domain}>", alert.id)))
            .header(ContentType::TEXT_PLAIN)
            .body(alert.message.as_str().to_owned())
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email").field("server", &self.server).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Channel for Email {
    fn name(&self) -> Name {
        Name::Email
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let message = self.message(alert).map_err(|error| SendError::refused(error.to_string()))?;
        let sent = self.transport.send(message).await;
        sent.map(drop).map_err(|error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            let reason = self.secrets.hidden_in(&text);
            if error.is_permanent() { SendError::refused(reason) } else { SendError::retry(reason) }
        })
    }
}

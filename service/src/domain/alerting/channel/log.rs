use super::{Channel, Name, SendError, one_line};
use crate::entity::alerting::Severity;
use crate::entity::alerting::alert::Model as Alert;

/// The service's own log, at the level of the severity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log;

#[async_trait::async_trait]
impl Channel for Log {
    fn name(&self) -> Name {
        Name::Log
    }

    async fn send(&self, alert: &Alert) -> Result<(), SendError> {
        let (id, severity, user) = (alert.id, alert.severity, alert.user_id);
        let (title, message) = (one_line(&alert.title), alert.message.as_str());
        match severity {
            Severity::Critical | Severity::High => {
                tracing::error!(target: "stanchion::alert", alert = %id, %severity, %user, text = message, "{title}");
            }
            Severity::Warning => {
                tracing::warn!(target: "stanchion::alert", alert = %id, %severity, %user, text = message, "{title}");
            }
            Severity::Info => {
                tracing::info!(target: "stanchion::alert", alert = %id, %severity, %user, text = message, "{title}");
            }
        }
        Ok(())
    }
}

//! Alerting: rules, the state they are in, the alerts they raise, and how those reach people.

pub mod alert;
pub mod alert_delivery;
pub mod alert_rule;
pub mod alert_rule_state;
pub mod alert_rule_subject;

use crate::words;

words! {
    /// What a rule looks at.
    pub enum RuleType {
        /// A value beyond a limit.
        Threshold = "threshold",
        /// A price beyond a limit.
        Price = "price",
        /// A value that moves too fast.
        ChangeRate = "change_rate",
        /// A value that stays away.
        Absence = "absence",
        /// Several conditions together.
        Composite = "composite",
    }
}

words! {
    /// How urgent an alert is, from the least to the most.
    pub enum Severity {
        /// Good to know.
        Info = "info",
        /// To be looked at.
        Warning = "warning",
        /// To be looked at now.
        High = "high",
        /// To be acted on now.
        Critical = "critical",
    }
}

words! {
    /// Where an alert is in its life.
    pub enum AlertStatus {
        /// It waits for a worker.
        Pending = "pending",
        /// A worker holds it until its lease ends.
        Sending = "sending",
        /// It reached every channel that did not give up.
        Sent = "sent",
        /// It was given up.
        Failed = "failed",
        /// Somebody has taken notice.
        Acknowledged = "acknowledged",
    }
}

words! {
    /// A way to reach people.
    pub enum Channel {
        /// E-mail.
        Email = "email",
        /// WeChat Work.
        Wechat = "wechat",
        /// Short messages to a phone.
        Sms = "sms",
        /// Slack.
        Slack = "slack",
        /// A Telegram bot.
        Telegram = "telegram",
        /// An HTTP endpoint.
        Webhook = "webhook",
        /// The service's own log.
        Log = "log",
    }
}

words! {
    /// How far an alert got on one channel.
    pub enum DeliveryStatus {
        /// Not delivered yet; it will be tried again.
        Pending = "pending",
        /// The channel has accepted it.
        Delivered = "delivered",
        /// It was given up.
        Failed = "failed",
        /// It was to go there, but the channel is not configured.
        Skipped = "skipped",
    }
}

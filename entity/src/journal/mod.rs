//! The journal: structured log entries, and an audit trail whose changes are found.

pub mod audit_entry;
pub mod audit_head;
pub mod log_entry;

use crate::words;

words! {
    /// How serious a log entry is.
    pub enum LogLevel {
        /// Something failed.
        Error = "error",
        /// Something is not as it should be.
        Warn = "warn",
        /// What happens in normal work.
        Info = "info",
        /// For whoever looks for a fault.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
}

words! {
    /// What a log entry is about.
    pub enum LogCategory {
        /// The service itself.
        System = "system",
        /// What a user does.
        UserActivity = "user_activity",
        /// Orders, payments, points.
        BusinessTransaction = "business_transaction",
        /// Who was let in, and who was not.
        SecurityAudit = "security_audit",
        /// How long something took.
        Performance = "performance",
    }
}

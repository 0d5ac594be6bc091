//! Names of the databases that tests get: they say whose they are, so that the next run can drop what a killed one left.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::is_running;

/// Set by the binary `testbed`: its pid, which is what a template shared by a whole run belongs to.
pub(super) const RUN: &str = "STANCHION_TEST_RUN";

const PREFIX: &str = "stanchion_t_";

/// `stanchion_t_PID_HOST_N_RANDOM`: a database of this process alone.
pub(super) fn fresh() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    // Random, because a pid comes again.
    let random = uuid::Uuid::new_v4().as_u128() & 0xffff;
    format!("{PREFIX}{}_{}_{number}_{random:04x}", process::id(), host())
}

/// `stanchion_t_PID_HOST_template_HASH`: the migrated database that this run's tests are copied from.
///
/// HASH is made of the migrations' and entities' source text (see `build.rs`) and of the migrations' names: in a shell
/// that `testbed` runs, an edited migration makes a new template.
pub(super) fn template(migrations: &[String]) -> String {
    let parent = || u32::try_from(nix::unistd::getppid().as_raw()).unwrap_or_default();
    let run = std::env::var(RUN).ok().and_then(|pid| pid.parse().ok()).unwrap_or_else(parent);
    let mut hasher = DefaultHasher::new();
    (env!("STANCHION_SCHEMA_SOURCES"), migrations).hash(&mut hasher);
    format!("{PREFIX}{run}_{}_template_{:016x}", host(), hasher.finish())
}

/// Whether the database was made on this machine by a process that is gone.
pub(super) fn is_stale(name: &str) -> bool {
    let mut parts = name.strip_prefix(PREFIX).unwrap_or_default().splitn(3, '_');
    let (Some(pid), Some(machine)) = (parts.next(), parts.next()) else { return false };
    // The pids of another machine that shares the server say nothing here.
    pid.parse().is_ok_and(|pid| !is_running(pid)) && machine == host()
}

/// Six hexadecimal digits for this machine's name.
fn host() -> String {
    let mut hasher = DefaultHasher::new();
    nix::unistd::gethostname().unwrap_or_default().hash(&mut hasher);
    format!("{:06x}", hasher.finish() & 0xff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_stale_when_its_process_is_gone() {
        let mut child = process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(is_stale(&format!("{PREFIX}{pid}_{}_0_beef", host())));
    }

    #[test]
    fn a_database_of_a_running_process_or_of_another_machine_is_kept() {
        assert!(!is_stale(&fresh()));
        assert!(!is_stale(&format!("{PREFIX}999999999_zzzzzz_0_beef")));
        assert!(!is_stale("stanchion_production"));
    }
}

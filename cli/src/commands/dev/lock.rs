use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::output::Failure;

/// The exclusive use of a database by one `stanchion dev`. The system releases it when the process ends, however it
/// does; the file stays, since removing it could take the lock from somebody who has just opened it.
pub(super) struct Lock {
    _file: File,
}

/// Locks `<database>.lock`, which holds the process's id for others to read.
pub(super) fn take(database: &Path) -> Result<Lock, Failure> {
    let path = beside(database);
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    }
    let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Who it is, is a help; that somebody is there, is known.
            let _ = (&mut file).take(20).read_to_string(&mut pid);
            let who = pid.trim().parse::<u32>().map_or_else(|_| String::new(), |pid| format!(" (pid {pid})"));
            let error = anyhow!("another `stanchion dev`{who} uses {}", database.display());
            return Err(Failure::from(error).hint("end it, or use another file: DATABASE_URL=sqlite://data/other.db"));
        }
        Err(TryLockError::Error(error)) => {
            return Err(anyhow!(error).context(format!("cannot lock {}", path.display())).into());
        }
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Lock { _file: file })
}

fn beside(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_again_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("new/stanchion.db");
        let lock = take(&database).unwrap();
        let refused = format!("{:?}", take(&database).err().unwrap());
        assert!(refused.contains(&format!("(pid {})", std::process::id())), "{refused}");
        drop(lock);
        drop(take(&database).unwrap());
        assert!(!database.exists(), "the database is not made here");
    }
}

//! Where a server's programs are on this machine.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::server::Kind;

/// Where packages put servers that they keep out of a normal user's `PATH`.
const BESIDE_PATH: [&str; 5] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/local/bin", "/opt/homebrew/bin"];

/// Folders that hold one PostgreSQL version each, with the part of the folder below it that has the programs.
const POSTGRES_VERSIONS: [(&str, &str); 4] = [
    ("/usr/lib/postgresql", "bin"), // Debian, Ubuntu
    ("/usr", "bin"),                // Red Hat: /usr/pgsql-17/bin
    ("/opt/homebrew/opt", "bin"),   // macOS: postgresql@17/bin
    ("/usr/local/opt", "bin"),      // macOS on Intel
];

/// The folder with both `initdb` and `postgres`: the one in `PATH`, else the newest installed.
pub(super) fn postgres() -> Result<PathBuf, Error> {
    let complete = |folder: &PathBuf| is_program(&folder.join("postgres")) && is_program(&folder.join("initdb"));
    if let Some(folder) = path_folders().find(complete) {
        return Ok(folder);
    }
    let mut versions: Vec<(u32, PathBuf)> = POSTGRES_VERSIONS
        .iter()
        .flat_map(|(parent, below)| folders_in(Path::new(parent)).map(move |folder| (folder, *below)))
        .filter_map(|(folder, below)| Some((version(folder.file_name()?)?, folder.join(below))))
        .filter(|(_, folder)| complete(folder))
        .collect();
    versions.sort();
    versions.pop().map(|(_, folder)| folder).ok_or(Error::NotInstalled { kind: Kind::Postgres, program: "initdb" })
}

/// The program `name` in `PATH` or in the folders beside it.
pub(super) fn program(kind: Kind, name: &'static str) -> Result<PathBuf, Error> {
    let folders = path_folders().chain(BESIDE_PATH.iter().map(PathBuf::from));
    let mut candidates = folders.map(|folder| folder.join(name));
    candidates.find(|path| is_program(path)).ok_or(Error::NotInstalled { kind, program: name })
}

/// `15`, `pgsql-15`, `postgresql@15`: the major version in the folder's name.
fn version(folder: &OsStr) -> Option<u32> {
    let name = folder.to_str()?;
    let digits = name.strip_prefix("pgsql-").or_else(|| name.strip_prefix("postgresql@")).unwrap_or(name);
    digits.split('.').next()?.parse().ok()
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn folders_in(parent: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

use std::sync::OnceLock;

use redis::Cmd;
pub use redis::FromRedisValue as ScriptAnswer;

/// A script in Lua that Redis runs as one step: nothing else is seen or done between its lines.
///
/// It is sent once a server and called by its digest. In a cluster all its keys must be in one slot: give them the same
/// `{hash tag}`.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: &'static str,
    digest: OnceLock<String>,
}

impl Script {
    /// A script; `name` is what metrics call it: `cache.store`.
    #[must_use]
    pub const fn new(name: &'static str, source: &'static str) -> Self {
        Self { name, source, digest: OnceLock::new() }
    }

    /// What metrics call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Calls it by its digest; a server that does not know it does nothing but say so.
    pub(super) fn by_digest(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        let digest = self.digest.get_or_init(|| redis::Script::new(self.source).get_hash().to_owned());
        invocation("EVALSHA", digest, keys, arguments)
    }

    /// Sends it whole: the server runs it, and knows it from then on.
    pub(super) fn whole(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        invocation("EVAL", self.source, keys, arguments)
    }
}

fn invocation(command: &str, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
    let bytes = keys.iter().map(|key| key.len()).chain(arguments.iter().map(|argument| argument.len())).sum::<usize>();
    let mut call = Cmd::with_capacity(keys.len() + arguments.len() + 3, bytes + script.len() + command.len() + 8);
    call.arg(command).arg(script).arg(keys.len());
    for key in keys {
        call.arg(*key);
    }
    for argument in arguments {
        call.arg(*argument);
    }
    call
}

use redis::{FromRedisValue, Value};

/// What one server's memory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// Where it is: `host:port`.
    pub server: String,
    /// What Redis has allocated, in bytes.
    pub used: u64,
    /// Its `maxmemory`, in bytes; `None` where there is no limit.
    pub limit: Option<u64>,
    /// Whether it makes room by dropping keys that still live, when the limit is reached: its `maxmemory-policy` is another
    /// than `noeviction`.
    pub evicts: bool,
}

impl Memory {
    /// Reads the answer to `INFO memory`: a text, or from a cluster one a node; `server` is whose it is if it is but one.
    pub(super) fn read(answer: Value, server: &str) -> Vec<Self> {
        let nodes = match answer {
            Value::Map(nodes) => nodes,
            one => vec![(Value::SimpleString(server.to_owned()), one)],
        };
        nodes.into_iter().filter_map(|(server, text)| Self::of_node(server, text)).collect()
    }

    fn of_node(server: Value, text: Value) -> Option<Self> {
        let server = String::from_redis_value(server).ok()?;
        let text = String::from_redis_value(text).ok()?;
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
        };
        let number = |name: &str| value(name)?.parse::<u64>().ok();
        let limit = number("maxmemory").filter(|limit| *limit > 0);
        let evicts = limit.is_some() && value("maxmemory_policy").is_some_and(|policy| policy != "noeviction");
        Some(Self { server, used: number("used_memory")?, limit, evicts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_info_says_is_read_and_no_limit_is_none() {
        let text = "# Memory\r\nused_memory:1024\r\nused_memory_human:1K\r\nmaxmemory:0\r\n";
        let read = Memory::read(Value::BulkString(text.into()), "host:6379");
        assert_eq!(read, [Memory { server: "host:6379".to_owned(), used: 1024, limit: None, evicts: false }]);
        let text = "used_memory:1024\r\nmaxmemory:2048\r\nmaxmemory_policy:allkeys-lru\r\n";
        assert!(Memory::read(Value::BulkString(text.into()), "host:6379")[0].evicts);
        assert!(
            !Memory::read(Value::BulkString(text.replace("allkeys-lru", "noeviction").into()), "host:6379")[0].evicts
        );
        assert!(Memory::read(Value::Int(5), "host:6379").is_empty(), "what is not understood is left out");
    }
}

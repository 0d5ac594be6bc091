//! The steps that Redis makes as one. What is in the way, of another type, is deleted: it is under our prefix.

use crate::redis::Script;

/// Begins a load: the value if there is one, and else a generation to store it under.
///
/// Keys: value, generation, loader. Arguments: a candidate for the generation, how long it is kept (ms), how much longer
/// than its stale time a value must live (ms), the beginning of a value that is of no use, the load's token, how long others
/// wait for it (ms). A value says how long it is stale in its bytes 17 to 24.
pub(super) static BEGIN: Script = Script::new(
    "cache.begin",
    "local v = redis.pcall('GET', KEYS[1])
    if type(v) == 'table' then redis.call('DEL', KEYS[1]) v = false end
    local left = -2
    if v and #v >= 24 and string.sub(v, 1, 8) ~= ARGV[4] then
        left = redis.call('PTTL', KEYS[1])
        local stale = 0
        for i = 17, 24 do stale = stale * 256 + string.byte(v, i) end
        if left > stale + tonumber(ARGV[3]) then return {v, left, '', 0} end
    else
        v = false
    end
    local g = redis.pcall('GET', KEYS[2])
    if type(g) == 'table' then redis.call('DEL', KEYS[2]) g = false end
    if g then
        redis.call('PEXPIRE', KEYS[2], ARGV[2])
    else
        g = ARGV[1]
        if redis.pcall('SET', KEYS[2], g, 'PX', ARGV[2]).err then return {v or '', left, '', 1} end
    end
    local first = redis.pcall('SET', KEYS[3], ARGV[5], 'NX', 'PX', ARGV[6])
    if not first and redis.pcall('GET', KEYS[3]) ~= ARGV[5] then return {v or '', left, g, 0} end
    return {v or '', left, g, 1}",
);

/// Stores a value unless its key was invalidated since its load began.
///
/// Keys: value, generation, loader. Arguments: the generation, the value, how long it is kept (ms), the load's token.
pub(super) static STORE: Script = Script::new(
    "cache.store",
    "if redis.pcall('GET', KEYS[3]) == ARGV[4] then redis.call('DEL', KEYS[3]) end
    if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 1",
);

/// Ends a load that has nothing to store. Key: loader. Argument: the load's token.
pub(super) static GIVE_UP: Script = Script::new(
    "cache.give_up",
    "if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
    return 0",
);

/// The generation of a tag. Key: tag. Arguments: a candidate, how long it is kept at least (ms).
pub(super) static TAG: Script = Script::new(
    "cache.tag",
    "local g = redis.pcall('GET', KEYS[1])
    if type(g) == 'table' then redis.call('DEL', KEYS[1]) g = false end
    if not g then
        redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
        return ARGV[1]
    end
    if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
    return g",
);

/// Numbers and sends an announcement. Where it cannot be counted (the server is full, or what stands there is no number of
/// ours) it has the number 0, which all take for a gap.
///
/// Key: the last number. Arguments: where to begin if there is none, the channel, the message.
pub(super) static ANNOUNCE: Script = Script::new(
    "cache.announce",
    "local n = redis.pcall('GET', KEYS[1])
    if not n then redis.pcall('SET', KEYS[1], ARGV[1]) end
    n = redis.pcall('INCR', KEYS[1])
    if type(n) == 'table' or n < 1 or n >= 1e15 then redis.call('DEL', KEYS[1]) n = 0 end
    n = string.format('%.0f', n)
    redis.call('PUBLISH', ARGV[2], n .. '|' .. ARGV[3])
    return n",
);

/// The last number; 0 if the server is full and cannot keep one. What is no number of ours is deleted. Key: it. Argument:
/// where to begin if there is none.
pub(super) static SEQUENCE: Script = Script::new(
    "cache.sequence",
    "local n = redis.pcall('GET', KEYS[1])
    if type(n) == 'string' and #n <= 15 and string.match(n, '^[1-9]%d*$') then return n end
    if n then redis.call('DEL', KEYS[1]) end
    if redis.pcall('SET', KEYS[1], ARGV[1]).err then return '0' end
    return ARGV[1]",
);

/// Compares the servers with those that are kept; if they are others, invalidates everything and announces it.
///
/// Keys: the servers, the root tag, the last number. Arguments: the servers, where to begin if there is no number, the
/// channel, the message.
pub(super) static IDENTIFY: Script = Script::new(
    "cache.identify",
    "if redis.pcall('GET', KEYS[1]) == ARGV[1] then return 0 end
    redis.call('DEL', KEYS[1], KEYS[2])
    redis.call('SET', KEYS[3], ARGV[2])
    redis.call('PUBLISH', ARGV[3], ARGV[2] .. '|' .. ARGV[4])
    redis.call('SET', KEYS[1], ARGV[1])
    return 1",
);

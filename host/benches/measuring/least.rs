//! The least that a durable queue on Redis can do, as scripts: an item is stored and ready; taken and leased; ended. Each
//! for one item, and the same for many.

/// Their keys: items, those that are ready, and those that are taken.
pub const KEYS: [&str; 3] = ["least:items", "least:ready", "least:active"];
/// Milliseconds.
pub const LEASE: u64 = 60_000;
/// An item, as long as Warren's are.
pub const BODY: &str = r#"{"id":"0199aaaa-0000-7000-8000-000000000000","agent_id":"agent-100","agent_name":"agent-100","task_type":"inbox","priority":"high","inbox_count":1,"created_at":1700000000.0}"#;

/// Ids and items in turn.
const ENQUEUE: &str = "
for n = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
  redis.call('LPUSH', KEYS[2], ARGV[n])
end
return 1";
/// The lease and how many.
const CLAIM: &str = "
local time, claims = redis.call('TIME'), {}
for n = 1, ARGV[2] do
  local id = redis.call('RPOP', KEYS[2])
  if not id then break end
  redis.call('ZADD', KEYS[3], time[1] * 1000 + ARGV[1], id)
  claims[2 * n - 1], claims[2 * n] = id, redis.call('HGET', KEYS[1], id)
end
return claims";
/// Ids.
const COMPLETE: &str = "
for n = 1, #ARGV do
  redis.call('ZREM', KEYS[3], ARGV[n])
  redis.call('HDEL', KEYS[1], ARGV[n])
end
return 1";
/// The same for one item, without the loops.
const ENQUEUE_ONE: &str = "
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('LPUSH', KEYS[2], ARGV[1])
return 1";
const CLAIM_ONE: &str = "
local id = redis.call('RPOP', KEYS[2])
if not id then return {} end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[3], time[1] * 1000 + ARGV[1], id)
return { id, redis.call('HGET', KEYS[1], id) }";
const COMPLETE_ONE: &str = "
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1";

/// Enqueue, claim and complete, each for so many items at a time.
pub fn scripts(batch: usize) -> [&'static str; 3] {
    match batch {
        1 => [ENQUEUE_ONE, CLAIM_ONE, COMPLETE_ONE],
        _ => [ENQUEUE, CLAIM, COMPLETE],
    }
}

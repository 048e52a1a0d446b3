#!lua
-- Puts dead items back at the tail of their queue, with attempt 1, as far as it has room.
-- KEYS: data index queue_high queue_normal queue_low active failures backoff events wake
-- ARGV: 1 time, then item ids
-- Uses: base signals agents items places
-- Returns how many were
can_move()
can_save_agents()
can_tell()
local requeued = 0
for n = 2, #ARGV do
  local id = ARGV[n]
  local m = item_of(id)
  if m and m[STATE] == 'x' then
    local rank = m[RANK]
    local unready = call('HMGET', DATA, 'cw' .. rank, 'ch' .. rank)
    local depth = call('ZLEXCOUNT', INDEX, '[r' .. rank, '(r' .. rank + 1) + (unready[1] or 0) + (unready[2] or 0)
    if depth < MAX_QUEUE then
      local a = agent_of(m[AGENT], m[NAME])
      leave(id, m, a)
      call('ZREM', INDEX, 'o' .. sorted(m[SEQ]) .. id)
      m[SEQ] = call('HINCRBY', DATA, 'cs', 1)
      call('ZADD', INDEX, 0, 'o' .. sorted(m[SEQ]) .. id)
      m[ATTEMPT], m[NOTE], m[READY_AT], m[REASON], m[ENDED], m[RESUMED], m[TOKEN] = 1, '', now, '', 0, 0, ''
      enter(id, m, a, 'q', 'LPUSH')
      save_item(id, m)
      requeued = requeued + 1
    end
  end
end
save_agents()
wake()
return requeued

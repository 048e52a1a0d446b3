#!lua
-- Puts dead items back at the tail of their queue, with attempt 1, as far as it has room.
-- KEYS: data index ready_high ready_normal ready_low delayed leases dead order ages queue_high queue_normal queue_low active failures
-- KEYS: backoff events wake
-- ARGV: 1 time, then item ids
-- Uses: base ranks writes signals agents items order places insert
-- Returns for each: 'ready' | 'full' | 'not_dead'
local answers, depths, left = {}, {}, {}
for n = 2, #ARGV do
  local id = ARGV[n]
  local m = item_of(id)
  local answer = 'not_dead'
  if m and m[STATE] == 'x' then
    local rank = m[RANK]
    depths[rank] = depths[rank] or depth_of(rank)
    answer = 'full'
    if depths[rank] < MAX_QUEUE then
      answer = 'ready'
      depths[rank] = depths[rank] + 1
      local a = agent_of(m[AGENT], m[NAME])
      leave(id, m, a)
      left[id] = m[SEQ]
      m[SEQ] = next_seq(id)
      m[ATTEMPT], m[NOTE], m[READY_AT], m[REASON], m[ENDED], m[RESUMED], m[TOKEN] = 1, '', now, '', 0, 0, ''
      enter(id, m, a, 'q', 'LPUSH')
      save_item(id, m)
    end
  end
  answers[#answers + 1] = answer
end
leave_order(left)
save()
return answers

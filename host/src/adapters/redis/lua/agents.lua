#!lua flags=no-writes
-- Agents: one by id or name, or a page of all.
-- KEYS: data index effects failures backoff
-- ARGV: 1 time, 2 one | page, 3 id or name | the id before the page or empty, 4 how many
-- Uses: base agents items effects
-- Returns {now, then for each: {id, name, paused, mode, failures, exponent, healthy since, open until, probed, lease losses,
--          cool until, cool-downs, last started, last ended, last reason, last detail, posts, comments, 1 if one of its
--          items is active, how many are queued, waiting, held, delayed by the breaker, then reason, count …}}
local ids, most = {}, tonumber(ARGV[4])
if ARGV[2] == 'one' then
  if call('HEXISTS', DATA, 'a' .. ARGV[3]) == 1 then
    ids = { ARGV[3] }
  else
    local from = 'n' .. ARGV[3] .. '\n'
    for _, member in ipairs(call('ZRANGEBYLEX', INDEX, '[' .. from, '(' .. from .. '\255', 'LIMIT', 0, 1)) do
      ids[1] = string.sub(member, #from + 1)
    end
  end
else
  local from = ARGV[3] == '' and '[a' or '(a' .. ARGV[3]
  for n, member in ipairs(call('ZRANGEBYLEX', INDEX, from, '(b', 'LIMIT', 0, most)) do ids[n] = string.sub(member, 2) end
end

local MODES = { a = 'automatic', f = 'forced_open', d = 'disabled' }
local answer = { now }
for _, id in ipairs(ids) do
  local a = agent_of(id)
  if a then
    local told = { id }
    for field = A_NAME, A_DETAIL do told[field + 1] = a[field] end
    told[4] = MODES[a[A_MODE]] or ''
    told[17] = of_day('dpost\n' .. id, today)
    told[18] = of_day('dcomment\n' .. id, today)
    told[19] = a[A_ACTIVE] ~= '' and 1 or 0
    for n, class in ipairs({ 'q', 'w', 'h', 'b' }) do
      local from = 'q' .. id .. '\n' .. class
      told[19 + n] = call('ZLEXCOUNT', INDEX, '[' .. from, '(' .. from .. '~')
    end
    -- Inbox and discovery items that are ready, the agent names itself.
    for _, list in ipairs({ a[A_INBOX], a[A_DISCOVERY] }) do
      for _, item in ipairs(list) do
        local m = item_of(item)
        if m and m[STATE] == 'q' then told[20] = told[20] + 1 end
      end
    end
    for reason, count in pairs(a[A_ENDINGS]) do
      told[#told + 1] = reason
      told[#told + 1] = count
    end
    answer[#answer + 1] = told
  end
end
return answer

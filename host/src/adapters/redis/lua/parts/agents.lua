-- What the store knows of an agent: field `a<id>` of the data hash, as text. Its first line says how the agent stands:
--   p              plain: idle, closed breaker without failures, no cool-down, nothing open or waiting
--   b<item>        plain, but for this active item
--   o<item>        plain, but for this one open (not active) inbox item; v<item>, discovery item
--   x<paused> mode failures open probed losses cool cools active waiting inbox discovery   (between tabs; lists with spaces)
-- Then, at fixed places: last start, last end, start of the last success, healthy since (15 digits each, 0 for none),
-- how often it ended well (10 digits), `o` if the last end was so (or `-`). Then name, exponent, last reason and endings but
-- `ok` between tabs, a line's end, and the last detail. In tables 0 and '' mean "none".
local A_NAME, A_PAUSED, A_MODE, A_FAILURES, A_EXPONENT, A_HEALTHY, A_OPEN, A_PROBED, A_LOSSES = 1, 2, 3, 4, 5, 6, 7, 8, 9
local A_COOL, A_COOLS, A_STARTED, A_ENDED, A_REASON, A_DETAIL, A_ENDINGS = 10, 11, 12, 13, 14, 15, 16
-- The active item; how many wait; the open (not active) inbox and discovery items; when the last success had started.
local A_ACTIVE, A_WAITING, A_INBOX, A_DISCOVERY, A_SUCCESS = 17, 18, 19, 20, 21
local TIME_15 = '(...............)'
local FIXED = '^' .. TIME_15 .. TIME_15 .. TIME_15 .. TIME_15 .. '(..........)(.)([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)\t([^\t\n]*)\n(.*)$'
local TABBED = '([^\t\n]*)\t'
local STANDING = '^x' .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. '([^\t\n]*)$'

-- Agents that this script has met, what to save of them, and how each stood in the backoff when it was read.
local met, changed, stood, new, remade = {}, {}, {}, {}, {}

local FOREVER = '999999999999999'

-- Where the agent stands among those in backoff, and its field of `work:backoff`; nothing if it is not in backoff.
local function backoff_of(id, a)
  if a[A_MODE] == 'f' then return 'b' .. FOREVER .. id, '4102444800' end
  if a[A_MODE] == 'a' and a[A_OPEN] ~= 0 then
    return 'b' .. sorted(a[A_OPEN]) .. id, format('%d', math.ceil(a[A_OPEN] / 1000))
  end
end

local function words(text)
  local found = {}
  for word in string.gmatch(text, '%S+') do found[#found + 1] = word end
  return found
end

-- An agent of its text; nil if it can't be what Warren wrote.
local function agent_of_text(text)
  local line = find(text, '\n', 1, true)
  if not line then return nil end
  local started, ended, success, healthy, oks, last, name, exponent, reason, endings, detail = match(text, FIXED, line + 1)
  if not detail or not tonumber(started) then return nil end
  local kind, head = sub(text, 1, 1), sub(text, 2, line - 1)
  local a = { name, 0, 'a', 0, tonumber(exponent) or 0, tonumber(healthy), 0, 0, 0, 0, 0, tonumber(started), tonumber(ended), reason, detail, {}, '', 0,
    {}, {}, tonumber(success) }
  for word, times in string.gmatch(endings, '([%w_]+)=(%d+)') do a[A_ENDINGS][word] = tonumber(times) end
  if tonumber(oks) ~= 0 then a[A_ENDINGS].ok = tonumber(oks) end
  if last == 'o' then a[A_REASON], a[A_DETAIL] = 'ok', '' end
  if kind == 'b' then
    a[A_ACTIVE] = head
  elseif kind == 'o' then
    a[A_INBOX][1] = head
  elseif kind == 'v' then
    a[A_DISCOVERY][1] = head
  elseif kind == 'x' then
    local f = { match(sub(text, 1, line - 1), STANDING) }
    if not f[12] then return nil end
    a[A_PAUSED], a[A_MODE], a[A_FAILURES], a[A_OPEN] = tonumber(f[1]), f[2], tonumber(f[3]), tonumber(f[4])
    a[A_PROBED], a[A_LOSSES], a[A_COOL], a[A_COOLS] = tonumber(f[5]), tonumber(f[6]), tonumber(f[7]), tonumber(f[8])
    a[A_ACTIVE], a[A_WAITING], a[A_INBOX], a[A_DISCOVERY] = f[9], tonumber(f[10]), words(f[11]), words(f[12])
  elseif kind ~= 'p' then
    return nil
  end
  return a
end

local function head_of(a)
  local plain = a[A_PAUSED] == 0 and a[A_MODE] == 'a' and a[A_FAILURES] == 0 and a[A_OPEN] == 0 and a[A_PROBED] == 0
    and a[A_LOSSES] == 0 and a[A_COOL] == 0 and a[A_COOLS] == 0 and a[A_WAITING] == 0
  local open = #a[A_INBOX] + #a[A_DISCOVERY]
  if plain and a[A_ACTIVE] == '' then
    if open == 0 then return 'p' end
    if open == 1 and a[A_INBOX][1] then return 'o' .. a[A_INBOX][1] end
    if open == 1 then return 'v' .. a[A_DISCOVERY][1] end
  elseif plain and open == 0 then
    return 'b' .. a[A_ACTIVE]
  end
  return 'x' .. a[A_PAUSED] .. '\t' .. a[A_MODE] .. '\t' .. a[A_FAILURES] .. '\t' .. format('%d', a[A_OPEN]) .. '\t' .. a[A_PROBED]
    .. '\t' .. a[A_LOSSES] .. '\t' .. format('%d', a[A_COOL]) .. '\t' .. a[A_COOLS] .. '\t' .. a[A_ACTIVE] .. '\t' .. a[A_WAITING]
    .. '\t' .. table.concat(a[A_INBOX], ' ') .. '\t' .. table.concat(a[A_DISCOVERY], ' ')
end

local function agent_text(a)
  local endings = {}
  for reason, times in pairs(a[A_ENDINGS]) do
    if reason ~= 'ok' then endings[#endings + 1] = reason .. '=' .. format('%d', times) end
  end
  local well = a[A_REASON] == 'ok' and a[A_DETAIL] == ''
  return head_of(a) .. '\n' .. sorted(a[A_STARTED]) .. sorted(a[A_ENDED]) .. sorted(a[A_SUCCESS]) .. sorted(a[A_HEALTHY])
    .. format('%010d', a[A_ENDINGS].ok or 0) .. (well and 'o' or '-') .. a[A_NAME] .. '\t' .. a[A_EXPONENT] .. '\t'
    .. a[A_REASON] .. '\t' .. table.concat(endings, ' ') .. '\n' .. a[A_DETAIL]
end

-- The agent; if a name is given, one that is not known is made, and one that can't be read is made anew.
local function agent_of(id, name)
  local a = met[id]
  if a then return a end
  local text = read('a' .. id)
  if text then
    a = agent_of_text(text)
    if not a and not name then unreadable('a' .. id) end
    remade[id] = not a
  end
  if not a then
    if not name then return nil end
    local paused = call('ZSCORE', INDEX, 'p' .. name) and 1 or 0
    if paused == 1 then vanish('p' .. name) end
    a = { name, paused, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '', {}, '', 0, {}, {}, 0 }
    new[id], changed[id] = true, true
  end
  met[id] = a
  stood[id] = { backoff_of(id, a) or '', a[A_FAILURES], a[A_NAME] }
  return a
end

-- Keep what has changed, in the truth and in its projections.
local function save_agents()
  for id in pairs(changed) do
    local a, before = met[id], stood[id]
    local place, seconds = backoff_of(id, a)
    if (place or '') ~= before[1] then
      if before[1] ~= '' then vanish(before[1]) end
      if place then stand(place) end
      tell_outside(BACKOFF, id, seconds or false)
    end
    if a[A_FAILURES] ~= before[2] then tell_outside(FAILURES, id, a[A_FAILURES] ~= 0 and a[A_FAILURES]) end
    if remade[id] then tell('agent_unreadable', id, '', '', 'its record was made anew') end
    if not new[id] and a[A_NAME] ~= before[3] then vanish('n' .. before[3] .. '\n' .. id) end
    if new[id] then stand('a' .. id) end
    if new[id] or a[A_NAME] ~= before[3] then stand('n' .. a[A_NAME] .. '\n' .. id) end
    set('a' .. id, agent_text(a))
  end
end

-- The breaker at this moment, as `domain/breaker.rs` says it.
local function breaker_state(a)
  if a[A_MODE] == 'f' then return 'forced' end
  if a[A_MODE] == 'd' then return 'disabled' end
  if a[A_OPEN] == 0 then return 'closed' end
  if now < a[A_OPEN] and a[A_PROBED] == 0 then return 'open' end
  return 'half'
end

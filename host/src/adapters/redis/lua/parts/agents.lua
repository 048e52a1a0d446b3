-- What the store knows of an agent: field `a<id>` of the data hash, an array packed with cmsgpack. 0 and '' mean "none".
-- Later versions append; what this one does not know it keeps.
local A_NAME, A_PAUSED, A_MODE, A_FAILURES, A_EXPONENT, A_HEALTHY, A_OPEN, A_PROBED, A_LOSSES = 1, 2, 3, 4, 5, 6, 7, 8, 9
local A_COOL, A_COOLS, A_STARTED, A_ENDED, A_REASON, A_DETAIL, A_ENDINGS = 10, 11, 12, 13, 14, 15, 16
-- The active item; how many wait; the open (not active) inbox and discovery items; when the last success had started.
local A_ACTIVE, A_WAITING, A_INBOX, A_DISCOVERY, A_SUCCESS = 17, 18, 19, 20, 21

-- Agents that this script has met, what to save of them, and how each stood in the backoff when it was read.
local met, changed, stood, new, unreadable = {}, {}, {}, {}, {}

local FOREVER = '999999999999999'

-- Where the agent stands among those in backoff, and its field of `work:backoff`; nothing if it is not in backoff.
local function backoff_of(id, a)
  if a[A_MODE] == 'f' then return 'b' .. FOREVER .. id, '4102444800' end
  if a[A_MODE] == 'a' and a[A_OPEN] ~= 0 then
    return 'b' .. sorted(a[A_OPEN]) .. id, string.format('%d', math.ceil(a[A_OPEN] / 1000))
  end
end

-- The agent; if a name is given, one that is not known is made, and one that can't be read is made anew.
local function agent_of(id, name)
  local a = met[id]
  if a then return a end
  local text, good = read('a' .. id), false
  if text then
    good, a = pcall(unpacked, text, 'a' .. id)
    if not good and not name then error(a) end
    unreadable[id] = not good
  end
  if not good then
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
    if unreadable[id] then tell('agent_unreadable', id, '', '', 'its record was made anew') end
    if not new[id] and a[A_NAME] ~= before[3] then vanish('n' .. before[3] .. '\n' .. id) end
    if new[id] then stand('a' .. id) end
    if new[id] or a[A_NAME] ~= before[3] then stand('n' .. a[A_NAME] .. '\n' .. id) end
    set('a' .. id, cmsgpack.pack(a))
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

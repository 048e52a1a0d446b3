-- The breaker's transitions, the same as `domain/breaker.rs` makes them. `seed` is what the script draws jitter from.
local function seed(number) math.randomseed(tonumber(number)) end

local function breaker_decay(a)
  if a[A_HEALTHY] == 0 then return end
  local spans = math.floor(math.max(now - a[A_HEALTHY], 0) / math.max(DECAY, 1))
  a[A_EXPONENT] = math.max(a[A_EXPONENT] - spans, 0)
  a[A_HEALTHY] = now
end

-- Returns the transition as event kind and detail, if there is one.
local function breaker_open(a, reason)
  if a[A_MODE] ~= 'a' then return nil end
  local doubled = OPEN_BASE * 2 ^ a[A_EXPONENT]
  local spread = 1 + JITTER * (2 * math.random() - 1)
  local span = math.floor(math.min(math.min(doubled, OPEN_MAX) * spread, OPEN_MAX))
  a[A_OPEN], a[A_PROBED], a[A_HEALTHY] = now + span, 0, 0
  if doubled < OPEN_MAX then a[A_EXPONENT] = a[A_EXPONENT] + 1 end
  return 'breaker_opened', 'after ' .. reason .. ', for ' .. math.floor(span / 1000) .. ' s'
end

local function breaker_ended(a, reason, counted)
  if reason ~= 'lease_lost' then a[A_LOSSES] = 0 end
  if reason == 'ok' then
    a[A_FAILURES] = 0
    if a[A_HEALTHY] == 0 then a[A_HEALTHY] = now end
    local closes = a[A_OPEN] ~= 0 and a[A_MODE] == 'a'
    a[A_OPEN], a[A_PROBED] = 0, 0
    if not closes then return nil end
    a[A_HEALTHY] = now
    return 'breaker_closed', ''
  end
  if not counted then
    if a[A_OPEN] ~= 0 and (now >= a[A_OPEN] or a[A_PROBED] == 1) then
      a[A_OPEN], a[A_PROBED] = math.max(now + PROBE_RETRY, a[A_OPEN]), 1
    end
    return nil
  end
  a[A_FAILURES] = a[A_FAILURES] + 1
  breaker_decay(a)
  if a[A_OPEN] ~= 0 or a[A_FAILURES] >= THRESHOLD then return breaker_open(a, reason) end
end

local function breaker_lease_lost(a)
  a[A_LOSSES] = a[A_LOSSES] + 1
  if a[A_LOSSES] < LEASE_LOSSES then return breaker_ended(a, 'lease_lost', false) end
  a[A_LOSSES] = 0
  a[A_FAILURES] = a[A_FAILURES] + 1
  breaker_decay(a)
  return breaker_open(a, 'host_killer')
end

-- Note how an activation ended and count it.
local function note_end(a, reason, detail)
  a[A_ENDED], a[A_REASON], a[A_DETAIL] = now, reason, detail
  a[A_ENDINGS][reason] = (a[A_ENDINGS][reason] or 0) + 1
end

-- Work items. Field `i<id>` of the data hash is the item as JSON, written once; field `m<id>` is what changes, an array
-- packed with cmsgpack. 0 and '' mean "none". States: q(ueued) w(aiting) d(elayed) h(eld) a(ctive) e(nded: done) x (dead).
local STATE, AGENT, TYPE, RANK, SEQ, COUNT, ATTEMPT, INTERVAL, NAME, FIRST, NOTE, DUE = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
local BY_BREAKER, READY_AT, RESUMED, HOST, TOKEN, LEASED, PROBE, WAITED, REASON, ENDED, GENERATION = 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
-- The agent's last start before this claim: a claim that ran nothing gives it back.
local BEFORE = 24
-- In place of a state: the field is the answer to an enqueue that added nothing.
local ANSWER = '!'

-- Items that this script has met, and those of them that it has changed.
local items, altered = {}, {}

-- The item; nil if there is none of this id.
local function item_of(id)
  if items[id] == nil then
    local m = unpacked(read('m' .. id), 'm' .. id)
    items[id] = m and m[STATE] ~= ANSWER and m or false
  end
  return items[id] or nil
end

local function save_item(id, m) items[id], altered[id] = m, m end

local function save_items()
  for id, m in pairs(altered) do set('m' .. id, cmsgpack.pack(m)) end
end

-- What Warren reads of an item.
local function item_reply(id, m)
  return { id, read('i' .. id) or '', m[STATE], m[COUNT], m[ATTEMPT], m[NOTE], m[DUE], m[HOST], m[REASON],
    m[ENDED], m[GENERATION], m[RANK] }
end

-- Work items. Field `i<id>` of the data hash is the item as JSON, written once; field `m<id>` is what is known of it, as
-- text: two lines of fields between tabs, and the note. The first line is what a claim and its end change, so that the
-- common ones put a new line in front of the rest without reading it. Empty means 0 or "none".
--   state token lease-end claimed before host generation probe reason ended resumed due by-breaker
--   <- or W: somebody waits for its end>agent name type rank interval count attempt seq ready-at first-state
-- States: q(ueued) w(aiting) d(elayed) h(eld) a(ctive) e(nded: done) x (dead).
local STATE, TOKEN, LEASED, CLAIMED, BEFORE, HOST, GENERATION, PROBE, REASON, ENDED, RESUMED, DUE, BY_BREAKER = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
-- BEFORE is the agent's last start before this claim: a claim that ran nothing gives it back.
local WATCHED, AGENT, NAME, TYPE, RANK, INTERVAL, COUNT, ATTEMPT, SEQ, READY_AT, FIRST, NOTE = 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25
-- In place of a state: the field is the answer to an enqueue that added nothing.
local ANSWER = '!'
-- The first line of an item that is ready and that nothing else is to be said of.
local PLAIN = 'q\t\t\t\t\t\t\t\t\t\t\t\t\n'
local TABBED = '([^\t\n]*)\t'
local LINED = '([^\t\n]*)\n'
local PATTERN = '^' .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. LINED .. '([-W])' .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. TABBED .. LINED .. '(.*)$'

-- The number of an item in its record.
local NUMBERED = '\n[-W][^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\t(%d+)\t'

-- Items that this script has met, and those of them that it has changed.
local items, altered = {}, {}

local function item_of_text(text)
  local m = { match(text, PATTERN) }
  if not m[NOTE] then return nil end
  m[LEASED], m[CLAIMED], m[BEFORE], m[PROBE] = tonumber(m[LEASED]) or 0, tonumber(m[CLAIMED]) or 0, tonumber(m[BEFORE]) or 0, tonumber(m[PROBE]) or 0
  m[ENDED], m[RESUMED], m[DUE], m[BY_BREAKER] = tonumber(m[ENDED]) or 0, tonumber(m[RESUMED]) or 0, tonumber(m[DUE]) or 0, tonumber(m[BY_BREAKER]) or 0
  m[RANK], m[INTERVAL], m[COUNT], m[ATTEMPT] = tonumber(m[RANK]) or 0, tonumber(m[INTERVAL]) or 0, tonumber(m[COUNT]) or 0, tonumber(m[ATTEMPT]) or 1
  m[SEQ], m[READY_AT] = tonumber(m[SEQ]) or 0, tonumber(m[READY_AT]) or 0
  return m
end

local function time_text(time) return time == 0 and '' or sorted(time) end
local function flag_text(number) return number == 0 and '' or '1' end

local function item_text(m)
  return m[STATE] .. '\t' .. m[TOKEN] .. '\t' .. time_text(m[LEASED]) .. '\t' .. time_text(m[CLAIMED]) .. '\t'
    .. time_text(m[BEFORE]) .. '\t' .. m[HOST] .. '\t' .. m[GENERATION] .. '\t' .. flag_text(m[PROBE]) .. '\t' .. m[REASON]
    .. '\t' .. time_text(m[ENDED]) .. '\t' .. flag_text(m[RESUMED]) .. '\t' .. time_text(m[DUE]) .. '\t'
    .. flag_text(m[BY_BREAKER]) .. '\n' .. m[WATCHED] .. m[AGENT] .. '\t' .. m[NAME] .. '\t' .. m[TYPE] .. '\t' .. m[RANK]
    .. '\t' .. format('%d', m[INTERVAL]) .. '\t' .. format('%d\t%d\t%d', m[COUNT], m[ATTEMPT], m[SEQ]) .. '\t'
    .. sorted(m[READY_AT]) .. '\t' .. m[FIRST] .. '\n' .. m[NOTE]
end

-- The item; nil if there is none of this id.
local function item_of(id)
  if items[id] == nil then
    local text = read('m' .. id)
    local m = false
    if text and sub(text, 1, 1) ~= ANSWER then m = item_of_text(text) or unreadable('m' .. id) end
    items[id] = m
  end
  return items[id] or nil
end

local function save_item(id, m) items[id], altered[id] = m, m end

local function save_items()
  for id, m in pairs(altered) do set('m' .. id, item_text(m)) end
end

-- What Warren reads of an item: id, JSON and what is known of it.
local function item_reply(id) return { id, read('i' .. id) or '', read('m' .. id) or '' } end

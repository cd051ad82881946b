-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- The beginning of every script: who calls, and whether it still may.
--
-- KEYS[1] is `<prefix>:{p}:meta`; every other key of a script lies in the same hash tag and is
-- derived from it. All data comes in ARGV. ARGV[1..6] are the same in every script: node, boot, epoch,
-- gen, wall ms, and the highest seq that was acknowledged.
--
-- Every reply is an array whose first element is a word: OK, DUP, FENCED, LOST, HELD, MISMATCH or
-- TYPE. Anything but OK and DUP means that nothing was written.
local base = string.sub(KEYS[1], 1, -5)
local node, boot = ARGV[1], ARGV[2]

-- text[number], number[text]. Lua's `..` would round: 15 digits are not enough for a rev. Either way
-- costs as much as a small command, so what was told once in a call stays. number is for ARGV
-- only, where numbers are written as text writes them.
local text = setmetatable({}, { __index = function(known, value)
	local digits = string.format('%.0f', value)
	if value == value then known[value] = digits end
	return digits
end })
local number = setmetatable({}, { __index = function(known, digits)
	local value = tonumber(digits)
	known[digits], text[value] = value, digits
	return value
end })

local epoch, gen, now = number[ARGV[3]], number[ARGV[4]], number[ARGV[5]]
local acked = number[ARGV[6]]

local shared = {
	{ base .. 'meta', 'hash' }, { base .. 'nodes', 'hash' }, { base .. 'lease:' .. node, 'string' },
	{ base .. 'node:' .. node, 'set' }, { base .. 'events', 'stream' }, { base .. 'overrides', 'hash' },
}

-- The type of a key, and whether it is what we would write there.
local function key_type(key, expected)
	local found = redis.call('TYPE', key).ok
	return found, found == 'none' or found == expected
end

-- How long a key is, 0 when there is none: the cheapest question that a key of another type does not
-- answer. nil, and its type: not ours.
local LENGTH = { hash = 'HLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN' }
local function key_length(key, expected)
	local length = redis.pcall(LENGTH[expected], key)
	if type(length) == 'number' then return length end
	local found, fits = key_type(key, expected)
	if fits then return redis.call(LENGTH[expected], key) end -- another error: raised
	return nil, found
end

-- A script does not roll back, so what could fail is looked at first.
local function shared_types()
	for _, row in ipairs(shared) do
		local found, fits = key_type(row[1], row[2])
		if not fits then return { 'TYPE', 0, found, row[1] } end
	end
end

-- nodes[<node>] is `1|boot|epoch|mark|state|pid|host|version`; nil: none, or none we can read.
local function holder_read(value)
	if not value then return nil end
	local h = {}
	h.boot, h.epoch, h.mark, h.state, h.pid, h.host, h.version =
		string.match(value, '^1|(%x+)|(%d+)|(%d+)|(%a+)|(%d+)|([^|]*)|([^|]*)$')
	if not h.boot then return nil end
	h.epoch, h.mark = tonumber(h.epoch), tonumber(h.mark)
	return h
end

local function holder_set(h)
	redis.call('HSET', base .. 'nodes', node, table.concat({ '1', h.boot, text[h.epoch],
		text[h.mark], h.state, h.pid, h.host, h.version }, '|'))
end

-- Whose turn it is: nil, the holder, meta.rev and how many overrides there are, or the reply that
-- ends the script. A key of another type is told from the answer: asking first would be a call more.
-- The lease is looked at by those who write it.
local function fence()
	local meta = redis.pcall('HMGET', KEYS[1], 'gen', 'rev', 'overrides')
	local holder = redis.pcall('HGET', base .. 'nodes', node)
	local overrides = key_length(base .. 'overrides', 'hash')
	if meta.err or type(holder) == 'table' or not overrides or
		not key_length(base .. 'node:' .. node, 'set') or not key_length(base .. 'events', 'stream') then
		return shared_types() or (meta.err and meta or holder)
	end
	local h = holder_read(holder)
	if not h then return { 'LOST' } end
	if h.boot ~= boot or h.epoch > epoch then return { 'FENCED', h.boot, h.host, h.pid } end
	-- Idle nodes too must learn that Redis came back from the past.
	if h.epoch < epoch or h.mark < acked then return { 'LOST' } end
	if tonumber(meta[1]) ~= gen then return { 'LOST' } end
	if overrides == 0 and meta[3] then return { 'LOST' } end -- written once, it is never empty
	return nil, h, tonumber(meta[2] or '0'), overrides
end

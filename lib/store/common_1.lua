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
local epoch, gen, now = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local acked = tonumber(ARGV[6])

-- Lua's `..` would round: 15 digits are not enough for a rev.
local function text(number)
	return string.format('%.0f', number)
end

local shared = {
	{ base .. 'meta', 'hash' }, { base .. 'nodes', 'hash' }, { base .. 'lease:' .. node, 'string' },
	{ base .. 'node:' .. node, 'set' }, { base .. 'events', 'stream' }, { base .. 'overrides', 'hash' },
}

-- The type of a key, and whether it is what we would write there.
local function key_type(key, expected)
	local found = redis.call('TYPE', key).ok
	return found, found == 'none' or found == expected
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

local function holder_get()
	return holder_read(redis.call('HGET', base .. 'nodes', node))
end

local function holder_set(h)
	redis.call('HSET', base .. 'nodes', node, table.concat({ '1', h.boot, text(h.epoch),
		text(h.mark), h.state, h.pid, h.host, h.version }, '|'))
end

-- Whose turn it is: nil and the holder, or the reply that ends the script.
local function fence()
	local wrong = shared_types()
	if wrong then return wrong end
	local h = holder_get()
	if not h then return { 'LOST' } end
	if h.boot ~= boot or h.epoch > epoch then return { 'FENCED', h.boot, h.host, h.pid } end
	-- Idle nodes too must learn that Redis came back from the past.
	if h.epoch < epoch or h.mark < acked then return { 'LOST' } end
	if tonumber(redis.call('HGET', base .. 'meta', 'gen')) ~= gen then return { 'LOST' } end
	return nil, h
end

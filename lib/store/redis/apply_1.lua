-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- The writer: a batch of contributions of one partition, all or nothing, exactly once.
-- ARGV[7] ttl ms, [8] stream length, [9] entries of this node with an older epoch are left over,
-- [10] seq of the first contribution, then FIELDS for each. Kind s: a device's, or with device ''
-- the record alone; f: the subject is forgotten. o: an override, its word, rev, until and note in
-- the places of field, rank, seen and device_note. t: an activity, its conversation, 1 or 0, and
-- until when, in the places of field, rank and seen.
-- OK, mark, highest rev | DUP, mark, 0 | FENCED, boot, host, pid | LOST
-- TYPE, then number (0: a key that all need), type and name of each key that is not ours
local FIELDS, START = 20, 10
local count, first = (#ARGV - START) / FIELDS, number[ARGV[10]]

local function contribution(at)
	return { name = ARGV[at + 2], role = ARGV[at + 3], id = ARGV[at + 4],
		device = ARGV[at + 5], field = ARGV[at + 6], rank = number[ARGV[at + 7]],
		seen = number[ARGV[at + 8]], device_note = ARGV[at + 9],
		status = WORD[number[ARGV[at + 10]]], previous = WORD[number[ARGV[at + 11]]],
		since = number[ARGV[at + 12]], last_seen = number[ARGV[at + 13]],
		rev = number[ARGV[at + 14]], reason = ARGV[at + 15], source = ARGV[at + 16],
		note = ARGV[at + 17], till = number[ARGV[at + 18]], retain = ARGV[at + 19],
		at = number[ARGV[at + 20]] }
end

-- Reads what is needed anyway, of all of them; whatever is not ours shows by its answer.
local function wrong_types()
	local wrong, roles, refused = { 'TYPE' }, {}, {}
	local function add(i, found, key)
		wrong[#wrong + 1] = i; wrong[#wrong + 1] = found; wrong[#wrong + 1] = key
	end
	for i = 1, count do
		local at = START + (i - 1) * FIELDS
		local kind, name, role = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
		if kind ~= 't' and not roles[role] then
			local key = base .. 'online:' .. string.match(name, '^[^/]*')
			local length, found = key_length(key, 'zset')
			if not length then add(0, found, key) end
			roles[role] = true
		end
		if kind ~= 't' and not is_read(name) and not refused[name] then
			local found, key = subject_read(name)
			if found then refused[name] = { found, key } end
		end
		if kind ~= 't' and refused[name] then add(i, refused[name][1], refused[name][2]) end
	end
	return #wrong > 1 and wrong
end

-- Who types in a conversation, until when. A key that is not ours is left alone: all this is over
-- in seconds.
local function activity(c)
	local key = base .. 'typing:' .. c.field
	local _, fits = key_type(key, 'zset')
	if not fits then return end
	if c.rank > 0 then
		redis.call('ZADD', key, text[c.seen], c.name)
	else
		redis.call('ZREM', key, c.name)
	end
	redis.call('ZREMRANGEBYSCORE', key, '-inf', text[now])
	local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
	if last then redis.call('PEXPIRE', key, text[tonumber(last) - now]) end
end

local KINDS = { s = contribute, o = override, f = forget, t = activity }

local stop, h, rev, overrides = fence()
if stop then return stop end
if first + count - 1 <= h.mark then return { 'DUP', h.mark, 0 } end
if first ~= h.mark + 1 then return { 'LOST' } end
stop = wrong_types()
if stop then return stop end

merge_begin(rev, overrides)
for i = 1, count do
	local at = START + (i - 1) * FIELDS
	KINDS[ARGV[at + 1]](contribution(at), first + i - 1)
end
merge_end()
h.mark = first + count - 1
holder_set(h)
return { 'OK', h.mark, meta_rev }

-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- What is said of subjects as a whole, by whichever node, and then what earlier boots of this node
-- had, page by page.
-- ARGV[7] the first epoch of this boot, [8] cursor, [9] about how many.
-- OK, next cursor ('0': done), meta.rev, then for each override, even if its time is over, for the
-- broker to say so, or if it was cleared, which another store may have missed: name, status, note,
-- until, rev, 1 if this node said it; for each subject: name, the record's fields in the order of
-- RECORD ('' for none; an empty list: nothing is published), and a list of field, last_seen, rank, note
-- of each device an earlier boot had up.
local RECORD = { 'status', 'previous', 'reason', 'source', 'devices', 'since', 'last_seen', 'rev',
	'note', 'until' }
local stop = fence()
if stop then return stop end
local first, own = tonumber(ARGV[7]), 'd:' .. node .. '/'
local next_cursor, overrides, names = page_get(ARGV[8], ARGV[9])
local reply = { 'OK', next_cursor, tonumber(redis.call('HGET', KEYS[1], 'rev') or '0') }

-- field, last_seen, rank and note of each device an earlier boot had up, and a record made of them:
-- the public one may have expired, and still somebody has to say that they are gone.
local function devices_of(state)
	local devices, count, rank, latest, rev, others = {}, 0, 0, 0, 0, false
	local flat = redis.call('HGETALL', state)
	for i = 1, #flat, 2 do
		local at, of, seen, note = string.match(flat[i + 1], '^1|(%d+)|(%d+)|%d+|(%d+)|(.*)$')
		if flat[i] == 'rev' then
			rev = flat[i + 1]
		elseif at and tonumber(at) < first and string.sub(flat[i], 1, #own) == own then
			devices[#devices + 1] = string.sub(flat[i], #own + 1)
			devices[#devices + 1] = seen
			devices[#devices + 1] = of
			devices[#devices + 1] = note
			count = count + 1
			rank = math.max(rank, tonumber(of))
			latest = math.max(latest, tonumber(seen))
		else
			others = true
		end
	end
	latest = text[latest]
	return devices, { WORD[rank], 'offline', 'unknown', 'inferred', count, latest, latest, rev,
		'', '' }, others, rev
end

for i = 1, #overrides, 2 do
	local o = override_parse(overrides[i + 1])
	if o and (SHOWS[o.word] or o.word == 'none') then
		reply[#reply + 1] = { overrides[i], o.word, o.note, text[o.till], text[o.rev],
			o.node == node and 1 or 0 }
	end
end

for _, name in ipairs(names) do
	local subject, state = base .. 'subject:' .. name, base .. 'state:' .. name
	local hash, good = key_type(subject, 'hash')
	local kept, fits = key_type(state, 'hash')
	local public = good and hash ~= 'none'
	local devices, values, others, rev = {}, {}, false, 0
	if fits then devices, values, others, rev = devices_of(state) end
	if public then
		values = redis.call('HMGET', subject, unpack(RECORD))
		for i = 1, #RECORD do values[i] = values[i] or '' end
	elseif #devices > 0 then
		-- Whom nobody could see, they did not see go: not even if that is over by now.
		local o = override_read(name)
		if tonumber(rev) == 0 or (o and o.word == 'invisible') then values = {} end
	end
	-- Not offline, and only others have a device up: theirs to say.
	if #devices > 0 or (public and (values[1] == 'offline' or not others)) then
		reply[#reply + 1] = { name, values, devices }
	elseif hash == 'none' and kept == 'none' then
		redis.call('SREM', base .. 'node:' .. node, name) -- expired long ago
	end
end
return reply

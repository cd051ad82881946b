-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- What earlier boots of this node had, page by page.
-- ARGV[7] the first epoch of this boot, [8] cursor, [9] about how many.
-- OK, next cursor ('0': done), meta.rev, then for each subject: name, the record's fields in the
-- order of RECORD ('' for none), and a list of field, last_seen of each device an earlier boot
-- had up.
local RECORD = { 'status', 'previous', 'reason', 'source', 'devices', 'since', 'last_seen', 'rev',
	'note', 'until' }
local stop = fence()
if stop then return stop end
local first, own = tonumber(ARGV[7]), 'd:' .. node .. '/'
local set = base .. 'node:' .. node
local page = redis.call('SSCAN', set, ARGV[8], 'COUNT', ARGV[9])
local reply = { 'OK', page[1], tonumber(redis.call('HGET', KEYS[1], 'rev') or '0') }

-- field and last_seen of each device an earlier boot had up, and a record made of them: the public
-- one may have expired, and still somebody has to say that they are gone.
local function devices_of(state)
	local devices, rank, latest, rev, others = {}, 0, 0, 0, false
	local flat = redis.call('HGETALL', state)
	for i = 1, #flat, 2 do
		local at, of, seen = string.match(flat[i + 1], '^1|(%d+)|(%d+)|%d+|(%d+)|')
		if flat[i] == 'rev' then
			rev = flat[i + 1]
		elseif at and tonumber(at) < first and string.sub(flat[i], 1, #own) == own then
			devices[#devices + 1] = string.sub(flat[i], #own + 1)
			devices[#devices + 1] = seen
			rank = math.max(rank, tonumber(of))
			latest = math.max(latest, tonumber(seen))
		else
			others = true
		end
	end
	latest = text(latest)
	return devices, { WORD[rank], 'offline', 'unknown', 'inferred', #devices / 2, latest, latest, rev,
		'', '' }, others
end

for _, name in ipairs(page[2]) do
	local subject, state = base .. 'subject:' .. name, base .. 'state:' .. name
	local hash, good = key_type(subject, 'hash')
	local kept, fits = key_type(state, 'hash')
	local public = good and hash ~= 'none'
	local devices, values, others = {}, {}, false
	if fits then devices, values, others = devices_of(state) end
	if public then
		values = redis.call('HMGET', subject, unpack(RECORD))
		for i = 1, #RECORD do values[i] = values[i] or '' end
	end
	-- Not offline, and only others have a device up: theirs to say.
	if #devices > 0 or (public and (values[1] == 'offline' or not others)) then
		reply[#reply + 1] = { name, values, devices }
	elseif hash == 'none' and kept == 'none' then
		redis.call('SREM', set, name) -- expired long ago
	end
end
return reply

-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- What earlier boots of this node had, page by page.
-- ARGV[6] the first epoch of this boot, [7] cursor, [8] about how many.
-- OK, next cursor ('0': done), meta.rev, then for each subject: name, the record's fields in the
-- order of RECORD ('' for none), and a list of field, last_seen of each device an earlier boot
-- had up.
local RECORD = { 'status', 'previous', 'reason', 'source', 'devices', 'since', 'last_seen', 'rev',
	'note', 'until' }
local stop = fence()
if stop then return stop end
local first, own = tonumber(ARGV[6]), 'd:' .. node .. '/'
local set = base .. 'node:' .. node
local page = redis.call('SSCAN', set, ARGV[7], 'COUNT', ARGV[8])
local reply = { 'OK', page[1], tonumber(redis.call('HGET', KEYS[1], 'rev') or '0') }

local function devices_of(state)
	local devices, flat = {}, redis.call('HGETALL', state)
	for i = 1, #flat, 2 do
		local at, seen = string.match(flat[i + 1], '^1|(%d+)|%d+|%d+|(%d+)|')
		if at and tonumber(at) < first and string.sub(flat[i], 1, #own) == own then
			devices[#devices + 1] = string.sub(flat[i], #own + 1)
			devices[#devices + 1] = seen
		end
	end
	return devices
end

for _, name in ipairs(page[2]) do
	local subject, state = base .. 'subject:' .. name, base .. 'state:' .. name
	local hash, good = key_type(subject, 'hash')
	local kept, fits = key_type(state, 'hash')
	if hash == 'none' and kept == 'none' then
		redis.call('SREM', set, name) -- expired long ago
	elseif good and fits then
		local values = redis.call('HMGET', subject, unpack(RECORD))
		for i = 1, #RECORD do values[i] = values[i] or '' end
		local devices = devices_of(state)
		-- Not offline and nothing of an earlier boot: it is another node's, or this boot's.
		if #devices > 0 or values[1] == 'offline' then
			reply[#reply + 1] = { name, values, devices }
		end
	end
end
return reply

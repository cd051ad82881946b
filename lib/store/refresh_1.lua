-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- Subjects that are still there: extends their life, notes when they were last seen.
-- ARGV[7] ttl ms, then for each subject its name, last_seen, how many devices of this node are up,
-- and a device's field or ''.
-- OK, and the numbers of those of which something is missing: to be said again
local stop = fence()
if stop then return stop end
local reply, own = { 'OK' }, 'd:' .. node .. '/'

local function refresh(name, last_seen, devices, field)
	local subject, state = base .. 'subject:' .. name, base .. 'state:' .. name
	local role, id = string.match(name, '^([^/]*)/(.*)$')
	local _, hash = key_type(subject, 'hash')
	local _, known = key_type(state, 'hash')
	local _, zset = key_type(base .. 'online:' .. role, 'zset')
	if not (hash and known and zset) then return true end -- the next contribution will tell
	local there = 0
	for _, key in ipairs(redis.call('HKEYS', state)) do
		if string.sub(key, 1, #own) == own then there = there + 1 end
	end
	local entry = field ~= '' and redis.call('HGET', state, own .. field)
	local status = redis.call('HGET', subject, 'status')
	if there < devices or (field ~= '' and not entry) or not status then return false end
	if entry then
		local head, note = string.match(entry, '^(1|%d+|%d+|%d+|)%d+(|.*)$')
		if head then redis.call('HSET', state, own .. field, head .. last_seen .. note) end
	end
	-- Evicted, or somebody else's for a while, the set of its subjects would be what the next boot of
	-- this node goes by.
	redis.call('SADD', base .. 'node:' .. node, name)
	if status == 'offline' then return true end -- invisible: last_seen is frozen
	redis.call('PEXPIRE', subject, ARGV[7])
	if tonumber(redis.call('HGET', subject, 'last_seen') or '0') < tonumber(last_seen) then
		redis.call('HSET', subject, 'last_seen', last_seen)
	end
	redis.call('ZADD', base .. 'online:' .. role, 'GT', last_seen, id)
	return true
end

for i = 8, #ARGV, 4 do
	if not refresh(ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]) then
		reply[#reply + 1] = (i - 8) / 4
	end
end
return reply

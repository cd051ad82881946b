-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- After everything has been said again: what this node left behind in an older epoch goes down, and
-- what it no longer says of subjects as a whole is cleared.
-- ARGV[7..9] as in apply_1, [10] cursor, [11] about how many, [12] how long an offline record lives.
-- OK, next cursor ('0': done), how many subjects could not be looked at because of a key that is not
-- ours, highest rev, and the subjects to be said again, because devices of this node remain: their
-- record should be in its words.
local REASON = 'broker_restart'
local stop, h, rev, known = fence()
if stop then return stop end
local next_cursor, overrides, names = page_get(ARGV[10], ARGV[11])
local reply, passed_over = { 'OK', next_cursor, 0, 0 }, 0

local function leftover(devices)
	local some, rest = false, false
	for field, d in pairs(devices) do
		if is_own(field) then
			if d.epoch < floor then some = true else rest = true end
		end
	end
	return some, rest
end

local function is_writable(name)
	local _, hash = key_type(base .. 'subject:' .. name, 'hash')
	local _, state = key_type(base .. 'state:' .. name, 'hash')
	local _, zset = key_type(base .. 'online:' .. string.match(name, '^[^/]*'), 'zset')
	local good = hash and state and zset
	if not good then passed_over = passed_over + 1 end
	return good
end

merge_begin(rev, known)
for i = 1, #overrides, 2 do
	local name, o = overrides[i], override_parse(overrides[i + 1])
	local cleared = o and o.word == 'none'
	if o and o.node == node and cleared == (o.epoch >= floor) and is_writable(name) then
		-- Cleared already: perhaps here, and the answer was lost.
		if not cleared then
			override_clear(name, o, ARGV[12], h.mark)
		end
		reply[#reply + 1] = name
	end
end
for _, name in ipairs(names) do
	local some, rest
	if is_writable(name) then some, rest = leftover(state_read(name)) end
	if some then leftovers_drop(name, REASON, ARGV[12], h.mark) end
	-- Dropped already: perhaps here, and the answer was lost.
	if rest and (some or redis.call('HGET', base .. 'subject:' .. name, 'reason') == REASON) then
		reply[#reply + 1] = name
	end
end
merge_end()
reply[3], reply[4] = passed_over, meta_rev
return reply

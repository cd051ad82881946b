-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- What is said of subjects as a whole: `overrides` holds `<role>/<id>` -> JSON status, note, until,
-- rev, and node and epoch of who said it last. A cleared one stays for a day with status none, so
-- that an older word that comes late does not count.
local DAY, TRIM = 86400000, 8
local SHOWS = { online = 'online', away = 'away', dnd = 'dnd', invisible = 'offline' }
local overridden = true -- false: no override exists at all

local function override_parse(value)
	local good, o = pcall(cjson.decode, value)
	if not good or type(o) ~= 'table' then return nil end
	local till = tonumber(o['until']) or 0
	return { word = o.status, till = till, rev = tonumber(o.rev) or 0, node = o.node,
		epoch = tonumber(o.epoch) or 0, note = type(o.note) == 'string' and o.note or '',
		-- What the subject shows as; nil: the override is not in force, or not one we know.
		status = (till == 0 or till > now) and SHOWS[o.status] or nil }
end

-- nil: nothing is known to have been said.
local function override_read(name)
	local value = overridden and redis.call('HGET', base .. 'overrides', name)
	return value and override_parse(value) or nil
end

local function override_store(name, o)
	local till = o.word == 'none' and now + DAY or o.till
	-- So that it is missed, should it be evicted.
	if not overridden then redis.call('HSET', KEYS[1], 'overrides', '1') end
	redis.call('HSET', base .. 'overrides', name, table.concat({ '{"status":', cjson.encode(o.word),
		o.note ~= '' and ',"note":' .. cjson.encode(o.note) or '',
		till > 0 and ',"until":' .. text[till] or '', ',"rev":', text[o.rev],
		',"node":', cjson.encode(node), ',"epoch":', text[epoch], '}' }))
	overridden = true
end

-- Those whose time is over go a few at a time, whenever one is written.
local function overrides_trim()
	local some = redis.call('HRANDFIELD', base .. 'overrides', TRIM, 'WITHVALUES')
	for i = 1, #some, 2 do
		local o = override_parse(some[i + 1])
		if o and o.till > 0 and o.till + (o.word == 'none' and 0 or DAY) <= now then
			redis.call('HDEL', base .. 'overrides', some[i])
		end
	end
end

-- Whatever this node is to look through, page by page: all overrides, then its subjects. Begins
-- with cursor 'o0'; ends with '0'. Answers the next cursor, and fields and values of overrides, or
-- names of subjects.
local function page_get(cursor, count)
	local over = string.match(cursor, '^o(%d+)$')
	local page
	if over then
		page = redis.call('HSCAN', base .. 'overrides', over, 'COUNT', count)
		return page[1] == '0' and 's0' or 'o' .. page[1], page[2], {}
	end
	page = redis.call('SSCAN', base .. 'node:' .. node, string.sub(cursor, 2), 'COUNT', count)
	return page[1] == '0' and '0' or 's' .. page[1], {}, page[2]
end

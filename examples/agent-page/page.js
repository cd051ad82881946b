// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// An agent's desk. The link may say who and where: #id=kim&broker=ws://localhost:9001
import { createClient } from 'mosquitto-presence';

const ROLE = 'agent';
const STATUS = { online: 'Online', away: 'Away', dnd: 'Do not disturb', offline: 'Offline' };
const LINK = { connecting: 'Connecting…', online: 'Connected', lost: 'No connection', closed: 'Closed' };
const $ = (id) => document.getElementById(id);
const given = new URLSearchParams(location.hash.slice(1));
// How long until somebody counts as away, for trying it out: &hidden=5&idle=20, in seconds.
const ms = (key) => (given.has(key) ? { [`${key}AwayMs`]: 1000 * given.get(key) } : {});

if (given.has('id') && given.has('broker')) open(given.get('id'), given.get('broker'));
else {
	const form = $('sign-in');
	form.hidden = false;
	for (const field of ['id', 'broker']) form.elements[field].value = given.get(field) ?? form.elements[field].value;
	form.addEventListener('submit', (event) => {
		event.preventDefault();
		given.set('id', form.elements.id.value);
		given.set('broker', form.elements.broker.value);
		location.hash = given;
		form.hidden = true;
		open(form.elements.id.value, form.elements.broker.value);
	});
}

function open(id, broker) {
	let client;
	try {
		client = createClient(broker, { role: ROLE, id, ...ms('hidden'), ...ms('idle') });
	} catch (error) {
		$('desk').hidden = false;
		return tell(error);
	}
	document.title = id;
	$('name').textContent = id;
	$('avatar').textContent = [...id][0].toUpperCase();
	$('desk').hidden = false;

	const showLink = () => {
		$('link').textContent = LINK[client.state];
		$('link').className = `link ${client.state}`;
	};
	client.on('state', showLink);
	client.on('error', tell);
	showLink();
	followTeam(client);
	followTyping(client, given.get('conversation') ?? 'lobby');
	declare(client);
}

// Myself

function declare(client) {
	let chosen = '';
	const say = async () => {
		const note = $('note').value;
		try {
			if (chosen === 'invisible') await client.setOverride('invisible');
			else {
				// Nothing declared: available, and away by itself when nobody is at the keyboard.
				await (chosen || note ? client.setStatus(chosen || 'online', { note }) : client.clearStatus());
				if (!client.isPlain) await client.clearOverride();
			}
			$('problem').hidden = true;
		} catch (error) {
			tell(error);
		}
	};
	$('choices').addEventListener('click', (event) => {
		const button = event.target.closest('button');
		if (!button) return;
		chosen = button.dataset.status;
		for (const one of $('choices').children) one.setAttribute('aria-pressed', String(one === button));
		say();
	});
	$('note').addEventListener('change', say);
}

function tell(error) {
	$('problem').textContent = error.message;
	$('problem').hidden = false;
}

// The others

function followTeam(client) {
	const people = new Map(); // subject -> record
	let isDrawing = false;
	const draw = () => {
		isDrawing = false;
		const sorted = [...people.values()].sort(
			(a, b) => (a.status === 'offline') - (b.status === 'offline') || a.id.localeCompare(b.id),
		);
		$('people').replaceChildren(...sorted.map(row));
		$('count').textContent = `· ${sorted.filter((one) => one.status !== 'offline').length} here`;
		const me = people.get(client.subject);
		$('avatar').className = `avatar ${me?.status ?? 'offline'}`;
		$('seen').textContent = me ? `The others see you ${describe(me)}` : '';
	};
	client.watch({ roles: [ROLE] }, ({ subject, record, forgotten }) => {
		if (forgotten) people.delete(subject);
		else people.set(subject, record);
		if (!isDrawing) setTimeout(draw); // not in a frame: a hidden page has none
		isDrawing = true;
	});
}

function describe({ status, note, devices }) {
	const where = devices > 1 ? `, on ${devices} devices` : '';
	return `${STATUS[status].toLowerCase()}${where}${note ? `: ${note}` : ''}`;
}

function row(record) {
	const item = document.createElement('li');
	const [dot, name, state] = ['i', 'b', 'small'].map((tag) => document.createElement(tag));
	item.className = record.status;
	item.dataset.id = record.id;
	dot.className = `dot ${record.status}`;
	name.textContent = record.id;
	state.textContent = record.note ? `${STATUS[record.status]} · ${record.note}` : STATUS[record.status];
	item.append(dot, name, state);
	return item;
}

function followTyping(client, conversation) {
	const typists = new Set();
	client.watchTyping(conversation, ({ id, subject, active }) => {
		if (subject === client.subject) return;
		if (active) typists.add(id);
		else typists.delete(id);
		const names = [...typists].join(', ');
		$('typing').textContent = names && `${names} ${typists.size > 1 ? 'are' : 'is'} writing…`;
	});
	$('message').addEventListener('input', () => {
		const active = $('message').value !== '';
		client.typing(conversation, { active }).catch(tell);
	});
}

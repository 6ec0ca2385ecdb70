// Bounds: what requests may hold and fill, however large, slow or many they are; and that other requests
// are answered meanwhile.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgiVariables } from './lib-cgi.mjs';
import { behindProxyFcgi } from './lib-apache.mjs';
import { fcgiBytes, fcgiTrickle } from './lib-fcgi.mjs';
import {
	PROGRAM, assertSentence, e2e, eventually, newThread, say, within,
} from './lib.mjs';
import { fromShell, nginx } from './lib-servers.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';
import { assertError, bearer, makeKey } from './lib-v1.mjs';

const SANITIZED = fs.readFileSync(PROGRAM).includes('__asan_init');
const MIB = 1 << 20;
const JSON_TYPE = { 'content-type': 'application/json' };
const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };

/** The peak of the process's memory (VmHWM), or its current size (VmRSS), in KiB. */
function memory(pid, what = 'VmHWM') {
	return Number(new RegExp(`${what}:\\s+(\\d+) kB`)
		.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

/** Ask for /health until the returned function is called; each request must be answered. */
function watchHealth(site) {
	let over = false, asked = 0;
	const watch = (async () => {
		while (!over) {
			const { status } = await site.request('GET', '/health');
			assert.equal(status, 200);
			asked += 1;
			await sleep(50);
		}
	})();
	// If the test fails before it stops this, that failure counts.
	watch.catch(() => {});
	return async () => {
		over = true;
		await watch;
		assert.ok(asked > 0);
	};
}

// --- the envelope ---

// A client that is refused has half a second to send the rest of its body; a busy machine takes longer.
function cutOff(error) {
	if (!['EPIPE', 'ECONNRESET'].includes(error.code)) throw error;
	return { status: 503 };
}

const filled = (before, piece, after) =>
	before + piece.repeat(Math.floor((MIB - before.length - after.length) / piece.length)) + after;

/** The largest bodies that are accepted, and those that need the most memory. */
const BODIES = {
	'whole numbers': [JSON_TYPE, filled('{"text":"x","a":[', '1,', '1]}')],
	'objects': [JSON_TYPE, filled('{"text":"x","a":[', '{},', '1]}')],
	'depth': [JSON_TYPE, filled('{"text":"x","a":', `${'['.repeat(60)}${']'.repeat(60)},"b":`, '1}')],
	'keys': [JSON_TYPE, `{"text":"x"${Array.from({ length: 80_000 },
		(_, i) => `,"${i}":1`).join('')}}`],
	'a long string': [JSON_TYPE, filled('{"text":"', 'x', '"}')],
	'escapes': [JSON_TYPE, filled('{"text":"', '\\u00e9', '"}')],
	'text': [{ 'content-type': 'text/plain' }, '\u{10000}'.repeat(250_000)],
	'a form': [FORM_TYPE, filled('', 'a=b&', '')],
};

const ROUTES = [
	['POST', '/threads'], ['POST', '/threads/ID/messages'], ['DELETE', '/threads/ID'],
	['POST', '/v1/threads'], ['POST', '/v1/assistants'], ['POST', '/v1/threads/runs'],
	['POST', '/v1/chat/completions'], ['POST', '/v1/responses'], ['POST', '/v1/files'],
	['POST', '/openai/threads'], ['POST', '/nothing'],
];

e2e('in 512 MB: the worst bodies all at once, from clients without a key', async (bench, t) => {
	if (SANITIZED) return t.skip('AddressSanitizer reserves terabytes for itself');
	const model = await modelServer(bench);
	const program = bench.file('limited', `#!/bin/sh\nulimit -v 512000\nexec '${PROGRAM}' "$@"\n`, 0o700);
	await makeKey(bench);
	const site = await bench.listen({ program, env: { ...model.env, ASSISTANTS_RATE: 'off' } });
	const thread = await newThread(site);
	const idle = memory(site.child.pid, 'VmRSS');
	const seen = new Set(), stop = watchHealth(site);
	for (const [method, route] of ROUTES) {
		const uri = route.replace('ID', thread);
		for (const [headers, body] of Object.values(BODIES)) {
			const answers = await Promise.all(Array.from({ length: 40 }, (_, i) =>
				site.request(method, uri, { headers, body, remoteAddr: `192.0.2.${i}` })
					.catch(cutOff)));
			answers.forEach(({ status }) => seen.add(status));
		}
	}
	await stop();
	// Nothing broke.
	assert.ok(!seen.has(500) && !seen.has(502), [...seen].join());
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
	// The memory is returned.
	await eventually('the memory is given back', () =>
		memory(site.child.pid, 'VmRSS') < idle + (30 << 10));
});

e2e('a gateway body has at most 1,000 values', async (bench) => {
	const site = await bench.listen();
	const thread = await newThread(site);
	// The object, the text, the array, and its elements.
	const body = (count, value) => `{"text":"words","a":[${Array(count - 3).fill(value).join()}]}`;
	for (const value of ['1', '{}', '"\\""', 'null']) {
		const most = await say(site, thread, body(1_000, value), JSON_TYPE);
		assert.equal(most.status, 200, most.text);
		const more = await say(site, thread, body(1_001, value), JSON_TYPE);
		assertSentence(more, 400);
		assert.match(more.text, /more than 1000 values/);
	}
	const messages = Array.from({ length: 330 }, () => ({ role: 'user', text: 'words' }));
	assert.equal((await say(site, thread, JSON.stringify({ messages }), JSON_TYPE)).status, 200);
});

e2e('a client over its rate is refused before its body has arrived', async (bench) => {
	const site = await bench.listen({ env: { ASSISTANTS_RATE: '1' } });
	const thread = await newThread(site);
	assert.equal((await say(site, thread, 'words')).status, 200);
	const params = cgiVariables({ method: 'POST', path: `/threads/${thread}/messages`,
		withLength: false, headers: JSON_TYPE });
	const early = fcgiTrickle(site.socket, { ...params, CONTENT_LENGTH: '1000000' });
	assertSentence(await within(early, 'the answer'), 429);
});

// --- slow clients ---

const slowly = (port, thread) => {
	const socket = net.connect(port, '127.0.0.1');
	socket.on('error', () => {});
	socket.write(`POST /threads/${thread}/messages HTTP/1.1\r\nHost: localhost\r\n` +
		'X-Forwarded-For: 192.0.2.1\r\nContent-Type: text/plain\r\nContent-Length: 900000\r\n\r\n');
	const drip = setInterval(() => socket.write('x'.repeat(600)), 1_000);
	socket.on('close', () => clearInterval(drip));
	return socket;
};

async function unbufferedNginx(bench, env) {
	const { socket } = await bench.listen({ env });
	fs.chmodSync(socket, 0o666);
	return nginx(bench, '', [
		[/(?<=^\t+fastcgi_pass unix:).*(?=;)/gm, socket],
		[/^\t\t\tfastcgi_pass .*$/m, '$&\n\t\t\tfastcgi_request_buffering off;'],
	]);
}

for (const [way, open] of [['nginx without buffering', unbufferedNginx],
	['mod_proxy_fcgi', behindProxyFcgi]]) {
	e2e(`${way}: 130 slow uploads from one address do not block other clients`, async (bench) => {
		const model = await modelServer(bench);
		const site = await open(bench, { ...model.env, ASSISTANTS_TRUSTED_PROXIES: '127.0.0.1' });
		const thread = await newThread(site);
		const slow = Array.from({ length: 130 }, () => slowly(site.port, thread));
		bench.onClose(() => slow.forEach((socket) => socket.destroy()));
		await sleep(1_500);
		// They take 20 seconds and more.
		const still = () => slow.filter((socket) => !socket.destroyed).length;
		for (let i = 0; i < 5; i++) {
			assert.equal((await site.request('GET', '/health')).status, 200);
			assert.equal((await say(site, await newThread(site), 'words')).status, 200);
		}
		assert.ok(still() >= 20, `${still()} are still sending`);
	});
}

// --- the machine's seats ---

e2e('the number of waiting conversations is bounded over processes and CGI, even if some are killed',
	async (bench) => {
		const model = await modelServer(bench);
		const env = { ...model.env, ASSISTANTS_WORKERS: '6' };
		const held = gate();
		model.otherwise = words('hello', held.opened);
		const one = await bench.listen({ env, name: 'one' });
		const two = await bench.listen({ env, name: 'two' });
		const shell = await fromShell(bench, env);
		const threads = [];
		for (let i = 0; i < 8; i++) threads.push(await newThread(one));
		const asked = (site, i) => say(site, threads[i], 'words').catch(() => ({ status: 0 }));
		const waiting = [asked(one, 0), asked(one, 1), asked(two, 2), asked(shell, 3)];
		await eventually('four wait', () => model.requests.length === 4);
		for (const site of [one, two, shell]) {
			const refused = await asked(site, 4);
			assertSentence(refused, 503);
			assert.match(refused.text, /Too many conversations wait/);
		}
		await one.kill();
		const more = [asked(two, 5), asked(shell, 6)];
		await eventually('two more wait', () => model.requests.length === 6);
		assert.equal((await asked(two, 7)).status, 503);
		held.open();
		const statuses = (await Promise.all([...waiting, ...more])).map(({ status }) => status);
		assert.deepEqual(statuses, [0, 0, 200, 200, 200, 200]);
	});

e2e('a run that no client waits for takes a seat, too, or is queued', async (bench) => {
	const model = await modelServer(bench);
	const key = await makeKey(bench);
	const held = gate();
	model.otherwise = words('hello', held.opened);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_WORKERS: '3' } });
	const ask = (method, uri, body) => site.request(method, `/v1${uri}`,
		{ headers: bearer(key), body: body && JSON.stringify(body) });
	const first = say(site, await newThread(site), 'words');
	await eventually('it waits', () => model.requests.length === 1);
	const { id: assistant_id } = (await ask('POST', '/assistants', { model: 'm',
		instructions: 'x' })).json;
	// Made while another client waits: without a stream only the row is.
	const thread = (await ask('POST', '/threads', {})).json.id;
	const made = await ask('POST', `/threads/${thread}/runs`, { assistant_id });
	if (made.status === 200) {
		await sleep(1_500);
		assert.equal(model.requests.length, 1);
	} else {
		assertError(made, 503);
	}
	held.open();
	assert.equal((await first).status, 200);
	if (made.status === 200) {
		await eventually('it is done', async () => (await ask('GET',
			`/threads/${thread}/runs/${made.json.id}`)).json.status === 'completed');
	}
});

// --- long conversations and lists ---

const LARGE = '\u{10000}'.repeat(250_000);

e2e('a conversation of 25 MB is read in pieces, in text and JSON', async (bench) => {
	const model = await modelServer(bench);
	const env = { ...model.env, ASSISTANTS_RATE: 'off', ASSISTANTS_DAILY_TOKENS: 'off' };
	const site = await bench.listen({ env });
	const thread = await newThread(site);
	for (let i = 0; i < 25; i++) {
		assert.equal((await say(site, thread, `${i}${LARGE}`)).status, 200);
	}
	await site.stop();
	const next = await bench.listen({ env });
	assert.equal((await next.request('GET', '/health')).status, 200);
	const before = memory(next.child.pid);
	const asked = Array.from({ length: 6 }, (_, i) => next.request('GET',
		`/threads/${thread}/messages`, { headers: { accept: i % 2 ? 'application/json' : 'text/plain' } }));
	const answers = await Promise.all(asked);
	answers.forEach((answer, i) => {
		assert.equal(answer.status, 200);
		const told = i % 2 ? answer.json.messages.map(({ role, text }) => `${role}: ${text}`)
			: answer.text.split('\n\n');
		assert.equal(told.length, 50);
		for (let n = 0; n < 25; n++) {
			assert.ok(told[2 * n] === `user: ${n}${LARGE}`, `message ${n}`);
			assert.equal(told[2 * n + 1], 'assistant: hello');
		}
	});
	const grown = memory(next.child.pid) - before;
	assert.ok(SANITIZED || grown < 60 << 10, `${grown} KiB more`);
});

e2e('CGI: a long conversation comes whole, with its length', async (bench) => {
	const model = await modelServer(bench);
	const site = await fromShell(bench, { ...model.env, ASSISTANTS_DAILY_TOKENS: 'off' });
	const thread = await newThread(site);
	for (let i = 0; i < 3; i++) await say(site, thread, LARGE);
	const answer = await site.request('GET', `/threads/${thread}/messages`);
	assert.equal(Number(answer.headers['content-length']), answer.body.length);
	assert.ok(answer.body.length > 3_000_000);
});

e2e('lists of large objects are whole, in any order and from any place', async (bench) => {
	const key = await makeKey(bench);
	const site = await bench.listen();
	const ask = (method, uri, body, more) => site.request(method, `/v1${uri}`,
		{ headers: bearer(key, more), body: body && JSON.stringify(body) });
	const thread = (await ask('POST', '/threads', {})).json.id;
	const ids = [];
	for (let i = 0; i < 12; i++) {
		// Small ones between the large.
		const content = i % 3 ? `${i}${'x'.repeat(120_000)}` : `${i}`;
		ids.push((await ask('POST', `/threads/${thread}/messages`, { role: 'user', content })).json.id);
	}
	const list = async (query, more) => {
		const answer = await ask('GET', `/threads/${thread}/messages?${query}`, undefined, more);
		assert.equal(answer.status, 200, answer.text);
		assert.match(answer.headers['content-type'], /^application\/json/);
		const { object, data, first_id, last_id, has_more } = answer.json;
		assert.deepEqual([object, first_id, last_id],
			['list', data[0]?.id ?? null, data.at(-1)?.id ?? null]);
		return { ids: data.map(({ id }) => id), has_more, data };
	};
	const newest = [...ids].reverse();
	for (const [query, expected, has_more] of [
		['limit=100', newest, false],
		['limit=100&order=asc', ids, false],
		['', newest, false],
		['limit=7&order=asc', ids.slice(0, 7), true],
		['limit=7', newest.slice(0, 7), true],
		['order=asc&limit=12', ids, false],
		[`order=asc&after=${ids[2]}`, ids.slice(3), false],
		[`limit=8&after=${ids[11]}`, newest.slice(1, 9), true],
		[`order=asc&after=${ids[1]}&before=${ids[10]}`, ids.slice(2, 10), false],
	]) {
		const told = await list(query);
		assert.deepEqual([told.ids, told.has_more], [expected, has_more], query);
	}
	// The nearest to a cursor; reading on gives all of them.
	const read = [];
	for (let place = ids[11], more = true; more;) {
		const told = await list(`order=asc&limit=100&before=${place}`);
		assert.deepEqual(told.ids, ids.slice(0, ids.indexOf(place)).slice(-told.ids.length));
		read.unshift(...told.ids);
		place = told.ids[0];
		more = told.has_more;
	}
	assert.deepEqual(read, ids.slice(0, 11));
	// Also in version 1.
	const old = await list('limit=100', { 'openai-beta': 'assistants=v1' });
	assert.deepEqual(old.ids, newest);
	assert.ok(old.data.every((one) => Array.isArray(one.file_ids)));
	// A HEAD has no body.
	const head = await ask('HEAD', `/threads/${thread}/messages?limit=100`);
	assert.deepEqual([head.status, head.body.length], [200, 0]);
});

e2e('the names in a list\'s query may be encoded, and a list that was cut is continued', async (bench) => {
	const key = await makeKey(bench);
	const site = await bench.listen();
	const ask = (method, uri, body) => site.request(method, `/v1${uri}`,
		{ headers: bearer(key), body: body && JSON.stringify(body) });
	const thread = (await ask('POST', '/threads', {})).json.id;
	const ids = [];
	for (let i = 0; i < 6; i++) {
		ids.push((await ask('POST', `/threads/${thread}/messages`,
			{ role: 'user', content: 'x'.repeat(200_000) })).json.id);
	}
	const answer = await ask('GET',
		`/threads/${thread}/messages?order=asc&%6cimit=4&%61fter=${ids[0]}`);
	assert.deepEqual(answer.json.data.map(({ id }) => id), ids.slice(1, 5));
	assert.equal(answer.json.has_more, true);
});

e2e('an imported conversation with odd ids is read whole', async (bench) => {
	const lines = [{ id: 'thread_odd', object: 'thread', created_at: 1 }];
	for (let i = 0; i < 5; i++) {
		lines.push({ id: `msg/${i} & ü`, object: 'thread.message', created_at: 1, role: 'user',
			thread_id: 'thread_odd',
			content: [{ type: 'text', text: { value: `${i}${'x'.repeat(200_000)}`, annotations: [] } }] });
	}
	const file = bench.file('saved.jsonl', lines.map((one) => JSON.stringify(one)).join('\n'));
	const { code, stderr } = await bench.command(['--import', file, '--tenant', 'gateway']);
	assert.equal(code, 0, stderr);
	const site = await bench.listen();
	const answer = await site.request('GET', '/threads/thread_odd/messages',
		{ headers: { accept: 'application/json' } });
	assert.deepEqual(answer.json.messages.map(({ text }) => text[0]), ['0', '1', '2', '3', '4']);
});

e2e('clients that do not read do not block others', async (bench) => {
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_WORKERS: '16',
		ASSISTANTS_DAILY_TOKENS: 'off' } });
	const thread = await newThread(site);
	for (let i = 0; i < 4; i++) await say(site, thread, LARGE);
	const params = (last) => cgiVariables({ method: 'GET', path: `/threads/${thread}/messages`,
		remoteAddr: `192.0.2.${last}` });
	const readers = Array.from({ length: 40 }, (_, i) => {
		const socket = net.connect(site.socket);
		socket.on('error', () => {});
		socket.write(fcgiBytes(params(i % 10)));
		socket.pause();
		return socket;
	});
	bench.onClose(() => readers.forEach((socket) => socket.destroy()));
	await sleep(1_500);
	for (let i = 0; i < 5; i++) {
		assert.equal((await site.request('GET', '/health')).status, 200);
		assert.equal((await site.request('POST', '/threads')).status, 201);
	}
});

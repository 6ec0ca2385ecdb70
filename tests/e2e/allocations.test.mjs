// Makes each allocation of a request fail once, by LD_PRELOAD. The request is answered or fails, the
// process lives, and the database is whole. `make check` tries some of them, SOAK=full more.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { e2e, newThread, say, transcript } from './lib.mjs';
import { database, sql } from './lib-state.mjs';
import { modelServer } from './lib-upstream.mjs';
import { bearer, makeKey } from './lib-v1.mjs';

const EACH = process.env.SOAK === 'full' ? 500 : 30;

/** allocations.c as a library, and the variables that load it. */
function failing(bench, variables) {
	const library = path.join(bench.dir, 'allocations.so');
	const source = path.join(import.meta.dirname, 'allocations.c');
	if (!fs.existsSync(library)) execFileSync('cc', ['-shared', '-fPIC', '-o', library, source]);
	return { LD_PRELOAD: library, ...variables };
}

/** Random numbers from 1 to `last`, at most EACH, others each time. */
function some(last) {
	const step = Math.max(1, last / EACH);
	const numbers = new Set();
	for (let at = Math.random() * step; at < last; at += step) numbers.add(Math.floor(at) + 1);
	return numbers;
}

/** The requests to try, on a site with a conversation. */
async function requests(bench, site) {
	const thread = await newThread(site);
	assert.equal((await say(site, thread, 'hello')).status, 200);
	const headers = bearer(await makeKey(bench), { 'openai-beta': 'assistants=v2' });
	const v1 = async (uri, body) => {
		const { status, text } = await site.request('POST', uri, { headers, body: JSON.stringify(body) });
		assert.equal(status, 200, text);
		return JSON.parse(text);
	};
	const assistant = await v1('/v1/assistants', { model: 'm', tools: [{ type: 'function',
		function: { name: 'f', parameters: { type: 'object', properties: {} } } }] });
	const talk = await v1('/v1/threads', { messages: [{ role: 'user', content: 'hello' }] });
	const run = { assistant_id: assistant.id, stream: true };
	const json = (body) => ({ headers, body: JSON.stringify(body) });
	const part = (name, value) =>
		`--b\r\nContent-Disposition: form-data; name=${name}\r\n\r\n${value}\r\n`;
	const upload = {
		headers: { ...headers, 'content-type': 'multipart/form-data; boundary=b' },
		body: `${part('purpose', 'assistants')}${part('file; filename="a"', 'text')}--b--`,
	};
	return {
		thread,
		all: [
			['POST', '/threads', {}],
			['POST', `/threads/${thread}/messages`, { body: 'words', headers: { 'content-type': 'text/plain' } }],
			['POST', `/threads/${thread}/messages`, { body: 'words', headers: { 'content-type': 'text/plain',
				accept: 'text/event-stream' } }],
			['GET', `/threads/${thread}/messages`, { headers: { accept: 'application/json' } }],
			['POST', '/v1/assistants', json({ model: 'm', metadata: { a: 'b' } })],
			['GET', '/v1/assistants?limit=3', { headers }],
			['POST', '/v1/files', upload],
			['POST', '/v1/threads', json({ messages: [{ role: 'user', content: [{ type: 'text', text: 'a' }] }] })],
			['POST', `/v1/threads/${talk.id}/runs`, json(run)],
			['GET', `/v1/threads/${talk.id}/runs`, { headers }],
			['POST', '/v1/threads/runs', json({ ...run, thread: { messages: [{ role: 'user', content: 'a' }] } })],
		],
	};
}

const MANY = { ASSISTANTS_MESSAGES_PER_MINUTE: '1000000' };

async function assertWhole(bench, site, thread) {
	assert.equal(sql(database(bench), 'PRAGMA integrity_check; PRAGMA foreign_key_check'), 'ok');
	const blobs = new Set(fs.readdirSync(path.join(bench.state, 'blobs')));
	for (const blob of sql(database(bench), 'SELECT blob FROM files').split('\n')) {
		assert.ok(blobs.has(blob), 'each file has its bytes');
	}
	const { status, text } = await say(site, thread, 'a last word');
	assert.equal(status, 200, text);
	assert.deepEqual((await transcript(site, thread)).at(-2), ['user', 'a last word']);
}

e2e('FastCGI: whichever allocation fails, the process lives', async (bench) => {
	bench.expectLog(/./);
	const file = bench.file('fail', Buffer.alloc(4096).toString('latin1'));
	const numbers = () => fs.readFileSync(file).readBigInt64LE(8);
	const fail = (at) => {
		const words = Buffer.alloc(16);
		words.writeBigInt64LE(BigInt(at));
		const descriptor = fs.openSync(file, 'r+');
		fs.writeSync(descriptor, words, 8, 8, 8);
		fs.writeSync(descriptor, words, 0, 8, 0);
		fs.closeSync(descriptor);
	};
	const model = await modelServer(bench);
	const site = await bench.listen({
		env: { ...model.env, ...MANY, ...failing(bench, { FAIL_FILE: file }) },
	});
	const { thread, all } = await requests(bench, site);
	for (const [method, uri, more] of all) {
		// So late that none fails: this counts the allocations of a request.
		fail(2 ** 40);
		await site.request(method, uri, more);
		for (const at of some(Number(numbers()))) {
			fail(at);
			const answer = await site.request(method, uri, more).catch((error) => error);
			// A stream that cannot go on ends its connection.
			assert.ok(answer.status >= 200 || /ended before the request/.test(answer),
				`${method} ${uri}, allocation ${at}: ${answer}`);
			fail(0);
			assert.equal((await site.request('GET', '/health')).status, 200);
		}
	}
	await assertWhole(bench, site, thread);
});

e2e('CGI: whichever allocation fails, the program ends by itself', async (bench) => {
	bench.expectLog(/./);
	const env = { ...(await modelServer(bench)).env, ...MANY };
	const site = { request: (method, uri, more) => bench.cgi({ env, method, path: uri, ...more }) };
	const { thread, all } = await requests(bench, site);
	const counted = path.join(bench.dir, 'counted');
	for (const [method, uri, more] of all) {
		await bench.cgi({ env: { ...env, ...failing(bench, { FAIL_COUNTED: counted }) },
			method, path: uri, ...more });
		for (const at of some(Number(fs.readFileSync(counted, 'utf8')))) {
			const child = bench.startCgi({ env: { ...env, ...failing(bench, { FAIL_AT: String(at) }) },
				method, path: uri, ...more });
			const { code, signal } = await child.ended;
			const text = (await child.output).toString();
			assert.equal(signal, null, `${method} ${uri}, allocation ${at}`);
			assert.ok(code !== 0 || /^Status: [2345]/.test(text), `${method} ${uri}, allocation ${at}: ${text}`);
		}
	}
	await assertWhole(bench, site, thread);
});

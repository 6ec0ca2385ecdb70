// /v1 over HTTP: pages of other origins, repeated requests, keys, Azure's form.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { AssistantsClient, AzureKeyCredential } from '@azure/openai-assistants';
import { e2e, eventually, within } from './lib.mjs';
import { behindLighttpd, behindNginx } from './lib-servers.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';
import { assertError, bearer, bodyOf, makeKey, openAnswer, rawUpstream } from './lib-v1.mjs';

const ORIGIN = 'https://page.example';
const allowing = { ASSISTANTS_ALLOW_ORIGIN: `https://other.example ${ORIGIN}` };

function assertShared(answer, origin = ORIGIN) {
	assert.equal(answer.headers['access-control-allow-origin'], origin, answer.text);
	assert.equal(answer.headers.vary, 'Origin');
	assert.match(answer.headers['access-control-expose-headers'], /x-request-id/);
}

e2e('a page of an allowed origin can read whatever comes of its request', async (bench) => {
	const upstream = await rawUpstream(bench, async (request, response) => {
		await bodyOf(request);
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		response.write('data: 1\n\n');
	});
	const key = await makeKey(bench);
	const env = { ...upstream.env, ...allowing, ASSISTANTS_WORKERS: '3' };
	const site = await behindNginx(bench, env);
	const ask = (method, uri, { headers = {}, ...more } = {}) => site.request(method, uri,
		{ headers: { ...bearer(key), origin: ORIGIN, ...headers }, ...more });
	const large = 'x'.repeat(2 << 20);

	for (const [status, method, uri, more] of [
		[200, 'GET', '/v1/assistants'],
		[200, 'HEAD', '/v1/assistants'],
		[401, 'GET', '/v1/assistants', { headers: { authorization: '' } }],
		[400, 'POST', '/v1/assistants', { body: 'no JSON' }],
		[404, 'GET', '/v1/assistants/asst_aaaaaaaaaaaaaaaaaaaaaaaa'],
		[404, 'GET', '/v1/nothing'],
		[404, 'GET', '/v1'],
		[405, 'DELETE', '/v1/assistants'],
		[413, 'POST', '/v1/assistants', { body: large }],
		[501, 'GET', '/v1/vector_stores'],
	]) {
		const answer = await ask(method, uri, more);
		assert.equal(answer.status, status, `${method} ${uri}: ${answer.text}`);
		assertShared(answer);
		if (status >= 400) assertError(answer, status);
	}

	// As many as may wait are waiting.
	const waiting = await openAnswer(site.port, 'POST', '/v1/chat/completions',
		{ headers: bearer(key, { origin: ORIGIN }) });
	assertShared(waiting);
	await within(waiting.next(), 'a piece');
	const full = await ask('POST', '/v1/chat/completions');
	assertError(full, 503);
	assert.match(full.headers['retry-after'], /^[1-9]\d*$/);
	assertShared(full);
	waiting.leave();
});

e2e('preflights, and OPTIONS without one', async (bench) => {
	const server = await bench.listen({ env: allowing });
	const wants = {
		origin: ORIGIN, 'access-control-request-method': 'POST',
		'access-control-request-headers': 'authorization, x-stainless-os, openai-beta',
	};
	for (const uri of ['/v1/threads', '/v1/threads/runs', '/v1/models', '/v1/files', '/openai/x']) {
		const answer = await server.request('OPTIONS', uri, { headers: wants });
		assert.deepEqual([answer.status, answer.text], [204, ''], uri);
		assertShared(answer);
		assert.equal(answer.headers['access-control-allow-methods'], 'POST');
		assert.equal(answer.headers['access-control-allow-headers'],
			wants['access-control-request-headers']);
		const plain = await server.request('OPTIONS', uri);
		assert.deepEqual([plain.status, plain.headers.allow],
			[204, 'GET, HEAD, POST, DELETE, OPTIONS'], uri);
		assert.equal(plain.headers['access-control-allow-origin'], undefined);
	}
	// Another origin.
	for (const [uri, origin] of [['/v1/threads', 'https://evil.example'],
		['/v1/threads', `${ORIGIN}.evil.example`], ['/threads', 'https://evil.example']]) {
		for (const method of ['OPTIONS', 'POST']) {
			const answer = await server.request(method, uri, { headers: { ...wants, origin } });
			assert.equal(answer.headers['access-control-allow-origin'], undefined);
			assert.equal(answer.headers['access-control-allow-methods'], undefined);
		}
	}
	// A path that is too long, and an error of the web server itself.
	const long = await server.request('GET', `/v1/${'x'.repeat(8200)}`,
		{ headers: { origin: ORIGIN } });
	assert.equal(long.status, 414);
	assertShared(long);
	await server.stop();
	const refused = { REDIRECT_STATUS: '417', ...allowing };
	assertShared(await bench.cgi({ env: refused, method: 'GET', path: '/',
		headers: { origin: ORIGIN } }));
	const cgi = (env, headers) => bench.cgi({ env, method: 'GET', path: '/v1/models', headers });
	assertShared(await cgi({ ASSISTANTS_ALLOW_ORIGIN: '*' }, { origin: 'https://any.example' }),
		'https://any.example');
	const unshared = await cgi({}, { origin: ORIGIN });
	assert.equal(unshared.headers['access-control-allow-origin'], undefined);
});

e2e('HEAD is GET without its body', async (bench) => {
	const key = await makeKey(bench);
	const site = await behindLighttpd(bench);
	const ask = (method, uri) => site.request(method, uri, { headers: bearer(key) });
	for (const uri of ['/v1/assistants', '/v1/threads', '/v1/nothing']) {
		const [head, get] = [await ask('HEAD', uri), await ask('GET', uri)];
		assert.deepEqual([head.status, head.text], [get.status, ''], uri);
		assert.equal(head.headers['content-length'], get.headers['content-length']);
	}
});

e2e('the same Idempotency-Key takes effect once', async (bench) => {
	const [key, other] = [await makeKey(bench, 'one'), await makeKey(bench, 'two')];
	const server = await bench.listen();
	const ask = (uri, body, { id = 'key-1', as = key, method = 'POST' } = {}) => server
		.request(method, uri, {
			headers: bearer(as, id === null ? {} : { 'idempotency-key': id }), body,
		});
	const threads = async (as = key) => (await ask('/v1/threads', undefined,
		{ method: 'GET', as })).json.data.length;

	const first = await ask('/v1/threads', '{}');
	assert.equal(first.status, 200);
	assert.equal(first.headers['idempotent-replayed'], undefined);
	const again = await ask('/v1/threads', '{}');
	assert.deepEqual([again.status, again.json], [200, first.json]);
	assert.equal(again.headers['idempotent-replayed'], 'true');
	assert.equal(await threads(), 1);
	// Azure's prefix is the same path.
	assert.deepEqual((await ask('/openai/threads', '{}')).json, first.json);

	// Another body is refused with a status that no SDK retries.
	const error = assertError(await ask('/v1/threads', '{"metadata":{}}'), 422);
	assert.equal(error.param, 'Idempotency-Key');

	// Another tenant, another path, another key, none.
	assert.notEqual((await ask('/v1/threads', '{}', { as: other })).json.id, first.json.id);
	assert.equal((await ask(`/v1/threads/${first.json.id}`, '{}')).status, 200);
	assert.notEqual((await ask('/v1/threads', '{}', { id: 'key-2' })).json.id, first.json.id);
	for (const id of [null, '']) await ask('/v1/threads', '{}', { id });
	assert.deepEqual([await threads(), await threads(other)], [4, 1]);

	// A refused request had no effect, and is tried again.
	const made = '{"model":"m","instructions":"Be kind."}';
	const assistant = (await ask('/v1/assistants', made, { id: null })).json.id;
	const body = JSON.stringify({ assistant_id: assistant });
	const run = (options) => ask(`/v1/threads/${first.json.id}/runs`, body, options);
	assertError(await ask('/v1/assistants', '{}', { id: 'key-3' }), 400);
	assert.equal((await ask('/v1/assistants', '{"model":"m"}', { id: 'key-3' })).status, 200);

	// A run's answer says when to poll, also the second time.
	const ran = await run({ id: 'key-4' });
	assert.equal(ran.json.object, 'thread.run');
	const reran = await run({ id: 'key-4' });
	assert.deepEqual(reran.json, ran.json);
	assert.ok(reran.headers['openai-poll-after-ms']);

	// A stream is not sent twice.
	const streamed = JSON.stringify({ assistant_id: assistant, stream: true });
	const stream = await ask('/v1/threads/runs', streamed, { id: 'key-5' });
	assert.match(stream.text, /event: done\ndata: \[DONE\]\n\n$/);
	assertError(await ask('/v1/threads/runs', streamed, { id: 'key-5' }), 400, /stream/);
	// A stream that was refused may be repeated.
	const broken = JSON.stringify({ assistant_id: 'asst_aaaaaaaaaaaaaaaaaaaaaaaa', stream: true });
	for (let i = 0; i < 2; i++) {
		assertError(await ask('/v1/threads/runs', broken, { id: 'key-6' }), 404);
	}

	assertError(await ask('/v1/threads', '{}', { id: 'x'.repeat(256) }), 400);
	assert.equal((await ask('/v1/threads', '{}', { id: 'x'.repeat(255) })).status, 200);
	// It is in the database, so the next process knows it, too.
	await server.stop();
	const headers = bearer(key, { 'idempotency-key': 'key-1' });
	const late = await bench.cgi({ method: 'POST', path: '/v1/threads', headers, body: '{}' });
	assert.deepEqual(late.json, first.json);
});

e2e('many at once with one Idempotency-Key make one thread', async (bench) => {
	const key = await makeKey(bench);
	const server = await bench.listen();
	const headers = bearer(key, { 'idempotency-key': 'the-key' });
	const answers = await Promise.all(Array.from({ length: 20 }, () => server
		.request('POST', '/v1/threads', { headers, body: '{}' })));
	const made = answers.filter(({ status }) => status === 200);
	assert.equal(new Set(made.map((answer) => answer.json.id)).size, 1);
	for (const answer of answers.filter(({ status }) => status !== 200)) {
		assertError(answer, 409, /still being worked on/);
		assert.match(answer.headers['retry-after'], /^\d+$/);
	}
	const list = await server.request('GET', '/v1/threads', { headers: bearer(key) });
	assert.equal(list.json.data.length, 1);
});

e2e('--make-key prints the key alone, and keeps its hash alone', async (bench) => {
	const file = path.join(bench.dir, 'my-keys');
	const env = { ASSISTANTS_KEYS_FILE: file };
	const { code, stdout, stderr } = await bench.command(['--make-key', 'a.b-c_1'], env);
	assert.equal(code, 0);
	assert.match(stdout, /^sk-[A-Za-z0-9]{24}\n$/);
	assert.ok(stderr.includes(file) && !stderr.includes(stdout.trim()));
	assert.equal(fs.statSync(file).mode & 0o777, 0o600);
	assert.match(fs.readFileSync(file, 'utf8'), /^a\.b-c_1 sha256:[0-9a-f]{64}\n$/);
	const works = (key) => bench.cgi({ env, method: 'GET', path: '/v1/assistants',
		headers: bearer(key) });
	assert.equal((await works(stdout.trim())).status, 200);
	for (const name of ['', 'a b', 'ü', 'a\n', 'x'.repeat(65)]) {
		const refused = await bench.command(['--make-key', name], env);
		assert.deepEqual([refused.code, refused.stdout], [1, ''], name);
		assert.match(refused.stderr, /it must/);
	}
	const beside = await bench.command(['--make-key', 'x'], { ASSISTANTS_KEYS_FILE: '/proc/x/y' });
	assert.deepEqual([beside.code, beside.stdout], [1, '']);
	// A key that could not be printed is an error.
	const full = await bench.shell(`"$PROGRAM" --make-key x >/dev/full 2>said; echo $?; cat said`,
		{ ...env, PROGRAM: process.env.ASSISTANTS_FCGI });
	assert.match(full, /^1\n[^\n]*cannot be printed/);
});

e2e('the key of root\'s command is a file of the state folder\'s owner', async (bench) => {
	if (process.getuid() !== 0) return;
	fs.chmodSync(bench.dir, 0o755);
	fs.chmodSync(bench.config, 0o644);
	fs.mkdirSync(bench.state, { mode: 0o700 });
	fs.chownSync(bench.state, 33, 33);
	await makeKey(bench);
	const { uid, gid, mode } = fs.statSync(path.join(bench.state, 'keys'));
	assert.deepEqual([uid, gid, mode & 0o777], [33, 33, 0o600]);
});

e2e('Azure\'s client', async (bench) => {
	const key = await makeKey(bench);
	const { port } = await behindNginx(bench);
	const client = new AssistantsClient(`http://127.0.0.1:${port}`, new AzureKeyCredential(key),
		{ allowInsecureConnection: true, retryOptions: { maxRetries: 0 } });
	bench.expectLog(/only stored so far/);
	// It has tools and files of version 1.
	const assistant = await client.createAssistant({
		model: 'm', name: 'n', instructions: 'x', tools: [{ type: 'retrieval' }], fileIds: ['f'],
	});
	assert.deepEqual([assistant.tools, assistant.fileIds], [[{ type: 'retrieval' }], ['f']]);
	assert.equal((await client.listAssistants({ limit: 1 })).data[0].id, assistant.id);
	const thread = await client.createThread();
	await client.createMessage(thread.id, 'user', 'Hello');
	let run = await client.createRun(thread.id, { assistantId: assistant.id });
	await within((async () => {
		while (/queued|in_progress/.test(run.status)) run = await client.getRun(thread.id, run.id);
	})(), 'the run\'s end');
	assert.equal(run.status, 'completed');
	const { data } = await client.listMessages(thread.id);
	assert.deepEqual(data.map(({ role }) => role), ['assistant', 'user']);
	assert.deepEqual(await client.deleteThread(thread.id), { id: thread.id, deleted: true });
	await assert.rejects(client.getAssistant('asst_aaaaaaaaaaaaaaaaaaaaaaaa'),
		{ statusCode: 404, message: /No assistant found/ });
	const stranger = new AssistantsClient(`http://127.0.0.1:${port}`,
		new AzureKeyCredential('wrong'), { allowInsecureConnection: true });
	await assert.rejects(stranger.listAssistants(), { statusCode: 401 });
});

e2e('a bare /v1 is no path, in either version', async (bench) => {
	const key = await makeKey(bench);
	const server = await bench.listen();
	for (const uri of ['/v1', '/openai', '/v1/', '/openai/']) {
		for (const version of ['v1', 'v2']) {
			const headers = bearer(key, { 'openai-beta': `assistants=${version}` });
			assert.equal((await server.request('GET', uri, { headers })).status, 404, uri);
		}
	}
});

e2e('runs that no client waits for go on after a restart, several at once', async (bench) => {
	const key = await makeKey(bench);
	const model = await modelServer(bench);
	const held = gate();
	model.otherwise = words('at last', held.opened);
	const ask = async (server, method, uri, body) => {
		const headers = bearer(key, { 'content-type': 'application/json' });
		return (await server.request(method, `/v1${uri}`,
			{ headers, body: body && JSON.stringify(body) })).json;
	};
	const first = await bench.listen({ env: model.env });
	const assistant_id = (await ask(first, 'POST', '/assistants',
		{ model: 'm', instructions: 'Be kind.' })).id;
	const runs = [];
	while (runs.length < 4) {
		const { id } = await ask(first, 'POST', '/threads', {});
		runs.push(await ask(first, 'POST', `/threads/${id}/runs`, { assistant_id }));
	}
	await eventually('all are asked', () => model.requests.length === 4);
	await first.stop();
	const next = await bench.listen({ env: model.env });
	await eventually('all are asked again', () => model.requests.length === 8);
	held.open();
	for (const { id, thread_id } of runs) {
		await eventually('the end', async () => {
			const run = await ask(next, 'GET', `/threads/${thread_id}/runs/${id}`);
			assert.match(run.status, /queued|in_progress|completed/);
			return run.status === 'completed';
		});
	}
});

e2e('a picture\'s address reaches the model', async (bench) => {
	const key = await makeKey(bench);
	const model = await modelServer(bench);
	const server = await bench.listen({ env: model.env });
	const headers = bearer(key, { 'content-type': 'application/json' });
	const post = async (uri, body) => (await server.request('POST', `/v1${uri}`,
		{ headers, body: JSON.stringify(body) })).json;
	const url = 'https://pictures.example/cat.png';
	const content = [
		{ type: 'text', text: 'What is this?' },
		{ type: 'image_url', image_url: { url, detail: 'low' } },
	];
	const { id } = await post('/threads', { messages: [{ role: 'user', content }] });
	const assistant_id = (await post('/assistants', { model: 'm' })).id;
	await post(`/threads/${id}/runs`, { assistant_id });
	await eventually('the model is asked', () => model.requests.length === 1);
	assert.deepEqual(model.requests[0].json.input[0].content, [
		{ type: 'input_text', text: 'What is this?' },
		{ type: 'input_image', image_url: url, detail: 'low' },
	]);
});

// Pass-through of /v1 to the model server, for any valid key: both directions as they come, and nothing
// that must not pass.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgiVariables } from './lib-cgi.mjs';
import { fcgiRequest, fcgiTrickle } from './lib-fcgi.mjs';
import { KEY, e2e, eventually, freePort, within } from './lib.mjs';
import { behindProxyFcgi } from './lib-apache.mjs';
import { behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';
import {
	assertError, bearer, bodyOf, json, makeKey, openAnswer, rawUpstream,
} from './lib-v1.mjs';

const CHAT = '/v1/chat/completions';
const PIECES = ['data: {"piece": 1}\n\n', 'data: {"piece": 2}\n\n', 'data: [DONE]\n\n'];

/** A promise with its resolver. */
function signal() {
	let raise;
	const raised = new Promise((resolve) => { raise = resolve; });
	return { raised, raise };
}

// Sends the first piece, and the rest when the test says so.
async function stepwise(bench) {
	const [more, left] = [signal(), signal()];
	const upstream = await rawUpstream(bench, async (request, response) => {
		response.once('close', () => response.writableFinished || left.raise(true));
		await bodyOf(request);
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		response.write(PIECES[0]);
		await more.raised;
		response.end(PIECES.slice(1).join(''));
	});
	return { ...upstream, more: more.raise, left: left.raised };
}

for (const [name, behind] of [['nginx', behindNginx], ['lighttpd', behindLighttpd]]) {
	e2e(`${name}: a stream's first piece is there while the model server holds back the second`,
		async (bench) => {
			const upstream = await stepwise(bench);
			const key = await makeKey(bench);
			const { port } = await behind(bench, upstream.env);
			const answer = await within(openAnswer(port, 'POST', CHAT, {
				headers: bearer(key), body: '{"stream":true}',
			}), 'the head');
			assert.equal(answer.status, 200);
			assert.match(answer.headers['content-type'], /^text\/event-stream/);
			assert.equal(await within(answer.next(), 'the first piece'), PIECES[0]);
			upstream.more();
			let rest = '';
			for (let piece; (piece = await within(answer.next(), 'the rest'));) rest += piece;
			assert.equal(rest, PIECES.slice(1).join(''));
		});
}

e2e('nginx: a client that leaves takes the model server\'s stream along', async (bench) => {
	const upstream = await stepwise(bench);
	const key = await makeKey(bench);
	const { port } = await behindNginx(bench, upstream.env);
	const answer = await openAnswer(port, 'POST', CHAT, { headers: bearer(key), body: '{}' });
	await within(answer.next(), 'the first piece');
	answer.leave();
	assert.equal(await within(upstream.left, 'the model server is let go'), true);
});

e2e('only necessary headers of the client are passed on, with the program\'s own key', async (bench) => {
	const upstream = await rawUpstream(bench, json({ ok: true }, 200, {
		'set-cookie': 'a=b', 'x-request-id': 'req_upstream', 'retry-after-ms': '7',
		'keep-alive': 'timeout=7', server: 'theirs', 'openai-organization': 'org-theirs',
	}));
	const key = await makeKey(bench);
	const site = await behindNginx(bench, upstream.env);
	const answer = await site.request('POST', `${CHAT}?api-version=1&a=b%20c`, {
		headers: {
			'api-key': key, 'content-type': 'application/json', accept: 'application/json',
			'openai-beta': 'x=v1', cookie: 'session=1', 'openai-organization': 'org-1',
			'openai-project': 'proj_1', 'x-forwarded-for': '192.0.2.1', forwarded: 'for=x',
			'x-forwarded-host': 'x', te: 'trailers', 'proxy-authorization': 'Basic eA==',
			'x-stainless-lang': 'js', 'idempotency-key': 'mine', 'accept-encoding': 'gzip',
			'x-real-ip': '192.0.2.1', 'user-agent': 'a-client', referer: 'http://x/',
			origin: 'http://x',
		},
		body: '{"model":"m"}',
	});
	assert.equal(answer.status, 200, answer.text);
	assert.deepEqual(answer.json, { ok: true });
	const [{ method, path, headers }] = upstream.requests;
	assert.deepEqual([method, path], ['POST', '/v1/chat/completions?a=b%20c']);
	const { host, 'user-agent': agent, ...sent } = headers;
	assert.match(agent, /^assistants-fcgi\//);
	assert.deepEqual(sent, {
		authorization: `Bearer ${KEY}`, 'content-type': 'application/json',
		accept: 'application/json', 'openai-beta': 'x=v1', 'content-length': '13',
		'accept-encoding': 'identity',
	});
	assert.match(answer.headers['x-request-id'], /^req_[A-Za-z0-9]{24}$/);
	assert.equal(answer.headers['retry-after-ms'], '7');
	for (const name of ['set-cookie', 'keep-alive', 'openai-organization']) {
		assert.equal(answer.headers[name], undefined, name);
	}
	assert.match(bench.log(), /its request id: req_upstream/);
});

e2e('32 MiB go up and 100 MB come down, and the program does not grow', async (bench) => {
	const size = 100 << 20;
	const piece = Buffer.alloc(64 << 10, 'abcdefg');
	let received;
	const upstream = await rawUpstream(bench, async (request, response) => {
		const hash = createHash('sha256');
		for await (const some of request) hash.update(some);
		received = hash.digest('hex');
		response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': size });
		for (let sent = 0; sent < size; sent += piece.length) {
			if (!response.write(piece)) await once(response, 'drain');
		}
		response.end();
	});
	const key = await makeKey(bench);
	const server = await bench.listen({ env: upstream.env });
	const peak = () => Number(/VmHWM:\s+(\d+) kB/
		.exec(fs.readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]);
	const ask = (body) => server.request('POST', '/v1/audio/transcriptions', {
		headers: bearer(key, { 'content-type': 'multipart/form-data; boundary=x' }), body,
	});
	await ask('small');
	const before = peak();
	const body = Buffer.alloc(32 << 20, 'an upload');
	const answer = await ask(body);
	assert.equal(received, createHash('sha256').update(body).digest('hex'));
	assert.equal(answer.body.length, size);
	assert.equal(answer.headers['content-length'], String(size));
	assert.equal(upstream.requests[1].headers['content-length'], String(body.length));
	assert.equal(upstream.requests[1].headers['content-type'], 'multipart/form-data; boundary=x');
	assert.ok(peak() - before < 16 << 10, `the program grew from ${before} to ${peak()} kB`);
});

e2e('which paths go through', async (bench) => {
	const upstream = await rawUpstream(bench, json({ object: 'list' }));
	const key = await makeKey(bench);
	const server = await bench.listen({ env: upstream.env });
	const ask = (method, uri) => server.request(method, uri, {
		headers: bearer(key), body: method === 'POST' ? '{}' : undefined,
	});
	for (const [method, uri, expected] of [
		['POST', CHAT], ['POST', '/v1/responses'], ['POST', '/v1/embeddings'],
		['POST', '/v1/moderations'], ['POST', '/v1/images/generations'],
		['POST', '/v1/images/edits'], ['POST', '/v1/audio/speech'],
		['POST', '/v1/audio/translations'], ['GET', '/v1/models'],
		['GET', '/v1/models/gpt-5.4'], ['GET', '/v1/models/an/org%3A1', '/v1/models/an%2Forg%3A1'],
		['POST', '/openai/embeddings?api-version=2024-05-01', '/v1/embeddings'],
		['POST', '/openai/deployments/d/embeddings?api-version=2024-05-01', '/v1/embeddings'],
		['POST', '/openai/deployments/d/chat/completions', CHAT],
		['POST', '/v1//embeddings/', '/v1/embeddings'], ['GET', '//v1/models//x', '/v1/models/x'],
	]) {
		const answer = await ask(method, uri);
		assert.equal(answer.status, 200, `${method} ${uri}: ${answer.text}`);
		const came = upstream.requests.pop();
		assert.deepEqual([came.method, came.path], [method, expected ?? uri]);
	}
	const head = await ask('HEAD', '/v1/models');
	assert.deepEqual([head.status, head.text], [200, '']);
	assert.equal(upstream.requests.pop().path, '/v1/models');
	for (const [method, uri] of [
		['GET', CHAT], ['POST', '/v1/completions'], ['GET', '/v1/responses/resp_1'],
		['POST', '/v1/responses/resp_1/cancel'], ['DELETE', '/v1/models/ft'],
		['POST', '/v1/batches'], ['POST', '/v1/fine_tuning/jobs'], ['POST', '/v1/audio'],
		['GET', '/v1/models/..'], ['GET', '/v1/models/%2e%2e'], ['GET', '/v1/models/x/..%2F../files'],
		['GET', '/v1/models/../files'], ['POST', '/v1/audio/..'], ['POST', '/v1/audio/a/b'],
		['GET', '/v1/models/.'], ['GET', '/v1'], ['GET', '/v1/'],
	]) {
		assertError(await ask(method, uri), 404);
	}
	for (const uri of ['/v1/uploads', '/v1/uploads/upload_1/parts', '/v1/vector_stores',
		'/v1/vector_stores/vs_1/files', '/openai/uploads']) {
		for (const method of ['GET', 'POST', 'DELETE']) {
			const answer = await ask(method, uri);
			assertError(answer, 501, /^[^.]+\.$/);
			assert.equal(answer.headers['x-should-retry'], 'false');
		}
	}
	for (const uri of ['/v1/models', CHAT, '/v1/responses', '/v1/files']) {
		const method = uri === '/v1/models' ? 'GET' : 'POST';
		for (const headers of [{}, bearer('sk-wrong')]) {
			const error = assertError(await server.request(method, uri, { headers }), 401);
			assert.equal(error.code, 'invalid_api_key');
		}
	}
	assert.deepEqual(upstream.requests, []);
});

e2e('switched off it does not exist; without a model server it reports that', async (bench) => {
	const key = await makeKey(bench);
	const headers = bearer(key);
	const off = { ASSISTANTS_PASS_THROUGH: 'off' };
	assertError(await bench.cgi({ env: off, method: 'GET', path: '/v1/models', headers }), 404);
	assertError(await bench.cgi({ env: off, method: 'POST', path: '/v1/responses', headers,
		body: '{}' }), 404);
	const answer = await bench.cgi({ method: 'GET', path: '/v1/models', headers });
	assertError(answer, 501, /^No model server [^.]+\.$/);
	assert.equal(answer.headers['x-should-retry'], 'false');
});

e2e('responses: nothing is kept at the model server', async (bench) => {
	const bodies = [];
	const upstream = await rawUpstream(bench, async (request, response) => {
		bodies.push(JSON.parse(await bodyOf(request)));
		response.end('{}');
	});
	const key = await makeKey(bench);
	const site = await fromShell(bench, upstream.env);
	const ask = (body) => site.request('POST', '/v1/responses', {
		headers: bearer(key), body: typeof body === 'string' ? body : JSON.stringify(body),
	});
	const whole = {
		model: 'm', input: [{ role: 'user', content: 'Grüße \u0001' }], temperature: 0.7,
		seed: 9007199254740993, background: false, previous_response_id: null,
	};
	for (const store of [undefined, true, false, null]) {
		assert.equal((await ask({ ...whole, store })).status, 200);
		assert.deepEqual(bodies.pop(), { ...whole, store: false });
	}
	assert.equal((await ask('{"store":false,"store":true}')).status, 200);
	assert.deepEqual(bodies.pop(), { store: false });
	assert.equal(upstream.requests[0].headers['content-type'], 'application/json');
	for (const [field, value] of [['previous_response_id', 'resp_1'], ['conversation', 'conv_1'],
		['conversation', { id: 'conv_1' }], ['background', true]]) {
		const error = assertError(await ask({ ...whole, [field]: value }), 400);
		assert.equal(error.param, field);
		assert.match(error.message, new RegExp(`'${field}'`));
	}
	for (const body of ['', 'x', '[]', 'null', '"x"']) assertError(await ask(body), 400);
	assertError(await ask(JSON.stringify({ input: 'x'.repeat(2 << 20) })), 413);
	assert.deepEqual(bodies, []);
});

e2e('failures of the model server', async (bench) => {
	const listeners = [];
	const upstream = await rawUpstream(bench, (...both) => listeners.shift()(...both));
	const key = await makeKey(bench);
	const env = { ...upstream.env, ASSISTANTS_RUN_TIMEOUT: '3' };
	const server = await bench.listen({ env });
	const ask = (listener) => {
		listeners.push(listener);
		return server.request('POST', CHAT, { headers: bearer(key), body: '{}' });
	};

	// The model server's own errors are passed on, and not repeated.
	const busy = await ask(json({ error: { message: 'busy' } }, 429, { 'retry-after': '20' }));
	assert.deepEqual([busy.status, busy.headers['retry-after']], [429, '20']);
	assert.deepEqual(busy.json, { error: { message: 'busy' } });
	const oops = await ask(json({ error: { message: 'oops' } }, 500, { 'x-should-retry': 'false' }));
	assert.deepEqual([oops.status, oops.headers['x-should-retry']], [500, 'false']);
	assert.equal(upstream.requests.length, 2);

	// It refuses the program's key, which the client must not learn.
	const refused = await ask(json({ error: { message: `Incorrect API key: ${KEY}` } }, 401));
	assertError(refused, 502);
	assert.equal(refused.headers['x-should-retry'], 'false');
	assert.ok(!refused.text.includes(KEY));

	// It breaks off: before the head, within a body of known length, within a stream.
	assertError(await ask((request) => request.socket.destroy()), 502);
	const events = await ask(async (request, response) => {
		await bodyOf(request);
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		response.write('data: {"piece": 1}\n\ndata: {"pi');
		await sleep(100);
		request.socket.destroy();
	});
	assert.equal(events.status, 200);
	const last = events.text.trim().split('\n\n').at(-1);
	assert.equal(JSON.parse(last.replace(/^data: /, '')).error.type, 'server_error');

	// It is silent for too long.
	assertError(await ask(bodyOf), 504);

	// Nobody listens.
	await server.stop();
	const nobody = { OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}/v1` };
	const site = await fromShell(bench, nobody);
	assertError(await site.request('GET', '/v1/models', { headers: bearer(key) }), 502);
	bench.expectLog(/model server does not accept the key/, /the model server: the connection ended/,
		/the model server: no answer in time/, /the model server: no connection/);
});

for (const [way, open] of [['nginx', behindNginx], ['lighttpd', behindLighttpd],
	['mod_proxy_fcgi', behindProxyFcgi]]) {
e2e(`${way}: an answer whose time is over is broken off, and does not look whole`, async (bench) => {
	bench.expectLog(/the model server: no answer in time/);
	const upstream = await rawUpstream(bench, async (request, response) => {
		response.writeHead(200, { 'content-type': 'text/plain' });
		for (let i = 0; i < 100 && !response.destroyed; i++) {
			response.write(`${i} `);
			await sleep(100);
		}
		response.end();
	});
	const key = await makeKey(bench);
	const site = await open(bench, { ...upstream.env, ASSISTANTS_RUN_TIMEOUT: '2' });
	const answer = await openAnswer(site.port, 'POST', CHAT, { headers: bearer(key), body: '{}' });
	assert.equal(answer.status, 200);
	await assert.rejects(async () => {
		while (await within(answer.next(), 'a piece'));
	}, /aborted/);
});
}

e2e('a body that is too large, and one that is too slow', async (bench) => {
	const upstream = await rawUpstream(bench, async (request, response) => {
		await bodyOf(request).catch(() => {});
		response.end();
	});
	const key = await makeKey(bench);
	const site = await bench.listen({ env: upstream.env });
	const long = Buffer.alloc((32 << 20) + 1, 'x');
	const announced = await site.request('POST', CHAT, { headers: bearer(key), body: long });
	assertError(announced, 413, /32 MiB/);
	assert.equal(upstream.requests.length, 0);
	const params = cgiVariables({ method: 'POST', path: CHAT, withLength: false,
		headers: bearer(key) });
	const chunked = await fcgiRequest(site.socket, params, long);
	assertError(chunked, 413, /32 MiB/);
	const slow = await within(fcgiTrickle(site.socket, { ...params, CONTENT_LENGTH: '1000' }), 'it');
	assertError(slow, 408, /too slowly/);
});

e2e('an error that comes before the body was read', async (bench) => {
	const upstream = await rawUpstream(bench, (request, response) => {
		response.writeHead(413).end('early');
	});
	const key = await makeKey(bench);
	const site = await behindNginx(bench, upstream.env);
	const answer = await site.request('POST', CHAT,
		{ headers: bearer(key), body: 'x'.repeat(15 << 20) });
	assert.deepEqual([answer.status, answer.text], [413, 'early']);
	// The worker does not wait for the rest, which nginx no longer sends.
	await eventually('the request is over', () => bench.logEntries()
		.some(({ route, status }) => route === CHAT && status === 413));
});

e2e('a body without an announced length goes up in chunks; one that breaks off is not completed',
	async (bench) => {
		const bodies = [];
		const upstream = await rawUpstream(bench, async (request, response) => {
			bodies.push(String(await bodyOf(request).catch(() => 'broke off')));
			response.end('{}');
		});
		const key = await makeKey(bench);
		const request = { env: upstream.env, method: 'POST', path: CHAT, headers: bearer(key) };
		const answer = await bench.cgi({ ...request, body: '{"a":1}', withLength: false });
		assert.deepEqual([answer.status, bodies], [200, ['{"a":1}']]);
		assert.equal(upstream.requests[0].headers['transfer-encoding'], 'chunked');
		const cut = bench.startCgi({
			...request, body: '{"a":', env: { ...upstream.env, CONTENT_LENGTH: '100' },
			withLength: false,
		});
		await within(cut.ended, 'the program\'s end');
		assert.match(String(await cut.output), /^Status: 400/);
		await eventually('the model server sees it', () => bodies.length === 2);
		assert.equal(bodies[1], 'broke off');
	});

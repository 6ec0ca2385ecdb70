// What no well-meaning client sends, and most of which no web server passes on: by raw FastCGI.

import assert from 'node:assert/strict';
import http from 'node:http';
import { e2e, freePort, httpRequest, newThread, say, transcript, within } from './lib.mjs';
import { cgiVariables } from './lib-cgi.mjs';
import { fcgiBytes, fcgiCutOff, fcgiRequest, fcgiStall } from './lib-fcgi.mjs';
import { behindLighttpd, behindNginx } from './lib-servers.mjs';

const MEGABYTE = 1 << 20;
const FORGED = '"}\n{"time":"now","level":"error","message":"forged"}\n';

function assertRefused({ status }, what) {
	assert.ok(status >= 400 && status < 500, `${what.slice(0, 100)}: ${status}`);
}

// PATH_INFO as the web server would make it, and REQUEST_URI as it came.
const PATHS = [
	['/threads\0', '/threads%00'], ['/health\0/x', '/health%00/x'],
	['/threads/a/b/messages', '/threads/a%2Fb/messages'],
	['/threads/%2F/messages', '/threads/%252F/messages'],
	['/threads/../health', '/threads/../health'], ['/../health', '/%2e%2e/health'],
	['/./health', '/./health'], ['//health', '//health'], ['/health/', '/health/'],
	['/threads//messages', '/threads//messages'], ['/threads/..', '/threads/%2E%2E'],
	[Buffer.from('/\xff\xfe', 'latin1'), '/%ff%fe'], ['/%u0041', '/%u0041'],
	['/health%', '/health%'], ['/%zz', '/%zz'],
	['health', 'health'], ['*', '*'], ['', ''], ['/', '/'],
	[`/health${FORGED}`, `/health${FORGED}`], [`/threads/${FORGED}/messages`, `/${FORGED}`],
	[`/${'a'.repeat(MEGABYTE)}`, `/${'a'.repeat(MEGABYTE)}`],
	['/a'.repeat(MEGABYTE / 2), '/%61'.repeat(MEGABYTE / 4)],
];

e2e('paths, with PATH_INFO and by REQUEST_URI alone, are refused and forge no log line',
	async (bench) => {
		const server = await bench.listen();
		const { PATH_INFO: none, ...params } = cgiVariables({ method: 'GET', path: '/' });
		for (const [PATH_INFO, REQUEST_URI] of PATHS) {
			const derived = { ...params, REQUEST_URI };
			const given = { ...derived, PATH_INFO };
			for (const tried of [derived, given]) {
				assertRefused(await fcgiRequest(server.socket, tried), REQUEST_URI);
			}
		}
		assert.equal((await server.request('GET', '/health')).status, 200);
	});

e2e('without PATH_INFO the path is REQUEST_URI\'s, decoded once, less SCRIPT_NAME',
	async (bench) => {
		const server = await bench.listen();
		const { PATH_INFO: none, ...params } = cgiVariables({ method: 'GET', path: '/' });
		for (const [SCRIPT_NAME, REQUEST_URI] of [
			['', '/health'], ['', '/%68ealth?a=/b'],
			['/assistant', '/assistant/health'],
		]) {
			const derived = { ...params, SCRIPT_NAME, REQUEST_URI };
			const { status } = await fcgiRequest(server.socket, derived);
			assert.equal(status, 200, REQUEST_URI);
		}
	});

e2e('Location is never another host\'s URL', async (bench) => {
	const server = await bench.listen();
	const create = async (changed) => {
		const usual = cgiVariables({ method: 'POST', path: '/threads' });
		const params = { ...usual, ...changed };
		if (changed.PATH_INFO === undefined) delete params.PATH_INFO;
		return fcgiRequest(server.socket, params);
	};
	for (const [SCRIPT_NAME, PATH_INFO, REQUEST_URI] of [
		['', '/threads', '//threads'], ['', '//threads', '//threads'],
		['', undefined, '//threads'], ['', '/threads', '///threads'],
		['/', '/threads', '//threads'], ['/', undefined, '//threads'],
		['/assistant', '/threads', '//assistant/threads'],
		['/assistant', '/threads', '//assistant//threads'],
		['//assistant', '/threads', '/%2Fassistant/threads'],
	]) {
		const { status, headers } = await create({ SCRIPT_NAME, PATH_INFO, REQUEST_URI });
		const what = `${SCRIPT_NAME} ${PATH_INFO} ${REQUEST_URI}: ${headers.location}`;
		assert.ok(status === 201 || status === 404, what);
		if (status === 201) assert.match(headers.location, /^\/[^/]/, what);
	}
	const plain = await create({ PATH_INFO: '/threads', REQUEST_URI: '//threads' });
	assert.equal(plain.headers.location, `/threads/${plain.text}`);
});

e2e('other variables are not believed, and forge no log line', async (bench) => {
	const server = await bench.listen();
	const usual = cgiVariables({ method: 'GET', path: '/health' });
	for (const changed of [
		{ REQUEST_METHOD: `GET${FORGED}` }, { REQUEST_METHOD: '' },
		{ HTTP_ACCEPT: FORGED }, { HTTP_ACCEPT: `a/b;q=${'9'.repeat(5000)}` },
		{ HTTP_ACCEPT: ',;,/;q=;'.repeat(9999) },
		{ REQUEST_METHOD: 'POST', PATH_INFO: '/threads', CONTENT_TYPE: FORGED },
		{ REQUEST_METHOD: 'POST', PATH_INFO: '/threads', CONTENT_LENGTH: '-1' },
		{ REQUEST_METHOD: 'POST', PATH_INFO: '/threads', CONTENT_LENGTH: '9'.repeat(40) },
		{ HTTP_X_REQUEST_ID: FORGED }, { SCRIPT_NAME: FORGED }, { QUERY_STRING: FORGED },
		{ ASSISTANTS_STATE_DIR: '/nowhere', OPENAI_BASE_URL: 'http://127.0.0.1:1' },
	]) {
		const params = { ...usual, ...changed };
		const { status, headers } = await fcgiRequest(server.socket, params);
		assert.ok(status < 500, JSON.stringify(changed).slice(0, 100));
		assert.match(headers['x-request-id'], /^[\w-]{1,64}$/);
	}
	const bare = await fcgiRequest(server.socket, {});
	assertRefused(bare, 'a request without variables');
});

e2e('bodies too large, with a length, without one, and with a false one', async (bench) => {
	const server = await bench.listen();
	const thread = await newThread(server);
	const path = `/threads/${thread}/messages`;
	const headers = { 'content-type': 'text/plain' };
	const send = (body, length) => {
		const params = cgiVariables({ method: 'POST', path, headers, body });
		if (length === undefined) delete params.CONTENT_LENGTH;
		else params.CONTENT_LENGTH = length;
		return fcgiRequest(server.socket, params, body);
	};
	const large = 'a'.repeat(2 * MEGABYTE);
	assert.equal((await send(large, String(large.length))).status, 413);
	assert.equal((await send(large)).status, 413, 'without a length');
	assert.equal((await send(large, '5')).status < 500, true, 'a length that is too small');
	assertRefused(await send('words', '500'), 'a length that is too large');
	assertRefused(await send('words', 'five'), 'a length that is no number');
	assert.equal((await send('words')).status, 200, 'a length is not needed');
	assert.equal((await server.request('POST', '/threads', { body: large })).status, 413);
	const { length } = (await transcript(server, thread)).filter(([role]) => role === 'user');
	assert.ok(length <= 2);
});

e2e('ASSISTANTS_MAX_BODY moves the limit, to the byte', async (bench) => {
	const server = await bench.listen({ env: { ASSISTANTS_MAX_BODY: '2000' } });
	const thread = await newThread(server);
	assert.equal((await say(server, thread, 'a'.repeat(2000))).status, 200);
	assert.equal((await say(server, thread, 'a'.repeat(2001))).status, 413);
});

e2e('CGI: a body of 2 MB without a length is no message', async (bench) => {
	const request = { method: 'POST', path: '/threads/thread_1/messages' };
	const body = 'a'.repeat(2 * MEGABYTE);
	assertRefused(await bench.cgi({ ...request, body }), 'with a length');
	assertRefused(await bench.cgi({ ...request, body, withLength: false }), 'without a length');
});

function chunked(port, path, body) {
	return new Promise((resolve, reject) => {
		const options = { host: '127.0.0.1', port, path, method: 'POST', agent: false };
		const request = http.request(options, (response) => {
			const { statusCode: status } = response;
			response.resume().once('end', () => resolve({ status }));
		});
		request.once('error', reject);
		for (const piece of body.match(/[^]{1,60000}/g)) request.write(piece);
		request.end();
	});
}

for (const [name, open] of [['lighttpd', behindLighttpd], ['nginx', behindNginx]]) {
	e2e(`${name}: paths and bodies`, async (bench) => {
		const site = await open(bench);
		for (const wrong of ['/%00', '/threads/a%2Fb/messages', '/health/../threads', '/%ff']) {
			assertRefused(await site.request('GET', wrong), wrong);
		}
		const { headers: { location } } = await site.request('POST', '//threads');
		assert.doesNotMatch(location ?? '', /^\/\//);
		const path = `/threads/${await newThread(site)}/messages`;
		const large = 'a'.repeat(2 * MEGABYTE);
		assert.equal((await site.request('POST', path, { body: large })).status, 413);
		assert.equal((await chunked(site.port, path, large)).status, 413);
		assert.equal((await chunked(site.port, path, 'words')).status, 200);
		// The servers' own limits stop these two; the program's must not come first.
		const headers = { 'content-length': String(20 * MEGABYTE) };
		assert.equal((await site.request('POST', path, { headers })).status, 413);
		await httpRequest(site.port, 'GET', `/${'a'.repeat(MEGABYTE)}`).catch(() => {});
		assert.equal((await site.request('GET', '/health')).status, 200);
	});
}

e2e('connections that end too early take no worker with them', async (bench) => {
	const server = await bench.listen({ env: { ASSISTANTS_WORKERS: '4' } });
	const path = `/threads/${await newThread(server)}/messages`;
	const headers = { 'content-type': 'text/plain' };
	const params = cgiVariables({ method: 'POST', path, headers, body: 'words' });
	const whole = fcgiBytes(params, 'words');
	const { length } = whole;
	for (const count of [0, 1, 8, 15, 16, 20, 24, 100, 300, length - 20, length - 8]) {
		await fcgiCutOff(server.socket, whole, count);
	}
	await fcgiCutOff(server.socket, Buffer.from('GET / HTTP/1.0\r\n\r\n'), 18);
	const all = Array.from({ length: 4 }, () => server.request('GET', '/health'));
	assert.deepEqual((await Promise.all(all)).map(({ status }) => status), Array(4).fill(200));
});

for (const [where, port] of [['a Unix socket', () => undefined], ['TCP', freePort]]) {
	e2e(`connections that stall on ${where} do not block others`, async (bench) => {
		const server = await bench.listen({ port: await port() });
		const ask = async () => {
			const asked = server.request('GET', '/health');
			assert.equal((await within(asked, '/health', 5000)).status, 200);
		};
		const whole = fcgiBytes(cgiVariables({ method: 'GET', path: '/health' }));
		// Nothing, a byte, half of a record's head, and then within PARAMS.
		for (const count of [0, 1, 4, 16, 24, 60, 200]) {
			const stalled = await fcgiStall(server.socket, whole, count);
			bench.onClose(() => stalled.destroy());
			await ask();
		}
		await Promise.all(Array.from({ length: 8 }, ask));
	});
}

e2e('a server that keeps its connections does not keep the workers', async (bench) => {
	const server = await bench.listen({ env: { ASSISTANTS_WORKERS: '3' } });
	const params = cgiVariables({ method: 'GET', path: '/health' });
	const ask = () => fcgiRequest(server.socket, params, '', { keepConnection: true });
	for (let i = 0; i < 6; i++) assert.equal((await ask()).status, 200);
});

// Attacks: rebound host names, interim answers of a model server, addresses that only a model server can
// reach, ids that would lead elsewhere.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { once } from 'node:events';
import { cgiVariables } from './lib-cgi.mjs';
import { behindCgid, behindProxyFcgi } from './lib-apache.mjs';
import { fcgiRequest } from './lib-fcgi.mjs';
import { KEY, assertSentence, e2e, httpRequest, newThread, say } from './lib.mjs';
import { behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';
import { modelServer } from './lib-upstream.mjs';
import { assertError, bearer, makeKey } from './lib-v1.mjs';

const EVIL = 'evil.example:8080';

// --- host names ---

for (const [way, open] of [['lighttpd', behindLighttpd], ['nginx', behindNginx],
	['mod_proxy_fcgi', behindProxyFcgi]]) {
	e2e(`${way}: on a loopback address only its own names are answered`, async (bench) => {
		const site = await open(bench);
		const ask = (host, uri = '/health') =>
			site.request('GET', uri, { headers: { host } });
		for (const host of ['localhost', `localhost:${site.port}`, 'LOCALHOST', 'localhost.',
			'127.0.0.1', `127.0.0.1:${site.port}`, '[::1]', '[::1]:8080', '192.0.2.1']) {
			assert.equal((await ask(host)).status, 200, host);
		}
		for (const host of [EVIL, 'evil.example', 'localhost.evil.example', 'notlocalhost',
			'127.0.0.1.evil.example']) {
			const answer = await ask(host);
			assertSentence(answer, 421);
			assert.match(answer.text, /ASSISTANTS_ALLOWED_HOSTS/);
			assert.equal((await ask(host, '/v1/models')).status, 421);
		}
		const refused = await site.request('POST', '/threads', { headers: { host: EVIL } });
		assert.equal(refused.status, 421);
	});
}

e2e('hosts: which names are answered where', async (bench) => {
	const answered = async (env, variables) => {
		const site = await bench.listen({ env, name: `s${Math.random()}` });
		const all = { ...cgiVariables({ method: 'GET', path: '/health' }), ...variables };
		const { status } = await fcgiRequest(site.socket, all, '');
		await site.stop();
		return status === 200;
	};
	const near = { SERVER_ADDR: '127.0.0.1' }, far = { SERVER_ADDR: '192.0.2.9' };
	const host = (name) => ({ HTTP_HOST: name });
	const listed = { ASSISTANTS_ALLOWED_HOSTS: 'a.example, B.example' };
	for (const [env, variables, expected] of [
		[{}, { ...near, ...host('a.example') }, false],
		[{}, { SERVER_ADDR: '::1', ...host('a.example') }, false],
		[{}, { ...near, ...host('') }, true],
		[{}, { ...far, ...host('a.example') }, true],
		[{}, { SERVER_ADDR: '', ...host('a.example') }, true],
		[listed, { ...near, ...host('a.example:80') }, true],
		[listed, { ...near, ...host('b.EXAMPLE') }, true],
		[listed, { ...near, ...host('c.example') }, false],
		[listed, { ...near, ...host('localhost') }, true],
		[listed, { ...far, ...host('a.example') }, true],
		[listed, { ...far, ...host('c.example') }, false],
		[listed, { ...far, ...host('127.0.0.1') }, false],
		[{ ASSISTANTS_ALLOWED_HOSTS: '*' }, { ...near, ...host('c.example') }, true],
		[{ ASSISTANTS_TRUSTED_PROXIES: '127.0.0.1' }, { ...near, ...host('c.example') }, true],
		[{ ASSISTANTS_TRUSTED_PROXIES: '10.0.0.1' }, { ...near, ...host('c.example') }, false],
	]) {
		assert.equal(await answered(env, variables), expected, JSON.stringify([env, variables]));
	}
});

for (const bad of ['http://a.example', 'a.example:80', 'a.example/x', 'a*b']) {
	e2e(`hosts: "${bad}" is no host name`, async (bench) => {
		const env = { ASSISTANTS_ALLOWED_HOSTS: bad };
		const { code, stderr } = await bench.command(['--make-key', 'x'], env);
		assert.equal(code, 1);
		assert.match(stderr, /ASSISTANTS_ALLOWED_HOSTS has ".*": a host name looks like/);
	});
}

// --- the model server ---

/** A model server that answers every request with these bytes. */
async function writes(bench, bytes) {
	const server = net.createServer((socket) => {
		socket.on('error', () => {});
		socket.once('data', () => socket.end(bytes));
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	bench.onClose(() => server.close());
	return { OPENAI_BASE_URL: `http://127.0.0.1:${server.address().port}/v1`, OPENAI_API_KEY: KEY };
}

for (const [way, open] of [['nginx', behindNginx], ['CGI', fromShell]]) {
	e2e(`${way}: a model server that changes the protocol writes nothing to the client`,
		async (bench) => {
			bench.expectLog(/the connection ended before the answer/);
			const env = await writes(bench, 'HTTP/1.1 101 Switching Protocols\r\n' +
				'Upgrade: x\r\nConnection: Upgrade\r\n\r\nStatus: 200 OK\r\n' +
				'Content-Type: text/html\r\nSet-Cookie: evil=1\r\n\r\n<script>evil()</script>');
			const key = await makeKey(bench);
			const site = await open(bench, env);
			for (const [method, uri] of [['GET', '/v1/models'], ['POST', '/v1/chat/completions']]) {
				const answer = await site.request(method, uri, {
					headers: bearer(key), body: method === 'POST' ? '{}' : undefined,
				});
				assertError(answer, 502);
				assert.equal(answer.headers['set-cookie'], undefined);
				assert.ok(!answer.text.includes('evil'));
			}
			const thread = await newThread(site);
			const answer = await say(site, thread, 'words');
			assert.equal(answer.status, 502);
			assert.ok(!answer.text.includes('evil'));
		});
}

e2e('an image\'s URL leads no near model server to its neighbours', async (bench) => {
	const model = await modelServer(bench);
	const key = await makeKey(bench);
	const site = await bench.listen({ env: model.env });
	const ask = (uri, body) =>
		site.request('POST', uri, { headers: bearer(key), body: JSON.stringify(body) });
	const { id } = (await ask('/v1/threads', {})).json;
	const add = (url) => ask(`/v1/threads/${id}/messages`, {
		role: 'user', content: [{ type: 'image_url', image_url: { url } }],
	});
	for (const url of ['http://127.0.0.1/x', 'http://127.1/x', 'http://0x7f000001/', 'http://[::1]/',
		'http://2130706433/', 'https://10.0.0.1:8443/', 'http://192.168.1.1/admin',
		'http://169.254.169.254/latest/meta-data', 'http://[fe80::1]/', 'http://[::ffff:10.0.0.1]/',
		'http://user@127.0.0.1/', 'http://0.0.0.0/']) {
		const { param } = assertError(await add(url), 400, /private network/);
		assert.equal(param, 'content[0].image_url.url', url);
	}
	for (const url of ['https://images.example/a.png', 'http://192.0.2.1/a.png',
		'http://localhost.example/', 'data:image/png;base64,AAAA']) {
		assert.equal((await add(url)).status, 200, url);
	}
	// A server elsewhere cannot reach them.
	await site.stop();
	const far = await bench.listen({ env: { OPENAI_BASE_URL: 'http://192.0.2.1/v1' } });
	const there = await far.request('POST', `/v1/threads/${id}/messages`, { headers: bearer(key),
		body: JSON.stringify({ role: 'user', content: [
			{ type: 'image_url', image_url: { url: 'http://127.0.0.1/x' } }] }) });
	assert.equal(there.status, 200);
});

// --- ids ---

e2e('imported ids of odd form become no file\'s name', async (bench) => {
	const ids = ['../../../x', '/tmp/x', 'a/../../b', 'x\n', '.'];
	const lines = ids.flatMap((id) => [
		{ id: `asst${id}`, object: 'assistant', created_at: 1, model: 'm' },
		{ id, object: 'thread', created_at: 1 },
		{ id: `msg${id}`, object: 'thread.message', created_at: 1, thread_id: id, role: 'user',
			content: [{ type: 'text', text: { value: 'x', annotations: [] } }] },
	]);
	const file = bench.file('saved.jsonl', lines.map((one) => JSON.stringify(one)).join('\n'));
	const { code, stderr } = await bench.command(['--import', file, '--tenant', 'gateway']);
	assert.equal(code, 0, stderr);
	const site = await bench.listen();
	for (const id of ids) {
		const { status } = await site.request('GET', `/threads/${encodeURIComponent(id)}/messages`);
		assert.ok([400, 404].includes(status), `${id}: ${status}`);
	}
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
	await site.stop();
	const known = /^(assistant|assistant\.lock|assistants\.db(-wal|-shm)?|conversations|leases|keys)$/;
	for (const name of fs.readdirSync(bench.state)) assert.match(name, known);
	for (const id of ids.slice(0, 3)) assert.ok(!fs.existsSync(path.resolve(bench.state, id)), id);
});

// --- the folder on a shared host ---

e2e('mod_cgid: the folder leads to the chat page, if that is there', async (bench) => {
	const site = await behindCgid(bench, {}, { prefix: true });
	const ask = (uri) => httpRequest(site.port, 'GET', uri);
	assertSentence(await ask('/assistant/'), 404);
	const chat = path.join(bench.dir, 'site/assistant/chat');
	fs.mkdirSync(chat);
	fs.writeFileSync(path.join(chat, 'index.html'), 'the page');
	fs.writeFileSync(path.join(chat, '.htaccess'), 'RewriteEngine Off\nSetHandler default-handler\n' +
		'DirectoryIndex index.html\n');
	fs.chmodSync(chat, 0o755);
	const base = `http://127.0.0.1:${site.port}/assistant`;
	const where = [];
	for (let at = base; where.length < 3;) {
		const answer = await ask(new URL(at).pathname);
		where.push(answer.status);
		if (answer.status === 200) {
			assert.equal(answer.text, 'the page');
			break;
		}
		at = answer.headers.location;
	}
	assert.deepEqual(where, [301, 302, 200]);
	assert.equal((await site.request('GET', '/health')).status, 200);
});

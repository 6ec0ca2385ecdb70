// Admission: pages of other origins, floods, forged addresses, tokens, slow bodies. Each is refused before
// the model server is asked, while other requests are answered.

import assert from 'node:assert/strict';
import net from 'node:net';
import { cgiVariables } from './lib-cgi.mjs';
import { fcgiTrickle } from './lib-fcgi.mjs';
import {
	assertSentence, e2e, eventually, freePort, newThread, say, transcript, within,
} from './lib.mjs';
import { behindProxyFcgi } from './lib-apache.mjs';
import { behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';
import {
	gate, messageEvents, modelServer, status, stream, usage, words,
} from './lib-upstream.mjs';

const OWN = 'https://site.example', OTHER = 'https://other.example', EVIL = 'https://evil.example';
const TOKEN = 'a-token-of-some-length-7c1d';

const bearer = (token) => ({ authorization: `Bearer ${token}` });

/** The site as a client with that address sees it. */
function from(site, address, forwarded) {
	const headers = forwarded ? { 'x-forwarded-for': forwarded } : {};
	return {
		request: (method, uri, more = {}) => site.request(method, uri, {
			...more, headers: { ...headers, ...more.headers }, remoteAddr: address,
		}),
	};
}

function assertRefused(answer, retryAfterMax) {
	assertSentence(answer, 429);
	const seconds = Number(answer.headers['retry-after']);
	assert.ok(seconds >= 1 && seconds <= retryAfterMax, `Retry-After: ${seconds}`);
	return seconds;
}

for (const [way, open] of [['lighttpd', behindLighttpd], ['nginx', behindNginx],
	['mod_proxy_fcgi', behindProxyFcgi], ['CGI', fromShell]]) {
	e2e(`${way}: another site's page is refused, the site's own and an allowed one are not`,
		async (bench) => {
			const model = await modelServer(bench);
			const site = await open(bench, { ...model.env, ASSISTANTS_ALLOW_ORIGIN: OTHER,
				ASSISTANTS_ALLOWED_HOSTS: 'site.example' });
			const thread = await newThread(site);
			const host = { host: 'site.example' };
			for (const origin of [EVIL, 'null', `${OTHER}.evil.example`, 'http://other.example']) {
				const answer = await say(site, thread, 'spend', { ...host, origin });
				assertSentence(answer, 403);
				assert.equal(answer.headers['access-control-allow-origin'], undefined);
				const created = await site.request('POST', '/threads', { headers: { ...host, origin } });
				assertSentence(created, 403);
			}
			assert.equal(model.requests.length, 0);
			assert.deepEqual(await transcript(site, thread), []);
			for (const origin of [OWN, OTHER, undefined]) {
				const headers = origin ? { ...host, origin } : host;
				const answer = await say(site, thread, 'words', headers);
				assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'hello'], origin);
				assert.equal(answer.headers['access-control-allow-origin'],
					origin === OTHER ? OTHER : undefined);
				assert.match(answer.headers.vary, /Origin/);
			}
		});
}

e2e('the preflight of an allowed page is answered, another site\'s learns nothing', async (bench) => {
	const site = await behindNginx(bench, { ASSISTANTS_ALLOW_ORIGIN: OTHER });
	const wants = {
		'access-control-request-method': 'POST',
		'access-control-request-headers': 'authorization,content-type',
	};
	const ask = (origin) => site.request('OPTIONS', '/threads', { headers: { ...wants, origin } });
	const { status, headers } = await ask(OTHER);
	assert.equal(status, 204);
	assert.equal(headers['access-control-allow-origin'], OTHER);
	assert.equal(headers['access-control-allow-methods'], 'POST');
	assert.equal(headers['access-control-allow-headers'], 'authorization,content-type');
	assert.equal(headers.vary, 'Origin');
	const stranger = await ask(EVIL);
	assert.equal(stranger.headers['access-control-allow-origin'], undefined);
	assert.equal(stranger.headers['access-control-allow-methods'], undefined);
});

e2e('* must be written out, and lets all pages in', async (bench) => {
	const site = await fromShell(bench, { ASSISTANTS_ALLOW_ORIGIN: '*' });
	const answer = await site.request('POST', '/threads', { headers: { origin: EVIL } });
	assert.equal(answer.status, 201);
	assert.equal(answer.headers['access-control-allow-origin'], EVIL);
});

e2e('every answer has the headers that keep it from pages and caches', async (bench) => {
	const site = await behindNginx(bench);
	const thread = await newThread(site);
	for (const answer of [await say(site, thread, 'words'), await site.request('GET', '/health'),
		await site.request('GET', '/nothing'), await site.request('GET', '/v1/models'),
		await say(site, thread, 'words', { origin: EVIL }), await site.request('PUT', '/threads')]) {
		assert.equal(answer.headers['x-content-type-options'], 'nosniff');
		assert.equal(answer.headers['cache-control'], 'no-store');
		assert.equal(answer.headers['referrer-policy'], 'no-referrer');
		assert.equal(answer.headers['cross-origin-resource-policy'], 'same-origin');
		assert.equal(answer.headers['content-security-policy'],
			'default-src \'none\'; frame-ancestors \'none\'');
	}
});

e2e('a flood from one address is refused, and other addresses are answered', async (bench) => {
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_RATE: '5' } });
	const flood = from(site, '192.0.2.1'), other = from(site, '192.0.2.2');
	const thread = await newThread(flood);
	const answers = await Promise.all(Array.from({ length: 20 }, async () =>
		say(flood, await newThread(flood), 'flood')));
	const refused = answers.filter(({ status }) => status === 429);
	assert.equal(refused.length, 15);
	refused.forEach((answer) => assertRefused(answer, 12));
	assert.equal(model.requests.length, 5);
	assert.deepEqual([(await say(other, await newThread(other), 'words')).status,
		model.requests.length], [200, 6]);
	// Reading costs nothing, and is not counted.
	assert.deepEqual(await transcript(flood, thread), []);
	// A refused message is not stored.
	assertRefused(await say(flood, thread, 'flood'), 12);
	assert.deepEqual(await transcript(flood, thread), []);
	// In JSON, too.
	const json = await say(flood, thread, 'flood', { accept: 'application/json' });
	assert.equal(json.status, 429);
	assert.match(json.headers['content-type'], /problem\+json/);
	assert.equal(json.json.status, 429);
});

e2e('an IPv6 /64 counts as one address', async (bench) => {
	const site = await bench.listen({ env: { ASSISTANTS_RATE: '2' } });
	const at = (last) => from(site, `2001:db8:1:2${last}`);
	const thread = await newThread(at('::1'));
	assert.equal((await say(at('::1'), thread, 'words')).status, 200);
	assert.equal((await say(at(':ffff:1:2:3'), thread, 'words')).status, 200);
	assertRefused(await say(at('::9'), thread, 'words'), 30);
	assert.equal((await say(from(site, '2001:db8:1:3::1'), thread, 'words')).status, 200);
});

e2e('X-Forwarded-For counts from trusted proxies alone, from the right', async (bench) => {
	const env = { ASSISTANTS_RATE: '1', ASSISTANTS_TRUSTED_PROXIES: '10.0.0.0/8, ::1' };
	const site = await bench.listen({ env });
	const thread = await newThread(site);
	const once = async (client) => (await say(client, thread, 'words')).status;
	// Not a proxy, so its header is ignored.
	assert.equal(await once(from(site, '192.0.2.1', '203.0.113.1')), 200);
	assert.equal(await once(from(site, '192.0.2.1', '203.0.113.2')), 429);
	// A client forges the left part, behind one proxy and behind two.
	assert.equal(await once(from(site, '10.0.0.1', '203.0.113.1, 192.0.2.7')), 200);
	assert.equal(await once(from(site, '10.0.0.1', '203.0.113.2, 192.0.2.7')), 429);
	assert.equal(await once(from(site, '::1', '203.0.113.3, 192.0.2.7, 10.1.1.1')), 429);
	assert.equal(await once(from(site, '10.0.0.1', '192.0.2.8')), 200);
});

e2e('nginx sends a header of several lines as several: the proxy\'s own line counts', async (bench) => {
	const env = { ASSISTANTS_RATE: '1', ASSISTANTS_TRUSTED_PROXIES: '127.0.0.1' };
	const site = await behindNginx(bench, env);
	const thread = await newThread(site);
	const lines = (forged) => `POST /threads/${thread}/messages HTTP/1.1\r\nHost: site\r\n` +
		`X-Forwarded-For: ${forged}\r\nX-Forwarded-For: 192.0.2.7\r\n` +
		'Content-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwords';
	assert.match(await raw(site.port, lines('203.0.113.1')), /^HTTP\/1.1 200/);
	assert.match(await raw(site.port, lines('203.0.113.2')), /^HTTP\/1.1 429/);
});

e2e('lighttpd: a header that is spelt nearly like the proxy\'s counts nothing', async (bench) => {
	const env = { ASSISTANTS_RATE: '1', ASSISTANTS_TRUSTED_PROXIES: '127.0.0.1' };
	const site = await behindLighttpd(bench, env);
	const thread = await newThread(site);
	const lines = (forged) => `POST /threads/${thread}/messages HTTP/1.1\r\nHost: site\r\n` +
		`X-Forwarded-For: 192.0.2.7\r\nX_Forwarded_For: ${forged}\r\n` +
		'Content-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwords';
	assert.match(await raw(site.port, lines('203.0.113.1')), /^HTTP\/1.1 200/);
	assert.match(await raw(site.port, lines('203.0.113.2')), /^HTTP\/1.1 429/);
});

async function raw(port, text) {
	const socket = net.connect({ host: '127.0.0.1', port });
	socket.write(text);
	const pieces = [];
	for await (const piece of socket) pieces.push(piece);
	return String(Buffer.concat(pieces));
}

e2e('four processes and CGI count together, to the last message', async (bench) => {
	const model = await modelServer(bench);
	const env = { ...model.env, ASSISTANTS_RATE: '40' };
	const servers = [];
	for (let i = 0; i < 4; i++) servers.push(await bench.listen({ env, port: await freePort() }));
	const thread = () => newThread(servers[0]);
	const begun = Date.now();
	const asked = Array.from({ length: 100 }, async (_, i) =>
		say(servers[i % 4], await thread(), 'words'));
	const answers = await Promise.all(asked);
	const shell = await fromShell(bench, env);
	for (let i = 0; i < 20; i++) answers.push(await say(shell, await thread(), 'words'));
	for (const { status } of answers) assert.ok(status === 200 || status === 429, `${status}`);
	const admitted = answers.filter(({ status }) => status === 200).length;
	// Meanwhile one more is admitted every 1.5 seconds.
	const refilled = Math.ceil((Date.now() - begun) / 1500);
	assert.ok(admitted >= 40 && admitted <= 40 + refilled, `${admitted}, of them ${refilled} refilled`);
	assert.equal(model.requests.length, admitted);
});

e2e('new threads have a bound, too, ten times as wide', async (bench) => {
	const site = await bench.listen({ env: { ASSISTANTS_RATE: '1' } });
	for (let i = 0; i < 10; i++) await newThread(site);
	assertRefused(await site.request('POST', '/threads'), 6);
	assert.match((await newThread(from(site, '192.0.2.2'))), /^thread_/);
});

for (const [way, open] of [['lighttpd', behindLighttpd], ['mod_proxy_fcgi', behindProxyFcgi],
	['CGI', fromShell]]) {
	e2e(`${way}: with an access token set, only clients with it are admitted`, async (bench) => {
		const model = await modelServer(bench);
		const file = bench.file('token', `${TOKEN}\n`);
		const site = await open(bench, { ...model.env, ASSISTANTS_ACCESS_TOKEN_FILE: file });
		const created = await site.request('POST', '/threads', { headers: bearer(TOKEN) });
		assert.equal(created.status, 201);
		const thread = created.text;
		for (const headers of [{}, bearer('x'), bearer(`${TOKEN}x`), bearer(TOKEN.slice(1)),
			bearer(''), { authorization: `Basic ${TOKEN}` }]) {
			for (const answer of [await say(site, thread, 'words', headers),
				await site.request('POST', '/threads', { headers }),
				await site.request('GET', `/threads/${thread}/messages`, { headers }),
				await site.request('DELETE', `/threads/${thread}`, { headers })]) {
				assertSentence(answer, 401);
				assert.equal(answer.headers['www-authenticate'], 'Bearer');
			}
		}
		assert.equal(model.requests.length, 0);
		assert.equal((await say(site, thread, 'words', bearer(TOKEN))).status, 200);
		assert.ok(!bench.log().includes(TOKEN), 'the token is in the log');
	});
}

e2e('a body of a byte a second is given up, and other requests are answered', async (bench) => {
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_WORKERS: '8' } });
	const thread = await newThread(site);
	const params = cgiVariables({
		method: 'POST', path: `/threads/${thread}/messages`, withLength: false,
		headers: { 'content-type': 'text/plain' },
	});
	const slow = Array.from({ length: 5 }, (_, i) => fcgiTrickle(site.socket,
		{ ...params, REMOTE_ADDR: `192.0.2.${i}`, CONTENT_LENGTH: '1000' }));
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
	// The body of a request that is refused for another reason is not waited for either.
	const stranger = { ...params, CONTENT_LENGTH: '1000', HTTP_ORIGIN: EVIL };
	// However much of it comes.
	const long = { ...stranger, CONTENT_LENGTH: '1000000000' };
	const refused = [fcgiTrickle(site.socket, stranger),
		fcgiTrickle(site.socket, long, 'x'.repeat(4096))];
	for (const one of refused) assertSentence(await within(one, 'a slow stranger'), 403);
	for (const one of slow) assertSentence(await within(one, 'a slow body'), 408);
	assert.deepEqual(await transcript(site, thread), []);
	assert.equal(model.requests.length, 1);
});

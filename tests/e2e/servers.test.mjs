// What each web server, configured by the shipped files, passes to the program and back: paths, headers,
// bodies, errors.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { assertSentence, e2e, eventually, httpRequest, newThread, say } from './lib.mjs';
import { behindCgi, behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { behindFcgiwrap, behindLighttpd, behindNginx, placePage } from './lib-servers.mjs';
import { gate, modelServer, status, words } from './lib-upstream.mjs';

const FORMS = [['at the root', {}], ['below a prefix', { prefix: true }]];
const SERVERS = [
	{ name: 'lighttpd', open: behindLighttpd, forms: FORMS },
	// Its form below a prefix has the page, too.
	{ name: 'nginx', open: behindNginx, forms: FORMS, pageBelow: true },
	{ name: 'mod_proxy_fcgi', open: behindProxyFcgi, forms: FORMS },
	{ name: 'mod_fcgid', open: behindFcgid, forms: FORMS },
	// A .htaccess cannot allow encoded slashes, which Apache refuses by default.
	{ name: 'mod_cgid', open: behindCgid, forms: FORMS, refusesSlashes: true, page: 'site/chat' },
	{ name: 'mod_cgi', open: behindCgi, forms: [['in a folder of scripts', {}]], page: 'scripts/chat' },
	{ name: 'fcgiwrap', open: behindFcgiwrap, forms: FORMS.slice(0, 1) },
];

// As they are sent, and as the program must see them.
const ODD_PATHS = [
	['/a%3Fb', '/a?b'], ['/a%25b', '/a%b'], ['/a%2541', '/a%41'], ['/a%20b', '/a b'],
	['/a%23b', '/a#b'], ['/%C3%A9', '/é'], ['/a;b+c', '/a;b+c'], ['/a%22%5C', '/a"\\'],
	['/a//b', '/a/b'], ['/a/../b', '/b'], ['/a?b=%2F%3F', '/a'],
];
// Where the page is, it leads there.
const ROOT = ['/', '/'];
const ENCODED_SLASH = ['/a%2Fb', '/a/b'];

function pathSeen(bench, answer) {
	const id = answer.headers['x-request-id'];
	assert.ok(id, `not the program's answer: ${answer.text}`);
	const line = bench.logEntries().find(({ request_id, message }) =>
		request_id === id && message.startsWith('path '));
	return line.message.slice('path '.length);
}

async function pathsArrive(bench, site, { refusesSlashes, pageBelow }) {
	const paths = [...ODD_PATHS, ...(site.base && !pageBelow ? [ROOT] : []),
		...(refusesSlashes ? [] : [ENCODED_SLASH])];
	for (const [sent, seen] of paths) {
		const answer = await site.request('GET', sent);
		assertSentence(answer, 404);
		assert.equal(pathSeen(bench, answer), seen, sent);
	}
	if (refusesSlashes) {
		const { status, headers } = await site.request('GET', ENCODED_SLASH[0]);
		assert.deepEqual([status, headers['x-request-id']], [404, undefined]);
	}
	const created = await site.request('POST', '/threads');
	assert.equal(created.status, 201, created.text);
	assert.equal(created.headers.location, `${site.base}/threads/${created.text}`);
	// Encoded like this, the URI does not reveal the base; SCRIPT_NAME does.
	const odd = await site.request('POST', '/%74hreads');
	for (const { headers } of [created, odd]) {
		assert.equal((await httpRequest(site.port, 'DELETE', headers.location)).status, 204);
	}
}

for (const { name, open, forms, ...differs } of SERVERS) {
	for (const [where, form] of forms) {
		e2e(`${name}, ${where}: paths and Location`, async (bench) => {
			const site = await open(bench, { ASSISTANTS_LOG: 'debug' }, form);
			await pathsArrive(bench, site, differs);
			if (!form.prefix) return;
			const { headers } = await httpRequest(site.port, 'GET', '/assistantx/health');
			assert.equal(headers['x-request-id'], undefined, '/assistantx is not ours');
		});
	}

	e2e(`${name}: a POST without a length, as curl -X POST sends it`, async (bench) => {
		const { port, base } = await open(bench);
		const url = `http://127.0.0.1:${port}${base}/threads`;
		const answer = await bench.shell(`curl -s -w ' %{http_code}' -X POST ${url}`);
		assert.match(answer, /^thread_[A-Za-z0-9]{24} 201$/);
	});

	e2e(`${name}: a body in chunks, of unannounced length`, async (bench) => {
		const site = await open(bench);
		const thread = await newThread(site);
		const url = `http://127.0.0.1:${site.port}${site.base}/threads/${thread}/messages`;
		const answer = await bench.shell(`printf 'some words' |
			curl -s -w ' %{http_code}' -H 'Transfer-Encoding: chunked' --data-binary @- ${url}`);
		assert.match(answer, / 200$/);
		const read = await site.request('GET', `/threads/${thread}/messages`);
		assert.match(read.text, /^user: some words\n\nassistant: /);
	});

	e2e(`${name}: an error is passed on unchanged, with Retry-After`, async (bench) => {
		const model = await modelServer(bench);
		model.otherwise = status(429, { 'retry-after': '30' });
		bench.expectLog(/429/);
		const site = await open(bench, model.env);
		const headers = { accept: 'application/json' };
		const answer = await say(site, await newThread(site), 'words', headers);
		assert.equal(answer.status, 503);
		assert.equal(answer.headers['retry-after'], '30');
		assert.match(answer.headers['x-request-id'], /^req_/);
		assert.match(answer.headers['content-type'], /^application\/problem\+json/);
		assert.equal(answer.json.status, 503);
	});

	e2e(`${name}: Authorization reaches the program`, async (bench) => {
		const program = path.join(bench.dir, 'stand-in');
		const source = path.join(import.meta.dirname, 'stand-in.c');
		execFileSync('cc', ['-o', program, source, '-lfcgi']);
		const site = await open(bench, {}, { program });
		const headers = { authorization: 'Bearer a-token' };
		const answer = await site.request('GET', '/health', { headers });
		assert.match(answer.text, /^(REDIRECT_)?HTTP_AUTHORIZATION=Bearer a-token$/m);
	});
}

const INDEX = fs.readFileSync(path.join(import.meta.dirname, '../../www/index.html'), 'utf8');
const [, POLICY] = /http-equiv="Content-Security-Policy" content="(.*)"/.exec(INDEX);

async function pageIsServed(site) {
	for (const [file, type] of Object.entries({
		'': /^text\/html; charset=utf-8$/i, 'embed.html': /^text\/html; charset=utf-8$/i,
		'chat.css': /^text\/css; charset=utf-8$/i,
		'chat.js': /^(text|application)\/javascript; charset=utf-8$/i,
		'deep-chat/deepChat.js': /^(text|application)\/javascript; charset=utf-8$/i,
	})) {
		const { status, headers } = await site.request('GET', `/chat/${file}`);
		assert.equal(status, 200, file);
		assert.match(headers['content-type'], type, file);
		// A <meta> policy cannot have frame-ancestors.
		assert.equal(headers['content-security-policy'], `${POLICY}; frame-ancestors 'none'`, file);
		assert.equal(headers['x-content-type-options'], 'nosniff', file);
		assert.equal(headers['referrer-policy'], 'no-referrer', file);
		assert.equal(headers['cache-control'], 'no-cache', file);
	}
	assert.equal((await site.request('GET', '/chat/')).text, INDEX);
	const none = await site.request('GET', '/chat/none.js');
	assert.deepEqual([none.status, none.headers['x-request-id']], [404, undefined]);
	await newThread(site);
}

// The root leads to the page, and so does the page's folder without its slash.
async function pageIsFound(site) {
	for (const path of ['/', '/chat', ...(site.base ? [''] : [])]) {
		const { status, headers } = await site.request('GET', path);
		assert.equal(status, 302);
		assert.equal(headers.location.replace(/^http:\/\/[^/]+/, ''), `${site.base}/chat/`);
	}
}

for (const { name, open, forms, page, pageBelow } of SERVERS) {
	for (const [where, form] of forms) {
		e2e(`${name}, ${where}: the chat page beside the program, with its policy`, async (bench) => {
			placePage(bench, page && form.prefix ? page.replace('/', '/assistant/') : page);
			const site = await open(bench, {}, form);
			await pageIsServed(site);
			if (!page && (!form.prefix || pageBelow)) await pageIsFound(site);
		});
	}
}

for (const { name, open, page } of SERVERS.filter(({ page }) => page)) {
	e2e(`${name}: the chat page's files may be compressed, other than streams`, async (bench) => {
		placePage(bench, page);
		const site = await open(bench, {}, { compress: true });
		const headers = { 'accept-encoding': 'gzip' };
		const answer = await site.request('GET', '/chat/deep-chat/deepChat.js', { headers });
		assert.equal(answer.headers['content-encoding'], 'gzip');
	});
}

for (const [name, open] of [['mod_cgid', behindCgid], ['mod_cgi', behindCgi]]) {
	e2e(`${name}: nothing beside the program is shown or run`, async (bench) => {
		const site = await open(bench, {}, { prefix: true });
		const files = ['/INSTALL', '/INSTALL/', '/other.fcgi', '/lib/', '/lib/libfirst.so',
			'/lib/run.cgi', '/lib/run.cgi/a', '/lib/run.cgi/%0A', '/assistants'];
		for (const file of files) {
			const answer = await site.request('GET', file);
			assertSentence(answer, 404);
			assert.ok(answer.headers['x-request-id'], `${file} is not the program's`);
		}
		assert.equal((await site.request('GET', '/.htaccess')).status, 403);
		// Apache's own answer; it only reveals that there is a folder.
		assert.equal((await site.request('GET', '/lib')).status, 301);
		assert.equal((await site.request('GET', '/assistants.fcgi/health')).text, 'ok');
	});
}

e2e('mod_fcgid: conversations wait beside each other, a process each', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.otherwise = words('at last', held.opened);
	const site = await behindFcgid(bench, model.env);
	const threads = [await newThread(site), await newThread(site), await newThread(site)];
	const said = threads.map((thread) => say(site, thread, 'words'));
	await eventually('the model is asked', () => model.requests.length === threads.length);
	assert.equal((await site.request('GET', '/health')).status, 200);
	held.open();
	for (const answer of await Promise.all(said)) assert.equal(answer.text, 'at last');
	assert.ok(site.started().length > threads.length);
});

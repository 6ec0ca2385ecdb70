// The sites that are measured, all behind one nginx, and the servers behind them: the program in its ways,
// a PHP script, a Node worker, a hello; and nginx as a model server that costs nothing, and as the remote
// Assistants API.
//
// A site has `url`, and `pids` of its processes behind nginx. For conversations it has `fresh(count)`,
// which makes threads as fast as the database allows and returns a file with their ids, and `stored()`, the
// number of right answers that have been stored since the last call.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Bench, KEY, UPSTREAM_KEY, eventually, freePort, httpRequest, newThread, say, start }
	from '../e2e/lib.mjs';
import { makeKey } from '../e2e/lib-api.mjs';
import { serve, stop } from '../e2e/lib-servers.mjs';
import { database } from '../e2e/lib-state.mjs';
import { messageEvents, sse, usage } from '../e2e/lib-upstream.mjs';
import { BUILD, HERE } from './lib-bench.mjs';

export const WORDS = 'Subtract 11 from both sides, divide by 3: x = 1.';
export const QUESTION = 'I need to solve 3x + 11 = 14';
const PEERS = path.join(HERE, 'peers');
export const PHP_SCRIPT = path.join(PEERS, 'index.php');
// Each holds one conversation. On two cores 4 to 32 of them answer about as many.
const PHP_PROCESSES = 16;

/** Run `body` with a place in which sites are built, and remove it afterwards. */
export async function withPlace(body) {
	const bench = new Bench();
	const place = new Place(bench);
	try {
		const result = await body(place);
		await bench.close();
		return result;
	} catch (error) {
		console.error(place.logs());
		throw error;
	} finally {
		await bench.clear();
	}
}

class Place {
	constructor(bench) {
		Object.assign(this, { bench, servers: [], upstreams: [], benches: [] });
	}

	logs() {
		return [this.bench, ...this.benches].map((one) => one.log().slice(-2000)).join('\n');
	}

	/** Add a server to the nginx in front; returns its URL, valid after open(). */
	async behind(location) {
		const port = await freePort();
		this.servers.push(`server { listen 127.0.0.1:${port} backlog=4096; ${location} }`);
		return `http://127.0.0.1:${port}`;
	}

	/** Start the nginx in front of everything that was added. */
	async open() {
		this.front = await nginx(this.bench, 'front', 'auto', [...this.upstreams, ...this.servers]);
	}
}

/** An nginx with `worker_processes` and these blocks; resolves to its process id. */
async function nginx(bench, name, worker_processes, blocks) {
	const folder = path.join(bench.dir, name);
	fs.mkdirSync(folder, { mode: 0o755 });
	const paths = ['client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi']
		.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ');
	const [port] = /(?<=listen 127\.0\.0\.1:)\d+/.exec(blocks.join('\n'));
	const config = bench.file(`${name}.conf`, `
worker_processes ${worker_processes};
worker_rlimit_nofile 20000;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 16000; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_max_body_size 16m;
	client_body_buffer_size 64k;
	${paths}
	${blocks.join('\n\t')}
}
`);
	await serve(bench, 'nginx', ['-p', folder, '-c', config, '-e', `${folder}/error.log`, '-g',
		'daemon off;'], { port, env: { PATH: bench.env.PATH } });
	return Number(fs.readFileSync(`${folder}/pid`, 'utf8'));
}

/* --- what all sites use --- */

const thread = { id: 'thread_000000000000000000000001', object: 'thread', created_at: 1_790_000_000,
	metadata: {}, tool_resources: {} };
const assistant = { id: 'asst_000000000000000000000001', object: 'assistant',
	created_at: 1_790_000_000, name: 'assistants-fcgi', description: null, model: 'a-model',
	instructions: null, tools: [], metadata: {}, tool_resources: {}, temperature: 1, top_p: 1,
	response_format: 'auto' };
const run = { id: 'run_000000000000000000000001', object: 'thread.run', created_at: 1_790_000_000,
	thread_id: thread.id, assistant_id: assistant.id, status: 'queued', started_at: null,
	expires_at: 1_900_000_000, cancelled_at: null, failed_at: null, completed_at: null,
	required_action: null, last_error: null, model: 'a-model', instructions: '', tools: [],
	metadata: {}, usage: null, incomplete_details: null, temperature: 1, top_p: 1,
	max_prompt_tokens: null, max_completion_tokens: null, tool_choice: 'auto',
	parallel_tool_calls: true, response_format: 'auto',
	truncation_strategy: { type: 'auto', last_messages: null } };
const completed = { ...run, status: 'completed', started_at: 1_790_000_000,
	completed_at: 1_790_000_001, expires_at: null,
	usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 } };
const message = { id: 'msg_000000000000000000000001', object: 'thread.message',
	created_at: 1_790_000_000, thread_id: thread.id, status: 'completed', incomplete_details: null,
	completed_at: 1_790_000_001, incomplete_at: null, role: 'assistant', run_id: run.id,
	assistant_id: assistant.id, attachments: [], metadata: {},
	content: [{ type: 'text', text: { value: WORDS, annotations: [] } }] };

const list = (...data) => ({ object: 'list', data, first_id: data[0]?.id ?? null,
	last_id: data.at(-1)?.id ?? null, has_more: false });

/** The events of the model server's answer. */
export function responseStream() {
	return messageEvents({ type: 'output_text', text: WORDS, annotations: [] });
}

/** A run's stream of a remote Assistants API, as OpenAI's was. */
function runStream() {
	const empty = { ...message, status: 'in_progress', content: [], completed_at: null };
	const deltas = WORDS.match(/[^]{1,7}/g).map((value) => ['thread.message.delta', {
		id: message.id, object: 'thread.message.delta',
		delta: { content: [{ index: 0, type: 'text', text: { value } }] },
	}]);
	const events = [['thread.run.created', run], ['thread.run.queued', run],
		['thread.run.in_progress', { ...run, status: 'in_progress' }],
		['thread.message.created', empty], ['thread.message.in_progress', empty], ...deltas,
		['thread.message.completed', message], ['thread.run.completed', completed]];
	return `${events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
		.join('')}event: done\ndata: [DONE]\n\n`;
}

/**
 * One nginx that answers everything from memory, as fast as possible. `/v1` streams a response, and
 * is the remote Assistants API; `/plain/v1` answers the same as JSON, and a run as completed at
 * once. `lengths()` are the lengths of requests for responses since the last call, if they are
 * `logged`.
 */
export async function fixedServer(place, { logged = false } = {}) {
	const port = await freePort();
	const folder = path.join(place.bench.dir, 'answers');
	fs.mkdirSync(folder, { mode: 0o755 });
	const answer = (location, name, content) => {
		const text = typeof content === 'string' ? content : JSON.stringify(content);
		const type = name.endsWith('.sse') ? 'text/event-stream' : 'application/json';
		fs.writeFileSync(path.join(folder, name), text, { mode: 0o644 });
		// nginx answers a POST of a file with 405, whose error page is then that file.
		return `location ${location} { default_type ${type}; try_files /${name} =404;
			error_page 405 =200 /${name}; } location = /${name} { default_type ${type}; }`;
	};
	const response = responseStream().at(-1).response;
	const chat = { id: 'chatcmpl-1', object: 'chat.completion', created: 1_790_000_000,
		model: 'a-model', usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
		choices: [{ index: 0, finish_reason: 'stop',
			message: { role: 'assistant', content: WORDS, refusal: null } }] };
	assert.equal(usage.total_tokens, 18);
	const log = path.join(folder, 'log');
	const format = logged ? `log_format length '$request_length';` : '';
	const pid = await nginx(place.bench, 'fixed', 1, [`${format} server {
		${logged ? `access_log ${log} length;` : ''}
		listen 127.0.0.1:${port} backlog=4096;
		root ${folder};
		open_file_cache max=100 inactive=1h;
		open_file_cache_valid 1h;
		tcp_nopush on;
		${answer('= /v1/responses', 'responses.sse', sse(responseStream()))}
		${answer('= /plain/v1/responses', 'response.json', response)}
		${answer('= /v1/chat/completions', 'chat.json', chat)}
		${answer('= /v1/assistants', 'assistants.json', list(assistant))}
		${answer('~ ^/v1/assistants/', 'assistant.json', assistant)}
		${answer('~ ^/v1/threads/[^/]+/runs$', 'run.sse', runStream())}
		${answer('= /plain/v1/assistants', 'tutors.json', list({ ...assistant, name: 'Math Tutor' }))}
		${answer('= /v1/threads', 'thread.json', thread)}
		${answer('~ ^/plain/v1/threads/[^/]+/runs', 'run.json', completed)}
		${answer('~ ^/plain/v1/threads/[^/]+/messages$', 'messages.json', list(message))}
	}`]);
	const lengths = () => {
		const lines = fs.readFileSync(log, 'utf8').trim().split('\n').map(Number);
		fs.truncateSync(log);
		return lines;
	};
	return { url: `http://127.0.0.1:${port}`, pids: [pid], lengths };
}

/** A model server that sends `first`, and `rest` after a while, or, with -1, upon release(). */
export async function heldServer(place, first, rest, hold_ms) {
	const [a, b] = [['first', first], ['rest', rest]].map(([name, events]) =>
		place.bench.file(`${name}.sse`, sse(events)));
	const child = start(process.execPath, [path.join(PEERS, 'model.mjs'), a, b, String(hold_ms)],
		{ stdio: ['ignore', 'pipe', 'inherit'] });
	place.bench.onClose(() => stop(child));
	const [said] = await once(child.stdout, 'data');
	const port = Number(said);
	return {
		url: `http://127.0.0.1:${port}`, pids: [child.pid],
		held: async () => Number((await httpRequest(port, 'GET', '/held')).text),
		release: () => httpRequest(port, 'POST', '/release'),
	};
}

/* --- the program --- */

const asFastcgi = (socket) => `location / {
	fastcgi_pass unix:${socket};
	include /etc/nginx/fastcgi_params;
	fastcgi_split_path_info ^()(/.*)$;
	fastcgi_param PATH_INFO $fastcgi_path_info;
	fastcgi_read_timeout 660s;
}`;

export function sqlite(file, ...statements) {
	return execFileSync('sqlite3', ['-bail', file, '.timeout 20000', ...statements],
		{ encoding: 'utf8', maxBuffer: 1 << 30 });
}

export const NUMBERS = (count) => 'WITH RECURSIVE numbers (n) AS '
	+ `(VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count})`;
const NEW_ID = "'thread_' || lower(hex(randomblob(12)))";

/** `stored()` for a database whose table of messages has the text as this expression. */
function counter(file, words) {
	let seen = 0;
	return () => {
		const [newest, right] = sqlite(file, `SELECT coalesce(max(seq), ${seen}), count(*)
			FILTER (WHERE role = 'assistant' AND ${words} = '${WORDS}')
			FROM messages WHERE seq > ${seen}`).trim().split('|').map(Number);
		seen = newest;
		return right;
	};
}

/**
 * The program's state folder and environment, with these settings, and a site's functions for its
 * database.
 */
export function programBench(place, fixed, { env = {}, tenant = 'gateway', quiet = true } = {}) {
	const bench = new Bench();
	place.benches.push(bench);
	place.bench.onClose(async () => {
		await bench.close();
		if (quiet) bench.assertQuiet();
		await bench.clear();
	});
	Object.assign(bench.env, { OPENAI_BASE_URL: `${fixed.url}/v1`, OPENAI_API_KEY: KEY,
		ASSISTANTS_WORKERS: '300', ...env });
	const file = database(bench);
	const ids = path.join(bench.dir, 'ids');
	const fresh = (count) => {
		fs.writeFileSync(ids, sqlite(file, `${NUMBERS(count)}
			INSERT INTO threads (id, tenant, created_at, body)
			SELECT ${NEW_ID}, '${tenant}', unixepoch(), '{"metadata":{}}' FROM numbers
			RETURNING id`));
		return ids;
	};
	return { bench, file, fresh, stored: counter(file, "json_extract(content, '$[0].text.value')") };
}

/** Start the program with what programBench() made. */
export async function served(place, made) {
	const { socket, child } = await made.bench.listen();
	fs.chmodSync(socket, 0o666);
	return { ...made, pids: [child.pid], url: await place.behind(asFastcgi(socket)) };
}

/** The program, on a state folder of its own. */
export function programSite(place, fixed, options) {
	return served(place, programBench(place, fixed, options));
}

/** The program with a remote Assistants API, where all threads are the same one. */
export async function remoteSite(place, fixed) {
	const site = await programSite(place, fixed, { env: {
		ASSISTANTS_UPSTREAM_URL: `${fixed.url}/v1`, ASSISTANTS_UPSTREAM_KEY: UPSTREAM_KEY,
	} });
	return { ...site, fresh: undefined, stored: undefined };
}

/** The program's own /v1, with a `key`. */
export async function apiSite(place, fixed, env = {}) {
	const site = await programSite(place, fixed, { env, tenant: 'bench' });
	return { ...site, key: await makeKey(site.bench, 'bench') };
}

/* --- its peers --- */

/** The Node worker on an Assistants API. */
export async function nodeSite(place, { url, key, pids = [], fresh, stored }) {
	const port = await freePort();
	const child = start(process.execPath, [path.join(PEERS, 'worker.mjs')], {
		env: { PATH: process.env.PATH, NODE_ENV: 'production', PORT: String(port),
			OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: key },
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	place.bench.onClose(() => stop(child));
	await eventually('the worker listens', () =>
		httpRequest(port, 'GET', '/').then(() => true, () => false));
	place.upstreams.push(`upstream node${port} { server 127.0.0.1:${port}; keepalive 256; }`);
	return {
		fresh, stored, pids: [child.pid, ...pids],
		url: await place.behind(`location / { proxy_pass http://node${port};
			proxy_http_version 1.1; proxy_set_header Connection ""; }`),
	};
}

function phpFpm() {
	const found = fs.globSync ? fs.globSync('/usr/sbin/php-fpm*') : fs.readdirSync('/usr/sbin')
		.filter((name) => name.startsWith('php-fpm')).map((name) => `/usr/sbin/${name}`);
	assert.ok(found.length > 0, 'php-fpm is not installed');
	return found[0];
}

/** The PHP script's variables, and a site's functions for its database. */
export function phpBench(place, fixed) {
	const file = path.join(place.bench.dir, 'php.db');
	execFileSync('sqlite3', ['-bail', file], {
		input: fs.readFileSync(path.join(PEERS, 'schema.sql')), stdio: ['pipe', 'ignore', 'inherit'],
	});
	const ids = path.join(place.bench.dir, 'php-ids');
	const fresh = (count) => {
		fs.writeFileSync(ids, sqlite(file, `${NUMBERS(count)} INSERT INTO threads (id, created_at)
			SELECT ${NEW_ID}, unixepoch() FROM numbers RETURNING id`));
		return ids;
	};
	const env = { DATABASE: file, MODEL_URL: `${fixed.url}/plain/v1`, OPENAI_API_KEY: KEY };
	return { env, file, fresh, stored: counter(file, 'content') };
}

/** The PHP script under PHP-FPM. */
export async function phpSite(place, fixed) {
	const { env, ...data } = phpBench(place, fixed);
	const socket = path.join(place.bench.dir, 'php-socket');
	const config = place.bench.file('php-fpm.conf', `
[global]
daemonize = no
error_log = ${place.bench.dir}/php-fpm.log
[www]
user = ${os.userInfo().username}
listen = ${socket}
listen.mode = 0666
listen.backlog = 4096
pm = static
pm.max_children = ${PHP_PROCESSES}
php_admin_value[opcache.validate_timestamps] = 0
${Object.entries(env).map(([name, value]) => `env[${name}] = ${value}`).join('\n')}
`);
	const child = start(phpFpm(), ['-y', config, ...(process.getuid() === 0 ? ['-R'] : [])],
		{ stdio: ['ignore', 'ignore', 'ignore'] });
	place.bench.onClose(() => stop(child));
	await eventually('PHP-FPM listens', () => fs.existsSync(socket));
	return {
		...data, pids: [child.pid],
		url: await place.behind(asFastcgi(socket).replace('fastcgi_split_path_info',
			`fastcgi_param SCRIPT_FILENAME ${PHP_SCRIPT}; fastcgi_split_path_info`)),
	};
}

/** A FastCGI responder that says hello. */
export async function helloSite(place) {
	const socket = path.join(place.bench.dir, 'hello-socket');
	const child = start(path.join(BUILD, 'bin', 'hello'), [socket],
		{ stdio: ['ignore', 'ignore', 'inherit'] });
	// libfcgi ignores SIGTERM.
	place.bench.onClose(() => child.end('SIGKILL'));
	await eventually('hello listens', () => fs.existsSync(socket));
	fs.chmodSync(socket, 0o666);
	return { pids: [child.pid], url: await place.behind(asFastcgi(socket)) };
}

/** nginx alone, as a proxy to the model server. */
export async function proxySite(place, fixed) {
	const { host } = new URL(fixed.url);
	place.upstreams.push(`upstream fixed { server ${host}; keepalive 256; }`);
	return { pids: [], url: await place.behind(`location / { proxy_pass http://fixed;
		proxy_http_version 1.1; proxy_set_header Connection ""; }`) };
}

/* --- requests --- */

/** Ask the site once, so that everything that is made once exists, and check that it works. */
export async function tryOut(site) {
	const port = Number(new URL(site.url).port);
	const at = { request: (method, uri, more) => httpRequest(port, method, uri, more) };
	const id = await newThread(at);
	const answer = await say(at, id, QUESTION);
	assert.deepEqual([answer.status, answer.text.trim()], [200, WORDS]);
}

/** The variables of messages.lua for messages to a site, each to one of `count` new threads. */
export function messages(site, count, more = {}) {
	const threads = site.fresh ? { ASKED_PATH: '/threads/ID/messages', THREADS: site.fresh(count) }
		: { ASKED_PATH: `/threads/${thread.id}/messages` };
	return { ...threads, BODY: QUESTION, ...more };
}

/** The variables of messages.lua for requests to a fixed server. */
export function question(at, type = 'application/json') {
	return { ASKED_PATH: at, TYPE: type,
		BODY: JSON.stringify({ model: 'm', stream: true, store: false, input: QUESTION }) };
}

// The bench of each end-to-end test: a folder, an environment and a log, ways to start the program, and
// checks of what the program left behind.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Answer, cgiVariables, parseCgi } from './lib-cgi.mjs';
import { fcgiRequest } from './lib-fcgi.mjs';

export const PROGRAM = process.env.ASSISTANTS_FCGI;
assert.ok(PROGRAM, 'ASSISTANTS_FCGI names no program; run the tests by tools/e2e.sh');

// Secrets that no answer and no log may have; one looks like a key of OpenAI's, one does not.
export const KEY = 'sk-test-4kWq0Zc7mB2xT9';
export const UPSTREAM_KEY = 'the-upstream-s-key-9vQ2sT';
// The time-out of every wait; generous, for builds with sanitizers.
export const PATIENCE_MS = 60_000;

const children = new Set();
// A test run that is interrupted leaves nothing running.
process.on('exit', () => children.forEach((child) => child.end('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** A test with a bench; an unexpected line on the program's standard error fails it. */
export function e2e(name, body) {
	test(name, async (t) => {
		const bench = new Bench();
		try {
			await body(bench, t);
			await bench.close();
			bench.assertQuiet();
		} catch (error) {
			t.diagnostic(`the program's log:\n${bench.log()}`);
			throw error;
		} finally {
			await bench.clear();
		}
	});
}

/** Poll until `probe` returns something truthy; returns that. */
export async function eventually(what, probe) {
	for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(20)) {
		const found = await probe();
		if (found) return found;
	}
	assert.fail(`waited ${PATIENCE_MS} ms in vain: ${what}`);
}

/*
 * Ports for servers that cannot choose one. They are below the kernel's own range, and each test
 * file, a process, has a hundred for itself, so nothing else takes one first.
 */
let nextPort = 10_000 + (process.pid % 200) * 100;

/** A port of 127.0.0.1 that nobody listens on. */
export async function freePort() {
	const port = nextPort++;
	const server = net.createServer().listen(port, '127.0.0.1');
	const free = await once(server, 'listening').then(() => true, () => false);
	server.close();
	return free ? port : freePort();
}

/**
 * A child process; `.ended` resolves to {code, signal}. `.end(signal)` sends a signal, to a
 * detached one and all its children.
 */
export function start(command, args, options) {
	const child = spawn(command, args, options);
	children.add(child);
	child.end = (signal) => {
		if (options.detached) process.kill(-child.pid, signal);
		else child.kill(signal);
	};
	child.ended = new Promise((resolve, reject) => {
		child.once('error', reject);
		child.once('close', (code, signal) => {
			children.delete(child);
			resolve({ code, signal });
		});
	});
	return child;
}

/** `promise`, or a failure if it takes too long. */
export function within(promise, what, limit_ms = PATIENCE_MS) {
	const late = sleep(limit_ms, undefined, { ref: false })
		.then(() => assert.fail(`waited ${limit_ms} ms in vain: ${what}`));
	return Promise.race([promise, late]);
}

async function collect(stream) {
	const pieces = [];
	for await (const piece of stream) pieces.push(piece);
	return Buffer.concat(pieces);
}

/** Send one HTTP request; the path is sent unchanged, on a connection of its own. */
export function httpRequest(port, method, uri, { headers = {}, body } = {}) {
	const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
	const sent = new Promise((resolve, reject) => {
		const options = { host: '127.0.0.1', port, method, path: uri, agent: false };
		const request = http.request({ ...options, headers: { ...length, ...headers } });
		request.once('error', reject);
		request.once('response', (response) => {
			collect(response).then((content) => {
				resolve(new Answer(response.statusCode, response.headers, content));
			}, reject);
		});
		request.end(body);
	});
	return within(sent, `${method} ${uri}`);
}

/** Send a request without waiting; destroy() makes the client leave. */
export function openRequest(port, method, uri, body) {
	const headers = { 'content-length': Buffer.byteLength(body) };
	const options = { host: '127.0.0.1', port, method, path: uri, agent: false, headers };
	// For Node, leaving before the answer is an error.
	const request = http.request(options).on('error', () => {});
	request.end(body);
	return request;
}

export class Bench {
	constructor() {
		this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'assistants-e2e-'));
		// A web server that drops root's rights must reach the socket in this folder.
		fs.chmodSync(this.dir, 0o711);
		this.config = this.file('config', '');
		this.state = path.join(this.dir, 'state');
		this.logFile = this.file('stderr.log', '');
		this.env = {
			PATH: process.env.PATH, HOME: this.dir,
			ASSISTANTS_CONFIG: this.config, ASSISTANTS_STATE_DIR: this.state,
			// All clients of a test have one address, and some receive megabytes.
			ASSISTANTS_RATE: 'off', ASSISTANTS_DAILY_TOKENS: 'off',
		};
		// A command that starts the program, such as a shell or setpriv.
		this.via = [];
		this.expected = [];
		this.closers = [];
	}

	/** Write a file into the bench's folder; returns its path. */
	file(name, content, mode = 0o600) {
		const where = path.join(this.dir, name);
		fs.writeFileSync(where, content, { mode });
		return where;
	}

	log() {
		return fs.readFileSync(this.logFile, 'utf8');
	}

	/** Call `closer` at the end of the test; the last one first. */
	onClose(closer) {
		this.closers.push(closer);
	}

	/** Expect log lines of level warn or error; each pattern must then match one. */
	expectLog(...patterns) {
		this.expected.push(...patterns);
	}

	async close() {
		while (this.closers.length > 0) await this.closers.pop()();
	}

	/** After a failed test: stop everything silently, and remove the folder. */
	async clear() {
		for (const closer of this.closers.reverse()) {
			await Promise.resolve().then(closer).catch(() => {});
		}
		fs.rmSync(this.dir, { recursive: true, force: true });
	}

	/** The program's log as objects; any other line fails the test. */
	logEntries() {
		return this.log().split('\n').filter(Boolean).map((line) => {
			const entry = JSON.parse(line);
			assert.match(entry.level, /^(error|warn|info|debug)$/, line);
			assert.ok(entry.time && typeof entry.message === 'string', line);
			return entry;
		});
	}

	assertQuiet() {
		const keys = [KEY, UPSTREAM_KEY].filter((key) => this.log().includes(key));
		assert.deepEqual(keys, [], 'a key in the log');
		// Anybody with a thread's id can read the conversation.
		const ids = this.log().match(/.*thread_[A-Za-z0-9]{24}.*/g) ?? [];
		assert.deepEqual(ids, [], 'a whole thread id in the log');
		const loud = this.logEntries().filter(({ level }) => /error|warn/.test(level))
			.map(({ message }) => message);
		const surprises = loud
			.filter((line) => !this.expected.some((one) => one.test(line)));
		assert.deepEqual(surprises, [], 'unexpected lines on standard error');
		const missing = this.expected.filter((one) => !loud.some((line) => one.test(line)));
		assert.deepEqual(missing, [], 'expected in the log, and not there');
	}

	/** A copy of the program in a folder in which the test may write. */
	programCopy() {
		const folder = path.join(this.dir, 'program');
		fs.mkdirSync(folder);
		const program = path.join(folder, path.basename(PROGRAM));
		fs.copyFileSync(PROGRAM, program);
		return { folder, program };
	}

	/**
	 * A copy of the example tools, because a web server's user may not reach the project's
	 * folder.
	 */
	exampleTools() {
		const folder = path.join(this.dir, 'example-tools');
		fs.cpSync(path.resolve(import.meta.dirname, '../../examples/tools'), folder, { recursive: true });
		fs.chmodSync(folder, 0o755);
		return folder;
	}

	/** Run the program with arguments, as a command; returns {code, stdout, stderr}. */
	async command(args, env = {}, program = PROGRAM) {
		const stdio = ['ignore', 'pipe', 'pipe'];
		const child = start(program, args, { env: { ...this.env, ...env }, stdio });
		const outputs = Promise.all([child.stdout, child.stderr].map(collect));
		const { code } = await within(child.ended, `${program} ${args.join(' ')}`);
		const [stdout, stderr] = (await outputs).map(String);
		return { code, stdout, stderr };
	}

	/** Run a script by /bin/sh, which must succeed; returns what it printed. */
	async shell(script, env = {}) {
		const log = fs.openSync(this.logFile, 'a');
		const child = start('/bin/sh', ['-c', script], {
			cwd: this.dir, env: { ...this.env, TMPDIR: this.dir, ...env },
			stdio: ['ignore', 'pipe', log],
		});
		fs.closeSync(log);
		const output = collect(child.stdout);
		const { code } = await within(child.ended, script);
		assert.equal(code, 0, `${script}\n${await output}`);
		return String(await output);
	}

	startProgram(words, options) {
		const [command, ...rest] = [...this.via, ...words];
		return start(command, rest, options);
	}

	/** Start it as plain CGI on one request; `.output` resolves to what it wrote. */
	startCgi({ env = {}, body = '', command = [PROGRAM], ...request }) {
		const log = fs.openSync(this.logFile, 'a');
		const child = this.startProgram(command, {
			env: { ...this.env, ...env, ...cgiVariables({ body, ...request }) },
			stdio: ['pipe', 'pipe', log],
		});
		fs.closeSync(log);
		// A program that answers without reading the whole body may close the pipe first.
		child.stdin.on('error', () => {});
		child.stdin.end(body);
		child.output = collect(child.stdout);
		return child;
	}

	/** Answer one request as plain CGI, by environment and standard input. */
	async cgi(request) {
		const child = this.startCgi(request);
		const ended = await within(child.ended, `${request.method} as CGI`);
		assert.deepEqual(ended, { code: 0, signal: null });
		return parseCgi(await child.output);
	}

	/**
	 * Start the program as a FastCGI server, on a socket in the bench's folder or on a port.
	 */
	async listen({ env = {}, args = [], port, name = 'socket', program = PROGRAM } = {}) {
		const log = fs.openSync(this.logFile, 'a');
		const address = port ? `127.0.0.1:${port}` : `unix:${this.dir}/${name}`;
		const socket = port ? { host: '127.0.0.1', port } : path.join(this.dir, name);
		const child = this.startProgram([program, '--listen', address, ...args], {
			env: { ...this.env, ...env }, stdio: ['ignore', 'ignore', log],
		});
		fs.closeSync(log);
		const server = new Server(child, socket);
		this.onClose(() => server.stop());
		const stopped = child.ended.then(() => assert.fail('the program did not start'));
		await Promise.race([eventually('the socket', () => answers(socket)), stopped]);
		return server;
	}
}

/** Whether the program accepts a connection on its socket. */
export function answers(socket) {
	return new Promise((resolve) => {
		const probe = net.connect(socket, () => probe.end());
		probe.once('error', () => resolve(false)).once('close', (bad) => resolve(!bad));
	});
}

/** The program, started with --listen and used by FastCGI, without a web server. */
class Server {
	constructor(child, socket) {
		Object.assign(this, { child, socket });
	}

	async request(method, uri, { headers, body, scriptName, remoteAddr } = {}) {
		const params = cgiVariables({ method, path: uri, headers, body, scriptName, remoteAddr });
		return within(fcgiRequest(this.socket, params, body), `${method} ${uri}`);
	}

	/** Send SIGTERM, once; the program must be alive, and end with status 0. */
	stop() {
		this.stopped ??= this.terminate();
		return this.stopped;
	}

	async terminate() {
		const { exitCode, signalCode } = this.child;
		assert.equal(exitCode ?? signalCode, null, 'the program died');
		this.child.kill('SIGTERM');
		assert.deepEqual(await within(this.child.ended, 'the program\'s end'),
			{ code: 0, signal: null });
	}

	/** End the process without time to clean up. */
	async kill() {
		this.stopped = this.child.ended;
		this.child.kill('SIGKILL');
		await this.child.ended;
	}
}

/** POST /threads; returns the new thread's id. */
export async function newThread(site) {
	const answer = await site.request('POST', '/threads');
	assert.equal(answer.status, 201, answer.text);
	assert.match(answer.text, /^thread_[A-Za-z0-9]{24}$/);
	return answer.text;
}

/** POST a message as text; returns the answer, whatever it is. */
export function say(site, thread, words, headers = {}) {
	const plain = { 'content-type': 'text/plain', ...headers };
	return site.request('POST', `/threads/${thread}/messages`, { headers: plain, body: words });
}

/** The conversation as [[role, text], …]. */
export async function transcript(site, thread) {
	const headers = { accept: 'application/json' };
	const answer = await site.request('GET', `/threads/${thread}/messages`, { headers });
	assert.equal(answer.status, 200, answer.text);
	return answer.json.messages.map(({ role, text }) => [role, text]);
}

/** Assert one plain sentence of the program's own, with this status. */
export function assertSentence(answer, status) {
	assert.equal(answer.status, status, answer.text);
	assert.match(answer.headers['content-type'], /^text\/plain/);
	assert.match(answer.text, /^[A-Z'"`\/][^\n]*[.!?]\n?$/);
}

// A scripted remote Assistants API, version 2: it stores assistants, threads, messages and runs, and its
// runs go as the test says.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { UPSTREAM_KEY } from './lib.mjs';

const TERMINAL = /^(completed|failed|cancelled|expired|incomplete)$/;

let made = 0;

// An id of the API's form; ids sort by age.
function newId(prefix) {
	made += 1;
	return `${prefix}_${String(made).padStart(24, '0')}`;
}

const now = () => Math.floor(Date.now() / 1000);

/** Start an empty remote whose runs complete at once with the text 'hello'. */
export async function remoteServer(bench) {
	const remote = new Remote();
	const server = http.createServer((request, response) => remote.serve(request, response));
	server.on('connection', () => { remote.connections += 1; });
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	bench.onClose(() => {
		server.closeAllConnections();
		server.close();
	});
	remote.env = {
		ASSISTANTS_UPSTREAM_URL: `http://127.0.0.1:${server.address().port}/v1`,
		ASSISTANTS_UPSTREAM_KEY: UPSTREAM_KEY,
	};
	return remote;
}

class Remote {
	constructor() {
		this.assistants = [];
		this.threads = new Map();
		// For GET /files/{id}: id → name.
		this.files = new Map();
		// Every request as {line: 'METHOD /path?query', headers, body}.
		this.requests = [];
		this.connections = 0;
		/*
		 * The scripts of the next runs, and of all runs after these: `states` are the run's
		 * fields at each poll, `answers` its messages.
		 */
		this.nextRuns = [];
		this.run = { states: [{ status: 'completed' }], answers: ['hello'] };
		/*
		 * 'json': ignores stream:true; 'stream'; 'cut': breaks after thread.run.created;
		 * 'cut late': breaks before the run's last event; 'open': stays open, silently,
		 * after the run's last event.
		 */
		this.mode = 'json';
		this.runHeaders = {};
		this.pageSize = 100;
		// Lists ignore `after`: they return the first page forever, with has_more.
		this.endless = false;
		// A promise that delays a new run's id, and what follows it in a stream.
		this.beforeCreated = Promise.resolve();
		this.afterCreated = Promise.resolve();
		// Given a path, returns the answer to send instead, perhaps a function of the response; or
		// undefined.
		this.refuse = () => undefined;
	}

	/** The requests since the last call, one a line, with ids as ID. */
	takeLog() {
		return this.requests.splice(0)
			.map(({ line }) => line.replace(/(asst|thread|run|msg)_\w{24}/g, 'ID'));
	}

	/** Add an assistant as the newest one. */
	addAssistant(fields) {
		const assistant = {
			id: newId('asst'), object: 'assistant', created_at: now(), name: null,
			description: null, model: 'a-model', instructions: null, tools: [],
			metadata: {}, ...fields,
		};
		this.assistants.push(assistant);
		return assistant;
	}

	addThread() {
		const thread = {
			id: newId('thread'), object: 'thread', created_at: now(), metadata: {},
			tool_resources: {},
		};
		this.threads.set(thread.id, { thread, messages: [], runs: new Map() });
		return thread;
	}

	async serve(request, response) {
		const pieces = [];
		for await (const piece of request) pieces.push(piece);
		const text = Buffer.concat(pieces).toString();
		const body = text === '' ? {} : JSON.parse(text);
		const { method, url, headers } = request;
		this.requests.push({ line: `${method} ${url}`, headers, body });
		const { pathname, searchParams } = new URL(url, 'http://remote');
		const parts = pathname.split('/').slice(2);
		const call = { method, parts, query: searchParams, body, response };
		const answer = this.refuse(pathname) ?? await this.dispatch(call);
		if (answer === undefined) return;
		if (typeof answer === 'function') {
			await answer(response);
			return;
		}
		const { code = 200, headers: more = {}, json = answer } = answer;
		response.writeHead(code, { 'content-type': 'application/json', ...more });
		response.end(JSON.stringify(json));
	}

	dispatch(call) {
		const [kind, id, ...rest] = call.parts;
		if (kind === 'assistants') return this.serveAssistants(call, id);
		if (kind === 'files') return this.serveFile(id);
		if (kind !== 'threads') return problem(404, 'no such path');
		if (id === undefined) return this.addThread();
		const thread = this.threads.get(id);
		if (!thread) return problem(404, `No thread found with id '${id}'.`);
		return this.serveThread(call, thread, rest);
	}

	serveAssistants({ method, query, body }, id) {
		if (id === undefined) {
			if (method === 'POST') return this.addAssistant(body);
			return this.page(this.assistants, query);
		}
		const found = this.assistants.find((one) => one.id === id);
		if (!found) return problem(404, `No assistant found with id '${id}'.`);
		return method === 'POST' ? Object.assign(found, body) : found;
	}

	serveFile(id) {
		const filename = this.files.get(id);
		if (!filename) return problem(404, `No such File object: ${id}`);
		return { id, object: 'file', bytes: 1, created_at: now(), filename, purpose: 'assistants' };
	}

	serveThread({ method, query, body, response }, at, [kind, id, action]) {
		if (kind === undefined) {
			const { id: deleted } = at.thread;
			if (method !== 'DELETE') return at.thread;
			this.threads.delete(deleted);
			return { id: deleted, object: 'thread.deleted', deleted: true };
		}
		if (kind === 'messages') {
			if (method === 'POST') return addMessage(at, body);
			const run_id = query.get('run_id');
			const wanted = (message) => !run_id || message.run_id === run_id;
			return this.page(at.messages.filter(wanted), query);
		}
		if (id === undefined) return this.createRun(at, body, response);
		const run = at.runs.get(id);
		if (!run) return problem(404, `No run found with id '${id}'.`);
		if (action === 'cancel') return cancel(run);
		if (method === 'POST') return shown(Object.assign(run, body));
		return this.poll(at, run);
	}

	createRun(at, body, response) {
		if (!this.assistants.some(({ id }) => id === body.assistant_id)) {
			return problem(404, `No assistant found with id '${body.assistant_id}'.`);
		}
		const active = [...at.runs.values()].find(({ status }) => !TERMINAL.test(status));
		if (active) {
			return problem(400,
				`Thread ${at.thread.id} already has an active run ${active.id}.`);
		}
		for (const message of body.additional_messages ?? []) addMessage(at, message);
		const script = this.nextRuns.shift() ?? this.run;
		const run = makeRun(at, body, script);
		at.runs.set(run.id, run);
		if (this.mode === 'json' || !body.stream) {
			return this.beforeCreated.then(() => this.shown(run));
		}
		this.stream(at, run, response);
		return undefined;
	}

	poll(at, run) {
		const [now, ...later] = run.states;
		if (now && run.status !== 'cancelled') {
			run.states = later;
			settle(at, run, now);
		}
		return this.shown(run);
	}

	shown(run) {
		return { json: shown(run), headers: this.runHeaders };
	}

	async stream(at, run, response) {
		const send = (event, data) => {
			const text = typeof data === 'string' ? data : JSON.stringify(data);
			response.write(`event: ${event}\ndata: ${text}\n\n`);
		};
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		response.flushHeaders();
		await this.beforeCreated;
		send('thread.run.created', shown(run));
		await this.afterCreated;
		if (this.mode === 'cut') {
			setTimeout(() => response.destroy(), 50);
			return;
		}
		send('thread.run.queued', shown(run));
		send('thread.run.in_progress', { ...shown(run), status: 'in_progress' });
		settle(at, run, run.states.at(-1));
		const answers = at.messages.filter(({ run_id }) => run_id === run.id);
		answers.forEach((message) => sendMessage(send, message));
		if (this.mode === 'cut late') {
			setTimeout(() => response.destroy(), 50);
			return;
		}
		send(`thread.run.${run.status}`, shown(run));
		if (this.mode === 'open') return;
		send('done', '[DONE]');
		response.end();
	}

	page(all, query) {
		const ordered = query.get('order') === 'asc' ? [...all] : [...all].reverse();
		const after = this.endless ? null : query.get('after');
		const from = after ? ordered.findIndex(({ id }) => id === after) + 1 : 0;
		const limit = Math.min(Number(query.get('limit') ?? 20), this.pageSize);
		const data = ordered.slice(from, from + limit);
		const [first_id, last_id] = [data[0]?.id ?? null, data.at(-1)?.id ?? null];
		const has_more = this.endless || from + limit < all.length;
		return { object: 'list', data, first_id, last_id, has_more };
	}
}

/** An error in the API's form with the status `code`. */
export function problem(code, message, headers = {}) {
	const type = 'invalid_request_error';
	return { code, headers, json: { error: { message, type, param: null, code: null } } };
}

function addMessage({ thread, messages }, { role, content, run_id = null, assistant_id = null }) {
	const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content;
	const message = {
		id: newId('msg'), object: 'thread.message', created_at: now(),
		thread_id: thread.id, status: 'completed', incomplete_details: null,
		completed_at: now(), incomplete_at: null, role, assistant_id, run_id,
		attachments: [], metadata: {},
		content: parts.map(({ text, annotations = [] }) => {
			return { type: 'text', text: { value: text, annotations } };
		}),
	};
	messages.push(message);
	return message;
}

function makeRun({ thread }, { assistant_id, metadata = {} }, { states, answers }) {
	return {
		id: newId('run'), object: 'thread.run', created_at: now(),
		thread_id: thread.id, assistant_id, status: 'queued', required_action: null,
		last_error: null, expires_at: 1_900_000_000, started_at: null, cancelled_at: null,
		failed_at: null, completed_at: null, model: 'a-model', instructions: '', tools: [],
		metadata, usage: null, incomplete_details: null, max_prompt_tokens: null,
		max_completion_tokens: null, tool_choice: 'auto', parallel_tool_calls: true,
		truncation_strategy: { type: 'auto', last_messages: null }, response_format: 'auto',
		states, answers: [...answers],
	};
}

// A run as the API shows it, without the test's own fields.
function shown({ states, answers, ...run }) {
	return run;
}

function settle(at, run, state) {
	Object.assign(run, state);
	if (!/^(completed|incomplete)$/.test(run.status)) return;
	run.usage ??= { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
	const { id: run_id, assistant_id } = run;
	for (const content of run.answers.splice(0)) {
		addMessage(at, { role: 'assistant', content, run_id, assistant_id });
	}
}

function cancel(run) {
	if (TERMINAL.test(run.status)) {
		return problem(400, `Cannot cancel run with status '${run.status}'.`);
	}
	run.status = 'cancelled';
	run.cancelled_at = now();
	return shown({ ...run, status: 'cancelling' });
}

function sendMessage(send, message) {
	const { id } = message;
	const object = 'thread.message.delta';
	const empty = { ...message, status: 'in_progress', content: [], completed_at: null };
	send('thread.message.created', empty);
	send('thread.message.in_progress', empty);
	const { value } = message.content[0].text;
	(value.match(/[^]{1,7}/g) ?? []).forEach((piece) => {
		const content = [{ index: 0, type: 'text', text: { value: piece } }];
		send(object, { id, object, delta: { content } });
	});
	send('thread.message.completed', message);
}

/** Whether a request with this line, a pattern, was received. */
export function requested(remote, line) {
	return remote.requests.some((one) => line.test(one.line));
}

/** Assert that a run was cancelled, by a request with Content-Length: 0. */
export function assertCancelled(remote) {
	const cancel = remote.requests.find(({ line }) => line.endsWith('/cancel'));
	assert.ok(cancel, 'no run was cancelled');
	assert.equal(cancel.headers['content-length'], '0');
}

/** Assert that a request has the headers of version 2. */
export function assertCredentials({ headers }) {
	assert.equal(headers.authorization, `Bearer ${UPSTREAM_KEY}`);
	assert.equal(headers['openai-beta'], 'assistants=v2');
}

// Twenty conversations at once, a program that is killed meanwhile, and a check of what is left: what was
// acknowledged must be there, once and in order, and every thread must work.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { newThread, say, transcript, within } from '../e2e/lib.mjs';
import { parseCgi } from '../e2e/lib-cgi.mjs';
import { database, sql } from '../e2e/lib-state.mjs';
import { messageEvents, modelServer, newestWords, sse } from '../e2e/lib-upstream.mjs';

/** Whether everything that the soak tests promise is run, alone on the machine. */
export const FULL = process.env.SOAK === 'full';

/** The full count, or a fortieth of it, which `make check` runs. */
export const share = (count) => (FULL ? count : Math.ceil(count / 40));

const THREADS = 20;
// A new folder now and then: databases stay small, and are also killed while they are made.
const ROUNDS_A_FOLDER = 10;
const CGI_ROUND = 5; // of each folder
const RENEWED = 1 / 8; // of the threads, each round
const PIECE_MAX = 10; // events
const PAUSE_MAX_MS = 10;
const KILL_DELAY_MAX_MS = 20;
const NEXT_MAX_MS = 3000;

const answerTo = (words) => `This is what there is to say to ${words}.`;

/** A model server that repeats the question, in pieces with small pauses. */
export async function repeatingModel(bench) {
	const model = await modelServer(bench);
	model.otherwise = async (response, { json }) => {
		// There are thousands of requests.
		model.requests.length = 0;
		const text = answerTo(newestWords(json));
		const events = messageEvents({ type: 'output_text', text, annotations: [] });
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		while (events.length > 0) {
			await sleep(Math.random() * PAUSE_MAX_MS);
			response.write(sse(events.splice(0, 1 + Math.random() * PIECE_MAX)));
		}
		response.end();
	};
	return model;
}

// One conversation, and what must be found of it.
class Talk {
	constructor(crowd) {
		this.crowd = crowd;
		this.begin(undefined);
	}

	begin(thread) {
		this.thread = thread;
		this.known = []; // [[role, text], …]: acknowledged, or seen since
		this.open = undefined; // text that was sent and not acknowledged
	}

	// Send a message. Throws unless it is answered; a program that was not killed must answer.
	async speak(site) {
		const words = this.crowd.newWords();
		this.open = words;
		const answer = await this.crowd.answerOf(say(site, this.thread, words));
		if (!answer) return;
		assert.deepEqual([answer.status, answer.text.trimEnd()], [200, answerTo(words)]);
		this.acknowledge(words);
	}

	acknowledge(words) {
		this.known.push(['user', words], ['assistant', answerTo(words)]);
		this.open = undefined;
		this.crowd.acknowledged += 2;
	}

	async renew(site) {
		if (this.thread) this.crowd.retired.push([this.thread, this.known]);
		this.begin(undefined);
		const answer = await this.crowd.answerOf(site.request('POST', '/threads'));
		if (!answer) return;
		assert.equal(answer.status, 201, answer.text);
		this.begin(answer.text);
		this.crowd.acknowledged += 1;
	}

	// After a kill and a restart: the next message, and everything before it.
	async goOn(site) {
		if (!this.thread) this.begin(await newThread(site));
		const words = this.crowd.newWords();
		const asked_ms = Date.now();
		const answer = await say(site, this.thread, words);
		this.crowd.slowest_ms = Math.max(this.crowd.slowest_ms, Date.now() - asked_ms);
		assert.deepEqual([answer.status, answer.text.trimEnd()], [200, answerTo(words)]);
		const found = await transcript(site, this.thread);
		this.settle(found.slice(0, -2));
		this.acknowledge(words);
		assert.deepEqual(found, this.known);
	}

	// What was not acknowledged may be there as a whole, without its answer, or not at all.
	settle(found) {
		const more = found.slice(this.known.length);
		if (this.open && more.length > 0) {
			this.known.push(['user', this.open], ['assistant', answerTo(this.open)]);
			this.known.length -= more.length === 1 ? 1 : 0;
		}
		this.open = undefined;
	}
}

export class Crowd {
	constructor() {
		Object.assign(this, { said: 0, acknowledged: 0, kills: 0, slowest_ms: 0 });
		this.begin();
	}

	/** Forget all talks, because the folder is a new one. */
	begin() {
		this.talks = Array.from({ length: THREADS }, () => new Talk(this));
		this.retired = [];
	}

	get summary() {
		return `${this.kills} kills; ${this.acknowledged} acknowledged threads and messages, all`
			+ ` there; slowest next message ${this.slowest_ms} ms`;
	}

	newWords() {
		this.said += 1;
		return `words number ${this.said}`;
	}

	// An answer, or nothing if the program was killed before it was complete.
	async answerOf(asked) {
		try {
			return await asked;
		} catch (error) {
			if (this.killed) return undefined;
			throw error;
		}
	}

	/** After a start: the next message of each is answered, and nothing is missing. */
	async goOn(site) {
		await Promise.all(this.talks.map((talk) => talk.goOn(site)));
		if (FULL) assert.ok(this.slowest_ms < NEXT_MAX_MS, `${this.slowest_ms} ms for a message`);
	}

	/**
	 * All talks send a message; `kill` is called soon after a random number of them were
	 * answered.
	 */
	async speakUntilKilled(site, kill) {
		const enough = Math.floor(Math.random() * THREADS);
		let answered = 0;
		this.killed = false;
		const spoken = Promise.all(this.talks.map(async (talk) => {
			if (Math.random() < RENEWED) await talk.renew(site);
			if (talk.thread) await talk.speak(site);
			answered += 1;
		}));
		while (answered < enough) await Promise.race([sleep(5), spoken]);
		await sleep(Math.random() * KILL_DELAY_MAX_MS);
		this.killed = true;
		await kill();
		this.kills += 1;
		await spoken;
	}

	/** How many acknowledged messages are missing. */
	async missing(site) {
		const counts = this.talks.filter(({ thread }) => thread).map(async ({ thread, known }) => {
			const headers = { accept: 'application/json' };
			const answer = await site.request('GET', `/threads/${thread}/messages`, { headers });
			const found = answer.status === 200 ? answer.json.messages : [];
			return known.filter(([, text]) => !found.some((one) => one.text === text)).length;
		});
		return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
	}

	/** Everything is as it was, also in abandoned threads. */
	async checkAll(site) {
		const last = this.talks.map(({ thread, known }) => [thread, known]);
		for (const [thread, known] of [...last, ...this.retired]) {
			assert.deepEqual(await transcript(site, thread), known);
		}
	}
}

// Processes that answer one request each, as CGI.
function cgiProcesses(bench, env) {
	const running = new Set();
	return {
		async request(method, uri, more) {
			const child = bench.startCgi({ env, method, path: uri, ...more });
			running.add(child);
			await within(child.ended, `${method} as CGI`);
			running.delete(child);
			const answer = parseCgi(await child.output);
			assert.equal(answer.body.length, Number(answer.headers['content-length']));
			return answer;
		},
		async kill() {
			await Promise.all([...running].map((child) => {
				child.kill('SIGKILL');
				return child.ended;
			}));
		},
	};
}

export function checkDatabase(bench) {
	const checks = 'PRAGMA integrity_check; PRAGMA foreign_key_check';
	assert.equal(sql(database(bench), checks), 'ok');
}

/**
 * Kill the program and start it again, `rounds` times. In some rounds CGI processes, which are
 * killed with it, are asked instead. `env()` is its environment; `afterEnd` is called with its
 * folder after each end.
 */
export async function crash(bench, { rounds, env, afterEnd = () => {} }) {
	const crowd = new Crowd();
	for (let left = rounds; left > 0; left -= ROUNDS_A_FOLDER) {
		crowd.begin();
		fs.rmSync(bench.state, { recursive: true, force: true });
		for (let round = 0; round < Math.min(left, ROUNDS_A_FOLDER); round++) {
			const server = await bench.listen({ env: env() });
			await crowd.goOn(server);
			const site = round === CGI_ROUND ? cgiProcesses(bench, env()) : server;
			await crowd.speakUntilKilled(site, () => Promise.all([server.kill(), site.kill()]));
			afterEnd();
		}
		// An orderly end must keep as much as a kill.
		const last = await bench.listen({ env: env() });
		await crowd.goOn(last);
		await last.stop();
		afterEnd();
		const server = await bench.listen({ env: env() });
		await crowd.checkAll(server);
		checkDatabase(bench);
		await server.stop();
	}
	return crowd;
}

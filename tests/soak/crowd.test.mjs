// Everything at once, for builds that look for races and leaks: clients whose messages are answered, fail
// or are cut off, clients that leave, and the end of the program in the middle.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { e2e, newThread, say, transcript, within } from '../e2e/lib.mjs';
import { behindNginx } from '../e2e/lib-servers.mjs';
import {
	cutAfter, gate, messageEvents, modelServer, newestWords, status, words,
} from '../e2e/lib-upstream.mjs';
import { Crowd, repeatingModel, share } from './lib-crashes.mjs';

const CLIENTS = 20;
const EXCHANGES = share(2000);
const ENDS = share(50);

const part = { type: 'output_text', text: 'hello, hello', annotations: [] };
// What the model does, and what the client then gets. The first word of a message selects one.
const FATES = {
	answered: [words('hello'), 200],
	refused: [status(500), 502],
	cut: [cutAfter(5, messageEvents(part)), 502],
	left: [words('never', gate().opened)],
};

e2e(`${CLIENTS} clients at once, ${EXCHANGES} messages of every fate`, async (bench) => {
	bench.expectLog(/^run: /);
	const model = await modelServer(bench);
	const asked = new Map();
	model.otherwise = (response, request) => {
		model.requests.length = 0;
		const text = newestWords(request.json);
		asked.get(text)(response);
		return FATES[text.split(' ')[0]][0](response);
	};
	const site = await behindNginx(bench, model.env);

	async function leave(thread, text) {
		const arrival = new Promise((resolve) => { asked.set(text, resolve); });
		const request = site.open('POST', `/threads/${thread}/messages`, text);
		const response = await within(arrival, 'the model is asked');
		const end = once(response, 'close');
		request.destroy();
		await within(end, 'the request to the model ends');
	}

	async function stay(thread, text, wanted) {
		asked.set(text, () => {});
		assert.equal((await say(site, thread, text)).status, wanted);
	}

	async function exchange(number, shared) {
		const fate = Object.keys(FATES)[number % Object.keys(FATES).length];
		const text = `${fate} ${number}`;
		const thread = shared ?? await newThread(site);
		await (fate === 'left' ? leave(thread, text) : stay(thread, text, FATES[fate][1]));
		assert.ok((await transcript(site, thread)).some(([, said]) => said === text));
		if (shared) return;
		const { status } = await site.request('DELETE', `/threads/${thread}`);
		assert.equal(status, 204);
	}

	// Two clients sometimes share a thread, and wait for each other.
	const threads = await Promise.all(Array.from({ length: CLIENTS / 2 }, () => newThread(site)));
	let begun = 0;
	await Promise.all([...threads, ...threads].map(async (thread) => {
		while (begun < EXCHANGES) {
			begun += 1;
			await exchange(begun, begun % 3 === 0 ? thread : undefined);
		}
	}));
});

e2e(`SIGTERM with twenty messages under way, ${ENDS} times`, async (bench) => {
	const { env } = await repeatingModel(bench);
	const crowd = new Crowd();
	for (let round = 0; round < ENDS; round++) {
		const server = await bench.listen({ env });
		await crowd.goOn(server);
		await crowd.speakUntilKilled(server, () => server.stop());
	}
});

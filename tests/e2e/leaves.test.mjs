// A client that leaves nginx ends what it asked for: tokens cost money. Other servers do not
// tell a program that is silent, see the manual.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { e2e, eventually, newThread, say, within } from './lib.mjs';
import { behindNginx } from './lib-servers.mjs';
import { gate, modelServer, silence, words } from './lib-upstream.mjs';

for (const [when, answer] of [
	['before the model says a word', silence()],
	['in the middle of the model\'s words', words('hello', gate().opened)],
]) {
	e2e(`a client that leaves ${when} ends the request to it`, async (bench) => {
		const model = await modelServer(bench);
		model.queue.push(answer);
		const site = await behindNginx(bench, model.env);
		const thread = await newThread(site);
		const client = site.open('POST', `/threads/${thread}/messages`, 'first words');
		await eventually('the model is asked', () => model.requests.length === 1);
		client.destroy();
		await within(model.requests[0].left, 'the request to the model ends', 10_000);
		assert.equal((await say(site, thread, 'second words')).text.trimEnd(), 'hello');
		const asked = model.requests[1].json.input.filter(({ role }) => role === 'user');
		assert.equal(asked.length, 2, 'the words stay in the thread');
	});
}

e2e('a client that leaves while it waits for a busy thread adds nothing to it', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('one', held.opened));
	const site = await behindNginx(bench, { ...model.env, ASSISTANTS_LOG: 'debug' });
	const thread = await newThread(site);
	const first = say(site, thread, 'first words');
	await eventually('the model is asked', () => model.requests.length === 1);
	const client = site.open('POST', `/threads/${thread}/messages`, 'unwanted words');
	const logged = (words) => bench.logEntries().filter(({ message }) => words.test(message));
	await eventually('the words are there', () => logged(/the user says: unwanted/).length === 1);
	client.destroy();
	await eventually('the request is over', () => logged(/messages 503/).length === 1);
	held.open();
	assert.equal((await first).text.trimEnd(), 'one');
	await say(site, thread, 'second words');
	const asked = model.requests[1].json.input.filter(({ role }) => role === 'user');
	assert.equal(asked.length, 2);
});

// Many at once: hundreds of conversations that wait for the model, more clients than workers, web
// servers that keep their connections, and too few file descriptors.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { promisify } from 'node:util';
import { PROGRAM, e2e, eventually, freePort, newThread, say, within } from './lib.mjs';
import { cgiVariables } from './lib-cgi.mjs';
import { fcgiBytes, fcgiRequest, fcgiStall } from './lib-fcgi.mjs';
import { behindNginx } from './lib-servers.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

const times = (count, make) => Promise.all(Array.from({ length: count }, (_, i) => make(i)));

/** A model server that repeats what the user said last, once the gate is open. */
async function heldModel(bench) {
	const model = await modelServer(bench);
	model.gate = gate();
	model.otherwise = async (response, { json }) => {
		await model.gate.opened;
		await words(`you said ${json.input.at(-1).content}`)(response);
	};
	return model;
}

function assertSaid(answers, said) {
	const shown = answers.map(({ status, text }) => [status, text.trimEnd()]);
	assert.deepEqual(shown, said.map((one) => [200, `you said ${one}`]));
}

e2e('500 conversations wait for the model at once, and all are answered', async (bench) => {
	const model = await heldModel(bench);
	const site = await behindNginx(bench, { ...model.env, ASSISTANTS_WORKERS: '600' });
	const threads = await times(500, () => newThread(site));
	const said = threads.map((_, i) => `words ${i}`);
	const answers = Promise.all(threads.map((thread, i) => say(site, thread, said[i])));
	await eventually('the model has 500 requests', () => model.requests.length === 500);
	model.gate.open();
	assertSaid(await answers, said);
});

e2e('100 workers, 500 clients: 98 wait, 402 are told so at once', async (bench) => {
	const model = await heldModel(bench);
	const site = await behindNginx(bench, { ...model.env, ASSISTANTS_WORKERS: '100' });
	const threads = await times(500, () => newThread(site));
	const refused = [];
	const waiting = threads.map(async (thread, i) => {
		const answer = await say(site, thread, `words ${i}`);
		if (answer.status === 503) refused.push(answer);
		return { i, thread, ...answer, text: answer.text };
	});
	await eventually('402 are answered', () => refused.length === 402);
	await eventually('the model has 98 requests', () => model.requests.length === 98);
	for (const { headers } of refused) assert.match(headers['retry-after'], /^[1-9]\d*$/);
	assert.equal((await site.request('GET', '/health')).status, 200);
	await newThread(site);
	assert.equal(model.requests.length, 98);
	model.gate.open();
	const all = await Promise.all(waiting);
	const answered = all.filter(({ status }) => status !== 503);
	assert.equal(answered.length, 98);
	assertSaid(answered, answered.map(({ i }) => `words ${i}`));
	const { thread } = all.find(({ status }) => status === 503);
	assertSaid([await say(site, thread, 'again')], ['again']);
});

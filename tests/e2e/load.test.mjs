// Load: hundreds of conversations that wait for the model, more clients than workers, web servers that keep
// connections, and too few file descriptors.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PROGRAM, e2e, eventually, freePort, newThread, say, within } from './lib.mjs';
import { cgiVariables } from './lib-cgi.mjs';
import { fcgiBytes, fcgiStall } from './lib-fcgi.mjs';
import { behindNginx } from './lib-servers.mjs';
import { gate, modelServer, words } from './lib-upstream.mjs';

const times = (count, make) => Promise.all(Array.from({ length: count }, (_, i) => make(i)));

/** A model server that repeats the user's last message, once the gate is open. */
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

e2e('100 workers, 500 clients: 98 wait, 402 are refused at once', async (bench) => {
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

// When a kept connection turns out to be closed, nginx repeats a GET, but no POST. It may answer a POST
// with 502, in the moment between the program's answer and its close.
e2e('nginx keeps its connections: all are answered by four workers', async (bench) => {
	const env = { ASSISTANTS_WORKERS: '4' };
	const site = await behindNginx(bench, env, { kept: true });
	const health = async () => (await site.request('GET', '/health')).status;
	for (let i = 0; i < 20; i++) assert.equal(await health(), 200);
	assert.deepEqual(await times(200, health), Array(200).fill(200));
	assert.equal(await health(), 200);
});

/**
 * Send a request like a web server that keeps the connection; resolves to what came before its end.
 */
function keptRequest(bench, path, method, uri) {
	return within(new Promise((resolve, reject) => {
		const pieces = [];
		const connection = net.connect({ path, allowHalfOpen: true });
		bench.onClose(() => connection.destroy());
		connection.on('data', (piece) => pieces.push(piece)).once('error', reject);
		connection.once('end', () => resolve(Buffer.concat(pieces).toString('latin1')));
		const params = cgiVariables({ method, path: uri });
		connection.write(fcgiBytes(params, '', { keepConnection: true }));
	}), `${method} ${uri}`);
}

e2e('connections that stay open at their other end hold no worker', async (bench) => {
	const { socket } = await bench.listen({ env: { ASSISTANTS_WORKERS: '4' } });
	const answers = await times(400, (i) => (i % 2
		? keptRequest(bench, socket, 'POST', '/threads')
		: keptRequest(bench, socket, 'GET', '/health')));
	answers.forEach((answer, i) => assert.match(answer, i % 2 ? /Status: 201/ : /Status: 200/));
});

for (const [where, port] of [['a Unix socket', () => undefined], ['TCP', freePort]]) {
	e2e(`500 connections to ${where} wait in its queue while all workers are busy`,
		async (bench) => {
			const env = { ASSISTANTS_WORKERS: '4' };
			const { socket } = await bench.listen({ env, port: await port() });
			const whole = fcgiBytes(cgiVariables({ method: 'GET', path: '/health' }));
			const stalled = await times(4, () => fcgiStall(socket, whole, 1));
			bench.onClose(() => stalled.forEach((one) => one.destroy()));
			let [open, answered] = [0, 0];
			const answers = times(500, () => new Promise((resolve, reject) => {
				const connection = net.connect(socket, () => { open += 1; });
				connection.once('error', reject);
				connection.once('data', (bytes) => {
					answered += 1;
					resolve(bytes.toString('latin1'));
				});
				connection.write(whole);
			}));
			await Promise.race([eventually('500 are connected', () => open === 500), answers]);
			assert.equal(answered, 0);
			stalled.forEach((one) => one.destroy());
			for (const answer of await within(answers, 'all answers')) {
				assert.match(answer, /Status: 200/);
			}
		});
}

e2e('too few file descriptors: fewer wait, and the rest are refused', async (bench) => {
	bench.expectLog(/184 file descriptors is enough for 6 workers only/);
	const model = await heldModel(bench);
	const program = bench.file('limited', `#!/bin/sh\nulimit -n 184\nexec '${PROGRAM}' "$@"\n`,
		0o700);
	const server = await bench.listen({ env: model.env, program });
	const threads = await times(40, () => newThread(server));
	let refused = 0;
	const answers = Promise.all(threads.map(async (thread) => {
		const answer = await say(server, thread, 'words');
		if (answer.status === 503) refused += 1;
		return answer;
	}));
	await eventually('36 are refused', () => refused === 36);
	await eventually('the model has 4 requests', () => model.requests.length === 4);
	assert.equal((await server.request('GET', '/health')).status, 200);
	model.gate.open();
	const answered = (await answers).filter(({ status }) => status !== 503);
	assertSaid(answered, Array(4).fill('words'));
	assertSaid([await say(server, threads[0], 'again')], ['again']);
});

e2e('no file descriptor is left: new clients wait, and it is logged once', async (bench) => {
	bench.expectLog(/no connection could be accepted: Too many open files/);
	const server = await bench.listen();
	const allow = (count) => execFileSync('prlimit',
		['--pid', String(server.child.pid), `--nofile=${count}:`]);
	const ask = () => server.request('GET', '/nowhere');
	await times(20, ask);
	allow(3);
	const answers = times(50, ask);
	await eventually('the complaint', () => bench.log().includes('Too many open files'));
	// Give a flood time to arrive.
	await sleep(500);
	allow(1000);
	for (const { status } of await answers) assert.equal(status, 404);
	assert.equal((await say(server, await newThread(server), 'words')).status, 200);
	assert.equal(bench.log().split('Too many open files').length, 2);
});

// A client that leaves cancels its answer, if the web server tells the program; tokens cost money.
// Elsewhere (docs/gateway.md has the list) the answer is completed, and then the thread is free.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { e2e, eventually, newThread, PROGRAM, say, transcript, within } from './lib.mjs';
import { behindCgi, behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { behindFcgiwrap, behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';
import { database, sql } from './lib-state.mjs';
import { gate, modelServer, silence, words } from './lib-upstream.mjs';

const AT_ONCE = [['CGI', fromShell], ['nginx', behindNginx]];
const NOT_TOLD = [
	['lighttpd', behindLighttpd], ['mod_proxy_fcgi', behindProxyFcgi], ['mod_fcgid', behindFcgid],
	['mod_cgid', behindCgid], ['mod_cgi', behindCgi], ['fcgiwrap', behindFcgiwrap],
];
// The program is told at once: that is, within this time.
const TOLD_BY_NOW_MS = 500;

// Send a message, and leave when the model has been asked.
async function leave(model, site, thread, leaving = (client) => client.destroy()) {
	const client = site.open('POST', `/threads/${thread}/messages`, 'first words');
	await eventually('the model is asked', () => model.requests.length === 1);
	leaving(client);
}

async function threadIsFree(model, site, thread) {
	assert.equal((await say(site, thread, 'second words')).text.trimEnd(), 'hello');
	const asked = model.requests[1].json.input.filter(({ role }) => role === 'user');
	assert.equal(asked.map(({ content }) => content).join('\n\n'), 'first words\n\nsecond words',
		'the words stay in the thread');
}

for (const [way, open] of AT_ONCE) {
	for (const [when, answer] of [
		['before the model says a word', silence],
		['in the middle of the model\'s words', () => words('hello', gate().opened)],
	]) {
		e2e(`${way}: a client that leaves ${when} ends the request to it`, async (bench) => {
			const model = await modelServer(bench);
			model.queue.push(answer());
			const site = await open(bench, model.env);
			const thread = await newThread(site);
			await leave(model, site, thread);
			await within(model.requests[0].left, 'the request to the model ends', 10_000);
			await threadIsFree(model, site, thread);
		});
	}
}

e2e('CGI: SIGTERM ends the request to the model, and the process', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(silence());
	const site = await fromShell(bench, model.env);
	const thread = await newThread(site);
	let child;
	await leave(model, site, thread, (client) => {
		({ child } = client);
		child.kill('SIGTERM');
	});
	await within(model.requests[0].left, 'the request to the model ends', 10_000);
	assert.deepEqual(await child.ended, { code: 0, signal: null });
	await threadIsFree(model, site, thread);
});

for (const [way, open] of NOT_TOLD) {
	e2e(`${way}: the answer to a client that left is written to its end`, async (bench) => {
		const model = await modelServer(bench);
		const held = gate();
		model.queue.push(words('nobody waits for this', held.opened));
		const site = await open(bench, model.env);
		const thread = await newThread(site);
		await leave(model, site, thread);
		await sleep(TOLD_BY_NOW_MS);
		held.open();
		const both = [['user', 'first words'], ['assistant', 'nobody waits for this']];
		await eventually('the answer is there', async () =>
			(await transcript(site, thread)).length === both.length);
		assert.deepEqual(await transcript(site, thread), both);
		await threadIsFree(model, site, thread);
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
	await eventually('the request is over',
		() => bench.logEntries().some(({ status }) => status === 503));
	held.open();
	assert.equal((await first).text.trimEnd(), 'one');
	await say(site, thread, 'second words');
	const asked = model.requests[1].json.input.filter(({ role }) => role === 'user');
	assert.equal(asked.length, 2);
});

/** The program's own memory in KiB, once the threads of a peak have ended. */
async function restingMemory({ child }) {
	const read = (file, name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm')
		.exec(fs.readFileSync(`/proc/${child.pid}/${file}`, 'utf8'))[1]);
	await eventually('the threads end', () => read('status', 'Threads') < 20);
	return read('smaps_rollup', 'Private_Dirty');
}

e2e('1,000 clients that leave in the middle leave no run, no lock and no memory', async (bench) => {
	const model = await modelServer(bench);
	model.otherwise = words('hello', new Promise(() => {}));
	const site = await behindNginx(bench, { ...model.env, ASSISTANTS_WORKERS: '64' });
	const threads = [];
	const leaveTogether = async () => {
		const begun = model.requests.length;
		const mine = await Promise.all(Array.from({ length: 50 }, () => newThread(site)));
		const clients = mine.map((thread) => site.open('POST', `/threads/${thread}/messages`, 'words'));
		await eventually('all are answered', () => model.requests.length === begun + 50);
		clients.forEach((client) => client.destroy());
		await within(Promise.all(model.requests.slice(begun).map(({ left }) => left)),
			'the requests to the model end');
		threads.push(...mine);
	};
	for (let i = 0; i < 10; i++) await leaveTogether();
	// Sanitizers keep freed memory; AddressSanitizer itself finds leaks.
	const weighed = !/asan|tsan/.test(PROGRAM);
	const once = weighed && await restingMemory(site);
	for (let i = 0; i < 10; i++) await leaveTogether();
	const count = (condition) => Number(sql(database(bench),
		`SELECT count(*) FROM runs WHERE ${condition}`));
	await eventually('the runs are over', () => count('status = \'cancelled\'') === 1000);
	assert.equal(count('status <> \'cancelled\''), 0);
	// The first half has filled the pools of connections.
	const more = weighed ? await restingMemory(site) - once : 0;
	assert.ok(more < 4096, `${more} KiB more after the second half than after the first`);
	model.otherwise = words('hello');
	for (const thread of threads.filter((_, i) => i % 20 === 0)) {
		assert.equal((await say(site, thread, 'again')).text.trimEnd(), 'hello');
	}
});

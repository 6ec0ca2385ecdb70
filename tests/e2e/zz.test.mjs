// A client that leaves ends what it asked for, where the program is told of it: tokens cost money.
// Where it is not, see the README, the answer is written to its end, and the thread is free then.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { e2e, eventually, newThread, PROGRAM, say, transcript, within } from './lib.mjs';
import { behindCgi, behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { behindFcgiwrap, behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';
import { gate, modelServer, silence, words } from './lib-upstream.mjs';

const AT_ONCE = [['CGI', fromShell], ['nginx', behindNginx]];
const NOT_TOLD = [
	['lighttpd', behindLighttpd], ['mod_proxy_fcgi', behindProxyFcgi], ['mod_fcgid', behindFcgid],
	['mod_cgid', behindCgid], ['mod_cgi', behindCgi], ['fcgiwrap', behindFcgiwrap],
];
// Whoever is told at once is told within this.
const TOLD_BY_NOW_MS = 500;

// Say something, and leave when the model has been asked.
async function leave(model, site, thread, leaving = (client) => client.destroy()) {
	const client = site.open('POST', `/threads/${thread}/messages`, 'first words');
	await eventually('the model is asked', () => model.requests.length === 1);
	leaving(client);
}

async function threadIsFree(model, site, thread) {
	assert.equal((await say(site, thread, 'second words')).text.trimEnd(), 'hello');
	const asked = model.requests[1].json.input.filter(({ role }) => role === 'user');
	assert.equal(asked.length, 2, 'the words stay in the thread');
}

/** The program's own memory, KiB, when the threads that a peak took have ended. */
async function restingMemory({ child }) {
	const read = (file, name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm')
		.exec(fs.readFileSync(`/proc/${child.pid}/${file}`, 'utf8'))[1]);
	await eventually('the threads end', () => read('status', 'Threads') < 20);
	return read('smaps_rollup', 'Private_Dirty');
}

e2e('1,000 clients that leave in the middle leave no run, no lock and no memory', async (bench) => {
	const model = await modelServer(bench);
	model.otherwise = words('hello', new Promise(() => {}));
	const site = await behindNginx(bench, { ...model.env, ASSISTANTS_WORKERS: '300' });
	const threads = [];
	const leaveTogether = async () => {
		const begun = model.requests.length;
		const mine = await Promise.all(Array.from({ length: 250 }, () => newThread(site)));
		const clients = mine.map((thread) => site.open('POST', `/threads/${thread}/messages`, 'words'));
		await eventually('all are answered', () => model.requests.length === begun + 250);
		clients.forEach((client) => client.destroy());
		await within(Promise.all(model.requests.slice(begun).map(({ left }) => left)),
			'the requests to the model end');
		threads.push(...mine);
	};
	await leaveTogether();
	// AddressSanitizer keeps what is freed, and finds what is lost by itself.
	const weighed = !/asan/.test(PROGRAM);
	const once = weighed && await restingMemory(site);
	for (let j = 0; j < 4; j++) { for (let i = 0; i < 4; i++) await leaveTogether(); console.log('REST', j, await restingMemory(site), fs.readdirSync(`/proc/${site.child.pid}/fd`).length); }
	const count = (condition) => Number(execFileSync('sqlite3', [
		path.join(bench.state, 'assistants.db'), `SELECT count(*) FROM runs WHERE ${condition}`]));
	await eventually('the runs are over', () => count('status = \'cancelled\'') === 1000);
	assert.equal(count('status <> \'cancelled\''), 0);
	const more = weighed ? await restingMemory(site) - once : 0;
	console.log('MORE', once, more); assert.ok(more < 2048, `${more} KiB more than after the first 250`);
	model.otherwise = words('hello');
	for (const thread of threads.filter((_, i) => i % 20 === 0)) {
		assert.equal((await say(site, thread, 'again')).text.trimEnd(), 'hello');
	}
});

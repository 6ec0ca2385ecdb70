// File systems without memory that all processes share: the rollback journal is used.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { e2e, freePort, newThread, say, transcript } from './lib.mjs';
import { database, lock, preload, sql } from './lib-state.mjs';
import { fromShell } from './lib-servers.mjs';
import { modelServer, words } from './lib-upstream.mjs';

const NFS = { FAULT_NFS: '1' };
const NO_SHM = { FAULT_NO_SHM: '1' };

function journalMode(bench) {
	return sql(database(bench), 'PRAGMA journal_mode');
}

// Talk in a new thread, several rounds; each request may go to another site.
async function talk(sites, rounds) {
	const site = (round) => sites[round % sites.length];
	const thread = await newThread(site(0));
	for (let round = 0; round < rounds; round++) {
		const answer = await say(site(round), thread, `words ${round}`);
		assert.equal(answer.status, 200, answer.text);
		assert.equal((await transcript(site(round + 1), thread)).length, 2 * round + 2);
	}
	return thread;
}

for (const [what, faults, why] of [
	['NFS', NFS, /uses a rollback journal instead of a write-ahead log: .*network file system \(NFS\)$/],
	['a file system without shared memory', NO_SHM,
		/uses a rollback journal instead of a write-ahead log: .*no shared memory \(No such device\)$/],
]) {
	e2e(`${what}: the rollback journal, logged once a process`, async (bench) => {
		preload(bench, faults);
		const model = await modelServer(bench);
		model.queue.push(words('one'), words('two'));
		const server = await bench.listen({ env: model.env });
		const thread = await newThread(server);
		assert.equal((await say(server, thread, 'first')).text.trimEnd(), 'one');
		assert.equal((await say(server, thread, 'second')).text.trimEnd(), 'two');
		assert.deepEqual(await transcript(server, thread), [
			['user', 'first'], ['assistant', 'one'], ['user', 'second'], ['assistant', 'two'],
		]);
		assert.equal((await server.request('GET', '/health')).status, 200);
		assert.equal((await server.request('DELETE', `/threads/${thread}`)).status, 204);
		const said = bench.logEntries().filter(({ message }) => why.test(message));
		assert.deepEqual(said.map(({ level }) => level), ['info']);
		assert.equal(journalMode(bench), 'delete');
		assert.equal(fs.existsSync(database(bench, '-wal')), false);
	});

	e2e(`${what}: several processes at once, servers and CGI`, async (bench) => {
		preload(bench, faults);
		const sites = [
			await bench.listen(), await bench.listen({ port: await freePort() }),
			await fromShell(bench),
		];
		const talks = Array.from({ length: 6 }, (_, i) => {
			return talk([sites[i % 3], sites[(i + 1) % 3]], 5);
		});
		await Promise.all(talks);
		assert.equal(sql(database(bench), 'PRAGMA integrity_check'), 'ok');
		assert.equal(journalMode(bench), 'delete');
	});

	e2e(`${what}: eight CGI processes at once on an empty state folder`, async (bench) => {
		preload(bench, faults);
		const site = await fromShell(bench);
		await Promise.all(Array.from({ length: 8 }, () => talk([site], 1)));
	});

	e2e(`${what}: an existing write-ahead log is not lost, and used again elsewhere`,
		async (bench) => {
			const crashed = await bench.listen();
			const thread = await newThread(crashed);
			await say(crashed, thread, 'words');
			const before = await transcript(crashed, thread);
			await crashed.kill();
			assert.ok(fs.statSync(database(bench, '-wal')).size > 0);
			const usual = { ...bench.env };
			preload(bench, faults);
			const next = await bench.listen();
			assert.deepEqual(await transcript(next, thread), before);
			assert.equal((await say(next, thread, 'more')).status, 200);
			await next.stop();
			assert.equal(journalMode(bench), 'delete');
			bench.env = usual;
			const last = await bench.listen();
			assert.equal((await transcript(last, thread)).length, 4);
			assert.equal(journalMode(bench), 'wal');
		});

	e2e(`${what}: kill -9 loses nothing that was answered`, async (bench) => {
		preload(bench, faults);
		const crashed = await bench.listen();
		const answered = [];
		const writers = Array.from({ length: 4 }, async () => {
			for (;;) answered.push(await newThread(crashed));
		});
		const ended = Promise.allSettled(writers);
		while (answered.length < 20) await sleep(5);
		await crashed.kill();
		await ended;
		const next = await bench.listen();
		for (const thread of answered) assert.deepEqual(await transcript(next, thread), []);
		await newThread(next);
		assert.equal(sql(database(bench), 'PRAGMA integrity_check'), 'ok');
	});
}

e2e('NFS: a database that is locked for a moment only makes requests wait', async (bench) => {
	preload(bench, NFS);
	const server = await bench.listen();
	const thread = await newThread(server);
	await say(server, thread, 'words');
	const unlock = await lock(bench);
	let done = 0;
	const waiting = [
		newThread(server), say(server, thread, 'more'), transcript(server, thread),
		newThread(await fromShell(bench)),
	].map((promise) => promise.finally(() => { done += 1; }));
	await sleep(300);
	assert.equal(done, 0, 'the lock does not hold everybody up');
	await unlock();
	await Promise.all(waiting);
	assert.equal((await transcript(server, thread)).length, 4);
});

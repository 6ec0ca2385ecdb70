// ASSISTANTS_RETENTION_DAYS: unused threads are deleted, and no request has to wait for that.

import assert from 'node:assert/strict';
import { e2e, eventually, newThread, say, transcript } from './lib.mjs';
import { Program, makeKey } from './lib-api.mjs';
import { behindCgi, behindCgid } from './lib-apache.mjs';
import { behindFcgiwrap } from './lib-servers.mjs';
import { database, sql } from './lib-state.mjs';

const SETTING = { ASSISTANTS_RETENTION_DAYS: '30' };
const MONTHS_S = 100 * 24 * 60 * 60;

const inDatabase = (bench, statements) => sql(database(bench), statements);

const count = (bench, table) => Number(inDatabase(bench, `SELECT count(*) FROM ${table}`));

/** Make everything in the database months older. */
function age(bench) {
	inDatabase(bench, ['threads', 'messages', 'runs']
		.map((table) => `UPDATE ${table} SET created_at = created_at - ${MONTHS_S};`).join('\n'));
}

/** A database as the program makes it. */
async function newDatabase(bench) {
	const { code, stderr } = await bench.command(['--check-config']);
	assert.equal(code, 0, stderr);
}

/** Make `threads` of the gateway with `messages` each, by SQL, all of them months old. */
function fill(bench, threads, messages, size = 500) {
	inDatabase(bench, `BEGIN;
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${threads})
		INSERT INTO threads (id, tenant, created_at, body) SELECT
			'thread_' || printf('%024d', i), 'gateway', unixepoch() - ${MONTHS_S}, '{}' FROM n;
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${messages})
		INSERT INTO messages (id, thread, created_at, role, content, body) SELECT
			'msg_' || printf('%012d%012d', t.seq, i), t.seq, t.created_at, 'user',
			'[{"type":"text","text":{"value":"' || hex(zeroblob(${size / 2}))
				|| '","annotations":[]}}]', '{}' FROM threads t, n;
		COMMIT;`);
}

/** Repeat something until `over()`; returns {times, slowest_ms}. */
async function meanwhile(what, over) {
	const made = { times: 0, slowest_ms: 0 };
	await eventually('what goes on meanwhile', async () => {
		const begun = performance.now();
		await what(made.times++);
		made.slowest_ms = Math.max(made.slowest_ms, Math.round(performance.now() - begun));
		return over();
	});
	return made;
}

const health = (site) => site.request('GET', '/health');
const thread = (i) => `thread_${String(i).padStart(24, '0')}`;
const statusOf = async (server, id) =>
	(await server.request('GET', `/threads/${id}/messages`)).status;

e2e('idle threads of all tenants are deleted with all their objects, and used ones stay', async (bench) => {
	const key = await makeKey(bench, 'a-program');
	const first = await bench.listen();
	const program = new Program(first, key);
	const [idle, used] = [await newThread(first), await newThread(first)];
	const foreign = await program.call('POST', '/threads', {});
	for (const id of [idle, used]) assert.equal((await say(first, id, 'words')).status, 200);
	await first.stop();
	age(bench);

	const second = await bench.listen({ env: { ASSISTANTS_RETENTION_DAYS: 'off' } });
	assert.equal((await say(second, used, 'more words')).status, 200);
	const young = await newThread(second);
	await second.stop();
	assert.equal(count(bench, 'threads'), 4, 'without the setting all are kept');

	const server = await bench.listen({ env: SETTING });
	await eventually('two are left', () => count(bench, 'threads') === 2);
	assert.deepEqual([await statusOf(server, idle), await statusOf(server, used),
		await statusOf(server, young)], [404, 200, 200]);
	await new Program(server, key).refused(404, 'GET', `/threads/${foreign.id}`);
	assert.equal((await transcript(server, used)).length, 4);
	assert.equal((await say(server, young, 'words')).status, 200);
	assert.equal(inDatabase(bench, 'PRAGMA foreign_key_check'), '');
	assert.equal(count(bench, 'messages'), 6);
	await server.stop();
	assert.match(bench.log(), /2 threads that were idle for 30 days were deleted/);
});

e2e('imported threads are as old as they say', async (bench) => {
	const old = { id: thread(1), object: 'thread', created_at: 1_700_000_000, metadata: {} };
	const file = bench.file('saved.json', [
		old, { ...old, id: thread(2) },
		{ id: 'msg_2', object: 'thread.message', thread_id: thread(2), role: 'user',
			created_at: Math.floor(Date.now() / 1000) - 60,
			content: [{ type: 'text', text: { value: 'lately', annotations: [] } }] },
	].map((one) => JSON.stringify(one)).join('\n'));
	const { code, stderr } = await bench.command(['--import', file]);
	assert.equal(code, 0, stderr);
	const server = await bench.listen({ env: SETTING });
	await eventually('one is left', () => count(bench, 'threads') === 1);
	assert.deepEqual(await transcript(server, thread(2)), [['user', 'lately']]);
});

e2e('two programs share one sweep, while other requests write', async (bench, t) => {
	await newDatabase(bench);
	fill(bench, 300, 2);
	const servers = [
		await bench.listen({ env: SETTING }),
		await bench.listen({ env: SETTING, port: 10_000 + (process.pid % 200) * 100 + 99 }),
	];
	const used = await newThread(servers[0]);
	const { times, slowest_ms } = await meanwhile(async (i) => {
		assert.equal((await say(servers[i % 2], used, 'words')).status, 200);
	}, () => count(bench, 'threads') === 1);
	t.diagnostic(`${times} messages meanwhile, the slowest took ${slowest_ms} ms`);
	assert.equal((await transcript(servers[0], used)).length, 2 * times);
	assert.equal(count(bench, 'messages'), 2 * times);
	await eventually('the sweep\'s end',
		() => inDatabase(bench, 'SELECT due_at > unixepoch() + 1800 FROM chores WHERE name = \'retention\'') === '1');
	for (const server of servers) await server.stop();
	const said = [...bench.log().matchAll(/(\d+) threads that were idle/g)];
	assert.equal(said.reduce((sum, [, some]) => sum + Number(some), 0), 300, 'each once');
});

e2e('a thread with 10,000 messages goes in pieces', async (bench, t) => {
	await newDatabase(bench);
	fill(bench, 1, 10_000, 2000);
	const server = await bench.listen({ env: SETTING });
	const { times, slowest_ms } = await meanwhile(() => newThread(server),
		() => count(bench, 'messages') === 0);
	t.diagnostic(`${times} threads made meanwhile, the slowest took ${slowest_ms} ms`);
	assert.ok(times >= 10, `${times} threads were made meanwhile`);
	await eventually('the thread itself', () => count(bench, 'threads') === times);
});

e2e('DELETE of one with 10,000 messages keeps no writer waiting', async (bench, t) => {
	await newDatabase(bench);
	fill(bench, 1, 10_000, 2000);
	const server = await bench.listen();
	let done = false;
	const deleting = server.request('DELETE', `/threads/${thread(1)}`)
		.finally(() => { done = true; });
	const { times, slowest_ms } = await meanwhile(() => newThread(server), () => done);
	assert.equal((await deleting).status, 204);
	t.diagnostic(`${times} threads made meanwhile, the slowest took ${slowest_ms} ms`);
	assert.ok(times >= 5, `${times} threads were made meanwhile`);
	assert.deepEqual([count(bench, 'threads'), count(bench, 'messages')], [times, 0]);
});

e2e('kill -9 in the middle of a sweep: the next one finishes what was begun',
	async (bench) => {
		await newDatabase(bench);
		fill(bench, 2, 5000, 2000);
		const server = await bench.listen({ env: SETTING });
		await eventually('a thread is half removed', () =>
			inDatabase(bench, 'SELECT count(*) FROM threads WHERE tenant = \'\'') === '1');
		await server.kill();
		assert.ok(count(bench, 'messages') > 0, 'it came in the middle');
		assert.ok(count(bench, 'threads') > 0);

		const next = await bench.listen();
		assert.equal(await statusOf(next, thread(1)), 404);
		await next.stop();
		const { stdout } = await bench.command(['--export']);
		assert.ok(!stdout.includes('removed_') && !stdout.includes(thread(1)));

		// A step whose process was killed is repeated after half a minute.
		inDatabase(bench, 'UPDATE chores SET due_at = 0');
		await bench.listen({ env: SETTING });
		await eventually('nothing is left',
			() => count(bench, 'threads') + count(bench, 'messages') === 0);
	});

// --- CGI ---

e2e('CGI: some go after each answer', async (bench) => {
	await newDatabase(bench);
	fill(bench, 50, 2);
	Object.assign(bench.env, SETTING);
	const kept = (await bench.cgi({ method: 'POST', path: '/threads' })).text;
	await eventually('only the new one is left', async () => {
		const answer = await bench.cgi({ method: 'GET', path: '/health' });
		assert.equal(answer.status, 200, answer.text);
		return count(bench, 'threads') === 1;
	});
	assert.equal((await bench.cgi({ method: 'GET', path: `/threads/${kept}/messages` })).status,
		200);
});

e2e('CGI: the answer does not wait for it', async (bench) => {
	await newDatabase(bench);
	fill(bench, 1, 10_000, 2000);
	const child = bench.startCgi({ method: 'GET', path: '/health', env: SETTING });
	const { code } = await child.ended;
	assert.equal(code, 0);
	assert.match(String(await child.output), /^Status: 200/);
	assert.ok(count(bench, 'messages') > 0, 'nothing was left to do when it was answered');
	await eventually('some are gone', () => count(bench, 'messages') < 10_000);
});

for (const [way, behind] of [['mod_cgi', behindCgi], ['mod_cgid', behindCgid],
	['fcgiwrap', behindFcgiwrap]]) {
	e2e(`${way} lets it be done`, async (bench) => {
		const site = await behind(bench, SETTING);
		await newThread(site);
		age(bench);
		inDatabase(bench, 'UPDATE chores SET due_at = 0');
		assert.equal((await health(site)).status, 200);
		await eventually('it is gone', () => count(bench, 'threads') === 0);
	});
}

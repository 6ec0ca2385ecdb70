// The power goes while the program works. What was not synced is lost: all of it or, because disks write in
// an order of their own, some of it. Nothing that was acknowledged may be missing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { e2e } from '../e2e/lib.mjs';
import { database, preload, sql } from '../e2e/lib-state.mjs';
import { Crowd, checkDatabase, crash, repeatingModel, share } from './lib-crashes.mjs';
import { cutPower, readJournal, replay } from './powercut.mjs';

const SHIM = path.resolve(import.meta.dirname, '../../build/powercut.so');

// Which unsynced writes reach the disk anyway.
const none = () => false;
const some = (share) => () => Math.random() < share;

// The environment that makes the program's disk forget.
async function forgetful(bench) {
	const model = await repeatingModel(bench);
	const journal = path.join(bench.dir, 'journal');
	const env = {
		...model.env, ASSISTANTS_LOG: 'warn',
		// Admission's counts may be lost, and share commits with what may not.
		ASSISTANTS_RATE: '100000', ASSISTANTS_DAILY_TOKENS: '1000000000',
		LD_PRELOAD: [SHIM, bench.env.LD_PRELOAD].join(' '), POWERCUT_FOLDER: bench.state, POWERCUT_JOURNAL: journal,
	};
	return { journal, env };
}

// The folder's content on the disk: without the shared memory and the leases.
function contents(folder) {
	const names = fs.readdirSync(folder).filter((name) => !/-shm$|^leases$/.test(name));
	return Object.fromEntries(names.sort().map((name) => {
		return [name, fs.readFileSync(path.join(folder, name), 'latin1')];
	}));
}

e2e('the imitated disk knows everything that is written', async (bench) => {
	const { journal, env } = await forgetful(bench);
	const crowd = new Crowd();
	const first = await bench.listen({ env });
	await crowd.goOn(first);
	await first.stop();
	const second = await bench.listen({ env });
	await crowd.goOn(second);
	await second.kill();
	const before = contents(bench.state);
	const records = readJournal(journal);
	replay(bench.state, records, none);
	assert.deepEqual(contents(bench.state), {});
	replay(bench.state, records, () => true);
	assert.deepEqual(contents(bench.state), before);
});

e2e('the imitated disk forgets: with ASSISTANTS_SYNC=normal messages are lost', async (bench) => {
	const { journal, env } = await forgetful(bench);
	const crowd = new Crowd();
	const first = await bench.listen({ env: { ...env, ASSISTANTS_SYNC: 'normal' } });
	await crowd.goOn(first);
	assert.equal(await crowd.missing(first), 0);
	await first.kill();
	cutPower(journal, bench.state, none);
	const second = await bench.listen({ env });
	assert.ok(await crowd.missing(second) > 0);
	checkDatabase(bench);
});

async function cutAndCutAgain(bench, t, rounds) {
	const { journal, env } = await forgetful(bench);
	let [cuts, writes] = [0, 0];
	const crowd = await crash(bench, {
		rounds,
		// `full` is also the default.
		env: () => (cuts % 4 < 2 ? env : { ...env, ASSISTANTS_SYNC: 'full' }),
		afterEnd: () => {
			cuts += 1;
			const kept = cuts % 2 === 0 ? none : some(Math.random());
			writes += cutPower(journal, bench.state, kept);
		},
	});
	t.diagnostic(`${crowd.summary}; ${writes} writes that were not synced`);
}

const ROUNDS = share(1000);
e2e(`the power goes with twenty messages under way, ${ROUNDS} times`,
	(bench, t) => cutAndCutAgain(bench, t, ROUNDS));

const JOURNAL_ROUNDS = share(200);
e2e(`the same with a rollback journal, ${JOURNAL_ROUNDS} times`, async (bench, t) => {
	preload(bench, { FAULT_NO_SHM: '1' });
	await cutAndCutAgain(bench, t, JOURNAL_ROUNDS);
	assert.equal(sql(database(bench), 'PRAGMA journal_mode'), 'delete');
});

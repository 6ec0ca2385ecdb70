// Growth: what a message costs in long threads and in full databases, and the room that it takes.

import assert from 'node:assert/strict';
import { QUICK, byTurns, goal, median, short, slice, spread, table } from './lib-bench.mjs';
import { NUMBERS, QUESTION, WORDS, fixedServer, programBench, served, sqlite, withPlace } from './lib-sites.mjs';

export const title = 'Growth';

// Threads of so many messages, in one database; of each kind so many that they stay as long as they are.
const LENGTHS = [10, 100, 1000, 10_000];
const MESSAGES_OF_EACH = QUICK ? 20_000 : 100_000;
// Databases of so many threads, each with a question and its answer.
const SIZES = QUICK ? [1000, 100_000] : [1000, 100_000, 1_000_000];
const ASKED_THREADS = 20_000;
// Of a thread of ten messages the middle is left out already, so that all lengths are sent the same.
const CONTEXT_TOKENS = '256';

/* --- the databases --- */

/**
 * SQL that copies the one conversation which the program itself has written, so that `threads` more are
 * there, each with `pairs` questions and answers. Ids are in no order, as real ones are.
 */
function copies(file, threads, pairs) {
	const [thread, , run, step] = ['threads', 'messages', 'runs', 'run_steps']
		.map((name) => Number(sqlite(file, `SELECT max(seq) FROM ${name}`)));
	const messages = Number(sqlite(file, 'SELECT max(seq) FROM messages'));
	const id = (prefix, seq) => `'${prefix}_' || printf('%08x%016d', (${seq}) * 2654435761 & 0xffffffff, ${seq})`;
	const its = { thread: `${thread} + (n - 1) / ${pairs} + 1`, run: `${run} + n`, step: `${step} + n`,
		question: `${messages} + 2 * n - 1`, answer: `${messages} + 2 * n` };
	const copy = (name, count, where, changes) => {
		const columns = sqlite(file, `SELECT name FROM pragma_table_info('${name}')`).trim().split('\n');
		return `${NUMBERS(count)} INSERT INTO ${name} (${columns})
			SELECT ${columns.map((column) => changes[column] ?? `one.${column}`)}
			FROM numbers, (SELECT * FROM ${name} WHERE ${where} LIMIT 1) one;`;
	};
	const role = (name, seq, more) => copy('messages', threads * pairs, `role = '${name}'`,
		{ seq, id: id('msg', seq), thread: its.thread, ...more });
	return [
		copy('threads', threads, 'seq = 1',
			{ seq: `${thread} + n`, id: id('thread', `${thread} + n`) }),
		copy('runs', threads * pairs, 'seq = 1', { seq: its.run, id: id('run', its.run), thread: its.thread }),
		role('user', its.question, {}),
		role('assistant', its.answer, { run: its.run }),
		copy('run_steps', threads * pairs, 'seq = 1', { seq: its.step, id: id('step', its.step), run: its.run,
			details: `replace(one.details, (SELECT id FROM messages WHERE role = 'assistant' AND seq <= 2),
				${id('msg', its.answer)})` }),
	].join('\n');
}

/** The program on a database in which `kinds` of threads are, [how many, questions in each]. */
async function filled(place, fixed, kinds) {
	const made = programBench(place, fixed, { env: { ASSISTANTS_SYNC: 'normal',
		ASSISTANTS_CONTEXT_TOKENS: CONTEXT_TOKENS } });
	const { text: id } = await made.bench.cgi({ method: 'POST', path: '/threads' });
	const answer = await made.bench.cgi({ method: 'POST', path: `/threads/${id}/messages`,
		headers: { 'content-type': 'text/plain' }, body: QUESTION });
	assert.equal(answer.text.trim(), WORDS);
	for (const [threads, pairs] of kinds) {
		sqlite(made.file, 'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;',
			`BEGIN; ${copies(made.file, threads, pairs)} COMMIT;`);
	}
	return made;
}

/** Some of the database's threads, picked by chance, that have so many messages. */
function some(file, length) {
	return sqlite(file, `SELECT id FROM threads WHERE seq IN (SELECT thread FROM messages GROUP BY thread
		HAVING count(*) = ${length}) ORDER BY random() LIMIT ${ASKED_THREADS}`).trim().split('\n');
}

/* --- what is measured --- */

/** Messages one after the other, to threads in turn; all must be stored. */
async function ask(site, fixed, threads) {
	const THREADS = site.bench.file('asked', `${threads.join('\n')}\n`);
	site.stored();
	fixed.lengths();
	const found = await slice(site, { connections: 1, seconds: 1, exact: true,
		env: { ASKED_PATH: '/threads/ID/messages', BODY: QUESTION, ANSWER: WORDS, THREADS } });
	assert.ok(site.stored() >= found.requests && found.errors === 0);
	// Who has had his turn stands in line again.
	threads.push(...threads.splice(0, found.requests % threads.length));
	const sent = fixed.lengths();
	return { ...found, asked: sent.length, sent: [...new Set(sent)] };
}

const bytes = (file) => Number(sqlite(file, 'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size'));

export function run() {
	return withPlace(async (place) => {
		const fixed = await fixedServer(place, { logged: true });
		const long = await filled(place, fixed, LENGTHS.map((length) =>
			[MESSAGES_OF_EACH / length, length / 2]));
		const threads = Object.fromEntries(LENGTHS.map((length) => [length, some(long.file, length)]));
		const databases = {};
		for (const size of SIZES) {
			databases[size] = await filled(place, fixed, [[size - 1, 1]]);
			databases[size].threads = some(databases[size].file, 2);
		}
		const at = await served(place, long);
		for (const size of SIZES) databases[size] = await served(place, databases[size]);
		await place.open();
		const lengths = await byTurns(LENGTHS, (length) => ask(at, fixed, threads[length]));
		const smallest = databases[SIZES[0]];
		const sent = new Set(LENGTHS.flatMap((length) => lengths[length]).flatMap((one) => one.sent));
		assert.equal(sent.size, 1, `the model was sent ${[...sent]}`);
		const before = bytes(smallest.file);
		const sizes = await byTurns(SIZES, (size) => ask(databases[size], fixed, databases[size].threads));
		const asked = sizes[SIZES[0]].reduce((sum, one) => sum + one.asked, 0);
		const each_bytes = (bytes(smallest.file) - before) / asked;
		const files = SIZES.map((size) => bytes(databases[size].file));
		return { raw: { lengths, sizes, each_bytes, files }, ...report(lengths, sizes, each_bytes, files) };
	});
}

function report(lengths, sizes, each_bytes, files) {
	const p50 = (rounds) => median(rounds.map((one) => one.p50_ms));
	const rows = (all, names) => [
		['p50 ms', ...names.map((name) => spread(all[name].map((one) => one.p50_ms)))],
		['p99 ms', ...names.map((name) => spread(all[name].map((one) => one.p99_ms)))],
		['processor ms', ...names.map((name) => short(median(all[name].map((one) =>
			1000 * one.cpu_s / one.requests))))],
		['memory MiB', ...names.map((name) => short(Math.max(...all[name].map((one) => one.peak_mib))))],
	];
	const shown = (number) => number.toLocaleString('en');
	const grown = (all, names) => p50(all[names.at(-1)]) / p50(all[names[0]]);
	const line = (what, all, figure) => ({ title: what, points: Object.entries(all).map(([size, rounds]) =>
		[Number(size), figure(rounds)]) });
	return {
		tables: [
			table([['a message in a thread of', ...LENGTHS.map(shown)], ...rows(lengths, LENGTHS)]),
			table([['a message in a database of so many threads', ...SIZES.map(shown)], ...rows(sizes, SIZES),
				['the database, MiB', ...files.map((size) => short(size / 2 ** 20))]]),
			`On disk a question of ${QUESTION.length} bytes with its answer of ${WORDS.length} takes `
				+ `**${Math.round(each_bytes)} bytes**: two messages, a run and its step, with their indexes.`,
		],
		goals: [
			goal(`a message in a thread of ${shown(LENGTHS.at(-1))}, times one of ${LENGTHS[0]}`, 'at most', 1.3,
				grown(lengths, LENGTHS)),
			goal(`a message among ${shown(SIZES.at(-1))} threads, times among ${shown(SIZES[0])}`, 'at most', 1.3,
				grown(sizes, SIZES)),
		],
		plots: [{
			name: 'length', title: 'Cost against length', x: 'messages in the thread, or threads in the database',
			y: 'ms, p50', log: 'x', lines: [line('messages in the thread', lengths, p50),
				line('threads in the database', sizes, p50)],
		}],
	};
}

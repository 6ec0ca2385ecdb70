// Plain CGI: one process per request, from exec to the last byte of its answer.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { cgiVariables } from '../e2e/lib-cgi.mjs';
import { PROGRAM } from '../e2e/lib.mjs';
import { BUILD, QUICK, byTurns, goal, median, output, quantile, short, spread, table }
	from './lib-bench.mjs';
import { PHP_SCRIPT, QUESTION, fixedServer, phpBench, programBench, withPlace }
	from './lib-sites.mjs';

export const title = 'Plain CGI, from exec to the last byte';

const COUNT = QUICK ? 10 : 50;
const BIN = path.join(BUILD, 'bin');
const NAMES = {
	linked: 'limit: a program with the same libraries',
	thread: 'assistants.fcgi, a thread, `normal`', php_thread: 'php-cgi, a thread',
	message: 'assistants.fcgi, a message, `normal`', php_message: 'php-cgi, a message',
	full_thread: 'assistants.fcgi, a thread, `full`',
	full_message: 'assistants.fcgi, a message, `full`',
};

const which = (program) => execFileSync('/bin/sh', ['-c', `command -v ${program}`],
	{ encoding: 'utf8' }).trim();

/** How to ask a program for threads and for messages by CGI. */
function ways(program, env, first, { fresh, stored }) {
	const asked = (at, body) => ({ ...env, ...cgiVariables({ method: 'POST', path: '/', body,
		headers: { 'content-type': 'text/plain' } }), PATH_INFO: at, REQUEST_URI: at });
	return {
		thread: { program, env: asked('/threads', ''), body: '', first: /^Status: 201/ },
		message: { program, env: asked('/threads/%/messages', QUESTION), body: QUESTION, first,
			fresh, stored },
	};
}

function ofProgram(place, fixed, sync) {
	const { bench, ...data } = programBench(place, fixed, { env: { ASSISTANTS_SYNC: sync } });
	const log = fs.openSync(bench.logFile, 'a');
	bench.onClose(() => fs.closeSync(log));
	const made = ways(PROGRAM, bench.env, /^Status: 200/, data);
	return { thread: { ...made.thread, log }, message: { ...made.message, log } };
}

function ofPhp(place, fixed) {
	const { env, ...data } = phpBench(place, fixed);
	// PHP leaves it to the server to send 200.
	return ways(which('php-cgi'), { ...env, REDIRECT_STATUS: '200', SCRIPT_FILENAME: PHP_SCRIPT },
		/^(X-Powered-By|Content-Type):/i, data);
}

/** Run it `count` times; returns what timecgi prints of each. */
async function runs({ program, env, body, first, fresh, stored, log }, count) {
	stored?.();
	const input = fresh ? fs.readFileSync(fresh(count), 'utf8') : '';
	const text = await output(path.join(BIN, 'timecgi'), [String(count), body, program],
		{ input, env, stderr: log });
	const found = text.trim().split('\n').map((line) => {
		const [wall_us, cpu_us, kib, ...words] = line.split(' ');
		assert.match(words.join(' '), first);
		return { ms: wall_us / 1000, cpu_ms: cpu_us / 1000, mib: kib / 1024 };
	});
	assert.equal(found.length, count);
	if (stored) assert.equal(stored(), count);
	return found;
}

export function run() {
	return withPlace(async (place) => {
		const fixed = await fixedServer(place);
		const [normal, full, php] = [ofProgram(place, fixed, 'normal'), ofProgram(place, fixed, 'full'),
			ofPhp(place, fixed)];
		const sites = {
			linked: { program: path.join(BIN, 'linked'), env: {}, body: '', first: /^Content-Type/ },
			thread: normal.thread, php_thread: php.thread, full_thread: full.thread,
			message: normal.message, php_message: php.message, full_message: full.message,
		};
		// The first runs make the databases.
		for (const name of Object.keys(sites)) await runs(sites[name], 1);
		const times = await byTurns(Object.keys(NAMES), (name) => runs(sites[name], COUNT));
		return { raw: times, ...report(times) };
	});
}

function report(times) {
	const figures = (name, figure, part = 0.5) => times[name].map((round) =>
		quantile(round.map((one) => one[figure]), part));
	const ms = (name) => median(figures(name, 'ms'));
	const rows = Object.entries(NAMES).map(([name, shown]) => [shown, spread(figures(name, 'ms')),
		spread(figures(name, 'ms', 0.95)), short(median(figures(name, 'cpu_ms'))),
		short(Math.max(...figures(name, 'mib', 1)))]);
	return {
		tables: [table([[`median of ${COUNT} a round`, 'ms', 'p95 ms', 'processor ms', 'memory MiB'],
			...rows])],
		goals: ['thread', 'message'].flatMap((kind) => [
			goal(`a ${kind} by CGI, times a program with the same libraries`, 'at most', 1.5,
				ms(kind) / ms('linked')),
			goal(`a ${kind} by CGI, times php-cgi's`, 'at most', 0.5, ms(kind) / ms(`php_${kind}`)),
		]),
	};
}

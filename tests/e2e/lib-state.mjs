// Faults of the state folder: a small file system, failing system calls, and access to the database from
// outside.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { start } from './lib.mjs';

/** The path of the database, or of a file beside it. */
export function database(bench, suffix = '') {
	return path.join(bench.state, `assistants.db${suffix}`);
}

/** Run SQL on a database by the sqlite3 program; waits for others' locks, returns what it prints. */
export function sql(file, statements) {
	const args = ['-bail', '-cmd', '.timeout 10000', file, statements];
	return execFileSync('sqlite3', args, { encoding: 'utf8' }).trim();
}

/** Lock the database like another program; resolves to a function that unlocks it. */
export async function lock(bench, kind = 'EXCLUSIVE') {
	const shell = start('sqlite3', ['-bail', database(bench)], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	bench.onClose(() => shell.kill());
	shell.stdin.write(`.timeout 10000\nBEGIN ${kind};\nSELECT 1;\n`);
	await once(shell.stdout, 'data');
	return async () => {
		shell.stdin.end('ROLLBACK;\n');
		assert.deepEqual(await shell.ended, { code: 0, signal: null });
	};
}

/** Load faults.c into the program; `faults` are its variables. */
export function preload(bench, faults) {
	const library = path.join(bench.dir, 'faults.so');
	const source = path.join(import.meta.dirname, 'faults.c');
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, source]);
	// AddressSanitizer insists on being the first library.
	const env = { LD_PRELOAD: library, ASAN_OPTIONS: 'verify_asan_link_order=0', ...faults };
	Object.assign(bench.env, env);
}

/**
 * Start the program with a file system of its own on the state folder, which vanishes with the
 * program. `then` is a shell command to run on it first.
 */
export function ownFileSystem(bench, options, then = ':') {
	const unshare = process.getuid() === 0 ? ['unshare', '-m'] : ['unshare', '-Urm'];
	const probe = spawnSync(unshare[0], [...unshare.slice(1), 'mount', '-t', 'tmpfs', 'x', '/mnt']);
	assert.equal(probe.status, 0, 'this test must mount a file system: it needs root, or user '
		+ `namespaces for ${process.env.USER ?? 'this user'}: ${probe.stderr}`);
	fs.mkdirSync(bench.state, { recursive: true });
	const script = `mount -t tmpfs -o mode=0700,${options} none "$ASSISTANTS_STATE_DIR" && `
		+ `cd "$ASSISTANTS_STATE_DIR" && ${then} && cd / && exec "$@"`;
	bench.via = [...unshare, '/bin/sh', '-c', script, 'sh'];
}

/** The state folder as seen by a server with a file system of its own there. */
export function seenBy(server, bench) {
	return path.join(`/proc/${server.child.pid}/root`, bench.state);
}

/** Fill the file system of `folder`; returns a function that makes room again. */
export function fill(folder) {
	const file = path.join(folder, 'filler');
	const fd = fs.openSync(file, 'w');
	try {
		for (let size = 1 << 16; size > 0;) {
			try {
				fs.writeSync(fd, Buffer.alloc(size));
			} catch (error) {
				assert.equal(error.code, 'ENOSPC');
				size >>= 1;
			}
		}
	} finally {
		fs.closeSync(fd);
	}
	return () => fs.unlinkSync(file);
}

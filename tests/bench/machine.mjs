// What the figures were measured on.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PROGRAM } from '../e2e/lib.mjs';
import { median, short, timed } from './lib-bench.mjs';

const SYNCS = 100;

/** How long the disk needs to sync a small piece, in ms, where the databases are. */
async function syncMs() {
	const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'assistants-sync-')), 'file');
	const fd = fs.openSync(file, 'w');
	const times = [];
	while (times.length < SYNCS) {
		times.push(await timed(async () => {
			fs.writeSync(fd, Buffer.alloc(4096));
			fs.fdatasyncSync(fd);
		}));
	}
	fs.closeSync(fd);
	fs.rmSync(path.dirname(file), { recursive: true });
	return median(times);
}

/** The first line that a shell command prints. */
const first = (command) => execFileSync('/bin/sh', ['-c', `${command} 2>&1`], { encoding: 'utf8' })
	.split('\n')[0].trim();

/** A paragraph: date, machine, and versions. */
export async function machine() {
	const [{ model }] = os.cpus();
	const { PRETTY_NAME } = Object.fromEntries(fs.readFileSync('/etc/os-release', 'utf8').split('\n')
		.map((line) => line.split('=')));
	const versions = [first(`'${PROGRAM}' --version`), first('PATH=$PATH:/usr/sbin nginx -v'),
		`PHP ${first('php-cgi -v').split(' ')[1]}`, `Node ${process.version}`,
		`SQLite ${first('sqlite3 --version').split(' ')[0]}`];
	const commit = first('git rev-parse --short HEAD 2>/dev/null || echo unknown');
	const when = `${new Date().toISOString().slice(0, 10)}, commit ${commit}`;
	return `${when}. ${os.cpus().length} cores (${model}), ${Math.round(os.totalmem() / 2 ** 30)} GiB, `
		+ `${PRETTY_NAME.replaceAll('"', '')}, Linux ${os.release()}; a disk that takes `
		+ `${short(await syncMs())} ms for an fdatasync of 4 KiB; a load of `
		+ `${os.loadavg()[0].toFixed(2)} before the run. ${versions.join(', ')}.`;
}

// The ways to the program that users take: a shell, lighttpd and nginx; the servers from the
// shipped examples, in which only paths and ports are replaced.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { PROGRAM, eventually, freePort, httpRequest, openRequest, start } from './lib.mjs';

const TOP = path.resolve(import.meta.dirname, '../..');

/** As plain CGI: a process a request. */
export async function fromShell(bench, env) {
	return { request: (method, uri, more) => bench.cgi({ env, method, path: uri, ...more }) };
}

// Replace in a shipped file; a pattern that is not there means that the file has moved on.
function adapt(file, replacements) {
	let text = fs.readFileSync(path.join(TOP, file), 'utf8');
	for (const [pattern, value] of replacements) {
		assert.match(text, pattern, `${file} has no ${pattern}`);
		text = text.replace(pattern, value);
	}
	return text;
}

// Start a web server that stays in the foreground, and wait until it listens.
async function serve(bench, command, args, { port, env }) {
	const log = path.join(bench.dir, 'server.log');
	const out = fs.openSync(log, 'a');
	const child = start(command, args, { env, stdio: ['ignore', out, out] });
	fs.closeSync(out);
	bench.onClose(() => stop(child));
	const ended = child.ended.then(() => assert.fail(fs.readFileSync(log, 'utf8')));
	await Promise.race([eventually(`${command} listens`, () => listens(port)), ended]);
	return {
		port,
		request: (...args) => httpRequest(port, ...args),
		open: (...args) => openRequest(port, ...args),
	};
}

function listens(port) {
	return httpRequest(port, 'GET', '/health').then(() => true, () => false);
}

// What a web server makes of its end is its own affair: lighttpd's exit code is 1 at times.
async function stop(child) {
	assert.equal(child.exitCode ?? child.signalCode, null, 'the web server died');
	child.kill('SIGTERM');
	await child.ended;
}

// A process that is not our child; a zombie counts as gone.
function alive(pid) {
	try {
		return !/\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
	} catch {
		return false;
	}
}

/** Behind lighttpd, which starts the program. */
export async function behindLighttpd(bench, env = {}) {
	const port = await freePort();
	const pids = path.join(bench.dir, 'pids');
	// lighttpd starts a dead program again; the pids tell that it was only started once.
	const wrapper = bench.file('program', `#!/bin/sh
echo $$ >>${pids}
exec ${PROGRAM} 2>>${bench.logFile}
`, 0o700);
	const config = adapt('lighttpd.conf.example', [
		[/(?<=^server\.port = )\d+$/m, port],
		[/(?<=^server\.document-root = )".*"$/m, `"${bench.dir}"`],
		[/(?<=^\t"socket" => )".*"/m, `"${path.join(bench.dir, 'lighttpd-socket')}"`],
		[/(?<=^\t"bin-path" => )".*"/m, `"${wrapper}"`],
	]);
	bench.onClose(async () => {
		const started = fs.readFileSync(pids, 'utf8').trim().split('\n');
		assert.equal(started.length, 1, 'the program was started again');
		await eventually('the program stops with lighttpd', () => !alive(started[0]));
	});
	const args = ['-D', '-f', bench.file('lighttpd.conf', config)];
	return serve(bench, sbin('lighttpd'), args, { port, env: { ...bench.env, ...env } });
}

/** Behind nginx, to which the program listens on a socket. */
export async function behindNginx(bench, env = {}) {
	const port = await freePort();
	const { socket } = await bench.listen({ env });
	// When root runs the tests, nginx's workers are somebody else, in nobody's group here.
	fs.chmodSync(socket, 0o666);
	const [at, temp] = [(name) => path.join(bench.dir, name), path.join(bench.dir, 'nginx')];
	fs.mkdirSync(temp, { mode: 0o711 });
	const config = adapt('examples/nginx.conf.example', [
		[/(?<=^\t\tlisten 127\.0\.0\.1:)8080(?=;)/m, port],
		[/(?<=^pid ).*(?=;)/m, at('nginx.pid')],
		[/(?<=^error_log ).*(?=;)/m, at('error.log')],
		[/(?<=^\taccess_log ).*(?=;)/m, at('access.log')],
		[/(?<=_temp_path )\/var\/lib\/nginx(?=\/)/g, temp],
		[/(?<=^\t\t\tfastcgi_pass unix:).*(?=;)/m, socket],
	]);
	// -e: Debian's nginx opens its default log before it reads a configuration.
	const args = ['-p', bench.dir, '-c', bench.file('nginx.conf', config),
		'-e', at('error.log'), '-g', 'daemon off;'];
	return serve(bench, sbin('nginx'), args, { port, env: { PATH: bench.env.PATH } });
}

// Debian keeps servers where an ordinary user's PATH does not look.
function sbin(name) {
	const found = [...process.env.PATH.split(':'), '/usr/sbin', '/usr/local/sbin']
		.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
	assert.ok(found, `${name} is not installed`);
	return found;
}

// The ways of hosting that users have: a shell, lighttpd and nginx here, Apache in lib-apache.mjs. The
// servers use the shipped examples, with only paths and ports replaced.
//
// Each way is a function of the bench, the program's environment, and options. `program` is served instead
// of the program. `prefix` uses the part of the example for /assistant. `compress`: the server compresses
// whatever it can. It resolves to a site; the paths of its requests are the program's, and `base` is what
// precedes them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { PROGRAM, eventually, freePort, httpRequest, openRequest, start } from './lib.mjs';

const TOP = path.resolve(import.meta.dirname, '../..');
export const PREFIX = '/assistant';
// Where `make install` puts the chat page.
export const PAGE = /\/usr\/local\/lib\/assistants-fcgi\/www\b/g;
export const PAGE_BELOW = [/(?<=["^ ])\/chat\//g, `${PREFIX}/chat/`];

/** As plain CGI: one process per request. */
export async function fromShell(bench, env) {
	const request = (method, uri, more) => bench.cgi({ env, method, path: uri, ...more });
	const open = (method, uri, body) => {
		const child = bench.startCgi({ env, method, path: uri, body });
		// Leaving closes the pipe.
		child.output.catch(() => {});
		return { child, destroy: () => child.stdout.destroy() };
	};
	return { request, open, base: '' };
}

/** Read a shipped file and replace in it; each pattern must be found. */
export function adapt(file, replacements) {
	let text = fs.readFileSync(path.join(TOP, file), 'utf8');
	for (const [pattern, value] of replacements) {
		assert.match(text, pattern, `${file} has no ${pattern}`);
		text = text.replace(pattern, value);
	}
	return text;
}

/** For adapt(): use `other`, which is commented out, instead of `first`. */
export function instead(first, other) {
	return [[first, ''], [other, (block) => block.replace(/^(\t*)#/gm, '$1')]];
}

/** Start a web server in the foreground, and wait until it listens. */
export async function serve(bench, command, args, { port, env, base = '', detached }) {
	const log = path.join(bench.dir, 'server.log');
	const out = fs.openSync(log, 'a');
	const child = start(sbin(command), args, { env, detached, stdio: ['ignore', out, out] });
	fs.closeSync(out);
	bench.onClose(() => stop(child));
	const ended = child.ended.then(() => assert.fail(fs.readFileSync(log, 'utf8')));
	await Promise.race([eventually(`${command} listens`, () => listens(port)), ended]);
	return {
		port,
		base,
		request: (method, uri, more) => httpRequest(port, method, base + uri, more),
		open: (method, uri, body) => openRequest(port, method, base + uri, body),
	};
}

function listens(port) {
	return httpRequest(port, 'GET', '/health').then(() => true, () => false);
}

// A web server's exit code does not matter: lighttpd's is sometimes 1.
export async function stop(child) {
	assert.equal(child.exitCode ?? child.signalCode, null, 'the web server died');
	child.end('SIGTERM');
	await child.ended;
}

/** Put the chat page where the servers look for it, or into a folder of the bench. */
export function placePage(bench, folder = 'www') {
	execFileSync(path.join(TOP, 'tools/copy-page.sh'), [path.join(bench.dir, folder)]);
}

// Debian has servers in sbin, which is not in an ordinary user's PATH.
function sbin(name) {
	const found = [...process.env.PATH.split(':'), '/usr/sbin', '/usr/local/sbin']
		.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
	assert.ok(found, `${name} is not installed`);
	return found;
}

/**
 * Write a script that starts the program, with `env` and the bench's log, for a server to run.
 * Returns `script` and `started()`, the ids of its processes, which must be gone when the test is
 * over.
 */
export function startedByServer(bench, where, env, program = PROGRAM) {
	const pids = bench.file('pids', '', 0o666);
	fs.chmodSync(pids, 0o666);
	const exports = Object.entries(env)
		.map(([name, value]) => `export ${name}='${value}'\n`);
	const script = bench.file(where, `#!/bin/sh
${exports.join('')}echo $$ >>${pids}
exec ${program} 2>>${bench.logFile}
`, 0o755);
	const started = () => fs.readFileSync(pids, 'utf8').split('\n').filter(Boolean);
	bench.onClose(() => eventually('the program stops with the server',
		() => !started().some(alive)));
	return { script, started };
}

// Whether a process that is not our child lives; a zombie does not.
function alive(pid) {
	try {
		return !/\) Z/.test(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
	} catch {
		return false;
	}
}

/** Behind lighttpd, which starts the program. */
export async function behindLighttpd(bench, env = {}, { program, prefix, compress } = {}) {
	const port = await freePort();
	const { script, started } = startedByServer(bench, 'program', {}, program);
	const config = adapt('lighttpd.conf.example', [
		...(prefix ? [
			...instead(/^fastcgi\.server = [^]*?^\)\)\)$/m, /^#\$HTTP\["url"\][^]*?^#\}$/m),
			[/^server\.error-handler = .*$/m, ''],
			PAGE_BELOW,
		] : []),
		[/(?<=^server\.port = )\d+$/m, port],
		[/(?<=^server\.document-root = )".*"$/m, `"${bench.dir}"`],
		[/(?<=^\t+"socket" => )".*"/m, `"${path.join(bench.dir, 'lighttpd-socket')}"`],
		[/(?<=^\t+"bin-path" => )".*"/m, `"${script}"`],
		[PAGE, `${bench.dir}/www`],
		...(compress ? [[/^server\.modules = \(/m, `deflate.mimetypes = ("text/event-stream", "application/json")
deflate.allowed-encodings = ("gzip")
$& "mod_deflate", `]] : []),
	]);
	// lighttpd would start a dead program again.
	bench.onClose(() => assert.equal(started().length, 1, 'the program was started again'));
	const args = ['-D', '-f', bench.file('lighttpd.conf', config)];
	const base = prefix ? PREFIX : '';
	return serve(bench, 'lighttpd', args, { port, env: { ...bench.env, ...env }, base });
}

const COMPRESSING = [
	[/^http \{/m, '$&\n\tgzip on; gzip_types *; gzip_min_length 0; gzip_proxied any;'],
];

/** Behind nginx, with the program listening on a socket; `kept`: nginx keeps connections to it. */
export async function behindNginx(bench, env = {}, { program, prefix, kept, compress } = {}) {
	const server = await bench.listen({ env, program });
	const { socket, child } = server;
	// If root runs the tests, nginx's workers are another user, in no group of ours.
	fs.chmodSync(socket, 0o666);
	const site = await nginx(bench, prefix ? PREFIX : '', [
		...(compress ? COMPRESSING : []),
		...(prefix ? instead(/^\t\tlocation [^]*?^\t\t\}$/gm,
			/^\t\t#location \S+ \S*assistant[^]*?^\t\t#\}$/gm) : []),
		[/(?<=^\t+fastcgi_pass unix:).*(?=;)/gm, socket],
		...(kept ? [
			[/fastcgi_pass unix:.*;/g, 'fastcgi_pass kept; fastcgi_keep_conn on;'],
			[/^\tserver \{/m, `upstream kept { server unix:${socket}; keepalive 64; }\n$&`],
		] : []),
	]);
	return { ...site, child, kill: () => server.kill() };
}

/** Behind nginx, with fcgiwrap running the program as CGI. */
export async function behindFcgiwrap(bench, env = {}, { program, compress } = {}) {
	const { script } = startedByServer(bench, 'program', { ...bench.env, ...env }, program);
	const socket = path.join(bench.dir, 'fcgiwrap-socket');
	const child = start(sbin('fcgiwrap'), ['-c', '8', '-s', `unix:${socket}`], {
		env: bench.env, stdio: 'ignore', detached: true,
	});
	bench.onClose(() => stop(child));
	await eventually('fcgiwrap listens', () => fs.existsSync(socket));
	fs.chmodSync(socket, 0o666);
	return nginx(bench, '', [
		...(compress ? COMPRESSING : []),
		...instead(/^\t\tlocation \/ \{[^]*?^\t\t\}$/m, /^\t\t#location \/ \{[^]*?^\t\t#\}$/m),
		[/(?<=^\t+fastcgi_pass unix:).*(?=;)/gm, socket],
		[/(?<=^\t+fastcgi_param SCRIPT_FILENAME ).*(?=;)/m, script],
	]);
}

/** nginx with the shipped example, after these replacements. */
export async function nginx(bench, base, replacements) {
	const port = await freePort();
	const [at, temp] = [(name) => path.join(bench.dir, name), path.join(bench.dir, 'nginx')];
	fs.mkdirSync(temp, { mode: 0o711 });
	const config = adapt('examples/nginx.conf.example', [
		...replacements,
		[/(?<=^\t\tlisten 127\.0\.0\.1:)8080(?=;)/m, port],
		[/(?<=^pid ).*(?=;)/m, at('nginx.pid')],
		[/(?<=^error_log ).*(?=;)/m, at('error.log')],
		[/(?<=^\taccess_log ).*(?=;)/m, at('access.log')],
		[PAGE, `${bench.dir}/www`],
		[/(?<=_temp_path )\/var\/lib\/nginx(?=\/)/g, temp],
	]);
	// -e: Debian's nginx opens its default log before it reads a configuration.
	const args = ['-p', bench.dir, '-c', bench.file('nginx.conf', config),
		'-e', at('error.log'), '-g', 'daemon off;'];
	return serve(bench, 'nginx', args, { port, env: { PATH: bench.env.PATH }, base });
}

// Starts Apache, with each of its modules that run CGI programs or talk to FastCGI programs.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { freePort } from './lib.mjs';
import { PAGE, PAGE_BELOW, PREFIX, adapt, instead, serve, startedByServer } from './lib-servers.mjs';

const MODULES = '/usr/lib/apache2/modules';
const USER = 'www-data';
const ALWAYS = ['alias', 'authz_core', 'authz_host', 'dir', 'env', 'headers', 'mime', 'negotiation'];

/*
 * What Debian's apache2.conf sets for all sites: nothing is served unless a site allows it, and
 * .htaccess cannot be read.
 */
function mainConfig(bench, modules, site) {
	const at = (name) => path.join(bench.dir, name);
	const loads = [...ALWAYS, ...modules]
		.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so\n`);
	return `${loads.join('')}ServerRoot ${bench.dir}
ServerName localhost
DefaultRuntimeDir ${bench.dir}
PidFile ${at('apache.pid')}
ErrorLog ${at('server.log')}
TypesConfig /dev/null
User ${USER}
Group ${USER}
<IfModule mod_fcgid.c>
FcgidIPCDir ${at('fcgid')}
FcgidProcessTableFile ${at('fcgid.table')}
AddHandler fcgid-script .fcgi
</IfModule>
<Directory />
Options FollowSymLinks
AllowOverride None
Require all denied
</Directory>
<FilesMatch "^\\.ht">
Require all denied
</FilesMatch>
${site}`;
}

async function apache(bench, modules, site, { port, base, compress }) {
	const config = bench.file('apache.conf', compress
		? mainConfig(bench, [...modules, 'filter', 'deflate'], `${site}SetOutputFilter DEFLATE\n`)
		: mainConfig(bench, modules, site));
	const args = ['-D', 'FOREGROUND', '-f', config];
	const env = { PATH: bench.env.PATH };
	return serve(bench, 'apache2', args, { port, env, base, detached: true });
}

// Prepare the bench for a program that Apache starts: Apache run by root starts its children as another
// user, who cannot read root's files.
function programOfApache(bench, where, env, program) {
	fs.chmodSync(bench.config, 0o644);
	fs.chmodSync(bench.logFile, 0o666);
	fs.mkdirSync(bench.state, { mode: 0o700 });
	if (process.getuid() === 0) execFileSync('chown', [USER, bench.state]);
	const all = { ...bench.env, ...env };
	return startedByServer(bench, where, all, program ?? bench.programCopy().program);
}

const LISTEN = /(?<=^(?:Listen |<VirtualHost )127\.0\.0\.1:)8080/gm;

/** By mod_proxy_fcgi: the program listens on a socket. */
export async function behindProxyFcgi(bench, env = {}, { program, prefix, compress } = {}) {
	const port = await freePort();
	const { socket } = await bench.listen({ env, program });
	fs.chmodSync(socket, 0o666);
	const site = adapt('examples/apache.conf.example', [
		...(prefix ? [...instead(/^\tProxyPass "\/" [^]*?^\t<\/Location>$/m,
			/^\t#ProxyPass [^]*?^\t#<\/Location>$/m), PAGE_BELOW] : []),
		[LISTEN, port],
		[/(?<=^\tProxyPass .*"unix:).*(?=\|)/m, socket],
		[PAGE, path.join(bench.dir, 'www')],
	]);
	const base = prefix ? PREFIX : '';
	return apache(bench, ['mpm_event', 'proxy', 'proxy_fcgi'], site, { port, base, compress });
}

/** By mod_fcgid, which starts the program: one process for each request under way. */
export async function behindFcgid(bench, env = {}, { program, prefix, compress } = {}) {
	const port = await freePort();
	fs.mkdirSync(path.join(bench.dir, 'cgi-bin'));
	const { started } = programOfApache(bench, 'cgi-bin/assistants.fcgi', env, program);
	const site = adapt('examples/apache-fcgid.conf.example', [
		...(prefix ? [...instead(/^\tAlias "\/" .*$/m, /^\t#Alias .*$/m), PAGE_BELOW] : []),
		[LISTEN, port],
		[/(?<=^\t(?:Alias|<Directory) .*")\/usr\/local\/lib\/assistants-fcgi(?=\/)/gm, bench.dir],
	]);
	const base = prefix ? PREFIX : '';
	return { ...await apache(bench, ['mpm_event', 'fcgid'], site, { port, base, compress }), started };
}

// A folder with the program, the shipped .htaccess, and other files, as such a folder has.
function cgiFolder(bench, folder, env, program) {
	fs.mkdirSync(path.join(bench.dir, folder, 'lib'), { recursive: true });
	programOfApache(bench, `${folder}/assistants.fcgi`, env, program);
	bench.file(`${folder}/.htaccess`, adapt('cgi-bin/.htaccess', []), 0o644);
	bench.file(`${folder}/INSTALL`, 'a file beside the program\n', 0o644);
	const script = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\nran\\n"\n';
	for (const name of ['other.fcgi', 'lib/libfirst.so', 'lib/run.cgi']) {
		bench.file(`${folder}/${name}`, script, 0o755);
	}
}

/** By mod_cgid, with .htaccess in a folder of the site, or in the site's own folder. */
export async function behindCgid(bench, env = {}, { program, prefix, compress } = {}) {
	const port = await freePort();
	const base = prefix ? PREFIX : '';
	cgiFolder(bench, `site${base}`, env, program);
	const site = `Listen 127.0.0.1:${port}
DocumentRoot ${bench.dir}/site
<Directory ${bench.dir}/site>
AllowOverride All
Options Indexes FollowSymLinks MultiViews
Require all granted
</Directory>
`;
	return apache(bench, ['mpm_event', 'cgid', 'rewrite'], site, { port, base, compress });
}

/** By mod_cgi, with .htaccess in a folder of scripts. */
export async function behindCgi(bench, env = {}, { program, compress } = {}) {
	const port = await freePort();
	cgiFolder(bench, 'scripts', env, program);
	const site = `Listen 127.0.0.1:${port}
ScriptAlias /cgi-bin/ ${bench.dir}/scripts/
AllowEncodedSlashes On
<Directory ${bench.dir}/scripts>
AllowOverride All
Require all granted
</Directory>
`;
	return apache(bench, ['mpm_prefork', 'cgi', 'rewrite'], site, { port, base: '/cgi-bin', compress });
}

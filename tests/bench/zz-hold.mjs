// scratch: hold a site open
import fs from 'node:fs';
import { fixedServer, messages, programSite, tryOut, withPlace } from './lib-sites.mjs';
await withPlace(async (place) => {
	const fixed = await fixedServer(place);
	const site = await programSite(place, fixed, { env: { ASSISTANTS_SYNC: process.env.SYNC ?? 'normal' } });
	await place.open();
	await tryOut(site);
	const env = messages(site, Number(process.env.COUNT ?? 30000));
	fs.writeFileSync('/tmp/perf/env.sh', Object.entries(env).map(([k, v]) => `export ${k}='${v}'\n`).join('') + `URL=${site.url}\nPID=${site.pids[0]}\nFIXED=${fixed.url}\n`);
	console.log('ready', site.url, site.pids);
	await new Promise((r) => setTimeout(r, Number(process.env.HOLD ?? 25) * 1000));
});

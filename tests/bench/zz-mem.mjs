import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import { eventually } from '../e2e/lib.mjs';
import { QUESTION, heldServer, programSite, responseStream, tryOut, withPlace } from './lib-sites.mjs';
const N = Number(process.env.N ?? 1000);
const sum = (pid) => { const out = {}; let kind; for (const l of fs.readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
	const m = /^([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ \S+\s*(.*)$/.exec(l);
	if (m) { const size = (parseInt(m[2], 16) - parseInt(m[1], 16)) / 1024; kind = m[4] === '[heap]' ? 'heap' : m[4] ? 'file' : size === 508 ? 'stack' : `anon`; out[kind+'#']=(out[kind+'#']??0)+1; }
	const r = /^Rss:\s+(\d+)/.exec(l); if (r) out[kind] = (out[kind] ?? 0) + Number(r[1]); } return out; };
await withPlace(async (place) => {
	const events = responseStream();
	const model = await heldServer(place, events.slice(0, 2), events.slice(2), -1);
	const site = await programSite(place, model, { quiet: false, env: { ASSISTANTS_SYNC: 'normal', ASSISTANTS_WORKERS: String(N + 10) } });
	await place.open();
	const first = tryOut(site); await eventually('x', async () => await model.held() === 1); await model.release(); await first;
	const ids = fs.readFileSync(site.fresh(N), 'utf8').trim().split('\n');
	const pid = site.pids[0];
	console.log('idle', sum(pid));
	const all = ids.map((id) => { const r = http.request(`${site.url}/threads/${id}/messages`, { method: 'POST', agent: false, headers: { 'content-type': 'text/plain', 'content-length': QUESTION.length } }); r.end(QUESTION); return once(r, 'response').then(([x]) => { x.resume(); return x.statusCode; }, () => 0); });
	await eventually('held', async () => await model.held() >= N);
	await new Promise((r) => setTimeout(r, 1500));
	const s = sum(pid);
	fs.writeFileSync("/tmp/perf/smaps", fs.readFileSync(`/proc/${pid}/smaps`)); console.log('held', s, 'each', Object.fromEntries(Object.entries(s).map(([k, v]) => [k, (v / N).toFixed(1)])), fs.readdirSync(`/proc/${pid}/fd`).length);
	if (process.env.GCORE) { fs.writeFileSync('/tmp/perf/mempid', String(pid)); await new Promise((r) => setTimeout(r, 20000)); }
	await model.release(); await Promise.all(all);
});

// One process that kills itself at a named point: `node role-child.mjs OPTIONS`, with { swept, config, kill, range } as JSON. It does what `callstream run SWEPT`
// does, or `callstream repair` of the calls of `range` ({ from, to }, epoch ms), or `callstream rebuild`; kill { point, pass }: SIGKILL at that passing of the point, counted from 1.
import { writeSync } from 'node:fs';

const dist = new URL('../../dist/', import.meta.url);
const load = (path) => import(new URL(path, dist).href);
const { runRoles } = await load('cli/commands/run.js');
const { repairCalls } = await load('cli/commands/repair.js');
const { rebuildTables } = await load('cli/commands/rebuild.js');

const { swept, config, kill, range } = JSON.parse(process.argv[2]);
let passed = 0;
const fault = (point) => {
  if (point !== kill?.point || ++passed !== kill.pass) return;
  writeSync(1, `killed at ${point}\n`);
  process.kill(process.pid, 'SIGKILL');
};
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
const io = {
  env: process.env,
  out: (text) => writeSync(1, text),
  err: (text) => writeSync(2, text),
  interactive: false,
  signal: stopping.signal,
};
const begin = {
  repair: () => repairCalls(io, { config, ...range }, fault),
  rebuild: () => rebuildTables(io, { config }, fault),
};
process.exit(await (begin[swept] ?? (() => runRoles(io, [swept], { config }, fault)))());

/**
 * `npm run mutations [-- --only TEXT]`: breaks one guarantee after the other by hand and runs the test that must notice. A mutation whose text
 * is not there exactly once, a test that fails without it, and a mutation that no test notices make the run fail. A whole run writes the
 * table of docs/reliability.md; `--only` takes the mutations whose name, guarantee or file contains the text, and writes nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { applyTo, editsOf } from './edits.mjs';
import { MUTATIONS } from './list.mjs';
import { intoPage, messageLine, tableOf } from './table.mjs';
import { Workspace } from './workspace.mjs';

const PAGE = new URL('../../docs/reliability.md', import.meta.url);

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const { only } = values;
const wanted = MUTATIONS.filter(({ name, guarantee, edits, file }) =>
  [name, guarantee, file, ...(edits ?? []).map((edit) => edit.file)].some((text) => only === undefined || text?.includes(only)),
);
if (wanted.length === 0) {
  console.error(`no mutation is about ${only}`);
  process.exit(1);
}

const began = performance.now();
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(1)} s`;
/** More at once would starve tests that give something a second of time. */
const workspaces = Array.from({ length: Math.min(2, availableParallelism()) }, () => new Workspace());
const closeAll = () => {
  for (const workspace of workspaces) workspace.close();
};
const stop = () => {
  closeAll();
  process.exit(1);
};
process.once('SIGINT', stop).once('SIGTERM', stop);

/** Does something about each item, in all workspaces at once; resolves to what came of each, in order. */
async function each(items, work) {
  const results = [];
  const queue = [...items].map((item, i) => [i, item]);
  const worker = async (workspace) => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results[next[0]] = await work(workspace, next[1], next[0]);
  };
  await Promise.all(workspaces.map(worker));
  return results;
}

/** What is wrong with the tests of a file before anything is broken. */
async function checkUnbroken(workspace, file) {
  const since = performance.now();
  const names = [...new Set(wanted.filter(({ test }) => test.file === file).map(({ test }) => test.name))];
  const { tests, broken } = await workspace.test(file, names);
  console.log(`unbroken  ${file}  ${tests.length} tests  ${seconds(since)}`);
  return [
    ...tests.filter(({ passed }) => !passed).map(({ name, message }) => `${file}: ${name} fails unbroken: ${messageLine(message)}`),
    ...names
      .filter((name) => !tests.some((test) => test.name.includes(name)))
      .map((name) => `${file}: no test is called ${name}: ${broken}`),
  ];
}

/** Resolves to a row of the table, or to null when no test has failed. */
async function breakIt(workspace, mutation, i) {
  const since = performance.now();
  const changed = applyTo(mutation, (file) => workspace.read(file));
  const kept = new Map([...changed.keys()].map((file) => [file, workspace.read(file)]));
  for (const [file, text] of changed) workspace.write(file, text);
  const { tests, broken } = await workspace.test(mutation.test.file, [mutation.test.name]);
  for (const [file, text] of kept) workspace.write(file, text);
  const killer = tests.find(({ passed }) => !passed);
  const at = `${String(i + 1).padStart(3)}/${wanted.length}`;
  if (killer === undefined) {
    console.error(`SURVIVED  ${at}  ${mutation.name}${broken === null ? '' : `: the test does not run: ${broken}`}`);
    return null;
  }
  const message = messageLine(killer.message);
  console.log(`noticed   ${at}  ${mutation.name}  ${seconds(since)}\n            ${message}`);
  return { mutation, message };
}

try {
  const read = (file) => workspaces[0].read(file);
  const misplaced = wanted.flatMap((mutation) => editsOf(mutation).flatMap(({ problemIn }) => problemIn(read) ?? []));
  const wrong = [...misplaced, ...(await each(new Set(wanted.map(({ test }) => test.file)), checkUnbroken)).flat()];
  for (const what of wrong) console.error(`WRONG     ${what}`);
  if (wrong.length > 0) stop();
  const rows = (await each(wanted, breakIt)).filter((row) => row !== null);
  console.log(`${rows.length} of ${wanted.length} mutations were noticed, in ${seconds(began)}`);
  if (rows.length < wanted.length) process.exitCode = 1;
  else if (only === undefined) writeFileSync(PAGE, intoPage(readFileSync(PAGE, 'utf8'), tableOf(rows)));
} finally {
  closeAll();
}

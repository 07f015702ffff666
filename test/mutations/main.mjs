/**
 * `npm run mutations [-- --only TEXT]`: breaks one guarantee after the other by hand and runs the test that must notice. A mutation whose text
 * is not there exactly once, a test that fails without it, and a mutation that no test notices make the run fail. A whole run writes the
 * table of docs/reliability.md; `--only` takes the mutations whose name, guarantee or file contains the text, and writes nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
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
const workspace = new Workspace();
const stop = () => {
  workspace.close();
  process.exit(1);
};
process.once('SIGINT', stop).once('SIGTERM', stop);

/** What is wrong with the list or the tests, before anything is broken. */
async function checkUnbroken() {
  const wrong = [];
  for (const file of new Set(wanted.map(({ test }) => test.file))) {
    const since = performance.now();
    const names = [...new Set(wanted.filter(({ test }) => test.file === file).map(({ test }) => test.name))];
    const { tests, broken } = await workspace.test(file, names);
    for (const { name, message } of tests.filter(({ passed }) => !passed))
      wrong.push(`${file}: ${name} fails unbroken: ${messageLine(message)}`);
    for (const name of names)
      if (!tests.some((test) => test.name.includes(name))) wrong.push(`${file}: no test is called ${name}: ${broken}`);
    console.log(`unbroken  ${file}  ${tests.length} tests  ${seconds(since)}`);
  }
  return wrong;
}

/** Resolves to the test that has failed, or to why none has. */
async function killerOf(mutation) {
  const changed = applyTo(mutation, (file) => workspace.read(file));
  const kept = new Map([...changed.keys()].map((file) => [file, workspace.read(file)]));
  for (const [file, text] of changed) workspace.write(file, text);
  try {
    const { tests, broken } = await workspace.test(mutation.test.file, [mutation.test.name]);
    const killer = tests.find(({ passed }) => !passed);
    return killer === undefined ? { survives: broken === null ? 'survives' : `does not run: ${broken}` } : { killer };
  } finally {
    for (const [file, text] of kept) workspace.write(file, text);
  }
}

let failed = 0;
try {
  const misplaced = wanted.flatMap((mutation) =>
    editsOf(mutation).flatMap(({ problemIn }) => problemIn((file) => workspace.read(file)) ?? []),
  );
  const wrong = [...misplaced, ...(await checkUnbroken())];
  for (const what of wrong) console.error(`WRONG     ${what}`);
  if (wrong.length > 0) {
    workspace.close();
    process.exit(1);
  }
  const rows = [];
  for (const [i, mutation] of wanted.entries()) {
    const since = performance.now();
    const { killer, survives } = await killerOf(mutation);
    const at = `${String(i + 1).padStart(3)}/${wanted.length}`;
    if (killer === undefined) {
      failed += 1;
      console.error(`SURVIVED  ${at}  ${mutation.name}: ${survives}`);
      continue;
    }
    const message = messageLine(killer.message);
    rows.push({ mutation, test: killer.name, message });
    console.log(`noticed   ${at}  ${mutation.name}  ${seconds(since)}\n            ${message}`);
  }
  console.log(`${rows.length} of ${wanted.length} mutations were noticed, in ${seconds(began)}`);
  if (only === undefined && failed === 0) writeFileSync(PAGE, intoPage(readFileSync(PAGE, 'utf8'), tableOf(rows)));
} finally {
  workspace.close();
}
process.exitCode = failed > 0 ? 1 : 0;

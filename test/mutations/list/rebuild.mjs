// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is code that is looked for.
/** docs/DESIGN.md, "Rebuild": nothing is taken away, nobody comes back, and nothing is concluded from incomplete tables. */
const REBUILD_TS = 'src/cli/rebuild/rebuild.ts';
const FORGOTTEN = 'src/cli/rebuild/forgotten-records.ts';
const RETOUCH = 'src/clickhouse/retouch.ts';
const unit = (name) => ({ file: 'test/unit/cli-rebuild.test.ts', name });
const roller = (name) => ({ file: 'test/integration/clickhouse-roller.test.ts', name });
const ORDER = unit('is wanted before the first row, touches minutes after the last, rolls them, and only then is done');

export const REBUILD = [
  {
    name: 'rows are stored before it is known that a rebuild is under way',
    guarantee: 'rebuild: nothing is concluded from incomplete tables',
    file: REBUILD_TS,
    find: '  await wantRebuild(clickhouse, id, now);\n',
    replace: '',
    test: ORDER,
  },
  {
    name: 'a rebuild is done before its rollups are',
    guarantee: 'rebuild: nothing is concluded from incomplete tables',
    edits: [
      {
        file: REBUILD_TS,
        find: '  const rollups = await roll(',
        replace: '  await endRebuilds(clickhouse, open);\n  const rollups = await roll(',
      },
      { file: REBUILD_TS, find: '  await patiently(deps, () => endRebuilds(clickhouse, open));\n', replace: '' },
    ],
    test: ORDER,
  },
  {
    name: 'calls are looked up in tables that are not complete',
    guarantee: 'rebuild: nothing is concluded from incomplete tables',
    file: 'src/clickhouse/rebuilds.ts',
    find: 'if (open.length > 0)',
    replace: 'if (open.length > 9)',
    test: { file: 'test/integration/clickhouse-store.test.ts', name: 'nothing is looked up until every rebuild that is wanted is done' },
  },
  {
    name: 'rows are sent again as they were, whoever was forgotten meanwhile',
    guarantee: 'rebuild: who was forgotten does not come back',
    edits: [
      {
        file: REBUILD_TS,
        find: '      const { stored, unreadable } = await patiently(deps, () => storeRows(deps, portion));',
        replace:
          '      const shown = await deps.forgotten.without(portion);\n      const once = { ...deps, forgotten: { ...deps.forgotten, without: async () => shown } };\n      const { stored, unreadable } = await patiently(deps, () => storeRows(once, portion));',
      },
    ],
    test: unit('asks anew who is forgotten before rows are sent once more'),
  },
  {
    name: 'earlier revisions come back with everybody in them',
    guarantee: 'rebuild: who was forgotten does not come back',
    file: FORGOTTEN,
    find: 'return !names;',
    replace: 'return true;',
    test: unit('does not come back with an earlier revision: the last one has the pseudonym'),
  },
  {
    name: 'a call whose last revision names somebody is left out',
    guarantee: 'rebuild: what topics hold comes back',
    file: FORGOTTEN,
    find: 'if (names) this.#last.set(key, record);\n      else this',
    replace: 'this',
    test: unit('is not named by a last revision that forget-user did not come to'),
  },
  {
    name: 'bytes that nobody can read come back whatever they name',
    guarantee: 'rebuild: who was forgotten does not come back',
    file: FORGOTTEN,
    find: "stage === 'decode' || stage === 'row'",
    replace: "stage === 'row'",
    test: unit('does not come back with a session of a channel, an event, or a dead letter'),
  },
  {
    name: 'every rollup is made anew, from however few calls',
    guarantee: 'rebuild: nothing is taken away',
    file: RETOUCH,
    find: 'max(weight) <= max(present) AS anew',
    replace: '1 AS anew',
    test: roller('are not minutes of more calls than are there, unless all that were first seen since then are on the topic'),
  },
  {
    name: 'edges of calls at one moment are added up, and count no more',
    guarantee: 'rebuild: nothing is taken away',
    file: 'src/clickhouse/roller.ts',
    find: 'GROUP BY app_id, bucket, offset, step\n',
    replace: 'GROUP BY app_id, bucket, offset\n        HAVING change != 0\n',
    test: roller('count every call, also where one ends at the very moment when another is accepted'),
  },
  {
    name: 'a log that has lost all that it had is taken for one that never had anything',
    guarantee: 'rebuild: nothing is taken away',
    file: 'src/cli/rebuild/reach.ts',
    find: ' || cut.some(({ first }) => first === null)',
    replace: '',
    test: unit('is unknown where a log has lost all that it had, and of an empty topic'),
  },
  {
    name: 'a touch is worth one, whatever was rolled',
    guarantee: 'rebuild: rollups equal a recomputation',
    file: RETOUCH,
    find: 'toUInt64(greatest(1, toInt64(version) + 1 - toInt64(known)))',
    replace: 'toUInt64(1)',
    test: roller('become newer than what was rolled, also where touches were lost'),
  },
  {
    name: 'a minute that is rolled late counts as young',
    guarantee: 'rebuild: nothing is taken away',
    file: 'src/clickhouse/roller.ts',
    find: "least(d.first_rolled_at, toDateTime(${seen}, 'UTC'))",
    replace: 'd.first_rolled_at',
    test: roller('a minute began when the first of its calls was seen, however late that is stored'),
  },
];

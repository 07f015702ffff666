/** docs/DESIGN.md §3: rows, then touched minutes, then offsets; and the roller's order. */
const WORKER = 'src/workers/sink/worker.ts';
const FLUSH = 'src/clickhouse/flush.ts';
const COLLECTOR = 'src/stream/collector.ts';
const ROLLER = 'src/clickhouse/roller.ts';
const sink = (name) => ({ file: 'test/unit/workers-sink.test.ts', name });
const runtime = (name) => ({ file: 'test/unit/stream-runtime.test.ts', name });
const clickhouse = (name) => ({ file: 'test/unit/clickhouse-client.test.ts', name });
const roller = (name) => ({ file: 'test/integration/clickhouse-roller.test.ts', name });
const routes = (name) => ({ file: 'test/integration/api-routes.test.ts', name });
const ORDER = sink('is rows, then touches, then dead letters, then offsets, each after the acknowledgement of all before');

export const SINK = [
  {
    name: 'minutes are touched before the rows are sent',
    guarantee: 'rows before touched before offsets',
    edits: [
      { file: WORKER, find: '() => flush.rows()', replace: '() => flush.touches()' },
      { file: WORKER, find: '() => flush.touches()', replace: '() => flush.rows()' },
    ],
    test: ORDER,
  },
  {
    name: 'minutes are touched while the rows are on their way',
    guarantee: 'rows before touched before offsets',
    file: WORKER,
    find: "await this.#patiently('ClickHouse', () => flush.rows());",
    replace: "const rows = this.#patiently('ClickHouse', () => flush.rows());",
    test: ORDER,
  },
  {
    name: 'offsets are committed before the minutes are touched',
    guarantee: 'rows before touched before offsets',
    file: WORKER,
    find: "await this.#patiently('ClickHouse', () => flush.touches());",
    replace: "void this.#patiently('ClickHouse', () => flush.touches());",
    test: ORDER,
  },
  {
    name: 'offsets are committed before the dead letters are durable',
    guarantee: 'dead letters before offsets',
    file: WORKER,
    find: "await this.#patiently('Kafka', () => send(dead))",
    replace: "void this.#patiently('Kafka', () => send(dead))",
    test: ORDER,
  },
  {
    name: 'a batch counts as taken before its rows are in a chunk',
    guarantee: 'offsets are committed with the last of their rows',
    edits: [
      {
        file: WORKER,
        find: '    for (let from = 0; from < batch.records.length; from += SLICE) {',
        replace: '    this.#open.batches.push(batch);\n    for (let from = 0; from < batch.records.length; from += SLICE) {',
      },
      { file: WORKER, find: '    this.#open.batches.push(batch);\n', replace: '' },
    ],
    test: sink('commits a batch that was taken while its chunk was sent only with the last of its rows'),
  },
  {
    name: 'a table that failed is not sent again',
    guarantee: 'rows before touched before offsets',
    file: FLUSH,
    find: "results[i]?.status === 'rejected'",
    replace: "results[i]?.status === 'fulfilled'",
    test: sink('that fails at calls_latest sends that again, and commits only after it'),
  },
  {
    name: 'a failed table is passed over when another has succeeded',
    guarantee: 'rows before touched before offsets',
    file: FLUSH,
    find: 'if (failed !== undefined) throw failed;',
    replace: "if (failed !== undefined && results.every((r) => r.status === 'rejected')) throw failed;",
    test: sink('that fails at calls_latest sends that again, and commits only after it'),
  },
  {
    name: 'touches that failed are not sent again',
    guarantee: 'rows before touched before offsets',
    file: FLUSH,
    find: '    if (this.#touched !== null) await this.#insert(this.#touched);\n    this.#touched = null;',
    replace: '    const touched = this.#touched;\n    this.#touched = null;\n    if (touched !== null) await this.#insert(touched);',
    test: sink('that fails at touched sends that again, and commits only after it'),
  },
  {
    name: 'the beginning of an answer counts as an acknowledgement',
    guarantee: 'acknowledged is stored',
    file: 'src/clickhouse/client.ts',
    find: 'await finished(addAbortSignal',
    replace: 'void finished(addAbortSignal',
    test: clickhouse('an insert is acknowledged by the end of its answer, not by the beginning'),
  },
  {
    name: 'an answer that has begun may take for ever',
    guarantee: 'every question ends',
    file: 'src/clickhouse/client.ts',
    find: 'addAbortSignal(params.abort_signal, stream).resume()',
    replace: 'stream.resume()',
    test: clickhouse('an insert whose answer begins and never ends has failed within its time'),
  },
  {
    name: 'inserts are deduplicated by the server',
    guarantee: 'equal touches count',
    file: 'src/clickhouse/client.ts',
    find: 'DURABLE = { async_insert: 0, insert_deduplicate: 0 }',
    replace: 'DURABLE = { async_insert: 0, insert_deduplicate: 1 }',
    test: clickhouse('an insert is neither asynchronous nor deduplicated'),
  },
  {
    name: 'inserts are asynchronous',
    guarantee: 'acknowledged is stored',
    file: 'src/clickhouse/client.ts',
    find: 'DURABLE = { async_insert: 0,',
    replace: 'DURABLE = { async_insert: 1,',
    test: clickhouse('an insert is neither asynchronous nor deduplicated'),
  },
  {
    name: 'a member commits for partitions that it has lost',
    guarantee: 'a stale member does not rewind its heir',
    file: COLLECTOR,
    find: 'place.assigned && next > place.committed',
    replace: 'next > place.committed',
    test: runtime('commits nothing of a stay that has ended, also when the partition has come back'),
  },
  {
    name: 'a commit is tried again as a member of the next generation',
    guarantee: 'a stale member does not rewind its heir',
    file: 'src/stream/group-member.ts',
    find: 'this.#commit = commitOffsetsIfNecessary;',
    replace:
      'this.#commit = async (offsets) => {\n          const flat = offsets.topics.flatMap(({ topic, partitions }) => partitions.map((p) => ({ topic, ...p })));\n          await this.#consumer.commitOffsets(flat);\n        };\n        void commitOffsetsIfNecessary;',
    test: runtime('does not commit what it loses while it is on its way'),
  },
  {
    name: 'what was fetched in an earlier generation is kept',
    guarantee: 'a stale member does not rewind its heir',
    file: COLLECTOR,
    find: '    this.#held = [];\n    this.#records = 0;',
    replace: '    this.#records = 0;',
    test: runtime('keeps nothing of what it had fetched before a new generation'),
  },
  {
    name: 'a rollup claims a touch that came after it was computed',
    guarantee: 'the roller reads the touches before the calls',
    file: ROLLER,
    find: 'ns: minutes.map((m) => m.n),',
    replace: 'ns: minutes.map((m) => m.n + 1),',
    test: roller('rolls a minute again that was touched while it was rolled: after it was computed'),
  },
  {
    name: 'a minute that was rolled once is not rolled again',
    guarantee: 'a later touch has a larger sum, and is rolled again',
    file: ROLLER,
    find: 'WHERE t.n > r.n AND',
    replace: 'WHERE r.n = 0 AND',
    test: roller('rolls a minute again that was touched while it was rolled: after it was computed'),
  },
  {
    name: 'touches of one minute are not added up',
    guarantee: 'a later touch has a larger sum, and is rolled again',
    file: ROLLER,
    find: 'bucket, sum(n) AS n FROM touched',
    replace: 'bucket, toUInt64(1) AS n FROM touched',
    test: roller('rolls a minute again that was touched while it was rolled: after it was computed'),
  },
  {
    name: 'of two results of a minute the one that was stored last counts',
    guarantee: 'a rollup’s version is the sum of the touches that it has seen',
    file: 'schemas/clickhouse/001_tables.sql',
    find: 'talk_bins Tuple(Array(UInt16), Array(UInt64))))\n)\nENGINE = ReplacingMergeTree(n)',
    replace: 'talk_bins Tuple(Array(UInt16), Array(UInt64))))\n)\nENGINE = ReplacingMergeTree(rolled_at)',
    test: roller('believes no result that was computed from fewer touches, however late it is stored'),
  },
  {
    name: 'the roller takes calls to be first seen in the hour in which they start',
    guarantee: 'rollups equal a recomputation from calls',
    file: ROLLER,
    find: 'IN (SELECT toStartOfHour(first_seen_at) FROM calls_latest',
    replace: 'IN (SELECT toStartOfHour(started_at) FROM calls_latest',
    test: roller('counts a call in the minute of its start, whenever it was first seen'),
  },
  {
    name: 'the query API takes calls to be first seen in the hour in which they start',
    guarantee: 'a page of calls is that of the relation',
    file: 'src/api/query.ts',
    find: '(SELECT toStartOfHour(t.first_seen_at) FROM',
    replace: '(SELECT toStartOfHour(t.started_at) FROM',
    test: routes('are found by their start, whenever they were first seen'),
  },
  {
    name: 'deliveries of unknown hour are not compared',
    guarantee: 'received = folded + duplicates + dead, exactly',
    file: 'src/api/routes/health.ts',
    find: '}) OR event_hour = ',
    replace: '}) OR 0 = ',
    test: routes('is the same of deliveries that were stored before the hours of their events were'),
  },
  {
    name: 'deliveries of unknown hour are compared with others of unknown hour alone',
    guarantee: 'received = folded + duplicates + dead, exactly',
    file: 'src/api/routes/health.ts',
    find: 'max(t.event_hour)',
    replace: 'toUInt32(0)',
    test: routes('is the same of deliveries that were stored before the hours of their events were'),
  },
  {
    name: 'the roller looks back from the end of its last pass',
    guarantee: 'no touch is passed over',
    file: ROLLER,
    find: '    this.#seen = clock!.now;',
    replace: "    this.#seen = (await this.#client.query<{ now: number }>('SELECT toUnixTimestamp(now()) AS now'))[0]!.now;",
    test: clickhouse('the roller looks back from the beginning of its last pass, not from its end'),
  },
];

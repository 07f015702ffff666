import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { TOPICS } from '../../src/codec/topics.js';
import { startClickHouse } from '../../src/local/clickhouse.js';
import type { Server } from '../../src/local/index.js';
import type { OutputRecord } from '../../src/stream/types.js';
import type { SinkFault } from '../../src/workers/sink/fault.js';
import { blankCall, Dice, randomDeliveries } from '../support/clickhouse-model.js';
import { expectViews } from '../support/clickhouse-views.js';
import { MemoryTopics } from '../support/memory-source.js';
import { closeDatabases, codecs, drained, fill, freshDatabase, rolled, startSink } from '../support/sink-kit.js';

const dir = mkdtempSync(join(tmpdir(), 'callstream-sink-'));
let server: Server;

const start = (port: number) => startClickHouse({ port, dataDir: join(dir, 'data'), logDir: join(dir, 'log') });

beforeAll(async () => {
  server = await start(0);
});

afterAll(async () => {
  await closeDatabases();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe('the sink', () => {
  test('leaves exact relations when it dies at any point of a flush and begins again at the committed offsets', async () => {
    const client = await freshDatabase(server.address);
    const topics = new MemoryTopics();
    const dice = new Dice(11);
    const records = fill(topics, dice);
    const points: Parameters<SinkFault>[0][] = [
      'sink:before-rows-insert',
      'store:before-table-insert',
      'store:after-table-insert',
      'sink:after-rows-insert',
      'sink:before-touched-insert',
      'sink:after-touched-insert',
      'sink:before-offset-commit',
      'sink:after-offset-commit',
      'sink:before-touched-insert',
      'sink:before-offset-commit',
    ];
    for (const point of points) {
      let left = dice.int(2);
      const died = startSink(topics, client, {
        fault: (at) => {
          if (at === point && left-- === 0) throw new Error(`died ${point}`);
        },
      });
      expect(String(await died.failed)).toContain(point);
      expect(died.worker.problems()).toEqual(['the sink has stopped']);
      await died.stop();
    }
    expect(topics.lag).toBeGreaterThan(0);
    const last = startSink(topics, client);
    await drained(topics);
    await rolled(client);
    await last.stop();
    await expectViews(client, records);
  });

  test('loses nothing and doubles nothing when ClickHouse is killed again and again; says so, and is ready again afterwards', async () => {
    const client = await freshDatabase(server.address);
    const topics = new MemoryTopics();
    const records = fill(topics, new Dice(23));
    let kills = 4;
    let flushes = 0;
    const waited: string[] = [];
    const sink = startSink(topics, client, {
      // The server dies while the rows of this flush are on their way, or between them and their touches.
      fault: async (point) => {
        if (point === 'sink:before-rows-insert' && flushes++ % 2 === 1 && kills-- > 0) {
          setTimeout(() => {
            server.kill('SIGKILL');
            void server.exited.then(async () => {
              await vi.waitFor(() => expect(sink.worker.problems()).not.toEqual([]), { timeout: 30_000, interval: 5 });
              waited.push(...sink.worker.problems());
              server = await start(server.port);
            });
          }, new Dice(kills).int(25));
        }
      },
    });
    await drained(topics);
    await rolled(client);
    await vi.waitFor(() => expect(sink.worker.problems()).toEqual([]), { timeout: 30_000 });
    await sink.stop();
    expect(waited.some((w) => w.includes('ClickHouse'))).toBe(true);
    await expectViews(client, records);
  });

  test('keeps two members at once from doubling anything', async () => {
    const client = await freshDatabase(server.address);
    const topics = new MemoryTopics();
    const members = [startSink(topics, client), startSink(topics, client)];
    const records = fill(topics, new Dice(37));
    await drained(topics);
    await rolled(client);
    for (const m of members) await m.stop();
    await expectViews(client, records);
  });

  test('turns a record that cannot be decoded, and one that fits no row, into dead letters, counts what was delivered, and goes on', async () => {
    const client = await freshDatabase(server.address);
    const topics = new MemoryTopics();
    const sent: OutputRecord[] = [];
    const good = blankCall({ call_id: 'good', started_at: Date.now() - 60_000 });
    const [event] = randomDeliveries(new Dice(3), 1, Date.now());
    topics.append(TOPICS.calls.name, 0, Buffer.from('not Avro'));
    topics.append(TOPICS.calls.name, 0, codecs.call.encode(blankCall({ call_id: 'odd', started_at: -5 })));
    topics.append(TOPICS.callEvents.name, 1, Buffer.from([0, 0, 0, 0, 9, 1]));
    topics.append(TOPICS.callEvents.name, 1, codecs.callEvent.encode({ ...event!, event_at: -5 }));
    topics.append(TOPICS.calls.name, 0, null);
    topics.append(TOPICS.calls.name, 0, codecs.call.encode(good));
    const sink = startSink(topics, client, { send: async (records) => void sent.push(...records) });
    await drained(topics);
    expect(sent.map((r) => codecs.deadLetter.decode(r.value!)).map((d) => [d.stage, d.reason, d.origin_topic, d.origin_offset])).toEqual([
      ['decode', 'frame_invalid', TOPICS.calls.name, 0],
      ['row', 'row_invalid', TOPICS.calls.name, 1],
      ['decode', 'schema_unknown', TOPICS.callEvents.name, 0],
      ['row', 'row_invalid', TOPICS.callEvents.name, 1],
    ]);
    for (const { value } of sent) topics.append(TOPICS.deadLetters.name, 0, value);
    await drained(topics);
    await sink.stop();
    expect(await client.query('SELECT call_id FROM calls')).toEqual([{ call_id: 'good' }]);
    const minute = (at: number) => Math.floor(at / 60_000) * 60;
    expect(
      await client.query(
        'SELECT toUnixTimestamp(bucket) AS bucket, app_id, source, received, folded, duplicates, dead FROM delivery_minutes ORDER BY app_id',
      ),
    ).toEqual([
      { bucket: minute(1_800_000_000_000), app_id: '', source: '', received: 1, folded: 0, duplicates: 0, dead: 1 },
      {
        bucket: minute(event!.received_at),
        app_id: event!.app_id,
        source: event!.source,
        received: 1,
        folded: 0,
        duplicates: 0,
        dead: 1,
      },
    ]);
  });

  test('commits nothing when it would dead-letter everything', async () => {
    const client = await freshDatabase(server.address);
    const topics = new MemoryTopics();
    for (let i = 0; i < 1_500; i++) topics.append(TOPICS.calls.name, 0, Buffer.from('not Avro'));
    const sink = startSink(topics, client, { pace: { maxRecords: 50_000, maxBytes: 10_000_000, intervalMs: 5 } });
    expect(await sink.failed).toMatchObject({ code: 'STREAM_DEAD_LETTER_LIMIT' });
    await sink.stop();
    expect(topics.lag).toBe(1_500);
  });

  test('stops with a clear message when ClickHouse refuses for good', async () => {
    const client = await freshDatabase(server.address);
    await client.command('DROP TABLE call_revisions');
    const topics = new MemoryTopics();
    topics.append(TOPICS.calls.name, 0, codecs.call.encode(blankCall({ call_id: 'a', started_at: Date.now() })));
    const sink = startSink(topics, client);
    expect(await sink.failed).toMatchObject({ code: 'CLICKHOUSE_REFUSED', server: 60, message: expect.stringContaining('call_revisions') });
    await sink.stop();
    expect(topics.lag).toBe(1);
  });

  test('flushes a lone record at once', async () => {
    const client = await freshDatabase(server.address);
    const topics = new MemoryTopics();
    const sink = startSink(topics, client, { pace: { maxRecords: 50_000, maxBytes: 10_000_000, intervalMs: 60_000 } });
    topics.append(TOPICS.calls.name, 0, codecs.call.encode(blankCall({ call_id: 'a', started_at: Date.now() })));
    await drained(topics);
    expect(await client.query('SELECT call_id FROM calls')).toEqual([{ call_id: 'a' }]);
    await sink.stop();
  });
});

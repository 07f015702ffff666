import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chunk, ClickHouse, Flush, migrateClickHouse, Roller, retouch } from '../../src/clickhouse/index.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { blankCall } from '../support/clickhouse-model.js';
import { useStack } from '../support/stack.js';

const DAY = 86_400_000;
const KEEP = 400 * DAY;
const server = useStack(['clickhouse']);
const minute = Math.floor((Date.now() - 3_600_000) / 60_000) * 60_000;

describe('the roller beside the sink', () => {
  let client: ClickHouse;
  beforeAll(async () => {
    client = new ClickHouse({ url: server.clickhouseUrl, username: 'default', password: '', database: 'rolled' });
    await migrateClickHouse(client, { retention: { calls: KEEP, events: 90 * DAY, metrics: 1826 * DAY } });
  });
  afterAll(() => client.close());

  /** A flush of the sink: a call that has ended, and then the touch of its minute. Accepted that many ms into it, for a second. */
  async function flush(app_id: string, call_id: string, first_seen_at = minute, accepted = 0): Promise<void> {
    const chunk = new Chunk();
    const call = blankCall({
      app_id,
      call_id,
      status: 'ended',
      final: true,
      started_at: minute,
      accepted_at: minute + accepted,
      ended_at: minute + accepted + 1_000,
      first_seen_at,
      published_minutes: [minute],
    });
    chunk.addCall(call, Buffer.from(call_id));
    const sent = new Flush(client, createMetrics(), chunk);
    await sent.rows();
    await sent.touches();
  }
  /** A roller with something that happens right before, or right after, it computes and stores its minutes. */
  function rollerWith(when: 'before' | 'after', what: () => Promise<void>): Roller {
    let pending = true;
    const beside: Pick<ClickHouse, 'query' | 'command'> = {
      query: (sql, params, timeoutMs) => client.query(sql, params, timeoutMs),
      command: async (sql, params, timeoutMs) => {
        const happens = pending;
        pending = false;
        if (happens && when === 'before') await what();
        await client.command(sql, params, timeoutMs);
        if (happens && when === 'after') await what();
      },
    };
    return new Roller(beside as ClickHouse, KEEP);
  }
  const counted = async (app: string): Promise<number> => {
    const [row] = await client.query<{ calls: number }>(
      'SELECT toUInt32(sum(calls)) AS calls FROM metrics_1m WHERE app_id = {app:String}',
      { app },
    );
    return row!.calls;
  };
  const isDirty = async (app: string): Promise<boolean> =>
    (await new Roller(client, KEEP).dirty()).some(({ kind, app_id }) => kind === 'metrics' && app_id === app);

  test.each(['before', 'after'] as const)('rolls a minute again that was touched while it was rolled: %s it was computed', async (when) => {
    const app = `touched ${when}`;
    await flush(app, 'first');
    const roller = rollerWith(when, () => flush(app, 'second'));
    await roller.pass();
    expect(await counted(app)).toBe(when === 'before' ? 2 : 1);
    expect(await isDirty(app)).toBe(true);
    await roller.pass();
    expect(await counted(app)).toBe(2);
    expect(await isDirty(app)).toBe(false);
  });

  test('counts a call in the minute of its start, whenever it was first seen', async () => {
    const app = 'seen at other times';
    for (const [i, hours] of [-30, 0, 5].entries()) await flush(app, `call-${i}`, minute + hours * 3_600_000);
    await new Roller(client, KEEP).pass();
    expect(await counted(app)).toBe(3);
  });

  test('believes no result that was computed from fewer touches, however late it is stored', async () => {
    const app = 'two rollers';
    await flush(app, 'first');
    await new Roller(client, KEEP).pass();
    await flush(app, 'second');
    await new Roller(client, KEEP).pass();
    expect(await counted(app)).toBe(2);
    // A second roller, which had begun before the second call was there, is done only now.
    await client.command(
      'INSERT INTO metrics_minutes SELECT * REPLACE (n - 1 AS n, rolled_at + 1 AS rolled_at, [] AS groups) FROM metrics_minutes FINAL WHERE app_id = {app:String}',
      { app },
    );
    expect(await counted(app)).toBe(2);
  });

  test('a minute began when the first of its calls was seen, however late that is stored: it is frozen before they expire', async () => {
    const app = 'stored late';
    await flush(app, 'old', Date.now() - 0.95 * KEEP);
    await new Roller(client, KEEP).pass();
    expect(await counted(app)).toBe(1);
    await flush(app, 'another');
    expect(await isDirty(app)).toBe(false);
    await new Roller(client, KEEP).pass();
    expect(await counted(app)).toBe(1);
  });

  describe('touched for a rebuild', () => {
    const NEVER = 4_000_000_000_000;
    /** Minutes that it touches of an app, by kind. */
    async function retouched(app: string, complete: number): Promise<string[]> {
      const touches = (): Promise<{ kind: string; n: number }[]> =>
        client.query('SELECT toString(kind) AS kind, sum(n) AS n FROM touched WHERE app_id = {app:String} GROUP BY kind ORDER BY kind', {
          app,
        });
      const before = await touches();
      await retouch(client, complete);
      const after = await touches();
      return after.filter(({ kind, n }) => n !== before.find((b) => b.kind === kind)?.n).map(({ kind }) => kind);
    }
    async function rolledOf(app: string, ...calls: string[]): Promise<void> {
      for (const call of calls) await flush(app, call);
      await new Roller(client, KEEP).pass();
    }

    test('are minutes whose calls are all there, by count, and those without a rollup', async () => {
      await rolledOf('as it was', 'a', 'b');
      expect(await retouched('as it was', NEVER)).toEqual(['concurrency', 'metrics']);
      await rolledOf('none', 'a');
      await client.command("DELETE FROM metrics_minutes WHERE app_id = 'none' SETTINGS mutations_sync = 2, lightweight_deletes_sync = 2");
      await client.command(
        "DELETE FROM concurrency_minutes WHERE app_id = 'none' SETTINGS mutations_sync = 2, lightweight_deletes_sync = 2",
      );
      expect(await retouched('none', NEVER)).toEqual(['concurrency', 'metrics']);
    });

    test('are not minutes of more calls than are there, unless all that were first seen since then are on the topic', async () => {
      const app = 'calls lost';
      await rolledOf(app, 'a', 'b');
      await client.command(`ALTER TABLE calls_latest DELETE WHERE app_id = '${app}' AND call_id = 'b' SETTINGS mutations_sync = 2`);
      expect(await retouched(app, NEVER)).toEqual([]);
      expect((await retouch(client, NEVER)).kept).toBe(2);
      // The minute counts as begun when its first call was seen: at its own start.
      expect(await retouched(app, minute + 1_000)).toEqual([]);
      expect(await retouched(app, minute)).toEqual(['concurrency', 'metrics']);
      await new Roller(client, KEEP).pass();
      expect(await counted(app)).toBe(1);
    });

    test('count every call, also where one ends at the very moment when another is accepted', async () => {
      const app = 'one after another';
      await flush(app, 'before');
      // Seen before both, and no step is left of it where they are added up.
      await flush(app, 'between', minute - 60_000, 1_000);
      await flush(app, 'after', minute, 2_000);
      await new Roller(client, KEEP).pass();
      await client.command(`ALTER TABLE calls_latest DELETE WHERE app_id = '${app}' AND call_id = 'between' SETTINGS mutations_sync = 2`);
      expect(await retouched(app, NEVER)).toEqual([]);
      expect(await retouched(app, minute)).toEqual([]);
      expect(await client.query('SELECT peak, average FROM concurrency_1m WHERE app_id = {app:String}', { app })).toEqual([
        { peak: 1, average: 0.05 },
      ]);
      expect(await retouched(app, minute - 60_000)).toEqual(['concurrency', 'metrics']);
    });

    test('become newer than what was rolled, also where touches were lost', async () => {
      const app = 'touches lost';
      await rolledOf(app, 'a');
      await rolledOf(app, 'b');
      await client.command(`ALTER TABLE touched DELETE WHERE app_id = '${app}' SETTINGS mutations_sync = 2`);
      expect(await isDirty(app)).toBe(false);
      await retouch(client, NEVER);
      expect(await isDirty(app)).toBe(true);
    });
  });
});

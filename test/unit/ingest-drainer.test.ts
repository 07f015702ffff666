import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { packDelivery } from '../../src/ingest/delivery.js';
import { Drainer } from '../../src/ingest/drainer.js';
import type { Spool, SpoolBatch } from '../../src/ingest/spool.js';

it('lets go of a batch only when Kafka has it', async () => {
  const happened: string[] = [];
  const payload = packDelivery({
    topic: 't',
    key: 'k',
    event: { id: '1', source: 's', app_id: 'a', received_at: 0, auth: 'app', remote_addr: '', query: '', body: Buffer.from('b') },
  });
  const waiting = [{ payloads: [payload], segment: null as never, end: 1 } satisfies SpoolBatch];
  const spool: Pick<Spool, 'peek' | 'release'> = {
    peek: async () => waiting[0] ?? null,
    release: async () => {
      waiting.shift();
      happened.push('released');
    },
  };
  let attempts = 0;
  const send = async (): Promise<void> => {
    attempts += 1;
    for (let turns = 0; turns < 50; turns += 1) await turn();
    if (attempts === 1) throw new Error('Kafka is away');
    happened.push('acknowledged');
  };
  const states: string[] = [];
  const drainer = new Drainer(
    { maxRecords: 10, maxBytes: 1_000, backoffMs: 1, maxBackoffMs: 1 },
    { spool: spool as Spool, outlet: () => ({ send }), onState: (error) => void states.push(error === null ? 'well' : 'failing') },
  );
  drainer.wake();
  while (waiting.length > 0) await turn();
  await drainer.close();
  expect(happened).toEqual(['acknowledged', 'released']);
  expect([attempts, states]).toEqual([2, ['failing', 'well']]);
});

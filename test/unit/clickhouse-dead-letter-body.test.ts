import { expect, it } from 'vitest';
import { shownBody } from '../../src/clickhouse/dead-letter-body.js';
import { RowWriter } from '../../src/clickhouse/row-writer.js';
import { DEAD_LETTER_COLUMNS, writeDeadLetter } from '../../src/clickhouse/rows.js';
import { localCodec } from '../../src/codec/codec.js';
import { TOPICS } from '../../src/codec/topics.js';
import { signed, TIW_EXAMPLES } from '../support/tiw-examples.js';

const SIGN = signed(TIW_EXAMPLES.started).Sign;
const BODY = Buffer.from(JSON.stringify({ ...signed(TIW_EXAMPLES.started), EventType: 'Unheard' }));
const letter = (body: Buffer, source = 'tiw') => ({ source, origin_topic: 'callstream.raw.tiw', body });

it('a Sign is not shown, and the rest of the body is as it came', () => {
  const shown = shownBody(letter(BODY));
  expect(shown.toString()).toBe(BODY.toString().replace(SIGN, '*'.repeat(SIGN.length)));
});

it.each([
  ['in other letters', `{"sign" : "${SIGN}"}`],
  ['under an escaped name', `{"S\\u0069gn":"${SIGN}"}`],
  ['twice', `{"Sign":"${SIGN}","Sign":"x${SIGN}"}`],
  ['in a body that is cut off', `{"a":"b","Sign":"${SIGN}`],
  ['behind bytes that are no text', `\xff\xfe{"Sign":"${SIGN}"}\x80`],
  ['after a name that is cut short', `{"a":1,"b\\":"Sign":"${SIGN}"}`],
])('%s', (_how, text) => {
  const body = Buffer.from(text, 'latin1');
  const shown = shownBody(letter(body));
  expect(shown.toString('latin1')).not.toContain(SIGN.slice(0, 8));
  expect(shown.length).toBe(body.length);
});

it('a record that could not be decoded keeps its form', () => {
  const codec = localCodec(TOPICS.rawTiw);
  const raw = { id: 'x', source: 'tiw', app_id: '1', received_at: 1, auth: 'signature', remote_addr: '', query: '', body: BODY };
  const shown = shownBody(letter(codec.encode(raw), ''));
  expect(codec.decode(shown).body.toString()).toBe(shownBody(letter(BODY)).toString());
});

it('bodies of other sources are as they came', () => {
  const body = Buffer.from(`{"Sign":"${SIGN}"}`);
  expect(shownBody({ source: 'tuicallkit', origin_topic: 'callstream.raw.tuicallkit', body })).toBe(body);
});

it('the row of ClickHouse has no Sign', () => {
  const w = new RowWriter();
  writeDeadLetter(w, {
    ...letter(BODY),
    stage: 'parse',
    reason: 'unknown_event',
    error: '',
    app_id: '1',
    received_at: 1_700_000_000_000,
    origin_partition: 0,
    origin_offset: 1,
    origin_index: 0,
    key: 'k',
  });
  expect(DEAD_LETTER_COLUMNS).toContain('body');
  const row = w.slice().toString('latin1');
  expect(row).toContain('"SdkAppId"');
  expect(row).not.toContain(SIGN);
});

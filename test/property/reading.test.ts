import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RawEvent } from '../../src/codec/generated.js';
import { EVENTS } from '../../src/domain/vocabulary.js';
import { TruthDeliveries } from '../../src/simulator/truth/deliveries.js';
import { read } from '../../src/simulator/truth/read.js';
import type { CallbackReading } from '../../src/simulator/truth/reading.js';
import type { TruthEvent } from '../../src/simulator/truth/truth-event.js';
import type { Element, ParseReason } from '../../src/sources/element.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import type { InputRecord } from '../../src/stream/types.js';
import { callEvent } from '../../src/workers/events/call-event.js';

/*
 * What the product reads in a body against what the simulator's truth reads in it: two implementations of semantics.md "Inputs" that share no code.
 * Bodies are written as text, so that they hold what no JavaScript value can: numbers in every notation, repeated keys, half surrogate pairs.
 */
const APP = '1400000001';
const RECEIVED = 1_704_695_566_999;

const digits = (max: number) => fc.string({ unit: fc.constantFrom(...'0123456789', '0', '9'), minLength: 1, maxLength: max });
const number = fc
  .record({
    sign: fc.constantFrom('', '', '', '-'),
    whole: fc.oneof(
      fc.constantFrom(
        '0',
        '2',
        '1000',
        '1704695566',
        '1704695566123',
        '946684799',
        '946684800',
        '4102444800',
        '99999999999',
        '100000000000',
      ),
      fc.constantFrom(
        '9007199254740990',
        '9007199254740991',
        '9007199254740992',
        '9007199254740993',
        `1${'0'.repeat(399)}`,
        `1${'0'.repeat(400)}`,
      ),
      digits(25).map((d) => d.replace(/^0+(?=.)/, '')),
    ),
    fraction: fc.oneof(
      { weight: 4, arbitrary: fc.constant('') },
      fc.constantFrom(
        '.0',
        '.5',
        '.1239998',
        '.123999999999999999999999',
        '.00000000000000000001',
        `.${'0'.repeat(450)}`,
        `.${'0'.repeat(395)}1`,
      ),
      digits(12).map((d) => `.${d}`),
    ),
    exponent: fc.oneof(
      { weight: 4, arbitrary: fc.constant('') },
      fc.constantFrom('e0', 'E-0', 'e+3', 'e-7', 'e21', 'e-20', 'e308', 'e400', 'e-400', 'e99999999999999999999', 'e-99999999999999999999'),
      fc.integer({ min: -30, max: 30 }).map((e) => `e${e}`),
    ),
  })
  .map(({ sign, whole, fraction, exponent }) => sign + whole + fraction + exponent);

const ODD = [
  'null',
  'true',
  'false',
  '[]',
  '{}',
  '[1.5]',
  '{"CallId":"x"}',
  '{"__proto__":1e3}',
  '""',
  '" "',
  '"_"',
  '"\\ud800"',
  '"\\ude00\\ud83d"',
  '"\\ud83d\\ude00"',
];
const odd = fc.oneof(
  fc.constantFrom(...ODD),
  number,
  number.map((n) => `"${n}"`),
  fc.string({ unit: 'binary', maxLength: 5 }).map((s) => JSON.stringify(s)),
);
const text = (...words: string[]) => fc.constantFrom(...words.map((w) => JSON.stringify(w)));
/** One of the words, in one of its spellings. */
const spelled = (words: readonly string[]) =>
  fc
    .tuple(
      fc.constantFrom(...words),
      fc.constantFrom(
        (w: string) => w,
        (w: string) => w.toUpperCase(),
        (w: string) => w.replaceAll('_', ''),
      ),
    )
    .map(([word, spell]) => JSON.stringify(spell(word)));

const RESULTS = ['normal_end', 'interrupt', 'offline', 'not_answer', 'reject', 'call_busy', 'cancel', '__', 'Some_Thing'];
const when = fc.oneof(fc.integer({ min: 1_704_695_000, max: 1_704_696_000 }).map(String), number);
const usual: Record<string, fc.Arbitrary<string>> = {
  CallId: text('c', 'r.1-2e-3', '通话'),
  UserId: text('alice', 'bob', ''),
  RoomId: fc.oneof(text('room', '1.5'), number),
  Role: text('caller', 'callee', 'Caller', ''),
  CallResult: spelled(RESULTS),
  EventTime: when,
  StartCallTs: when,
  AcceptTs: when,
  EndTs: when,
  TotalNum: fc.oneof(fc.constantFrom('0', '2', '3', '"4"'), number),
  MediaType: text('audio', 'VIDEO', 'hologram'),
  CallType: text('single', 'Group', 'channel'),
  Extra: number.map((n) => `{"__proto__":{"n":[${n}]}}`),
  toString: odd,
};
const field = (name: string, value: fc.Arbitrary<string>) => value.map((v): [string, string] => [name, v]);
const NAMES = [...Object.keys(usual), '__proto__'];
const anyField = fc.constantFrom(...NAMES).chain((name) => {
  const own = Object.hasOwn(usual, name) ? usual[name]! : fc.constant('{"CallId":"lent","Event":"start_call"}');
  return field(name, fc.oneof({ weight: 2, arbitrary: own }, { weight: 1, arbitrary: odd }));
});
const mostly = (name: string, value: fc.Arbitrary<string>, absent: number) =>
  fc.oneof(
    { weight: 7, arbitrary: field(name, value).map((f) => [f]) },
    { weight: 1, arbitrary: field(name, odd).map((f) => [f]) },
    { weight: absent, arbitrary: fc.constant([]) },
  );

const body = fc
  .record({
    mark: fc.constantFrom('', '', '', '\ufeff', '\ufeff\ufeff'),
    call: mostly('CallId', usual.CallId!, 1),
    event: mostly('Event', spelled(EVENTS), 6),
    fields: fc.array(anyField, { maxLength: 14 }),
    turn: fc.boolean(),
    gap: fc.constantFrom('', '', ' ', '\r\n\t'),
    cut: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 4 })),
  })
  .map(({ mark, call, event, fields, turn, gap, cut }) => {
    const all = turn ? [...fields, ...call, ...event] : [...call, ...event, ...fields];
    const json = `${mark}{${all.map(([name, value]) => `${gap}${JSON.stringify(name)}${gap}:${gap}${value}${gap}`).join(',')}}`;
    return cut === 0 ? json : json.slice(0, -cut);
  });
const query = fc.constantFrom(
  '',
  'sdkappid=1&optplatform=iOS',
  'OptPlatform=i%20OS+x',
  'optplatform=&optplatform=Web',
  'optplatform=%E5%A5%BD',
);

const WHY: Record<ParseReason, Extract<CallbackReading, { kind: 'dead' }>['why']> = {
  not_utf8: 'not_json',
  too_deep: 'not_json',
  not_json: 'not_json',
  not_an_object: 'not_json',
  no_call_id: 'no_call_id',
  no_task_id: 'no_call_id',
  unknown_event: 'unknown_event',
  no_event: 'nothing',
  too_many_users: 'nothing',
  too_many_events: 'nothing',
};

/** What the product reads, in the words of the truth. */
function asReading(element: Element, platform: string): CallbackReading {
  if (!element.ok) return { kind: 'dead', why: WHY[element.reason] };
  const { input, key } = element;
  if (input.kind === 'media') throw new Error('no callback is a media poll');
  if (input.kind === 'event') {
    const { user_id, event, event_at, role, room_id, media_type, call_type, call_result } = input;
    const times = { event_at, start_at: input.start_call_ts, accept_at: input.accept_ts, end_at: input.end_ts };
    const ids = { call_id: key.call_id, user_id, room_id };
    return {
      kind: 'event',
      event,
      ...ids,
      ...times,
      role,
      media_type,
      call_type,
      call_result,
      total: input.total_num,
      platform: input.platform,
    };
  }
  const f = input.fields;
  const { role } = element.reporter!;
  expect(f.caller).toBe(role === 'caller' ? (f.users[0] ?? '') : '');
  return {
    kind: 'status',
    call_id: key.call_id,
    user_id: f.users[0] ?? '',
    room_id: f.room_id,
    event_at: f.event_at,
    start_at: f.start_at,
    accept_at: f.accept_at,
    end_at: f.end_at,
    role,
    media_type: f.media_type,
    call_type: f.call_type,
    call_result: f.result,
    total: f.total_users,
    platform,
  };
}

const deliver = (bytes: Buffer, q: string) => {
  const [element] = tuicallkit.toInputs({ source: 'tuicallkit', app_id: APP, received_at: RECEIVED, query: q, body: bytes });
  return element!;
};

function rowOf(element: Element, q: string) {
  if (!element.ok) throw new Error(element.error);
  const raw = { received_at: RECEIVED, source: 'tuicallkit', query: q } as RawEvent;
  return callEvent(element, tuicallkit, { topic: 'callstream.raw.tuicallkit', partition: 3, offset: 5 } as InputRecord, raw);
}

const RUNS = { numRuns: 3_000 };

describe('the reading of a body', () => {
  it('is that of the truth, with its row of call_events', () => {
    fc.assert(
      fc.property(body, query, (json, q) => {
        const bytes = Buffer.from(json);
        const element = deliver(bytes, q);
        const truth = read(q, bytes);
        expect(asReading(element, truth.kind === 'dead' ? '' : truth.platform)).toEqual(truth);
        if (!element.ok) return;
        const deliveries = new TruthDeliveries();
        deliveries.add({ source: 'tuicallkit', partition: 3, offset: 5, app_id: APP, query: q, body: bytes, received_at: RECEIVED }, true);
        const expected: TruthEvent = [...deliveries.events.values()][0]!;
        expect(rowOf(element, q)).toMatchObject(expected);
      }),
      RUNS,
    );
  });

  it('comes back from its row of call_events', () => {
    fc.assert(
      fc.property(body, query, (json, q) => {
        const first = deliver(Buffer.from(json), q);
        if (!first.ok) return;
        const row = rowOf(first, q);
        const rebuilt = tuicallkit.rebuild(row);
        const second = deliver(rebuilt.body, rebuilt.query);
        expect(second).toMatchObject({ ok: true, key: first.key, input: first.input });
        const again = rowOf(second, rebuilt.query);
        expect({ ...again, detail: JSON.parse(again.detail.replace('\ufeff', '')) }).toEqual({
          ...row,
          detail: JSON.parse(row.detail.replace('\ufeff', '')),
        });
      }),
      RUNS,
    );
  });

  it('depends on nothing but the bytes: neither on long numbers elsewhere in the body, nor on a byte order mark', () => {
    fc.assert(
      fc.property(body, (json) => {
        const unmarked = json.replaceAll('\ufeff', '');
        const plain = deliver(Buffer.from(unmarked), '');
        if (!plain.ok || plain.input.kind !== 'event') return;
        const longer = unmarked.replace('{', '{"Long":12345678901234567890,');
        for (const other of [longer, `\ufeff${longer}`])
          expect(deliver(Buffer.from(other), '')).toMatchObject({ key: plain.key, input: plain.input });
      }),
      RUNS,
    );
  });
});

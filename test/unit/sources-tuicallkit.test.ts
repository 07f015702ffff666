import { describe, expect, it } from 'vitest';
import type { RawEvent } from '../../src/codec/generated.js';
import type { Element } from '../../src/sources/element.js';
import { readRecordText } from '../../src/sources/readers.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import type { InputRecord } from '../../src/stream/types.js';
import { callEvent } from '../../src/workers/events/call-event.js';
import { ALICE } from '../support/vendor-example.js';

const RECEIVED = 1_700_000_000_000;

const read = (body: string | Buffer | object, query = 'sdkappid=88&optplatform=iOS'): Element => {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const elements = tuicallkit.toInputs({ source: 'tuicallkit', app_id: '88', received_at: RECEIVED, query, body: bytes });
  expect(elements).toHaveLength(1);
  return elements[0]!;
};
const input = (body: string | object) => {
  const e = read(body);
  if (!e.ok) throw new Error(e.error);
  return e.input;
};

describe('TUICallKit callbacks', () => {
  it("reads the vendor page's example", () => {
    expect(read(ALICE)).toMatchObject({
      ok: true,
      key: { provider: 'tencent', app_id: '88', call_id: 'aheahfo-eqwnknoihfsd-qweqf' },
      input: {
        kind: 'event',
        user_id: 'Alice',
        event: 'start_call',
        event_at: 1704695566000,
        role: 'caller',
        start_call_ts: 1704856873000,
        accept_ts: 1704856876000,
        end_ts: 1704856885000,
        total_num: 2,
        room_id: "Alice's Room",
        media_type: 'audio',
        call_type: 'single',
        call_result: '',
        platform: 'iOS',
        received_at: RECEIVED,
      },
    });
  });

  it('reads a body with a CallResult and no Event as a record', () => {
    const { Event: _, ...status } = { ...ALICE, CallResult: 'Normal_End' };
    expect(input(status)).toMatchObject({
      kind: 'record',
      origin: 'status',
      text: JSON.stringify(status),
      fields: { result: 'normal_end', caller: 'Alice', users: ['Alice'], total_users: 2 },
    });
  });

  it.each([
    ['not JSON', '{"CallId":', 'not_json'],
    ['an array', '[]', 'not_an_object'],
    ['null', 'null', 'not_an_object'],
    ['empty', '', 'not_json'],
    ['no CallId', { ...ALICE, CallId: undefined }, 'no_call_id'],
    ['an empty CallId', { ...ALICE, CallId: '' }, 'no_call_id'],
    ['a CallId that is an object', { ...ALICE, CallId: {} }, 'no_call_id'],
    ['an unknown Event', { ...ALICE, Event: 'call_teleported' }, 'unknown_event'],
    ['an Event that is a number', { ...ALICE, Event: 7 }, 'unknown_event'],
    ['neither Event nor CallResult', { ...ALICE, Event: '' }, 'no_event'],
    ['fields only lent by __proto__', `{"__proto__":${JSON.stringify(ALICE)},"n":12345678901234567890}`, 'no_call_id'],
  ])('makes a dead letter of a body that is %s', (_name, body, reason) => {
    expect(read(body)).toMatchObject({ ok: false, reason });
  });

  it('makes a dead letter of bytes that are not UTF-8', () => {
    expect(read(Buffer.from([0x7b, 0xff, 0x7d]))).toMatchObject({ ok: false, reason: 'not_utf8' });
  });

  it('survives deep nesting, with and without long numbers', () => {
    for (const n of ['', '12345678901234567890'])
      expect(read(`${'['.repeat(100_000)}${n}${']'.repeat(100_000)}`)).toMatchObject({ ok: false });
  });

  it('takes what is nested too deep for readers of JSON for unreadable, and brackets within strings for what they are', () => {
    const nested = (n: number) => JSON.stringify(ALICE).replace('{', `{"X":${'['.repeat(n)}${']'.repeat(n)},`);
    expect(read(nested(99))).toMatchObject({ ok: true });
    expect(read(nested(100))).toMatchObject({ ok: false, reason: 'too_deep' });
    expect(read({ ...ALICE, X: '["{'.repeat(500) })).toMatchObject({ ok: true });
  });

  it('keeps every digit of ids that are JSON numbers', () => {
    const text = JSON.stringify({ ...ALICE, RoomId: 0 })
      .replace('"RoomId":0', '"RoomId":144115212830834855')
      .replace('"Alice"', '9007199254740993');
    expect(input(text)).toMatchObject({ room_id: '144115212830834855', user_id: '9007199254740993' });
    expect(input({ ...ALICE, RoomId: 1253, UserId: -5 })).toMatchObject({ room_id: '1253', user_id: '-5' });
    const negative = JSON.stringify({ ...ALICE, RoomId: 0 }).replace('"RoomId":0', '"RoomId":-9007199254740993');
    expect(input(negative)).toMatchObject({ room_id: '-9007199254740993' });
    const smallest = JSON.stringify({ ...ALICE, RoomId: 0 }).replace('"RoomId":0', '"RoomId":9007199254740992');
    expect(input(smallest)).toMatchObject({ room_id: '9007199254740992' });
  });

  it.each([
    ['9007199254740993.0', '9007199254740993'],
    ['9007199254740993e0', '9007199254740993'],
    ['900719925474099300E-2', '9007199254740993'],
    ['0.0000001', '0.0000001'],
    ['1E-7', '0.0000001'],
    ['-1.50', '-1.5'],
    ['0.1000000000000000055', '0.1000000000000000055'],
    ['1.00000000000000000001', '1.00000000000000000001'],
    ['9007199254740990.9', '9007199254740990.9'],
    ['1e-400', ''],
    ['1e-399', `0.${'0'.repeat(398)}1`],
    ['1e3', '1000'],
    ['1e21', '1000000000000000000000'],
    ['1e399', `1${'0'.repeat(399)}`],
    ['1e400', ''],
    ['12.5e+1', '125'],
    ['1.0', '1'],
    ['-0', '0'],
    ['-0.0e-999999999999999999999', '0'],
    ['1e999999999999999999999', ''],
    [`1${'0'.repeat(1000)}e-1000`, '1'],
  ])('writes the number %s out as an id: %s', (number, id) => {
    const text = JSON.stringify({ ...ALICE, UserId: 0 }).replace('"UserId":0', `"UserId": ${number}`);
    expect(input(text)).toMatchObject({ user_id: id });
    expect(input(text.replace('{', '{"n":12345678901234567890,'))).toMatchObject({ user_id: id });
  });

  it('takes text with points and dashes for what it is', () => {
    const odd = { ...ALICE, UserId: '1.5', RoomId: ':1.5e-3,1e-7', TotalNum: 3 };
    expect(input(odd)).toMatchObject({ user_id: '1.5', room_id: ':1.5e-3,1e-7', total_num: 3, event_at: 1704695566000 });
  });

  it('tells a long number from an object that looks like one, where a key is repeated', () => {
    const text = JSON.stringify(ALICE).replace(
      '"Alice"',
      '12345678901234567890,"UserId":{"text":"12345678901234567890","source":"12345678901234567890"}',
    );
    expect(input(text)).toMatchObject({ user_id: '' });
  });

  it('passes over a byte order mark, and keeps it in the text of a record', () => {
    expect(input(`\ufeff${JSON.stringify(ALICE)}`)).toEqual(input(ALICE));
    const text = `\ufeff${JSON.stringify({ ...ALICE, Event: '', CallResult: 'cancel' })}`;
    const record = input(text);
    expect(record).toMatchObject({ kind: 'record', text, fields: { result: 'cancel', caller: 'Alice' } });
    expect(readRecordText('status', text)).toEqual(record.kind === 'record' && record.fields);
    expect(read(`\ufeff\ufeff${JSON.stringify(ALICE)}`)).toMatchObject({ ok: false, reason: 'not_json' });
  });

  it('takes the last of repeated keys, long numbers or not', () => {
    expect(input(JSON.stringify(ALICE).replace('{', '{"UserId":"first",'))).toMatchObject({ user_id: 'Alice' });
    expect(input(JSON.stringify(ALICE).replace('{', '{"UserId":"first","n":12345678901234567890,'))).toMatchObject({ user_id: 'Alice' });
  });

  it.each([
    [1704695566, 1704695566000],
    ['1704695566', 1704695566000],
    [1704695566123, 1704695566123],
    ['1704695566123', 1704695566123],
    [1704695566123.9, 1704695566123],
    [1704695566.123, 1704695566123],
    [1704695566.1239998, 1704695566123],
    [1704695566.5, 1704695566500],
    [4_102_444_800, 4_102_444_800_000],
    [99_999_999_999, null],
    [100_000_000_000, null],
    [946_684_800, 946_684_800_000],
    [946_684_799, null],
    [4_102_444_801, null],
    [170485688, null],
    [0, null],
    [-1704695566, null],
    ['1704695566.5', null],
    ['soon', null],
    [null, null],
    [{}, null],
  ])('reads the time %j as %j', (value, at) => {
    expect(input({ ...ALICE, EventTime: value })).toMatchObject({ event_at: at });
  });

  it('cuts a time after the milliseconds that were written', () => {
    for (let ms = 0; ms < 1000; ms++) {
      const fraction = String(ms).padStart(3, '0');
      const text = JSON.stringify({ ...ALICE, StartCallTs: 0 });
      const times = [`1704695566.${fraction}`, `1704695566.${fraction}9999999999`, `17046955.66${fraction}e2`];
      const read = times.map((time) => input(text.replace('"StartCallTs":0', `"StartCallTs":${time}`)));
      expect(read.map((i) => i.kind === 'event' && i.start_call_ts)).toEqual(times.map(() => 1_704_695_566_000 + ms));
    }
  });

  it.each([
    [3, 3],
    ['3', 3],
    [-3, 0],
    [2.5, 0],
    ['three', 0],
    [null, 0],
    [Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER - 1],
    [Number.MAX_SAFE_INTEGER, 0],
    [1e21, 0],
    ['9007199254740993', 0],
  ])('reads the count %j as %j', (value, n) => {
    expect(input({ ...ALICE, TotalNum: value })).toMatchObject({ total_num: n });
  });

  it.each([
    ['normalend', 'normal_end'],
    ['Normal_End', 'normal_end'],
    ['NOTANSWER', 'not_answer'],
    ['Weird_Word', 'weird_word'],
    ['_', '_'],
    ['', ''],
    [5, ''],
  ])('spells the CallResult %j of an event %j', (word, result) => {
    expect(input({ ...ALICE, CallResult: word })).toMatchObject({ call_result: result });
  });

  it.each([
    ['NormalEnd', 'normal_end'],
    ['Weird_Word', 'weird_word'],
    ['__', '__'],
    [5, '5'],
    [true, 'odd'],
    [[], 'odd'],
  ])('spells the CallResult %j of a status callback %j', (word, result) => {
    expect(input({ ...ALICE, Event: null, CallResult: word })).toMatchObject({ fields: { result } });
  });

  it('counts -0 as 0', () => {
    const text = JSON.stringify(ALICE).replace('"TotalNum":2', '"TotalNum":-0');
    expect(input(text)).toEqual(input({ ...ALICE, TotalNum: 0 }));
  });

  it('compares enumerations without case, and takes words outside the list as unknown', () => {
    expect(input({ ...ALICE, Event: 'Start_Call', Role: 'Caller', MediaType: 'Audio', CallType: 'Group' })).toMatchObject({
      event: 'start_call',
      role: 'caller',
      media_type: 'audio',
      call_type: 'group',
    });
    expect(input({ ...ALICE, Role: 'host', MediaType: 'hologram', CallType: 5 })).toMatchObject({
      role: '',
      media_type: '',
      call_type: '',
    });
  });

  it('replaces lone surrogates, which UTF-8 cannot carry', () => {
    expect(input(JSON.stringify(ALICE).replace('"Alice"', '"\\ud800x"'))).toMatchObject({ user_id: '\ufffdx' });
  });

  it('finds the app id whatever the case of the parameter, and keys by the call', () => {
    const w = tuicallkit.webhook!;
    expect(w.appIdOf('SdkAppid=88&CallbackCommand=x', Buffer.alloc(0))).toBe('88');
    expect(w.appIdOf('xsdkappid=88', Buffer.alloc(0))).toBeNull();
    expect(w.keyOf('88', '', Buffer.from(JSON.stringify(ALICE)))).toBe('tencent:88:aheahfo-eqwnknoihfsd-qweqf');
    expect(w.keyOf('88', '', Buffer.from('junk'))).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(w.successBody('', Buffer.alloc(0)))).toEqual({ ErrorCode: 0, ErrorMessage: 'Success' });
  });

  it('describes an event by every field that has no column, and by what its columns could not keep', () => {
    const detail = (body: string | object): unknown => {
      const e = read(body);
      return e.ok ? JSON.parse(tuicallkit.describe(e)) : null;
    };
    expect(detail({ ...ALICE, Extra: { a: 1 } })).toEqual({
      TotalNum: 2,
      MediaType: 'audio',
      CallType: 'single',
      StartCallTs: 1704856873,
      AcceptTs: 1704856876,
      EndTs: 1704856885,
      Extra: { a: 1 },
    });
    expect(detail({ ...ALICE, EventTime: 'soon', Role: 'host' })).toMatchObject({ EventTime: 'soon', Role: 'host' });
    expect(detail(JSON.stringify(ALICE).replace('{', '{"Big":12345678901234567890,'))).toMatchObject({ Big: '12345678901234567890' });
    const proto = detail(JSON.stringify(ALICE).replace('{', '{"__proto__":{"x":[1,{"__proto__":2}]},'));
    expect(JSON.stringify(proto)).toContain('"__proto__":{"x":[1,{"__proto__":2}]}');
  });

  const rowOf = (element: Element, query: string) => {
    if (!element.ok) throw new Error(element.error);
    const raw = { received_at: RECEIVED, source: 'tuicallkit', query } as RawEvent;
    return callEvent(element, tuicallkit, { topic: 't', partition: 0, offset: 0 } as InputRecord, raw);
  };

  it('rebuilds from a row what reads as the same input', () => {
    const query = 'sdkappid=88&optplatform=i%20OS';
    const odd = JSON.stringify(ALICE);
    for (const body of [
      ALICE,
      { ...ALICE, EventTime: 'soon', Role: 'host', TotalNum: -1 },
      { ...ALICE, Event: '', CallResult: 'cancel' },
      { ...ALICE, Event: '', CallResult: 'NormalEnd', Role: 'callee' },
      { ...ALICE, UserId: 'ü &=+%', EventTime: 1704695566123 },
      { ...ALICE, CallResult: 'NormalEnd', StartCallTs: 1704856873.1239998 },
      odd.replace('1704856873', '1704856873.12399999999999999999'),
      odd.replace('"TotalNum":2', '"TotalNum":2.00000000000000000001'),
      odd.replace('{', '{"__proto__":{"EventTime":1},"Big":12345678901234567890,'),
      `\ufeff${odd}`,
      `\ufeff${JSON.stringify({ ...ALICE, Event: '', CallResult: 'cancel' })}`,
    ]) {
      const first = read(body, query);
      const row = rowOf(first, query);
      const rebuilt = tuicallkit.rebuild(row);
      const second = read(rebuilt.body, rebuilt.query);
      expect(second.ok && second.input).toEqual(first.ok && first.input);
      expect({ ...rowOf(second, rebuilt.query), detail: '' }).toEqual({ ...row, detail: '' });
    }
  });

  it('gives back a field named __proto__', () => {
    const first = read(JSON.stringify(ALICE).replace('{', '{"__proto__":{"x":1},'));
    expect(tuicallkit.rebuild(rowOf(first, '')).body.toString()).toContain('"__proto__":{"x":1}');
  });

  it('shows who reported a status callback, and from where', () => {
    const body = { ...ALICE, Event: '', CallResult: 'NormalEnd', Role: 'Callee' };
    expect(rowOf(read(body, 'optplatform=iOS'), 'optplatform=iOS')).toMatchObject({
      event: 'record',
      user_id: 'Alice',
      role: 'callee',
      platform: 'iOS',
      call_result: 'normal_end',
    });
    expect(rowOf(read({ ...body, UserId: '', Role: 'caller' }, ''), '')).toMatchObject({ user_id: '', role: 'caller', platform: '' });
    expect(rowOf(read({ ...body, Role: 'host' }, ''), '')).toMatchObject({ role: '' });
  });
});

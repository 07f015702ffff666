import { describe, expect, test } from 'vitest';
import { Chunk } from '../../src/clickhouse/chunk.js';
import { statementsOf } from '../../src/clickhouse/migrate.js';
import { RowError, RowWriter } from '../../src/clickhouse/row-writer.js';
import { EVENT_COLUMNS, touchesOf, writeEvent } from '../../src/clickhouse/rows.js';
import type { CallEvent } from '../../src/codec/generated.js';
import { blankCall, blankLeg } from '../support/clickhouse-model.js';

const MINUTE = 60_000;
const START = 1_800_000_000_000 - (1_800_000_000_000 % MINUTE);
const frame = Buffer.from('frame');

const written = (write: (w: RowWriter) => void): Buffer => {
  const w = new RowWriter(1);
  write(w);
  return Buffer.from(w.slice());
};

describe('RowBinary', () => {
  test('writes integers little-endian, beyond 32 bits and below zero', () => {
    expect(written((w) => w.u64(2 ** 53 - 1)).readBigUInt64LE()).toBe(BigInt(2 ** 53 - 1));
    expect(written((w) => w.u64(0xffff_ffff)).readBigUInt64LE()).toBe(0xffff_ffffn);
    for (const n of [0, -1, -4_294_967_296, -4_294_967_297, -(2 ** 53 - 1), 2 ** 40])
      expect(written((w) => w.i64(n)).readBigInt64LE()).toBe(BigInt(n));
    expect(written((w) => w.i32(-1)).readInt32LE()).toBe(-1);
    expect(written((w) => w.i32(4_000_000_000)).readUInt32LE()).toBe(4_000_000_000);
  });

  test('writes strings as UTF-8 with a LEB128 length, short or long', () => {
    for (const s of ['', 'a', 'é', '二', 'x'.repeat(24), 'x'.repeat(25), `${'x'.repeat(20)}😀`, 'é'.repeat(64), 'y'.repeat(20_000)]) {
      const bytes = Buffer.from(s);
      const length = bytes.length < 128 ? [bytes.length] : bytes.length < 16_384 ? [(bytes.length & 127) | 128, bytes.length >> 7] : null;
      const out = written((w) => w.string(s));
      if (length === null)
        expect(out.subarray(0, 3)).toEqual(
          Buffer.from([(bytes.length & 127) | 128, ((bytes.length >> 7) & 127) | 128, bytes.length >> 14]),
        );
      expect(out.subarray(length?.length ?? 3)).toEqual(bytes);
      if (length !== null) expect([...out.subarray(0, length.length)]).toEqual(length);
    }
  });

  test('refuses what a column cannot hold', () => {
    for (const bad of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      expect(() => written((w) => w.u64(bad))).toThrow(RowError);
      expect(() => written((w) => w.time(bad))).toThrow(RowError);
    }
    expect(() => written((w) => w.time(10_413_792_000_000))).toThrow(RowError);
    expect(() => written((w) => w.i32(2 ** 32))).toThrow(RowError);
  });

  test('the version of an event falls as its delivery comes later', () => {
    const event: CallEvent = {
      provider: 'tencent',
      app_id: 'a',
      call_id: 'c',
      room_id: '',
      user_id: '',
      role: '',
      event: 'start_call',
      event_at: null,
      received_at: START,
      source: 's',
      platform: '',
      call_result: '',
      event_id: 'e',
      raw_topic: 'callstream.raw.tuicallkit',
      raw_partition: 1,
      raw_offset: 7,
      raw_index: 1,
      detail: '',
      polled: false,
      undelivered: false,
    };
    const version = (over: Partial<CallEvent>): bigint => {
      const row = written((w) => writeEvent(w, { ...event, ...over }));
      return row.subarray(-32).reduceRight((n, byte) => (n << 8n) | BigInt(byte), 0n);
    };
    expect(EVENT_COLUMNS.at(-1)).toBe('version');
    const ascending: Partial<CallEvent>[] = [
      { received_at: START - 4_294_967_296, raw_topic: 'callstream.raw.user-event' },
      { raw_topic: 'callstream.raw.aliyun-rtc', raw_partition: 99 },
      { raw_topic: 'callstream.raw.call-record' },
      { raw_partition: 0, raw_offset: 9_000_000_000_000 },
      { raw_offset: 6 },
      { raw_index: 0 },
      {},
      { raw_index: 300 },
      { raw_offset: 4_294_967_296 + 3 },
      { raw_partition: 300, raw_offset: 0 },
      { raw_topic: 'callstream.raw.user-event', raw_offset: 0 },
      { received_at: START + 1, raw_offset: 0 },
    ];
    const versions = ascending.map(version);
    for (let i = 1; i < versions.length; i++) expect(versions[i]! < versions[i - 1]!).toBe(true);
  });
});

describe('touched minutes', () => {
  test('are every minute of started_at ever published, this one included', () => {
    const call = blankCall({ started_at: START + 5, published_minutes: [START - MINUTE, START] });
    expect(touchesOf(call)).toEqual({ metrics: [START - MINUTE, START], concurrency: [], historic: false });
    expect(touchesOf({ ...call, published_minutes: [] }).metrics).toEqual([START]);
  });

  test('of an interval are all between the earliest accept and the latest end ever published', () => {
    const call = blankCall({ status: 'ended', started_at: START, accepted_at: START + 1, ended_at: START + MINUTE });
    expect(touchesOf({ ...call, span_from: START - 1, span_to: START + 2 * MINUTE - 1 }).concurrency).toEqual([
      START - MINUTE,
      START,
      START + MINUTE,
    ]);
    expect(touchesOf(call).concurrency).toEqual([START, START + MINUTE]);
    expect(touchesOf({ ...call, status: 'active', ended_at: null }).concurrency).toEqual([]);
    expect(touchesOf({ ...call, status: 'active', ended_at: null, span_from: START, span_to: START }).concurrency).toEqual([START]);
  });

  test('of an interval longer than a day are its ends, and what the history has', () => {
    const day = 1440 * MINUTE;
    const call = blankCall({
      status: 'ended',
      started_at: START,
      accepted_at: START,
      ended_at: START + 9 * day,
      span_from: START - day,
      span_to: START + 9 * day,
    });
    expect(touchesOf(call)).toMatchObject({ concurrency: [START - day, START, START + 9 * day], historic: true });
  });

  test('beyond what a bucket can hold make no row', () => {
    expect(() => touchesOf(blankCall({ started_at: 5_000_000_000_000 }))).toThrow(RowError);
  });
});

describe('a chunk', () => {
  test('sends every revision to the history and only the last of a call to the latest, whatever comes first', () => {
    const a = (revision: number) => blankCall({ call_id: 'a', revision, started_at: START, room_id: 'r'.repeat(revision) });
    const b = blankCall({ call_id: 'b', started_at: START });
    const mixed = new Chunk();
    for (const c of [a(1), b, a(3), a(2)]) mixed.addCall(c, frame);
    const plain = new Chunk();
    for (const c of [b, a(3)]) plain.addCall(c, frame);
    const tables = mixed.tables();
    expect(tables.map((t) => [t.table, t.rows])).toEqual([
      ['calls_latest', 2],
      ['call_revisions', 4],
    ]);
    expect(tables[0]!.bytes).toEqual(plain.tables()[0]!.bytes);
    expect(mixed.touched()!.rows).toBe(1);
  });

  test('keeps no trace of a record that fits no row', () => {
    const chunk = new Chunk();
    const good = blankCall({ call_id: 'good', started_at: START });
    const plain = new Chunk();
    for (const c of [chunk, plain]) c.addCall(good, frame);
    expect(() => chunk.addCall(blankCall({ call_id: 'bad', started_at: START, legs: [blankLeg({ talk_ms: -1 })] }), frame)).toThrow(
      RowError,
    );
    expect(() => chunk.addCall(blankCall({ call_id: 'bad', started_at: START, ring_ms: 0.5 }), frame)).toThrow(RowError);
    expect(chunk.records).toBe(1);
    expect(chunk.tables()).toEqual(plain.tables());
  });
});

test('a migration is split at semicolons that end a line', () => {
  expect(statementsOf("-- a; comment\nSELECT ';' AS x;\n\nSELECT 2\nFROM t;\n")).toEqual(["SELECT ';' AS x", 'SELECT 2\nFROM t']);
});

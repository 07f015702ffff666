import { readdirSync, readFileSync } from 'node:fs';
import avsc from 'avsc';
import { describe, expect, it, vi } from 'vitest';
import { packCall, unpackCall } from '../../src/codec/call-record.js';
import { cloudEventHeaders } from '../../src/codec/cloudevents.js';
import { localCodec, openCodec } from '../../src/codec/codec.js';
import type { DeadLetter, RawEvent } from '../../src/codec/generated.js';
import { type CodecError, type SchemaRegistry, schemaText } from '../../src/codec/registry.js';
import { TOPICS, type Topic, type TopicSpec } from '../../src/codec/topics.js';
import { deriveCall } from '../../src/domain/call.js';
import { addInput, emptyState } from '../../src/domain/state.js';
import { readMediaText, readRecordText } from '../../src/sources/readers.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';

const RAW: RawEvent = {
  id: 'x',
  source: 'tuicallkit',
  app_id: '1',
  received_at: 1_700_000_000_000,
  auth: 'app',
  remote_addr: '127.0.0.1',
  query: 'a=b',
  body: Buffer.from([0, 255, 1]),
};
const code = (f: () => unknown): string => {
  try {
    f();
  } catch (error) {
    return (error as CodecError).code;
  }
  return 'none';
};

describe('the codec', () => {
  it('frames a value as a zero byte, the schema id and the Avro binary, and reads it back', () => {
    const codec = localCodec(TOPICS.rawTuicallkit, 258);
    const frame = codec.encode(RAW);
    expect([...frame.subarray(0, 5)]).toEqual([0, 0, 0, 1, 2]);
    expect({ ...codec.decode(frame) }).toEqual(RAW);
  });

  it('keeps earlier frames intact while later ones are encoded, small and large', () => {
    const codec = localCodec(TOPICS.rawTuicallkit);
    const bodies = [10, 5_000, 20_000, 3, 300_000, 8_000, 8_000].map((n, i) => Buffer.alloc(n, i + 1));
    const frames = bodies.map((body) => codec.encode({ ...RAW, body }));
    expect(frames.map((f) => codec.decode(f).body.equals(bodies[frames.indexOf(f)]!))).toEqual(bodies.map(() => true));
  });

  it('tells frames, unknown schemas and broken binaries apart', async () => {
    const codec = await openCodec(TOPICS.rawTuicallkit, registry({ 7: null }));
    const frame = codec.encode(RAW);
    expect(code(() => codec.decode(Buffer.from('{}')))).toBe('FRAME_INVALID');
    expect(code(() => codec.decode(Buffer.alloc(2)))).toBe('FRAME_INVALID');
    expect(code(() => codec.decode(Buffer.concat([Buffer.from([1]), frame.subarray(1)])))).toBe('FRAME_INVALID');
    expect(code(() => codec.decode(frame.subarray(0, frame.length - 1)))).toBe('AVRO_INVALID');
    expect(code(() => codec.decode(Buffer.concat([frame, Buffer.from([0])])))).toBe('AVRO_INVALID');
    const other = Buffer.from(frame);
    other.writeInt32BE(7, 1);
    expect(code(() => codec.decode(other))).toBe('SCHEMA_UNKNOWN');
    for (let asked = 1; asked < 5; asked++) await expect(codec.resolve([other])).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    await codec.resolve([other, null, Buffer.from('x')]);
    expect(code(() => codec.decode(other))).toBe('SCHEMA_UNKNOWN');
  });

  it('refuses a value that does not fit its schema, and a number that a double cannot hold', () => {
    const codec = localCodec(TOPICS.rawTuicallkit);
    expect(code(() => codec.encode({ ...RAW, received_at: 2 ** 53 + 2 }))).toBe('AVRO_INVALID');
    expect(code(() => codec.encode({ ...RAW, body: 'text' as unknown as Buffer }))).toBe('AVRO_INVALID');
    expect({ ...codec.decode(codec.encode(RAW)) }).toEqual(RAW);
  });

  it("reads what an older or newer writer's schema wrote, looking its id up once", async () => {
    const older = JSON.parse(schemaText(TOPICS.deadLetters));
    older.fields.push({ name: 'added_later', type: 'string', default: '' });
    const writer = avsc.Type.forSchema(older);
    let asked = 0;
    const codec = await openCodec(
      TOPICS.deadLetters,
      registry({ 9: writer }, () => asked++),
    );
    const value: DeadLetter = {
      stage: 'parse',
      reason: 'r',
      error: '',
      source: '',
      app_id: '',
      received_at: 1,
      origin_topic: 't',
      origin_partition: 0,
      origin_offset: 1,
      origin_index: 0,
      key: '',
      body: Buffer.from('b'),
    };
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, 9]), writer.toBuffer({ ...value, added_later: 'x' })]);
    await codec.resolve([frame, frame]);
    await codec.resolve([frame]);
    expect(asked).toBe(1);
    expect({ ...codec.decode(frame) }).toEqual(value);
  });

  it('builds the resolver of a writer once, not for every record (rule 11)', async () => {
    const writer = avsc.Type.forSchema(JSON.parse(schemaText(TOPICS.rawTuicallkit)));
    const codec = await openCodec(TOPICS.rawTuicallkit, registry({ 9: writer }));
    const build = vi.spyOn(avsc.Type.prototype, 'createResolver');
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, 9]), writer.toBuffer(RAW)]);
    await codec.resolve([frame]);
    const built = build.mock.calls.length;
    expect(built).toBeGreaterThan(0);
    for (let i = 0; i < 10; i += 1) expect({ ...codec.decode(frame) }).toEqual(RAW);
    expect(build).toHaveBeenCalledTimes(built);
    build.mockRestore();
  });

  it('reads only the fields that are asked for', () => {
    const codec = localCodec(TOPICS.rawTuicallkit);
    expect({ ...codec.only('app_id', 'body').decode(codec.encode(RAW)) }).toEqual({ app_id: '1', body: RAW.body });
  });
});

describe('the Call record', () => {
  it('carries the inputs of its call: what comes back derives the same', () => {
    const state = emptyState({ provider: 'tencent', app_id: '1', call_id: 'c' });
    const body = {
      CallId: 'c',
      UserId: 'a',
      RoomId: 'r',
      Role: 'caller',
      Event: 'start_call',
      EventTime: 1_700_000_000,
      TotalNum: 2,
      MediaType: 'audio',
      CallType: 'single',
    };
    const bodies = [
      body,
      { ...body, UserId: 'b', Role: 'callee', Event: 'receive_call' },
      { ...body, Event: 'call_end', EventTime: 'soon' },
      { ...body, Event: undefined, CallResult: 'Normal_End', EndTs: 1_700_000_100 },
    ];
    for (const [i, b] of bodies.entries()) {
      const [element] = tuicallkit.toInputs({
        source: 'tuicallkit',
        app_id: '1',
        received_at: 1_700_000_000_500 + i,
        query: 'optplatform=iOS',
        body: Buffer.from(JSON.stringify(b)),
      });
      if (element?.ok) addInput(state, element.input);
    }
    const publication = {
      revision: 3,
      final: true,
      first_seen_at: 1,
      updated_at: 2,
      last_change_at: 3,
      latest_at: 4,
      published_minutes: [0, 60_000],
      span_from: null,
      span_to: 5,
      deadline_at: null,
      record_task: true,
      media_task: true,
      final_outcome: deriveCall(state).outcome,
    };
    const codec = localCodec(TOPICS.calls);
    const back = unpackCall(codec.decode(codec.encode(packCall(state, deriveCall(state), publication))), {
      record: readRecordText,
      media: readMediaText,
    });
    expect(back.publication).toEqual(publication);
    expect(back.state).toEqual(state);
    expect(deriveCall(back.state)).toEqual(deriveCall(state));
  });
});

describe('CloudEvents headers', () => {
  it('are the attributes of the binary mode', () => {
    expect(cloudEventHeaders({ id: 'k@1', name: 'calls', source: '//tencent/1', time: 1_700_000_000_123 })).toEqual({
      ce_specversion: '1.0',
      ce_id: 'k@1',
      ce_type: 'callstream.calls.v1',
      ce_source: '//tencent/1',
      ce_time: '2023-11-14T22:13:20.123Z',
      'content-type': 'application/avro',
    });
  });
});

describe('the schemas', () => {
  const folder = new URL('../../schemas/avro/', import.meta.url);
  const parse = (path: string) => avsc.Type.forSchema(JSON.parse(readFileSync(new URL(path, folder), 'utf8')));
  const released = readdirSync(new URL('released/', folder)).filter((f) => f.endsWith('.avsc'));

  it('have a released version each', () => {
    const topics: TopicSpec[] = Object.values(TOPICS);
    expect([...new Set(released.map((f) => f.replace(/\.v\d+\.avsc$/, '')))].sort()).toEqual(
      [...new Set(topics.map((t) => t.schema))].sort(),
    );
  });

  it.each(released)('read and are read by %s', (file) => {
    const now = parse(file.replace(/\.v\d+\.avsc$/, '.avsc'));
    const then = parse(`released/${file}`);
    expect(() => now.createResolver(then)).not.toThrow();
    expect(() => then.createResolver(now)).not.toThrow();
  });

  it('use no union but of null and one type', () => {
    const check = (schema: unknown): void => {
      if (Array.isArray(schema)) {
        expect(schema).toHaveLength(2);
        expect(schema[0]).toBe('null');
      } else if (typeof schema === 'object' && schema !== null) {
        const { type, items, fields } = schema as { type?: unknown; items?: unknown; fields?: { type: unknown }[] };
        check(type);
        check(items);
        for (const field of fields ?? []) check(field.type);
      }
    };
    for (const topic of Object.values(TOPICS) as Topic<unknown>[]) check(JSON.parse(schemaText(topic)));
  });
});

function registry(writers: Record<number, unknown>, asked = () => {}): SchemaRegistry {
  return {
    idOf: async () => 1,
    writer: async (id: number) => {
      asked();
      return writers[id] ?? null;
    },
  } as unknown as SchemaRegistry;
}

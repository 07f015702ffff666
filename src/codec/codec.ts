import { Buffer } from 'node:buffer';
import type { Type } from 'avsc';
import { messageOf } from '../domain/errors.js';
import { avsc } from './avsc.js';
import { CodecError, type SchemaRegistry, schemaText } from './registry.js';
import type { Topic } from './topics.js';

/** Confluent wire format: a zero byte, the schema id as a big-endian int32, the Avro binary. */
const HEADER = 5;

/** What reads the values of one topic. */
export interface TopicReader<T> {
  /** Loads the writer schema of every frame that is not yet known. Throws REGISTRY_UNAVAILABLE: wait and call again. */
  resolve(frames: Iterable<Buffer | null>): Promise<void>;
  /** Throws FRAME_INVALID, SCHEMA_UNKNOWN (also for an id that {@link resolve} has not seen) or AVRO_INVALID. */
  decode(frame: Buffer): T;
}

/** What turns the values of one topic into bytes and back. */
export interface TopicCodec<T> extends TopicReader<T> {
  /** One framed value. Throws AVRO_INVALID when the value does not fit the schema. */
  encode(value: T): Buffer;
  /** A reader of some fields only, which skips the others: cheaper where most of a record is not needed. */
  only<K extends keyof T & string>(...fields: K[]): TopicReader<Pick<T, K>>;
}

/** Opens the codec of a topic: its schema must have been registered by `migrate`. */
export async function openCodec<T>(topic: Topic<T>, registry: SchemaRegistry): Promise<TopicCodec<T>> {
  return new Codec<T>(schemaOf(topic), await registry.idOf(topic), registry);
}

/** A codec that needs no registry: every frame has `id`. For tests, and for the in-process driver. */
export function localCodec<T>(topic: Topic<T>, id = 1): TopicCodec<T> {
  return new Codec<T>(schemaOf(topic), id, null);
}

interface RecordSchema {
  fields: { name: string }[];
}
type AvroSchema = Parameters<typeof Type.forSchema>[0];
type Resolver = ReturnType<Type['createResolver']>;
type Writers = Pick<SchemaRegistry, 'writer'> | null;

const schemaOf = (topic: Topic<unknown>): RecordSchema => JSON.parse(schemaText(topic));

/** Times that a registry must deny an id before it is taken for unknown; the runtime waits longer and longer between them. */
const ASKED_FOR_UNKNOWN = 5;

class Reader<T> implements TopicReader<T> {
  readonly #type: Type;
  readonly #registry: Writers;
  /** By writer id; null: this very schema, which needs no resolver; 'unknown': the registry has no such id, or it does not fit. */
  readonly #writers = new Map<number, Resolver | null | 'unknown'>();

  /** How often the registry has said that it does not know an id. */
  readonly #asked = new Map<number, number>();

  /** `id` is the id of `written`, if it is known beforehand. */
  constructor(type: Type, id: number, written: Type, registry: Writers) {
    this.#type = type;
    this.#registry = registry;
    this.#writers.set(id, type === written ? null : type.createResolver(written));
  }

  async resolve(frames: Iterable<Buffer | null>): Promise<void> {
    for (const frame of frames) {
      if (frame === null || frame.length < HEADER || frame[0] !== 0) continue;
      const id = frame.readInt32BE(1);
      if (this.#writers.has(id)) continue;
      this.#writers.set(id, await this.#lookUp(id));
    }
  }

  decode(frame: Buffer): T {
    if (frame.length < HEADER || frame[0] !== 0) throw new CodecError('FRAME_INVALID', 'not a value in the Confluent wire format');
    const id = frame.readInt32BE(1);
    const resolver = this.#writers.get(id);
    if (resolver === undefined || resolver === 'unknown') throw new CodecError('SCHEMA_UNKNOWN', `no usable schema with id ${id}`);
    let result: { value: T; offset: number };
    try {
      result = resolver === null ? this.#type.decode(frame, HEADER) : this.#type.decode(frame, HEADER, resolver);
    } catch (error) {
      throw new CodecError('AVRO_INVALID', messageOf(error), { cause: error });
    }
    if (result.offset !== frame.length) throw new CodecError('AVRO_INVALID', 'the value is truncated or has bytes after its end');
    return result.value;
  }

  async #lookUp(id: number): Promise<Resolver | 'unknown'> {
    const writer = (await this.#registry?.writer(id)) ?? null;
    if (writer !== null) return this.#resolver(writer);
    // A registry that is behind, or has just started, also says that it does not know an id: believe it when it keeps saying so.
    const asked = (this.#asked.get(id) ?? 0) + 1;
    this.#asked.set(id, asked);
    if (this.#registry !== null && asked < ASKED_FOR_UNKNOWN) {
      throw new CodecError('REGISTRY_UNAVAILABLE', `the schema registry does not know schema ${id} (asked ${asked} times)`);
    }
    return 'unknown';
  }

  #resolver(writer: Type): Resolver | 'unknown' {
    try {
      return this.#type.createResolver(writer);
    } catch {
      return 'unknown';
    }
  }
}

/** Values are encoded one behind the other into slabs of this size: an allocation per value costs more than the encoding. */
const SLAB = 16 * 1024;

class Codec<T> extends Reader<T> implements TopicCodec<T> {
  readonly #schema: RecordSchema;
  readonly #written: Type;
  readonly #id: number;
  readonly #writers: Writers;
  #slab = Buffer.allocUnsafeSlow(SLAB);
  #used = 0;

  constructor(schema: RecordSchema, id: number, registry: Writers) {
    const type = avsc.Type.forSchema(schema as AvroSchema);
    super(type, id, type, registry);
    this.#schema = schema;
    this.#written = type;
    this.#id = id;
    this.#writers = registry;
  }

  encode(value: T): Buffer {
    let end: number;
    try {
      end = this.#written.encode(value, this.#slab, this.#used + HEADER);
      if (end < 0) {
        // A negative end is the number of bytes that were missing.
        this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB, this.#slab.length - this.#used - end));
        this.#used = 0;
        end = this.#written.encode(value, this.#slab, HEADER);
      }
    } catch (error) {
      throw new CodecError('AVRO_INVALID', messageOf(error), { cause: error });
    }
    const frame = this.#slab.subarray(this.#used, end);
    this.#used = end;
    frame[0] = 0;
    frame.writeInt32BE(this.#id, 1);
    return frame;
  }

  only<K extends keyof T & string>(...fields: K[]): TopicReader<Pick<T, K>> {
    const wanted: ReadonlySet<string> = new Set(fields);
    const part = { ...this.#schema, fields: this.#schema.fields.filter((f) => wanted.has(f.name)) };
    return new Reader(avsc.Type.forSchema(part as AvroSchema), this.#id, this.#written, this.#writers);
  }
}

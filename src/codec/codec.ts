import { Buffer } from 'node:buffer';
import { Type } from 'avsc';
import { CodecError, type SchemaRegistry, schemaText } from './registry.js';
import type { Topic } from './topics.js';

/** Confluent wire format: a zero byte, the schema id as a big-endian int32, the Avro binary. */
const HEADER = 5;

/** What turns the values of one topic into bytes and back. */
export interface TopicCodec<T> {
  /** Id of the schema that {@link encode} writes. */
  readonly id: number;
  /** One framed value. Throws AVRO_INVALID when the value does not fit the schema. */
  encode(value: T): Buffer;
  /** Loads the writer schema of every frame that is not yet known. Throws REGISTRY_UNAVAILABLE: wait and call again. */
  resolve(frames: Iterable<Buffer | null>): Promise<void>;
  /** Throws FRAME_INVALID, SCHEMA_UNKNOWN (also for an id that {@link resolve} has not seen) or AVRO_INVALID. */
  decode(frame: Buffer): T;
}

/** Opens the codec of a topic: its schema must have been registered by `migrate`. */
export async function openCodec<T>(topic: Topic<T>, registry: SchemaRegistry): Promise<TopicCodec<T>> {
  return new Codec<T>(Type.forSchema(JSON.parse(schemaText(topic))), await registry.idOf(topic), registry);
}

/** A codec that needs no registry: every frame has `id`. For tests, and for the in-process driver. */
export function localCodec<T>(topic: Topic<T>, id = 1): TopicCodec<T> {
  return new Codec<T>(Type.forSchema(JSON.parse(schemaText(topic))), id, null);
}

type Resolver = ReturnType<Type['createResolver']>;

class Codec<T> implements TopicCodec<T> {
  readonly #type: Type;
  readonly id: number;
  readonly #registry: Pick<SchemaRegistry, 'writer'> | null;
  /** By writer id; null: this very schema, which needs no resolver; undefined: not looked up; 'unknown': the registry has no such id. */
  readonly #writers = new Map<number, Resolver | null | 'unknown'>();
  #scratch = Buffer.allocUnsafe(64 * 1024);

  constructor(type: Type, id: number, registry: Pick<SchemaRegistry, 'writer'> | null) {
    this.#type = type;
    this.id = id;
    this.#registry = registry;
    this.#writers.set(id, null);
  }

  encode(value: T): Buffer {
    let end: number;
    try {
      end = this.#type.encode(value, this.#scratch, HEADER);
      if (end < 0) {
        // A negative end is the number of bytes that were missing; headroom makes the next large value fit at once.
        this.#scratch = Buffer.allocUnsafe((this.#scratch.length - end) * 2);
        end = this.#type.encode(value, this.#scratch, HEADER);
      }
    } catch (error) {
      throw new CodecError('AVRO_INVALID', error instanceof Error ? error.message : String(error), { cause: error });
    }
    const out = Buffer.allocUnsafeSlow(end);
    this.#scratch.copy(out, 0, 0, end);
    out[0] = 0;
    out.writeInt32BE(this.id, 1);
    return out;
  }

  async resolve(frames: Iterable<Buffer | null>): Promise<void> {
    for (const frame of frames) {
      if (frame === null || frame.length < HEADER || frame[0] !== 0) continue;
      const id = frame.readInt32BE(1);
      if (this.#writers.has(id)) continue;
      const writer = (await this.#registry?.writer(id)) ?? null;
      this.#writers.set(id, writer === null ? 'unknown' : this.#resolver(writer));
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
      throw new CodecError('AVRO_INVALID', error instanceof Error ? error.message : String(error), { cause: error });
    }
    if (result.offset !== frame.length) throw new CodecError('AVRO_INVALID', 'the value is truncated or has bytes after its end');
    return result.value;
  }

  #resolver(writer: Type): Resolver | 'unknown' {
    try {
      return this.#type.createResolver(writer);
    } catch {
      return 'unknown';
    }
  }
}

/** The schema id of a frame, or null when it is not one. */
export const schemaIdOf = (frame: Buffer): number | null => (frame.length < HEADER || frame[0] !== 0 ? null : frame.readInt32BE(1));

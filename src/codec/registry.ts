import { readFileSync } from 'node:fs';
import { SchemaRegistry as Client, COMPATIBILITY, SchemaType } from '@kafkajs/confluent-schema-registry';
import type { Type } from 'avsc';
import { CallstreamError, messageOf } from '../domain/errors.js';
import { subjectOf, type TopicSpec } from './topics.js';

export interface RegistryOptions {
  /** Base URL of a Confluent-compatible API. */
  url: string;
  username?: string;
  password?: string;
}

/** Errors of the codec. `REGISTRY_UNAVAILABLE` is the environment's; `FRAME_INVALID`, `SCHEMA_UNKNOWN` and `AVRO_INVALID` are the data's. */
export class CodecError extends CallstreamError {}

const schemasFolder = new URL('../../schemas/avro/', import.meta.url);

/** The text of a topic's value schema, as it is registered. */
export const schemaText = (topic: TopicSpec): string =>
  JSON.stringify(JSON.parse(readFileSync(new URL(`${topic.schema}.avsc`, schemasFolder), 'utf8')));

/** Registration and lookup of schemas; framing and decoding are {@link ./codec.ts}'s, which caches what this returns. */
export class SchemaRegistry {
  readonly #client: Client;
  readonly #url: string;

  constructor(options: RegistryOptions) {
    this.#url = options.url.replace(/\/+$/, '');
    this.#client = new Client({
      host: this.#url,
      retry: { retries: 0 },
      ...(options.username === undefined ? {} : { auth: { username: options.username, password: options.password ?? '' } }),
    });
  }

  /**
   * Registers a topic's value schema with FULL_TRANSITIVE compatibility; idempotent. Returns its id.
   * Throws REGISTRY_UNAVAILABLE, or SCHEMA_INCOMPATIBLE when the registry refuses the schema.
   */
  async register(topic: TopicSpec): Promise<number> {
    try {
      const { id } = await this.#client.register(
        { type: SchemaType.AVRO, schema: schemaText(topic) },
        { subject: subjectOf(topic), compatibility: COMPATIBILITY.FULL_TRANSITIVE },
      );
      return id;
    } catch (error) {
      if (statusOf(error) === 409) {
        throw new CodecError('SCHEMA_INCOMPATIBLE', `the registry refuses the schema of ${subjectOf(topic)}: ${messageOf(error)}`, {
          cause: error,
        });
      }
      throw this.#unavailable(error);
    }
  }

  /** The id under which this very schema is registered. Throws SCHEMA_NOT_REGISTERED (run `callstream migrate`) or REGISTRY_UNAVAILABLE. */
  async idOf(topic: TopicSpec): Promise<number> {
    try {
      return await this.#client.getRegistryIdBySchema(subjectOf(topic), { type: SchemaType.AVRO, schema: schemaText(topic) });
    } catch (error) {
      // The client wraps a 404, and nothing else, in an error of its own.
      if (error instanceof Error && error.name === 'ConfluentSchemaRegistryError') {
        throw new CodecError('SCHEMA_NOT_REGISTERED', `the schema of ${subjectOf(topic)} is not registered: run callstream migrate`, {
          cause: error,
        });
      }
      throw this.#unavailable(error);
    }
  }

  /** The writer's schema of an id, or null when the registry does not know the id. Throws REGISTRY_UNAVAILABLE. */
  async writer(id: number): Promise<Type | null> {
    try {
      return (await this.#client.getSchema(id)) as unknown as Type;
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw this.#unavailable(error);
    }
  }

  #unavailable(error: unknown): CodecError {
    const host = new URL(this.#url);
    return new CodecError(
      'REGISTRY_UNAVAILABLE',
      `the schema registry at ${host.protocol}//${host.host} does not answer: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

function statusOf(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number' ? error.status : undefined;
}

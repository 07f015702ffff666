import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { SchemaRegistry as Client, COMPATIBILITY, SchemaType } from '@kafkajs/confluent-schema-registry';
import type { Type } from 'avsc';
import { CallstreamError, messageOf } from '../domain/errors.js';
import { subjectOf, type TopicSpec } from './topics.js';

export interface RegistryOptions {
  /** Base URL of a Confluent-compatible API. */
  url: string;
  username?: string;
  password?: string;
  /** A question that takes longer has failed. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Errors of the codec. `REGISTRY_UNAVAILABLE` is the environment's; `FRAME_INVALID`, `SCHEMA_UNKNOWN` and `AVRO_INVALID` are the data's. */
export class CodecError extends CallstreamError {}

const schemasFolder = new URL('../../schemas/avro/', import.meta.url);

/** The text of a topic's value schema, as it is registered. */
export const schemaText = (topic: TopicSpec): string =>
  JSON.stringify(JSON.parse(readFileSync(new URL(`${topic.schema}.avsc`, schemasFolder), 'utf8')));

/** Registration and lookup of schemas; framing and decoding are {@link ./codec.ts}'s, which caches what this returns. */
export class SchemaRegistry {
  readonly #options: RegistryOptions;
  readonly #url: string;
  #connection: { client: Client; agent: HttpAgent };

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#url = options.url.replace(/\/+$/, '');
    this.#connection = this.#connect();
  }

  /**
   * Registers a topic's value schema with FULL_TRANSITIVE compatibility; idempotent. Returns its id.
   * Throws REGISTRY_UNAVAILABLE, or SCHEMA_INCOMPATIBLE when the registry refuses the schema.
   */
  async register(topic: TopicSpec): Promise<number> {
    try {
      const { id } = await this.#ask((client) =>
        client.register(
          { type: SchemaType.AVRO, schema: schemaText(topic) },
          { subject: subjectOf(topic), compatibility: COMPATIBILITY.FULL_TRANSITIVE },
        ),
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
      return await this.#ask((client) =>
        client.getRegistryIdBySchema(subjectOf(topic), { type: SchemaType.AVRO, schema: schemaText(topic) }),
      );
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
      return (await this.#ask((client) => client.getSchema(id))) as unknown as Type;
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw this.#unavailable(error);
    }
  }

  /**
   * The client waits for ever, even for the rest of an answer that was torn off, and joins every later question for the same schema to the one
   * that hangs: after a timeout it is thrown away, with its connections.
   */
  async #ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    const { client, agent } = this.#connection;
    const limit = this.#options.timeoutMs ?? TIMEOUT_MS;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        if (this.#connection.client === client) this.#connection = this.#connect();
        agent.destroy();
        reject(new Error(`no answer within ${limit} ms`));
      }, limit);
    });
    try {
      return await Promise.race([question(client), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #connect(): { client: Client; agent: HttpAgent } {
    const { username, password } = this.#options;
    const agent = this.#url.startsWith('https:') ? new HttpsAgent() : new HttpAgent();
    const client = new Client({
      host: this.#url,
      retry: { retries: 0 },
      agent,
      ...(username === undefined ? {} : { auth: { username, password: password ?? '' } }),
    });
    return { client, agent };
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

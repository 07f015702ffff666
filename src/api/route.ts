import type { z } from 'zod';
import type { AlertDesk } from './alert-desk.js';
import { parse, parseBody } from './params.js';
import type { Pipeline } from './pipeline.js';
import type { Query } from './query.js';

export interface AppRef {
  provider: string;
  app_id: string;
}

/** What a route has to work with. */
export interface Context {
  query: Query;
  /** Epoch ms. */
  now: number;
  /** The configured apps. */
  apps: readonly AppRef[];
  alerts: AlertDesk;
  pipeline: Pipeline;
}

/** An answer that is made while it is sent. */
export class Download {
  /** Media type. */
  readonly type: string;
  readonly headers: Record<string, string>;
  readonly lines: AsyncIterable<string>;

  constructor(type: string, headers: Record<string, string>, lines: AsyncIterable<string>) {
    this.type = type;
    this.headers = headers;
    this.lines = lines;
  }
}

/** What the OpenAPI document says of an address. Most are read with GET; what changes something is sent with POST, as JSON. */
export interface Operation {
  /** Path parameters in braces. */
  path: `/api/v1/${string}`;
  /** Unique; clients are generated with it. */
  operation: string;
  summary: string;
  description?: string;
  method: 'GET' | 'POST';
  /** Path and query parameters, or the fields of the body of a POST; unknown ones are refused. */
  params: z.ZodObject;
  /** By media type. */
  answers: Readonly<Record<string, z.ZodType>>;
}

export interface Route extends Operation {
  /** @throws Problem */
  answer(context: Context, input: unknown): Promise<unknown>;
}

type Described<P extends z.ZodObject> = Pick<Operation, 'path' | 'operation' | 'summary' | 'description'> & { params: P };

export const JSON_TYPE = 'application/json';

/** A route that answers with one JSON document: its parameters and its answer are declared here and nowhere else. */
export function route<P extends z.ZodObject, A extends z.ZodType>(
  declared: Described<P> & { answer: A; read: (context: Context, params: z.output<P>) => Promise<z.input<A>> },
): Route {
  const { answer, read, ...operation } = declared;
  return {
    ...operation,
    method: 'GET',
    answers: { [JSON_TYPE]: answer },
    answer: async (context, input) => read(context, parse(declared.params, input)),
  };
}

/** A route that changes something, as the fields of a JSON object say. */
export function action<P extends z.ZodObject, A extends z.ZodType>(
  declared: Described<P> & { answer: A; act: (context: Context, fields: z.output<P>) => Promise<z.input<A>> },
): Route {
  const { answer, act, ...operation } = declared;
  return {
    ...operation,
    method: 'POST',
    answers: { [JSON_TYPE]: answer },
    answer: async (context, input) => act(context, parseBody(declared.params, input)),
  };
}

/** A route whose answer is a stream of lines in one of several media types. */
export function downloadRoute<P extends z.ZodObject>(
  declared: Described<P> & Pick<Operation, 'answers'> & { open: (context: Context, params: z.output<P>) => Promise<Download> },
): Route {
  const { open, ...operation } = declared;
  return { ...operation, method: 'GET', answer: async (context, input) => open(context, parse(declared.params, input)) };
}

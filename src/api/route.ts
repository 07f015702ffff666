import type { z } from 'zod';
import { parse } from './params.js';
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

/** What the OpenAPI document says of an address; all are read with GET. */
export interface Operation {
  /** Path parameters in braces. */
  path: `/api/v1/${string}`;
  /** Unique; clients are generated with it. */
  operation: string;
  summary: string;
  description?: string;
  /** Path and query parameters; unknown ones are refused. */
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
  return { ...operation, answers: { [JSON_TYPE]: answer }, answer: async (context, input) => read(context, parse(declared.params, input)) };
}

/** A route whose answer is a stream of lines in one of several media types. */
export function downloadRoute<P extends z.ZodObject>(
  declared: Described<P> & Pick<Operation, 'answers'> & { open: (context: Context, params: z.output<P>) => Promise<Download> },
): Route {
  const { open, ...operation } = declared;
  return { ...operation, answer: async (context, input) => open(context, parse(declared.params, input)) };
}

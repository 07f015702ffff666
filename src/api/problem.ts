import type { FastifyReply } from 'fastify';
import { type ZodError, z } from 'zod';

/** One parameter that is wrong, and how. */
export interface FieldError {
  parameter: string;
  message: string;
}

/** An error that the client may see, answered as problem details (RFC 9457). `code` is stable; texts may change. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly errors: FieldError[] | undefined;
  readonly headers: Record<string, string>;

  constructor(
    status: number,
    code: string,
    title: string,
    detail: string,
    more: { errors?: FieldError[]; headers?: Record<string, string>; cause?: unknown } = {},
  ) {
    super(detail, { cause: more.cause });
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.title = title;
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }
}

const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** The body of every answer that is not the data (RFC 9457). */
export const PROBLEM = z
  .strictObject({
    type: z.string().describe('A URN made of `code`.'),
    title: z.string(),
    status: z.int().describe('The HTTP status.'),
    detail: z.string().describe('What is wrong here, for people.'),
    instance: z.string().describe('The path that was asked for.'),
    code: z.string().describe('Stable; texts may change.'),
    errors: z
      .array(z.strictObject({ parameter: z.string(), message: z.string() }))
      .optional()
      .describe('Every parameter that is wrong or unknown.'),
  })
  .meta({ id: 'Problem', description: 'Problem details (RFC 9457).' });

/** The body of a problem; `instance` is the path that was asked for, without its query (which may name users). */
export function problemBody(problem: Problem, instance: string): z.output<typeof PROBLEM> {
  return {
    type: `urn:callstream:problem:${problem.code.toLowerCase().replaceAll('_', '-')}`,
    title: problem.title,
    status: problem.status,
    detail: problem.message,
    instance,
    code: problem.code,
    ...(problem.errors ? { errors: problem.errors } : {}),
  };
}

export function sendProblem(reply: FastifyReply, problem: Problem, instance: string): FastifyReply {
  return reply.code(problem.status).headers(problem.headers).header('content-type', PROBLEM_TYPE).send(problemBody(problem, instance));
}

/** Every wrong parameter at once. */
export function invalidParameters(error: ZodError): Problem {
  const errors = error.issues.flatMap((issue): FieldError[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ parameter: key, message: 'is not a parameter of this endpoint' }))
      : [{ parameter: issue.path.join('.'), message: issue.message }],
  );
  return parametersProblem(errors);
}

function parametersProblem(errors: FieldError[]): Problem {
  const detail = errors.map((e) => `${e.parameter} ${e.message}`).join('; ');
  return new Problem(400, 'PARAMETER_INVALID', 'Invalid parameter', detail, { errors });
}

export const invalidParameter = (parameter: string, message: string): Problem => parametersProblem([{ parameter, message }]);

export const notFound = (detail: string): Problem => new Problem(404, 'NOT_FOUND', 'Not found', detail);

export const databaseProblem = (cause: unknown): Problem =>
  new Problem(
    503,
    'DATABASE_UNAVAILABLE',
    'Database unavailable',
    'ClickHouse did not answer this query. The log of the api role says why; try again shortly.',
    {
      headers: { 'retry-after': '2' },
      cause,
    },
  );

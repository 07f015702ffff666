import { z } from 'zod';
import { PROBLEM } from './problem.js';
import { JSON_TYPE, type Operation } from './route.js';
import { LIVE, ROUTES } from './routes/index.js';

type Json = Record<string, unknown>;

const SCHEMAS = '#/components/schemas/';

/** The JSON Schema of a part of the document; what has an id of its own goes to `shared`, and is referred to. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', shared: Json): Json {
  const {
    $schema: _,
    $defs = {},
    ...own
  } = JSON.parse(JSON.stringify(z.toJSONSchema(schema, { io })).replaceAll('"#/$defs/', `"${SCHEMAS}`)) as Json & { $defs?: Json };
  for (const [name, { id: _id, ...definition }] of Object.entries($defs as Record<string, Json>)) shared[name] = definition;
  return own;
}

/** Path and query parameters, from one schema: those named in the path are its own. */
function parametersOf({ path, params }: Operation, shared: Json): Json[] {
  const { properties = {} } = schemaOf(params, 'input', shared) as { properties?: Record<string, Json> };
  // A parameter with a default need not be sent; its schema says neither what it is nor that it is text.
  const required = new Set(Object.entries(params.shape).flatMap(([name, schema]) => (schema.safeParse(undefined).success ? [] : [name])));
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: path.includes(`{${name}}`) ? 'path' : 'query',
    required: required.has(name),
    description,
    schema,
  }));
}

const PROBLEMS = { '4XX': { $ref: '#/components/responses/Problem' }, '5XX': { $ref: '#/components/responses/Problem' } };

function operationOf(operation: Operation, shared: Json): Json {
  const content = Object.fromEntries(
    Object.entries(operation.answers).map(([type, schema]) => [type, { schema: schemaOf(schema, 'output', shared) }]),
  );
  return {
    operationId: operation.operation,
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    ...(operation.method === 'GET'
      ? { parameters: parametersOf(operation, shared) }
      : { requestBody: { required: true, content: { [JSON_TYPE]: { schema: schemaOf(operation.params, 'input', shared) } } } }),
    responses: { '200': { description: 'The answer.', content }, ...PROBLEMS },
  };
}

export const OPENAPI_PATH = '/api/v1/openapi.json';

/** The OpenAPI 3.1 document of every route, made of what the routes declare. */
export function openApiDocument(): Json {
  const shared: Json = {};
  const paths: Record<string, Json> = {};
  for (const operation of [...ROUTES, LIVE])
    paths[operation.path] = { ...paths[operation.path], [operation.method.toLowerCase()]: operationOf(operation, shared) };
  schemaOf(z.array(PROBLEM), 'output', shared);
  return {
    openapi: '3.1.0',
    info: {
      title: 'callstream query API',
      version: '1',
      summary: 'Real-time call analytics: numbers of periods, calls, missed calls, users, recordings, and the health of what arrives.',
      description:
        'What is read is read with GET; the few things that change something are sent with POST, as JSON. Times are epoch milliseconds in answers; parameters also take ISO 8601 with a zone. Ids are compared exactly. Unknown parameters are ' +
        'refused. Lists are paged by an opaque `cursor`. Answers may get further fields.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{}, { token: [] }],
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(shared).sort(([a], [b]) => (a < b ? -1 : 1))),
      responses: {
        Problem: {
          description: 'What is wrong: `code` is stable, texts may change.',
          content: { 'application/problem+json': { schema: { $ref: `${SCHEMAS}Problem` } } },
        },
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'Needed where `api.tokenHash` is set.' } },
    },
  };
}

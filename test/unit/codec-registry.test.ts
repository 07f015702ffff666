import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SchemaRegistry, schemaText } from '../../src/codec/registry.js';
import { TOPICS } from '../../src/codec/topics.js';

const SUBJECT = 'callstream.calls-value';
const REFUSAL = { error_code: 409, message: 'incompatible' };

let server: Server;
let registry: SchemaRegistry;
let answers: Record<string, [status: number, body: object]>;
/** What is done instead of answering. */
let trouble: ((response: ServerResponse) => void) | null;
const asked: { what: string; body: string }[] = [];

beforeEach(async () => {
  asked.length = 0;
  trouble = null;
  answers = {
    [`GET /config/${SUBJECT}`]: [404, { error_code: 40401, message: 'no such subject' }],
    [`PUT /config/${SUBJECT}`]: [200, {}],
    [`POST /subjects/${SUBJECT}/versions`]: [200, { id: 7 }],
    [`POST /subjects/${SUBJECT}`]: [200, { id: 7 }],
    'GET /schemas/ids/7': [200, { schema: schemaText(TOPICS.calls) }],
  };
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += part));
    request.on('end', () => {
      const what = `${request.method} ${decodeURIComponent(request.url ?? '')}`;
      asked.push({ what, body });
      if (trouble !== null) {
        trouble(response);
        return;
      }
      const [status, answer] = answers[what] ?? [404, { error_code: 40403, message: 'not found' }];
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  registry = new SchemaRegistry({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, timeoutMs: 200 });
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('the schema registry (rule 11)', () => {
  it('is given each schema under the subject of its topic, to be compatible with every version before and after', async () => {
    expect(await registry.register(TOPICS.calls)).toBe(7);
    expect(asked.map(({ what }) => what)).toEqual([
      `GET /config/${SUBJECT}`,
      `POST /subjects/${SUBJECT}/versions`,
      `PUT /config/${SUBJECT}`,
    ]);
    expect(JSON.parse(asked[1]?.body ?? '')).toEqual({ schema: schemaText(TOPICS.calls) });
    expect(JSON.parse(asked[2]?.body ?? '')).toEqual({ compatibility: 'FULL_TRANSITIVE' });
  });

  it('that refuses a schema is a matter of the schema, and one that fails a matter of the environment', async () => {
    answers[`POST /subjects/${SUBJECT}/versions`] = [409, REFUSAL];
    await expect(registry.register(TOPICS.calls)).rejects.toMatchObject({ code: 'SCHEMA_INCOMPATIBLE' });
    answers[`POST /subjects/${SUBJECT}/versions`] = [500, { message: 'out of order' }];
    await expect(registry.register(TOPICS.calls)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  });

  it('knows the id of the very schema under its subject', async () => {
    expect(await registry.idOf(TOPICS.calls)).toBe(7);
    expect(asked.at(-1)?.what).toBe(`POST /subjects/${SUBJECT}`);
    expect(JSON.parse(asked.at(-1)?.body ?? '')).toEqual({ schema: schemaText(TOPICS.calls) });
  });

  it('says so when the schema is not registered, and blames the registry for nothing else', async () => {
    for (const error_code of [40401, 40403]) {
      answers[`POST /subjects/${SUBJECT}`] = [404, { error_code, message: 'No artifact with that id' }];
      await expect(registry.idOf(TOPICS.calls)).rejects.toMatchObject({ code: 'SCHEMA_NOT_REGISTERED' });
    }
    answers[`POST /subjects/${SUBJECT}`] = [503, { message: 'starting' }];
    await expect(registry.idOf(TOPICS.calls)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  });

  it('tells an id that it does not know from an answer that it does not give (rule 10)', async () => {
    expect(await registry.writer(7)).not.toBeNull();
    expect(await registry.writer(8)).toBeNull();
    answers['GET /schemas/ids/9'] = [503, { message: 'starting' }];
    await expect(registry.writer(9)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['takes the question and never answers', () => {}],
    [
      'tears its answer off',
      (response) => response.writeHead(200, { 'content-length': 1_000 }).write('{"schema":', () => response.destroy()),
    ],
    ['stops in the middle of its answer', (response) => response.writeHead(200, { 'content-length': 1_000 }).write('{"schema":')],
  ])('that %s is a matter of the environment too, and is asked anew', async (_, what) => {
    trouble = what;
    await expect(registry.writer(7)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    await expect(registry.idOf(TOPICS.calls)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    await expect(registry.register(TOPICS.calls)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    trouble = null;
    expect(await registry.writer(7)).not.toBeNull();
    expect(await registry.idOf(TOPICS.calls)).toBe(7);
  });
});

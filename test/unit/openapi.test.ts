import ajv from 'ajv';
import { describe, expect, it } from 'vitest';
import { OPENAPI_PATH, openApiDocument } from '../../src/api/openapi.js';
import { LIVE, ROUTES } from '../../src/api/routes/index.js';
import { answerErrors } from '../support/openapi.js';

interface Parameter {
  name: string;
  in: string;
  required: boolean;
  description?: string;
  schema: object;
}
interface Operation {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { required: boolean; content: Record<string, { schema: { properties: Record<string, { description?: string }> } }> };
  responses: Record<string, { content?: Record<string, { schema: object }> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Partial<Record<'get' | 'post', Operation>>>;
  components: { schemas: Record<string, object> };
}
const document = openApiDocument() as unknown as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);
const text = `${JSON.stringify(document, null, 2)}\n`;
/** This CommonJS module is its class; the types know only its `default`. */
const Ajv = ajv as unknown as typeof ajv.default;

describe('docs/openapi.json', () => {
  it('is what the routes declare', async () => {
    await expect(text).toMatchFileSnapshot('../../docs/openapi.json');
  });

  it('has every route, and names each once', () => {
    expect(operations.map(({ path, method }) => `${method} ${path}`).sort()).toEqual(
      [...ROUTES, LIVE].map(({ path, method }) => `${method.toLowerCase()} ${path}`).sort(),
    );
    const names = operations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
    expect(document.paths[OPENAPI_PATH]).toBeUndefined();
  });

  it('refers to nothing that is not there', () => {
    const refs = [...text.matchAll(/"\$ref": "#\/components\/(\w+)\/(\w+)"/g)];
    expect(refs.length).toBeGreaterThan(40);
    const components = document.components as unknown as Record<string, Record<string, object>>;
    expect(refs.filter(([, kind, name]) => components[kind!]?.[name!] === undefined)).toEqual([]);
    expect(text).not.toContain('$defs');
  });

  it('describes every parameter, and asks for those of the path', () => {
    for (const { path, operation } of operations) {
      const parameters = operation.parameters ?? [];
      expect(parameters.filter((p) => p.description === undefined).map((p) => `${path} ${p.name}`)).toEqual([]);
      const inPath = parameters.filter((p) => p.in === 'path');
      expect(inPath.map((p) => `{${p.name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      expect(inPath.every((p) => p.required)).toBe(true);
    }
    const parameters = document.paths['/api/v1/calls']!.get!.parameters!;
    expect(parameters.filter((p) => p.required)).toEqual([]);
    expect(document.paths['/api/v1/calls/export']!.get!.parameters!.filter((p) => p.required).map((p) => p.name)).toEqual(['format']);
  });

  it('describes every field of what is sent, and sends it as JSON', () => {
    for (const { path, method, operation } of operations) {
      expect([path, operation.requestBody === undefined]).toEqual([path, method === 'get']);
      const { properties = {} } = operation.requestBody?.content['application/json']?.schema ?? {};
      expect(Object.entries(properties).filter(([, { description }]) => description === undefined)).toEqual([]);
    }
    expect(operations.filter(({ method }) => method === 'post').map(({ operation }) => operation.operationId)).toEqual(
      expect.arrayContaining(['silenceRule', 'endSilence', 'testWebhook']),
    );
  });

  it('has schemas that can be compiled', () => {
    const validator = new Ajv({ strict: false, validateFormats: false });
    validator.addSchema(document, 'openapi');
    for (const { path, method, operation } of operations)
      for (const type of Object.keys(operation.responses['200']!.content!)) {
        const pointer = ['paths', path, method, 'responses', '200', 'content', type, 'schema']
          .map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
          .join('/');
        expect(validator.getSchema(`openapi#/${pointer}`), `${path} ${type}`).toBeTypeOf('function');
      }
  });

  it('holds answers to their schema', () => {
    const apps = { apps: [{ provider: 'tencent', app_id: '1' }] };
    expect(answerErrors('/api/v1/apps', 200, apps)).toEqual([]);
    expect(answerErrors('/api/v1/apps', 200, { apps: [{ provider: 'tencent' }] })).not.toEqual([]);
    expect(answerErrors('/api/v1/apps', 200, { ...apps, more: 1 })).not.toEqual([]);
    expect(answerErrors('/api/v1/calls/count', 200, { as_of: 1, count: -1 })).not.toEqual([]);
    expect(answerErrors('/api/v1/calls', 200, { as_of: 1, calls: [{}], next_cursor: null })).not.toEqual([]);
    expect(answerErrors('/api/v1/apps', 400, { code: 'X' })).not.toEqual([]);
  });
});

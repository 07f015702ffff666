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
interface Document {
  openapi: string;
  paths: Record<
    string,
    { get: { operationId: string; parameters: Parameter[]; responses: Record<string, { content?: Record<string, { schema: object }> }> } }
  >;
  components: { schemas: Record<string, object> };
}
const document = openApiDocument() as unknown as Document;
const text = `${JSON.stringify(document, null, 2)}\n`;
/** This CommonJS module is its class; the types know only its `default`. */
const Ajv = ajv as unknown as typeof ajv.default;

describe('docs/openapi.json', () => {
  it('is what the routes declare', async () => {
    await expect(text).toMatchFileSnapshot('../../docs/openapi.json');
  });

  it('has every route, and names each once', () => {
    expect(Object.keys(document.paths).sort()).toEqual([...ROUTES, LIVE].map(({ path }) => path).sort());
    const names = Object.values(document.paths).map(({ get }) => get.operationId);
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
    for (const [path, { get }] of Object.entries(document.paths)) {
      expect(get.parameters.filter((p) => p.description === undefined).map((p) => `${path} ${p.name}`)).toEqual([]);
      const inPath = get.parameters.filter((p) => p.in === 'path');
      expect(inPath.map((p) => `{${p.name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      expect(inPath.every((p) => p.required)).toBe(true);
    }
    const parameters = document.paths['/api/v1/calls']!.get.parameters;
    expect(parameters.filter((p) => p.required)).toEqual([]);
    expect(document.paths['/api/v1/calls/export']!.get.parameters.filter((p) => p.required).map((p) => p.name)).toEqual(['format']);
  });

  it('has schemas that can be compiled', () => {
    const validator = new Ajv({ strict: false, validateFormats: false });
    validator.addSchema(document, 'openapi');
    for (const path of Object.keys(document.paths))
      for (const type of Object.keys(document.paths[path]!.get.responses['200']!.content!)) {
        const pointer = ['paths', path, 'get', 'responses', '200', 'content', type, 'schema']
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

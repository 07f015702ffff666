import ajv from 'ajv';
import { openApiDocument } from '../../src/api/openapi.js';

/** This CommonJS module is its class; the types know only its `default`. */
const Ajv = ajv as unknown as typeof ajv.default;
const document = openApiDocument() as unknown as { paths: Record<string, object> };
const validator = new Ajv({ strict: false, validateFormats: false, allErrors: true }).addSchema(document, 'openapi');

const pointer = (...parts: string[]): string =>
  `openapi#/${parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;

/** More than one may match (`/calls/count` is no call): the one without parameters comes first. */
const templateOf = (path: string): string | undefined =>
  Object.keys(document.paths)
    .sort((a, b) => a.split('{').length - b.split('{').length)
    .find((template) => new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path));

/** Where an answer to a GET differs from what the OpenAPI document says of its path. What the document does not know is none of its business. */
export function answerErrors(url: string, status: number, body: unknown): object[] {
  const template = templateOf(url.split('?')[0]!);
  if (template === undefined && status === 200) return [];
  const parts =
    status === 200
      ? ['paths', template!, 'get', 'responses', '200', 'content', 'application/json', 'schema']
      : ['components', 'responses', 'Problem', 'content', 'application/problem+json', 'schema'];
  const validate = validator.getSchema(pointer(...parts));
  if (validate === undefined) throw new Error(`the document has no schema for ${template} ${status}`);
  validate(body);
  return validate.errors ?? [];
}

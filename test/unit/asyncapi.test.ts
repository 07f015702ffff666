import { existsSync, readdirSync, readFileSync } from 'node:fs';
import ajv from 'ajv';
import avro from 'avsc';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROLES } from '../../src/cli/roles.js';
import { asyncApiDocument } from '../../src/codec/asyncapi.js';
import { cloudEventHeaders } from '../../src/codec/cloudevents.js';
import { TOPICS } from '../../src/codec/topics.js';

const schemas = new URL('../../schemas/', import.meta.url);
const specification = JSON.parse(readFileSync(new URL('../support/asyncapi-3.0.0.schema.json', import.meta.url), 'utf8'));
/** This CommonJS module is its class; the types know only its `default`. */
const Ajv = ajv as unknown as typeof ajv.default;
const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(specification);

interface Document {
  channels: Record<string, { address: string; messages: Record<string, { $ref: string }>; bindings: object }>;
  operations: Record<string, { action: string; channel: { $ref: string }; messages: { $ref: string }[] }>;
  components: {
    messages: Record<string, { payload: { schema: { $ref: string } }; headers?: { properties: Record<string, { const?: string }> } }>;
  };
}
const text = asyncApiDocument();
const document = parse(text) as Document;

/** What `#/a/b` points at. */
const at = (ref: string): unknown =>
  ref
    .slice(2)
    .split('/')
    .reduce<unknown>((part, name) => (part as Record<string, unknown>)[name], document);

describe('schemas/asyncapi.yaml', () => {
  it('is what the topic list says', async () => {
    await expect(text).toMatchFileSnapshot('../../schemas/asyncapi.yaml');
  });

  it('is valid by the schema of AsyncAPI 3.0', () => {
    validate(document);
    expect(validate.errors ?? []).toEqual([]);
  });

  it('would not be valid with a misspelt key or a wrong type', () => {
    const calls = document.channels.calls!;
    for (const broken of [
      { ...document, chanels: {} },
      { ...document, channels: { ...document.channels, calls: { ...calls, adress: 'x' } } },
      {
        ...document,
        channels: { ...document.channels, calls: { ...calls, bindings: { kafka: { topicConfiguration: { 'retention.ms': 'long' } } } } },
      },
      { ...document, operations: { readsCalls: { action: 'reads', channel: { $ref: '#/channels/calls' } } } },
    ]) {
      expect(validate(broken)).toBe(false);
    }
  });

  it('has every topic, and only those', () => {
    expect(Object.values(document.channels).map((channel) => channel.address)).toEqual(Object.values(TOPICS).map((topic) => topic.name));
  });

  it('refers to nothing that is not there', () => {
    const refs = [...text.matchAll(/\$ref: "?(#[^\s"]+)/g)].map((match) => match[1]!);
    expect(refs.length).toBeGreaterThan(30);
    expect(refs.filter((ref) => at(ref) === undefined)).toEqual([]);
  });

  it('references every Avro schema, each of which can be read', () => {
    const files = Object.values(document.components.messages).map((message) => message.payload.schema.$ref);
    for (const file of files) {
      expect(existsSync(new URL(file, schemas)), file).toBe(true);
      avro.Type.forSchema(JSON.parse(readFileSync(new URL(file, schemas), 'utf8')));
    }
    const all = readdirSync(new URL('avro/', schemas)).filter((name) => name.endsWith('.avsc'));
    expect([...new Set(files)].sort()).toEqual(all.map((name) => `./avro/${name}`).sort());
  });

  it('promises the headers that are written', () => {
    for (const name of ['calls', 'call-events', 'recordings'] as const) {
      const message = Object.entries(TOPICS).find(([, topic]) => topic.name === `callstream.${name}`)![0];
      const { properties } = document.components.messages[message]!.headers!;
      const written = cloudEventHeaders({ id: 'x', name, source: '//tencent/1', time: 0 });
      expect(Object.keys(written)).toEqual(Object.keys(properties));
      for (const [header, value] of Object.entries(written)) expect(properties[header]!.const ?? value).toBe(value);
    }
  });

  it('names roles that exist', () => {
    const named = Object.keys(document.operations).map((name) => name.replace(/(?:Writes|Reads).*$/, ''));
    const roles = new Set<string>([...ROLES, 'consumers']);
    expect(named.filter((role) => !roles.has(role))).toEqual([]);
  });
});

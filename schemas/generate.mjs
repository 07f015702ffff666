/** Writes src/codec/generated.ts: a TypeScript interface for every record of schemas/avro. Run `npm run generate`; `--check` only compares. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const dir = new URL('./avro/', import.meta.url);
const target = new URL('../src/codec/generated.ts', import.meta.url);
const primitive = { string: 'string', boolean: 'boolean', int: 'number', long: 'number', double: 'number', bytes: 'Buffer', null: 'null' };
const interfaces = [];
/** Records may be named again once they are defined. */
const records = new Set();

function typeOf(schema) {
  if (typeof schema === 'string') {
    if (records.has(schema)) return schema;
    const known = primitive[schema];
    if (!known) throw new Error(`unknown Avro type ${schema}`);
    return known;
  }
  if (Array.isArray(schema)) {
    if (schema.length !== 2 || schema[0] !== 'null') throw new Error('only ["null", T] unions are allowed');
    return `${typeOf(schema[1])} | null`;
  }
  if (schema.type === 'array') return `${typeOf(schema.items)}[]`;
  if (schema.type === 'record') {
    records.add(schema.name);
    const fields = schema.fields.map((f) => `  /** ${f.doc} */\n  ${f.name}: ${typeOf(f.type)};`);
    interfaces.push(`/** ${schema.doc} */\nexport interface ${schema.name} {\n${fields.join('\n')}\n}\n`);
    return schema.name;
  }
  throw new Error(`unsupported Avro type ${JSON.stringify(schema)}`);
}

for (const file of readdirSync(dir)
  .filter((f) => f.endsWith('.avsc'))
  .sort()) {
  typeOf(JSON.parse(readFileSync(new URL(file, dir), 'utf8')));
}
const text = `// Generated from schemas/avro by \`npm run generate\`. Do not edit.\n\n${interfaces.join('\n')}`;
if (process.argv.includes('--check')) {
  if (readFileSync(target, 'utf8') !== text) {
    console.error('src/codec/generated.ts is not what schemas/avro says: run npm run generate');
    process.exit(1);
  }
} else writeFileSync(target, text);

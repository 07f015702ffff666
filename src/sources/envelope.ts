import { type JsonObject, parseObject } from './json.js';
import { sliceFields } from './slice.js';

/**
 * Some fields of a body that is a JSON object, read without the rest: so that whoever is refused by them has cost a walk over the bytes, whatever the rest
 * is made of, and not its parse. null where the body is no object, or ends before they can be read.
 */
export function envelopeOf(bytes: Buffer, names: readonly string[]): JsonObject | null {
  const texts = sliceFields(bytes.toString('utf8'), names);
  const fields = names.flatMap((name, i) => (texts[i] === null ? [] : [`${JSON.stringify(name)}:${texts[i]}`]));
  if (fields.length === 0) return null;
  const parsed = parseObject(Buffer.from(`{${fields.join()}}`));
  return parsed.ok ? parsed.body : null;
}

import type { DeadLetter } from '../codec/generated.js';
import { TOPICS } from '../codec/topics.js';

/** A name and the string that is its value, as JSON writes them; the text may end before the value does. */
const FIELD = /"((?:[^"\\]|\\.)*)"(\s*:\s*")((?:[^"\\]|\\.)*)/g;

function isSign(name: string): boolean {
  if (!name.includes('\\')) return name.toLowerCase() === 'sign';
  try {
    return String(JSON.parse(`"${name}"`)).toLowerCase() === 'sign';
  } catch {
    return false;
  }
}

/**
 * The bytes of a dead letter as tables keep and people see them: those of a whiteboard (TIW) callback without the value of its Sign, which would be good for
 * any body until it expires. One asterisk stands for each byte, so that lengths are what they were, also inside an Avro record. The raw topic and
 * `callstream.dead-letters` keep the bytes as they came.
 */
export function shownBody({ source, origin_topic, body }: Pick<DeadLetter, 'source' | 'origin_topic' | 'body'>): Buffer {
  if (source !== 'tiw' && origin_topic !== TOPICS.rawTiw.name) return body;
  const text = body.toString('latin1');
  const masked = text.replace(FIELD, (all, name: string, between: string, value: string) =>
    isSign(name) ? `"${name}"${between}${'*'.repeat(value.length)}` : all,
  );
  return masked === text ? body : Buffer.from(masked, 'latin1');
}

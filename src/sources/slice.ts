/**
 * Exact source text of parts of a JSON text, never serialised anew: the digits, escapes and spaces of a vendor's element stay as they came.
 * For texts that JSON.parse has accepted. On any other text nothing throws, and the answer is null or means nothing.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const BYTE_ORDER_MARK = 0xfeff;
const WORD = /[-+.0-9A-Za-z]*/y;

/** The texts of the elements of a list, in order; null when the text is no list. */
export function sliceElements(text: string): string[] | null {
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_LIST) return null;
  at = skipSpace(text, at + 1);
  const elements: string[] = [];
  if (text.charCodeAt(at) === CLOSE_LIST) return elements;
  for (;;) {
    const end = skipValue(text, at);
    if (end <= at) return null;
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    const next = text.charCodeAt(at);
    if (next === CLOSE_LIST) return elements;
    if (next !== COMMA) return null;
    at = skipSpace(text, at + 1);
  }
}

/** The text of what lies at a path of names inside an object; null when there is nothing. Of repeated names the last counts, as in JSON.parse. */
export function sliceAt(text: string, ...path: string[]): string | null {
  let part: string | null = text;
  for (const name of path) {
    if (part === null) return null;
    part = sliceField(part, name);
  }
  return part;
}

const sliceField = (text: string, name: string): string | null => sliceFields(text, [name])[0] ?? null;

/** The texts of some fields of an object, each null where there is none, in one walk over the text. Of repeated names the last counts. */
export function sliceFields(text: string, names: readonly string[]): (string | null)[] {
  const found: (string | null)[] = names.map(() => null);
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_OBJECT) return found;
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const nameEnd = skipString(text, at);
    const colon = skipSpace(text, nameEnd);
    if (text.charCodeAt(colon) !== COLON) return names.map(() => null);
    const from = skipSpace(text, colon + 1);
    const end = skipValue(text, from);
    if (end <= from) return names.map(() => null);
    const quoted = text.slice(at, nameEnd);
    for (let i = 0; i < names.length; i++) if (isName(quoted, names[i] as string)) found[i] = text.slice(from, end);
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== COMMA) break;
    at = skipSpace(text, at + 1);
  }
  return found;
}

/** Whether a quoted name, escapes and all, is this one. */
export function isName(quoted: string, name: string): boolean {
  if (!quoted.includes('\\')) return quoted.length === name.length + 2 && quoted.startsWith(name, 1);
  try {
    return JSON.parse(quoted) === name;
  } catch {
    return false;
  }
}

/** Position after JSON's white space, and at the very start a byte order mark. */
export function skipSpace(text: string, at: number): number {
  let i = at === 0 && text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : at;
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) break;
  }
  return i;
}

/** Position after the value that starts here; the position itself where none does. */
function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return skipString(text, at);
  if (first !== OPEN_LIST && first !== OPEN_OBJECT) return skipWord(text, at);
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = skipString(text, i) - 1;
    else if (c === OPEN_LIST || c === OPEN_OBJECT) depth++;
    else if ((c === CLOSE_LIST || c === CLOSE_OBJECT) && --depth === 0) return i + 1;
  }
  return text.length;
}

/** Position after the string whose quote is here. */
export function skipString(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === BACKSLASH) i++;
    else if (c === QUOTE) return i + 1;
  }
  return text.length;
}

/** Position after a number, true, false or null; the position itself where none starts. */
export function skipWord(text: string, at: number): number {
  WORD.lastIndex = at;
  WORD.test(text);
  return WORD.lastIndex;
}

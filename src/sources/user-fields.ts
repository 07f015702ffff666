/**
 * Where vendors name users, and how those names are replaced: in the text itself, so that every other byte, and with it the identity of an input, stays what
 * it was. Works on any text: what is no JSON, and becomes a dead letter, has its users replaced as far as they can be told.
 */
import { isUtf8 } from 'node:buffer';
import type { Delivery } from './element.js';
import { idOf, parseObject } from './json.js';
import { isName as isText, skipSpace, skipString, skipWord } from './slice.js';

/** Gives the id that stands for a user's; the same for what is to stay. */
export type ReplaceUser = (userId: string) => string;

/**
 * Names of fields that hold a user's id, or a list of them: UserId, RecordUserId, User_Account, Caller_Account, CalleeList_Account, caller, callees, PeerId, and what is spelled
 * like them. Rather one field too many than one too few.
 */
const USER_FIELD = /^(?:\w*user_?ids?|\w*_account|callers?|callees?|peer_?id)$/i;
/** What a text without any such field does not have; a name may be written with escapes. */
const MAY_NAME_USERS = /user_?id|_account|caller|callee|peer_?id|\\u/i;
/** A stream of a user's screen, as the whiteboard calls it. */
const STREAM_OF = /^(tic_substream_)(.+)$/s;
/** The one field that holds another text: Data of an entry in Aliyun's log of pushes. */
const TEXT_FIELD = 'Data';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** A delivery with other users; the very same where it names none that is replaced. */
export function replaceUsersOf<D extends Delivery>(raw: D, replace: ReplaceUser): D {
  const query = replaceInQuery(raw.query, replace);
  const encoding = isUtf8(raw.body) ? 'utf8' : 'latin1';
  const text = raw.body.toString(encoding);
  const replaced = replaceUsers(text, replace);
  if (query === raw.query && replaced === text) return raw;
  return { ...raw, query, body: replaced === text ? raw.body : Buffer.from(replaced, encoding) };
}

function replaceInQuery(query: string, replace: ReplaceUser): string {
  if (!MAY_NAME_USERS.test(query)) return query;
  return query
    .split('&')
    .map((pair) => {
      const [, name, value = ''] = /^([^=]*)=(.*)$/s.exec(pair) ?? [];
      if (name === undefined || !USER_FIELD.test(name)) return pair;
      const user = decoded(value);
      const other = replaceUser(user, replace);
      return other === user ? pair : `${name}=${encodeURIComponent(other)}`;
    })
    .join('&');
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '));
  } catch {
    return value;
  }
}

/** The text with every value of a user field replaced, at any depth, in every repetition of a name. Never throws; takes time in proportion to the length. */
export function replaceUsers(text: string, replace: ReplaceUser): string {
  if (!MAY_NAME_USERS.test(text)) return text;
  /** By open bracket: whether the values of a list are users. */
  const lists: boolean[] = [];
  let field: 'user' | 'text' | null = null;
  let out = '';
  let kept = 0;
  const put = (from: number, to: number, value: string): void => {
    out += text.slice(kept, from) + value;
    kept = to;
  };
  for (let at = 0; at < text.length; ) {
    const c = text.charCodeAt(at);
    if (c === QUOTE) {
      const end = skipString(text, at);
      const next = skipSpace(text, end);
      if (text.charCodeAt(next) === COLON) {
        field = fieldOf(text.slice(at, end));
        at = next + 1;
        continue;
      }
      if (field !== null) {
        const quoted = text.slice(at, end);
        const value = field === 'user' ? replaceQuoted(quoted, replace) : replaceInside(quoted, replace);
        if (value !== quoted) put(at, end, value);
      }
      at = end;
    } else if (c === OPEN_LIST || c === OPEN_OBJECT) {
      const users: boolean = c === OPEN_LIST && field === 'user';
      lists.push(users);
      field = users ? 'user' : null;
      at++;
    } else if (c === CLOSE_LIST || c === CLOSE_OBJECT) {
      lists.pop();
      field = null;
      at++;
    } else if (c === COMMA) {
      field = lists.at(-1) === true ? 'user' : null;
      at++;
    } else {
      const end = Math.max(skipWord(text, at), at + 1);
      if (field === 'user') {
        const word = text.slice(at, end);
        const value = replaceNumber(word, replace);
        if (value !== word) put(at, end, value);
      }
      at = end;
    }
  }
  return kept === 0 ? text : out + text.slice(kept);
}

function fieldOf(quotedName: string): 'user' | 'text' | null {
  if (isText(quotedName, TEXT_FIELD)) return 'text';
  return USER_FIELD.test(unquoted(quotedName) ?? '') ? 'user' : null;
}

/** null: it is no string of JSON. */
function unquoted(quoted: string): string | null {
  if (!quoted.includes('\\') && quoted.length > 1 && quoted.endsWith('"')) return quoted.slice(1, -1);
  try {
    const value: unknown = JSON.parse(quoted);
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}

function replaceQuoted(quoted: string, replace: ReplaceUser): string {
  // A string that is broken off, or has escapes that are none, stands for itself.
  const user = (unquoted(quoted) ?? quoted.replace(/^"|"$/g, '')).toWellFormed();
  const other = replaceUser(user, replace);
  return other === user ? quoted : JSON.stringify(other);
}

/** As ids are read: by the digits of the number, however it is written. */
function replaceNumber(word: string, replace: ReplaceUser): string {
  if (!/^-?[0-9]/.test(word)) return word;
  const parsed = parseObject(Buffer.from(`{"id":${word}}`));
  const user = parsed.ok ? idOf(parsed.body, 'id') : '';
  const other = replaceUser(user, replace);
  return other === user ? word : JSON.stringify(other);
}

/** One id, as it stands in a field of its own. */
export function replaceUser(user: string, replace: ReplaceUser): string {
  if (user === '') return '';
  const stream = STREAM_OF.exec(user);
  return stream === null ? replace(user) : `${stream[1]}${replace(stream[2]!)}`;
}

/** A string that is JSON itself, escaped once, or as in an example of the vendor's twice. */
function replaceInside(quoted: string, replace: ReplaceUser): string {
  const once = unquoted(quoted);
  if (once === null || !MAY_NAME_USERS.test(once)) return quoted;
  const inside = replaceUsers(once, replace);
  if (inside !== once) return JSON.stringify(inside);
  const twice = unquoted(`"${once}"`);
  if (twice === null || twice === once) return quoted;
  const deeper = replaceUsers(twice, replace);
  return deeper === twice ? quoted : JSON.stringify(JSON.stringify(deeper).slice(1, -1));
}

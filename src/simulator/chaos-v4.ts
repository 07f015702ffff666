import type { Random } from './random.js';
import { exactNumber } from './wire.js';

type Body = Record<string, unknown>;

const TIMES: readonly unknown[] = [null, undefined, -1, 0, '', 'yesterday', 99_999_999_999_999, exactNumber('9007199254740993'), [], true];
const LISTS = ['ChangedUserList', 'UserList'];

/** A v4 body with a value or two that no page documents: in its list, in its call, or beside them. */
export function oddV4(random: Random, source: Body): Body {
  let body = structuredClone(source);
  for (let n = random.int(1, 2); n > 0; n--) {
    const lists = LISTS.filter((name) => Array.isArray(body[name]));
    const list = lists.length === 0 ? undefined : random.pick(lists);
    const call = ['CallInfo', 'CallRecord'].find((name) => name in body);
    const where = random.pick(['time', ...(list === undefined ? [] : ['list', 'list']), ...(call === undefined ? [] : ['call', 'call'])]);
    if (where === 'list' && list !== undefined) body[list] = oddList(random, body[list] as unknown[]);
    else if (where === 'call' && call !== undefined) body[call] = oddCall(random, body[call] as Body);
    else body = set(body, 'EventTime', random.pick([...TIMES, ...spellingsOf(body.EventTime)]));
  }
  return body;
}

const set = (body: Body, field: string, value: unknown): Body => {
  const { [field]: _, ...others } = body;
  return value === undefined ? others : { ...others, [field]: value };
};

const spellingsOf = (time: unknown): unknown[] =>
  typeof time === 'number' && time > 0 ? [`${time}`, time + 0.5, time < 1e11 ? time * 1_000 : Math.floor(time / 1_000)] : [];

/** One entry that is odd, or a list that is none. */
function oddList(random: Random, list: readonly unknown[]): unknown {
  if (random.chance(0.1)) return random.pick([[], null, {}, 'everybody']);
  const at = random.int(0, list.length - 1);
  return list.map((entry, i) => (i === at ? oddEntry(random, entry) : entry));
}

function oddEntry(random: Random, entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null || random.chance(0.15)) return random.pick([null, 'alice', 7, []]);
  const fields = entry as Body;
  const name = random.pick('ActionType' in fields ? ['ActionType', 'User_Account'] : ['Status', 'User_Account']);
  const word = String(fields[name]);
  switch (name) {
    case 'ActionType':
      return set(
        fields,
        name,
        random.pick([null, undefined, 7, 'Teleport', word.toUpperCase(), [...word].join('_'), ` ${word.toLowerCase()}`]),
      );
    case 'Status':
      return set(fields, name, random.pick([null, undefined, 7, 'Sleeping', word.toUpperCase(), [...word].join(' ')]));
    default:
      return set(fields, name, random.pick([null, undefined, '', {}, 42, exactNumber('9007199254740993')]));
  }
}

function oddCall(random: Random, call: Body): Body {
  const name = random.pick(Object.keys(call).filter((field) => field !== 'CallId'));
  const value = call[name];
  switch (name) {
    case 'StartTime':
    case 'AcceptTime':
    case 'EndTime':
      return set(call, name, random.pick([...TIMES, ...spellingsOf(value)]));
    case 'CallMediaType':
      return random.chance(0.5)
        ? set(set(call, name, undefined), 'MediaType', value)
        : set(call, name, random.pick([null, 'VIDEO', 'hologram', 7]));
    case 'CallType':
      return set(call, name, random.pick([null, undefined, 'SINGLE_CALL', 'multi call', 'group', 'party', 1]));
    case 'CallResult':
      return set(call, name, random.pick([null, '', 'NORMALEND', 'Call_Busy', 'not_answer', 'reject', 'cancel', 'dropped']));
    case 'Caller_Account':
      return set(call, name, random.pick([null, undefined, '', 42, exactNumber('9007199254740993')]));
    case 'CalleeList_Account':
      return set(call, name, random.pick([null, [], 'alice', ['', 7, null, exactNumber('9007199254740993'), 'alice-0', 'alice-0']]));
    default:
      return set(call, name, random.pick([null, undefined, 'VIDEO', 20_222, exactNumber('9007199254740993'), '🛋️ "sofa"\n']));
  }
}

/** Another body of the same delivery: who did what, and when, stays. */
export function differingV4(random: Random, source: Body): Body {
  const body = structuredClone(source);
  const changes = [
    () => (body.Extra = { note: random.token(6) }),
    () => (body.EventTime = typeof body.EventTime === 'number' ? `${body.EventTime}` : body.EventTime),
    () => {
      for (const name of LISTS) if (Array.isArray(body[name])) body[name] = (body[name] as unknown[]).reverse();
    },
    () => {
      if (typeof body.CallInfo === 'object') body.CallInfo = { ...body.CallInfo, RoomId: random.pick(['', 'aside', 'Zimmer 7']) };
    },
  ];
  for (let n = random.int(1, 2); n > 0; n--) random.pick(changes)();
  return body;
}

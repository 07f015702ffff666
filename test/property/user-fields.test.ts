import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { replaceUsers } from '../../src/sources/user-fields.js';

const mark = (user: string): string => `<${user}>`;
const USER_FIELDS = ['UserId', 'User_Account', 'CalleeList_Account', 'caller', 'callees', 'PeerId', 'RecordUserId'];

const name = fc.oneof(fc.constantFrom(...USER_FIELDS, 'Event', 'RoomId', 'CallId', 'Usernames'), fc.string());
const leaf = fc.oneof(fc.string({ unit: 'binary' }), fc.maxSafeInteger(), fc.boolean(), fc.constant(null));
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(name, tie('json'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

/** The same by the parsed value: a user is what stands in a field of users, or in a list there, but not in an object. */
function oracle(value: unknown, isUser = false): unknown {
  if (Array.isArray(value)) return value.map((each) => oracle(each, isUser));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, oracle(field, USER_FIELDS.includes(key))]));
  if (!isUser || (typeof value !== 'string' && typeof value !== 'number') || value === '') return value;
  return mark(String(value).toWellFormed());
}

const spaced = (text: string, space: string): string => JSON.stringify(JSON.parse(text), null, space);

describe('replacing the users in a text', () => {
  it('does to any JSON what replacing them in its value does', () => {
    fc.assert(
      fc.property(json, fc.constantFrom('', '\t', ' '), (value, space) => {
        const text = spaced(JSON.stringify(value), space);
        expect(JSON.parse(replaceUsers(text, mark))).toEqual(oracle(JSON.parse(text)));
      }),
    );
  });

  it('leaves every byte where nobody is replaced, and throws on nothing', () => {
    const broken = fc.tuple(json, fc.nat(), fc.string()).map(([value, at, junk]) => {
      const text = JSON.stringify(value);
      const cut = at % (text.length + 1);
      return text.slice(0, cut) + junk + text.slice(cut + junk.length);
    });
    fc.assert(
      fc.property(
        fc.oneof(
          broken,
          fc.string({ unit: 'binary' }),
          json.map((v) => JSON.stringify({ Data: JSON.stringify(v) })),
        ),
        (text) => {
          expect(replaceUsers(text, (user) => user)).toBe(text);
          replaceUsers(text, mark);
        },
      ),
    );
  });

  it('finds those in a text within the text', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = JSON.stringify({ Data: JSON.stringify({ of: value }) });
        const { Data } = JSON.parse(replaceUsers(text, mark)) as { Data: string };
        expect(JSON.parse(Data)).toEqual(oracle(JSON.parse(JSON.stringify({ of: value }))));
      }),
    );
  });

  it('takes time in proportion to the length, however deep texts lie within texts', () => {
    let text = '{"UserId":"a"}';
    while (text.length < 200_000) text = JSON.stringify({ Data: text, UserId: '{['.repeat(100) });
    const hostile = [text, `{"UserId":${'['.repeat(200_000)}`, `"UserId":"${'\\'.repeat(200_000)}`, '{"UserId":"'.repeat(20_000)];
    // A quadratic reading would not end in the time of a test.
    for (const each of hostile) expect(typeof replaceUsers(each, mark)).toBe('string');
  });
});

import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { isPseudonym, Pseudonyms, pseudonymIn } from '../../src/sources/pseudonym.js';
import { replaceUsers, replaceUsersOf } from '../../src/sources/user-fields.js';

const KEY = 'a dummy key for tests';
const APP = '1400000001';
const pseudonyms = new Pseudonyms(KEY);

describe('a pseudonym', () => {
  it('is the documented HMAC: by key, app and user', () => {
    const appKey = createHmac('sha256', KEY).update(`callstream:${APP}`).digest();
    const mac = createHmac('sha256', appKey).update('Zoë').digest('hex');
    expect(pseudonyms.of(APP, 'Zoë')).toBe(`p-${mac.slice(0, 32)}`);
    expect(isPseudonym(pseudonyms.of(APP, 'Zoë'))).toBe(true);
  });

  it('differs by app, by key and by case, and nobody has none', () => {
    const all = [
      pseudonyms.of(APP, 'alice'),
      pseudonyms.of('other', 'alice'),
      new Pseudonyms(`${KEY}!`).of(APP, 'alice'),
      pseudonyms.of(APP, 'Alice'),
    ];
    expect(new Set(all).size).toBe(4);
    expect(pseudonyms.of(APP, '')).toBe('');
  });

  it('is its own pseudonym', () => {
    const once = pseudonyms.of(APP, 'alice');
    expect(pseudonyms.of(APP, once)).toBe(once);
    expect(pseudonyms.of(APP, `${once}0`)).not.toBe(`${once}0`);
  });

  it('can be opened where it was sealed, by app and key alone', () => {
    for (const user of ['alice', 'Zoë ✓', 'x'.repeat(500), 'a:b']) {
      const sealed = pseudonyms.seal(APP, user);
      expect(sealed).not.toContain(user);
      expect(pseudonyms.seal(APP, user)).toBe(sealed);
      expect(pseudonymIn(sealed)).toBe(pseudonyms.of(APP, user));
      expect(pseudonyms.open(APP, sealed)).toBe(user);
      expect(pseudonyms.open('other', sealed)).toBeNull();
      expect(new Pseudonyms(`${KEY}!`).open(APP, sealed)).toBeNull();
      expect(pseudonyms.open(APP, `${sealed}AAAA`)).toBeNull();
    }
    for (const text of ['', 'alice', ':', 'p-0:x']) expect(pseudonyms.open(APP, text)).toBeNull();
  });
});

const marked = (user: string): string => `<${user}>`;

describe('the users in a text', () => {
  it.each([
    ['a callback', '{"CallId":"c","UserId": "alice" ,"RoomId":"alice"}', '{"CallId":"c","UserId": "<alice>" ,"RoomId":"alice"}'],
    ['every repetition of a name', '{"UserId":"a","UserId":"b"}', '{"UserId":"<a>","UserId":"<b>"}'],
    ['a name and a value with escapes', '{"\\u0055serId":"\\u0061lice\\/1"}', '{"\\u0055serId":"<alice/1>"}'],
    ['numbers, with all their digits', '{"UserId":144115212830834855,"PeerId":1e3}', '{"UserId":"<144115212830834855>","PeerId":"<1000>"}'],
    [
      'lists, and objects in lists',
      '{"CalleeList_Account":["a", 7,null],"UserList":[{"User_Account":"b","Status":"Calling"}]}',
      '{"CalleeList_Account":["<a>", "<7>",null],"UserList":[{"User_Account":"<b>","Status":"Calling"}]}',
    ],
    ['a v1 record', '{"caller":"a","callees":["a","b"],"callId":"a"}', '{"caller":"<a>","callees":["<a>","<b>"],"callId":"a"}'],
    ['a list of media events', '[{"PeerId":"bob","Content":[{"EventId":1}]}]', '[{"PeerId":"<bob>","Content":[{"EventId":1}]}]'],
    ['whiteboard streams', '{"UserId":"tic_substream_bob"}', '{"UserId":"tic_substream_<bob>"}'],
    [
      'the text of a log entry, escaped once',
      '{"Data":"{\\"UserId\\":\\"al\\\\\\"ice\\"}","Code":200}',
      '{"Data":"{\\"UserId\\":\\"<al\\\\\\"ice>\\"}","Code":200}',
    ],
    ['and twice', '{"Data":"{\\\\\\"UserId\\\\\\":\\\\\\"a\\\\\\"}"}', '{"Data":"{\\\\\\"UserId\\\\\\":\\\\\\"<a>\\\\\\"}"}'],
    ['what is broken off', '{"UserId":"alice","Event":', '{"UserId":"<alice>","Event":'],
    ['what is broken off within the user', '{"UserId":"ali', '{"UserId":"<ali>"'],
    [
      'nobody, and what is no id',
      '{"UserId":"","User_Account":null,"PeerId":true,"UserIdx":"a"}',
      '{"UserId":"","User_Account":null,"PeerId":true,"UserIdx":"a"}',
    ],
  ])('are replaced in %s, and nothing else is', (_what, text, expected) => {
    expect(replaceUsers(text, marked)).toBe(expected);
  });

  it('are found again by whoever parses the log entry, escaped twice or once', () => {
    const entry = JSON.stringify({ Data: JSON.stringify({ Contents: [{ UserEvent: { UserId: 'alice' } }] }) });
    const { Data } = JSON.parse(replaceUsers(entry, marked)) as { Data: string };
    expect(JSON.parse(Data)).toEqual({ Contents: [{ UserEvent: { UserId: '<alice>' } }] });
  });
});

describe('the users of a delivery', () => {
  const raw = {
    source: 'user-event',
    app_id: APP,
    received_at: 1,
    query: 'call_id=c&user_id=a%20b&room_id=a',
    body: Buffer.from('[{"PeerId":"x"}]'),
  };

  it('stand in its query too', () => {
    const shown = replaceUsersOf(raw, marked);
    expect(shown).toMatchObject({ query: 'call_id=c&user_id=%3Ca%20b%3E&room_id=a', received_at: 1 });
    expect(shown.body.toString()).toBe('[{"PeerId":"<x>"}]');
  });

  it('leave it the very same where nobody is replaced', () => {
    expect(replaceUsersOf(raw, (user) => user)).toBe(raw);
  });

  it('are replaced in bytes that are no text, whose other bytes stay', () => {
    const body = Buffer.concat([Buffer.from('{"UserId":"alice","x":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    const shown = replaceUsersOf({ ...raw, query: '', body }, marked).body;
    expect(shown).toEqual(Buffer.concat([Buffer.from('{"UserId":"<alice>","x":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]));
  });
});

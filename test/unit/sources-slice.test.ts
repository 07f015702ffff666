import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sliceAt, sliceElements } from '../../src/sources/slice.js';

/* JSON as vendors write it and worse: any white space, escapes where none are needed, brackets and quotes inside strings, long numbers. */

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/);
const character = fc.oneof(
  fc.constantFrom('"', '\\', '[', ']', '{', '}', ',', ':', '/', '\n', '\u2028', '\ud800', '😀', 'é', '李'),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }),
);
/** A string in one of its many spellings. */
const quoted = fc
  .array(fc.tuple(character, fc.boolean()), { maxLength: 8 })
  .map((parts) => `"${parts.map(([c, coded]) => (coded ? unicodeEscapes(c) : JSON.stringify(c).slice(1, -1))).join('')}"`);
const unicodeEscapes = (text: string) =>
  Array.from({ length: text.length }, (_, i) => `\\u${text.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
const number = fc.stringMatching(/^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,5})?([eE][-+]?[0-9]{1,2})?$/);

const { value } = fc.letrec<{ value: string; list: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('null', 'true', 'false', '9007199254740993', '""', '[]', '{}'),
    quoted,
    number,
    tie('list'),
    tie('object'),
  ),
  list: fc
    .array(fc.tuple(space, tie('value'), space), { maxLength: 4 })
    .map((parts) => `[${parts.map((part) => part.join('')).join(',')}${parts.length === 0 ? ' ' : ''}]`),
  object: fc
    .array(fc.tuple(space, quoted, space, space, tie('value'), space), { maxLength: 4 })
    .map((parts) => `{${parts.map(([a, name, b, c, v, d]) => `${a}${name}${b}:${c}${v}${d}`).join(',')}}`),
}));

describe('slicing JSON', () => {
  it('cuts a list into the very texts of its elements', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ before: space, text: value, after: space }), { maxLength: 8 }),
        space,
        space,
        (parts, before, after) => {
          const list = `${before}[${parts.map((part) => part.before + part.text + part.after).join(',')}]${after}`;
          const slices = sliceElements(list);
          expect(slices).toEqual(parts.map((part) => part.text));
          expect(slices?.map((slice) => JSON.parse(slice))).toEqual(JSON.parse(list));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('finds the very text at a path, of repeated names the last', () => {
    const name = fc.constantFrom('Data', 'data', 'Da', '__proto__', 'D"a', 'Dätä', '');
    const spelling = (text: string) => fc.constantFrom(JSON.stringify(text), `"${unicodeEscapes(text)}"`);
    const field = name.chain((n) => fc.tuple(fc.constant(n), spelling(n), space, space, value, space));
    fc.assert(
      fc.property(fc.array(field, { maxLength: 6 }), name, (fields, wanted) => {
        const object = `{${fields.map(([, n, a, b, v, c]) => `${a}${n}${a}:${b}${v}${c}`).join(',')}}`;
        const expected = fields.findLast(([n]) => n === wanted)?.[4] ?? null;
        expect(sliceAt(object, wanted)).toBe(expected);
        expect(sliceAt(`\ufeff {"a":[{"Data":0}], "b" : {"Data":1,"c":${object}}}`, 'b', 'c', wanted)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    [' [ ] ', []],
    ['[1,[2,[3]],{"a":[4]}]', ['1', '[2,[3]]', '{"a":[4]}']],
    ['["]","[\\"]","\\\\", "\\\\\\"]" ]', ['"]"', '"[\\"]"', '"\\\\"', '"\\\\\\"]"']],
    ['[{"id":9007199254740993,"x":1.0e0}]', ['{"id":9007199254740993,"x":1.0e0}']],
    ['\ufeff[1]', ['1']],
  ])('cuts %s', (text, expected) => {
    expect(sliceElements(text)).toEqual(expected);
  });

  it.each(['', ' ', '{}', '"[1]"', '[', '[1', '[1,', '[,1]', '[1 2]', '[:]', 'null'])('finds no list in %j', (text) => {
    expect(sliceElements(text)).toBeNull();
  });

  it.each([
    ['', ['a']],
    ['[]', ['a']],
    ['{"a":{"b":1}}', ['a', 'c']],
    ['{"a":{"b":1}}', ['a', 'b', 'c']],
    ['{"a":', ['a']],
    ['{"a" 1}', ['a']],
    ['{"\\u":1,"b":2}', ['a']],
  ])('finds nothing in %j at %j', (text, path) => {
    expect(sliceAt(text, ...path)).toBeNull();
  });

  it('never throws, and always ends, on any text', () => {
    const piece = fc.constantFrom('[', ']', '{', '}', '"', '\\', ',', ':', ' ', '1', 'a', '\\u');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        sliceElements(pieces.join(''));
        sliceAt(pieces.join(''), 'a', 'a');
      }),
      { numRuns: 2000 },
    );
  });

  it('takes time in proportion to the text, however it is nested', () => {
    const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
    expect(sliceElements(`[${deep}]`)).toEqual([deep]);
  });
});

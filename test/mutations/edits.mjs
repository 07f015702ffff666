/*
 * A mutation is
 *   { name, guarantee, test: { file, name }, file, find, replace }     or, where one place is not enough,
 *   { name, guarantee, test: { file, name }, edits: [{ file, find, replace }, …] }
 * `name`: what is done to the code; `guarantee`: what that breaks. `find`: a text that stands exactly once in the file, so that a
 * mutation which the code has outgrown is noticed. `test.name`: the test that must fail, or a part of its name.
 */

/** The edits of a mutation; `problemIn` tells what is wrong with one, or null. */
export function editsOf({ name, edits, file, find, replace }) {
  return (edits ?? [{ file, find, replace }]).map((edit) => ({
    ...edit,
    problemIn: (read) => {
      const times = read(edit.file).split(edit.find).length - 1;
      return times === 1 ? null : `${name}: the text to replace stands ${times} times in ${edit.file}: ${edit.find}`;
    },
  }));
}

/** The files that a mutation changes, with their new text: all edits refer to the old one. */
export function applyTo(mutation, read) {
  const changed = new Map();
  const places = editsOf(mutation).map((edit) => ({ ...edit, at: read(edit.file).indexOf(edit.find) }));
  for (const { file, at, find, replace } of places.sort((a, b) => b.at - a.at)) {
    const text = changed.get(file) ?? read(file);
    changed.set(file, text.slice(0, at) + replace + text.slice(at + find.length));
  }
  return changed;
}

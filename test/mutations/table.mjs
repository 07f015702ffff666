const BEGIN = '<!-- npm run mutations: begin -->';
const END = '<!-- npm run mutations: end -->';
const MAX_MESSAGE = 110;

/** The first line of a failure, short, and without what differs from run to run: colours, moments and ids. */
export function messageLine(message) {
  const [line = ''] = message.split('\n');
  const plain = line
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
    .replace(/\u001b\[[0-9;]*m/g, '')
    .replace(/ after \d+ tests$/, '')
    .replace(/\d{10,}/g, '…')
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…');
  return plain.length > MAX_MESSAGE ? `${plain.slice(0, MAX_MESSAGE)}…` : plain;
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
/** Where a test is, as short as it is still found. */
const placeOf = (file) => file.replace(/^test\/(?:unit|property|integration)\//, '').replace(/\.test\.ts$/, '');

export function tableOf(rows) {
  const lines = rows.map(
    ({ mutation: { name, guarantee, test }, message }) =>
      `| ${cell(name)} | ${cell(guarantee)} | \`${placeOf(test.file)}\` ${cell(test.name)} | ${cell(message)} |`,
  );
  return ['| done to the code | what that breaks | the test that fails | with |', '|---|---|---|---|', ...lines].join('\n');
}

/** The page with the table in its place. */
export function intoPage(page, table) {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error('docs/reliability.md has no place for the table of mutations');
  return `${before}${BEGIN}\n\n${table}\n\n${END}${after}`;
}

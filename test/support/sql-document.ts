/** One row of an answer: values as they come in JSON. */
type Row = Record<string, unknown>;

/** A fenced SQL block, and the table below it, if there is one. */
const BLOCK = /```sql\n([\s\S]*?)\n```(?:\n\n\|[^\n]*(?:\n\|[^\n]*)*)?/g;

/** The SQL blocks of a Markdown text, in order. */
export const queriesOf = (markdown: string): string[] => [...markdown.matchAll(BLOCK)].map(([, sql]) => sql!);

/** The text with the table below each SQL block made anew from what `run` answers; the text has not changed if all answers are still true. */
export async function withAnswers(markdown: string, run: (sql: string) => Promise<Row[]>): Promise<string> {
  const parts: string[] = [];
  let end = 0;
  for (const match of markdown.matchAll(BLOCK)) {
    const sql = match[1]!;
    parts.push(markdown.slice(end, match.index), `\`\`\`sql\n${sql}\n\`\`\`\n\n${table(sql, await run(sql))}`);
    end = match.index + match[0].length;
  }
  return parts.join('') + markdown.slice(end);
}

function table(sql: string, rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) throw new Error(`an answer without rows teaches nobody anything: ${sql}`);
  const columns = Object.keys(first);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '---')), ...rows.map((row) => line(columns.map((name) => cell(row[name]))))].join('\n');
}

function cell(value: unknown): string {
  if (value === null) return 'NULL';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text
    .replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z$/, '$1 $2')
    .replaceAll('|', '\\|')
    .replace(/\s+/g, ' ');
}

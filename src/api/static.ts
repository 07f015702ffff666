import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { CallstreamError } from '../domain/errors.js';

export interface Asset {
  body: Buffer;
  gzip: Buffer;
  type: string;
  etag: string;
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where `tsc -p src/web/tsconfig.json` puts the compiled pages; pages and styles are served as they are written. */
export const COMPILED_WEB = join(root, 'dist', 'web');
const WRITTEN_WEB = join(root, 'src', 'web');

function asset(file: string): Asset {
  const body = readFileSync(file);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
  return { body, gzip: gzipSync(body, { level: 9 }), type: TYPES[extname(file)] ?? 'application/octet-stream', etag };
}

/** With those of its folders, as a URL has them. */
const filesIn = (dir: string, extension: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll(sep, '/'))
    .filter((name) => name.endsWith(extension));

/**
 * Every file of the dashboard by its URL path, read once: a request can name nothing that is not in this list.
 * @throws CallstreamError API_WEB_MISSING when the dashboard is not compiled
 */
export function loadAssets(compiled: string): Map<string, Asset> {
  const scripts = existsSync(compiled) ? filesIn(compiled, '.js') : [];
  if (!scripts.includes('main.js'))
    throw new CallstreamError('API_WEB_MISSING', `The dashboard is not compiled (${compiled} has no main.js). Run: npm run build`);
  const uplot = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');
  return new Map([
    ['/', asset(join(WRITTEN_WEB, 'index.html'))],
    ...filesIn(WRITTEN_WEB, '.css').map((name): [string, Asset] => [`/assets/${name}`, asset(join(WRITTEN_WEB, name))]),
    ['/assets/icon.svg', asset(join(WRITTEN_WEB, 'icon.svg'))],
    ['/assets/uplot.js', asset(join(uplot, 'uPlot.esm.js'))],
    ['/assets/uplot.css', asset(join(uplot, 'uPlot.min.css'))],
    ...scripts.map((name): [string, Asset] => [`/assets/${name}`, asset(join(compiled, name))]),
  ]);
}

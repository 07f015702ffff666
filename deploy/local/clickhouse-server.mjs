/**
 * A real ClickHouse server inside this Node process: loads the engine that npm `chdb` ships and calls its command line entry point.
 * Usage: node clickhouse-server.mjs ARG... (the arguments of `clickhouse local`).
 * The call blocks this process's only thread until the server ends, so nothing else can live here.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { DataType, load, open } from 'ffi-rs';

const { platform, arch } = process;
const engine = `@chdb/lib-${platform}-${arch}${platform === 'linux' ? '-gnu' : ''}`;
// The engine is a dependency of chdb's, so it may be nested below it.
const fromChdb = createRequire(createRequire(import.meta.url).resolve('chdb/package.json'));

let manifest;
try {
  manifest = fromChdb.resolve(`${engine}/package.json`);
} catch {
  console.error(
    `The embedded ClickHouse has no engine for ${platform} ${arch} (npm package ${engine}). Set CLICKHOUSE_URL to a server of your own.`,
  );
  process.exit(1);
}
open({ library: 'chdb', path: join(dirname(manifest), 'libchdb.so') });

const argv = ['clickhouse', ...process.argv.slice(2)];
process.exitCode = load({
  library: 'chdb',
  funcName: 'chdb_query_cmdline',
  retType: DataType.I32,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [argv.length, argv],
});

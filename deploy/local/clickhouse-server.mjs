/**
 * A real ClickHouse server inside this Node process: loads the engine that npm `chdb` ships and calls its command line entry point.
 * Usage: node clickhouse-server.mjs ARG... (the arguments of `clickhouse local`).
 * The call blocks this process's only thread until the server ends, so nothing else can live here.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { DataType, load, open } from 'ffi-rs';

const require = createRequire(import.meta.url);
const musl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;
const platform = process.platform === 'linux' ? `linux-${process.arch}-${musl ? 'musl' : 'gnu'}` : `${process.platform}-${process.arch}`;

// chdb depends on its engine package, which npm may nest below it.
const fromChdb = createRequire(require.resolve('chdb/package.json'));
open({ library: 'chdb', path: join(dirname(fromChdb.resolve(`@chdb/lib-${platform}/package.json`)), 'libchdb.so') });

const argv = ['clickhouse', ...process.argv.slice(2)];
process.exitCode = load({
  library: 'chdb',
  funcName: 'chdb_query_cmdline',
  retType: DataType.I32,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [argv.length, argv],
});

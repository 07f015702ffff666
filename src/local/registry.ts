import { join } from 'node:path';
import { startJava } from './java.js';
import type { ServerOptions } from './kafka.js';
import { jarsOf } from './paths.js';
import { claimPort, LOOPBACK } from './ports.js';
import type { Server } from './process.js';

/**
 * Starts the Apicurio schema registry, which speaks Confluent's protocol, with its data in a file (ids survive a restart).
 * `address` is the base URL that Confluent clients want, `http://127.0.0.1:PORT/apis/ccompat/v7`.
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startRegistry(options: ServerOptions): Promise<Server> {
  const classPath = jarsOf('registry');
  const runner = classPath.find((jar) => jar.endsWith('-runner.jar')) ?? '';
  const port = await claimPort('schema registry', options.port, 'CALLSTREAM_REGISTRY_PORT');
  const address = `http://${LOOPBACK}:${port}/apis/ccompat/v7`;
  return startJava({
    name: 'The schema registry',
    archive: 'registry',
    jvm: [
      '-Xms32m',
      '-Xmx256m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-XX:+ExitOnOutOfMemoryError',
      `-Dquarkus.http.host=${LOOPBACK}`,
      `-Dquarkus.http.port=${port}`,
      `-Dquarkus.datasource.jdbc.url=jdbc:h2:file:${join(options.dataDir, 'registry')}`,
    ],
    main: ['-jar', runner],
    logFile: join(options.logDir, 'registry.log'),
    port,
    address,
    probe: async () => (await fetch(`${address}/subjects`)).ok,
  });
}

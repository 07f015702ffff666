import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ENV, LOOPBACK, REGISTRY_PATH } from '../config/defaults.js';
import { answers } from './http-probe.js';
import { startJava } from './java.js';
import { jarsOf } from './paths.js';
import { claimPort } from './ports.js';
import type { Server, ServerOptions } from './server.js';

/**
 * Starts the Apicurio schema registry, which speaks Confluent's protocol. Its data is in a file, so ids survive a restart.
 * `address` is the base URL for Confluent clients, `http://127.0.0.1:PORT/apis/ccompat/v7`.
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startRegistry(options: ServerOptions): Promise<Server> {
  const jars = jarsOf('registry');
  const port = await claimPort('The schema registry', options.port, ENV.registryPort);
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const address = `http://${LOOPBACK}:${port}${REGISTRY_PATH}`;
  // H2 would write a commit up to half a second later: an id that records already carry could be lost, and given to another schema.
  const database = `jdbc:h2:file:${join(dataDir, 'registry')};WRITE_DELAY=0`;
  return startJava(
    {
      name: 'The schema registry',
      archive: 'registry',
      jars,
      flags: [
        '-Xms32m',
        '-Xmx256m',
        '-XX:TieredStopAtLevel=1',
        `-Dquarkus.http.host=${LOOPBACK}`,
        `-Dquarkus.http.port=${port}`,
        `-Dquarkus.datasource.jdbc.url=${database}`,
      ],
      main: ['-jar', jars.find((jar) => jar.endsWith('-runner.jar')) ?? ''],
      dataDir,
      logFile: join(options.logDir, 'registry.log'),
      port,
      address,
    },
    () => answers(`${address}/subjects`),
  );
}

import { expect, it } from 'vitest';
import { metricsDocument } from '../../src/telemetry/metrics-doc.js';

it('docs/metrics.md lists every metric as the code defines it', async () => {
  await expect(metricsDocument()).toMatchFileSnapshot('../../docs/metrics.md');
});

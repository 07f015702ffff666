/**
 * Prints the closing line of a run, `N passed, N failed`, from vitest's JSON report.
 * Usage: node summary.mjs REPORT EXIT_CODE. A run that failed without a failed test (lint, types, set-up, a hook) counts as one failure.
 */
import { readFileSync } from 'node:fs';

const [report, exitCode] = process.argv.slice(2);
let passed = 0;
let failed = 0;
try {
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  passed = numPassedTests;
  // A file that could not be loaded, or whose hooks failed, may have no failed test of its own.
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  failed = numFailedTests + brokenFiles.length;
  const skipped = testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => !/^(passed|failed)$/.test(status));
  if (skipped.length > 0) console.log(`${skipped.length} skipped: ${skipped.map(({ fullName }) => fullName).join('; ')}`);
} catch {
  console.log('The tests did not run: set-up, lint or type check failed (see above).');
}
if (exitCode !== '0' && failed === 0) failed = 1;
console.log(`${passed} passed, ${failed} failed`);

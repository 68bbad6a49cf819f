// Makes a component of churn.js: node build.mjs [output file]
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { componentize } from '@bytecodealliance/componentize-js';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const { component, imports } = await componentize({
  sourcePath: here('churn.js'),
  witPath: process.env.CRM_WIT ?? here('../../../crm-plugins/wit/v0_1'),
  worldName: 'scorer-plugin',
  // A plugin has no clock, no randomness and no files: with all of these off, nothing of WASI is imported.
  disableFeatures: ['clocks', 'fetch-event', 'http', 'random', 'stdio'],
});
const foreign = imports.filter(([name]) => !name.startsWith('crm:plugin/'));
if (foreign.length > 0) throw new Error(`imports what no plugin is given: ${foreign.join(' ')}`);
await writeFile(process.argv[2] ?? 'churn.wasm', component);

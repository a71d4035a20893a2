// Runs the npm package http-cache-tests through a cache, all tests side by side, and says what has come of each.
//
//     node http_cache_tests.mjs FOLDER URL [ID]
//
// FOLDER is the package's own, URL the cache's in front of the package's server. Prints {ID: {kind, outcome, why}} as
// JSON; with an ID that one test alone, and its requests and responses before it. The verdicts are the package's own:
// a test that another one is needed for has the outcome `dependency` where that one has not passed.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, url, only] = process.argv.slice(2)
const part = async name => import(pathToFileURL(join(folder, name)))
const fetch = createRequire(join(folder, 'cli.mjs'))('node-fetch')
const { default: suites } = await part('tests/index.mjs')
const { determineTestResult } = await part('lib/display.mjs')
const { runTests, getResults } = await part('client/runner.mjs')

const outcomes = {
  '✅': 'pass', Y: 'pass', '⛔️': 'fail', '⚠️': 'fail', N: 'fail', '🔹': 'setup', '↻': 'retry', '⚪️': 'dependency'
}
const forCaches = suites.map(suite => ({ ...suite, tests: suite.tests.filter(test => test.browser_only !== true) }))
const chosen = forCaches.flatMap(suite => suite.tests.filter(test => only === undefined || test.id === only))
for (const test of chosen) test.dump = only !== undefined

await runTests([{ tests: chosen }], fetch, false, url, chosen.length)
const results = getResults()
const verdicts = {}
for (const test of chosen) {
  const result = results[test.id]
  verdicts[test.id] = {
    kind: test.kind ?? 'required',
    outcome: outcomes[determineTestResult(suites, test.id, results, only === undefined)[2]],
    why: Array.isArray(result) ? result[1] ?? '' : ''
  }
}
console.log(JSON.stringify(verdicts, null, 1))
process.exit(0)

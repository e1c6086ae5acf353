// Answers each case on standard input with @cloud-copilot/iam-simulate, compares its answer with ours, and tells where
// they differ. Waivers are those of docs/posture-waivers.md. Exits with 1 if an answer differs that none covers.
//
//   compare.mjs < cases.jsonl

import { createInterface } from 'node:readline'
import { performance } from 'node:perf_hooks'
import { runSimulation } from '@cloud-copilot/iam-simulate'

// Each waiver: the mark that a case needs, and which pairs of answers it covers.
const WAIVERS = [
  ['operation-across-accounts', (ours) => ours === 'ImplicitlyDenied operation'],
  ['root-user', (ours, theirs) => ours === 'Allowed' && theirs === 'ImplicitlyDenied'],
  ['retire-grant', () => true],
  ['session-named', (ours, theirs) => ours === 'Allowed' && theirs === 'ImplicitlyDenied'],
  ['root-takes-role', (ours) => ours === 'ImplicitlyDenied operation'],
  ['encryption-context', () => true],
  ['address-families', () => true]
]
const SHOWN = 20

const counts = { same: 0, unknown: new Map(), waived: new Map(), refused: new Map(), differ: 0 }
const count = (map, key) => map.set(key, (map.get(key) ?? 0) + 1)
let spent = 0
let cases = 0

for await (const line of createInterface({ input: process.stdin })) {
  const { case: number, ours, marks, simulation } = JSON.parse(line)
  cases++
  const start = performance.now()
  const result = await runSimulation(simulation, { simulationMode: 'Strict' })
  spent += performance.now() - start
  const theirs = result.overallResult ?? result.analysis?.result ?? result.resultType
  if (result.resultType === 'error') {
    count(counts.refused, JSON.stringify(result.errors ?? result).slice(0, 160))
    continue
  }
  if (ours.startsWith('Unknown ')) {
    count(counts.unknown, ours.slice(8))
    continue
  }
  if (theirs === ours.replace(/ operation$/, '')) {
    counts.same++
    continue
  }
  const waiver = WAIVERS.find(([mark, covers]) => marks.includes(mark) && covers(ours, theirs))
  if (waiver) {
    count(counts.waived, `${waiver[0]}: ours ${ours}, theirs ${theirs}`)
    continue
  }
  counts.differ++
  if (counts.differ <= SHOWN) {
    console.log(`case ${number}: ours ${ours}, theirs ${theirs}\n${JSON.stringify(simulation)}`)
  }
}

const list = (map) => [...map].sort((a, b) => b[1] - a[1]).map(([key, n]) => `  ${n} ${key}`).join('\n')
console.log(`${cases} cases: ${counts.same} the same, ${counts.differ} differ`)
for (const [title, map] of [
  ['waived', counts.waived],
  ['unknown to us', counts.unknown],
  ['refused by the other evaluator', counts.refused]
]) {
  if (map.size) console.log(`${title}:\n${list(map)}`)
}
console.log(`theirs: ${Math.round(cases / (spent / 1000))} decisions/s`)
process.exit(counts.differ ? 1 : 0)

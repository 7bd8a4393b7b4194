// JavaScript's way: 25 patterns, each replaced over the whole line. Usage: node redact.mjs LINES PATTERNS.json
// Prints one line of JSON: megabytes per CPU second and the number of replacements.
import { readFileSync } from 'node:fs';

const [linesFile, patternsFile] = process.argv.slice(2);
const text = readFileSync(linesFile, 'utf8');
const lines = text.trimEnd().split('\n');
const patterns = JSON.parse(readFileSync(patternsFile, 'utf8')).map((pattern) => new RegExp(pattern, 'g'));

let replaced = 0;
function pass() {
  let bytes = 0;
  for (const line of lines) {
    let kept = line;
    for (const pattern of patterns) kept = kept.replace(pattern, () => { replaced += 1; return '[REDACTED]'; });
    bytes += kept.length;
  }
  return bytes;
}
pass();
replaced = 0;
const before = process.cpuUsage();
pass();
const used = process.cpuUsage(before);
console.log(JSON.stringify({ mb_per_second: Buffer.byteLength(text) / (used.user + used.system), replaced }));

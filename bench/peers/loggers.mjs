// Node's loggers, given the same events. Usage: node loggers.mjs MODE EVENTS.jsonl OUT_DIR COUNT
// Prints one line of JSON: events per second, CPU microseconds per event (whole process, workers
// included), bytes written, and the caller's latency in microseconds, taken in a second pass.
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';

const [mode, eventsFile, outDir, countText] = process.argv.slice(2);
const count = Number(countText);
const events = readFileSync(eventsFile, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
const tick = () => new Promise((resolve) => setImmediate(resolve));

// Each maker returns how to log one event, and how to end and wait for what is still on its way.
const makers = {
  'pino-sync': async (dir) => toDestination(pino.destination({ dest: join(dir, 'log'), sync: true })),
  // One write and one fsync for each event, before the call returns.
  'pino-fsync': async (dir) => toDestination(pino.destination({ dest: join(dir, 'log'), sync: true, fsync: true })),
  'pino-async': async (dir) =>
    toDestination(pino.destination({ dest: join(dir, 'log'), sync: false, minLength: 4096 })),
  'pino-roll': async (dir) => {
    const options = { file: join(dir, 'log'), size: '64m', mkdir: true };
    return toDestination(pino.transport({ target: 'pino-roll', options }));
  },
  // The loop of NCP's AuditLogger: redact top-level keys, stringify, append by opening the file each time.
  ncp: async (dir) => {
    const file = join(dir, 'audit.jsonl');
    const secret = /password|token|secret|key|auth|credential/i;
    const log = async (event) => {
      const kept = {};
      for (const [name, value] of Object.entries(event)) kept[name] = secret.test(name) ? '[REDACTED]' : value;
      await appendFile(file, JSON.stringify({ timestamp: new Date().toISOString(), ...kept }) + '\n');
    };
    return { log, awaited: true, end: async () => {} };
  },
};

async function toDestination(destination) {
  if (destination.fd === undefined || destination.fd < 0) await once(destination, 'ready');
  const logger = pino({}, destination);
  return {
    log: (event) => logger.info(event),
    end: async () => {
      const closed = once(destination, 'close');
      destination.end();
      await closed;
    },
  };
}

async function pass(name, timed) {
  const dir = join(outDir, name);
  mkdirSync(dir, { recursive: true });
  const logger = await makers[mode](dir);
  const latencies = timed ? new Float64Array(count) : null;
  const cpu = process.cpuUsage();
  const started = process.hrtime.bigint();
  for (let i = 0; i < count; i += 1) {
    const event = events[i % events.length];
    const before = timed ? process.hrtime.bigint() : 0n;
    const logged = logger.log(event);
    if (logger.awaited) await logged;
    if (timed) latencies[i] = Number(process.hrtime.bigint() - before) / 1e3;
    // Asynchronous writes only make progress between turns.
    if (i % 1000 === 999) await tick();
  }
  await logger.end();
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const used = process.cpuUsage(cpu);
  const bytes = readdirSync(dir).reduce((sum, file) => sum + statSync(join(dir, file)).size, 0);
  return { seconds, cpu: (used.user + used.system) / count, bytes, latencies: latencies?.sort() };
}

// The thread of a transport does not keep the process alive while it is waited for.
const alive = setInterval(() => {}, 1000);
await pass('warm-up', false);
const saturated = await pass('saturated', false);
const timed = await pass('timed', true);
clearInterval(alive);
const at = (part) => timed.latencies[Math.min(count - 1, Math.floor(count * part))];
console.log(JSON.stringify({
  events_per_second: count / saturated.seconds,
  cpu_us_per_event: saturated.cpu,
  bytes_per_event: saturated.bytes / count,
  p50: at(0.5), p99: at(0.99), p999: at(0.999),
}));

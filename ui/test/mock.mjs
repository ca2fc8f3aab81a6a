/** A stand-in for the server, for work on the UI and for timing it: invented data in the true shapes. Usage: node test/mock.mjs [port] [folder of dashboards] */
import { createServer } from 'node:http';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const ROOT = fileURLToPath(new URL('../../src/watchkeeper/show/', import.meta.url));
const [port = '8099', folder = ''] = process.argv.slice(2);
const DELAY_MS = Number(process.env.MOCK_DELAY_MS ?? 5);
const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html; charset=utf-8', '.txt': 'text/plain' };
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const dashboards = new Map();
for (const place of [join(ROOT, 'builtin'), folder].filter(existsSync)) {
  for (const name of readdirSync(place).filter(each => each.endsWith('.json'))) {
    const dashboard = JSON.parse(readFileSync(join(place, name), 'utf8'));
    const uid = dashboard.uid || name.replace('.json', '');
    dashboards.set(uid, { dashboard, folder: place === folder ? '' : 'watchkeeper' });
  }
}

const VALUES = {
  job: ['node', 'redis', 'postgres', 'api'], instance: ['web-1:9100', 'web-2:9100', 'db-1:9100'], nodename: ['web-1'], service: ['api', 'worker', 'nginx'],
  namespace: ['default'], cluster: ['main'], level: ['error', 'warn', 'info', 'debug'],
};
const hash = text => [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 100_003, 7);

function seriesOf(expr) {
  const by = /by\s*\(([^)]*)\)/.exec(expr)?.[1].split(',').map(each => each.trim()).filter(each => each && each !== 'le') ?? [];
  if (by.length === 1) return (VALUES[by[0]] ?? ['a', 'b', 'c']).map(value => ({ [by[0]]: value }));
  if (by.length || /^\s*(sum|avg|max|min|count|histogram_quantile|scalar|time|100)\b/.test(expr)) return [{}];
  if (/filesystem/.test(expr) && !/mountpoint="\/"/.test(expr)) return ['/', '/data', '/boot'].map(mountpoint => ({ instance: 'web-1:9100', job: 'node', device: '/dev/sda1', fstype: 'ext4', mountpoint }));
  if (/network|disk/.test(expr)) return ['eth0', 'eth1'].map(device => ({ instance: 'web-1:9100', job: 'node', device }));
  if (/^up|^scrape_/.test(expr)) return VALUES.job.flatMap(job => VALUES.instance.map(instance => ({ __name__: expr.split('{')[0], job, instance: `${job}-${instance}` })));
  return [{ instance: 'web-1:9100', job: 'node' }];
}

function value(expr, n, at, count) {
  const seed = hash(expr + n);
  const wave = Math.sin((at / count) * 9 + seed) * 0.5 + Math.sin((at / count) * 41 + seed * 3) * 0.15 + 1;
  if (/^up\b/.test(expr)) return n === 5 ? 0 : 1;
  if (/bytes/.test(expr) && !/rate|\/ node|100 \*/.test(expr)) return Math.round(wave * (seed % 9 + 1) * 2 ** 30);
  if (/rate\(.*bytes/.test(expr)) return wave * (seed % 700 + 20) * 1024;
  if (/^1 -|percentunit|idle.*\/ on|\/ sum|histogram_quantile|duration/.test(expr)) return (wave / 4) * (0.2 + (seed % 60) / 100);
  if (/100 \*|\* 100/.test(expr)) return Math.min(99, wave * (seed % 50 + 10));
  if (/boot_time|start_time/.test(expr)) return 300_000 + at;
  return wave * (seed % 40 + 1);
}

function answer(query, from, to) {
  const { expr, instant, step = 15_000, kind } = query;
  if (kind === 'logql' && !/count_over_time|rate|topk/.test(expr)) return { status: 'success', type: 'streams', lines: lines(query.limit ?? 500, to) };
  if (/fail_me/.test(expr)) return { status: 'error', errorType: 'bad_data', error: 'invalid parameter "query": 1:5: parse error: unexpected end of input' };
  const times = [];
  if (instant) times.push(to);
  else for (let time = from; time <= to; time += step) times.push(time);
  const series = seriesOf(expr).map((labels, n) => ({ labels, values: times.map((_, at) => value(expr, n, at, times.length)) }));
  return { status: 'success', type: instant ? 'vector' : 'matrix', times, series, warnings: [] };
}

function lines(limit, to) {
  const samples = [
    ['info', '{"level":"info","msg":"request served","path":"/api/orders","status":200,"duration_ms":12,"request_id":"b3f1"}'],
    ['info', '\u001b[32mINFO\u001b[0m worker took job 8812 from queue orders'],
    ['warn', 'level=warn ts=2026-11-22T03:00:00Z msg="slow query" table=orders duration=1.8s'],
    ['error', '{"level":"error","msg":"cannot reach redis","host":"redis:6379","error":"connection refused","attempt":3}'],
    ['debug', 'DEBUG cache miss key=user:8812 <script>alert(1)</script>'],
  ];
  return Array.from({ length: Math.min(limit, 500) }, (_, at) => {
    const [level, line] = samples[hash(String(at)) % samples.length];
    return { time_ns: `${to - at * 1700}123456`, labels: { service: VALUES.service[at % 3], level, filename: '/var/log/app.log' }, line };
  });
}

const now = () => Date.now();
const iso = ms => new Date(ms).toISOString();
const ALERTS = [
  { labels: { alertname: 'RedisDown', severity: 'critical', job: 'redis', instance: 'cache-1:9121' }, annotations: { summary: 'Redis at cache-1:9121 does not answer', description: 'The exporter has not reached Redis for 2 minutes.' }, state: 'firing', activeAt: iso(now() - 340_000), value: '0e+00' },
  { labels: { alertname: 'HighErrorShare', severity: 'warning', job: 'api' }, annotations: { summary: '7.2% of requests to api fail' }, state: 'firing', activeAt: iso(now() - 1_900_000), value: '7.2e-02' },
  { labels: { alertname: 'DiskFillsUp', severity: 'warning', instance: 'db-1:9100', mountpoint: '/data' }, annotations: { summary: '/data on db-1 is full in 4 hours' }, state: 'pending', activeAt: iso(now() - 60_000), value: '1.4e+04' },
];
const QUERIES = { RedisDown: 'redis_up == 0', HighErrorShare: 'sum by (job) (rate(http_requests_total{status=~"5.."}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.05', DiskFillsUp: 'predict_linear(node_filesystem_avail_bytes[6h], 4 * 3600) < 0' };
const rules = () => ({ groups: [
  { name: 'services', file: 'rules/services.yml', interval: 15, rules: Object.keys(QUERIES).map(name => {
    const alerts = ALERTS.filter(alert => alert.labels.alertname === name);
    return { name, query: QUERIES[name], type: 'alerting', state: alerts[0].state, health: 'ok', duration: 120, labels: { severity: alerts[0].labels.severity }, annotations: alerts[0].annotations, alerts, evaluationTime: 0.0012, lastEvaluation: iso(now() - 4000) };
  }) },
  { name: 'host', file: 'rules/host.yml', interval: 15, rules: [
    { name: 'instance:cpu:ratio', query: '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))', type: 'recording', health: 'ok', evaluationTime: 0.0009, lastEvaluation: iso(now() - 9000) },
    { name: 'HostOutOfMemory', query: 'node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.1', type: 'alerting', state: 'inactive', health: 'ok', duration: 300, labels: { severity: 'warning' }, annotations: { summary: 'Little memory left' }, alerts: [], evaluationTime: 0.0007, lastEvaluation: iso(now() - 9000) },
    { name: 'Broken', query: 'rate(x[5m]', type: 'alerting', state: 'unknown', health: 'err', lastError: 'parse error: unclosed left parenthesis', duration: 0, labels: {}, annotations: {}, alerts: [] },
  ] },
] });
let silences = [{ id: 'a1', status: { state: 'active' }, comment: 'Moving the cache', createdBy: 'admin', startsAt: iso(now() - 600_000), endsAt: iso(now() + 3_000_000), matchers: [{ name: 'alertname', value: 'DiskFillsUp', isRegex: false, isEqual: true }] }];
const amAlerts = () => ALERTS.filter(alert => alert.state === 'firing').map((alert, at) => ({ fingerprint: `f${at}`, labels: alert.labels, annotations: alert.annotations, startsAt: alert.activeAt, endsAt: iso(now() + 300_000), updatedAt: iso(now()), generatorURL: '', receivers: [{ name: 'inbox' }], status: { state: 'active', silencedBy: [], inhibitedBy: [] } }));
const targets = () => ({ activeTargets: VALUES.job.flatMap((job, j) => [1, 2, 3].map(n => ({ scrapePool: job, scrapeUrl: `http://${job}-${n}:9100/metrics`, globalUrl: `http://${job}-${n}:9100/metrics`, labels: { job, instance: `${job}-${n}:9100` }, discoveredLabels: { __address__: `${job}-${n}:9100` }, lastError: j === 1 && n === 2 ? 'connection refused' : '', lastScrape: iso(now() - 3000 * n), lastScrapeDuration: 0.004 * n, health: j === 1 && n === 2 ? 'down' : 'up', scrapeInterval: '15s', scrapeTimeout: '10s' }))), droppedTargets: [] });

function api(method, url, body) {
  const path = url.pathname;
  if (path === '/api/user') return { login: 'admin', name: 'Admin', role: 'Admin' };
  if (path === '/api/login') return { user: { login: body.user, name: body.user, role: 'Admin' } };
  if (path === '/api/logout') return {};
  if (path === '/api/search') return [...dashboards].map(([uid, { dashboard, folder: folderTitle }]) => ({ uid, title: dashboard.title, tags: dashboard.tags ?? [], type: 'dash-db', folderTitle, url: `/d/${uid}` }));
  if (path.startsWith('/api/dashboards/uid/')) { const found = dashboards.get(decodeURIComponent(path.split('/').pop())); return found && { meta: {}, dashboard: found.dashboard }; }
  if (path === '/api/query/batch') return { results: Object.fromEntries(body.queries.map(query => [query.ref, answer(query, query.from ?? body.from, query.to ?? body.to)])) };
  if (path === '/api/overview') return { services: VALUES.job.map((job, at) => ({ job, up: at === 1 ? 2 : 3, down: at === 1 ? 1 : 0, targets: 3 })), alerts: { firing: 2, pending: 1 }, ingest: { samples_per_s: 1480.2, series: 22_140, lines_per_s: 37.5 }, storage: { metrics_bytes: 48_234_496, logs_bytes: 9_120_000 }, version: '0.1.0', started_ms: now() - 3_600_000 };
  if (path === '/api/inbox') return [{ id: 2, received_ms: now() - 300_000, receiver: 'inbox', status: 'firing', message: { alerts: ALERTS.slice(0, 2).map(alert => ({ ...alert, status: 'firing' })), commonLabels: {}, groupLabels: { alertname: 'RedisDown' } } }, { id: 1, received_ms: now() - 7_200_000, receiver: 'inbox', status: 'resolved', message: { alerts: [{ ...ALERTS[2], status: 'resolved' }], groupLabels: { alertname: 'DiskFillsUp' } } }];
  if (path === '/api/v1/alerts') return { status: 'success', data: { alerts: ALERTS } };
  if (path === '/api/v1/rules') return { status: 'success', data: rules() };
  if (path === '/api/v1/targets') return { status: 'success', data: targets() };
  if (path === '/api/v1/status/config') return { status: 'success', data: { yaml: 'global:\n  scrape_interval: 15s\n' } };
  if (path === '/api/v1/metadata') return { status: 'success', data: { http_requests_total: [{ type: 'counter', help: 'Requests served.', unit: '' }], node_load1: [{ type: 'gauge', help: '1m load average.', unit: '' }] } };
  if (path === '/api/v1/labels' || path === '/loki/api/v1/labels') return { status: 'success', data: Object.keys(VALUES) };
  if (path === '/api/v1/label/__name__/values') return { status: 'success', data: ['http_requests_total', 'http_request_duration_seconds_bucket', 'node_load1', 'node_load5', 'node_memory_MemAvailable_bytes', 'node_cpu_seconds_total', 'up'] };
  if (/\/label\/[^/]+\/values$/.test(path)) return { status: 'success', data: VALUES[decodeURIComponent(path.split('/').at(-2))] ?? ['a', 'b'] };
  if (path === '/api/v1/series') return { status: 'success', data: [{ __name__: 'up', job: 'node' }] };
  if (path === '/api/v1/query') return { status: 'success', data: { resultType: 'vector', result: [{ metric: { __name__: 'up', job: 'node' }, value: [now() / 1000, '1'] }] } };
  if (path === '/api/v2/alerts/groups') return [{ labels: { alertname: 'RedisDown' }, receiver: { name: 'inbox' }, alerts: amAlerts() }];
  if (path === '/api/v2/alerts') return amAlerts();
  if (path === '/api/v2/silences' && method === 'POST') { const id = `s${silences.length}`; silences = [{ ...body, id, status: { state: 'active' } }, ...silences.filter(each => each.id !== body.id)]; return { silenceID: id }; }
  if (path === '/api/v2/silences') return silences;
  if (path.startsWith('/api/v2/silence/')) { silences = silences.map(each => (each.id === path.split('/').pop() ? { ...each, status: { state: 'expired' }, endsAt: iso(now()) } : each)); return {}; }
  return undefined;
}

createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const parts = [];
  request.on('data', part => parts.push(part));
  request.on('end', () => {
    const send = (status, type, content, headers = {}) => { response.writeHead(status, { 'content-type': type, ...headers }); response.end(content); };
    if (/^\/(api|loki|alertmanager)\//.test(url.pathname)) {
      const found = api(request.method, url, parts.length ? JSON.parse(Buffer.concat(parts).toString()) : undefined);
      const packed = gzipSync(JSON.stringify(found ?? { message: 'not found' }), { level: 1 });
      setTimeout(() => send(found === undefined ? 404 : 200, 'application/json', packed, { 'content-encoding': 'gzip' }), DELAY_MS);
      return;
    }
    const file = join(ROOT, 'static', url.pathname);
    if (url.pathname !== '/' && existsSync(`${file}.gz`)) send(200, TYPES[extname(file)] ?? 'text/plain', readFileSync(`${file}.gz`), { 'content-encoding': 'gzip', 'cache-control': 'max-age=31536000, immutable' });
    else send(200, TYPES['.html'], readFileSync(join(ROOT, 'static', 'index.html')), { 'content-security-policy': POLICY });
  });
}).listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${port}`));

// Publishes a message: node publish.js redis|http TOPIC BODY
import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { createClient } from 'redis';

const {
  REDIS_URL = 'redis://127.0.0.1:6379/0', // that of the dispatchers
  RECOVER_REDIS_URL = REDIS_URL, // their MEDIS_RECOVER_REDIS_URL
  MEDIS_URL = 'http://127.0.0.1:5601', // of a dispatcher, for HTTP
  MEDIS_TOKEN = '',
} = process.env;
const PARTITIONS = Number(process.env.MEDIS_PARTITIONS ?? 1); // as the dispatchers have it

// With an id a message can be written again: it is delivered once.
async function publish(topic, body, { id = randomUUID(), key = '' } = {}) {
  try {
    await withRedis(REDIS_URL, (redis) => {
      const partition = crc32(key || id) % PARTITIONS;
      return redis.xAdd(`medis:{${partition}}:incoming`, '*', { topic, body, id, ...(key && { key }) });
    });
  } catch (error) {
    // Redis does not take it, or did not say so. The dispatchers publish it from the recover list.
    console.error(`parked: ${error.message}`);
    const item = JSON.stringify({ topic, body, id, key, time: Date.now() });
    await withRedis(RECOVER_REDIS_URL, (redis) => redis.rPush('medis:recover:node', item));
  }
  return id;
}

async function publishByHTTP(topic, body, { id = randomUUID() } = {}) {
  const answer = await fetch(`${MEDIS_URL}/api/v1/topics/${topic}/messages`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'Idempotency-Key': id,
      ...(MEDIS_TOKEN && { Authorization: `Bearer ${MEDIS_TOKEN}` }),
    },
    body,
    signal: AbortSignal.timeout(5000),
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return id;
}

// A server keeps one client for as long as it runs. No retries: a write is not to be repeated behind our back.
async function withRedis(url, write) {
  const client = createClient({
    url, disableOfflineQueue: true, commandOptions: { timeout: 3000 },
    socket: { reconnectStrategy: false, connectTimeout: 3000 },
  });
  client.on('error', () => {}); // the promise says it
  await client.connect();
  try {
    return await write(client);
  } finally {
    client.destroy();
  }
}

const [way, topic, body, ...more] = process.argv.slice(2);
const by = new Map([['redis', publish], ['http', publishByHTTP]]).get(way);
if (!by || body === undefined || more.length) {
  console.error('usage: node publish.js redis|http TOPIC BODY');
  process.exit(2);
}
console.log(await by(topic, body));
